"""The call that measures rates between minima, each by the first passage that suits it."""

import functools
import math
import time
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from .. import _progress, scores
from .._errors import fraction, names_options
from .._jumps import core_sets
from ..chains import AbstractChain, refuse_if_changing
from ..engine import check_chain, refuse_transformations, seed_number
from ..passage import AbstractMethod, Direct, FirstPassage, SettledRate, first_passage
from ..passage._method import method_of
from ..regions import AbstractRegion
from ..results import Provenance, Status
from ..statistics import Estimate, normal_width
from ._minima_graph import MinimaGraph, minima_graph
from ._missing_minima import missing_minima
from ._transitions import Transitions

# direct simulation of one among several ways out, for at most so many times the trajectories that all of them would
# take, is cheaper than splitting
_DIRECT = 16
# relative half-width below which a passage must be found
_LOOSEST = 0.99


class _Asked(NamedTuple):
    """What a call asks for. options: of `first_passage`, as they are."""

    chain: AbstractChain
    graph: MinimaGraph
    cores: tuple[AbstractRegion, ...]
    rtol: float
    method: AbstractMethod
    score: str
    seed: int
    max_trajectories: int
    max_steps: int
    options: dict[str, Any]


class _Measured:
    """First passages between the minima of a call, and what they cost and had to say."""

    def __init__(self, asked: _Asked):
        self.asked = asked
        self.findings: list[tuple[Status, str]] = []
        self.path_steps = self.diverged = 0

    def passage(self, key: tuple[int, ...], start: int, target: AbstractRegion, **asked: Any) -> FirstPassage:
        """A first passage from a minimum, with random numbers that no other `key` has."""
        own = self.asked
        seed = int(np.random.SeedSequence([own.seed, *key]).generate_state(1, np.uint64)[0])
        point = own.graph.points[start].location
        found = first_passage(own.chain, point, target, seed=seed, max_steps=own.max_steps, **asked, **own.options)
        self.path_steps += found.path_steps
        return found

    def score(self, start: int, ends: Sequence[int]) -> Any:
        """The score of splitting on the way to any of these minima."""
        landscape, points = self.asked.graph.landscape, self.asked.graph.points
        # on the line both order states alike, and the distance is the cheaper one
        if self.asked.score == "distance" or landscape.dim == 1:
            return "level"
        ways = tuple(scores.path(landscape, points[start], points[end]) for end in ends)
        return ways[0] if len(ways) == 1 else scores.Farthest(ways)

    def cores_but(self, but: set[int]) -> AbstractRegion:
        """The union of all cores but these."""
        cores = [core for number, core in enumerate(self.asked.cores) if number not in but]
        return functools.reduce(lambda one, other: one | other, cores)

    def say(self, start: int, end: str, found: FirstPassage) -> None:
        """Keep what a first passage has to say."""
        way = f"from {self.asked.graph.names[start]} to {end}"
        self.findings += [(status, f"{way}: {reason}") for status, reason in found.verdict.findings]
        self.diverged += found.diverged


class _Rate(NamedTuple):
    """A rate to one minimum, and how it was found."""

    end: int
    rate: Estimate
    method: str


class _Exit(NamedTuple):
    """What was found about leaving one minimum."""

    rates: list[_Rate]
    time: Estimate
    settling: float


@names_options
def transitions(
    chain: AbstractChain,
    minima: Any,
    *,
    rtol: float = 0.1,
    seed: Any = 0,
    confidence: float = 0.95,
    neighbours: Iterable[Any] | None = None,
    radius: float | None = None,
    method: str | AbstractMethod = "auto",
    score: str = "path",
    monitoring: Literal["discrete", "continuous"] = "discrete",
    max_trajectories: int = 2**24,
    max_steps: int = 10_000_000,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool | None = None,
) -> Transitions:
    """Rates of the jumps between minima, however rare, and the jump process that they make.

    From each minimum, k_ij = P(j is the first other minimum whose core is entered)/E(time until then). With one
    neighbour that is one over the mean time to enter any other core. With several, each has a first passage of its own
    with the other cores to avoid, so that a way that is taken once in 1e10 exits is known as precisely as the others:
    by direct simulation until all have left where that is affordable, else by splitting, as the rate of those that have
    settled in the basin (`passage.SettledRate`).

    Valid where exits are slow against the motion inside a basin; `result` says so where they are not. Each basin of
    `minima` may have inner structure that settles quickly, but all minima that are slow to leave must be given: others
    are looked for by `landscapes.explore`, all up to ten temperatures above the highest saddle between those given, and
    those that its climbs see up to forty above it. One that would hold a thousandth of the stationary law is named in
    the status.
    Source: core sets, Schütte and others, J. Chem. Phys. 134, 204105 (2011).

    chain: one with a landscape, that does not change in time.
    minima: CriticalPoints or arrays (dim,), at least two, or a mapping from names.
    rtol: relative half-width asked of each rate's interval.
    neighbours: (i, j) of minima between which there are jumps, in both ways; by default those of
        `landscapes.saddle_graph`. Jumps between others are not looked for.
    radius: of balls as cores, in θ. By default a core is the ellipsoid where the quadratic part of the loss is below a
        quarter of the lowest barrier out of its minimum: entered soon after the basin, and hardly left by mistake, as
        long as that is more than about dim/2 temperatures. In many dimensions give a radius that holds typical states.
    method: "auto" chooses for each rate; "direct" or "splitting" for all. Or an object as for `escape`:
        `passage.Direct()`, `passage.Splitting()`, or a method of your own, which finds how each minimum is left and
        the only rate out of it; of several, splitting finds each. `score` is given here and not to the object.
    score: of splitting, "path" for `scores.path` to the minimum, "distance" for the level function of its core; in one
        dimension they order states alike, and the second is taken.
    max_trajectories, max_steps: budgets of each first passage, as there.
    seed, confidence, monitoring, chunk, devices: as for `first_passage`.
    progress: whether to show a line of progress; by default in a terminal and in a notebook.

    Raises ValueError for a chain that changes in time, points that are no minima (`check_minima`), fewer than two,
    neighbours that leave some minimum out of reach, a minimum missed between two of them, cores that overlap, a
    landscape that does not rise in every direction, where there is no stationary law, and as `first_passage` does.
    """
    began = time.perf_counter()
    way = _checked(rtol, confidence, method, score)
    number = seed_number(seed)
    check_chain(chain)
    refuse_transformations(minima, chain, "minima")
    refuse_if_changing(chain, "rates between minima", "give occupancy its times")
    with _progress.shown(progress, "transitions"):
        _progress.stage("saddles between the minima")
        graph = minima_graph(chain, minima, neighbours)
        measured = _Measured(
            _Asked(
                chain, graph, core_sets(graph.points, graph.barriers, radius, graph.names), float(rtol), way, score,
                number, max_trajectories, max_steps,
                {"confidence": confidence, "monitoring": monitoring, "chunk": chunk, "devices": devices},
            )
        )  # fmt: skip
        _progress.stage("further minima")
        measured.findings += missing_minima(chain, graph, number)
        exits = [_leave(measured, start) for start in range(len(graph.points))]
    provenance = Provenance.of(number, "transitions", measured.path_steps, began, devices)
    return _gathered(measured, exits, provenance)


