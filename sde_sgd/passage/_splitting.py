"""First passages that are rare: multilevel splitting with a fixed effort at each level."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from ..engine import DIVERGED, run_population
from ._levels import Levels, Problem
from ._monitor import TARGET
from ._score import PASSED, Passing, scores

# the spread of one repetition, relative to its mean, that its size aims at: then the mean of many is nearly normal
_SPREAD = 0.3
REPETITIONS = 32


class Tally(NamedTuple):
    """What R repetitions saw; each row by itself is an unbiased estimate.

    steps, weights, owner: (k,) of each passage, its step, its share in the probability and its repetition.
    passed: (R, m + 1) probability to come past each level, or to reach the target earlier; the last is that of the
        target.
    diverged, undecided: (R,) probability of a state that is not finite, and of one still running without a horizon.
    exposure: (R,) mean steps until the end. lost: how many trajectories diverged.
    """

    steps: Int[np.ndarray, " k"]
    weights: Float[np.ndarray, " k"]
    owner: Int[np.ndarray, " k"]
    passed: Float[np.ndarray, "R stages"]
    diverged: Float[np.ndarray, " R"]
    undecided: Float[np.ndarray, " R"]
    exposure: Float[np.ndarray, " R"]
    lost: int
    path_steps: int


def population_size(levels: Levels) -> int:
    """Trajectories of one repetition: as many as keep its relative spread near 0.3, were levels independent."""
    variance = 1.5 * (len(levels.scores) + 1)
    return int(np.clip(math.ceil(variance / _SPREAD**2), 256, 8_192))


def repetitions_for(values: Float[np.ndarray, " R"], rtol: float, level: float) -> int | None:
    """How many repetitions like these make an interval of that relative half-width; None where nothing was seen."""
    mean = values.mean()
    if mean == 0:
        return None
    wanted = stats.t.isf((1 - level) / 2, len(values) - 1) * values.std(ddof=1) / mean / rtol
    return math.ceil(wanted**2)


def run_repetitions(problem: Problem, levels: Levels, repetitions: int, size: int, first_id: int, rng) -> Tally:
    """R repetitions of `size` trajectories, all side by side.

    At each level the entrances of a repetition are replaced by `size` of them, drawn in proportion to weight × chance
    of success (systematic resampling), the weights divided by that chance: so no expectation changes, whatever the
    levels and chances are, as long as they were fixed before. A trajectory beyond the next level already enters it at
    once. One that reaches the target is put aside with its weight. A repetition without entrances stays empty.
    """
    lanes = repetitions * size
    owner = np.arange(lanes) // size
    states = problem.starts[np.arange(lanes) % len(problem.starts)]
    clocks, weights = np.zeros(lanes, np.int64), np.full(lanes, 1 / size)
    reached, passed = [], []
    diverged, undecided, exposure = (np.zeros(repetitions) for _ in range(3))
    lost = cost = 0

    def total(chosen, values=None):
        values = weights if values is None else weights * values
        return np.bincount(owner[chosen], values[chosen], repetitions)

    for stage, level in enumerate([*levels.scores, np.inf]):
        ahead = scores(problem.score, states, clocks) >= level
        budgets = np.where(ahead | (weights == 0), 0, problem.steps - clocks)
        monitor = Passing(problem.monitor, problem.score, np.asarray(level, states.dtype))
        ids = first_id + stage * lanes + np.arange(lanes)
        ends = run_population(
            problem.chain, monitor, states, ids, clocks, budgets, problem.key, problem.chunk, problem.devices
        )
        states, clocks, cost = ends.state, clocks + ends.step, cost + ends.path_steps
        onward = (ahead | (ends.code == PASSED)) & (weights > 0)
        there = ends.code == TARGET
        reached.append((clocks[there], weights[there], owner[there]))
        exposure += total(~onward, clocks)
        diverged += total(ends.code == DIVERGED)
        lost += int(np.sum(ends.code == DIVERGED))
        if problem.open_ended:
            undecided += total((ends.code == 0) & ~onward)
        earlier = sum(np.bincount(mine, weight, repetitions) for _, weight, mine in reached)
        passed.append(earlier + total(onward))
        if stage < len(levels.scores):
            worth = np.where(onward, levels.worths[stage](clocks), 0.0)
            parents = _resample((weights * worth).reshape(repetitions, size), rng)
            # the mass is shared among the copies, and each takes back the chance by which it was chosen
            share = np.bincount(owner, weights * worth, repetitions) / size
            weights = np.divide(share[owner], worth[parents], out=np.zeros(lanes), where=worth[parents] > 0)
            states, clocks = states[parents], clocks[parents]
    steps, shares, owners = (np.concatenate(part) for part in zip(*reached, strict=True))
    return Tally(steps, shares, owners, np.stack(passed, axis=1), diverged, undecided, exposure, lost, cost)


def _resample(mass: Float[np.ndarray, "R size"], rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Parents of the next stage, by systematic resampling: each has mass·size/total copies, on average exactly.

    A repetition without mass keeps its own.
    """
    repetitions, size = mass.shape
    summed = np.cumsum(mass, axis=1)
    alive = summed[:, -1:] > 0
    share = np.divide(summed, summed[:, -1:], out=np.zeros_like(summed), where=alive)
    edges = np.ceil(share * size - rng.random((repetitions, 1))).astype(np.int64)
    copies = np.where(alive, np.diff(edges, axis=1, prepend=0), 1)
    return np.repeat(np.arange(mass.size), copies.reshape(-1))


def merge(tallies: list[Tally]) -> Tally:
    """Several batches of repetitions as one."""
    counts = np.cumsum([0, *(len(tally.diverged) for tally in tallies)])
    moved = [tally._replace(owner=tally.owner + first) for tally, first in zip(tallies, counts, strict=False)]

    def joined(name: str) -> Any:
        parts = [getattr(tally, name) for tally in moved]
        return sum(parts) if isinstance(parts[0], int) else np.concatenate(parts)

    return Tally(*(joined(name) for name in Tally._fields))
