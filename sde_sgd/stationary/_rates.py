"""The call that measures rates between minima, each by the first passage that suits it."""

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import stats

from .. import scores
from .._errors import fraction, positive
from ..chains import AbstractChain
from ..engine import seed_key
from ..landscapes import CriticalPoint
from ..passage import FirstPassage, Splitting, first_passage
from ..regions import AbstractRegion
from ..statistics import Estimate
from ._cores import cores_of
from ._network import Network, network_of
from ._transitions import Transitions

# direct simulation of one among several ways out, for at most so many times the trajectories that all of them would
# take, is cheaper than splitting
_DIRECT = 16
# the horizon of a passage with others to avoid, in times to settle at first, and in delays of the passages at least
_SETTLINGS, _DELAYS = 8, 6


class _Run(NamedTuple):
    """What every first passage of a call shares. options: of `first_passage`, as they are."""

    chain: AbstractChain
    network: Network
    cores: tuple[AbstractRegion, ...]
    rtol: float
    method: str
    score: str
    seed: int
    max_trajectories: int
    max_steps: int
    time_step: float
    options: dict[str, Any]

    def passage(self, key: tuple[int, ...], start: int, target: AbstractRegion, **asked: Any) -> FirstPassage:
        """A first passage from a minimum, with random numbers that no other `key` has."""
        seed = int(np.random.SeedSequence([self.seed, *key]).generate_state(1, np.uint64)[0])
        point = self.network.points[start].location
        return first_passage(self.chain, point, target, seed=seed, max_steps=self.max_steps, **asked, **self.options)

    def progress(self, start: int, ends: Sequence[int]) -> Any:
        """The score of splitting on the way to any of these minima."""
        landscape = self.network.landscape
        # on the line both order states alike, and the distance is the cheaper one
        if self.score == "distance" or landscape.dim == 1:
            return None
        points = self.network.points
        ways = tuple(scores.path(landscape, points[start], points[end]) for end in ends)
        return ways[0] if len(ways) == 1 else _Farthest(ways)


class _Rate(NamedTuple):
    """A rate to one minimum, and the first passage that it was found by."""

    end: int
    rate: Estimate
    found: FirstPassage


class _Exit(NamedTuple):
    """All that was found about leaving one minimum."""

    rates: list[_Rate]
    time: Estimate
    settling: float
    notes: list[str]
    path_steps: int


class _Farthest(eqx.Module):
    """The largest of several scores."""

    scores: tuple[Any, ...]

    def __call__(self, theta: Float[Array, " dim"]) -> Array:
        return functools.reduce(jnp.maximum, [score(theta) for score in self.scores])


