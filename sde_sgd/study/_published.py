"""Published values beside a study's own: a value, an exponent or a ratio, and whether the interval holds it."""

import math
import types
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from .._errors import choose
from .._precision import is_wide
from ._sections import Finite, Section

if TYPE_CHECKING:
    import xarray as xr

    from ..statistics import Estimate

Place = dict[str, float | str]


class PublishedSpec(Section):
    """A value that others found or derived, for a sentence below the table: whether ours agrees with it.

    variable: of the dataset, one with an interval. value: theirs; or low, high: the ends of a range of theirs.
    low, high: one of them alone leaves the other side open.
    at: where, by dimension of the dataset: a word, or a number, of which the nearest is taken. Of a dimension that is
        not named it is the last place.
    over: another place, likewise, the value at which ours is divided by. along: a dimension over which ours is the
        exponent of a power law, fitted to the logarithms of all its places.
    source: whose value it is.
    """

    variable: str
    value: Finite | None = None
    low: Finite | None = None
    high: Finite | None = None
    at: Place = Field(default={})
    over: Place | None = None
    along: str | None = None
    source: str

    @model_validator(mode="after")
    def _one_value(self):
        if (self.value is None) == (self.low is None and self.high is None):
            raise ValueError("published takes either a value, or low and high, the ends of a range")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"published must have low below high, got {self.low:g} and {self.high:g}")
        if self.over is not None and self.along is not None:
            raise ValueError("published is either over another place or along a dimension, not both")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """The range of theirs, of no width where it is a value."""
        if self.value is not None:
            return self.value, self.value
        low, high = self.low, self.high
        return -math.inf if low is None else low, math.inf if high is None else high


def check(
    spec: PublishedSpec,
    variables: Mapping[str, Collection[str]],
    labels: Mapping[str, Any] = types.MappingProxyType({}),
) -> None:
    """Raise ValueError, with the nearest name, where a dataset has not what is compared.

    variables: of the dataset, each with its dimensions. labels: by dimension, what stands along it, where it is known.
    """
    if spec.variable not in variables:
        raise ValueError(choose("variable", spec.variable, variables))
    dims = variables[spec.variable]
    for name in [*spec.at, *(spec.over or {}), *([] if spec.along is None else [spec.along])]:
        if name not in dims:
            raise ValueError(choose(f"dimension of {spec.variable}", name, dims))
    for place in (spec.at, spec.over or {}):
        for name in place:
            if name in labels:
                _place(np.asarray(labels[name]), name, place)


def sentence(spec: PublishedSpec, dataset: "xr.Dataset", confidence: float) -> str:
    """Whether ours agrees with what was published, differs, or is too imprecise to say.

    dataset: of the study. confidence: of its intervals. A value agrees where our interval holds it and is no wider than
    our value, a range where it holds the whole interval; they differ where interval and range have nothing in common.
    """
    head = f"published {_what(spec)}: {_theirs(spec)} ({spec.source})"
    try:
        ours = found(spec, dataset, confidence)
    except ValueError as error:
        return f"{head}: not known: {error}"
    return f"{head}: {judged(ours, spec)}"


def judged(ours: "Estimate", spec: PublishedSpec) -> str:
    """The verdict and our number, a single estimate, in words."""
    value, low, high = (float(each) for each in (ours.value, ours.low, ours.high))
    first, last = spec.ends
    if math.isnan(value) or math.isnan(low) or math.isnan(high):
        return "undecided, because there is no number of ours"
    if low > last or high < first:
        end = last if low > last else first
        off = f", {abs(value / end - 1):.2g} times it {'above' if value > end else 'below'}" if end else ""
        return f"differs: ours is {ours}{off}"
    if spec.value is None:
        if first <= low and high <= last:
            return f"agrees: ours is {ours}"
        return f"undecided, because our interval reaches beyond the range: ours is {ours}"
    if bool(is_wide(value, low, high)):
        return f"undecided, because our interval is wider than its value: ours is {ours}"
    return f"agrees: ours is {ours}"


