"""The ways into a target from the minima around it: over saddles, and uphill to the lowest points of its boundary."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from ...._numerics import as_float64, bound
from ....landscapes import AbstractLandscape, Exploration, SaddleConnection, SaddleExit, find_minima
from ....regions import AbstractRegion

# starts from which the boundary's lowest points are looked for
_STARTS = 12
# how far from a minimum they are, in the widths of its softest direction; losses that are one; what is on the boundary
_NEAR, _SAME, _ON_BOUNDARY = 0.1, 1e-6, 1e-6
_HALVINGS = 60


class Approach(NamedTuple):
    """A way from a minimum, by number, into the target. top: its highest loss. location: (dim,) where it enters."""

    minimum: int
    top: float
    location: Float[np.ndarray, " dim"]


class Ways(NamedTuple):
    """What leads from the minima outside a target to each other, into it, and elsewhere.

    edges: connections that do not touch the target. approaches: ways into it. exits: saddles that lead to no minimum,
        and not into the target.
    """

    edges: list[SaddleConnection]
    approaches: list[Approach]
    exits: list[SaddleExit]


def ways_around(found: Exploration, target: AbstractRegion) -> Ways:
    """The ways that an exploration found, as far as they do not pass the target."""
    with jax.enable_x64(True):
        surface = _Surface(found.landscape, target)
        inside = surface.inside(np.array([point.location for point in found.minima]))
        ways = Ways([], [], [])
        for way, path in zip(found.connections, found.paths, strict=True):
            if not np.any(surface.inside(path)):
                ways.edges.append(way)
                continue
            for minimum, points in ((way.first, path), (way.second, path[::-1])):
                if not inside[minimum]:
                    ways.approaches.append(surface.entrance(minimum, points))
        for way in found.exits:
            if way.minimum >= 0 and not inside[way.minimum]:
                if np.any(surface.inside(way.path)):
                    ways.approaches.append(surface.entrance(way.minimum, way.path))
                else:
                    ways.exits.append(way)
        ways.approaches.extend(_uphill(found, surface, inside))
        return ways


class _Surface:
    """Loss and level function in float64; calls belong inside `jax.enable_x64(True)`."""

    def __init__(self, landscape: AbstractLandscape, target: AbstractRegion):
        landscape, target = as_float64((landscape, target))
        self._loss, self._level = bound(_loss_and_slope, landscape), bound(_level_and_slope, target)
        self._losses, self._contains = bound(_losses, landscape), bound(_contains, target)

    def loss(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """L and its gradient."""
        value, slope = self._loss(jnp.asarray(point))
        return float(value), np.asarray(slope)

    def level(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """The target's level function and its gradient."""
        value, slope = self._level(jnp.asarray(point))
        return float(value), np.asarray(slope)

    def inside(self, points: np.ndarray) -> np.ndarray:
        """(n,) whether each point is in the target."""
        return np.asarray(self._contains(jnp.asarray(points)))

    def entrance(self, minimum: int, points: np.ndarray) -> Approach:
        """Where a path from a minimum first enters the target, and its highest loss up to there."""
        first = int(np.argmax(self.inside(points)))
        before = points[: max(first, 1)]
        entered = self.boundary(before[-1], points[first])
        losses = np.asarray(self._losses(jnp.asarray(before)))
        return Approach(minimum, max(float(losses.max()), self.loss(entered)[0]), entered)

    def boundary(self, outside: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """The point of the target, between one outside and one in it, that is nearest to the boundary."""
        for _ in range(_HALVINGS):
            middle = (outside + inside) / 2
            outside, inside = (outside, middle) if self.level(middle)[0] < 0 else (middle, inside)
        return np.asarray(inside)


def _loss_and_slope(landscape: Any, point: Any) -> Any:
    return jax.value_and_grad(landscape.loss)(point)


def _level_and_slope(target: Any, point: Any) -> Any:
    return jax.value_and_grad(target.level)(point)


def _losses(landscape: Any, points: Any) -> Any:
    return jax.vmap(landscape.loss)(points)


def _contains(target: Any, points: Any) -> Any:
    return jax.vmap(target.contains)(points)


def _uphill(found: Exploration, surface: _Surface, inside: np.ndarray) -> list[Approach]:
    """Lowest points of the target's boundary from which the loss leads down to a minimum outside it."""
    ways: list[Approach] = []
    for start in _spread(found, inside):
        point = _lowest_in_target(surface, start)
        if point is None:
            continue
        loss = surface.loss(point)[0]
        if any(abs(way.top - loss) < _SAME * max(1.0, abs(loss)) for way in ways):
            continue
        try:
            below = find_minima(found.landscape, point)[0]
        except ValueError:
            continue
        number = found.number_of(below.location)
        if number is not None and not inside[number]:
            ways.append(Approach(number, loss, point))
    return ways


def _spread(found: Exploration, inside: np.ndarray) -> list[np.ndarray]:
    """Points near the minima outside the target, from which it is looked for on all sides."""
    outside = [point for point, there in zip(found.minima, inside, strict=True) if not there]
    rng = np.random.default_rng(0)
    starts = []
    for place in range(_STARTS):
        point = outside[place % len(outside)]
        width = 1 / math.sqrt(float(point.eigenvalues[0]))
        starts.append(point.location + _NEAR * width * rng.normal(size=point.location.size))
    return starts


def _lowest_in_target(surface: _Surface, start: np.ndarray) -> np.ndarray | None:
    """A lowest point of the target, downhill in its level function from `start`; None if none is found."""

    def stop(intermediate_result) -> None:
        if surface.level(intermediate_result.x)[0] < 0:
            raise StopIteration

    entered = minimize(surface.level, start, jac=True, method="L-BFGS-B", callback=stop).x
    if not (np.all(np.isfinite(entered)) and surface.level(entered)[0] < 0):
        return None
    rule = {
        "type": "ineq", "fun": lambda x: -surface.level(x)[0], "jac": lambda x: -surface.level(x)[1]
    }  # fmt: skip
    with np.errstate(all="ignore"):
        lowest = minimize(
            surface.loss, surface.boundary(start, entered), jac=True, method="SLSQP", constraints=[rule]
        ).x
    return lowest if np.all(np.isfinite(lowest)) and surface.level(lowest)[0] < _ON_BOUNDARY else None
