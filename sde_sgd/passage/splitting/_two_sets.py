"""Two rare sets and no horizon: which is reached first, by the rate of each once the law has settled."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..._errors import numbers
from ...engine import DIVERGED, StopCode
from ...random import Stream
from ...results import Status, Verdict
from ...statistics import Estimate, proportion_with_undecided
from .._evidence import AbstractEvidence, reciprocal
from .._execution import Execution
from .._method import Answer
from .._monitor import monitor_for
from .._pilots import LINGERING
from .._question import Question, Watch
from ._asking import COARSE, Asking
from ._sample import SplittingSample
from ._steady_state import SteadyStateSample
from .basins import Part, over_slow_basins

# trajectories that tell how often `avoid` is reached before the law has settled
_EARLY = 4_096
# the law is watched from so many settling times on; before that, passages are early
_WATCHED_FROM = 2
# the share of early passages must be known to a quarter of what is asked of the whole
_PART = 4


class TwoSetsSample(AbstractEvidence):
    """Which of two rare sets is reached first: P = p_B + (1 − p_A − p_B)·k_B/(k_A + k_B), B the target, A `avoid`.

    k_A, k_B are the rates at which settled trajectories reach each set before the other (the Hill relation, as for a
    SteadyStateSample); p_A, p_B the chances to reach it before the law has settled, by direct simulation of A and by
    splitting of B. Their errors are independent, and are combined on the scale of log-odds of the rates.

    Valid where both sets are rare from settled trajectories; `settling_time` is when they are taken to be so.

    to_target, to_avoid: the rate of each. early: the passages to the target before that time. early_avoid: the chance
        that `avoid` was reached by then. told: what was explored around the way, in words.
    """

    found_by: ClassVar[str] = "splitting towards two rare sets (method='splitting' with avoid, without horizon)"
    watch: Watch
    to_target: SteadyStateSample
    to_avoid: SteadyStateSample
    early: SplittingSample
    early_avoid: Estimate
    told: str

    @property
    def trajectories(self) -> int:
        return self.to_target.trajectories + self.to_avoid.trajectories

    @property
    def diverged(self) -> int:
        return self.to_target.diverged + self.to_avoid.diverged + self.early.diverged

    @property
    def reached_target(self) -> bool:
        return self.to_target.reached_target

    @property
    def censored(self) -> int:
        """0: without a horizon nothing is cut off."""
        return 0

    @property
    def settling_time(self) -> float:
        return max(self.to_target.settling_time, self.to_avoid.settling_time)

    @property
    def checked_until(self) -> float:
        """SDE time up to which trajectories were watched for a later change of their law."""
        return min(self.to_target.checked_until, self.to_avoid.checked_until)

    @property
    def surroundings(self) -> str:
        return self.told

    @property
    def probability(self) -> Estimate:
        """P(target reached before `avoid`), from the start."""
        late = share(self.exit_rate, self.avoid_rate)
        soon, never = self.early.probability, self.early_avoid
        left = 1 - float(soon.value) - float(never.value)
        value = float(soon.value) + left * float(late.value)
        # how far the value moves with the end of each interval
        down = (left * _below(late), float(1 - late.value) * _below(soon), float(late.value) * _above(never))
        up = (left * _above(late), float(1 - late.value) * _above(soon), float(late.value) * _below(never))
        low, high = value - np.linalg.norm(down), value + np.linalg.norm(up)
        return Estimate(value, max(float(low), 0.0), min(float(high), 1.0), self.watch.confidence)

    def survival(self, times: Any) -> Estimate:
        """P(target not reached by each time), valid at SDE times that are long against `settling_time`."""
        times = numbers("times", times)
        if not np.all(times >= 0):
            raise ValueError(f"times must be at least 0, got {times}")
        ends, seen = reciprocal(self.mean_end_time), self.probability
        gone = (-np.expm1(-float(rate) * times) for rate in (ends.value, ends.low, ends.high))
        value, low, high = (float(p) * each for p, each in zip((seen.value, seen.low, seen.high), gone, strict=True))
        return Estimate(1 - value, 1 - high, 1 - low, self.watch.confidence)

    @property
    def exit_rate(self) -> Estimate:
        """Passages to the target per unit of SDE time at risk, k_B."""
        return self.to_target.exit_rate

    @property
    def avoid_rate(self) -> Estimate:
        """Passages to `avoid` per unit of SDE time at risk, k_A."""
        return self.to_avoid.exit_rate

    @property
    def mean_exit_time(self) -> Estimate:
        """1/`exit_rate`; see `mean_end_time` for the time until either set is reached."""
        return reciprocal(self.exit_rate)

    @property
    def mean_end_time(self) -> Estimate:
        """Mean SDE time until either set is reached, 1/(k_A + k_B)."""
        one, other = self.exit_rate, self.avoid_rate
        total = float(one.value + other.value)
        low, high = (float(np.hypot(end(one), end(other))) for end in (_below, _above))
        return reciprocal(Estimate(total, max(total - low, 0.0), total + high, self.watch.confidence))

    def details(self):
        return {}

    def attributes(self):
        return {"settling_time": self.settling_time, "rate to avoid": float(self.avoid_rate.value)}


def share(one: Estimate, other: Estimate) -> Estimate:
    """one/(one + other) of two independent rates, with an interval on the scale of log-odds.

    Where one of them has an upper bound only, the ends of both intervals are taken together.
    """
    if not (one.low > 0 and other.low > 0):
        with np.errstate(invalid="ignore"):
            value, low, high = (
                float(a) / (float(a) + float(b)) if a + b > 0 else default
                for a, b, default in (
                    (one.value, other.value, np.nan), (one.low, other.high, 0.0), (one.high, other.low, 1.0)
                )
            )  # fmt: skip
        return Estimate(value, low, high, one.confidence)
    odds = np.log(one.value / other.value)
    down = np.hypot(np.log(one.value / one.low), np.log(other.high / other.value))
    up = np.hypot(np.log(one.high / one.value), np.log(other.value / other.low))
    value, low, high = (1 / (1 + np.exp(-each)) for each in (odds, odds - down, odds + up))
    return Estimate(value, low, high, one.confidence)


def which_first(question: Question, run: Execution, asking: Asking, part: Part, scores: tuple[Any, Any]) -> Answer:
    """Which of two rare sets is reached first: the rate of each, and what is reached before the law has settled.

    scores: of splitting towards each. Where several basins on the way are slow to leave, the jumps between them tell.
    """
    assert question.avoid is not None
    seen = over_slow_basins(question, run, asking, part, scores)
    if seen.answer is not None:
        return seen.answer
    asking = asking._replace(trajectories=asking.trajectories // 2)
    each = asking.of(1 / np.sqrt(2))
    with run.ledger.half():
        target = part(question, run, each, scores[0])
    other = question._replace(target=question.avoid, avoid=question.target)
    theta = question.starts[:, : question.chain.dim]
    watch = monitor_for(question.chain, other.target, other.avoid, question.monitoring, theta)
    with run.ledger.half():
        avoid = part(other, run.derived(Stream.OTHER_SET)._replace(monitor=watch), each, scores[1])
    rates = [_rate_of(answer) for answer in (target, avoid)]
    settled = max(rate.settling_time for rate in rates)
    steps = max(1, min(round(_WATCHED_FROM * settled / question.time_step), question.steps))
    soon = question._replace(horizon=steps * question.time_step, steps=steps)
    early = run.derived(Stream.EARLY)._replace(steps=steps, open_ended=False)
    late = float(share(rates[0].exit_rate, rates[1].exit_rate).value)
    early_part = functools.partial(part, score=scores[0], settled=False)
    passages = _early_passages(soon, early, asking, late, early_part)
    sample = TwoSetsSample(question.watch(), rates[0], rates[1], passages, _early_avoided(early), seen.told)
    return Answer("splitting", sample, _together(target.verdict, avoid.verdict, seen.findings))


def _early_passages(question: Question, run: Execution, asking: Asking, late: float, part: Callable) -> SplittingSample:
    """The passages to the target before the law has settled, as precisely as their share in the whole asks for."""
    found = part(question, run, asking.of(np.inf)).evidence
    assert isinstance(found, SplittingSample)
    value = float(found.probability.value)
    early = value / (value + late) if value > 0 and np.isfinite(late) else 0.0
    if asking.rtol is None or early * COARSE <= asking.rtol / _PART:
        return found
    again = part(question, run.derived(Stream.EARLY), asking.of(1 / (_PART * early))).evidence
    assert isinstance(again, SplittingSample)
    return again


def _rate_of(answer: Answer) -> SteadyStateSample:
    assert isinstance(answer.evidence, SteadyStateSample)
    return answer.evidence


def _early_avoided(run: Execution) -> Estimate:
    """P(`avoid` reached before the law has settled), by direct simulation."""
    # as wide as the pilot was: in its program
    few = run._replace(chunk=min(run.chunk or LINGERING, LINGERING))
    code = few.run(range(min(_EARLY, max(run.ledger.left, 1)))).code
    there, lost = (int(np.sum(code == each)) for each in (StopCode.AVOID, DIVERGED))
    return proportion_with_undecided(there, lost, len(code))


def _together(target: Verdict, avoid: Verdict, around: tuple[tuple[Status, str], ...]) -> Verdict:
    """The findings of both rates, and of what lies around.

    Where one set was never reached the share has a bound only, and that is told first.
    """
    findings = [(status, f"towards target: {reason}") for status, reason in target.findings]
    findings += [(status, f"towards avoid: {reason}") for status, reason in avoid.findings]
    findings += around
    return Verdict(tuple(sorted(findings, key=lambda each: each[0] != Status.TARGET_NOT_REACHED)))


def _below(estimate: Estimate) -> float:
    return float(estimate.value - estimate.low)


def _above(estimate: Estimate) -> float:
    return float(estimate.high - estimate.value)
