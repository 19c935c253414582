"""What multilevel splitting saw of a first passage."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from ..statistics import Estimate, clopper_pearson
from ._result import AbstractFirstPassage

Columns = Float[np.ndarray, "R k"]
# scores that no state outside the target surpasses one inside
_HIGHEST_IN_TARGET = ("level", "committor")


class SplitFirstPassage(AbstractFirstPassage):
    """First passages weighted by multilevel splitting, in independent repetitions.

    It answers as FirstPassage does: probability, survival, exit_rate, mean_exit_time. Every weighted sum over the
    passages of a repetition is an unbiased estimate; the intervals come from the spread between repetitions, on a
    logarithmic scale with Student's quantile, and their coverage is measured: tests/test_splitting.py,
    benchmarks/splitting.py.

    steps, weights, owner: (k,) of each passage: its step, its share in the probability, its repetition.
    levels: (m,) scores of the levels, chosen by a run of its own. passed: (R, m + 1) probability to come past each of
        them or to reach the target, the last one that of the target.
    undecided: (R,) probability of trajectories that diverged or, without a horizon, still ran at the end.
    exposure: (R,) mean SDE time until the end. diverged: how many trajectories stopped being finite.
    trajectories: how many started from `start`, all repetitions together; `size` in each.
    path_steps: cost in chain steps, with the choice of the levels and a direct pilot where there was one.
    score: what the levels are of: "level", the target's level function, "committor", "path", or "given".
    avoids: whether there was an `avoid` set.
    """

    steps: Int[np.ndarray, " k"]
    weights: Float[np.ndarray, " k"]
    owner: Int[np.ndarray, " k"]
    levels: Float[np.ndarray, " m"]
    passed: Float[np.ndarray, "R stages"]
    undecided: Float[np.ndarray, " R"]
    exposure: Float[np.ndarray, " R"]
    size: int
    score: str
    diverged: int
    time_step: float
    within_step: float
    horizon: float
    open_ended: bool
    avoids: bool
    confidence: float
    seed: int
    method: str
    monitoring: str
    result: str
    path_steps: int

    @property
    def repetitions(self) -> int:
        return len(self.exposure)

    @property
    def trajectories(self) -> int:
        return self.size * self.repetitions

    @property
    def censored(self) -> int:
        """How many of as many direct trajectories would still run at the horizon, to the nearest whole number.

        With an `avoid` set that is not known apart from those that reached it, and they are counted too.
        """
        gone = float(self.probability.value) + float(self.undecided.mean())
        return max(0, round(self.trajectories * (1 - gone)))

    @property
    def probability(self) -> Estimate:
        """P(target reached by the horizon, and before `avoid`).

        Undecided trajectories are left out of the value and added to the upper bound. Where no repetition reached the
        target the value is 0 and the upper bound that of a level on the way, which is at least as likely; with a score
        that need not be highest in the target, it is what as many direct trajectories would tell.
        """
        if not self.weights.size:
            return Estimate(0.0, 0.0, self._bound(), self.confidence)
        estimate = self._ratio(self.passed[:, -1:], lambda mean: mean[..., 0])
        return Estimate(
            estimate.value, estimate.low, min(1.0, float(estimate.high) + self._undecided()), self.confidence
        )

    def reached(self, times: Any) -> Estimate:
        """P(target reached by each time), as an Estimate of shape (n_times,): `1 − survival`, however small.

        times: SDE times from 0 to the horizon. Raises ValueError beyond it: nothing was observed there.
        Where no passage was seen so early, the upper bound is that of the whole horizon.
        """
        times = self._checked(times)
        columns = [self._sum(self._times <= time * (1 + 1e-9)) for time in times.reshape(-1)]
        found = [self._ratio(column[:, None], lambda mean: mean[..., 0]) for column in columns]
        most = float(self.probability.high)
        value, low, high = (np.array([getattr(each, name) for each in found]) for name in ("value", "low", "high"))
        high = np.where(value > 0, np.minimum(high + self._undecided(), 1), np.where(times.reshape(-1) > 0, most, 0))
        return Estimate(*(part.reshape(times.shape) for part in (value, low, high)), self.confidence)

    def survival(self, times: Any) -> Estimate:
        """P(target not reached by each time), as an Estimate of shape (n_times,); see `reached`."""
        reached = self.reached(times)
        return Estimate(1 - reached.value, 1 - reached.high, 1 - reached.low, self.confidence)

    @property
    def exit_rate(self) -> Estimate:
        """Exits per unit of time at risk, P(target reached)/E(time until the end)."""
        if not self.weights.size:
            return Estimate(0.0, 0.0, self._bound() / float(self.exposure.mean()), self.confidence)
        columns = np.stack([self.passed[:, -1], self.exposure], axis=1)
        rate = self._ratio(columns, lambda mean: mean[..., 0] / mean[..., 1])
        return Estimate(
            rate.value, rate.low, rate.high + self._undecided() / float(self.exposure.mean()), self.confidence
        )

    @property
    def mean_exit_time(self) -> Estimate:
        """E τ, the mean time to reach the target.

        ∫₀ᵀ S dt + S(T)/λ, with the hazard λ of the second half of the horizon T taken to last from there on: right
        once the law has forgotten its start by T/2, so a horizon of a few relaxation times is enough, however long
        E τ is. With an `avoid` set, or without a passage in that half, it is the reciprocal of `exit_rate`.
        """
        late = self._times > self.horizon / 2
        if self.avoids or self.open_ended or not late.any():
            rate = self.exit_rate
            with np.errstate(divide="ignore"):
                return Estimate(1 / rate.value, 1 / rate.high, 1 / rate.low, self.confidence)
        half = self.horizon / 2
        missed = self._sum(True, self.horizon - np.maximum(self._times, half))
        columns = np.stack([self.passed[:, -1], self.exposure, self._sum(late), half - missed], axis=1)

        def mean_time(mean):
            return mean[..., 1] + (1 - mean[..., 0]) * mean[..., 3] / mean[..., 2]

        return self._ratio(columns, mean_time)

    @property
    def late_rate(self) -> Estimate:
        """Passages per unit of time in the second half of the horizon, as if all were still on their way then.

        Once the start is forgotten it is the hazard of the target times the share still on their way, with an `avoid`
        set too.
        """
        late = self._sum(self._times > self.horizon / 2)
        if not late.any():
            return Estimate(0.0, 0.0, 2 * float(self.probability.high) / self.horizon, self.confidence)
        return self._ratio(late[:, None], lambda mean: mean[..., 0] * 2 / self.horizon)

    @property
    def delay(self) -> float:
        """SDE time until passages come at a steady rate, 2 E(τ | τ ≤ T) − T for a rare one; the horizon T if none came.

        It is the path's own duration and what the law needs to forget its start; much of it in T means that the hazard
        of the second half is not yet the last one.
        """
        if not self.weights.size:
            return self.horizon
        return 2 * float(np.average(self._times, weights=self.weights)) - self.horizon

    @property
    def speed_up(self) -> float:
        """Chain steps that direct simulation would need for the same precision, over those that were run."""
        probability = float(self.probability.value)
        if probability == 0 or self.repetitions < 2:
            return float("nan")
        square = self.passed[:, -1].var(ddof=1) / self.repetitions / probability**2
        direct = (1 - probability) / probability / square * float(self.exposure.mean()) / self.time_step
        return direct / self.path_steps

    _attributes: ClassVar[tuple[str, ...]] = ("score",)

    def _details(self):
        past = "probability to come past a level; last: to reach the target"
        share = "share of a passage in the probability of its repetition"
        return {
            "level": ("level_number", self.levels, "score", "score of a level"),
            "passed": (("repetition", "stage"), self.passed, "1", past),
            "exit_time": ("passage", self._times, "SDE time", "time at which the target was reached"),
            "weight": ("passage", self.weights, "1", share),
            "repetition_of": ("passage", self.owner, "1", "repetition of a passage"),
        }

    @property
    def _times(self) -> Float[np.ndarray, " k"]:
        return (self.steps - (1 - self.within_step)) * self.time_step

    def _sum(self, chosen: Any, values: Any = 1.0) -> Float[np.ndarray, " R"]:
        """Of each repetition: the weighted sum of `values` over the chosen passages."""
        return np.bincount(self.owner, self.weights * chosen * values, self.repetitions).astype(np.float64)

    def _undecided(self) -> float:
        estimate = self._ratio(self.undecided[:, None], lambda mean: mean[..., 0])
        return float(np.nan_to_num(estimate.high, posinf=1.0)) if self.undecided.any() else 0.0

    def _ratio(self, columns: Columns, fn: Callable) -> Estimate:
        """`fn` of the means over repetitions; interval by the jackknife of its logarithm."""
        number = len(columns)
        value = float(fn(columns.mean(axis=0)))
        if value <= 0 or number < 2:
            return Estimate(value, 0.0, np.inf if value > 0 else 0.0, self.confidence)
        without = fn((columns.sum(axis=0) - columns) / (number - 1))
        if np.any(without <= 0):
            # all that was seen comes from one repetition: it says how much there may be, not how little
            return Estimate(value, 0.0, min(1.0, 20 * value), self.confidence)
        logs = np.log(without)
        error = np.sqrt((number - 1) * np.mean((logs - logs.mean()) ** 2))
        factor = np.exp(stats.t.isf((1 - self.confidence) / 2, number - 1) * error)
        return Estimate(value, value / factor, value * factor, self.confidence)

    def _bound(self) -> float:
        """An upper bound where the target was never reached: of the last level that half the repetitions passed.

        A score that need not be highest in the target may lead away from it: then no more is known than that none of
        the trajectories that started came there.
        """
        for column in self.passed.T[::-1] if self.score in _HIGHEST_IN_TARGET else ():
            if np.mean(column > 0) >= 0.5 and np.sum(column > 0) >= 2:
                high = float(self._ratio(column[:, None], lambda mean: mean[..., 0]).high)
                return min(1.0, high + self._undecided())
        return min(1.0, float(clopper_pearson(0, self.trajectories, self.confidence).high) + self._undecided())
