"""Equilibration: how long trajectories take to forget where they started (two-sample Kolmogorov–Smirnov tests)."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from ...engine import StopCode
from ...random import Stream
from .._execution import Execution
from ._score import Score, scores

_SIZE = 2_048
_SHORTEST = 64
# probability of going on although the law has settled
_FALSE_ALARM = 0.01


class Equilibration(NamedTuple):
    """steps: at which the law of those on the way is that at twice as many, as far as 2 × 2,048 trajectories tell.

    settled: whether it is, within the budget of steps. scores: of the states at both times.
    """

    steps: int
    settled: bool
    scores: Float[np.ndarray, " n"]


def equilibrate(run: Execution, score: Score) -> Equilibration:
    """Double the time until no component of a state, and no score, differs in law from that at twice the time.

    Two-sample Kolmogorov–Smirnov tests, with one failure budget for all (Bonferroni).
    """
    run = run.derived(Stream.EQUILIBRATION)
    late = np.arange(2 * _SIZE) >= _SIZE
    run.ledger.start(len(late))
    states, clocks, code = run.states(len(late)), np.zeros(len(late), np.int64), np.zeros(len(late), np.int64)
    steps, runs = min(_SHORTEST, max(run.steps // 2, 1)), 0
    while True:
        budgets = np.where(code == StopCode.RUNNING, np.where(late, 2 * steps, steps) - clocks, 0)
        ids = np.arange(len(late)) + runs * len(late)
        ends = run.go_on(run.monitor, states, ids, clocks, budgets)
        states, clocks, runs = ends.state, clocks + ends.step, runs + 1
        code = np.where(code == StopCode.RUNNING, ends.code, code)
        seen = np.column_stack([states, scores(score, states, clocks)])
        settled = _alike(seen[(code == StopCode.RUNNING) & ~late], seen[(code == StopCode.RUNNING) & late])
        if settled or 4 * steps > run.steps:
            return Equilibration(steps, settled, seen[code == StopCode.RUNNING, -1])
        steps *= 2


def _alike(ones: Float[np.ndarray, "n k"], others: Float[np.ndarray, "m k"]) -> bool:
    if min(len(ones), len(others)) < _SIZE // 8:
        # nearly all have arrived: what the rest looks like does not matter
        return True
    least = _FALSE_ALARM / ones.shape[1]
    tests: list[Any] = [stats.ks_2samp(*pair, method="asymp") for pair in zip(ones.T, others.T, strict=True)]
    return all(test.pvalue > least for test in tests)
