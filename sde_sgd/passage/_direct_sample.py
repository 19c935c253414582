"""Independent trajectories that were watched up to one horizon, and what follows: survival analysis with censoring."""

from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from ..engine import DIVERGED, StopCode
from ..statistics import Estimate, chi_square_rate, inverse_binomial, normal_width, proportion_with_undecided
from ._evidence import AbstractEvidence, reciprocal, widest
from ._question import Watch

# what may become of a trajectory that is watched for a passage, by the names that `DirectSample.count` takes
OUTCOMES = {"running": StopCode.RUNNING, "diverged": DIVERGED, "target": StopCode.TARGET, "avoid": StopCode.AVOID}
# below so many events the normal approximation of a ratio is not good enough
_FEW = 50


class DirectSample(AbstractEvidence):
    """First passages of independent trajectories, all watched equally long.

    steps: (n,) number of the step at which each trajectory stopped, −1 for one still running at the horizon.
    outcome: (n,) codes of `OUTCOMES`: "target", "avoid", "diverged", or "running" at the horizon.
    stopped_at: number of passages that ended sampling (`rtol=`), or None for a fixed number of trajectories.
    Source: of the intervals, Clopper and Pearson 1934, with `rtol=` Haldane 1945; of rates, Garwood 1936.
    """

    found_by: ClassVar[str] = "direct simulation (method='direct')"
    watch: Watch
    steps: Int[np.ndarray, " n"]
    outcome: Int[np.ndarray, " n"]
    stopped_at: int | None = None

    @property
    def trajectories(self) -> int:
        return len(self.steps)

    @property
    def diverged(self) -> int:
        return self.count("diverged")

    @property
    def censored(self) -> int:
        return self.count("running")

    @property
    def reached_target(self) -> bool:
        return self.count("target") > 0

    def count(self, outcome: str) -> int:
        """How many had that `outcome`: "target", "avoid", "diverged" or "running"; ValueError for others."""
        if outcome not in OUTCOMES:
            raise ValueError(f"outcome must be one of {', '.join(OUTCOMES)}, got {outcome!r}")
        return int(np.sum(self.outcome == OUTCOMES[outcome]))

    @property
    def exit_times(self) -> Float[np.ndarray, " n"]:
        """SDE time at which each trajectory reached the target; infinite for one that did not."""
        return np.where(self.outcome == StopCode.TARGET, self._times, np.inf)

    @property
    def probability(self) -> Estimate:
        """Clopper–Pearson, exact because every trajectory is watched equally long.

        With `rtol=` it is the exact interval of inverse binomial sampling. Trajectories still running where there is no
        horizon are undecided, as those that diverged are.
        """
        undecided = self.diverged + (self.censored if self.watch.open_ended else 0)
        return self._proportion(self.count("target"), undecided, self.stopped_at)

    def survival(self, times: Any) -> Estimate:
        """Clopper–Pearson at SDE times up to the horizon, each on its own: exact for a fixed number of trajectories."""
        times = self._within(times)
        grid = times * (1 + 1e-9)
        reached = np.searchsorted(np.sort(self.exit_times), grid, side="right")
        diverged = np.sort(self._times[self.outcome == DIVERGED])
        undecided = np.searchsorted(diverged, grid, side="right")
        exits = self._proportion(reached, undecided, None)
        return Estimate(1 - exits.value, 1 - exits.high, 1 - exits.low, self.watch.confidence)

    @property
    def exit_rate(self) -> Estimate:
        """The rate of an exponential law, and 1/E τ where no trajectory is censored.

        Interval: Poisson (Garwood) below 50 exits, from there the delta method on the logarithm, which does not suppose
        an exponential law.
        """
        return self._both_ways(lambda sample: sample._rate())

    @property
    def mean_exit_time(self) -> Estimate:
        """With none censored the sample mean, else ∫₀ᵀ S dt + S(T)/λ.

        λ is the hazard of the second half of the horizon T, taken to last from there on: right once the law has
        forgotten its start by T/2. With an `avoid` set, or with too few exits to tell (below 50, or below 5 in that
        half), it is the reciprocal of `exit_rate`, infinite without any exit. The hazard's reciprocal is biased upward
        for few exits: pool trajectories rather than average many small runs.
        """
        return self._both_ways(lambda sample: sample._mean())

    def details(self):
        reached = "time at which the target was reached, infinite if it was not"
        codes = ", ".join(f"{code} {name}" for name, code in OUTCOMES.items())
        return {
            "exit_time": ("trajectory", self.exit_times, "SDE time", reached),
            "outcome": ("trajectory", self.outcome.astype(np.int8), "1", f"how the trajectory ended: {codes}"),
        }

    def _both_ways(self, estimate_of) -> Estimate:
        """The estimate, with an interval that holds for whatever became of those that diverged."""
        plain = estimate_of(self)
        if not self.diverged:
            return plain
        value = plain.value if self.diverged < self.trajectories else np.nan
        return widest(value, plain, estimate_of(self._read(StopCode.TARGET)), estimate_of(self._read(StopCode.RUNNING)))

    def _read(self, outcome: int) -> "DirectSample":
        """The sample with those that diverged taken to have ended so."""
        return eqx.tree_at(
            lambda sample: sample.outcome, self, np.where(self.outcome == DIVERGED, outcome, self.outcome)
        )

    def _rate(self) -> Estimate:
        events, exposure = (self._times <= self.watch.horizon) & (self.outcome == StopCode.TARGET), self._exposure
        total = float(exposure.sum())
        if events.sum() < _FEW:
            return chi_square_rate(int(events.sum()), total, self.watch.confidence)
        rate = float(events.sum() / total)
        influence = (events - rate * exposure) / exposure.mean()
        return self._log_normal(rate, influence)

    def _mean(self) -> Estimate:
        exposure, tail = self._exposure, self._tail()
        staying = (self.outcome != StopCode.TARGET) & (self.outcome != DIVERGED)
        if self.count("avoid") or self.count("target") < _FEW or (staying.any() and tail[1].sum() < 5):
            return reciprocal(self._rate())
        if not staying.any():
            finite = self.outcome == StopCode.TARGET
            mean = float(exposure[finite].mean())
            return self._log_normal(mean, exposure[finite] - mean)
        at_risk, events = tail
        mean_tail = at_risk.sum() / events.sum()
        surviving = staying.mean()
        value = exposure.mean() + surviving * mean_tail
        influence = (
            exposure
            - exposure.mean()
            + mean_tail * (staying - surviving)
            + surviving * (at_risk - mean_tail * events) / events.mean()
        )
        return self._log_normal(float(value), influence)

    @property
    def _times(self) -> np.ndarray:
        return np.where(self.outcome == StopCode.RUNNING, np.inf, self.watch.times(self.steps))

    @property
    def _exposure(self) -> np.ndarray:
        return np.minimum(self._times, self.watch.horizon)

    def _tail(self) -> tuple[np.ndarray, np.ndarray]:
        """Time at risk and exits of each trajectory in the second half of the horizon."""
        half = self.watch.horizon / 2
        at_risk = np.clip(self._exposure - half, 0, None)
        return at_risk, (self.outcome == StopCode.TARGET) & (self._times > half)

    def _proportion(self, successes, undecided, stopped_at) -> Estimate:
        n, confidence = self.trajectories, self.watch.confidence
        if stopped_at is not None:
            # the last trajectory was a success by construction
            return inverse_binomial(successes, undecided, n, confidence)
        return proportion_with_undecided(successes, undecided, n, confidence)

    def _log_normal(self, value: float, influence: np.ndarray) -> Estimate:
        """Normal interval for the logarithm of a positive quantity."""
        error = np.sqrt(np.mean(influence**2) / len(influence)) / value
        factor = np.exp(normal_width(self.watch.confidence) * error)
        return Estimate(value, value / factor, value * factor, self.watch.confidence)