def found(spec: PublishedSpec, dataset: "xr.Dataset", confidence: float) -> "Estimate":
    """Ours, a single estimate with its interval. Raises ValueError for what the dataset has not.

    Of a ratio and an exponent the interval is that of logarithms that are normal and independent, of positive values.
    """
    from ..statistics import Estimate

    check(spec, {str(name): list(map(str, each.dims)) for name, each in dataset.data_vars.items()})
    if spec.along is not None:
        values = [_bounds(dataset, spec.variable, spec.at, spec.along, end) for end in ("", "_low", "_high")]
        return _exponent(np.asarray(dataset[spec.along].values, float), *values, confidence)
    ours = [float(_bounds(dataset, spec.variable, spec.at, None, end)) for end in ("", "_low", "_high")]
    if spec.over is None:
        return Estimate(*ours, confidence)
    other = [float(_bounds(dataset, spec.variable, spec.at | spec.over, None, end)) for end in ("", "_low", "_high")]
    return _ratio(ours, other, confidence)


def _bounds(dataset: "xr.Dataset", variable: str, at: Mapping[str, Any], along: str | None, end: str) -> np.ndarray:
    """The variable, or a bound, at a place: a number, or one for each place along a dimension."""
    values = dataset[variable + end] if variable + end in dataset else dataset[variable]
    index = {str(dim): _place(values[dim].values, str(dim), at) for dim in values.dims if dim != along}
    return np.asarray(values.isel(index).values, float)


def _place(labels: np.ndarray, dim: str, at: Mapping[str, Any]) -> int:
    """The number of a place along a dimension, by what stands along it; the last one where it is not named."""
    if dim not in at:
        return -1
    wanted = at[dim]
    if labels.dtype.kind in "fiu":
        if isinstance(wanted, str):
            raise ValueError(f"{dim} must be a number, got '{wanted}'")
        return int(np.argmin(np.abs(labels - wanted)))
    names = [str(label) for label in labels]
    if wanted not in names:
        raise ValueError(choose(f"place along {dim}", wanted, names))
    return names.index(str(wanted))


def _ratio(ours: list[float], other: list[float], confidence: float) -> "Estimate":
    from ..statistics import Estimate

    with np.errstate(divide="ignore", invalid="ignore"):
        value, low, high = np.log(np.array(ours))
        second, second_low, second_high = np.log(np.array(other))
        ratio = value - second
        # each side's own part of the interval
        down, up = np.hypot(value - low, second_high - second), np.hypot(high - value, second - second_low)
    if not np.all(np.isfinite([ratio, down, up])):
        return Estimate(np.nan, np.nan, np.nan, confidence)
    return Estimate(np.exp(ratio), np.exp(ratio - down), np.exp(ratio + up), confidence)


def _exponent(along: np.ndarray, value: np.ndarray, low: np.ndarray, high: np.ndarray, confidence: float) -> "Estimate":
    """Least squares of log value on log along, all places alike; the interval is that of independent logarithms."""
    from ..statistics import Estimate

    with np.errstate(divide="ignore", invalid="ignore"):
        x, y, half = np.log(along), np.log(value), (np.log(high) - np.log(low)) / 2
    known = np.isfinite(x) & np.isfinite(y) & np.isfinite(half)
    if known.sum() < 2:
        raise ValueError("an exponent takes two places with positive values")
    away = x[known] - x[known].mean()
    weights = away / (away @ away)
    slope, width = weights @ y[known], np.sqrt(weights**2 @ half[known] ** 2)
    return Estimate(slope, slope - width, slope + width, confidence)


def _what(spec: PublishedSpec) -> str:
    place = ", ".join(_at(spec.at))
    words = spec.variable.replace("_", " ")
    if spec.along is not None:
        words = f"exponent of {words} along {spec.along}"
    if spec.over is not None:
        words = f"{words} over that at {', '.join(_at(spec.over))}"
    return f"{words}, at {place}" if place else words


def _at(place: Place) -> list[str]:
    return [f"{name} {each}" if isinstance(each, str) else f"{name} = {each:g}" for name, each in place.items()]


def _theirs(spec: PublishedSpec) -> str:
    if spec.value is not None:
        return f"{spec.value:.6g}"
    if spec.low is None:
        return f"below {spec.high:.6g}"
    return f"above {spec.low:.6g}" if spec.high is None else f"{spec.low:.6g} to {spec.high:.6g}"
