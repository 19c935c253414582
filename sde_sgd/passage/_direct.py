"""Direct Monte Carlo: a fixed number of trajectories, or inverse binomial sampling to a precision."""

import math

import numpy as np

from ..engine import DIVERGED, StopCode, StopTimes
from ..results import Status, Verdict
from ..statistics import excess_shape, normal_width, tail_index
from ._direct_sample import DirectSample
from ._evidence import AbstractEvidence
from ._execution import Execution
from ._far_out import late_from_far_out
from ._method import AbstractMethod, Answer
from ._question import Effort, Question

# the first batch of a run to a precision
BATCH = 1024
# so many that diverged are no accident
_FEW_DIVERGED = 5
# passages from which on a tail without variance is told from an exponential one, the index of a power law up to which
# it has none, and standard errors that it may be larger
_TELLING, _NO_VARIANCE, _ERRORS = 384, 2.0, 1.5
# shape of the excesses below which they are taken for exponential: that of a law without a variance is 1/2 or more
_EXPONENTIAL = 0.3
# a tail that may be heavy, of which one passage in a thousand may tell, is looked at in so many times the passages:
# one of a smaller index, whose excesses have a larger shape; of 400 exponential times 1.75 % look so
_WATCHED, _SUSPECT_INDEX, _SUSPECT_SHAPE = 8, 3.0, 0.15
# one of so many may still run after all its steps without being the answer's end
_FEW_ENDLESS = 16
# passages beyond those that a width asks for, since it is not known well
_MORE = 1.1


class Direct(AbstractMethod):
    """Every trajectory from the start to its end: exact intervals, for passages that are not rare.

    With `rtol=` trajectories run in the order of their ids until a fixed number of them has reached the target, so that
    the interval stays exact (inverse binomial sampling: Haldane, Biometrika 33, 222, 1945). Without a horizon and a set
    to avoid all reach it, and `rtol` is of the mean time: as many more run as the spread of their times asks for.
    """

    def answer(self, question: Question, run: Execution, effort: Effort) -> Answer:
        if effort.rtol is not None:
            answer = _until(question, run, effort.rtol)
        else:
            answer = found(question, run.run(effort.ids), Verdict())
        return answer if effort.replays else _seen_far_out(question, run, answer)


def found(
    question: Question, stops: StopTimes, verdict: Verdict, stopped_at: int | None = None, steps: int = 0
) -> Answer:
    """The answer that stops make. steps: of the watch, where it was not that of the question."""
    steps = steps or question.steps
    running = int(np.sum(stops.code == StopCode.RUNNING))
    if question.open_ended and running:
        reason = f"{running} of {len(stops.code)} still running after max_steps = {steps}"
        verdict = verdict.also(Status.BUDGET_SPENT, reason)
    sample = DirectSample(question.watch(steps), stops.step, stops.code.astype(np.int64), stopped_at)
    heavy = _heavy_tail(sample) if question.mean_time else ""
    return Answer("direct", sample, verdict.also(Status.UNEVEN, heavy) if heavy else verdict)


def _seen_far_out(question: Question, run: Execution, answer: Answer) -> Answer:
    """The answer with what was found of a mean time that no sample shows."""
    if not question.mean_time or answer.verdict.findings:
        return answer
    assert isinstance(answer.evidence, DirectSample)
    late = late_from_far_out(question, run, answer.evidence)
    return answer._replace(verdict=answer.verdict.also(Status.UNEVEN, late)) if late else answer


def _tail(sample: DirectSample) -> tuple[int, float, float]:
    """How many passages are its longest, the index of the power law as which they fall off, and their excesses' shape.

    Of two kinds of trajectories the slower make a heavy tail by the index, and not by the shape. Of few none is told.
    """
    times = sample.exit_times[np.isfinite(sample.exit_times)]
    if len(times) < _TELLING:
        return 0, math.inf, 0.0
    longest = math.ceil(math.sqrt(len(times)))
    return longest, tail_index(times, longest), excess_shape(times, longest)


def _heavy_tail(sample: DirectSample) -> str:
    """In words, where the longest passages fall off as those of a law without a variance, else nothing."""
    longest, index, shape = _tail(sample)
    error = index / math.sqrt(max(longest, 1))
    if index - _ERRORS * error > _NO_VARIANCE or shape < _EXPONENTIAL:
        return ""
    times = np.sort(sample.exit_times[np.isfinite(sample.exit_times)])
    return (
        f"the longest {longest} of {len(times)} passages hold {times[-longest:].sum() / times.sum():.0%} of the mean "
        f"time and fall off as a power law of index {index:.2g} ± {error:.2g}, which up to {_NO_VARIANCE:g} has no "
        "variance: its interval holds too seldom, and the mean time may be far too low; give a horizon, since "
        "probabilities by a time are sure"
    )


