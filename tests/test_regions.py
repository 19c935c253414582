"""Level functions of regions and of their complements, intersections and unions, by hand-made numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss
from sde_sgd.regions import Ball, Ellipsoid, HalfSpace, Sublevel

BOWL = ss.landscapes.Quadratic([2.0, 8.0])
# far from both; in the first alone; in the second alone; in both
BALL, HALF = Ball([0.0, 0.0], 2.0), HalfSpace([1.0, 0.0], 1.0)
POINTS = np.array([[3.0, 0.0], [1.5, 0.0], [-3.0, 0.0], [0.0, 1.0]])
FIRST, SECOND = np.array([1.0, -0.5, 1.0, -1.0]), np.array([2.0, 0.5, -4.0, -1.0])


def levels(region):
    return np.asarray(jax.vmap(region.level)(jnp.asarray(POINTS)))


def inside(region):
    return np.asarray(jax.vmap(region.contains)(jnp.asarray(POINTS)))


def test_levels_of_the_parts():
    np.testing.assert_allclose(levels(BALL), FIRST, atol=1e-6)
    np.testing.assert_allclose(levels(HALF), SECOND, atol=1e-6)
    np.testing.assert_allclose(levels(HalfSpace([2.0, 0.0], 1.0)), 2 * POINTS[:, 0] - 1, atol=1e-6)
    np.testing.assert_allclose(levels(Sublevel(BOWL, 3.0)), POINTS[:, 0] ** 2 + 4 * POINTS[:, 1] ** 2 - 3, atol=1e-5)


def test_levels_of_combinations():
    """The larger level of an intersection, the smaller of a union; containment agrees with the sign of each."""
    for region, expected in (
        (BALL & HALF, np.maximum(FIRST, SECOND)),
        (BALL | HALF, np.minimum(FIRST, SECOND)),
        (~BALL, -FIRST),
        (~(BALL | HALF), np.maximum(-FIRST, -SECOND)),
        (~BALL & HALF, np.maximum(-FIRST, SECOND)),
        (BALL & HALF | ~HALF, np.minimum(np.maximum(FIRST, SECOND), -SECOND)),
    ):
        np.testing.assert_allclose(levels(region), expected, atol=1e-6)
        np.testing.assert_array_equal(inside(region), expected < 0)


def test_the_boundary_belongs_to_the_complement():
    """A point at level 0 lies in exactly one of a set and its complement, and so it does in a union of both."""
    edge = jnp.array([1.0, 0.3])
    assert float(HALF.level(edge)) == 0
    assert not HALF.contains(edge) and (~HALF).contains(edge)
    assert (HALF | ~HALF).contains(edge) and not (HALF & ~HALF).contains(edge)
    assert ~(~HALF) is HALF


def test_an_ellipsoid_is_its_quadratic_form():
    matrix = np.array([[2.0, 0.6], [0.6, 0.5]])
    center = np.array([0.3, -0.2])
    region = Ellipsoid(center, matrix)
    np.testing.assert_allclose(region.factor.T @ region.factor, matrix, atol=1e-12)
    offsets = POINTS - center
    form = np.sqrt(np.einsum("ni,ij,nj->n", offsets, matrix, offsets))
    np.testing.assert_allclose(levels(region), form - 1, rtol=1e-5)
    # half-lengths of the axes are 1/√eigenvalue
    values, vectors = np.linalg.eigh(matrix)
    for value, axis in zip(values, vectors.T, strict=True):
        end = center + axis / np.sqrt(value)
        assert abs(float(region.level(jnp.asarray(end)))) < 1e-5
        assert bool(region.contains(jnp.asarray(center + 0.99 * axis / np.sqrt(value))))
        assert not bool(region.contains(jnp.asarray(center + 1.01 * axis / np.sqrt(value))))
    assert float(region.level(jnp.asarray(center, jnp.float32))) == pytest.approx(-1, abs=1e-6)


def test_an_ellipsoid_of_a_factor():
    """The factor is kept bit for bit, and the level of a round one is that of a ball over its radius."""
    factor = np.array([[2.0, 0.3], [0.0, 0.7]])
    region = Ellipsoid.from_factor([0.1, 0.2], factor)
    np.testing.assert_array_equal(region.factor, factor)
    np.testing.assert_allclose(levels(region), np.linalg.norm((POINTS - [0.1, 0.2]) @ factor.T, axis=1) - 1, rtol=1e-5)
    np.testing.assert_allclose(levels(Ellipsoid([0.0, 0.0], np.eye(2) / 4)), levels(BALL) / 2, atol=1e-6)
    swept = jax.jit(jax.vmap(lambda scale: Ellipsoid([0.0, 0.0], scale * jnp.eye(2)).level(jnp.ones(2))))
    np.testing.assert_allclose(swept(jnp.array([1.0, 4.0])), np.sqrt([2.0, 8.0]) - 1, rtol=1e-6)


@pytest.mark.parametrize("region", [BALL, Ellipsoid([0.0, 0.0], np.eye(2))])
def test_no_gradient_at_the_center(region):
    assert np.all(np.asarray(jax.grad(region.level)(jnp.zeros(2))) == 0)
    np.testing.assert_allclose(jax.grad(region.level)(jnp.array([0.0, 0.5])), [0.0, 1.0], atol=1e-6)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Ellipsoid([0.0, 0.0], np.eye(3)), r"matrix must have shape \(2, 2\), got shape \(3, 3\)"),
        (lambda: Ellipsoid([0.0], [[-1.0]]), "matrix must be positive definite, got smallest eigenvalue -1"),
        (lambda: Ellipsoid([0.0, 0.0], np.diag([1.0, 0.0])), "matrix must be positive definite"),
        (lambda: Ellipsoid([0.0, 0.0], [[1.0, 0.5], [0.0, 1.0]]), "matrix must be symmetric"),
        (lambda: Ellipsoid([0.0], [[np.nan]]), "matrix must be finite"),
        (lambda: Ellipsoid.from_factor([0.0], [[0.0]]), "factor must be finite and invertible"),
        (lambda: Ellipsoid.from_factor([0.0, 0.0], np.eye(1)), r"factor must have shape \(2, 2\)"),
        (lambda: Ellipsoid([0.0, 0.0], np.eye(2)).check(3), "region must live in dim = 3"),
        (lambda: (BALL & HALF).check(3), "region must live in dim = 3"),
        (lambda: (BALL | HALF).check(1), "region must live in dim = 1"),
        (lambda: (~Sublevel(BOWL, 1.0)).check(1), "region must live in dim = 1"),
    ],
)
def test_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
