"""Coefficients of a diffusion and levels of a region in float64, on the CPU, whatever the program's default is."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._numerics import bound, in_blocks, of_each

_BLOCK, _FEW = 4096, 256


def coefficients(diffusion: Any, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drift (n, dim) and covariance (n, dim, dim) at `points` (n, dim) of a diffusion in float64."""
    return _padded(_coefficients, diffusion, points)


def levels(region: Any, points: np.ndarray) -> np.ndarray:
    """φ at `points` (n, dim) of a region in float64, shape (n,); inside is φ < 0. Raises ValueError on NaN."""
    values = _padded(of_each("level"), region, points)
    if np.any(np.isnan(values)):
        bad = points[np.argmax(np.isnan(values))].tolist()
        raise ValueError(f"region must have a level that is a number on the whole grid, got NaN at {bad}")
    return values


def crossings(region: Any, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Fraction of the way from each `inside` point (n, dim) to its `outside` point at which φ changes sign, (n,)."""
    if len(inside) == 0:
        return np.zeros(0)
    return np.maximum(_padded(_bisect, region, np.stack([inside, outside], axis=1)), 1e-8)


def _padded(function, tree, points):
    """Calls with blocks of one size, or of a smaller one for few points, so that only two shapes are ever compiled."""
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        found = in_blocks(bound(function, tree), _BLOCK if len(points) > _FEW else _FEW, points)
        return jax.tree.map(lambda leaf: leaf.astype(np.float64), found)


def _coefficients(diffusion, points):
    return jax.vmap(lambda theta: (diffusion.drift(theta, 0.0), diffusion.covariance(theta, 0.0)))(points)


def _bisect(region, pairs):
    def one(pair):
        def halve(_, bounds):
            low, high = bounds
            middle = (low + high) / 2
            inside = region.level(pair[0] + middle * (pair[1] - pair[0])) < 0
            return jnp.where(inside, middle, low), jnp.where(inside, high, middle)

        low, high = jax.lax.fori_loop(0, 50, halve, (jnp.zeros(()), jnp.ones(())))
        return (low + high) / 2

    return jax.vmap(one)(pairs)


class Complement(eqx.Module):
    """The outside of a region, closed side open: inside where φ > 0."""

    region: Any

    def level(self, theta):
        return -self.region.level(theta)


class Between(eqx.Module):
    """Everything outside both of two sets."""

    target: Any
    avoid: Any

    def level(self, theta):
        return jnp.maximum(-self.target.level(theta), -self.avoid.level(theta))
