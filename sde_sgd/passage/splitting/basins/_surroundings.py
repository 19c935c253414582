"""The surroundings of a rare passage: which basins trajectories may fall into on the way, which are slow to leave."""

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ...._jumps import log_weight, room, slow_groups, slowest_exchange
from ...._numerics import contained
from ...._progress import stage
from ....landscapes import CriticalPoint, Exploration, SaddleConnection, explore
from ....landscapes._known_points import SAME
from ....results import Status
from ..._question import Question
from ._approaches import Approach, Ways, ways_around
from ._warmth import Warmth

# temperatures above the lowest pass to the target up to which every basin is looked for: one over a higher pass is
# entered before the target once in 20,000 times at most, as far as prefactors are alike; and up to which those count
# that climbs see by the way, since a mean time has what is rare but long
_MARGIN, _FAR = 10.0, 40.0
# temperatures above the start's minimum of the first look, and how often it is raised
_FIRST, _RAISED, _TIMES = 8.0, 2.0, 12
# share of the start's basin's time below which another one's does not matter; and of one that is hardly entered
_LIGHT, _LIGHT_AND_FAR = 1e-4, 1e-2
# temperatures up to a set where it ends, from a minimum next to it, that hold nobody back
_NEAR = 3.0
# width of the motion, relative to 1 or to its distance from 0, below which basins may be too near to be told apart
_TOLD_APART = 10 * SAME
# of a straight way along which the noise is looked at
_POINTS = 33


class Basin(NamedTuple):
    """Minima between which trajectories go to and fro fast, numbered as in the exploration. point: the lowest."""

    minima: frozenset[int]
    point: CriticalPoint


class Surroundings(NamedTuple):
    """What was found around a passage, below a height.

    basins: slow ones, that of the start first; a lone one is what a settled rate knows without being told.
    log_rates: (K, K + E) logarithm of how often trajectories are expected to go from one to another, or to one of the
        sets where it ends, on a way that passes no third; up to a constant, prefactors of passes left out; −∞ where
        there is no way.
    barriers: (K,) the lowest way out of each, in units of L. towards: of each, (n, dim), points where those ways pass.
    reached: numbers of all minima that are reached from the start's before a set where it ends.
    temperature: of the motion near the start, in units of L.
    exchange: the longest SDE time in which minima of the first basin exchange trajectories. told: what was explored, in
        words. findings: what is to be said against it.
    """

    exploration: Exploration
    basins: tuple[Basin, ...]
    log_rates: Float[np.ndarray, "K L"]
    barriers: Float[np.ndarray, " K"]
    towards: tuple[Float[np.ndarray, "_ dim"], ...]
    reached: frozenset[int]
    temperature: float
    exchange: float
    told: str
    findings: tuple[tuple[Status, str], ...]

    @property
    def jumps(self) -> Bool[np.ndarray, "K L"]:
        """Whether there is a way from one to another, or to a set, that passes no third."""
        return self.log_rates > -np.inf


class Unexplored(NamedTuple):
    """Why there was no exploration, in words."""

    reason: str


def surroundings(question: Question, warmth: Warmth, climbs: int, seed: int) -> Surroundings | Unexplored:
    """The basins below the lowest pass to the target, or to `avoid` if that is higher, and ten temperatures above it.

    And those behind passes up to forty temperatures above it, as far as they are seen, if they hold trajectories long.

    warmth: of the motion; its temperature is that which is meant, and where it is warmer, more of it is explored.
    climbs: at most in each look. seed: of the searches.
    """
    landscape = question.chain.landscape
    assert landscape is not None
    stage("surroundings")
    start = np.asarray(question.starts[0, : landscape.dim], np.float64)
    # from the top of a barrier trajectories go down on both sides: as far away as one step's noise
    nudge = np.random.default_rng(0).normal(size=start.size)
    nudge *= math.sqrt(2 * warmth.temperature * float(question.time_step)) / float(np.linalg.norm(nudge))
    found = _searched(question, start, warmth, climbs, seed)
    for near in (start + nudge, start - nudge):
        if isinstance(found, Surroundings):
            return found
        again = _searched(question, near, warmth, climbs, seed)
        found = again if isinstance(again, Surroundings) else found
    return found


