"""The ways into sets from the minima around them: over saddles, and uphill to the lowest points of their boundaries."""

import math
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from ...._numerics import as_float64, bound, of_points, with_slope
from ....landscapes import AbstractLandscape, Exploration, SaddleConnection, SaddleExit, find_minima
from ....regions import AbstractRegion

# starts from which the boundary's lowest points are looked for
_STARTS = 12
# how far from a minimum they are, in the widths of its softest direction; losses that are one; what is on the boundary
_NEAR, _SAME, _ON_BOUNDARY = 0.1, 1e-6, 1e-6
_HALVINGS = 60


class Approach(NamedTuple):
    """A way from a minimum, by number, into one of the sets, by number too.

    top: its highest loss. location: (dim,) where it enters.
    """

    minimum: int
    end: int
    top: float
    location: Float[np.ndarray, " dim"]


class Ways(NamedTuple):
    """What leads from the minima outside some sets to each other, into the sets, and elsewhere.

    edges: connections that do not touch the sets. approaches: ways into them. exits: saddles that lead to no minimum,
        and not into the sets.
    """

    edges: list[SaddleConnection]
    approaches: list[Approach]
    exits: list[SaddleExit]


def ways_around(found: Exploration, ends: tuple[AbstractRegion, ...]) -> Ways:
    """The ways that an exploration found, as far as they do not pass one of the sets `ends`."""
    with jax.enable_x64(True):
        surfaces = [_Surface(found.landscape, region) for region in ends]
        inside = _inside(surfaces, np.array([point.location for point in found.minima]))
        ways = Ways([], [], [])

        def follow(minimum: int, path: np.ndarray) -> bool:
            """Add the way from a minimum along a path into the first set on it; False where there is none."""
            there = np.array([surface.inside(path) for surface in surfaces])
            if not np.any(there):
                return False
            if not inside[minimum]:
                first = int(np.argmax(there.any(axis=0)))
                end = int(np.argmax(there[:, first]))
                ways.approaches.append(surfaces[end].entrance(minimum, end, path[: first + 1]))
            return True

        for way, path in zip(found.connections, found.paths, strict=True):
            if not follow(way.first, path):
                ways.edges.append(way)
            else:
                follow(way.second, path[::-1])
        for way in found.exits:
            if way.minimum >= 0 and not inside[way.minimum] and not follow(way.minimum, way.path):
                ways.exits.append(way)
        for end, surface in enumerate(surfaces):
            ways.approaches.extend(_uphill(found, surface, inside, end))
        return ways


def _inside(surfaces: "list[_Surface]", points: np.ndarray) -> np.ndarray:
    """(n,) whether each point is in one of the sets."""
    return np.any([surface.inside(points) for surface in surfaces], axis=0)


class _Surface:
    """Loss, and a set's level function, in float64; calls belong inside `jax.enable_x64(True)`."""

    def __init__(self, landscape: AbstractLandscape, target: AbstractRegion):
        landscape, target = as_float64((landscape, target))
        self._loss, self._level = bound(with_slope("loss"), landscape), bound(with_slope("level"), target)
        self._landscape, self._target = landscape, target

    def loss(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """L and its gradient."""
        value, slope = self._loss(point)
        return float(value), np.asarray(slope)

    def level(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """The set's level function and its gradient."""
        value, slope = self._level(point)
        return float(value), np.asarray(slope)

    def inside(self, points: np.ndarray) -> np.ndarray:
        """(n,) whether each point is in the set."""
        return of_points("contains", self._target, points)

    def entrance(self, minimum: int, end: int, points: np.ndarray) -> Approach:
        """Where a path from a minimum, whose last point is its first in the set, enters it; its highest loss so far."""
        before = points[: max(len(points) - 1, 1)]
        entered = self.boundary(before[-1], points[-1])
        losses = of_points("loss", self._landscape, before)
        return Approach(minimum, end, max(float(losses.max()), self.loss(entered)[0]), entered)

    def boundary(self, outside: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """The point of the set, between one outside and one in it, that is nearest to the boundary."""
        for _ in range(_HALVINGS):
            middle = (outside + inside) / 2
            outside, inside = (outside, middle) if self.level(middle)[0] < 0 else (middle, inside)
        return np.asarray(inside)


def _uphill(found: Exploration, surface: _Surface, inside: np.ndarray, end: int) -> list[Approach]:
    """Lowest points of a set's boundary from which the loss leads down to a minimum outside all of them."""
    ways: list[Approach] = []
    seen: list[tuple[int, float]] = []
    for near, start in _spread(found, inside):
        point = _lowest_in_set(surface, start)
        if point is None:
            continue
        loss = surface.loss(point)[0]
        # found from elsewhere, a point with the same loss may lie on another side
        if any(near == other and abs(top - loss) < _SAME * max(1.0, abs(loss)) for other, top in seen):
            continue
        seen.append((near, loss))
        try:
            below = find_minima(found.landscape, point)[0]
        except ValueError:
            continue
        number = found.number_of(below.location)
        if number is not None and not inside[number]:
            ways.append(Approach(number, end, loss, point))
    return ways


def _spread(found: Exploration, inside: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Points near the minima outside the sets, with their numbers, from which it is looked for on all sides."""
    outside = np.flatnonzero(~inside).tolist()
    rng = np.random.default_rng(0)
    starts = []
    for place in range(max(_STARTS, len(outside)) if outside else 0):
        number = outside[place % len(outside)]
        point = found.minima[number]
        width = 1 / math.sqrt(float(point.eigenvalues[0]))
        starts.append((number, point.location + _NEAR * width * rng.normal(size=point.location.size)))
    return starts


def _lowest_in_set(surface: _Surface, start: np.ndarray) -> np.ndarray | None:
    """A lowest point of a set, downhill in its level function from `start`; None if none is found."""

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
