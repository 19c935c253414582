"""A whole run of splitting: levels, repetitions until they are enough, and what to say about it."""

import math
from typing import NamedTuple

import numpy as np

from ..._errors import positive_integer
from ..._progress import stage
from ...random import Stream
from ...results import Status, Verdict
from .._execution import BudgetSpent, Execution
from .._method import Answer
from .._question import Question
from ._account import Tally, merge
from ._choice import ChosenScore
from ._climb import BackHome
from ._equilibration import Equilibration, NotRare, equilibrate
from ._excursions import Excursions, StepsFromHome, WayHome, may_jump
from ._levels import Levels, choose_levels
from ._repetitions import LARGEST, Repetitions, population_size
from ._sample import SplittingSample
from ._score import Score, scores
from ._second_score import held_against
from ._steady_state import SteadyStateSample
from ._substeps import can_have_substeps, with_substeps

_SMALLEST = 8
_PILOT_SIZE = 2_048
_REPETITIONS = 32
# repetitions of a batch; with `rtol=` the first two batches only tell how many more it takes
_BATCH, _SIZING = 16, 2
# where those differ by more than so much, relative to their mean, each has so many times as many trajectories
_SPREAD, _LARGER = 1.0, 4
# so many times the repetitions that their spread asks for: it is known to some 20 %
_MARGIN = 1.25
# where steps enter a level further beyond it, in levels, they are taken in substeps
_OVERSHOOT = 0.6
# share of the probability in a sixteenth of the repetitions; with a spread of 1, as of an exponential law, 32 of them
# have 0.22 on average, and more than this once in a hundred times
_UNEVEN = 1 / 3
# what still runs when the budget is spent, over what has reached the target
_UNDECIDED = 0.01


class Plan(NamedTuple):
    """What runs repetitions of a passage, and what is to be said about them beforehand.

    equilibration: for a mean time, whose repetitions are those of excursions. way_home: what comes before the first.
    """

    question: Question
    repetitions: Repetitions
    verdict: Verdict
    equilibration: Equilibration | None
    way_home: WayHome = WayHome()


