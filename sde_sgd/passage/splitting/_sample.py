"""What multilevel splitting saw: weighted passages of independent repetitions, with intervals by the jackknife."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from ...statistics import Estimate, clopper_pearson, student_width
from .._evidence import AbstractEvidence, reciprocal, widest
from .._question import Watch

Columns = Float[np.ndarray, "R k"]
# scores that no state outside the target surpasses one inside
_HIGHEST_IN_TARGET = ("level", "committor")


class SplittingSample(AbstractEvidence):
    """First passages weighted by multilevel splitting, in independent repetitions.

    Every weighted sum over the passages of a repetition is an unbiased estimate; the intervals come from the spread
    between repetitions, on a logarithmic scale with Student's quantile, and their coverage is measured:
    tests/test_splitting.py, benchmarks/validation/splitting.py.

    steps, weights, repetition: (k,) of each passage: its step, its share in the probability, its repetition.
    levels: (m,) scores of the levels, chosen by a run of its own. level_probability: (R, m + 1) probability to come
        past each of them or to reach the target, the last one that of the target.
    diverging, unfinished: (R,) probability of a trajectory that diverged, and of one that without a horizon still ran
        at the end.
    exposure: (R,) mean SDE time until the end. n_diverged: how many trajectories stopped being finite.
    trajectories_per_repetition: how many started from the start in each.
    score: what the levels are of: "level", the target's level function, "committor", "ways", "path", or "given".
    score_reason: why, in words. score_check: what repetitions by another score find beside it, in words, or "".
    path_steps: cost in chain steps, with the choice of the levels and the pilots.
    Source: as of `Splitting`.
    """

    found_by: ClassVar[str] = "splitting (method='splitting')"
    watch: Watch
    steps: Int[np.ndarray, " k"]
    weights: Float[np.ndarray, " k"]
    repetition: Int[np.ndarray, " k"]
    levels: Float[np.ndarray, " m"]
    level_probability: Float[np.ndarray, "R stages"]
    diverging: Float[np.ndarray, " R"]
    unfinished: Float[np.ndarray, " R"]
    exposure: Float[np.ndarray, " R"]
    n_diverged: int
    trajectories_per_repetition: int
    score: str
    score_reason: str
    score_check: str
    path_steps: int

    @property
    def repetitions(self) -> int:
        """How many independent repetitions there were."""
        return len(self.exposure)

    @property
    def trajectories(self) -> int:
        return self.trajectories_per_repetition * self.repetitions

    @property
    def diverged(self) -> int:
        return self.n_diverged

    @property
    def reached_target(self) -> bool:
        return self.weights.size > 0

    @property
    def undecided(self) -> Float[np.ndarray, " R"]:
        """Of each repetition: the probability of trajectories of which it is not known what became of them."""
        return self.diverging + self.unfinished

    @property
    def censored(self) -> int:
        """How many of as many direct trajectories would still run at the horizon, to the nearest whole number.

        With an `avoid` set that is not known apart from those that reached it, and they are counted too.
        """
        gone = float(self.probability.value) + float(self.undecided.mean())
        return max(0, round(self.trajectories * (1 - gone)))

    @property
    def probability(self) -> Estimate:
        """Undecided trajectories are left out of the value and added to the upper bound.

        Where no repetition reached the target the value is 0 and the upper bound that of a level on the way, which is
        at least as likely; with a score that need not be highest in the target, it is what as many direct trajectories
        would tell.
        """
        if not self.weights.size:
            return self._estimate(0.0, 0.0, self._bound())
        estimate = self._ratio(self.level_probability[:, -1:], lambda mean: mean[..., 0])
        return self._estimate(estimate.value, estimate.low, min(1.0, float(estimate.high) + self._undecided()))

    def reached(self, times: Any) -> Estimate:
        """P(target reached by each time), as an Estimate of the shape of `times`: `1 − survival`, however small.

        times: SDE times from 0 to the horizon. Raises ValueError beyond it: nothing was observed there.
        Where no passage was seen so early, the upper bound is that of the whole horizon.
        """
        times = self._within(times)
        columns = [self._sum(self._times <= time * (1 + 1e-9)) for time in times.reshape(-1)]
        estimates = [self._ratio(column[:, None], lambda mean: mean[..., 0]) for column in columns]
        most = float(self.probability.high)
        value, low, high = (np.array([getattr(one, name) for one in estimates]) for name in ("value", "low", "high"))
        high = np.where(value > 0, np.minimum(high + self._undecided(), 1), np.where(times.reshape(-1) > 0, most, 0))
        return self._estimate(*(part.reshape(times.shape) for part in (value, low, high)))

    def survival(self, times: Any) -> Estimate:
        reached = self.reached(times)
        return self._estimate(1 - reached.value, 1 - reached.high, 1 - reached.low)

    @property
    def exit_rate(self) -> Estimate:
        """P(target reached)/E(time until the end)."""
        if not self.weights.size:
            at_risk = float(self.exposure.mean())
            return self._estimate(0.0, 0.0, self._bound() / at_risk if at_risk else np.inf)
        reached = self.level_probability[:, -1]

        def rate(exposure) -> Estimate:
            return self._ratio(np.stack([reached, exposure], axis=1), lambda mean: mean[..., 0] / mean[..., 1])

        plain = rate(self.exposure)
        high = plain.high + self._undecided() / float(self.exposure.mean())
        # those that diverged may have stayed for all of the watch
        low = rate(self.exposure + self.diverging * self.watch.horizon).low if self.n_diverged else plain.low
        return self._estimate(plain.value, min(float(plain.low), float(low)), high)

    @property
    def mean_exit_time(self) -> Estimate:
        """∫₀ᵀ S dt + S(T)/λ, with the hazard λ of the second half of the horizon T taken to last from there on.

        That is right once the law has forgotten its start by T/2, so a horizon of a few relaxation times is enough,
        however long E τ is. With an `avoid` set, or without a passage in that half, it is the reciprocal of
        `exit_rate`.
        """
        late = self._times > self.watch.horizon / 2
        if self.watch.avoids or self.watch.open_ended or not late.any():
            return reciprocal(self.exit_rate)
        half, none = self.watch.horizon / 2, np.zeros(self.repetitions)
        missed = self._sum(True, self.watch.horizon - np.maximum(self._times, half))
        reached, late = self.level_probability[:, -1], self._sum(late)

        def mean_time(mean):
            return mean[..., 1] + (1 - mean[..., 0]) * mean[..., 3] / mean[..., 2]

        def estimate(arrived, stayed) -> Estimate:
            """With so much of what diverged taken to have arrived in the second half, or to have stayed."""
            exposure, at_risk = self.exposure + 2 * half * stayed, half - missed + half * stayed
            return self._ratio(np.stack([reached + arrived, exposure, late + arrived, at_risk], axis=1), mean_time)

        plain = estimate(none, none)
        if not self.n_diverged:
            return plain
        return widest(plain.value, plain, estimate(self.diverging, none), estimate(none, self.diverging))

    @property
    def speed_up(self) -> float:
        """Chain steps that direct simulation would need for the same precision, over those that were run."""
        probability = float(self.probability.value)
        if probability == 0 or self.repetitions < 2:
            return float("nan")
        square = self.level_probability[:, -1].var(ddof=1) / self.repetitions / probability**2
        direct = (1 - probability) / probability / square * float(self.exposure.mean()) / self.watch.time_step
        return direct / self.path_steps

    def details(self):
        past = "probability to come past a level; last: to reach the target"
        share = "share of a passage in the probability of its repetition"
        return {
            "level": ("level_number", self.levels, "score", "score of a level"),
            "level_probability": (("repetition", "stage"), self.level_probability, "1", past),
            "exit_time": ("passage", self._times, "SDE time", "time at which the target was reached"),
            "weight": ("passage", self.weights, "1", share),
            "repetition_of": ("passage", self.repetition, "1", "repetition of a passage"),
        }

    def attributes(self):
        return {"score": self.score, "score_reason": self.score_reason, "score_check": self.score_check}

    def remarks(self):
        words = "; ".join(each for each in (self.score_reason, self.score_check) if each)
        return [("score", f"{self.score}: {words}" if words else self.score)]

    @property
    def _times(self) -> Float[np.ndarray, " k"]:
        return self.watch.times(self.steps)

    def _estimate(self, value: Any, low: Any, high: Any) -> Estimate:
        return Estimate(value, low, high, self.watch.confidence)

    def _sum(self, chosen: Any, values: Any = 1.0) -> Float[np.ndarray, " R"]:
        """Of each repetition: the weighted sum of `values` over the chosen passages."""
        return np.bincount(self.repetition, self.weights * chosen * values, self.repetitions).astype(np.float64)

    def _undecided(self) -> float:
        estimate = self._ratio(self.undecided[:, None], lambda mean: mean[..., 0])
        return float(np.nan_to_num(estimate.high, posinf=1.0)) if self.undecided.any() else 0.0

    def _ratio(self, columns: Columns, fn: Callable) -> Estimate:
        """`fn` of the means over repetitions; interval by the jackknife of its logarithm."""
        number = len(columns)
        value = float(fn(columns.mean(axis=0)))
        if value <= 0 or number < 2:
            return self._estimate(value, 0.0, np.inf if value > 0 else 0.0)
        without = fn((columns.sum(axis=0) - columns) / (number - 1))
        if np.any(without <= 0):
            # all that was seen comes from one repetition: it says how much there may be, not how little
            return self._estimate(value, 0.0, min(1.0, 20 * value))
        logs = np.log(without)
        error = np.sqrt((number - 1) * np.mean((logs - logs.mean()) ** 2))
        factor = np.exp(student_width(self.watch.confidence, number - 1) * error)
        return self._estimate(value, value / factor, value * factor)

    def _bound(self) -> float:
        """An upper bound where the target was never reached: of the last level that half the repetitions passed.

        A score that need not be highest in the target may lead away from it: then no more is known than that none of
        the trajectories that started came there.
        """
        for column in self.level_probability.T[::-1] if self.score in _HIGHEST_IN_TARGET else ():
            if np.mean(column > 0) >= 0.5 and np.sum(column > 0) >= 2:
                high = float(self._ratio(column[:, None], lambda mean: mean[..., 0]).high)
                return min(1.0, high + self._undecided())
        none = clopper_pearson(0, self.trajectories, self.watch.confidence)
        return min(1.0, float(none.high) + self._undecided())
