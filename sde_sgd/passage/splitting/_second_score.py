"""Independent evidence: a share of repetitions by another score, and whether it finds more than chance allows."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

from ..._progress import stage
from ...statistics import student_width
from .._execution import BudgetSpent
from ._account import Tally, merge
from ._repetitions import Repetitions

# of repetitions, sizing included, so many are of the other score; fewer than the first number tell nothing
_SHARE, _FEWEST, _MOST = 4, 4, 32
_PILOT_SIZE = 512
# of what the answer has taken, in trajectories and in path-steps
_AFFORDABLE = 0.3
# probability that two scores which find the same disagree, in each of two looks
_FALSE_ALARM = 5e-4
# a first look that chance alone allows so rarely leaves a doubt: so many times as many repetitions are run once more
_DOUBT, _AGAIN = 0.05, 3


class ScoreCheck(NamedTuple):
    """Of another score. words: what it finds. more: how many times as much as, where that is no chance, or None."""

    words: str
    more: str | None


class LogMean(NamedTuple):
    """The logarithm of a ratio of means over repetitions, its standard error by the jackknife, and their number."""

    value: float
    error: float
    repetitions: int

    @classmethod
    def of(cls, reached: Float[np.ndarray, " R"], over: Float[np.ndarray, " R"]) -> "LogMean | None":
        """None where all is from one repetition, or there is none. reached, over: (R,), the ratio's two parts."""
        without = (reached.sum() - reached) / (over.sum() - over) if len(reached) > 1 else np.zeros(1)
        if not np.all(without > 0):
            return None
        logs, number = np.log(without), len(reached)
        error = math.sqrt((number - 1) * float(np.mean((logs - logs.mean()) ** 2)))
        return cls(math.log(reached.sum() / over.sum()), error, number)

    def over(self, other: "LogMean") -> tuple[float, float, float]:
        """Logarithm of this ratio over another, its standard error, and Welch's degrees of freedom."""
        parts = [each.error**2 for each in (self, other)]
        whole = sum(parts)
        shares = (part**2 / (each.repetitions - 1) for part, each in zip(parts, (self, other), strict=True))
        return self.value - other.value, math.sqrt(whole), whole**2 / max(sum(shares), 1e-300)


def finds_more(one: LogMean, other: LogMean, chance: float = _FALSE_ALARM) -> bool:
    """Whether the other score finds more than one score does, by more than luck brings with this `chance`.

    Only more counts. Each score is right on average, and one that misses a way is mostly too low and hardly ever too
    high: that the other one finds less says that it is the worse of the two.
    """
    shift, error, freedom = other.over(one)
    return shift > float(-special.stdtrit(freedom, chance)) * error


def in_doubt(one: LogMean | None, other: LogMean | None) -> bool:
    """Whether the other score may find more: it seems to, and luck is not ruled out."""
    if one is None or other is None:
        return False
    return finds_more(one, other, _DOUBT) and not finds_more(one, other)


def held_against(
    name: str, make: Callable[[int], Repetitions], own: Repetitions, tally: Tally, sizing: int, rate: bool
) -> ScoreCheck:
    """What a quarter as many repetitions of another score find.

    name: of the other score. make: what runs its repetitions, with a pilot of so many trajectories. own, tally: those
    of the answer. sizing: repetitions that were run before it to tell how many it takes. rate: compare passages over
    the time at risk, and not their probability.

    It takes at most three tenths of what the answer has taken, in path-steps as the pilot tells; and three times as
    much once more where that leaves a doubt, as happens one time in twenty where both scores find the same.
    """
    number = min((len(tally.exposure) + sizing) // _SHARE, _MOST)
    if number < _FEWEST:
        return ScoreCheck(f"not held against {name}: too few repetitions", None)
    stage(f"repetitions by score {name}")
    ledger = own.run.ledger
    spent = ledger.path_steps
    try:
        with ledger.at_most(int(_AFFORDABLE * ledger.trajectories)):
            other = make(_PILOT_SIZE)
            each = other.levels.path_steps * other.size / _PILOT_SIZE
            left = _AFFORDABLE * spent - (ledger.path_steps - spent)
            number = min(number, int(left / max(each, 1.0)), ledger.left // other.starts)
            if number < _FEWEST:
                return ScoreCheck(f"not held against {name}: that takes too much", None)
            seen = other(number)
    except BudgetSpent:
        return ScoreCheck(f"not held against {name}: that takes too much", None)
    except ValueError as error:
        return ScoreCheck(f"not held against {name}: {error}", None)
    one = _log_mean(own, tally, rate)
    if in_doubt(one, _log_mean(other, seen, rate)):
        seen = _once_more(other, seen)
    return _told(name, len(seen.exposure), one, _log_mean(other, seen, rate))


def _once_more(other: Repetitions, seen: Tally) -> Tally:
    """What has been seen with three times as many repetitions beside it, or as many as the budget still has."""
    number = min(_AGAIN * len(seen.exposure), other.run.ledger.left // other.starts)
    try:
        return merge([seen, other(number)]) if number > 0 else seen
    except BudgetSpent:
        return seen


def _log_mean(repeat: Repetitions, tally: Tally, rate: bool) -> LogMean | None:
    exposure = tally.exposure * repeat.run.time_step if rate else np.ones(len(tally.exposure))
    return LogMean.of(tally.level_probability[:, -1], exposure)


def _told(name: str, number: int, one: LogMean | None, other: LogMean | None) -> ScoreCheck:
    if other is None:
        return ScoreCheck(f"held against {name}, which finds nothing sure in {number} repetitions", None)
    if one is None:
        return ScoreCheck(f"held against {name}, which alone finds it in {number} repetitions", "what is not found by")
    shift, error, freedom = other.over(one)
    half = float(student_width(0.95, freedom)) * error
    value, low, high = (math.exp(min(each, 700.0)) for each in (shift, shift - half, shift + half))
    ratio = f"{value:.3g} [{low:.3g}, {high:.3g}]"
    words = f"held against {name}, which finds {ratio} times as much in {number} repetitions"
    return ScoreCheck(words, f"{ratio} times as much as" if finds_more(one, other) else None)