def _searched(
    question: Question, start: Float[np.ndarray, " dim"], warmth: Warmth, climbs: int, seed: int
) -> Surroundings | Unexplored:
    """As `surroundings`, from the minimum below `start`."""
    landscape, temperature = question.chain.landscape, warmth.temperature
    height = _FIRST * temperature
    assert landscape is not None
    absorbing = functools.reduce(lambda one, other: one | other, question.ends)

    def map_below(height: float) -> _Map:
        found = explore(
            landscape, start, height=height, absorbing=absorbing, max_searches=climbs, seed=seed, progress=False
        )
        return _Map(found, len(question.ends), ways_around(found, question.ends))

    try:
        for _ in range(_TIMES):
            map_ = map_below(height)
            floor = map_.found.minima[0]
            if contained(absorbing, floor.location[None])[0]:
                return Unexplored("the minimum below the start lies where trajectories end")
            needed = map_.lowest_pass - floor.loss + _MARGIN * temperature
            if needed <= height:
                warmest = max(1.0, float(warmth.relative(map_.points).max()))
                far = needed + (_FAR - _MARGIN) * temperature * warmest
                higher = map_.found.lowest_above - floor.loss < far
                return _seen(question, map_, map_below(far) if higher else map_, warmth, needed)
            height = needed if math.isfinite(needed) else _RAISED * height
    except ValueError as error:
        return Unexplored(str(error))
    return Unexplored(
        f"no way to the {_names(question)} was found up to {height:.4g} above the minimum below the start"
    )


