"""A small run of its own that chooses the levels of splitting, and how likely success is from each."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import isotonic_regression

from ..engine import DIVERGED, Ends
from ._monitor import AVOID, TARGET
from ._problem import Problem
from ._score import PASSED, Passing, WithPeak, scores

# near the optimum both where failures cost the most and where every trajectory costs the same
_SHARE = 0.4
# with 40 % from one to the next, for probabilities down to some 1e-120
_MOST_LEVELS = 300
# a late entrance is never thought worth less than this, relative to the best
_LEAST_WORTH = 0.02
_GROUPS = 16


class Worth(NamedTuple):
    """Chance of success from the entrance into a level, against the steps taken until then: linear between knots."""

    clocks: Float[np.ndarray, " k"]
    chances: Float[np.ndarray, " k"]

    def __call__(self, clocks: Int[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        return np.interp(clocks, self.clocks, self.chances)


class Levels(NamedTuple):
    """Levels between the start and the target.

    scores: (m,) rising. worths: one for each level. overshoot: how far a step that enters a level comes beyond it,
    typically, in levels; infinite where the steps are so coarse that no more than a few go on.
    """

    scores: Float[np.ndarray, " m"]
    worths: list[Worth]
    overshoot: float
    path_steps: int


class _Stage(NamedTuple):
    """Entrances of a stage's trajectories, which of them went on to where, and which reached the target."""

    score: float
    clocks: np.ndarray
    passed: np.ndarray
    entered: np.ndarray
    reached: np.ndarray


def choose_levels(problem: Problem, size: int, randomness: np.random.Generator) -> Levels:
    """Levels such that about 40 % of those that stand at one reach the next.

    Each is that quantile of the peaks of `size` trajectories from the last one. Only states that had the peak are
    run again, with the same noise, to see them enter the new level. The levels are random, but independent of all
    that is run afterwards: for that they are fixed.
    """
    states, clocks = problem.states(size), np.zeros(size, np.int64)
    highest = scores(problem.score, states, clocks)
    found: list[float] = []
    stages: list[_Stage] = []
    cost, last = 0, float(highest.min())
    while True:
        ids = np.arange(size) + len(found) * size
        ends = _run(problem, states, highest, clocks, ids, problem.steps - clocks, np.inf)
        _check_scores(problem, ends, clocks)
        reached, peaks = ends.code == TARGET, np.nan_to_num(ends.state[:, -1], nan=-np.inf)
        cost += ends.path_steps
        usable = np.where(reached, np.inf, peaks)[~_shut(problem, ends, peaks, highest, clocks)]
        level = float(np.sort(usable)[-math.ceil(_SHARE * len(usable))]) if len(usable) else -np.inf
        if np.isinf(level) or level <= last or len(found) == _MOST_LEVELS:
            stages.append(_Stage(highest.mean(), clocks, np.zeros(size, bool), clocks, reached))
            stalled = level <= last and not reached.any()
            overshoot = np.inf if stalled else _overshoot(found, stages)
            return Levels(np.array(found), _worths(stages), overshoot, cost)
        ahead = highest >= level
        onward = (peaks >= level) | reached
        again = _run(problem, states, highest, clocks, ids, np.where(onward & ~ahead, problem.steps - clocks, 0), level)
        cost += again.path_steps
        passed = ahead | (again.code == PASSED)
        stages.append(_Stage(highest.mean(), clocks, passed, clocks + again.step, again.code == TARGET))
        found.append(level)
        chosen = _spread(np.flatnonzero(passed), size, randomness)
        states, clocks = again.state[chosen, :-1], (clocks + again.step)[chosen]
        highest, last = scores(problem.score, states, clocks), level


def _shut(problem: Problem, ends: Ends, peaks, highest, clocks) -> Bool[np.ndarray, " n"]:
    """Which trajectories had their peak in the state that ended them without success, from which nothing goes on."""
    last = scores(problem.score, ends.state[:, :-1], clocks + ends.step)
    # but for rounding
    in_avoid = (ends.code == AVOID) & (peaks > highest) & (peaks - last <= 1e-3 * (peaks - highest))
    return in_avoid | (ends.code == DIVERGED)


def _check_scores(problem: Problem, ends: Ends, clocks) -> None:
    """A trajectory whose state is finite and whose peak is not met a score that is none."""
    bad = np.flatnonzero((ends.code == DIVERGED) & np.all(np.isfinite(ends.state[:, :-1]), axis=1))
    if bad.size:
        state = ends.state[bad[:1], :-1]
        value = scores(problem.score, state, (clocks + ends.step)[bad[:1]])[0]
        raise ValueError(
            f"score must be finite wherever trajectories come, got {value} at θ = {state[0, : problem.score.dim]}"
        )


def _run(problem: Problem, states, highest, clocks, ids, budgets, level: float) -> Ends:
    level, floor = np.asarray([level, -np.inf], states.dtype)
    monitor = Passing(problem.monitor, problem.score, level, floor, peaked=True)
    joined = np.concatenate([states, highest[:, None].astype(states.dtype)], axis=1)
    peaked = problem._replace(chain=WithPeak(problem.chain, problem.score))
    return peaked.go_on(monitor, joined, ids, clocks, budgets)


def _spread(rows: np.ndarray, size: int, randomness: np.random.Generator) -> np.ndarray:
    """`size` rows, each as often as any other to within one."""
    return rows[((np.arange(size) + randomness.random()) * len(rows) / size).astype(np.int64)]


def _overshoot(found: list[float], stages: list[_Stage]) -> float:
    if len(found) < 2:
        return 0.0
    beyond = np.array([stage.score for stage in stages[1:]]) - found
    return float(np.quantile(beyond[:-1] / np.diff(found), 0.75))


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
