"""A whole run of splitting: levels, repetitions until they are enough, and what to say about it."""

import math
from typing import Any

import numpy as np

from .._errors import positive_integer
from ._levels import Levels, choose_levels
from ._problem import Problem
from ._refine import can_be_refined, refined
from ._score import scores
from ._split_result import SplitFirstPassage
from ._splitting import Repetitions, Tally, merge, population_size, repetitions_for

_SMALLEST = 8
_PILOT_SIZE = 2_048
_REPETITIONS = 32
# repetitions of a batch; with `rtol=` the first two batches only tell how many more it takes
_BATCH, _SIZING = 16, 2
# so many times the repetitions that their spread asks for: it is known to some 20 %
_MARGIN = 1.25
# where steps enter a level further beyond it, in levels, they are taken in parts
_OVERSHOOT = 0.6


def split(problem: Problem, trajectories: int, repetitions: int | None, spent: int) -> SplitFirstPassage:
    """So many trajectories in all, in independent repetitions. spent: path-steps that went before."""
    if repetitions is None:
        repetitions = max(2, min(_REPETITIONS, trajectories // 64))
    positive_integer("repetitions", repetitions)
    if trajectories < _SMALLEST * repetitions:
        raise ValueError(
            f"trajectories must be at least {_SMALLEST} for each of {repetitions} repetitions of splitting, "
            f"got {trajectories}"
        )
    run, prepared = _prepare(problem, trajectories // repetitions)
    return _result(problem, run, run(repetitions), "complete", spent + prepared)


def split_until(problem: Problem, rtol: float, budget: int, spent: int) -> SplitFirstPassage:
    """Repetitions until the interval is narrow enough, or `budget` trajectories were started over all levels.

    How many it takes is told by repetitions that are then dropped. Kept, they would bias the answer: those that came
    out low also show a small spread, and would be thought enough.
    """
    run, prepared = _prepare(problem, None)
    most = max(1, budget // (_BATCH * run.size * run.stages) - _SIZING)
    sizing = merge([run(_BATCH) for _ in range(_SIZING)])
    needed = repetitions_for(sizing.values, rtol, problem.level) or len(sizing.values)
    batches = min(most, math.ceil(_MARGIN * needed / _BATCH))
    tally = merge([run(_BATCH) for _ in range(batches)])
    while not (tight := _is_tight(tally, rtol, problem.level)) and batches < most:
        batches += 1
        tally = merge([tally, run(_BATCH)])
    result = "complete"
    if not tight:
        number = len(tally.values)
        result = f"budget spent: max_trajectories = {budget} reached before rtol = {rtol}, with {number} repetitions"
    return _result(problem, run, tally, result, spent + prepared + sizing.path_steps)


def _is_tight(tally: Tally, rtol: float, level: float) -> bool:
    needed = repetitions_for(tally.values, rtol, level)
    # where nothing was seen, more of the same will not help
    return needed is None or needed <= len(tally.values)


def _prepare(problem: Problem, size: int | None) -> tuple[Repetitions, int]:
    """What runs repetitions, of `size` trajectories or as many as its levels ask for, and the path-steps it took.

    Where steps are coarse, each is taken in so many parts that entrances fall close to their level: what comes of
    trajectories that enter far apart differs too much for their mean to be known.
    """
    randomness = np.random.default_rng([problem.seed & 0xFFFFFFFF, problem.seed >> 32])
    fine, shift, spent = problem, 0, 0
    while True:
        levels = choose_levels(fine.derived(1), _PILOT_SIZE, randomness)
        spent += levels.path_steps
        if levels.overshoot < _OVERSHOOT or not can_be_refined(problem, shift + 1):
            return Repetitions(fine.derived(2), levels, size or population_size(levels), randomness), spent
        shift += 1
        fine = refined(problem, shift)


def _result(problem: Problem, run: Repetitions, tally: Tally, result: str, spent: int) -> SplitFirstPassage:
    told: dict[str, Any] = problem.told
    return SplitFirstPassage(
        steps=tally.steps // (run.problem.steps // problem.steps),
        weights=tally.weights,
        owner=tally.owner,
        levels=run.levels.scores,
        passed=tally.passed,
        undecided=tally.diverged + tally.undecided,
        exposure=tally.exposure * run.problem.time_step,
        size=run.size,
        avoids=problem.avoids,
        diverged=tally.lost,
        method="splitting",
        result=result if tally.weights.size else _nothing(problem, run.levels, tally),
        path_steps=spent + tally.path_steps,
        **told,
    )


def _nothing(problem: Problem, levels: Levels, tally: Tally) -> str:
    """Why no trajectory reached the target, as far as can be told, and what to try."""
    alive = int(np.sum(np.any(tally.passed > 0, axis=0)))
    start = float(scores(problem.score, problem.starts[:1], np.zeros(1, np.int64))[0])
    place = f"{levels.scores[alive - 1]:.6g}" if alive else f"{start:.6g}, that of the start"
    limit = "max_steps" if problem.open_ended else "the horizon"
    return (
        f"target not reached: no trajectory came past score {place}; the probability has an upper bound only. Either "
        f"the target cannot be reached, or not within {limit} of {problem.steps} steps, or the score does not grow "
        "along the way there: give a longer horizon, more trajectories, or a score= that does"
    )
