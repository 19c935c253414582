"""To which minimum the gradient flow leads: many points at once, in one compiled loop."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from ..landscapes import AbstractLandscape, CriticalPoint
from ..landscapes._critical_points import Float64Landscape

_MOST_STEPS = 2_000
# of a trap's radius, allowed as error of a step: only points about so close to a basin's edge can be misread
_TOLERANCE = 1e-4
# a point lies still where so many steps take it no further than so many allowed errors: about those between which an
# explicit method hovers at rest
_PAUSE, _HOVER = 32, 20
_DIRECTIONS, _RADII = 64, 48


class Quench(eqx.Module):
    """Gradient flow dθ/ds = −∇L(θ), followed until it is caught by a given minimum or comes to rest elsewhere.

    landscape: the loss L.
    locations: (K, dim) of the minima. traps: (K,) radii of balls about them in which the flow comes nearer to the
        minimum, so that a point in one belongs to it without being followed further.
    reach: longest step near the minima. tolerance: error of a step.

    Steps are those of Bogacki and Shampine (1989, Applied Mathematics Letters 2, 321-325), each point with a step
    length of its own, so that what becomes of one does not depend on the others. A point within about 1e-4 of a trap's
    radius of the edge of a basin, or whose flow takes more than 2000 steps, may be read as its neighbours or as
    elsewhere.
    """

    landscape: AbstractLandscape
    locations: Float[Array | np.ndarray, "K dim"]
    traps: Float[Array | np.ndarray, " K"]
    reach: Any
    tolerance: Any

    def __call__(self, states: Float[Array, "dim n"]) -> tuple[Int32[Array, " n"], Float[Array, "dim n"]]:
        """Of each point: the number of its minimum, or K for none of them; and where its flow ended."""
        count, dtype = self.traps.shape[0], states.dtype
        reach, tolerance = jnp.asarray(self.reach, dtype), jnp.asarray(self.tolerance, dtype)
        down = jax.vmap(lambda theta: -self.landscape.gradient(theta), 1, 1)

        def longest(point):
            # far off, where a wall is high, a part of the way is short enough
            return jnp.maximum(reach, 0.1 * jnp.sqrt(jnp.min(self._squares(point), axis=0)))

        def settle(label, point, slope, still):
            caught, trap = self.caught(point)
            still = still | (_norm(slope) == 0) | ~jnp.isfinite(_norm(slope))
            return jnp.where(label >= 0, label, jnp.where(caught, trap, jnp.where(still, count, -1)))

        def body(carry):
            number, point, slope, length, anchor, label = carry
            after, new_slope, error = _try(down, point, slope, length)
            allowed = tolerance + 4 * jnp.finfo(dtype).eps * _norm(point)
            accepted = (error <= allowed) & (label < 0)
            factor = 0.9 * jnp.cbrt(allowed / jnp.maximum(error, 1e-3 * allowed))
            factor = jnp.where(jnp.isfinite(error), jnp.clip(factor, 0.2, 4.0), 0.2)
            point = jnp.where(accepted, after, point)
            slope = jnp.where(accepted, new_slope, slope)
            length = jnp.minimum(length * factor, longest(point) / _norm(slope))
            pause = number % _PAUSE == _PAUSE - 1
            still = pause & (_norm(point - anchor) < _HOVER * allowed)
            anchor = jnp.where(pause, point, anchor)
            return number + 1, point, slope, length, anchor, settle(label, point, slope, still)

        slope, none = down(states), jnp.full(states.shape[1], -1, jnp.int32)
        label = settle(none, states, slope, none > 0)
        carry = (jnp.int32(0), states, slope, 0.1 * reach / _norm(slope), states, label)
        carry = jax.lax.while_loop(lambda carry: (carry[0] < _MOST_STEPS) & jnp.any(carry[-1] < 0), body, carry)
        return jnp.where(carry[-1] < 0, count, carry[-1]), carry[1]

    def caught(self, states: Float[Array, "dim n"]) -> tuple[Array, Int32[Array, " n"]]:
        """Whether each of `states` is in a trap, and in which, (n,) both."""
        inside = self._squares(states) < jnp.asarray(self.traps, states.dtype)[:, None] ** 2
        return jnp.any(inside, axis=0), jnp.argmax(inside, axis=0).astype(jnp.int32)

    def _squares(self, states: Float[Array, "dim n"]) -> Float[Array, "K n"]:
        """Square distances to the minima."""
        locations = jnp.asarray(self.locations, states.dtype)
        return jnp.sum((states[None] - locations[:, :, None]) ** 2, axis=1)


def _norm(vectors: Float[Array, "dim n"]) -> Float[Array, " n"]:
    return jnp.sqrt(jnp.sum(vectors**2, axis=0))


def _try(down, point, slope, length):
    """A step of third order, the slope after it, and the difference from second order."""
    second = down(point + length / 2 * slope)
    third = down(point + 3 / 4 * length * second)
    after = point + length * (2 / 9 * slope + second / 3 + 4 / 9 * third)
    fourth = down(after)
    return after, fourth, length * _norm(-5 / 72 * slope + second / 12 + third / 9 - fourth / 8)


def quench_to(landscape: AbstractLandscape, minima: list[CriticalPoint]) -> Quench:
    """The quench to these minima of `landscape`.

    A trap is half the largest ball, up to half the way to the nearest other minimum, in which ∇L was found to point
    away from the minimum, on rays along the Hessian's eigenvectors and 64 other directions.
    Source: this library; the flow nears the minimum in such a ball as far as those rays tell.
    """
    locations = np.stack([minimum.location for minimum in minima])
    reaches = [_half_way(locations, number) for number in range(len(minima))]
    traps = np.array([_trap(landscape, minimum, reach) for minimum, reach in zip(minima, reaches, strict=True)])
    return Quench(landscape, locations, traps, min(reaches), _TOLERANCE * float(traps.min()))


def _half_way(locations: Float[np.ndarray, "K dim"], number: int) -> float:
    distances = np.linalg.norm(locations - locations[number], axis=1)
    others = np.delete(distances, number)
    return float(others.min() / 2) if others.size else 1.0 + float(np.linalg.norm(locations[number]))


def _trap(landscape: AbstractLandscape, minimum: CriticalPoint, reach: float) -> float:
    """Radius of a minimum's trap."""
    dim = len(minimum.location)
    axes = np.linalg.eigh(minimum.hessian)[1].T
    others = np.random.default_rng(0).standard_normal((_DIRECTIONS, dim))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    # the softest directions come first, and lead to the edge of the basin soonest
    rays = np.concatenate([axes[:_DIRECTIONS], -axes[:_DIRECTIONS], others])
    radii = reach * np.geomspace(1e-3, 1.0, _RADII)
    points = minimum.location + radii[:, None, None] * rays
    with jax.enable_x64(True):
        slopes = Float64Landscape(landscape).values(points.reshape(-1, dim))[1].reshape(points.shape)
    outward = np.all(np.sum(slopes * rays, axis=-1) > 0, axis=1)
    good = int(np.argmin(outward)) if not outward.all() else len(radii)
    # a minimum with a narrower trap than the smallest is still one; its neighbourhood is
    return float(radii[max(good - 1, 0)]) / 2
