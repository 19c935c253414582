"""Multilevel splitting with a fixed effort at each level, in independent repetitions (systematic resampling)."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ...engine import DIVERGED, Ends, StopCode
from ...random import Stream
from .._execution import Execution
from ._excursions import Excursions
from ._levels import Levels
from ._score import LevelCrossing, Score, scores
from ._substeps import begun

# the spread of one repetition, relative to its mean, that its size aims at: then the mean of many is nearly normal
_SPREAD = 0.3
LARGEST = 8_192
"""Most trajectories of a repetition."""
# one of ten goes on of those that have fallen six levels back, whence about one in 250 of the successful ones come
_RETREAT, _KEPT = 6, 0.1


class Tally(NamedTuple):
    """What R repetitions saw; each row by itself is an unbiased estimate.

    steps, weights, repetition: (k,) of each passage, its step, its share in the probability and whose it is.
    level_probability: (R, m + 1) probability to come past each level, or to reach the target earlier; the last is that
        of the target.
    diverging, unfinished: (R,) probability of a state that is not finite, and of one still running without a horizon.
    exposure: (R,) mean steps until the end. n_diverged: how many trajectories did.
    """

    steps: Int[np.ndarray, " k"]
    weights: Float[np.ndarray, " k"]
    repetition: Int[np.ndarray, " k"]
    level_probability: Float[np.ndarray, "R stages"]
    diverging: Float[np.ndarray, " R"]
    unfinished: Float[np.ndarray, " R"]
    exposure: Float[np.ndarray, " R"]
    n_diverged: int


def population_size(levels: Levels) -> int:
    """Trajectories of one repetition: as many as keep its relative spread near 0.3, were levels independent."""
    variance = 1.5 * (len(levels.scores) + 1)
    return int(np.clip(math.ceil(variance / _SPREAD**2), 256, LARGEST))


class Stage(NamedTuple):
    """What the trajectories of one stage did, one by one.

    states, ids, clocks: where, with which noise and after how many steps each began. steps: taken from there.
    code: of the end. parents: for each one of the next stage that which it goes on from; empty for the last.
    """

    states: Float[np.ndarray, "n state_dim"]
    ids: Int[np.ndarray, " n"]
    clocks: Int[np.ndarray, " n"]
    steps: Int[np.ndarray, " n"]
    code: Int[np.ndarray, " n"]
    parents: Int[np.ndarray, " n"]


class Repetitions:
    """Runs independent repetitions of `size` trajectories each; every call runs new ones.

    stages: how often each trajectory starts, once for each level and once for the target. excursions: where they
    start, in place of the run's own start, each then with its share of an excursion per trajectory watched.
    size: may be changed between calls; what they run differs in any case.
    """

    def __init__(
        self,
        run: Execution,
        score: Score,
        levels: Levels,
        size: int,
        randomness: np.random.Generator,
        excursions: Excursions | None = None,
    ):
        self.run, self.score = run.derived(Stream.REPETITIONS), score
        self.levels, self.size = levels, size
        self.stages = len(levels.scores) + 1
        self._randomness, self._next_id, self._excursions = randomness, 0, excursions

    @property
    def starts(self) -> int:
        """How many trajectories one repetition starts, over all its stages."""
        return self.size * (self.stages + (self._excursions is not None))

    def __call__(self, repetitions: int, history: list[Stage] | None = None) -> Tally:
        """history: takes what happened, stage by stage; then nothing is thinned."""
        first, self._next_id = self._next_id, self._next_id + 2 * repetitions * self.size * self.stages
        number = repetitions * self.size
        self.run.ledger.start(number * self.stages)
        if self._excursions is None:
            starts, weights = self.run.states(number), np.full(number, 1 / self.size)
            return self._tally(starts, weights, first, history)
        watched = self._excursions.watched(self.size)
        seen = self._excursions(repetitions * watched)
        starts, weights = self.run.states(number), np.zeros(number)
        if len(seen.states):
            chosen, weights = _share(seen.trajectory, repetitions, self.size, watched, self._randomness)
            starts = begun(seen.states[chosen]) if self.run.substeps > 1 else seen.states[chosen]
        tally = self._tally(starts, weights, first, history)
        waited, diverged = (
            values.reshape(repetitions, watched).mean(axis=1) for values in (seen.waited, seen.diverged)
        )
        return tally._replace(
            exposure=tally.exposure + waited * self.run.substeps,
            diverging=tally.diverging + diverged,
            n_diverged=tally.n_diverged + int(seen.diverged.sum()),
        )

    def _tally(self, starts, weights, first_id: int, history: list[Stage] | None) -> Tally:
        return _repeat(
            self.run, self.score, self.levels, starts, weights, self.size, first_id, self._randomness, history
        )


def _share(
    trajectory: Int[np.ndarray, " m"], repetitions: int, size: int, watched: int, randomness: np.random.Generator
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """For each trajectory an excursion of its own repetition, each as often as any other, and its weight.

    trajectory: numbers of those whose excursions they are, `watched` of them in each repetition.
    """
    order, counts = np.argsort(trajectory, kind="stable"), np.bincount(trajectory // watched, minlength=repetitions)
    places = (np.arange(size) + randomness.random((repetitions, 1))) / size
    chosen = (np.cumsum(counts) - counts)[:, None] + (places * counts[:, None]).astype(np.int64)
    # a repetition without any takes another's, with a weight of 0
    return order[np.minimum(chosen, len(trajectory) - 1)].reshape(-1), np.repeat(counts / (watched * size), size)


def _repeat(
    run: Execution,
    score: Score,
    levels: Levels,
    states: Float[np.ndarray, "n state_dim"],
    weights: Float[np.ndarray, " n"],
    size: int,
    first_id: int,
    randomness: np.random.Generator,
    history: list[Stage] | None,
) -> Tally:
    """R repetitions, all side by side, from these states with these weights.

    At each level the entrances of a repetition are replaced by `size` of them, drawn in proportion to weight × chance
    of success (systematic resampling), the weights divided by that chance: so no expectation changes, whatever the
    levels and chances are, as long as they were fixed before. A trajectory beyond the next level already enters it at
    once. One that reaches the target is put aside with its weight. A repetition without entrances stays empty.
    """
    number, repetitions = len(weights), len(weights) // size
    repetition = np.arange(number) // size
    clocks = np.zeros(number, np.int64)
    reached, level_probability = [], []
    diverging, unfinished, exposure = (np.zeros(repetitions) for _ in range(3))
    n_diverged = 0

    def total(chosen, values=None):
        values = weights if values is None else weights * values
        return np.bincount(repetition[chosen], values[chosen], repetitions)

    for stage, level in enumerate([*levels.scores, np.inf]):
        ahead = scores(score, states, clocks) >= level
        floor = levels.scores[stage - _RETREAT] if stage >= _RETREAT and history is None else -np.inf
        ids = first_id + 2 * stage * number + np.arange(number)
        past = (states, ids, clocks, np.where(ahead | (weights == 0), 0, run.steps - clocks))
        ends, weights = _advance(run, score, past, weights, (level, floor), randomness)
        states, clocks = ends.state, clocks + ends.step
        onward = (ahead | (ends.code == StopCode.LEVEL_CROSSED)) & (weights > 0)
        there = ends.code == StopCode.TARGET
        reached.append((clocks[there], weights[there], repetition[there]))
        exposure += total(~onward, clocks)
        diverging += total(ends.code == DIVERGED)
        n_diverged += int(np.sum(ends.code == DIVERGED))
        if run.open_ended:
            unfinished += total((ends.code == StopCode.RUNNING) & ~onward)
        earlier = sum(np.bincount(mine, weight, repetitions) for _, weight, mine in reached)
        level_probability.append(earlier + total(onward))
        parents = np.zeros(0, np.int64)
        if stage < len(levels.scores):
            chance = np.where(onward, levels.chances[stage](clocks), 0.0)
            parents = _resample((weights * chance).reshape(repetitions, size), randomness)
            # the mass is shared among the copies, and each takes back the chance by which it was chosen
            share = np.bincount(repetition, weights * chance, repetitions) / size
            weights = np.divide(share[repetition], chance[parents], out=np.zeros(number), where=chance[parents] > 0)
            states, clocks = states[parents], clocks[parents]
        if history is not None:
            history.append(Stage(*past[:3], ends.step, ends.code, parents))
    steps, shares, owners = (np.concatenate(part) for part in zip(*reached, strict=True))
    past_levels = np.stack(level_probability, axis=1)
    return Tally(steps, shares, owners, past_levels, diverging, unfinished, exposure, n_diverged)


def _advance(
    run: Execution, score: Score, past: tuple, weights, bounds: tuple[float, float], randomness
) -> tuple[Ends, np.ndarray]:
    """Run to the upper bound, the target or the end, and the weights then.

    Below the lower bound most are stopped, and the others go on with the weight of all: what comes of them hardly
    matters, but would take most of the time.
    """
    states, ids, clocks, budgets = past

    def between(bounds, *past) -> Ends:
        level, floor = np.asarray(bounds, states.dtype)
        return run.go_on(LevelCrossing(run.monitor, score, level, floor), *past)

    ends = between(bounds, *past)
    fallen = ends.code == StopCode.FELL_BACK
    kept = fallen & (randomness.random(len(ids)) < _KEPT)
    weights = np.where(fallen, np.where(kept, weights / _KEPT, 0.0), weights)
    if not kept.any():
        return ends, weights
    later = between(
        (bounds[0], -np.inf), ends.state, ids + len(ids), clocks + ends.step, np.where(kept, budgets - ends.step, 0)
    )
    code = np.where(kept, later.code, ends.code)
    return Ends(ends.step + later.step, code, later.state, ends.path_steps + later.path_steps), weights


def _resample(mass: Float[np.ndarray, "R size"], randomness: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Parents of the next stage, by systematic resampling: each has mass·size/total copies, on average exactly.

    A repetition without mass keeps its own.
    """
    repetitions, size = mass.shape
    summed = np.cumsum(mass, axis=1)
    alive = summed[:, -1:] > 0
    share = np.divide(summed, summed[:, -1:], out=np.zeros_like(summed), where=alive)
    edges = np.ceil(share * size - randomness.random((repetitions, 1))).astype(np.int64)
    copies = np.where(alive, np.diff(edges, axis=1, prepend=0), 1)
    return np.repeat(np.arange(mass.size), copies.reshape(-1))


def merge(tallies: list[Tally]) -> Tally:
    """Several batches of repetitions as one."""
    counts = np.cumsum([0, *(len(tally.exposure) for tally in tallies)])
    moved = [tally._replace(repetition=tally.repetition + first) for tally, first in zip(tallies, counts, strict=False)]

    def joined(name: str) -> Any:
        parts = [getattr(tally, name) for tally in moved]
        return sum(parts) if isinstance(parts[0], int) else np.concatenate(parts)

    return Tally(*(joined(name) for name in Tally._fields))
