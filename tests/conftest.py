"""Every test runs with shape and type checks on, and two CPU devices."""

import gc
import os
import sys

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
os.environ.setdefault("MPLBACKEND", "Agg")

import jax
import pytest
from jaxtyping import install_import_hook

install_import_hook("sde_sgd", "beartype.beartype")


def pytest_addoption(parser):
    parser.addoption("--long", default="none", help="tests marked long: none, all, or only the k-th part of n, as k/n")


def pytest_collection_modifyitems(config, items):
    """Leave out what --long does not ask for; a part is every n-th test function, with all its parameters."""
    asked = config.getoption("--long")
    # a test that is named is run
    if asked == "all" or any("::" in each for each in config.args):
        return
    place, parts = (0, 1) if asked == "none" else map(int, asked.split("/"))
    functions = sorted({item.nodeid.split("[")[0] for item in items if item.get_closest_marker("long")})
    chosen = set(functions[place - 1 :: parts] if place else [])
    kept = [
        item for item in items
        if (item.nodeid.split("[")[0] in chosen if item.get_closest_marker("long") else place == 0)
    ]  # fmt: skip
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


@pytest.fixture(scope="module", autouse=True)
def no_programs_left():
    """Programs of one file serve no other, and all together would take more memory maps than a process may have.

    JAX's own caches stay: it takes the dtype of a constant from whoever asks first after they are cleared. What is left
    is frozen, so that a collection reads what is new and not all that the files before have left: that was a sixth of
    the suite's time.
    """
    yield
    from sde_sgd.engine import Compiled

    rooms = [module for name, module in sys.modules.items() if name.partition(".")[0] == "sde_sgd"]
    for compiled in [each for room in rooms for each in vars(room).values() if type(each) is Compiled]:
        compiled.forget()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_figures_left():
    """What a test drew is closed: matplotlib warns where more than 20 of pyplot's figures are open."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def double_precision():
    """Run the test in float64."""
    with jax.enable_x64(True):
        yield
