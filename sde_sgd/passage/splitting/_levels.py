"""Levels of splitting, chosen by a pilot (adaptive quantiles), and the chance of success from each (isotonic fit)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import isotonic_regression

from ...engine import DIVERGED, Ends, StopCode
from .._execution import Execution
from ._climb import climb
from ._levels_at_once import Entrances, Pilot, Rule, pilot_at_once
from ._score import Score, scores

# two fifths are near the optimum both where failures cost the most and where every trajectory costs the same; with
# these 300 levels lead to probabilities down to some 1e-120
_RULE = Rule(share=(2, 5), waiting=(256, 10), most=300, dwarfed=1e-3)
# a late entrance is never given less than this of the best one's chance
_LEAST_CHANCE = 0.02
_GROUPS = 16
# of those that have fallen so many levels back one in ten goes on: thence about one in 250 of the successful ones come
_RETREAT = 6


class SuccessProbability(NamedTuple):
    """Chance of success from the entrance into a level, against the steps taken until then: linear between knots."""

    clocks: Float[np.ndarray, " k"]
    chances: Float[np.ndarray, " k"]

    def __call__(self, clocks: Int[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        return np.interp(clocks, self.clocks, self.chances)


class Levels(NamedTuple):
    """Levels between the start and the target.

    scores: (m,) rising. chances: of success, one function for each level.
    overshoot: how far a step that enters a level comes beyond it, typically, in levels; infinite where the steps are so
        coarse that no more than a few go on.
    reaches: whether trajectories of the pilot came to the target.
    """

    scores: Float[np.ndarray, " m"]
    chances: list[SuccessProbability]
    overshoot: float
    reaches: bool
    path_steps: int

    def bounds(self, thins: bool) -> list[tuple[float, float]]:
        """Of each stage: the level that it leads to, none for the last, and that below which a trajectory falls back.

        thins: whether most of those that do are dropped; else there is no such level.
        """
        below = [-np.inf] * _RETREAT + [float(score) for score in self.scores]
        levels = [*map(float, self.scores), np.inf]
        return [(level, floor if thins else -np.inf) for level, floor in zip(levels, below, strict=False)]


def choose_levels(run: Execution, score: Score, size: int, randomness: np.random.Generator) -> Levels:
    """Levels such that about 40 % of those that stand at one reach the next.

    Each is that quantile of the highest scores of `size` trajectories from the last one. Only states that came so high
    are run again, with the same noise, to see them enter the new level. The levels are random, but independent of all
    that is run afterwards: for that they are fixed.
    """
    spent = run.ledger.path_steps
    pilot = pilot_at_once(run, score, size, randomness, _RULE) or _pilot(run, score, size, randomness)
    overshoot = np.inf if pilot.stalled else _overshoot(pilot)
    return Levels(
        scores=np.array(pilot.levels),
        chances=_success_probabilities(pilot.stages),
        overshoot=overshoot,
        reaches=any(bool(stage.reached.any()) for stage in pilot.stages),
        path_steps=run.ledger.path_steps - spent,
    )


def _pilot(run: Execution, score: Score, size: int, randomness: np.random.Generator) -> Pilot:
    """Level by level."""
    states, clocks = run.states(size), np.zeros(size, np.int64)
    highest = scores(score, states, clocks)
    found: list[float] = []
    stages: list[Entrances] = []
    last = float(highest.min())
    alive, diverged = 1.0, 0.0
    while True:
        run.ledger.start(size)
        ids = np.arange(size) + len(found) * size
        ends, peaks = _climb(run, score, states, highest, clocks, ids, run.steps - clocks, np.inf)
        _check_scores(run, score, ends, clocks)
        reached = ends.code == StopCode.TARGET
        usable = np.where(reached, np.inf, peaks)[~_peaked_at_the_end(score, ends, peaks, highest, clocks)]
        level = _next_level(usable, last)
        diverged += alive * float(np.mean(ends.code == DIVERGED))
        no_higher = np.isinf(level) or level <= last or len(found) == _RULE.most
        if no_higher or alive < _RULE.dwarfed * diverged:
            stages.append(Entrances(highest.mean(), clocks, np.zeros(size, bool), clocks, reached))
            return Pilot(found, stages, bool(level <= last and not reached.any()))
        ahead = highest >= level
        onward = (peaks >= level) | reached
        budgets = np.where(onward & ~ahead, run.steps - clocks, 0)
        again, _ = _climb(run, score, states, highest, clocks, ids, budgets, level)
        passed = ahead | (again.code == StopCode.LEVEL_CROSSED)
        alive *= float(passed.mean())
        stages.append(Entrances(highest.mean(), clocks, passed, clocks + again.step, again.code == StopCode.TARGET))
        found.append(level)
        chosen = _spread(np.flatnonzero(passed), size, randomness)
        states, clocks = again.state[chosen], (clocks + again.step)[chosen]
        highest, last = scores(score, states, clocks), level


def _next_level(peaks: Float[np.ndarray, " n"], last: float) -> float:
    """The quantile of peaks, or where most wait for what lifts few above the last level, the lowest of those."""
    level = float(np.sort(peaks)[-_RULE.rank(len(peaks))]) if len(peaks) else -np.inf
    higher = peaks[peaks > last]
    waits = level <= last and _RULE.waits(len(higher), int(np.isinf(higher).sum()), len(peaks))
    return float(higher.min()) if waits else level


def _peaked_at_the_end(score: Score, ends: Ends, peaks, highest, clocks) -> Bool[np.ndarray, " n"]:
    """Which trajectories had their peak in the state that ended them without success, from which nothing goes on."""
    last = scores(score, ends.state, clocks + ends.step)
    # but for rounding
    in_avoid = (ends.code == StopCode.AVOID) & (peaks > highest) & (peaks - last <= 1e-3 * (peaks - highest))
    return in_avoid | (ends.code == DIVERGED)


def _check_scores(run: Execution, score: Score, ends: Ends, clocks) -> None:
    """A trajectory whose state is finite and whose peak is not met a score that is none."""
    bad = np.flatnonzero((ends.code == DIVERGED) & np.all(np.isfinite(ends.state), axis=1))
    if bad.size:
        state = ends.state[bad[:1]]
        value = scores(score, state, (clocks + ends.step)[bad[:1]])[0]
        raise ValueError(f"score must be finite wherever trajectories come, got {value} at θ = {run.theta(state)[0]}")


def _climb(run: Execution, score: Score, states, highest, clocks, ids, budgets, level: float):
    """Where trajectories end under `level`, and their highest scores."""
    ends, peaks = climb(run, score, (level, -np.inf), (states, ids, clocks, budgets), highest)
    return ends, np.nan_to_num(peaks, nan=-np.inf)


def _spread(rows: np.ndarray, size: int, randomness: np.random.Generator) -> np.ndarray:
    """`size` rows, each as often as any other to within one."""
    return rows[((np.arange(size) + randomness.random()) * len(rows) / size).astype(np.int64)]


def _overshoot(pilot: Pilot) -> float:
    if len(pilot.levels) < 2:
        return 0.0
    beyond = np.array([stage.score for stage in pilot.stages[1:]]) - pilot.levels
    return float(np.quantile(beyond[:-1] / np.diff(pilot.levels), 0.75))


def _success_probabilities(stages: list[Entrances]) -> list[SuccessProbability]:
    """Backwards from the target: the chance from a level is the mean of the chances from the next one's entrances."""
    chances: list[SuccessProbability] = []
    for stage in reversed(stages[1:]):
        onward = chances[-1](stage.entered) if chances else np.zeros(len(stage.clocks))
        chances.append(
            _success_probability(stage.clocks, np.where(stage.reached, 1.0, np.where(stage.passed, onward, 0.0)))
        )
    return chances[::-1]


def _success_probability(clocks: np.ndarray, chances: np.ndarray) -> SuccessProbability:
    """A falling line through the means of equally large groups of neighbouring clocks."""
    order = np.argsort(clocks, kind="stable")
    groups = [
        np.array([values[rows].mean() for rows in np.array_split(order, _GROUPS)]) for values in (clocks, chances)
    ]
    at, fitted = groups[0], isotonic_regression(groups[1], increasing=False).x
    return SuccessProbability(at, np.maximum(fitted, _LEAST_CHANCE * fitted[0]) if fitted[0] > 0 else np.ones(len(at)))
