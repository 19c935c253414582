"""Every test runs with shape and type checks on, and two CPU devices."""

import gc
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
os.environ.setdefault("MPLBACKEND", "Agg")

import jax
import pytest
from jaxtyping import install_import_hook

install_import_hook("sde_sgd", "beartype.beartype")


@pytest.fixture(scope="module", autouse=True)
def no_programs_left():
    """Programs of one file serve no other, and all together would take more memory maps than a process may have.

    JAX's own caches stay: it takes the dtype of a constant from whoever asks first after they are cleared.
    """
    yield
    from sde_sgd.engine import Compiled

    for compiled in [each for each in gc.get_objects() if type(each) is Compiled]:
        compiled.forget()
    gc.collect()


@pytest.fixture
def double_precision():
    """Run the test in float64."""
    with jax.enable_x64(True):
        yield
