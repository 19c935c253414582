"""A whole run of splitting: levels, repetitions until they are enough, and what to say about it."""

import math
from typing import NamedTuple

import numpy as np

from .._errors import positive_integer
from ..engine import derived_key
from ._levels import Problem, choose_levels
from ._score import scores
from ._split_result import SplitFirstPassage
from ._splitting import REPETITIONS, Tally, merge, population_size, repetitions_for, run_repetitions

_SMALLEST = 8
_PILOT_SIZE = 2_048
_ROUNDS = 8


class Amount(NamedTuple):
    """How much to run: `trajectories` in `repetitions`, or until `rtol` with at most `budget` trajectories started.

    A trajectory counts once for each level at which it is started.
    """

    trajectories: int | None
    repetitions: int | None
    rtol: float | None
    budget: int


def split(problem: Problem, amount: Amount, level: float, seed: int, told: dict) -> SplitFirstPassage:
    """Run it. told: the fields of the result that the call decides, and `path_steps` already spent."""
    randomness = np.random.default_rng([seed & 0xFFFFFFFF, seed >> 32])
    key = problem.key
    levels = choose_levels(problem._replace(key=derived_key(key, 0)), _PILOT_SIZE, randomness)
    problem = problem._replace(key=derived_key(key, 1))
    if amount.rtol is None:
        size, repetitions = _shares(amount)
    else:
        size, repetitions = population_size(levels), REPETITIONS
    stages = len(levels.scores) + 1
    tallies: list[Tally] = []

    def run(more: int) -> Tally:
        for _ in range(more):
            first = len(tallies) * repetitions * size * stages
            tallies.append(run_repetitions(problem, levels, repetitions, size, first, randomness))
        return merge(tallies)

    tally, result = run(1), "complete"
    if amount.rtol is not None:
        tally, result = _until_precise(run, tally, amount.rtol, level, amount.budget // (repetitions * size * stages))
    if not tally.weights.size:
        result = _nothing(problem, levels, tally)
    fields = {
        "steps": tally.steps,
        "weights": tally.weights,
        "owner": tally.owner,
        "levels": levels.scores,
        "passed": tally.passed,
        "undecided": tally.diverged + tally.undecided,
        "exposure": tally.exposure * told["time_step"],
        "size": size,
        "diverged": tally.lost,
        "level": level,
        "seed": seed,
        "open_ended": problem.open_ended,
        "result": result,
        "path_steps": told["path_steps"] + levels.path_steps + tally.path_steps,
    }
    return SplitFirstPassage(**(told | fields))


def _shares(amount: Amount) -> tuple[int, int]:
    """Trajectories of a repetition, and repetitions."""
    total = amount.trajectories or 0
    repetitions = amount.repetitions
    if repetitions is None:
        repetitions = max(2, min(REPETITIONS, total // 64))
    positive_integer("repetitions", repetitions)
    if total < _SMALLEST * repetitions:
        raise ValueError(
            f"trajectories must be at least {_SMALLEST} for each of {repetitions} repetitions of splitting, got {total}"
        )
    return total // repetitions, repetitions


def _until_precise(run, tally: Tally, rtol: float, level: float, most: int) -> tuple[Tally, str]:
    """Batches of repetitions, as many as the spread of those before asks for, until the interval is narrow enough."""
    done = 1
    for _ in range(_ROUNDS):
        values = tally.passed[:, -1]
        needed = repetitions_for(values, rtol, level)
        if needed is None or needed <= len(values):
            return tally, "complete"
        batches = math.ceil(needed / (len(values) // done))
        if done >= max(most, 1):
            break
        tally, done = run(min(batches, most) - done), min(batches, most)
    values = tally.passed[:, -1]
    needed = repetitions_for(values, rtol, level)
    if needed is not None and needed <= len(values):
        return tally, "complete"
    return tally, f"budget spent: max_trajectories reached before rtol = {rtol}, with {len(values)} repetitions"


def _nothing(problem: Problem, levels, tally: Tally) -> str:
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
