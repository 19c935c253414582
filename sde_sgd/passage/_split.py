"""A whole run of splitting: levels, repetitions until they are enough, and what to say about it."""

import math
from typing import Any, NamedTuple

import numpy as np

from .._errors import positive_integer
from ._excursions import Excursions
from ._levels import Levels, choose_levels
from ._problem import Problem
from ._recycled import RecycledFirstPassage
from ._refine import can_be_refined, refined
from ._score import scores
from ._settle import Settling, settle
from ._split_result import SplitFirstPassage
from ._splitting import Repetitions, Tally, merge, population_size

_SMALLEST = 8
_PILOT_SIZE = 2_048
_REPETITIONS = 32
# repetitions of a batch; with `rtol=` the first two batches only tell how many more it takes
_BATCH, _SIZING = 16, 2
# so many times the repetitions that their spread asks for: it is known to some 20 %
_MARGIN = 1.25
# where steps enter a level further beyond it, in levels, they are taken in parts
_OVERSHOOT = 0.6
# share of the probability in a sixteenth of the repetitions; with a spread of 1, as of an exponential law, 32 of them
# have 0.22 on average, and more than this once in a hundred times
_UNEVEN = 1 / 3
# what still runs when the budget is spent, over what has reached the target
_UNDECIDED = 0.01

Found = SplitFirstPassage | RecycledFirstPassage


