"""Gradients of level functions, which monitoring between steps takes for normals: by differences, and at centres."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss

BALL = ss.regions.Ball([0.3, -0.2], 1.1)
HALF = ss.regions.HalfSpace([2.0, -1.0], 0.5)
VALLEY = ss.regions.Sublevel(ss.landscapes.Landscape(lambda x: x[0] ** 2 + 3 * x[1] ** 2, 2), 1.5)
SETS = {
    "half plane": HALF,
    "disc": BALL,
    "valley": VALLEY,
    "complement": ~BALL,
    "union": HALF | BALL,
    "intersection": HALF & BALL,
    "all of it": (HALF | ~BALL) & VALLEY,
}


@pytest.mark.parametrize("name", SETS)
def test_levels_have_gradients(name, double_precision):
    """They match differences off the kinks; at a ball's centre, where there is none, they are numbers."""
    region, points = SETS[name], np.random.default_rng(0).uniform(-2, 2, (400, 2))
    level = jax.jit(jax.vmap(region.level))
    found = np.asarray(jax.vmap(jax.grad(region.level))(jnp.asarray(points)))
    step = 1e-6 * np.eye(2)
    differences = [np.asarray(level(points + row) - level(points - row)) / 2e-6 for row in step]
    # within a millionth of a kink a difference sees both sides
    assert np.sum(np.abs(found - np.stack(differences, axis=1)).max(axis=1) > 1e-5) <= 2
    assert np.all(np.isfinite(jax.grad(region.level)(jnp.array([0.3, -0.2]))))
