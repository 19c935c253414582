"""Estimates and their intervals, thin on top of scipy."""

from typing import Any

import equinox as eqx
import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy import stats

from ._errors import fraction

__all__ = ["Estimate", "chi_square_rate", "clopper_pearson", "proportion", "put"]

# what the three numbers of an estimate are called in a dataset
BOUNDS = {"": "", "_low": ", lower bound", "_high": ", upper bound"}


def _float64(value: Any) -> np.ndarray:
    return np.asarray(value, np.float64)


class Estimate(eqx.Module):
    """A value with its confidence interval; all three have one shape.

    level: coverage that the interval is made for, such as 0.95.
    """

    value: Float[np.ndarray, "..."] = eqx.field(converter=_float64)
    low: Float[np.ndarray, "..."] = eqx.field(converter=_float64)
    high: Float[np.ndarray, "..."] = eqx.field(converter=_float64)
    level: float = eqx.field(static=True, default=0.95)

    @property
    def relative_half_width(self) -> np.ndarray:
        """(high − low)/(2 value); infinite where the value is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            width = (self.high - self.low) / (2 * np.abs(self.value))
        return np.where(self.value == 0, np.inf, width)

    def contains(self, truth: Any) -> np.ndarray:
        """Whether the interval holds `truth`, elementwise."""
        return np.asarray((self.low <= truth) & (truth <= self.high))

    def __str__(self) -> str:
        if self.value.ndim:
            return f"Estimate of shape {self.value.shape}, {self.level:.0%} intervals"
        return f"{self.value:.6g} [{self.low:.6g}, {self.high:.6g}] at {self.level:.0%}"


def put(data: xr.Dataset, name: str, dims: tuple[str, ...], estimate: Estimate, units: str, long_name: str) -> None:
    """Add an estimate's value and bounds to a dataset, as `name`, `name`_low and `name`_high, with `units`."""
    for (suffix, words), part in zip(BOUNDS.items(), (estimate.value, estimate.low, estimate.high), strict=True):
        data[name + suffix] = (dims, part, {"units": units, "long_name": long_name + words})


def clopper_pearson(successes: Any, trials: Any, level: float = 0.95) -> Estimate:
    """Exact interval for a binomial proportion (Clopper and Pearson 1934).

    successes, trials: counts, broadcast together. Coverage is at least `level` for every proportion.
    No trials give the value NaN and the interval [0, 1]. Raises ValueError for impossible counts or level.
    """
    fraction("level", level)
    successes, trials = np.broadcast_arrays(_float64(successes), _float64(trials))
    if np.any((successes < 0) | (successes > trials)):
        raise ValueError(f"successes must lie from 0 to trials, got {successes} of {trials}")
    failures = trials - successes
    tail = (1 - level) / 2
    low = np.where(successes > 0, stats.beta.ppf(tail, np.maximum(successes, 1), failures + 1), 0.0)
    high = np.where(failures > 0, stats.beta.isf(tail, successes + 1, np.maximum(failures, 1)), 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = successes / trials
    return Estimate(value, low, high, level)


def proportion(successes: Any, undecided: Any, trials: Any, level: float = 0.95) -> Estimate:
    """Proportion where some trials are undecided: left out of the value, read both ways in the exact interval."""
    value = clopper_pearson(successes, _float64(trials) - undecided, level).value
    low = clopper_pearson(successes, trials, level).low
    return Estimate(value, low, clopper_pearson(_float64(successes) + undecided, trials, level).high, level)


def chi_square_rate(events: int, exposure: float, level: float = 0.95, *, fixed_events: bool = False) -> Estimate:
    """Rate of a Poisson process: `events` seen in a total time `exposure` (Garwood 1936).

    fixed_events: the watch ended at the last event, not at a fixed time; then 2·rate·exposure is exactly
        chi-square with 2·events degrees of freedom.
    """
    tail = (1 - level) / 2
    if exposure <= 0:
        return Estimate(np.nan, 0.0, np.inf, level)
    low = stats.chi2.ppf(tail, 2 * events) / (2 * exposure) if events else 0.0
    high = stats.chi2.isf(tail, 2 * events + (0 if fixed_events and events else 2)) / (2 * exposure)
    return Estimate(events / exposure, low, high, level)
