"""The critical points that an exploration knows, and what its climbs and descents add to them."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from .._errors import show
from ._base import AbstractLandscape
from ._critical_points import CriticalPoint, Float64Landscape, descend, newton
from ._searches import End, Searched, Searches
from ._string import evenly

SAME = 1e-5
"""Points that are nearer, relative to 1 or to their distance from 0, are one."""
# where a degenerate one is, is known less
_SAME_DEGENERATE = 1e-3
# images of a path on each side of its saddle
_IMAGES = 33
# distances at which a ray from a minimum is looked at, each longer than the last by a factor
_LOOKS, _SIGHT = 64, 1.15
# of which one point is kept
_CONTINUUM = "a continuum of critical points"
_NUDGES = 4
_MOST_DIRECTIONS = 4

UNBOUNDED = "the loss descends without bound"
"""What a saddle's side leads to, in words, where no law has all its states."""
_OUTCOMES = {
    End.UNBOUNDED: UNBOUNDED,
    End.NOT_FINITE: "the loss or its derivatives are not finite or jump",
    End.RUNNING: "a descent of 400 steps comes to no end",
}


@dataclasses.dataclass
class Side:
    """One side of a saddle. minimum: its number, or −1. leads_to: what else is there. path: (n, dim) down from it."""

    minimum: int
    leads_to: str
    location: np.ndarray
    path: np.ndarray


@dataclasses.dataclass
class Saddle:
    """A first-order saddle. finds: how often independent climbs found it; seen: and any climbs."""

    point: CriticalPoint
    sides: list[Side]
    finds: int = 0
    seen: int = 0

    @property
    def joins(self) -> bool:
        """Whether both sides lead to a minimum."""
        return all(side.minimum >= 0 for side in self.sides)


@dataclasses.dataclass
class Degenerate:
    """A degenerate critical point, the minima around it, and what else descents from around it meet."""

    point: CriticalPoint
    minima: set[int]
    leads_to: set[str]
    kind: str


