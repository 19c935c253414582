"""Sets as level functions, against NumPy: levels, membership, boundaries and gradients, also of sets put together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss

POINTS = np.random.default_rng(0).uniform(-2, 2, (400, 2))
BOWL = ss.landscapes.Landscape(lambda x: x[0] ** 2 + 3 * x[1] ** 2, 2)


def half_plane(x):
    return x @ [2.0, -1.0] - 0.5


def disc(x):
    return np.linalg.norm(x - [0.3, -0.2], axis=-1) - 1.1


def valley(x):
    return x[..., 0] ** 2 + 3 * x[..., 1] ** 2 - 1.5


H = ss.regions.HalfSpace([2.0, -1.0], 0.5)
D = ss.regions.Ball([0.3, -0.2], 1.1)
V = ss.regions.Sublevel(BOWL, 1.5)

# a set, its level function and whether a point is in it
SETS = {
    "half plane": (H, half_plane, lambda h, d, v: h),
    "disc": (D, disc, lambda h, d, v: d),
    "valley": (V, valley, lambda h, d, v: v),
    "complement": (~D, lambda x: -disc(x), lambda h, d, v: ~d),
    "union": (H | D, lambda x: np.minimum(half_plane(x), disc(x)), lambda h, d, v: h | d),
    "intersection": (H & D, lambda x: np.maximum(half_plane(x), disc(x)), lambda h, d, v: h & d),
    "union and complement": (
        (H | ~D) & V,
        lambda x: np.maximum(np.minimum(half_plane(x), -disc(x)), valley(x)),
        lambda h, d, v: (h | ~d) & v,
    ),
    "complement of a union": (~(H | D), lambda x: np.maximum(-half_plane(x), -disc(x)), lambda h, d, v: ~(h | d)),
    "complement of an intersection": (
        ~(H & V) | D,
        lambda x: np.minimum(-np.maximum(half_plane(x), valley(x)), disc(x)),
        lambda h, d, v: ~(h & v) | d,
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_levels_are_those_of_numpy(name, double_precision):
    region, level, _ = SETS[name]
    found = jax.vmap(region.level)(jnp.asarray(POINTS))
    np.testing.assert_allclose(found, level(POINTS), atol=1e-12)


@pytest.mark.parametrize("name", SETS)
def test_membership_is_that_of_sets(name, double_precision):
    region, level, member = SETS[name]
    found = np.asarray(jax.vmap(region.contains)(jnp.asarray(POINTS)))
    expected = member(half_plane(POINTS) < 0, disc(POINTS) < 0, valley(POINTS) < 0)
    assert np.array_equal(found, expected) and np.array_equal(found, level(POINTS) < 0)
    assert 5 < found.sum() < 395


def test_the_boundary_belongs_to_one_side():
    """Sets are open and their complements closed, also of sets put together."""
    edge, corner = jnp.array([1.0, 0.0]), jnp.array([0.0, 0.0])
    right, up = ss.regions.HalfSpace([1.0, 0.0], 1.0), ss.regions.HalfSpace([0.0, 1.0], 0.0)
    ball = ss.regions.Ball([0.0, 0.0], 1.0)
    for region in (right, ball, right & ball, right | ball, ss.regions.Sublevel(BOWL, 1.0)):
        assert not region.contains(edge) and (~region).contains(edge) and not (~~region).contains(edge)
    assert not (right & up).contains(corner) and (~(right & up)).contains(corner)
    assert (right | up).contains(corner) and not (~(right | up)).contains(corner)


@pytest.mark.parametrize("name", SETS)
def test_levels_have_gradients(name, double_precision):
    """Everywhere off the kinks they match differences; also at a ball's centre they are numbers."""
    region, level, _ = SETS[name]
    found = np.asarray(jax.vmap(jax.grad(region.level))(jnp.asarray(POINTS)))
    step = 1e-6 * np.eye(2)
    differences = np.stack([(level(POINTS + row) - level(POINTS - row)) / 2e-6 for row in step], axis=1)
    off = np.abs(found - differences).max(axis=1) > 1e-5
    # within a millionth of a kink a difference sees both sides
    assert off.sum() <= 2
    assert np.all(np.isfinite(jax.grad(region.level)(jnp.array([0.3, -0.2]))))


def test_sets_are_told_apart_by_their_dimension():
    for region in (H, D, V, ~D, H | D, H & D):
        region.check(2)
        with pytest.raises(ValueError, match="dim = 3"):
            region.check(3)
    with pytest.raises(ValueError, match="another region"):
        H & 3  # pyright: ignore
