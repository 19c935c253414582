"""What was seen of a first passage, and what follows from it."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from scipy import stats

from ..engine import DIVERGED
from ..statistics import Estimate, add_estimate, chi_square_rate, proportion_with_undecided
from ._monitor import AVOID, TARGET

RUNNING = 0
OUTCOMES = {"running": RUNNING, "diverged": DIVERGED, "target": TARGET, "avoid": AVOID}
# below so many events the normal approximation of a ratio is not good enough
_FEW = 50


class AbstractFirstPassage(eqx.Module):
    """What was found of a first passage, by whatever method.

    time_step: SDE time of a step. within_step: where in its last step a passage is placed, 1 for the chain's own exit
        and 1/2 for an exit seen between grid points.
    horizon: SDE time of the watch.
    open_ended: there was no horizon but a budget: a trajectory still running is undecided, not staying.
    method: "direct" or "splitting". result: in words, whether what was asked for was done.
    path_steps: cost, in chain steps over all trajectories.
    """

    time_step: eqx.AbstractVar[float]
    within_step: eqx.AbstractVar[float]
    horizon: eqx.AbstractVar[float]
    open_ended: eqx.AbstractVar[bool]
    confidence: eqx.AbstractVar[float]
    seed: eqx.AbstractVar[int]
    method: eqx.AbstractVar[str]
    monitoring: eqx.AbstractVar[str]
    result: eqx.AbstractVar[str]
    path_steps: eqx.AbstractVar[int]
    diverged: eqx.AbstractVar[int]
    """How many trajectories stopped being finite."""

    @property
    @abc.abstractmethod
    def trajectories(self) -> int:
        """How many trajectories started."""

    @property
    @abc.abstractmethod
    def censored(self) -> int:
        """How many of them were still running at the horizon."""

    @property
    @abc.abstractmethod
    def probability(self) -> Estimate:
        """P(target reached by the horizon, and before `avoid`)."""

    @abc.abstractmethod
    def survival(self, times: Any) -> Estimate:
        """P(target not reached by each time), as an Estimate of shape (n_times,).

        times: SDE times from 0 to the horizon. Raises ValueError beyond it: nothing was observed there.
        """

    @property
    @abc.abstractmethod
    def exit_rate(self) -> Estimate:
        """Exits per unit of time at risk."""

    @property
    @abc.abstractmethod
    def mean_exit_time(self) -> Estimate:
        """E τ, the mean time to reach the target."""

    _attributes: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def _details(self) -> dict[str, Any]:
        """What a method has beside the estimates, as variables of a dataset."""

    def to_dataset(self, times: Sequence[float] | None = None) -> xr.Dataset:
        """Everything as an xarray Dataset with `units` and `long_name`; survival at `times` (65 by default)."""
        grid = np.linspace(0, self.horizon, 65) if times is None else np.asarray(times, np.float64)
        data = xr.Dataset(coords={"time": ("time", grid, {"units": "SDE time", "long_name": "time"})})
        add_estimate(data, "probability", (), self.probability, "1", "probability to reach the target by the horizon")
        add_estimate(data, "mean_exit_time", (), self.mean_exit_time, "SDE time", "mean time to reach the target")
        add_estimate(data, "exit_rate", (), self.exit_rate, "1 / SDE time", "exits per unit of time at risk")
        add_estimate(
            data, "survival", ("time",), self.survival(grid), "1", "probability that the target is not reached"
        )
        for name, (dims, values, units, long_name) in self._details().items():
            data[name] = (dims, values, {"units": units, "long_name": long_name})
        names = ("horizon", "confidence", "seed", "method", "monitoring", "result", "path_steps", "time_step")
        names += ("diverged", "censored", "trajectories")
        data.attrs = {name: getattr(self, name) for name in (*names, *self._attributes)}
        return data

    def _checked(self, times: Any) -> Float[np.ndarray, "..."]:
        times = np.asarray(times, np.float64)
        if not np.all((times >= 0) & (times <= self.horizon * (1 + 1e-9))):
            raise ValueError(f"times must lie from 0 to the horizon {self.horizon:.6g}, got {times}")
        return times


class FirstPassage(AbstractFirstPassage):
    """First passages of independent trajectories, all watched up to one horizon.

    steps: (n,) number of the step at which each trajectory stopped, −1 for one still running at the horizon.
    outcome: (n,) codes of `OUTCOMES`: "target", "avoid", "diverged", or "running" at the horizon.
    stopped_at: number of passages that ended sampling (`rtol=`), or None for a fixed number of trajectories.
    """

    steps: Int[np.ndarray, " n"]
    outcome: Int[np.ndarray, " n"]
    time_step: float
    within_step: float
    horizon: float
    open_ended: bool
    stopped_at: int | None
    confidence: float
    seed: int
    method: str
    monitoring: str
    result: str
    path_steps: int

    @property
    def trajectories(self) -> int:
        """How many trajectories were run."""
        return len(self.steps)

    @property
    def diverged(self) -> int:
        """How many trajectories stopped being finite."""
        return self.count("diverged")

    @property
    def censored(self) -> int:
        """How many trajectories were still running at the horizon."""
        return self.count("running")

    def count(self, outcome: str) -> int:
        """How many trajectories ended so: "target", "avoid", "diverged" or "running"."""
        if outcome not in OUTCOMES:
            raise ValueError(f"outcome must be one of {', '.join(OUTCOMES)}, got {outcome!r}")
        return int(np.sum(self.outcome == OUTCOMES[outcome]))

    @property
    def exit_times(self) -> Float[np.ndarray, " n"]:
        """SDE time at which each trajectory reached the target; infinite for one that did not."""
        return np.where(self.outcome == TARGET, self._times, np.inf)

    @property
    def probability(self) -> Estimate:
        """P(target reached by the horizon, and before `avoid`).

        Interval: Clopper–Pearson, exact because every trajectory is watched equally long; with `rtol=` the exact
        interval of inverse binomial sampling. Undecided trajectories (diverged; still running where there is no
        horizon) are left out of the value and read both ways in the interval.
        """
        undecided = self.diverged + (self.censored if self.open_ended else 0)
        return self._proportion(self.count("target"), undecided, self.stopped_at)

    def survival(self, times: Any) -> Estimate:
        """P(target not reached by each time), as an Estimate of shape (n_times,).

        times: SDE times from 0 to the horizon. Raises ValueError beyond it: nothing was observed there.
        Intervals: Clopper–Pearson, each on its own, exact for a fixed number of trajectories.
        """
        times = self._checked(times)
        grid = times * (1 + 1e-9)
        reached = np.searchsorted(np.sort(self.exit_times), grid, side="right")
        diverged = np.sort(self._times[self.outcome == DIVERGED])
        undecided = np.searchsorted(diverged, grid, side="right")
        exits = self._proportion(reached, undecided, None)
        return Estimate(1 - exits.value, 1 - exits.high, 1 - exits.low, self.confidence)

    @property
    def exit_rate(self) -> Estimate:
        """Exits per unit of time at risk.

        It is the rate of an exponential law, and 1/E τ where no trajectory is censored. Interval: Poisson (Garwood)
        below 50 exits, from there the delta method on the logarithm, which does not suppose an exponential law.
        """
        events, exposure = (self._times <= self.horizon) & (self.outcome == TARGET), self._exposure
        total = float(exposure.sum())
        if events.sum() < _FEW:
            return chi_square_rate(int(events.sum()), total, self.confidence)
        rate = float(events.sum() / total)
        influence = (events - rate * exposure) / exposure.mean()
        return self._log_normal(rate, influence)

    @property
    def mean_exit_time(self) -> Estimate:
        """E τ, the mean time to reach the target.

        With none censored it is the sample mean. Otherwise it is ∫₀ᵀ S dt + S(T)/λ, with the hazard λ of the second
        half of the horizon T taken to last from there on: right once the law has forgotten its start by T/2. With an
        `avoid` set, or with too few exits to tell (below 50, or below 5 in that half), it is the reciprocal of
        `exit_rate`, infinite without any exit. The hazard's reciprocal is biased upward for few exits: pool
        trajectories rather than average many small runs.
        """
        rate = self.exit_rate
        exposure, tail = self._exposure, self._tail()
        staying = (self.outcome != TARGET) & (self.outcome != DIVERGED)
        if self.count("avoid") or self.count("target") < _FEW or (staying.any() and tail[1].sum() < 5):
            with np.errstate(divide="ignore"):
                return Estimate(1 / rate.value, 1 / rate.high, 1 / rate.low, self.confidence)
        if not staying.any():
            finite = self.outcome == TARGET
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

    def _details(self):
        reached = "time at which the target was reached, infinite if it was not"
        codes = ", ".join(f"{code} {name}" for name, code in OUTCOMES.items())
        return {
            "exit_time": ("trajectory", self.exit_times, "SDE time", reached),
            "outcome": ("trajectory", self.outcome.astype(np.int8), "1", f"how the trajectory ended: {codes}"),
        }

    @property
    def _times(self) -> np.ndarray:
        return np.where(self.outcome == RUNNING, np.inf, (self.steps - (1 - self.within_step)) * self.time_step)

    @property
    def _exposure(self) -> np.ndarray:
        return np.minimum(self._times, self.horizon)

    def _tail(self) -> tuple[np.ndarray, np.ndarray]:
        """Time at risk and exits of each trajectory in the second half of the horizon."""
        half = self.horizon / 2
        at_risk = np.clip(self._exposure - half, 0, None)
        return at_risk, (self.outcome == TARGET) & (self._times > half)

    def _proportion(self, successes, undecided, stopped_at) -> Estimate:
        n = self.trajectories
        if stopped_at is not None:
            tail = (1 - self.confidence) / 2
            low = stats.beta.ppf(tail, successes, n - successes + 1)
            high = stats.beta.isf(tail, successes + undecided, max(n - successes - undecided, 1e-300))
            # the last trajectory was a success by construction: this is the unbiased value (Haldane 1945)
            return Estimate((successes - 1) / max(n - undecided - 1, 1), low, high, self.confidence)
        return proportion_with_undecided(successes, undecided, n, self.confidence)

    def _log_normal(self, value: float, influence: np.ndarray) -> Estimate:
        """Normal interval for the logarithm of a positive quantity."""
        error = np.sqrt(np.mean(influence**2) / len(influence)) / value
        factor = np.exp(stats.norm.isf((1 - self.confidence) / 2) * error)
        return Estimate(value, value / factor, value * factor, self.confidence)