class KnownPoints:
    """What is known, in the order in which it was found; minimum 0 is the one below the start.

    ceiling: loss up to which saddles count. passes: loss of the highest saddle on the lowest way from minimum 0 to each
    minimum. walls, wall: how many climbs ended where the loss is not finite, and where one did. astray: how many of the
    states that were given lead to no minimum, by what they lead to.
    """

    def __init__(self, landscape: AbstractLandscape, start: np.ndarray, height: float | None, rng: Any):
        self.searches, self._surface, self._rng = Searches(landscape), Float64Landscape(landscape), rng
        self.minima: list[CriticalPoint] = []
        self.passes: list[float] = []
        self.saddles: list[Saddle] = []
        self.degenerate: list[Degenerate] = []
        self._others: list[CriticalPoint] = []
        self._edges: list[list[tuple[int, float]]] = []
        self._jumps: dict[int, int] = {}
        self.walls, self.wall = 0, start
        self.astray: dict[str, int] = {}
        self.lowest_above = np.inf
        first = self._below_start(start)
        self.ceiling = np.inf if height is None else first.loss + float(height)
        self._add_minimum(first)
        self.passes[0] = first.loss

    def _below_start(self, start: np.ndarray) -> CriticalPoint:
        name = f"start = {show(start)}"
        found = self.searches.descend(start[None])
        if found.ends[0] == End.CONVERGED:
            point, converged = newton(self._surface, found.points[0])
            if converged and point.index == 0 and not point.is_degenerate:
                return point
            if point.index == 0 and point.is_degenerate:
                raise ValueError(
                    f"{name} must lead down to an isolated minimum, got {self._kind(point)} at {show(point.location)}"
                )
        # it knows the sentence for everything else, and where a start stands on a saddle, a way on
        return descend(self._surface, start, name)

    def climb(self, minimum: int, number: int, softest: int) -> set[int]:
        """Climbs from a minimum, ± its `softest` eigenvectors first, the others independent; saddles these found."""
        here, free = self.minima[minimum], number - 2 * softest
        vectors = np.linalg.eigh(here.hessian)[1].T[:softest]
        along = np.concatenate([vectors, -vectors, self._directions(here, free)])
        shares = np.concatenate([np.ones(2 * softest), self._rng.uniform(size=free)])
        climbs = self.searches.climb(here.location, along, shares)
        self._note_walls(climbs, here)
        labels = [
            self._identify(point) if end == End.CONVERGED else None
            for end, point in zip(climbs.ends, climbs.points, strict=True)
        ]
        self._settle()
        found = set()
        for place, label in enumerate(labels):
            if label is not None and label < len(self.saddles):
                self.saddles[label].seen += 1
                if place >= 2 * softest:
                    self.saddles[label].finds += 1
                    found.add(label)
                    for side in self.saddles[label].sides:
                        if side.minimum >= 0 and side.minimum != minimum:
                            self._jumps[side.minimum] = self._jumps.get(side.minimum, 0) + 1
        return found

    def _directions(self, minimum: CriticalPoint, number: int) -> np.ndarray:
        """Random unit vectors, (number, dim): isotropic ones, and every other one as thermal motion spreads."""
        values, vectors = np.linalg.eigh(minimum.hessian)
        random = self._rng.standard_normal((number, len(values)))
        random[::2] /= np.sqrt(values)
        along = random @ vectors.T
        return along / np.linalg.norm(along, axis=1, keepdims=True)

    def look_around(self, minimum: int, number: int) -> None:
        """Descend from random points that can be seen from a minimum below the height.

        A minimum that is found so can be reached below it, along a straight line first: one to which no saddle is found
        in the end shows that saddles are missing. Without a height it is seen as far as twice as high as the highest of
        the saddles around it.
        """
        here, top = self.minima[minimum], self.ceiling
        if np.isinf(top):
            around = [each.point.loss for each in self.saddles if any(side.minimum == minimum for side in each.sides)]
            top = here.loss + 2 * (max(around) - here.loss) if around else here.loss
        if top <= here.loss:
            return
        along = self._directions(here, number)
        # from well within where the loss would be as high if it were quadratic
        distances = 0.1 * np.sqrt(2 * (top - here.loss) / here.eigenvalues[-1]) * _SIGHT ** np.arange(_LOOKS)
        points = here.location + distances[:, None, None] * along
        losses = self._surface.values(points.reshape(-1, here.location.size))[0].reshape(_LOOKS, number)
        seen = np.cumprod(losses <= top, axis=0).sum(axis=0)
        far = distances[np.maximum(seen - 1, 0)] * self._rng.uniform(size=number)
        found = self.searches.descend(here.location + far[:, None] * along)
        self._sides(found)

    def _note_walls(self, climbs: Any, here: CriticalPoint) -> None:
        # a loss that overflows is as good as infinite
        high = self.ceiling if np.isfinite(self.ceiling) else here.loss + 1e12 * max(1.0, abs(here.loss))
        for end, point, loss in zip(climbs.ends, climbs.points, climbs.losses, strict=True):
            if end == End.NOT_FINITE and loss <= high:
                self.walls, self.wall = self.walls + 1, point

    def _identify(self, location: np.ndarray) -> int | None:
        """The number of the saddle at which a climb converged, None where it is none below the height."""
        number = _nearest(location, [saddle.point for saddle in self.saddles])
        if number is not None or _nearest(location, self._others) is not None:
            return number
        point, converged = newton(self._surface, location)
        number = _nearest(point.location, [saddle.point for saddle in self.saddles])
        if number is not None:
            return number
        if converged and point.is_degenerate and point.loss <= self.ceiling:
            self._add_degenerate(point)
        fits = converged and point.index == 1 and not point.is_degenerate
        if fits and point.loss > self.ceiling:
            self.lowest_above = min(self.lowest_above, point.loss)
        if fits and point.loss <= self.ceiling:
            self.saddles.append(Saddle(point, []))
            return len(self.saddles) - 1
        self._others.append(point)
        return None

    def _settle(self) -> None:
        """Descend from every new saddle both ways."""
        new = [saddle for saddle in self.saddles if not saddle.sides]
        if not new:
            return
        across = [np.linalg.eigh(saddle.point.hessian)[1][:, 0] for saddle in new]
        starts = np.repeat([saddle.point.location for saddle in new], 2, axis=0)
        found = self.searches.descend(starts, np.concatenate([[u, -u] for u in across]))
        sides = self._sides(found)
        for saddle, pair in zip(new, zip(sides[::2], sides[1::2], strict=True), strict=True):
            back = max(
                [1e-3, *(float(np.linalg.norm(s.location - saddle.point.location)) for s in pair if s.minimum >= 0)]
            )
            saddle.sides = [self._with_path(side, saddle.point, 10 * back) for side in pair]
            if saddle.joins:
                self._add_edge(pair[0].minimum, pair[1].minimum, saddle.point.loss)

    def _with_path(self, side: Side, saddle: CriticalPoint, far: float) -> Side:
        points = np.concatenate([saddle.location[None], side.path, side.location[None]])
        if side.minimum < 0:
            # what goes away without end is shown as far as the ways around it go
            out = np.flatnonzero(~(np.linalg.norm(points - saddle.location, axis=1) <= far))
            points = points[: max(int(out[0]), 2)] if len(out) else points
        return dataclasses.replace(side, path=evenly(points, _IMAGES))

    def _sides(self, found: Searched) -> list[Side]:
        """What each descent led to; minima that were not known are added."""
        rows = zip(found.ends.tolist(), found.points, found.paths, strict=True)
        return [self._side(End(end), point, path) for end, point, path in rows]

    def _side(self, end: End, location: np.ndarray, path: np.ndarray) -> Side:
        if end != End.CONVERGED:
            return Side(-1, _OUTCOMES[end], location, path)
        for _ in range(_NUDGES):
            number = _nearest(location, self.minima)
            if number is not None:
                return Side(number, "", self.minima[number].location, path)
            point, converged = newton(self._surface, location)
            if not converged:
                return Side(-1, _OUTCOMES[End.RUNNING], location, path)
            if point.index == 0:
                if point.is_degenerate:
                    return Side(-1, f"there is {self._kind(point)}", point.location, path)
                number = _nearest(point.location, self.minima)
                return Side(self._add_minimum(point) if number is None else number, "", point.location, path)
            # by symmetry a flow can end at another saddle; of its two sides one is as good as the other
            off = np.linalg.eigh(point.hessian)[1][:, 0] * self._rng.choice([-1.0, 1.0])
            found = self.searches.descend(point.location[None], off[None])
            if found.ends[0] != End.CONVERGED:
                return self._side(End(int(found.ends[0])), found.points[0], np.concatenate([path, found.paths[0]]))
            location, path = found.points[0], np.concatenate([path, found.paths[0]])
        return Side(-1, _OUTCOMES[End.RUNNING], location, path)

    def _add_minimum(self, point: CriticalPoint) -> int:
        self.minima.append(point)
        self.passes.append(np.inf)
        self._edges.append([])
        return len(self.minima) - 1

    def _add_edge(self, first: int, second: int, loss: float) -> None:
        """Join two minima, and lower the passes to all that are reached lower so."""
        self._edges[first].append((second, loss))
        self._edges[second].append((first, loss))
        changed = [first, second]
        while changed:
            here = changed.pop()
            for other, top in self._edges[here]:
                through = max(self.passes[here], top)
                if through < self.passes[other]:
                    self.passes[other] = through
                    changed.append(other)

    def _add_degenerate(self, point: CriticalPoint) -> None:
        if any(each.kind == _CONTINUUM and _same_loss(each.point, point) for each in self.degenerate):
            return
        kind = "a monkey saddle or another degenerate critical point"
        if self._is_continuum(point, _flat_directions(point)):
            kind = _CONTINUUM
        around = self._rng.standard_normal((self.searches.width, point.location.size))
        reach = 1e-2 * max(1.0, float(np.linalg.norm(point.location)))
        found = self.searches.descend(point.location + reach * around / np.linalg.norm(around, axis=1, keepdims=True))
        sides = self._sides(found)
        minima = {side.minimum for side in sides if side.minimum >= 0}
        self.degenerate.append(Degenerate(point, minima, {side.leads_to for side in sides} - {""}, kind))

    def _is_continuum(self, point: CriticalPoint, flat: np.ndarray) -> bool:
        """Whether Newton's method, from a step along some flat direction, comes to rest there and not at `point`."""
        aside = 1e-2 * max(1.0, float(np.linalg.norm(point.location)))
        for direction in (sign * each for each in flat.T[:_MOST_DIRECTIONS] for sign in (1, -1)):
            other, converged = newton(self._surface, point.location + aside * direction)
            apart = float(np.linalg.norm(other.location - point.location))
            if converged and apart > aside / 2 and _same_loss(other, point):
                return True
        return False

    def _kind(self, point: CriticalPoint) -> str:
        """What a degenerate point at the bottom of a descent is, in words."""
        # a descent ends at a flat region's edge
        aside = 1e-2 * max(1.0, float(np.linalg.norm(point.location)))
        around = np.linalg.eigh(point.hessian)[1].T[:, None] * np.array([[-aside], [aside]])
        near = [self._surface.critical(point.location + each) for each in around.reshape(-1, point.location.size)]
        if any(each.gradient_norm == 0 and np.all(each.eigenvalues == 0) and _same_loss(each, point) for each in near):
            return "a flat region"
        if not self._is_continuum(point, _flat_directions(point)):
            return "a degenerate minimum, whose Hessian has a zero eigenvalue"
        return "a valley or ring of minima, none of them isolated"

    def add_below(self, states: Float[np.ndarray, "n dim"]) -> None:
        """Minima below states that were visited; those that lead to none are counted in `astray`, by what they meet."""
        found = self.searches.descend(states)
        for side in self._sides(found):
            if side.minimum < 0:
                self.astray[side.leads_to] = self.astray.get(side.leads_to, 0) + 1

    def minimum_finds(self) -> list[int]:
        """How often independent climbs from another minimum led to each minimum."""
        return [self._jumps.get(number, 0) for number in range(len(self.minima))]

    def elsewhere(self) -> dict[str, tuple[int, str]]:
        """How many saddles lead to each thing that is no minimum, and where the lowest of them is."""
        leads: dict[str, list[CriticalPoint]] = {}
        for saddle in self.saddles:
            for words in {side.leads_to for side in saddle.sides if side.minimum < 0}:
                leads.setdefault(words, []).append(saddle.point)
        return {
            words: (len(points), show(min(points, key=lambda point: point.loss).location))
            for words, points in leads.items()
        }


def _same_loss(first: CriticalPoint, second: CriticalPoint) -> bool:
    return abs(first.loss - second.loss) <= 1e-10 * max(1.0, abs(first.loss))


def _flat_directions(point: CriticalPoint) -> np.ndarray:
    """Those whose eigenvalue counts as zero, (dim, n)."""
    values, vectors = np.linalg.eigh(point.hessian)
    return vectors[:, np.abs(values) <= point.zero_below]


def _nearest(location: np.ndarray, points: list[CriticalPoint]) -> int | None:
    """The number of the point that is the same as `location`, if any is."""
    if not points:
        return None
    away = np.linalg.norm(np.array([point.location for point in points]) - location, axis=1)
    number = int(np.argmin(away))
    tolerance = _SAME_DEGENERATE if points[number].is_degenerate else SAME
    return number if away[number] < tolerance * max(1.0, float(np.linalg.norm(location))) else None
