"""Exploration of a landscape from a minimum: all minima and first-order saddles that can be reached below a height."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from .._errors import names_options, positive_integer, positive_number, show
from .._errors import point as point_of
from .._errors import points as points_of
from .._numerics import contained
from .._progress import shown, stage
from ..random import seed_number
from ..results import Provenance, Status, Verdict
from ..statistics import Estimate
from ._affordable import MOST_COMPONENTS
from ._base import AbstractLandscape, check_landscape
from ._capture_recapture import chao
from ._exploration import DegeneratePoint, Exploration, SaddleExit
from ._known_points import KnownPoints, Saddle
from ._saddle_graph import SaddleConnection

# of one minimum in a row
_MOST_BATCHES = 4
_RULE = (
    "a minimum is searched once every saddle below the height that its independent climbs found, at least {} of them "
    "and then {} at a time, has been found twice"
)


@names_options
def explore(
    landscape: AbstractLandscape,
    start: Any,
    *,
    height: float | None = None,
    absorbing: Any = None,
    states: Any = None,
    max_searches: int = 2_048,
    seed: Any = 0,
    progress: bool | None = None,
) -> Exploration:
    """The minima that can be reached from `start` without passing above `height`, and the saddles between them.

    landscape: L, up to 300 components, twice differentiable. Beyond, searches in random directions find what they
        happen to find: nothing is searched, and the status says so.
    start: (dim,); the exploration begins at the minimum below it, number 0 of the result.
    height: above that minimum, in units of L and above 0; saddles up to it are crossed, exactly, and none above it.
        None sets no limit: then minima are searched in the order of their lowest ways until the budget is spent.
    absorbing: a region (an object with `contains` of one point) that whatever enters stays in, such as the target of a
        passage: minima in it are found, but nothing is searched from them, and what lies behind is not looked at.
    states: (n, dim) of points, such as those that trajectories visited: minima below them are searched too, and named
        where no way from minimum 0 is found.
    max_searches: climbs that may be made; the descents that follow them come on top. progress: as of `escape`.
    seed: 0 … 2⁶⁴ − 1, or a JAX key of two words: of the random directions.

    From each minimum climbs begin along its softest eigenvectors, both ways, and independently in random directions,
    each leaving its convex surroundings on a straight ray, a Newton trajectory or between; where a direction of
    negative curvature is met it is followed uphill, all others downhill, to a saddle (eigenvector following). From each
    saddle both ways lead down the gradient flow, so that its two minima are known; descents from random points within
    sight below those saddles show minima that the climbs may have passed by. A minimum counts as searched once
    every saddle that its independent climbs found has been found twice, by whichever climbs; the lowest reached is
    searched next. How many minima and saddles may be left out is estimated by capture–recapture over the independent
    climbs alone: with unlike chances of being found a lower bound, and blind to what no climb can find (a saddle
    between minima that are both unknown, a hole as narrow as a needle).

    The status is `complete` where all minima were searched by that rule, the estimate shows none missing, and no saddle
    leads elsewhere: downhill without bound, into a valley or ring of minima, a flat region, or to where the loss or its
    gradient is not finite. Each of these is a reason, as are degenerate critical points, over which ways may lead that
    the graph does not have. All in float64; points as precise as those of `find_minima`.

    Raises ValueError for a start below which there is no isolated minimum, naming what there is, and for numbers out of
    range.
    Source: Cerjan and Miller, J. Chem. Phys. 75, 2800 (1981); Malek and Mousseau, Phys. Rev. E 62, 7723 (2000).
    """
    began = time.perf_counter()
    check_landscape(landscape)
    point = point_of("start", start, landscape.dim)
    if height is not None:
        positive_number("height", height)
    positive_integer("max_searches", max_searches)
    visited = None if states is None else points_of("states", states, landscape.dim)
    number = seed_number(seed)
    if landscape.dim > MOST_COMPONENTS:
        return _hopeless(landscape, height, number, began)
    with jax.enable_x64(True), shown(progress, "explore"):
        known = KnownPoints(landscape, point, height, np.random.default_rng(number))
        work = _Work(known, max_searches, absorbing)
        work.run()
        if visited is not None:
            known.add_below(visited)
            work.run()
    return _result(landscape, known, work, number, began)


class _Work:
    """Which minimum is searched next, and when it is done. used: climbs that were made.

    softest: eigenvectors of a minimum along which climbs begin, both ways. searched: minima from which climbs were made
    until the rule held, or `_MOST_BATCHES` of them.
    """

    def __init__(self, known: KnownPoints, most: int, absorbing: Any):
        self.known, self.most, self.used = known, most, 0
        self._absorbs = (lambda point: False) if absorbing is None else _holds(absorbing)
        self.absorbed: set[int] = set()
        self._looked_at = 0
        self.width = known.searches.width
        self.softest = min(known.minima[0].location.size, self.width // 4)
        self.searched: set[int] = set()

    def run(self) -> None:
        """Search the lowest minimum that is reached and not searched, until there is none or the budget is spent."""
        while self._next():
            pass
        # what was found once from one side may be found again from another
        for saddle in list(self.known.saddles):
            for minimum in sorted({side.minimum for side in saddle.sides} & self.searched):
                if saddle.seen == 1 and self._may_climb:
                    self._search(minimum)
        while self._next():
            pass

    @property
    def _may_climb(self) -> bool:
        return self.used + self.width <= self.most

    def _next(self) -> bool:
        order = np.argsort(np.array(self.known.passes), kind="stable").tolist()
        for number in range(self._looked_at, len(order)):
            if self._absorbs(self.known.minima[number].location):
                self.absorbed.add(number)
        self._looked_at = len(order)
        left = [number for number in order if number not in self.searched | self.absorbed]
        return bool(left) and self._may_climb and self._search(left[0])

    def _search(self, minimum: int) -> bool:
        found: set[int] = set()
        softest = 0 if minimum in self.searched else self.softest
        for _ in range(_MOST_BATCHES):
            if not self._may_climb:
                return False
            stage(f"{len(self.known.minima)} minima, {len(self.known.saddles)} saddles, {self.used} searches")
            found |= self.known.climb(minimum, self.width, softest)
            self.known.look_around(minimum, self.width)
            self.used, softest = self.used + self.width, 0
            if all(self.known.saddles[saddle].seen > 1 for saddle in found):
                break
        self.searched.add(minimum)
        return True

    def done(self, minimum: int) -> bool:
        """Whether a minimum was searched, and each saddle at it was found twice, or nothing is asked of it."""
        return minimum in self.absorbed or (
            minimum in self.searched
            and not any(
                side.minimum == minimum for saddle in self.known.saddles if saddle.seen < 2 for side in saddle.sides
            )
        )


def _holds(region: Any) -> Callable[[np.ndarray], bool]:
    """Whether a region contains a point. ValueError for what is no region."""
    if not callable(getattr(region, "contains", None)):
        raise ValueError(f"absorbing must be a region, such as regions.Ball(center, radius), got {region!r}")
    return lambda point: bool(contained(region, point[None])[0])


def _result(landscape: AbstractLandscape, known: KnownPoints, work: _Work, seed: int, began: float) -> Exploration:
    order = np.argsort(np.array(known.passes), kind="stable")
    place = {int(old): new for new, old in enumerate(order)}
    searched = np.array([work.done(int(old)) for old in order])
    minima, passes = tuple(known.minima[old] for old in order), np.array(known.passes)[order]
    joined = [_connection(saddle, place, minima) for saddle in known.saddles if saddle.joins]
    joined.sort(key=lambda pair: (pair[0].first, pair[0].second, pair[0].saddle.loss))
    exits = [_exit(saddle, place, minima) for saddle in known.saddles if not saddle.joins]
    finds = np.array([each[-1] for each in (*joined, *exits)], np.int64)
    saddle_total = _at_least(len(finds), chao(finds))
    minimum_total = _at_least(len(minima), chao(known.minimum_finds()))
    left = passes[~searched]
    verdict = _verdict(known, work, float(saddle_total.value) - len(finds))
    return Exploration(
        landscape=landscape,
        minima=minima,
        passes=passes,
        searched=searched,
        connections=tuple(way for way, _, _ in joined),
        paths=tuple(path for _, path, _ in joined),
        exits=tuple(way for way, _ in exits),
        degenerate=tuple(_degenerate(known, place)),
        height=known.ceiling - known.minima[0].loss,
        searched_to=float(left.min()) - known.minima[0].loss if len(left) else np.inf,
        lowest_above=known.lowest_above,
        finds=finds,
        saddle_total=saddle_total,
        minimum_total=minimum_total,
        searches=work.used,
        rule=_RULE.format(known.searches.width - 2 * work.softest, known.searches.width),
        verdict=verdict,
        provenance=Provenance.of(seed, f"{work.used} climbs, {known.searches.steps} Hessians", 0, began),
    )


def _at_least(found: int, total: Estimate) -> Estimate:
    """The estimate of a total, of which so many were found, by whatever searches."""
    ends = (max(float(end), found) for end in (total.value, total.low, total.high))
    return Estimate(*ends, total.confidence)


def _connection(saddle: Saddle, place: dict[int, int], minima: Any) -> tuple[SaddleConnection, np.ndarray, int]:
    first, second = (place[side.minimum] for side in saddle.sides)
    path = np.concatenate([saddle.sides[0].path[::-1], saddle.sides[1].path[1:]])
    if second < first:
        first, second, path = second, first, path[::-1]
    barriers = [saddle.point.loss - minima[number].loss for number in (first, second)]
    return SaddleConnection(first, second, saddle.point, *barriers), path, saddle.finds


def _exit(saddle: Saddle, place: dict[int, int], minima: Any) -> tuple[SaddleExit, int]:
    back, out = sorted(saddle.sides, key=lambda side: side.minimum < 0)
    number = place.get(back.minimum, -1)
    path = np.concatenate([back.path[::-1], out.path[1:]])
    words = out.leads_to if number >= 0 else f"{out.leads_to}, and {back.leads_to} on the other side"
    barrier = saddle.point.loss - minima[number].loss if number >= 0 else np.nan
    return SaddleExit(number, saddle.point, words, out.location, path, barrier), saddle.finds


def _degenerate(known: KnownPoints, place: dict[int, int]) -> list[DegeneratePoint]:
    return [
        DegeneratePoint(
            each.point, tuple(sorted(place[n] for n in each.minima)), tuple(sorted(each.leads_to)), each.kind
        )
        for each in known.degenerate
    ]


def _verdict(known: KnownPoints, work: _Work, missing: float) -> Verdict:
    verdict = Verdict()
    left = len(known.minima) - len(work.searched | work.absorbed)
    if left:
        verdict = verdict.also(
            Status.BUDGET_SPENT,
            f"{work.used} climbs of max_searches = {work.most} searched {len(work.searched)} minima of the "
            f"{len(known.minima)} that were found: what lies behind the other {left} was not looked at; raise "
            "max_searches, or lower height",
        )
    once = sum(saddle.seen < 2 for saddle in known.saddles)
    if once and not left:
        verdict = verdict.also(Status.INCOMPLETE, f"{once} saddles were found only once, so that more may be there")
    if not left and missing >= 0.5:
        verdict = verdict.also(
            Status.INCOMPLETE, f"capture–recapture says that about {missing:.0f} more saddles have not been found"
        )
    cut = int(np.sum(np.isinf(known.passes)))
    if cut and not left and not known.degenerate:
        verdict = verdict.also(
            Status.INCOMPLETE, f"to {cut} of the minima no way over saddles below the height was found"
        )
    for words, number in known.astray.items():
        verdict = verdict.also(Status.INCOMPLETE, f"{number} of the states lead down to where {words}")
    for words, where in known.elsewhere().items():
        verdict = verdict.also(
            Status.INCOMPLETE, f"saddles that lead to where {words}: {where[0]}, the lowest at {where[1]}"
        )
    for each in known.degenerate:
        verdict = verdict.also(
            Status.INCOMPLETE,
            f"{each.kind} at {show(each.point.location)} with loss {each.point.loss:.6g}: over it ways may lead that "
            "the graph does not have",
        )
    if known.walls:
        verdict = verdict.also(
            Status.INCOMPLETE,
            f"{known.walls} climbs ended where the loss or its derivatives are not finite or jump, one of them at "
            f"{show(known.wall)}: what lies behind is not known",
        )
    return verdict


def _hopeless(landscape: AbstractLandscape, height: float | None, seed: int, began: float) -> Exploration:
    why = (
        f"landscape has {landscape.dim} components, and beyond {MOST_COMPONENTS} climbs in random directions find "
        "what they happen to find: nothing was searched"
    )
    none = chao(np.zeros(0))
    return Exploration(
        landscape=landscape,
        minima=(),
        passes=np.zeros(0),
        searched=np.zeros(0, bool),
        connections=(),
        paths=(),
        exits=(),
        degenerate=(),
        height=np.inf if height is None else float(height),
        searched_to=0.0,
        lowest_above=np.inf,
        finds=np.zeros(0, np.int64),
        saddle_total=none,
        minimum_total=none,
        searches=0,
        rule="none: nothing was searched",
        verdict=Verdict().also(Status.INCOMPLETE, why),
        provenance=Provenance.of(seed, "nothing", 0, began),
    )