class _Map:
    """What is reached from the start's minimum before it ends in one of the sets.

    minima: with the losses that are meant, those of the exploration if none are given.
    ways: those that do not pass the sets. passes: loss of the highest saddle on the lowest way to each minimum.
    """

    def __init__(self, found: Exploration, ends: int, ways: Ways, minima: tuple[CriticalPoint, ...] = ()):
        self.found, self.ends, self.ways = found, ends, ways
        self.minima = minima or found.minima
        self.passes = self._passes()

    @property
    def points(self) -> Float[np.ndarray, "n dim"]:
        """Minima, and the saddles between them."""
        return np.array([*(each.location for each in self.minima), *(way.saddle.location for way in self.ways.edges)])

    def felt(self, warmth: Warmth) -> "_Map":
        """The same with losses as they are felt, from the start's minimum on, where the noise is not the same."""
        if not warmth.differs(self.points):
            return self
        losses, tops = self._felt_losses(warmth)
        edges = [
            dataclasses.replace(way, saddle=dataclasses.replace(way.saddle, loss=tops[id(way)]))
            for way in self.ways.edges
            if id(way) in tops
        ]
        minima = tuple(
            dataclasses.replace(each, loss=losses.get(number, math.inf)) for number, each in enumerate(self.minima)
        )
        approaches = [
            each._replace(top=losses[each.minimum] + float(warmth.rise(self._straight(each))[-1]))
            for each in self.ways.approaches
            if each.minimum in losses
        ]
        return _Map(self.found, self.ends, self.ways._replace(edges=edges, approaches=approaches), minima)

    def _felt_losses(self, warmth: Warmth) -> tuple[dict[int, float], dict[int, float]]:
        """Of minima, by number, and of the saddles between them, by connection: over the lowest saddles first."""
        losses, tops = {0: self.minima[0].loss}, {}
        paths = {id(way): path for way, path in zip(self.found.connections, self.found.paths, strict=True)}
        edges = sorted(self.ways.edges, key=lambda way: way.saddle.loss)

        def next_one() -> SaddleConnection | None:
            return next((way for way in edges if id(way) not in tops and losses.keys() & {way.first, way.second}), None)

        while way := next_one():
            rise = warmth.rise(paths[id(way)])
            base = losses[way.first] if way.first in losses else losses[way.second] - float(rise[-1])
            losses.setdefault(way.first, base)
            losses.setdefault(way.second, base + float(rise[-1]))
            # a path has its saddle in the middle
            tops[id(way)] = base + float(rise[len(rise) // 2])
        return losses, tops

    def _straight(self, approach: Approach) -> Float[np.ndarray, "n dim"]:
        """Points from its minimum to where a way enters a set."""
        return np.linspace(self.minima[approach.minimum].location, approach.location, _POINTS)

    @property
    def lowest_pass(self) -> float:
        """Loss of the highest point of the lowest way to the set that is harder to reach; infinite without a way."""
        lowest = np.full(self.ends, np.inf)
        for way in self.ways.approaches:
            lowest[way.end] = min(lowest[way.end], max(self.passes[way.minimum], way.top))
        return float(lowest.max())

    def _passes(self) -> Float[np.ndarray, " minima"]:
        """Loss of the highest saddle on the lowest way from the start's minimum to each."""
        passes = np.full(len(self.minima), np.inf)
        passes[0] = self.minima[0].loss
        # by ascending saddles each minimum is reached first over its lowest way
        changed = True
        while changed:
            changed = False
            for way in self.ways.edges:
                for one, other in ((way.first, way.second), (way.second, way.first)):
                    top = max(passes[one], way.saddle.loss)
                    if top < passes[other]:
                        passes[other], changed = top, True
        return passes


def _seen(question: Question, map_: _Map, far: _Map, warmth: Warmth, needed: float) -> Surroundings:
    """map_: of what was searched to the height that is needed; far: of all that was seen, at least that."""
    findings, map_, temperature = _findings(map_, needed, warmth.temperature), far.felt(warmth), warmth.temperature
    minima, floor = map_.minima, map_.minima[0].loss
    reached = np.isfinite(map_.passes)
    edges = sorted(
        (way for way in map_.ways.edges if reached[way.first] and reached[way.second]), key=lambda way: way.saddle.loss
    )
    groups = slow_groups(minima, np.flatnonzero(reached), edges, temperature, question.time_step)
    weights = [log_weight([minima[each] for each in group], temperature) for group in groups]

    def matters(group: frozenset[int], weight: float) -> bool:
        aside = min(map_.passes[each] for each in group) - floor > needed
        light = math.log(_LIGHT_AND_FAR if aside else _LIGHT)
        return weight - weights[0] > light and not _at_the_end(group, map_, temperature)

    others = zip(groups[1:], weights[1:], strict=True)
    kept = [0, *(place for place, other in enumerate(others, start=1) if matters(*other))]
    passes = _through_light_ones(_passes(groups, edges, map_), kept)
    log_rates = -passes / temperature - np.array(weights)[kept, None]
    basins = tuple(
        Basin(groups[place], min((minima[each] for each in groups[place]), key=lambda point: point.loss))
        for place in kept
    )
    barriers, towards = _ways_out(basins, far)
    told = _told(map_, basins)
    exchange = slowest_exchange(minima, groups[0], edges, temperature)
    every = frozenset().union(*groups)
    return Surroundings(map_.found, basins, log_rates, barriers, towards, every, temperature, exchange, told, findings)


def _at_the_end(group: frozenset[int], map_: _Map, temperature: float) -> bool:
    """Whether a basin lies so near to a set where it ends that trajectories are soon in it."""
    low = min(map_.minima[each].loss for each in group)
    tops = [way.top for way in map_.ways.approaches if way.minimum in group]
    return min(tops, default=math.inf) - low < _NEAR * temperature


def _passes(groups, edges: list[SaddleConnection], map_: _Map) -> Float[np.ndarray, "G L"]:
    """Loss of the lowest pass from each group straight to each other, and into each set; infinite without one."""
    number = {each: place for place, group in enumerate(groups) for each in group}
    passes = np.full((len(groups), len(groups) + map_.ends), np.inf)
    for way in edges:
        one, other = number[way.first], number[way.second]
        if one != other:
            passes[one, other] = passes[other, one] = min(passes[one, other], way.saddle.loss)
    for way in map_.ways.approaches:
        if way.minimum in number:
            place = number[way.minimum], len(groups) + way.end
            passes[place] = min(passes[place], way.top)
    return passes


def _through_light_ones(passes: Float[np.ndarray, "G H"], kept: list[int]) -> Float[np.ndarray, "K L"]:
    """The lowest pass between any two of those kept, on ways on which all others are left out."""
    passes, ends = passes.copy(), [*kept, *range(len(passes), passes.shape[1])]
    for light in sorted(set(range(len(passes))) - set(kept)):
        passes = np.minimum(passes, np.maximum(passes[:, [light]], passes[light]))
    between = passes[np.ix_(kept, ends)]
    np.fill_diagonal(between, np.inf)
    return between


def _ways_out(basins: tuple[Basin, ...], map_: _Map):
    """The lowest barrier out of each basin, in L and as cores need it, and points on all ways out of it."""
    barriers, towards = [], []
    for basin in basins:
        tops = [
            (way.saddle.loss, way.saddle.location)
            for way in map_.ways.edges
            if (way.first in basin.minima) != (way.second in basin.minima)
        ]
        tops += [(way.top, way.location) for way in map_.ways.approaches if way.minimum in basin.minima]
        low = min(map_.minima[each].loss for each in basin.minima)
        barriers.append(min((room(basin.point, loss - low, location) for loss, location in tops), default=math.inf))
        towards.append(np.array([location for _, location in tops]).reshape(-1, basin.point.location.size))
    return np.array(barriers), tuple(towards)


def _names(question: Question) -> str:
    return "target" if question.avoid is None else "target and to what is avoided"


def _told(map_: _Map, basins: tuple[Basin, ...]) -> str:
    found, minima = map_.found, int(np.isfinite(map_.passes).sum())
    slow = f"{len(basins)} basins slow to leave" if len(basins) > 1 else "none that holds trajectories back"
    count = f"{minima} minima before the target, {slow}" if minima > 1 else "no other minimum before the target"
    whole = min(found.height, found.searched_to)
    parts = f", and in part up to {found.height:.4g}," if whole < found.height else ""
    return f"explored up to {whole:.4g}{parts} above the minimum below the start: {count}"


def _findings(map_: _Map, needed: float, temperature: float) -> tuple[tuple[Status, str], ...]:
    found, floor, reasons = map_.found, map_.found.minima[0].loss, []
    low, size = found.minima[0], max(1.0, float(np.linalg.norm(found.minima[0].location)))
    width = math.sqrt(temperature / float(low.eigenvalues[0]))
    if width < _TOLD_APART * size:
        reasons.append(
            f"the motion at the start's minimum is {width:.2g} wide, and points within {SAME * size:.2g} of each other "
            "are taken for one: basins may be missed; give θ in units that suit its motion"
        )
    if found.searched_to < needed:
        reasons.append(
            f"the surroundings were searched up to {found.searched_to:.4g} above the minimum below the start, not to "
            f"the {needed:.4g} that matter, by {found.searches} climbs: a basin that holds trajectories back may be "
            "missed; landscapes.explore has more"
        )
    elif float(found.minimum_total.value) > len(found.minima) + 0.5:
        reasons.append(
            f"of some {float(found.minimum_total.value):.3g} minima around, {len(found.minima)} were found: a basin "
            "that holds trajectories back may be missed"
        )
    for way in map_.ways.exits:
        if map_.passes[way.minimum] < np.inf and way.saddle.loss - floor < needed:
            reasons.append(
                f"over a saddle at loss {way.saddle.loss:.4g} {way.leads_to}, before the target: what goes there is "
                "not told by a mean time"
            )
            break
    return tuple((Status.INCOMPLETE, reason) for reason in reasons)