def split(
    question: Question, run: Execution, chosen: ChosenScore, trajectories: int, repetitions: int | None, settled: bool
) -> Answer:
    """So many trajectories in all, in independent repetitions.

    chosen: the score. settled: asks for the rate of those that have settled, of a question without horizon.
    """
    if repetitions is None:
        repetitions = max(2, min(_REPETITIONS, trajectories // 64))
    positive_integer("repetitions", repetitions)
    if trajectories < _SMALLEST * repetitions:
        raise ValueError(
            f"trajectories must be at least {_SMALLEST} for each of {repetitions} repetitions of splitting, "
            f"got {trajectories}"
        )
    plan = prepare(question, run, chosen.score, trajectories // repetitions, settled)
    stage("repetitions")
    return _checked(plan, plan.repetitions(repetitions), run, chosen)


def split_until(question: Question, run: Execution, chosen: ChosenScore, rtol: float, settled: bool) -> Answer:
    """Repetitions until the interval is narrow enough, or as many trajectories were started as may be.

    chosen, settled: as in `split`.

    How many it takes is told by repetitions that are then dropped. Kept, they would bias the answer: those that came
    out low also show a small spread, and would be thought enough. BudgetSpent where not even a batch of those that are
    kept can be run.
    """
    ledger = run.ledger
    with ledger.half():
        plan = prepare(question, run, chosen.score, None, settled)
    repeat = plan.repetitions
    batch = _BATCH * repeat.starts
    if ledger.left < (_SIZING + 1) * batch:
        raise BudgetSpent
    stage("sizing")
    sizing = repeat(_SIZING * _BATCH)
    while _differ_much(sizing) and repeat.size * _LARGER <= LARGEST and ledger.left >= 4 * _LARGER * _SIZING * batch:
        repeat.size *= _LARGER
        batch *= _LARGER
        sizing = repeat(_SIZING * _BATCH)
    needed = _needed(_answer(plan, sizing), rtol)
    batches = min(int(ledger.left // batch), math.ceil(_MARGIN * (needed or len(sizing.exposure)) / _BATCH))
    stage("repetitions")
    tally = repeat(batches * _BATCH)
    while True:
        answer = _answer(plan, tally)
        needed = _needed(answer, rtol)
        # where nothing was seen, more of the same will not help
        if needed is None or needed <= len(tally.exposure):
            return _checked(plan, tally, run, chosen, _SIZING * _BATCH)
        if ledger.left < batch:
            reason = (
                f"max_trajectories = {ledger.limit} reached before rtol = {rtol}, with {len(tally.exposure)} "
                "repetitions"
            )
            return _checked(
                plan._replace(verdict=Verdict(((Status.BUDGET_SPENT, reason),))), tally, run, chosen, _SIZING * _BATCH
            )
        tally = merge([tally, repeat(_BATCH)])


def _needed(answer: Answer, rtol: float) -> int | None:
    """How many repetitions like these make the interval that narrow; None where the target was never reached."""
    evidence = answer.evidence
    if isinstance(evidence, SteadyStateSample):
        asked, repetitions = evidence.exit_rate, evidence.repetitions
    else:
        assert isinstance(evidence, SplittingSample)
        asked, repetitions = evidence.probability, evidence.repetitions
    if asked.value == 0:
        return None
    width = float(asked.relative_half_width)
    return math.ceil(repetitions * (width / rtol) ** 2) if math.isfinite(width) else 2 * repetitions


def prepare(question: Question, run: Execution, score: Score, size: int | None, settled: bool) -> Plan:
    """The levels of a passage, or for the rate of those that have `settled` those of the excursions that end in it.

    size: trajectories of a repetition; None for as many as the levels ask for. NotRare where of a mean time hardly any
    trajectory is left to settle.
    """
    randomness = np.random.default_rng([run.seed & 0xFFFFFFFF, run.seed >> 32])
    if not settled:
        return Plan(question, repetitions_of(run, score, size, randomness, None), Verdict(), None)
    stage("equilibration")
    equilibration = equilibrate(run, score)
    if question.mean_time and equilibration.hardly_any:
        raise NotRare
    repetitions = repetitions_of(run, score, size, randomness, equilibration)
    reason = f"the law still changed after {equilibration.steps} steps"
    verdict = Verdict() if equilibration.settled else Verdict(((Status.NOT_SETTLED, reason),))
    way_home = repetitions.way_home() if question.mean_time else WayHome()
    return Plan(question, repetitions, verdict, equilibration, way_home)


def repetitions_of(
    run: Execution,
    score: Score,
    size: int | None,
    randomness: np.random.Generator,
    equilibration: Equilibration | None,
    pilot: int = _PILOT_SIZE,
) -> Repetitions:
    """What runs repetitions of a passage, or of the excursions of those that have settled; pilot: its trajectories."""
    if equilibration is None:
        anywhere = run._replace(monitor=BackHome.nowhere(run, score))
        return _between_levels(anywhere, score, size, randomness, None, pilot)
    kind = StepsFromHome if may_jump(run.chain) else Excursions
    excursions = kind(run, score, equilibration)
    passage = excursions.passage_from_excursion(excursions.pilot(pilot).states)
    return _between_levels(passage, score, size, randomness, excursions, pilot)


def _between_levels(
    run: Execution,
    score: Score,
    size: int | None,
    randomness: np.random.Generator,
    excursions: Excursions | None,
    pilot: int,
) -> Repetitions:
    """What runs repetitions, of `size` trajectories or as many as its levels ask for.

    Where steps are coarse, each is taken in so many substeps that entrances fall close to their level: what comes of
    trajectories that enter far apart differs too much for their mean to be known. Excursions then begin with each step,
    unless none of those leads to the target: then it is the levels that are close, and not the steps that are large.
    """
    stage("levels")
    fine, fine_score, log2_substeps, pilots = run, score, 0, []
    every = None if excursions is None or isinstance(excursions, StepsFromHome) else excursions.with_every_step()
    while True:
        levels = choose_levels(fine.derived(Stream.LEVELS), fine_score, pilot, randomness)
        coarse = levels.overshoot >= _OVERSHOOT
        if coarse and every is not None:
            passage = every.passage_from_excursion(every.pilot(pilot).states)
            found = _between_levels(passage, score, size, randomness, every, pilot)
            if found.levels.reaches:
                return found
            every = None
        pilots.append(levels)
        enough = not coarse or _leads_astray(pilots)
        if enough or not can_have_substeps(run, log2_substeps + 1):
            return Repetitions(fine, fine_score, levels, size or population_size(levels), randomness, excursions)
        log2_substeps += 1
        fine, fine_score = with_substeps(run, score, log2_substeps)


def _leads_astray(pilots: list[Levels]) -> bool:
    """Whether substeps lead further up a score that does not end in the target, instead of nearer to its levels.

    Then the overshoot rises, or the last pilot costs more than twice what so many substeps of the first one's steps
    would.
    """
    dearest = 2 ** len(pilots) * pilots[0].path_steps
    return pilots[-1].overshoot > min(pilot.overshoot for pilot in pilots) or pilots[-1].path_steps > dearest


def _checked(plan: Plan, tally: Tally, run: Execution, chosen: ChosenScore, sizing: int = 0) -> Answer:
    """The answer, why its score was taken, and what another score finds beside it.

    sizing: repetitions that told how many the answer takes.
    """
    if chosen.other is None:
        return _answer(plan, tally, chosen.reason)
    other, own = chosen.other, plan.repetitions
    run = run.derived(Stream.SECOND_SCORE)
    randomness = np.random.default_rng([run.seed & 0xFFFFFFFF, run.seed >> 32, Stream.SECOND_SCORE])
    equilibration = plan.equilibration and plan.equilibration.seen_by(other)
    size = None if sizing else own.size

    def make(pilot: int) -> Repetitions:
        return repetitions_of(run, other, size, randomness, equilibration, pilot)

    check = held_against(chosen.other_name, make, own, tally, sizing, rate=equilibration is not None)
    answer = _answer(plan, tally, chosen.reason, check.words)
    if check.more is None:
        return answer
    reason = (
        f"score {chosen.other_name!r} finds {check.more} score {own.score.name!r}, by which the answer was found: "
        "there is more than it has seen, along a way on which it does not grow; give a score= that grows on every way"
    )
    return answer._replace(verdict=Verdict(((Status.DISAGREEING, reason), *answer.verdict.findings)))


def _answer(plan: Plan, tally: Tally, reason: str = "", check: str = "") -> Answer:
    question, repeat = plan.question, plan.repetitions
    if tally.weights.size:
        verdict = _verdict(question, plan.verdict, tally)
    else:
        verdict = Verdict(((Status.TARGET_NOT_REACHED, _why_not_reached(question, repeat, tally)),))
    sample = SplittingSample(
        watch=question.watch(),
        steps=tally.steps // repeat.run.substeps,
        weights=tally.weights,
        repetition=tally.repetition,
        levels=repeat.levels.scores,
        level_probability=tally.level_probability,
        diverging=tally.diverging,
        unfinished=tally.unfinished,
        exposure=tally.exposure * repeat.run.time_step,
        n_diverged=tally.n_diverged,
        trajectories_per_repetition=repeat.size,
        score=repeat.score.name,
        score_reason=reason,
        score_check=check,
        path_steps=repeat.run.ledger.path_steps,
    )
    if plan.equilibration is None:
        return Answer("splitting", sample, verdict)
    known, before = plan.equilibration, plan.way_home
    settled_by, checked, early = (steps * question.time_step for steps in (known.steps, known.checked, before.steps))
    evidence = SteadyStateSample(question.watch(), sample, settled_by, checked, early, before.home, before.walkers)
    return Answer("splitting", evidence, verdict)


def _verdict(question: Question, verdict: Verdict, tally: Tally) -> Verdict:
    """The verdict, with a warning where the answer may be far off.

    That is where few repetitions hold most of the probability, as more may be where none has been, or where the budget
    cut off much.
    """
    cut = tally.unfinished.sum() / tally.level_probability[:, -1].sum()
    if not verdict.findings and cut > _UNDECIDED:
        verdict = verdict.also(
            Status.UNDECIDED,
            f"after max_steps = {question.steps} {cut:.2g} times as much of the probability still ran as had "
            "reached the target, and the interval leaves it open; give more max_steps",
        )
    uneven = _few_hold_most(tally)
    return (
        verdict.also(
            Status.UNEVEN,
            f"{uneven} of the probability, which may be far too low; give more trajectories, or a score= that follows "
            "the way to the target, such as scores.path",
        )
        if uneven
        else verdict
    )


def _differ_much(tally: Tally) -> bool:
    """Whether the spread of repetitions is so large that their mean is far from normal."""
    values = tally.level_probability[:, -1]
    return bool(np.std(values) > _SPREAD * np.mean(values)) or bool(_few_hold_most(tally))


def _few_hold_most(tally: Tally) -> str:
    """In words, where a sixteenth of the repetitions holds more of the probability than chance allows, else nothing."""
    values = np.sort(tally.level_probability[:, -1])[::-1]
    few, total = math.ceil(len(values) / 16), values.sum()
    share = values[:few].sum() / total if total > 0 else 0.0
    return "" if len(values) < 16 or share < _UNEVEN else f"{few} of {len(values)} repetitions hold {share:.0%}"


def _why_not_reached(question: Question, repeat: Repetitions, tally: Tally) -> str:
    """Why no trajectory reached the target, as far as can be told, and what to try."""
    alive = int(np.sum(np.any(tally.level_probability > 0, axis=0)))
    start = float(scores(repeat.score, repeat.run.starts[:1], np.zeros(1, np.int64))[0])
    place = f"{repeat.levels.scores[alive - 1]:.6g}" if alive else f"{start:.6g}, that of the start"
    limit = "max_steps" if question.open_ended else "the horizon"
    return (
        f"no trajectory came past score {place}; the probability has an upper bound only. Either "
        f"the target cannot be reached, or not within {limit} of {question.steps} steps, or the score does not grow "
        "along the way there: give a longer horizon, more trajectories, or a score= that does"
    )