def _checked(rtol: Any, confidence: Any, method: Any, score: Any) -> AbstractMethod:
    """The method that is meant."""
    fraction("rtol", rtol)
    fraction("confidence", confidence)
    way = method_of(method)
    if getattr(way, "score", None) is not None:
        raise ValueError(
            f"method must leave the score to the call, as each way between minima has its own, got {way!r}"
        )
    if score not in ("path", "distance"):
        raise ValueError(f"score must be 'path' or 'distance', got {score!r}")
    return way


def _leave(measured: _Measured, start: int) -> _Exit:
    asked = measured.asked
    ends, names = asked.graph.neighbours[start], asked.graph.names
    alone = len(ends) == 1
    _progress.stage(f"from {names[start]}")
    found = measured.passage(
        (start, start, 0), start, measured.cores_but({start}), score=measured.score(start, ends), method=asked.method,
        rtol=asked.rtol if alone else min(2 * asked.rtol, _LOOSEST), max_trajectories=asked.max_trajectories,
    )  # fmt: skip
    leaving, settling = found.mean_exit_time, found.settling_time or 0.0
    measured.say(start, "any other", found)
    if alone:
        with np.errstate(divide="ignore"):
            rate = Estimate(1 / leaving.value, 1 / leaving.high, 1 / leaving.low, leaving.confidence)
        return _Exit([_Rate(ends[0], rate, found.method)], leaving, settling)
    rates = [_towards(measured, start, end, found) for end in ends]
    total = sum(float(each.rate.high) for each in rates)
    if total < 1 / float(leaving.high):
        words = (
            f"{names[start]} is left at a rate of {1 / float(leaving.value):.4g}, more than the {total:.4g} at most "
            "that lead to its neighbours: another minimum may be one"
        )
        measured.findings.append((Status.INCOMPLETE, words))
    return _Exit(rates, leaving, settling)


def _towards(measured: _Measured, start: int, end: int, left: FirstPassage) -> _Rate:
    """The rate to one of several neighbours. left: the exit to any of them."""
    asked, names = measured.asked, measured.asked.graph.names
    _progress.stage(f"from {names[start]} to {names[end]}")
    way: dict[str, Any] = {"avoid": measured.cores_but({start, end}), "score": measured.score(start, [end])}
    if left.method == "direct":
        needed = math.ceil((normal_width(left.confidence) / asked.rtol) ** 2)
        only = isinstance(asked.method, Direct)
        most = asked.max_trajectories if only else min(asked.max_trajectories, _DIRECT * needed)
        found = measured.passage(
            (start, end, 0), start, asked.cores[end], method="direct", rtol=asked.rtol, max_trajectories=most, **way
        )
        if only or found.result == "complete":
            measured.say(start, names[end], found)
            return _Rate(end, found.exit_rate, found.method)
    found = measured.passage(
        (start, end, 1), start, asked.cores[end], method=SettledRate(), rtol=asked.rtol,
        max_trajectories=asked.max_trajectories, **way,
    )  # fmt: skip
    measured.say(start, names[end], found)
    return _Rate(end, found.exit_rate, found.method)


def _gathered(measured: _Measured, exits: list[_Exit], provenance: Provenance) -> Transitions:
    graph, count = measured.asked.graph, len(exits)
    value, low, high = np.zeros((3, count, count))
    for start, each in enumerate(exits):
        for end, rate, _ in each.rates:
            value[start, end], low[start, end], high[start, end] = rate.value, rate.low, rate.high
    return Transitions(
        names=graph.names,
        locations=np.stack([point.location for point in graph.points]),
        cores=measured.asked.cores,
        rates=Estimate(value, low, high, float(measured.asked.options["confidence"])),
        exit_times=np.array([float(each.time.value) for each in exits]),
        settling_times=np.maximum(graph.slowest, [each.settling for each in exits]),
        methods={(start, end): method for start, each in enumerate(exits) for end, _, method in each.rates},
        findings=tuple(measured.findings),
        diverged=measured.diverged,
        time_step=float(np.asarray(measured.asked.chain.time_step)),
        provenance=provenance,
    )
