"""Batched searches on a landscape: climbs to saddles by eigenvector following, descents by quadratic approximation.

One compiled program for all landscapes of a structure, in float64; calls belong inside `jax.enable_x64(True)`.
"""

import enum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from .._numerics import as_float64, bound
from ._base import AbstractLandscape

# beyond so many components lanes run one after another: each then ends with its own search, and one Hessian is held
_TOGETHER = 32
_CONVEX_STEPS, _STEPS = 64, 400
# a step is taken where the quadratic model foretells the gradient as well as this, relative to it, and the next one is
# longer where it does by much more
_CLIMB_TRUST, _DESCENT_TRUST, _LONGER = 0.5, 0.1, 0.25
_CONVERGED = 1e-9
# how much a Hessian changes, relative to itself, along what counts as a landscape's own length
_CHANGE = 0.1


class End(enum.IntEnum):
    """How a search ended."""

    RUNNING = 0
    """It had no steps left."""
    CONVERGED = 1
    """At a critical point."""
    NOTHING = 2
    """A climb that met no direction of negative curvature, or went away without end."""
    NOT_FINITE = 3
    """Where no step, however small, has a finite loss, gradient and Hessian that continue those before."""
    UNBOUNDED = 4
    """A descent along which the loss falls without bound."""


class Searched(NamedTuple):
    """Searches that were made. ends: as `End`. points, losses: where each ended.

    paths: points of each from where it began to where it ended, (length, dim).
    """

    ends: Int[np.ndarray, " n"]
    points: Float[np.ndarray, "n dim"]
    losses: Float[np.ndarray, " n"]
    paths: list[Float[np.ndarray, "length dim"]]


class Searches:
    """Searches on one landscape, `width` of them at a time. steps: that were made, each with a Hessian."""

    def __init__(self, landscape: AbstractLandscape):
        self.width = 32 if landscape.dim <= 8 else 64 if landscape.dim <= _TOGETHER else 16
        self.steps = 0
        self._search = bound(_searches, as_float64(landscape))

    def climb(
        self,
        minimum: Float[np.ndarray, " dim"],
        directions: Float[np.ndarray, "n dim"],
        shares: Float[np.ndarray, " n"],
    ) -> Searched:
        """Climbs from a minimum along each of the unit vectors `directions`, then along the softest direction.

        While the Hessian is positive definite a step goes along its direction, and by its share, from 0 to 1, to where
        the loss is least across it: a straight ray at 0, a Newton trajectory at 1. From there on it is eigenvector
        following: uphill along the lowest eigenvector, downhill along all others.
        """
        starts = np.broadcast_to(minimum, directions.shape)
        return self._batched(starts, directions, shares, np.ones(len(shares), bool))

    def descend(
        self, starts: Float[np.ndarray, "n dim"], directions: Float[np.ndarray, "n dim"] | None = None
    ) -> Searched:
        """Downhill from each start, after a small step along its direction if there is one.

        Each step follows the gradient flow of the local quadratic approximation exactly: one Newton step near a
        minimum, and no stiffer than the landscape's curvature changes. Source: Page and McIver, J. Chem. Phys. 88, 922
        (1988).
        """
        directions = np.zeros_like(starts) if directions is None else directions
        return self._batched(starts, directions, np.zeros(len(starts)), np.zeros(len(starts), bool))

    def _batched(self, *arrays: np.ndarray) -> Searched:
        """All rows, in batches of one size, for which the program is compiled once."""
        number, parts = len(arrays[0]), []
        for first in range(0, number, self.width):
            rows = np.minimum(np.arange(first, first + self.width), number - 1)
            found = self._search(*(jnp.asarray(array[rows]) for array in arrays))
            parts.append([np.asarray(part)[: number - first] for part in found])
        ends, points, losses, taken, paths = (np.concatenate(column) for column in zip(*parts, strict=True))
        self.steps += int(taken.sum())
        return Searched(ends, points, losses, [path[:length] for path, length in zip(paths, taken, strict=True)])


def _searches(landscape: AbstractLandscape, *arrays: Any) -> Any:
    def lane(*row: Any) -> Any:
        return _search(landscape, *row)

    return jax.vmap(lane)(*arrays) if landscape.dim <= _TOGETHER else jax.lax.map(lambda row: lane(*row), arrays)