def transitions(
    chain: AbstractChain,
    minima: Any,
    *,
    rtol: float = 0.1,
    seed: int = 0,
    confidence: float = 0.95,
    neighbours: Iterable[Any] | None = None,
    radius: float | None = None,
    method: str = "auto",
    score: str = "path",
    monitoring: Literal["discrete", "continuous"] = "discrete",
    max_trajectories: int = 2**24,
    max_steps: int = 10_000_000,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
) -> Transitions:
    """Rates of the jumps between minima, however rare, and the jump process that they make.

    From each minimum, k_ij = P(j is the first other minimum whose core is entered)/E(time until then). With one
    neighbour that is one over the mean time to enter any other core. With several, each has a first passage of its own
    with the other cores to avoid, so that a way that is taken once in 1e10 exits is known as precisely as the others:
    by direct simulation until all have left where that is affordable, else by splitting within a horizon after which
    the basin has settled, as the hazard of its second half.

    Valid where exits are slow against the motion inside a basin; `result` says so where they are not. Each basin of
    `minima` may have inner structure that settles quickly, but all minima that are slow to leave must be given: for
    those on the way between two of them that is checked.

    chain: one with a landscape, whose coefficients do not depend on time.
    minima: CriticalPoints or arrays (dim,), at least two, or a mapping from names.
    rtol: relative half-width asked of each rate's interval (one found as a hazard may come out a little wider).
    neighbours: (i, j) of minima between which there are jumps, in both ways; by default those of
        `landscapes.saddle_graph`. Jumps between others are not looked for.
    radius: of balls as cores, in θ. By default a core is the ellipsoid where the quadratic part of the loss is below a
        quarter of the lowest barrier out of its minimum: entered soon after the basin, and hardly left by mistake, as
        long as that is more than about dim/2 temperatures. In many dimensions give a radius that holds typical states.
    method: "auto" chooses for each rate; "direct" or "splitting" for all.
    score: of splitting, "path" for `scores.path` to the minimum, "distance" for the level function of its core; in one
        dimension they order states alike, and the second is taken.
    max_trajectories, max_steps: budgets of each first passage, as there.
    seed, confidence, monitoring, chunk, devices: as for `first_passage`.

    Raises ValueError for points that are no minima (`check_minima`), fewer than two, neighbours that leave some
    minimum out of reach, a minimum missed between two of them, cores that overlap, a landscape that does not rise
    in every direction, where there is no stationary law, and as `first_passage` does.
    """
    _check(rtol, confidence, method, score)
    seed_key(seed)
    network = network_of(chain, minima, neighbours)
    run = _Run(
        chain, network, cores_of(network.points, network.barriers, radius, network.names), float(rtol), method, score,
        int(seed), max_trajectories, max_steps, float(np.asarray(chain.time_step)),
        {"confidence": confidence, "monitoring": monitoring, "chunk": chunk, "devices": devices},
    )  # fmt: skip
    return _gathered(run, [_leave(run, start) for start in range(len(network.points))])


def _check(rtol: Any, confidence: Any, method: Any, score: Any) -> None:
    positive("rtol", rtol)
    fraction("confidence", confidence)
    if method not in ("auto", "direct", "splitting"):
        raise ValueError(f"method must be 'auto', 'direct' or 'splitting', got {method!r}")
    if score not in ("path", "distance"):
        raise ValueError(f"score must be 'path' or 'distance', got {score!r}")


def _leave(run: _Run, start: int) -> _Exit:
    ends = run.network.neighbours[start]
    alone = len(ends) == 1
    found = run.passage(
        (start, start, 0), start, _union(run, {start}), score=run.progress(start, ends), method=run.method,
        rtol=run.rtol if alone else min(2 * run.rtol, 0.99), max_trajectories=run.max_trajectories,
    )  # fmt: skip
    time, settling = found.mean_exit_time, found.settling_time or 0.0
    notes = _told(run, start, "any other", found)
    if alone:
        with np.errstate(divide="ignore"):
            rate = Estimate(1 / time.value, 1 / time.high, 1 / time.low, time.confidence)
        return _Exit([_Rate(ends[0], rate, found)], time, settling, notes, found.path_steps)
    rates, spent = [], found.path_steps
    for end in ends:
        each, cost = _towards(run, start, end, found)
        rates.append(each)
        spent += cost
        notes += _told(run, start, run.network.names[end], each.found)
    total = sum(float(each.rate.high) for each in rates)
    if total < 1 / float(time.high):
        notes.append(
            f"{run.network.names[start]} is left at a rate of {1 / float(time.value):.4g}, more than the "
            f"{total:.4g} at most that lead to its neighbours: another minimum may be one"
        )
    return _Exit(rates, time, settling, notes, spent)


def _towards(run: _Run, start: int, end: int, left: FirstPassage) -> tuple[_Rate, int]:
    """The rate to one of several neighbours, and the path-steps that it took. left: the exit to any of them."""
    asked: dict[str, Any] = {"avoid": _union(run, {start, end}), "score": run.progress(start, [end])}
    spent = 0
    if left.method == "direct":
        needed = math.ceil((stats.norm.isf((1 - left.confidence) / 2) / run.rtol) ** 2)
        most = run.max_trajectories if run.method == "direct" else min(run.max_trajectories, _DIRECT * needed)
        found = run.passage(
            (start, end, 0), start, run.cores[end], method="direct", rtol=run.rtol, max_trajectories=most, **asked
        )
        spent += found.path_steps
        if run.method == "direct" or found.result == "complete":
            return _Rate(end, found.exit_rate, found), spent
    horizon, cost = _settled(run, start, left)
    found, dearer = _before_others(run, start, end, horizon, asked)
    rate = _hazard(found.late_rate, found.horizon, left.mean_exit_time)
    return _Rate(end, rate, found), spent + cost + dearer


