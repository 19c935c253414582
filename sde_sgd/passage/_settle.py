"""How long trajectories take to forget where they started, as long as they have not arrived."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from ._problem import Problem
from ._score import scores

_SIZE = 2_048
_SHORTEST = 64
# probability of going on although the law has settled
_FALSE_ALARM = 0.01


class Settling(NamedTuple):
    """steps: at which the law of those on the way is that at twice as many, as far as 2 × 2,048 trajectories tell.

    settled: whether it is, within the budget of steps. scores: of the states at both times.
    """

    steps: int
    settled: bool
    scores: Float[np.ndarray, " n"]
    path_steps: int


def settle(problem: Problem) -> Settling:
    """Double the time until no component and no score tells its states from those, of others, at twice the time.

    Two-sample Kolmogorov–Smirnov tests, with one failure budget for all.
    """
    problem = problem.derived(3)
    late = np.arange(2 * _SIZE) >= _SIZE
    states, clocks, code = problem.states(len(late)), np.zeros(len(late), np.int64), np.zeros(len(late), np.int64)
    steps, runs, cost = min(_SHORTEST, max(problem.steps // 2, 1)), 0, 0
    while True:
        budgets = np.where(code == 0, np.where(late, 2 * steps, steps) - clocks, 0)
        ids = np.arange(len(late)) + runs * len(late)
        ends = problem.go_on(problem.monitor, states, ids, clocks, budgets)
        states, clocks, cost, runs = ends.state, clocks + ends.step, cost + ends.path_steps, runs + 1
        code = np.where(code == 0, ends.code, code)
        seen = np.column_stack([states, scores(problem.score, states, clocks)])
        settled = _alike(seen[(code == 0) & ~late], seen[(code == 0) & late])
        if settled or 4 * steps > problem.steps:
            return Settling(steps, settled, seen[code == 0, -1], cost)
        steps *= 2


def _alike(ones: Float[np.ndarray, "n k"], others: Float[np.ndarray, "m k"]) -> bool:
    if min(len(ones), len(others)) < _SIZE // 8:
        # nearly all have arrived: what the rest looks like does not matter
        return True
    least = _FALSE_ALARM / ones.shape[1]
    tests: list[Any] = [stats.ks_2samp(*pair, method="asymp") for pair in zip(ones.T, others.T, strict=True)]
    return all(test.pvalue > least for test in tests)