def split(problem: Problem, trajectories: int, repetitions: int | None, spent: int) -> Found:
    """So many trajectories in all, in independent repetitions. spent: path-steps that went before."""
    if repetitions is None:
        repetitions = max(2, min(_REPETITIONS, trajectories // 64))
    positive_integer("repetitions", repetitions)
    if trajectories < _SMALLEST * repetitions:
        raise ValueError(
            f"trajectories must be at least {_SMALLEST} for each of {repetitions} repetitions of splitting, "
            f"got {trajectories}"
        )
    plan = prepare(problem, trajectories // repetitions)
    return _result(plan, plan.run(repetitions), plan.note, spent)


def split_until(problem: Problem, rtol: float, budget: int, spent: int) -> Found:
    """Repetitions until the interval is narrow enough, or `budget` trajectories were started over all levels.

    How many it takes is told by repetitions that are then dropped. Kept, they would bias the answer: those that came
    out low also show a small spread, and would be thought enough.
    """
    plan = prepare(problem, None)
    run, note = plan.run, plan.note
    most = max(1, budget // (_BATCH * run.size * run.stages) - _SIZING)
    sizing = run(_SIZING * _BATCH)
    needed = _needed(_result(plan, sizing, note, 0), rtol)
    batches = min(most, math.ceil(_MARGIN * (needed or len(sizing.exposure)) / _BATCH))
    tally = run(batches * _BATCH)
    spent += sizing.path_steps
    while True:
        found = _result(plan, tally, note, spent)
        needed = _needed(found, rtol)
        # where nothing was seen, more of the same will not help
        if needed is None or needed <= found.repetitions:
            return found
        if batches == most:
            note = (
                f"budget spent: max_trajectories = {budget} reached before rtol = {rtol}, with {found.repetitions} "
                "repetitions"
            )
            return _result(plan, tally, note, spent)
        batches += 1
        tally = merge([tally, run(_BATCH)])


def _needed(found: Found, rtol: float) -> int | None:
    """How many repetitions like these make the interval that narrow; None where the target was never reached."""
    asked = found.probability if isinstance(found, SplitFirstPassage) else found.exit_rate
    if asked.value == 0:
        return None
    width = float(asked.relative_half_width)
    return math.ceil(found.repetitions * (width / rtol) ** 2) if math.isfinite(width) else 2 * found.repetitions


class Plan(NamedTuple):
    """What runs repetitions of a passage, what is to be said about them, and the path-steps that it took to know.

    settling: for a mean time, whose repetitions are those of excursions.
    """

    problem: Problem
    run: Repetitions
    note: str
    settling: Settling | None
    path_steps: int


def prepare(problem: Problem, size: int | None) -> Plan:
    """The levels of a passage, or for a mean time those of the excursions that end in it.

    size: trajectories of a repetition; None for as many as the levels ask for.
    """
    randomness = np.random.default_rng([problem.seed & 0xFFFFFFFF, problem.seed >> 32])
    if not problem.mean_time:
        run, cost = _between_levels(problem, size, randomness)
        return Plan(problem, run, "complete", None, cost)
    settling = settle(problem)
    excursions = Excursions(problem, settling)
    begun = excursions.pilot(_PILOT_SIZE)
    ahead = excursions.ahead(begun.states if len(begun.states) else problem.starts)
    run, cost = _between_levels(ahead, size, randomness, excursions)
    note = "complete" if settling.settled else f"not settled: the law still changed after {settling.steps} steps"
    return Plan(ahead, run, note, settling, settling.path_steps + begun.path_steps + cost)


def _between_levels(
    problem: Problem, size: int | None, randomness: np.random.Generator, excursions: Excursions | None = None
) -> tuple[Repetitions, int]:
    """What runs repetitions, of `size` trajectories or as many as its levels ask for, and the path-steps it took.

    Where steps are coarse, each is taken in so many parts that entrances fall close to their level: what comes of
    trajectories that enter far apart differs too much for their mean to be known.
    """
    fine, shift, pilots = problem, 0, []
    while True:
        levels = choose_levels(fine.derived(1), _PILOT_SIZE, randomness)
        pilots.append(levels)
        enough = levels.overshoot < _OVERSHOOT or _astray(pilots)
        if enough or not can_be_refined(problem, shift + 1):
            size = size or population_size(levels)
            cost = sum(each.path_steps for each in pilots)
            return Repetitions(fine.derived(2), levels, size, randomness, excursions), cost
        shift += 1
        fine = refined(problem, shift)


def _astray(pilots: list[Levels]) -> bool:
    """Whether steps in parts lead further up a score that does not end in the target, instead of nearer to its levels.

    Then the overshoot rises, or the last pilot costs more than twice what so many parts of the first one's steps would.
    """
    dearest = 2 ** len(pilots) * pilots[0].path_steps
    return pilots[-1].overshoot > min(each.overshoot for each in pilots) or pilots[-1].path_steps > dearest


def _result(plan: Plan, tally: Tally, note: str, spent: int) -> Found:
    problem, run = plan.problem, plan.run
    told: dict[str, Any] = problem.told | {
        "method": "splitting",
        "result": _told(problem, note, tally) if tally.weights.size else _nothing(problem, run.levels, tally),
        "path_steps": spent + plan.path_steps + tally.path_steps,
        "diverged": tally.lost,
    }
    found = SplitFirstPassage(
        steps=tally.steps // run.problem.parts,
        weights=tally.weights,
        owner=tally.owner,
        levels=run.levels.scores,
        passed=tally.passed,
        undecided=tally.diverged + tally.undecided,
        exposure=tally.exposure * run.problem.time_step,
        size=run.size,
        score=problem.score.name,
        avoids=problem.avoids,
        **told,
    )
    if plan.settling is None:
        return found
    return RecycledFirstPassage(excursions=found, settling_time=plan.settling.steps * problem.time_step, **told)


def _told(problem: Problem, result: str, tally: Tally) -> str:
    """The result, and a warning where the answer may be far off.

    That is where few repetitions hold most of the probability, as more may be where none has been, or where the budget
    cut off much.
    """
    values = np.sort(tally.passed[:, -1])[::-1]
    cut = tally.undecided.sum() / values.sum()
    if result == "complete" and cut > _UNDECIDED:
        result = (
            f"undecided: after max_steps = {problem.steps} {cut:.2g} times as much of the probability still ran as had "
            "reached the target, and the interval leaves it open; give more max_steps"
        )
    few = math.ceil(len(values) / 16)
    share = values[:few].sum() / values.sum()
    if len(values) < 16 or share < _UNEVEN:
        return result
    uneven = (
        f"uneven: {few} of {len(values)} repetitions hold {share:.0%} of the probability, which may be far too low; "
        "give more trajectories, or a score= that follows the way to the target, such as scores.path"
    )
    return uneven if result == "complete" else f"{result}; {uneven}"


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