def _before_others(run: _Run, start: int, end: int, horizon: float, asked: dict[str, Any]) -> tuple[FirstPassage, int]:
    """Splitting within a horizon that is long against the passages' delay, and the path-steps of all attempts."""
    longest, spent, attempt = run.max_steps * run.time_step, 0, 1
    while True:
        # the interval of the second half's passages is wider than that of all
        found = run.passage(
            (start, end, attempt), start, run.cores[end], method="splitting", rtol=run.rtol / 1.25, horizon=horizon,
            max_trajectories=run.max_trajectories, **asked,
        )  # fmt: skip
        spent += found.path_steps
        steady = _DELAYS * found.delay <= horizon
        if not found.evidence.reached_target or steady or 2 * horizon > longest:
            return found, spent
        horizon, attempt = 2 * horizon, attempt + 1


def _settled(run: _Run, start: int, left: FirstPassage) -> tuple[float, int]:
    """A horizon in whose second half the start is forgotten, and what it took to find."""
    if left.settling_time is not None:
        return _SETTLINGS * left.settling_time, 0
    ends = run.network.neighbours[start]
    found = run.passage(
        (start, start, 1), start, _union(run, {start}), score=run.progress(start, ends),
        method=Splitting(repetitions=4), trajectories=1024,
    )  # fmt: skip
    assert found.settling_time is not None
    return _SETTLINGS * found.settling_time, found.path_steps


def _hazard(late: Estimate, horizon: float, mean_time: Estimate) -> Estimate:
    """Passages per time in the second half, over the mean share that has not left by then."""

    def staying(mean: Any) -> float:
        # ∫ exp(−t/mean) over the second half, per time
        part = horizon / (2 * float(mean))
        return float(np.exp(-part) * -np.expm1(-part) / part) if part > 0 else 1.0

    most, least = staying(mean_time.high), max(staying(mean_time.low), 1e-300)
    return Estimate(late.value / staying(mean_time.value), late.low / most, late.high / least, late.confidence)


def _union(run: _Run, but: set[int]) -> AbstractRegion:
    """All cores but these."""
    return functools.reduce(
        lambda one, other: one | other, [core for number, core in enumerate(run.cores) if number not in but]
    )


def _told(run: _Run, start: int, end: str, found: FirstPassage) -> list[str]:
    way = f"from {run.network.names[start]} to {end}"
    notes = [] if found.result == "complete" else [f"{way}: {found.result}"]
    return notes


def _gathered(run: _Run, exits: list[_Exit]) -> Transitions:
    count = len(exits)
    value, low, high = np.zeros((3, count, count))
    for start, each in enumerate(exits):
        for end, rate, _ in each.rates:
            value[start, end], low[start, end], high[start, end] = rate.value, rate.low, rate.high
    points: list[CriticalPoint] = run.network.points
    return Transitions(
        names=run.network.names,
        locations=np.stack([point.location for point in points]),
        cores=run.cores,
        rates=Estimate(value, low, high, float(run.options["confidence"])),
        exit_times=np.array([float(each.time.value) for each in exits]),
        settling_times=np.maximum(run.network.slowest, [each.settling for each in exits]),
        methods={(start, end): found.method for start, each in enumerate(exits) for end, _, found in each.rates},
        notes=tuple(note for each in exits for note in each.notes),
        time_step=run.time_step,
        seed=run.seed,
        path_steps=sum(each.path_steps for each in exits),
    )
