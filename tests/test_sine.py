"""The sine and cosine that lowered steps use in float32, and their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sde_sgd.engine.lowering._sine import cos32, sin32


@pytest.mark.parametrize(("ours", "true"), [(sin32, np.sin), (cos32, np.cos)], ids=["sine", "cosine"])
def test_sine_and_cosine(ours, true):
    random = np.random.default_rng(3)
    spread = random.uniform(-8192, 8192, 400_000)
    turns = np.arange(-5215, 5216) * np.pi / 2
    near = (turns[:, None] + np.concatenate([[0.0], random.uniform(-1e-3, 1e-3, 20)])).reshape(-1)
    x = np.float32(np.concatenate([spread, near, random.uniform(-7, 7, 100_000), [0.0, -0.0, 8192.0, -8192.0]]))
    run = jax.jit(ours)
    assert np.max(np.abs(run(x) - true(np.float64(x)))) < 1.2e-7
    # beyond, as good as an argument that is off by its last bit
    far = np.float32(random.uniform(-(2**20), 2**20, 100_000))
    assert np.all(np.abs(run(far) - true(np.float64(far))) <= 1.2e-7 + np.spacing(np.abs(far)))
    assert np.all(np.abs(run(np.float32(np.logspace(6, 38, 1_000)))) <= 1)
    assert np.all(np.isnan(run(np.float32([np.nan, np.inf, -np.inf]))))


def test_sine_and_cosine_are_derivatives_of_each_other():
    x = jnp.linspace(-4.0, 4.0, 201)
    slope = jax.vmap(jax.grad(sin32))
    np.testing.assert_array_equal(slope(x), cos32(x))
    np.testing.assert_array_equal(jax.vmap(jax.grad(cos32))(x), -sin32(x))
    np.testing.assert_array_equal(jax.vmap(jax.grad(jax.grad(sin32)))(x), -sin32(x))
