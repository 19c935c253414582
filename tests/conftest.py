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


def pytest_collection_finish():
    """What has been imported stays: no later look for cycles goes through it, of which tracing causes many."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def no_programs_left():
    """Programs of one file serve no other, and all together would take more memory maps than a process may have."""
    yield
    jax.clear_caches()
    gc.collect()


@pytest.fixture
def double_precision():
    """Run the test in float64."""
    with jax.enable_x64(True):
        yield
