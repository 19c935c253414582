"""Direct Monte Carlo: a fixed number of trajectories, or inverse binomial sampling to a precision."""

import math

import numpy as np

from ..engine import DIVERGED, StopCode, StopTimes
from ..results import Status, Verdict
from ..statistics import normal_width
from ._direct_sample import DirectSample
from ._execution import Execution
from ._method import AbstractMethod, Answer
from ._question import Effort, Question

# the first batch of a run to a precision
BATCH = 1024
# so many that diverged are no accident
_FEW_DIVERGED = 5


class Direct(AbstractMethod):
    """Every trajectory from the start to its end: exact intervals, for passages that are not rare.

    With `rtol=` trajectories run in the order of their ids until a fixed number of them has reached the target, so that
    the interval stays exact (inverse binomial sampling: Haldane, Biometrika 33, 222, 1945).
    """

    def answer(self, question: Question, run: Execution, effort: Effort) -> Answer:
        if effort.rtol is not None:
            return _until(question, run, effort.rtol)
        return found(question, run.run(effort.ids), Verdict())


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
    return Answer("direct", sample, verdict)


def _until(question: Question, run: Execution, rtol: float) -> Answer:
    needed = math.ceil((normal_width(question.confidence) / rtol) ** 2) + 2
    parts: list[StopTimes] = []
    done = reached = 0
    while reached < needed and run.ledger.left > 0 and not _hopeless(parts, rtol):
        wanted = math.ceil(1.1 * (needed - reached) * (done + 1) / (reached + 1)) if done else 0
        more = int(min(max(wanted, BATCH), 4 * max(done, BATCH), run.ledger.left))
        parts.append(run.run(range(done, done + more)))
        done += more
        reached += int(np.sum(parts[-1].code == StopCode.TARGET))
    step, code = (np.concatenate([getattr(part, name) for part in parts]) for name in ("step", "code"))
    if reached < needed:
        reason = f"max_trajectories = {run.ledger.limit} reached before rtol = {rtol}"
        if run.ledger.left > 0:
            reason = f"no number of trajectories gives rtol = {rtol} where so many diverge, and {done} were run"
        return found(question, StopTimes(step, code, 0), Verdict(((Status.BUDGET_SPENT, reason),)))
    # sampling ends with the trajectory that makes the number full; later ones were run but not asked for
    end = int(np.flatnonzero(code == StopCode.TARGET)[needed - 1]) + 1
    return found(question, StopTimes(step[:end], code[:end], 0), Verdict(), needed)


def _hopeless(parts: list[StopTimes], rtol: float) -> bool:
    """Whether those that diverged alone make the interval wider than twice what is asked for."""
    counts = [int(sum(np.sum(part.code == code) for part in parts)) for code in (DIVERGED, StopCode.TARGET)]
    return counts[0] >= _FEW_DIVERGED and counts[0] > 4 * rtol * max(counts[1], 1)
