"""Multilevel splitting with a fixed effort at each level, in independent repetitions (systematic resampling)."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ...engine import Ends, StopCode
from ...random import Stream
from .._execution import Execution
from ._account import KEPT, Account, Tally
from ._climb import LONG, climb
from ._excursions import Excursions, WayHome
from ._levels import Levels
from ._score import Score, scores
from ._stages_at_once import stages_at_once
from ._substeps import begun

# the spread of one repetition, relative to its mean, that its size aims at: then the mean of many is nearly normal
_SPREAD = 0.3
LARGEST = 8_192
"""Most trajectories of a repetition."""


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
        # without excursions nearly all the work is between levels, unless others have compiled for both
        self._apart = excursions is None and not run.ledger.climbed

    def way_home(self) -> WayHome:
        """What comes before the first of the excursions, from the run's own start."""
        return WayHome() if self._excursions is None else self._excursions.way_home()

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
        account = Account(weights, self.size, self.run.open_ended)
        given = self.run, self.score, self.levels, account, starts, first_id, self._randomness
        if history is not None or not stages_at_once(*given):
            _one_by_one(*given, history, self._apart)
        return account.tally()


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


def _one_by_one(
    run: Execution,
    score: Score,
    levels: Levels,
    account: Account,
    states: Float[np.ndarray, "n state_dim"],
    first_id: int,
    randomness: np.random.Generator,
    history: list[Stage] | None,
    apart: bool,
) -> None:
    """R repetitions, all side by side, from these states, stage by stage.

    At each level the entrances of a repetition are replaced by `size` of them, drawn in proportion to weight × chance
    of success (systematic resampling), the weights divided by that chance: so no expectation changes, whatever the
    levels and chances are, as long as they were fixed before. A trajectory beyond the next level already enters it at
    once. One that reaches the target is put aside with its weight. A repetition without entrances stays empty.
    apart: run between levels in a program of its own from the first.
    """
    number = len(states)
    for stage, (level, floor) in enumerate(levels.bounds(thins=history is None)):
        clocks = account.clocks
        ahead = scores(score, states, clocks) >= level
        ids = first_id + 2 * stage * number + np.arange(number)
        past = (states, ids, clocks, np.where(ahead | (account.weights == 0), 0, run.steps - clocks))
        alone = apart or run.ledger.climbed > LONG
        ends, kept = _advance(run, score, past, (level, floor), randomness, alone)
        account.passed(ahead, ends.step, ends.code, kept)
        parents = np.zeros(0, np.int64)
        if stage < len(levels.scores):
            chance = np.where(account.onward, levels.chances[stage](account.clocks), 0.0)
            parents = _resample(account.mass(chance), randomness)
            account.go_on(parents, chance)
            states = ends.state[parents]
        if history is not None:
            history.append(Stage(*past[:3], ends.step, ends.code, parents))


def _advance(
    run: Execution,
    score: Score,
    past: tuple,
    bounds: tuple[float, float],
    randomness: np.random.Generator,
    alone: bool,
) -> tuple[Ends, Bool[np.ndarray, " n"]]:
    """Run to the upper bound, the target or the end, and who fell below the lower bound and went on.

    Most of those are stopped there: what comes of them hardly matters, but would take most of the time.
    """
    _, ids, clocks, budgets = past
    ends, _ = climb(run, score, bounds, past, alone=alone)
    kept = (ends.code == StopCode.FELL_BACK) & (randomness.random(len(ids)) < KEPT)
    if not kept.any():
        return ends, kept
    past = ends.state, ids + len(ids), clocks + ends.step, np.where(kept, budgets - ends.step, 0)
    later, _ = climb(run, score, (bounds[0], -np.inf), past, alone=alone)
    code = np.where(kept, later.code, ends.code)
    return Ends(ends.step + later.step, code, later.state, ends.path_steps + later.path_steps), kept


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