class _Point(NamedTuple):
    """Loss, gradient, and the Hessian with its eigenvalues and eigenvectors at a point."""

    theta: Any
    loss: Any
    gradient: Any
    hessian: Any
    values: Any
    vectors: Any

    @property
    def is_finite(self) -> Any:
        return jnp.isfinite(self.loss) & jnp.all(jnp.isfinite(self.gradient)) & jnp.all(jnp.isfinite(self.hessian))


def _at(landscape: AbstractLandscape, theta: Any) -> _Point:
    loss, gradient = jax.value_and_grad(landscape.loss)(theta)
    hessian = landscape.hessian(theta)
    hessian = (hessian + hessian.T) / 2
    # an eigenvalue routine need not come back from what is not finite
    values, vectors = jnp.linalg.eigh(jnp.where(jnp.all(jnp.isfinite(hessian)), hessian, jnp.eye(len(theta))))
    return _Point(theta, loss, gradient, hessian, values, vectors)


class _Carry(NamedTuple):
    """Where a search stands. pushing: whether a climb has met no negative curvature yet. followed: its direction.

    count: of steps that were taken, the first of them none. path: the points of a descent.
    """

    here: _Point
    move: Any
    radius: Any
    pushing: Any
    followed: Any
    count: Any
    tries: Any
    path: Any
    end: Any


def _search(landscape: AbstractLandscape, start: Any, direction: Any, share: Any, climbs: Any) -> Any:
    """One climb or descent: one loop does both, so that the landscape's Hessian is compiled once."""
    length, moves = _length(landscape, start, direction), jnp.any(direction != 0)
    size = jnp.maximum(1.0, jnp.linalg.norm(start))

    def step(now: _Carry) -> _Carry:
        there, first = _at(landscape, now.here.theta + now.move), now.tries == 0
        error = jnp.linalg.norm(there.gradient - now.here.gradient - now.here.hessian @ now.move)
        steep = jnp.linalg.norm(now.here.gradient)
        trust = jnp.where(
            climbs,
            _CLIMB_TRUST * jnp.maximum(steep, jnp.linalg.norm(now.here.hessian @ now.move)),
            _DESCENT_TRUST * steep,
        )
        # near a minimum the loss is rounding error, and only the gradient tells
        falls = climbs | (there.loss <= now.here.loss + 1e-12 * jnp.abs(now.here.loss))
        fits = there.is_finite & (first | (falls & (error <= trust)))
        stuck = ~fits & (first | (now.radius < jnp.where(climbs, 1e-10 * length, 1e-15 * size)))
        away = jnp.linalg.norm(there.theta - start)
        falling = ~climbs & ((there.loss == -jnp.inf) | ((away > 1e8 * size) & (there.loss < now.here.loss)))
        radius = now.radius * jnp.where(first, 1.0, jnp.where(fits, jnp.where(error <= _LONGER * trust, 1.8, 1.0), 0.4))
        here = jax.tree.map(lambda new, old: jnp.where(fits, new, old), there, now.here)
        path = now.path.at[now.count].set(jnp.where(fits, there.theta, now.path[now.count]))

        pushing = now.pushing & (here.values[0] > 0)
        mode = jnp.where(here.values[0] < 0, 0, jnp.argmax(jnp.abs(here.vectors.T @ now.followed)))
        up, up_wanted = _follow(here, mode, radius)
        down, down_wanted = _downhill(here, radius)
        move = jnp.where(climbs, jnp.where(pushing, _push(here, direction, share, radius), up), down)
        wanted = jnp.where(climbs, up_wanted, down_wanted)
        gone = climbs & ((pushing & (now.tries >= _CONVEX_STEPS)) | (away > 1e8 * length))
        end = jnp.where(~pushing & ~(wanted > _CONVERGED * size), jnp.int32(End.CONVERGED), jnp.int32(End.RUNNING))
        for found, kind in ((gone, End.NOTHING), (stuck, End.NOT_FINITE), (falling, End.UNBOUNDED)):
            end = jnp.where(found, jnp.int32(kind), end)
        followed = jnp.where(pushing, direction, here.vectors[:, mode])
        return _Carry(here, move, radius, pushing, followed, now.count + fits, now.tries + 1, path, end)

    nothing, dim = jnp.zeros_like(start), len(start)
    # the first step, of no length, is taken wherever the loss is finite
    begin = start + jnp.where(climbs | ~moves, 0.0, 0.1 * length) * direction
    here = _Point(begin, jnp.inf, nothing, jnp.zeros((dim, dim)), nothing, jnp.eye(dim))
    radius = jnp.where(climbs, 0.5 * length, jnp.where(moves, 0.1 * length, 1e-3 * size))
    path = jnp.zeros((_STEPS, dim), start.dtype)
    now = _Carry(here, nothing, radius, climbs, direction, 0, 0, path, jnp.asarray(End.RUNNING, jnp.int32))
    now = jax.lax.while_loop(lambda now: (now.end == End.RUNNING) & (now.tries < _STEPS), step, now)
    return now.end, now.here.theta, now.here.loss, now.count, now.path


