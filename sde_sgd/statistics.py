"""Estimates and their intervals, thin on top of scipy."""

import html
import math
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy import stats

from ._errors import fraction

__all__ = ["Estimate", "add_estimate", "chi_square_rate", "clopper_pearson", "proportion_with_undecided"]

# entries of an array of estimates that are printed
_SHOWN = 12
# what the three numbers of an estimate are called in a dataset
BOUNDS = {"": "", "_low": ", lower bound", "_high": ", upper bound"}


def _float64(value: Any) -> np.ndarray:
    return np.asarray(value, np.float64)


class Estimate(eqx.Module):
    """A value with its confidence interval; all three have one shape.

    confidence: coverage that the interval is made for, such as 0.95.
    """

    value: Float[np.ndarray, "..."] = eqx.field(converter=_float64)
    low: Float[np.ndarray, "..."] = eqx.field(converter=_float64)
    high: Float[np.ndarray, "..."] = eqx.field(converter=_float64)
    confidence: float = eqx.field(static=True, default=0.95)

    @property
    def relative_half_width(self) -> np.ndarray:
        """(high − low)/(2 value); infinite where the value is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            width = (self.high - self.low) / (2 * np.abs(self.value))
        return np.where(self.value == 0, np.inf, width)

    def contains(self, truth: Any) -> np.ndarray:
        """Whether the interval holds `truth`, elementwise."""
        return np.asarray((self.low <= truth) & (truth <= self.high))

    def __float__(self) -> float:
        """The value of a single estimate; TypeError for an array of them."""
        if self.value.ndim:
            raise TypeError(f"float() takes a single estimate, got an array of them of shape {self.value.shape}")
        return float(self.value)

    def __len__(self) -> int:
        if not self.value.ndim:
            raise TypeError("len() takes an array of estimates, got a single one")
        return len(self.value)

    def __getitem__(self, index: Any) -> "Estimate":
        """Some of an array of estimates, chosen as entries of an array are."""
        return Estimate(self.value[index], self.low[index], self.high[index], self.confidence)

    def __iter__(self) -> Iterator["Estimate"]:
        return (self[number] for number in range(len(self)))

    def __format__(self, spec: str) -> str:
        """The value and its interval, each in the format `spec`; without one, with the digits that they bear."""
        if not spec:
            return str(self)
        if self.value.ndim:
            return "[" + ", ".join(format(each, spec) for each in self) + "]"
        return "{} [{}, {}]".format(*(format(float(each), spec) for each in (self.value, self.low, self.high)))

    def __str__(self) -> str:
        """The value and its interval with the digits that they bear, such as "0.4446 [0.4370, 0.4522]"."""
        if not self.value.ndim:
            return "{} [{}, {}]".format(*in_one_format(float(self.value), float(self.low), float(self.high)))
        shown = [str(each) for each in self[:_SHOWN]]
        more = [f"… {len(self) - _SHOWN} more"] if len(self) > _SHOWN else []
        return "[" + ", ".join(shown + more) + "]"

    def __repr__(self) -> str:
        return f"{self} at {self.confidence:.3g} confidence"

    def _repr_html_(self) -> str:
        return f"<code>{html.escape(repr(self))}</code>"


def in_one_format(value: float, low: float, high: float) -> tuple[str, str, str]:
    """A value and its bounds written alike, with two digits of the interval's half-width, at most six in all."""
    finite = [abs(each) for each in (value, low, high) if math.isfinite(each) and each]
    largest = max(finite, default=0.0)
    if not largest:
        spec = "g"
    else:
        width = (high - low) / 2
        known = math.isfinite(width) and width > 0
        top = math.floor(math.log10(largest))
        digits = min(max(top - math.floor(math.log10(width)) + 2, 2), 6) if known else 4
        scale = abs(value) if math.isfinite(value) and value else largest
        plain = math.floor(math.log10(scale)) >= -4 and top < 6
        spec = f".{max(digits - 1 - top, 0)}f" if plain else f".{digits - 1}e"
    low_text, high_text = ("0" if end == 0 else format(end, spec) for end in (low, high))
    return "0" if value == 0 else format(value, spec), low_text, high_text


def add_estimate(
    data: xr.Dataset, name: str, dims: tuple[str, ...], estimate: Estimate, units: str, long_name: str
) -> None:
    """Add an estimate's value and bounds to a dataset, as `name`, `name`_low and `name`_high, with `units`."""
    for (suffix, words), part in zip(BOUNDS.items(), (estimate.value, estimate.low, estimate.high), strict=True):
        data[name + suffix] = (dims, part, {"units": units, "long_name": long_name + words})


def clopper_pearson(successes: Any, trials: Any, confidence: float = 0.95) -> Estimate:
    """Exact interval for a binomial proportion (Clopper and Pearson 1934).

    successes, trials: counts, broadcast together. Coverage is at least `confidence` for every proportion.
    No trials give the value NaN and the interval [0, 1]. Raises ValueError for impossible counts or confidence.
    """
    fraction("confidence", confidence)
    successes, trials = np.broadcast_arrays(_float64(successes), _float64(trials))
    if np.any((successes < 0) | (successes > trials)):
        raise ValueError(f"successes must lie from 0 to trials, got {successes} of {trials}")
    failures = trials - successes
    tail = (1 - confidence) / 2
    low = np.where(successes > 0, stats.beta.ppf(tail, np.maximum(successes, 1), failures + 1), 0.0)
    high = np.where(failures > 0, stats.beta.isf(tail, successes + 1, np.maximum(failures, 1)), 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = successes / trials
    return Estimate(value, low, high, confidence)


def proportion_with_undecided(successes: Any, undecided: Any, trials: Any, confidence: float = 0.95) -> Estimate:
    """Proportion where some trials are undecided: left out of the value, read both ways in the exact interval."""
    value = clopper_pearson(successes, _float64(trials) - undecided, confidence).value
    low = clopper_pearson(successes, trials, confidence).low
    return Estimate(value, low, clopper_pearson(_float64(successes) + undecided, trials, confidence).high, confidence)


def chi_square_rate(events: int, exposure: float, confidence: float = 0.95, *, fixed_events: bool = False) -> Estimate:
    """Rate of a Poisson process: `events` seen in a total time `exposure` (Garwood 1936).

    fixed_events: the watch ended at the last event, not at a fixed time; then 2·rate·exposure is exactly
        chi-square with 2·events degrees of freedom.
    """
    tail = (1 - confidence) / 2
    if exposure <= 0:
        return Estimate(np.nan, 0.0, np.inf, confidence)
    low = stats.chi2.ppf(tail, 2 * events) / (2 * exposure) if events else 0.0
    high = stats.chi2.isf(tail, 2 * events + (0 if fixed_events and events else 2)) / (2 * exposure)
    return Estimate(events / exposure, low, high, confidence)
