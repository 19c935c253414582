"""A small run of its own that chooses the levels of splitting, and how likely success is from each."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import isotonic_regression

from ..chains import AbstractChain
from ..engine import AbstractMonitor, Ends, SeedKey, run_population
from ._monitor import TARGET
from ._score import PASSED, PassingOfPeak, Score, WithPeak, scores

# near the optimum both where failures cost the most and where every trajectory costs the same
_SHARE = 0.4
_MOST_LEVELS = 1_000
# a late entrance is never thought worth less than this, relative to the best
_LEAST_WORTH = 0.02
_GROUPS = 16


class Problem(NamedTuple):
    """What splitting has to solve. steps: the horizon, or the budget of a trajectory where there is none."""

    chain: AbstractChain
    monitor: AbstractMonitor
    score: Score
    starts: Float[np.ndarray, "m dim"]
    steps: int
    open_ended: bool
    key: SeedKey
    chunk: int | None
    devices: Any


class Worth(NamedTuple):
    """Chance of success from the entrance into a level, against the steps taken until then: linear between knots."""

    clocks: Float[np.ndarray, " k"]
    chances: Float[np.ndarray, " k"]

    def __call__(self, clocks: Int[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        return np.interp(clocks, self.clocks, self.chances)


class Levels(NamedTuple):
    """scores: (m,) rising. worths: one for each level. stalled: no way was found beyond the last of them."""

    scores: Float[np.ndarray, " m"]
    worths: list[Worth]
    stalled: bool
    path_steps: int


class _Stage(NamedTuple):
    """Entrance clocks of a stage's trajectories, which of them went on to where, and which reached the target."""

    clocks: np.ndarray
    passed: np.ndarray
    entered: np.ndarray
    reached: np.ndarray


def choose_levels(problem: Problem, size: int, rng: np.random.Generator) -> Levels:
    """Levels such that about 40 % of those that stand at one reach the next.

    Each is that quantile of the peaks of `size` trajectories from the last one. Only states that had the peak are
    run again, with the same noise, to see them enter the new level. The levels are random, but independent of all
    that is run afterwards: for that they are fixed.
    """
    problem = problem._replace(starts=problem.starts[np.arange(size) % len(problem.starts)])
    states, clocks = problem.starts, np.zeros(size, np.int64)
    highest = scores(problem.score, states, clocks)
    found: list[float] = []
    stages: list[_Stage] = []
    cost, last = 0, float(highest.max())
    while len(found) < _MOST_LEVELS:
        ids = np.arange(size) + len(found) * size
        ends = _run(problem, states, highest, clocks, ids, problem.steps - clocks, np.inf)
        reached, peaks = ends.code == TARGET, np.nan_to_num(ends.state[:, -1], nan=-np.inf)
        cost += ends.path_steps
        level = float(np.sort(np.where(reached, np.inf, peaks))[-int(np.ceil(_SHARE * size))])
        if np.isinf(level) or level <= last:
            stages.append(_Stage(clocks, np.zeros(size, bool), clocks, reached))
            return Levels(np.array(found), _worths(stages), not reached.any(), cost)
        ahead = highest >= level
        onward = (peaks >= level) | reached
        again = _run(problem, states, highest, clocks, ids, np.where(onward & ~ahead, problem.steps - clocks, 0), level)
        cost += again.path_steps
        passed = ahead | (again.code == PASSED)
        stages.append(_Stage(clocks, passed, clocks + again.step, again.code == TARGET))
        found.append(level)
        chosen = _spread(np.flatnonzero(passed), size, rng)
        states, clocks = again.state[chosen, :-1], (clocks + again.step)[chosen]
        highest, last = scores(problem.score, states, clocks), level
    return Levels(np.array(found), _worths(stages), True, cost)


def _run(problem: Problem, states, highest, clocks, ids, budgets, level: float) -> Ends:
    chain = WithPeak(problem.chain, problem.score)
    monitor = PassingOfPeak(problem.monitor, np.asarray(level, states.dtype))
    joined = np.concatenate([states, highest[:, None].astype(states.dtype)], axis=1)
    return run_population(chain, monitor, joined, ids, clocks, budgets, problem.key, problem.chunk, problem.devices)


def _spread(rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` rows, each as often as any other to within one."""
    return rows[((np.arange(size) + rng.random()) * len(rows) / size).astype(np.int64)]


def _worths(stages: list[_Stage]) -> list[Worth]:
    """Backwards from the target: the chance from a level is the mean of the chances from the next one's entrances."""
    worths: list[Worth] = []
    for stage in reversed(stages[1:]):
        onward = worths[-1](stage.entered) if worths else np.zeros(len(stage.clocks))
        worths.append(_worth(stage.clocks, np.where(stage.reached, 1.0, np.where(stage.passed, onward, 0.0))))
    return worths[::-1]


def _worth(clocks: np.ndarray, chances: np.ndarray) -> Worth:
    """A falling line through the means of equally large groups of neighbouring clocks."""
    order = np.argsort(clocks, kind="stable")
    groups = [
        np.array([values[rows].mean() for rows in np.array_split(order, _GROUPS)]) for values in (clocks, chances)
    ]
    at, fitted = groups[0], isotonic_regression(groups[1], increasing=False).x
    return Worth(at, np.maximum(fitted, _LEAST_WORTH * fitted[0]) if fitted[0] > 0 else np.ones(len(at)))
