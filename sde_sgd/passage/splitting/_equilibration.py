"""Equilibration: how long trajectories take to forget where they started (two-sample Kolmogorov–Smirnov tests)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ...engine import StopCode
from ...random import Stream
from ...statistics import smirnov_probability
from .._execution import Execution
from ._score import Score, scores

_SIZE = 2_048
_SHORTEST = 64
# probability of going on although the law has settled
_FALSE_ALARM = 0.01
# where no more than one in so many is left, nearly all have arrived
_HARDLY_ANY = 8
# a law that looks settled is watched on, by so many of the trajectories, for so many path-steps times components, and
# so many path-steps at least: in a basin that is left within eight times as long an eighth has left by then, and fewer
# than so many trajectories would not tell
_WATCHERS, _WATCHED, _WATCHED_AT_LEAST = 512, 2**27, 2**24


class NotRare(Exception):
    """Nearly all arrive before the law has settled."""


class SettlesSlowly(Exception):
    """The law has not settled within the steps that may be waited for it."""


class Equilibration(NamedTuple):
    """steps: at which the law of those on the way is that at twice as many, as far as 2 × 2,048 trajectories tell.

    settled: whether it is, within the budget of steps. states: at both times; scores: theirs.
    checked: steps up to which 512 of them still had that law.
    stayed: how many of so many `walkers` had come to no end after twice as many.
    """

    steps: int
    settled: bool
    states: Float[np.ndarray, "n state_dim"]
    scores: Float[np.ndarray, " n"]
    checked: int
    stayed: int
    walkers: int

    @property
    def hardly_any(self) -> bool:
        """Whether so few are left that their law does not matter."""
        return self.stayed * _HARDLY_ANY < self.walkers

    def seen_by(self, score: Score) -> "Equilibration":
        """The same with another score of the states, one that knows no time."""
        return self._replace(scores=scores(score, self.states, np.zeros(len(self.states), np.int64)))


def equilibrate(run: Execution, score: Score) -> Equilibration:
    """Double the time until no component of a state, and no score, differs in law from that at twice the time.

    Two-sample Kolmogorov–Smirnov tests, with one failure budget for all (Bonferroni). A law that looks settled may be
    that of a basin which is left later: some trajectories go on for much longer, and where their law changes the time
    is doubled on. SettlesSlowly where the execution has not the patience.
    """
    walkers = _Walkers(run.derived(Stream.EQUILIBRATION), score)
    steps = min(_SHORTEST, max(run.steps // 2, 1))
    while True:
        walkers.go_to(np.where(walkers.late, 2 * steps, steps))
        ones, others = (walkers.seen(chosen) for chosen in (~walkers.late, walkers.late))
        settled, checked = _alike(ones, others, _SIZE // _HARDLY_ANY), 2 * steps
        if settled:
            settled, checked = _stays(walkers, 2 * steps, others)
        if settled or 4 * steps > run.steps:
            seen = np.concatenate([ones, others])
            return Equilibration(steps, settled, seen[:, :-1], seen[:, -1], checked, *walkers.until(2 * steps))
        steps *= 2
        if run.patience is not None and 2 * steps > run.patience:
            raise SettlesSlowly


def _stays(walkers: "_Walkers", steps: int, settled: Float[np.ndarray, "n k"]) -> tuple[bool, int]:
    """Whether the law stays what it is `settled` after so many steps; and up to when it was seen to."""
    run = walkers.run
    watched = max(_WATCHED // run.chain.state_dim, _WATCHED_AT_LEAST)
    most = min(int(watched * run.watch_share) // _WATCHERS, run.steps // 2)
    watchers = walkers.late & (np.cumsum(walkers.late) <= _WATCHERS)
    rounds = max(int(np.log2(max(most / steps, 2))), 1)
    while 2 * steps <= most:
        walkers.go_to(np.where(watchers, 2 * steps, 0))
        if not _alike(walkers.seen(watchers), settled, _WATCHERS // _HARDLY_ANY, rounds):
            return False, steps
        steps *= 2
    return True, steps


class _Walkers:
    """Trajectories from the start, half of them `late`; each goes on from where it is."""

    def __init__(self, run: Execution, score: Score):
        self.run, self._score, self._runs = run, score, 0
        self.late = np.arange(2 * _SIZE) >= _SIZE
        run.ledger.start(len(self.late))
        self._states, self._code = run.states(len(self.late)), np.zeros(len(self.late), np.int64)
        self._clocks = np.zeros(len(self.late), np.int64)

    def go_to(self, steps: Int[np.ndarray, " n"]) -> None:
        """Let each go on until it has taken so many steps; one that has stays where it is."""
        budgets = np.where(self._code == StopCode.RUNNING, np.maximum(steps - self._clocks, 0), 0)
        ids = np.arange(len(self.late)) + self._runs * len(self.late)
        ends = self.run.go_on(self.run.monitor, self._states, ids, self._clocks, budgets)
        self._states, self._clocks, self._runs = ends.state, self._clocks + ends.step, self._runs + 1
        self._code = np.where(self._code == StopCode.RUNNING, ends.code, self._code)

    def until(self, steps: int) -> tuple[int, int]:
        """How many of the late ones had come to no end after so many steps, and of how many."""
        stayed = (self._code == StopCode.RUNNING) | (self._clocks > steps)
        return int(stayed[self.late].sum()), int(self.late.sum())

    def seen(self, chosen: Bool[np.ndarray, " n"]) -> Float[np.ndarray, "m k"]:
        """States and scores of those chosen that are still on their way."""
        seen = np.column_stack([self._states, scores(self._score, self._states, self._clocks)])
        return seen[chosen & (self._code == StopCode.RUNNING)]


def _alike(ones: Float[np.ndarray, "n k"], others: Float[np.ndarray, "m k"], fewest: int, rounds: int = 1) -> bool:
    if min(len(ones), len(others)) < fewest:
        # nearly all have arrived: what the rest looks like does not matter
        return True
    least = _FALSE_ALARM / ones.shape[1] / rounds
    return all(smirnov_probability(*pair) > least for pair in zip(ones.T, others.T, strict=True))
