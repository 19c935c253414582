"""The surroundings of a rare passage: which basins trajectories may fall into on the way, which are slow to leave."""

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ...._jumps import log_weight, slow_groups, slowest_exchange
from ...._numerics import contained
from ...._progress import stage
from ....landscapes import CriticalPoint, Exploration, SaddleConnection, explore
from ....regions import AbstractRegion
from ....results import Status
from ..._question import Question
from ._approaches import ways_around

# temperatures above the lowest pass to the target up to which basins are looked for: one over a higher pass is entered
# before the target once in 20,000 times at most, as far as prefactors are alike
_MARGIN = 10.0
# temperatures above the start's minimum of the first look, and how often it is raised
_FIRST, _RAISED, _TIMES = 8.0, 2.0, 12
# share of the start's basin's time below which another one's does not matter
_LIGHT = 1e-4
# temperatures up to a set where it ends, from a minimum next to it, that hold nobody back
_NEAR = 3.0


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
    exchange: the longest SDE time in which minima of the first basin exchange trajectories. told: what was explored, in
        words. findings: what is to be said against it.
    """

    exploration: Exploration
    basins: tuple[Basin, ...]
    log_rates: Float[np.ndarray, "K L"]
    barriers: Float[np.ndarray, " K"]
    towards: tuple[Float[np.ndarray, "_ dim"], ...]
    reached: frozenset[int]
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


def surroundings(question: Question, temperature: float, climbs: int, seed: int) -> Surroundings | Unexplored:
    """The basins below the lowest pass to the target, or to `avoid` if that is higher, and ten temperatures above it.

    temperature: of the motion near the start, in units of L. climbs: at most in each look. seed: of the searches.
    """
    landscape = question.chain.landscape
    assert landscape is not None
    stage("surroundings")
    start = np.asarray(question.starts[0, : landscape.dim], np.float64)
    # from the top of a barrier trajectories go down on both sides: as far away as one step's noise
    nudge = np.random.default_rng(0).normal(size=start.size)
    nudge *= math.sqrt(2 * temperature * float(question.time_step)) / float(np.linalg.norm(nudge))
    found = _searched(question, start, temperature, climbs, seed)
    for near in (start + nudge, start - nudge):
        if isinstance(found, Surroundings):
            return found
        again = _searched(question, near, temperature, climbs, seed)
        found = again if isinstance(again, Surroundings) else found
    return found


def _searched(
    question: Question, start: Float[np.ndarray, " dim"], temperature: float, climbs: int, seed: int
) -> Surroundings | Unexplored:
    """As `surroundings`, from the minimum below `start`."""
    landscape, height = question.chain.landscape, _FIRST * temperature
    assert landscape is not None
    absorbing = functools.reduce(lambda one, other: one | other, question.ends)
    try:
        for _ in range(_TIMES):
            found = explore(
                landscape, start, height=height, absorbing=absorbing, max_searches=climbs, seed=seed, progress=False
            )
            if contained(absorbing, found.minima[0].location[None])[0]:
                return Unexplored("the minimum below the start lies where trajectories end")
            map_ = _Map(found, question.ends)
            needed = map_.lowest_pass - found.minima[0].loss + _MARGIN * temperature
            if needed <= height:
                return _seen(question, map_, temperature, needed)
            height = needed if math.isfinite(needed) else _RAISED * height
    except ValueError as error:
        return Unexplored(str(error))
    return Unexplored(
        f"no way to the {_names(question)} was found up to {height:.4g} above the minimum below the start"
    )


class _Map:
    """What is reached from the start's minimum before it ends in one of the sets.

    ways: those that do not pass them. passes: loss of the highest saddle on the lowest way to each minimum.
    """

    def __init__(self, found: Exploration, ends: tuple[AbstractRegion, ...]):
        self.found, self.ends, self.ways = found, len(ends), ways_around(found, ends)
        self.passes = self._passes()

    @property
    def lowest_pass(self) -> float:
        """Loss of the highest point of the lowest way to the set that is harder to reach; infinite without a way."""
        lowest = np.full(self.ends, np.inf)
        for way in self.ways.approaches:
            lowest[way.end] = min(lowest[way.end], max(self.passes[way.minimum], way.top))
        return float(lowest.max())

    def _passes(self) -> Float[np.ndarray, " minima"]:
        """Loss of the highest saddle on the lowest way from the start's minimum to each."""
        passes = np.full(len(self.found.minima), np.inf)
        passes[0] = self.found.minima[0].loss
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


def _seen(question: Question, map_: _Map, temperature: float, needed: float) -> Surroundings:
    found, floor = map_.found, map_.found.minima[0].loss
    reached = map_.passes - floor <= needed
    edges = sorted(
        (way for way in map_.ways.edges if reached[way.first] and reached[way.second]), key=lambda way: way.saddle.loss
    )
    groups = slow_groups(found.minima, np.flatnonzero(reached), edges, temperature, question.time_step)
    weights = [log_weight([found.minima[each] for each in group], temperature) for group in groups]
    heavy = [
        place == 0 or (weight - weights[0] > math.log(_LIGHT) and not _at_the_end(group, map_, temperature))
        for place, (group, weight) in enumerate(zip(groups, weights, strict=True))
    ]
    kept = [place for place, each in enumerate(heavy) if each]
    passes = _through_light_ones(_passes(groups, edges, map_), kept)
    log_rates = -passes / temperature - np.array(weights)[kept, None]
    basins = tuple(
        Basin(groups[place], min((found.minima[each] for each in groups[place]), key=lambda point: point.loss))
        for place in kept
    )
    barriers, towards = _ways_out(basins, edges, map_.ways.approaches)
    told = _told(found, int(reached.sum()), basins)
    exchange = slowest_exchange(found.minima, groups[0], edges, temperature)
    every = frozenset().union(*groups)
    return Surroundings(found, basins, log_rates, barriers, towards, every, exchange, told, _findings(map_, needed))


def _at_the_end(group: frozenset[int], map_: _Map, temperature: float) -> bool:
    """Whether a basin lies so near to a set where it ends that trajectories are soon in it."""
    low = min(map_.found.minima[each].loss for each in group)
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


def _ways_out(basins, edges, ways):
    """The lowest barrier out of each basin, and points on all ways out of it."""
    barriers, towards = [], []
    for basin in basins:
        tops = [
            (way.saddle.loss, way.saddle.location)
            for way in edges
            if (way.first in basin.minima) != (way.second in basin.minima)
        ]
        tops += [(way.top, way.location) for way in ways if way.minimum in basin.minima]
        barriers.append(min(loss for loss, _ in tops) - basin.point.loss if tops else math.inf)
        towards.append(np.array([location for _, location in tops]).reshape(-1, basin.point.location.size))
    return np.array(barriers), tuple(towards)


def _names(question: Question) -> str:
    return "target" if question.avoid is None else "target and to what is avoided"


def _told(found: Exploration, minima: int, basins: tuple[Basin, ...]) -> str:
    slow = f"{len(basins)} basins slow to leave" if len(basins) > 1 else "none that holds trajectories back"
    count = f"{minima} minima before the target, {slow}" if minima > 1 else "no other minimum before the target"
    return f"explored up to {found.height:.4g} above the minimum below the start: {count}"


def _findings(map_: _Map, needed: float) -> tuple[tuple[Status, str], ...]:
    found, floor, reasons = map_.found, map_.found.minima[0].loss, []
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