def _may_be_heavy(sample: AbstractEvidence) -> bool:
    """Whether more passages are to tell."""
    assert isinstance(sample, DirectSample)
    _, index, shape = _tail(sample)
    return index < _SUSPECT_INDEX and shape > _SUSPECT_SHAPE


def _until(question: Question, run: Execution, rtol: float) -> Answer:
    """Until the interval of the probability is narrow enough, or of the mean time where that is asked."""
    passages = math.ceil((normal_width(question.confidence) / rtol) ** 2) + 2
    parts: list[StopTimes] = []
    most = _WATCHED * passages
    while True:
        _run_until(passages, parts, question, run, rtol)
        answer = _of_passages(passages, parts, question, run, rtol)
        if not question.mean_time or answer.evidence.diverged or answer.verdict.status == Status.BUDGET_SPENT:
            return answer
        width = float(answer.evidence.mean_exit_time.relative_half_width)
        if passages < most and _may_be_heavy(answer.evidence):
            passages = most
        elif width <= rtol:
            return answer
        elif answer.verdict.findings:
            words = f"{passages} passages gave {width:.3g} and not rtol = {rtol}"
            return answer._replace(verdict=answer.verdict.also(Status.BUDGET_SPENT, words))
        else:
            # times that differ more than those of an exponential law
            passages = math.ceil(_MORE * passages * (width / rtol) ** 2)


def _run_until(passages: int, parts: list[StopTimes], question: Question, run: Execution, rtol: float) -> None:
    """More `parts`, until so many trajectories have passed, or that is not to be had."""
    done, reached = sum(len(part.code) for part in parts), _count(parts, StopCode.TARGET)
    # where all pass no more are needed than are asked for
    at_least = 1 if question.mean_time else BATCH
    while reached < passages and run.ledger.left > 0 and not (_hopeless(parts, rtol) or _endless(question, parts)):
        wanted = passages - reached
        if reached < done:
            wanted = math.ceil(1.1 * wanted * (done + 1) / (reached + 1))
        more = int(min(max(wanted, at_least), 4 * max(done, BATCH), run.ledger.left))
        parts.append(run.run(range(done, done + more)))
        done, reached = done + more, reached + _count(parts[-1:], StopCode.TARGET)


def _of_passages(passages: int, parts: list[StopTimes], question: Question, run: Execution, rtol: float) -> Answer:
    """The answer of trajectories up to the one that makes the passages so many, or of all with why there are fewer."""
    step, code = (np.concatenate([getattr(part, name) for part in parts]) for name in ("step", "code"))
    reached = np.flatnonzero(code == StopCode.TARGET)
    if len(reached) >= passages:
        # later ones were run but not asked for
        end = int(reached[passages - 1]) + 1
        return found(question, StopTimes(step[:end], code[:end], 0), Verdict(), passages)
    if _endless(question, parts):
        return found(question, StopTimes(step, code, 0), Verdict())
    reason = f"max_trajectories = {run.ledger.limit} reached before rtol = {rtol}"
    if run.ledger.left > 0:
        reason = f"no number of trajectories gives rtol = {rtol} where so many diverge, and {len(code)} were run"
    return found(question, StopTimes(step, code, 0), Verdict(((Status.BUDGET_SPENT, reason),)))


def _hopeless(parts: list[StopTimes], rtol: float) -> bool:
    """Whether those that diverged alone make the interval wider than twice what is asked for."""
    diverged = _count(parts, DIVERGED)
    return diverged >= _FEW_DIVERGED and diverged > 4 * rtol * max(_count(parts, StopCode.TARGET), 1)


def _endless(question: Question, parts: list[StopTimes]) -> bool:
    """Whether without a horizon so many still ran after all their steps that more trajectories would not help."""
    return question.open_ended and _count(parts, StopCode.RUNNING) * _FEW_ENDLESS > sum(
        len(part.code) for part in parts
    )


def _count(parts: list[StopTimes], code: int) -> int:
    return int(sum(np.sum(part.code == code) for part in parts))