def _length(landscape: AbstractLandscape, theta: Any, direction: Any) -> Any:
    """How far along a direction the Hessian's action on it has changed by a tenth: a landscape's own unit of length."""

    def farther(carry: Any) -> Any:
        distance, number, here, _ = carry
        bent = jax.jvp(jax.grad(landscape.loss), (theta + distance * direction,), (direction,))[1]
        here = jnp.where(number == 0, bent, here)
        near = (jnp.linalg.norm(bent - here) <= _CHANGE * jnp.linalg.norm(here)) & (number < 80)
        return jnp.where(number == 0, first, jnp.where(near, 1.5 * distance, distance)), number + 1, here, near

    first = 1e-8 * jnp.maximum(1.0, jnp.linalg.norm(theta))
    carry = (jnp.zeros_like(first), 0, jnp.zeros_like(theta), True)
    return jax.lax.while_loop(lambda carry: carry[3], farther, carry)[0] / 1.5


def _push(here: _Point, direction: Any, share: Any, radius: Any) -> Any:
    """A step of length `radius` along a direction, and by its share to the least of the quadratic model across it."""
    values = jnp.maximum(here.values, 1e-300)
    newton = here.vectors @ ((here.vectors.T @ here.gradient) / values)
    soft = here.vectors @ ((here.vectors.T @ direction) / values)
    least = (radius + direction @ newton) / (direction @ soft) * soft - newton
    move = share * least + (1 - share) * radius * direction
    return move * radius / jnp.linalg.norm(move)


def _follow(here: _Point, mode: Any, radius: Any) -> tuple[Any, Any]:
    """Newton's step, but uphill along `mode` and downhill along all others, cut to `radius`; its length uncut."""
    floor = jnp.maximum(jnp.abs(here.values), 1e-8 * jnp.maximum(jnp.abs(here.values).max(), 1e-300))
    components = (here.vectors.T @ here.gradient) / floor
    wanted = jnp.linalg.norm(components)
    return here.vectors @ (-components).at[mode].multiply(-1) * jnp.minimum(1.0, radius / wanted), wanted


def _downhill(here: _Point, radius: Any) -> tuple[Any, Any]:
    """Displacement along the gradient flow of the quadratic model, at most `radius` long, and Newton's step's length.

    Where the Hessian is not positive definite there is no Newton step: the gradient over the largest curvature stands
    for it, 0 only where a search stands still.
    """
    components = here.vectors.T @ here.gradient
    stiffest = jnp.maximum(jnp.abs(here.values).max(), 1e-300)
    floor = jnp.maximum(here.values, 1e-14 * stiffest)
    newton = jnp.linalg.norm(components / floor)
    convex = here.values[0] > 0
    wanted = jnp.where(convex, newton, jnp.linalg.norm(components) / stiffest)

    def shift(log_time: Any) -> Any:
        time = jnp.exp(log_time)
        exponent = jnp.clip(-here.values * time, -700.0, 700.0)
        # (1 − e^{−λτ})/λ, which is τ where λ is 0
        weight = jnp.where(jnp.abs(exponent) < 1e-12, time, -jnp.expm1(exponent) / _nonzero(here.values))
        return jnp.where(components == 0, 0.0, -components * weight)

    def halve(_: Any, ends: Any) -> Any:
        low, high = ends
        middle = (low + high) / 2
        short = jnp.linalg.norm(shift(middle)) <= radius
        return jnp.where(short, middle, low), jnp.where(short, high, middle)

    center = -jnp.log(stiffest)
    low, _ = jax.lax.fori_loop(0, 40, halve, (center - 46.0, center + 46.0))
    return here.vectors @ jnp.where(convex & (newton <= radius), -components / floor, shift(low)), wanted


def _nonzero(values: Any) -> Any:
    return jnp.where(values == 0, 1.0, values)
