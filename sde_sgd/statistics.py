"""Estimates with confidence intervals: Clopper and Pearson's, inverse binomial, Garwood's, Student's; on scipy."""

import html
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from jaxtyping import Float
from scipy import special

from ._errors import fraction

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Estimate",
    "add_estimate",
    "chi_square_rate",
    "clopper_pearson",
    "inverse_binomial",
    "normal_width",
    "proportion_with_undecided",
    "smirnov_probability",
    "student_mean",
    "student_width",
]

# entries of an array of estimates that are printed
_SHOWN = 12
# what the three numbers of an estimate are called in a dataset
BOUNDS = {"": "", "_low": ", lower bound", "_high": ", upper bound"}


def _float64(value: Any) -> np.ndarray:
    return np.asarray(value, np.float64)


class Estimate(eqx.Module):
    """A value with its confidence interval, each a float64 array of one common shape; () for a single estimate.

    value, low, high: in the units of what is estimated, low ≤ high; the value may be NaN where nothing was seen.
    confidence: coverage that the interval is made for, such as 0.95.

    It prints itself, and serves as a number: `float(e)` and `format(e, ".3g")`; of an array of estimates `e[3]`,
    `e[1:4]`, `len(e)` and iteration along the first axis give estimates again.
    """

    value: Float[np.ndarray, "..."] = eqx.field(converter=_float64)
    """The estimate itself."""
    low: Float[np.ndarray, "..."] = eqx.field(converter=_float64)
    """Lower end of the interval."""
    high: Float[np.ndarray, "..."] = eqx.field(converter=_float64)
    """Upper end of the interval; infinite where nothing bounds it."""
    confidence: float = eqx.field(static=True, default=0.95)
    """Coverage that the interval is made for."""

    @property
    def relative_half_width(self) -> np.ndarray:
        """(high − low)/(2 |value|), of the shape of `value`; infinite where the value is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            width = (self.high - self.low) / (2 * np.abs(self.value))
        return np.where(self.value == 0, np.inf, width)

    def contains(self, truth: Any) -> np.ndarray:
        """Whether the interval holds `truth`, its ends included: a boolean array, `truth` broadcast to the shape."""
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
        """Some of an array of estimates, chosen as entries of a NumPy array are."""
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
    """A value and its bounds written alike, with two digits of the interval's half-width, at most six in all.

    Without a finite half-width they have four digits. An exact 0 is "0". Numbers too small or too large for that
    many plain digits are written with an exponent, all three.
    """
    return _written((value, low, high), *interval_format(value, low, high))


def interval_format(value: float, low: float, high: float) -> tuple[bool, int, int]:
    """How `in_one_format` writes: whether without an exponent, with how many digits, and with how many decimals."""
    finite = [abs(each) for each in (value, low, high) if math.isfinite(each) and each]
    if not finite:
        return True, 1, 0
    top, half_width = _exponent(max(finite)), (high - low) / 2
    digits = 4
    if math.isfinite(half_width) and half_width > 0:
        digits = min(max(top - _exponent(half_width) + 2, 2), 6)
    decimals = max(digits - 1 - top, 0)
    # the value itself must not be rounded away beside a bound that is much larger
    first = _exponent(abs(value)) if math.isfinite(value) and value else top
    return top < 6 and first >= -4 and first >= -decimals, digits, decimals


def down_a_column(intervals: list[tuple[float, float, float]]) -> list[tuple[str, str, str]]:
    """Intervals (value, low, high) below each other, all in one format: with an exponent or without, as many decimals.

    The finest of them decides, so that others have more digits than they bear; where that makes numbers long it has
    one digit of its half-width instead of two. Where they would still have more than nine characters all have an
    exponent, and at most four digits.
    """
    formats = [interval_format(*each) for each in intervals]
    known = [each for each, numbers in zip(formats, intervals, strict=True) if any(map(_is_number, numbers))]
    digits = min(max((each[1] for each in known), default=1), 4)
    decimals = max((each[2] for each in known), default=0)
    largest = max((abs(each) for numbers in intervals for each in numbers if _is_number(each)), default=1.0)
    plain, decimals = plain_decimals(largest, decimals)
    plain = plain and all(each[0] for each in known)
    return [_written(each, plain, digits, decimals) for each in intervals]


def plain_decimals(largest: float, decimals: int) -> tuple[bool, int]:
    """Whether numbers up to `largest` fit nine characters without an exponent, and with how many decimals: `decimals`,
    or one less where they would have more than seven characters."""
    before = max(_exponent(largest), 0) + 2
    decimals -= decimals > 0 and before + decimals > 7
    return before + decimals <= 9, decimals


def _is_number(value: float) -> bool:
    return math.isfinite(value) and value != 0


def _written(numbers: tuple[float, float, float], plain: bool, digits: int, decimals: int) -> tuple[str, str, str]:
    spec = f".{decimals}f" if plain else f".{digits - 1}e"
    value_text, low_text, high_text = ("0" if each == 0 else format(each, spec) for each in numbers)
    return value_text, low_text, high_text


def _exponent(size: float) -> int:
    """Decimal exponent of the first digit of a positive number."""
    return math.floor(math.log10(size))


def add_estimate(
    data: "xr.Dataset", name: str, dims: tuple[str, ...], estimate: Estimate, units: str, long_name: str
) -> None:
    """Add an estimate, of any shape, to `data`, as the variables `name`, `name`_low and `name`_high.

    dims: names of the estimate's axes. units, long_name: attributes of all three; the bounds say so in the latter.
    """
    for (suffix, words), part in zip(BOUNDS.items(), (estimate.value, estimate.low, estimate.high), strict=True):
        data[name + suffix] = (dims, part, {"units": units, "long_name": long_name + words})


def clopper_pearson(successes: Any, trials: Any, confidence: float = 0.95) -> Estimate:
    """Exact interval for a binomial proportion (Clopper and Pearson, Biometrika 26, 404, 1934).

    successes, trials: counts, broadcast together; the estimate has their shape and no unit.
    confidence: least coverage, for every proportion; between 0 and 1.
    No trials give the value NaN and the interval [0, 1].
    Raises ValueError for impossible counts or confidence.
    """
    fraction("confidence", confidence)
    successes, trials = np.broadcast_arrays(_float64(successes), _float64(trials))
    if np.any((successes < 0) | (successes > trials)):
        raise ValueError(f"successes must lie from 0 to trials, got {successes} of {trials}")
    failures = trials - successes
    tail = (1 - confidence) / 2
    # a beta law with a parameter of 0 is a point, which has no quantile
    low = np.where(successes > 0, special.betaincinv(successes, failures + 1, tail), 0.0)
    high = np.where(failures > 0, special.betainccinv(successes + 1, failures, tail), 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = successes / trials
    return Estimate(value, low, high, confidence)


def proportion_with_undecided(successes: Any, undecided: Any, trials: Any, confidence: float = 0.95) -> Estimate:
    """Proportion where it is not known of some trials whether they succeeded.

    successes, undecided, trials: counts of any shape, broadcast together, successes + undecided ≤ trials.
    The value leaves the undecided out. The exact interval (`clopper_pearson`) reads them both ways, as failures in its
    lower end and as successes in its upper end, so that it holds whatever became of them. Source: the worst case of
    `clopper_pearson`.
    Raises ValueError for impossible counts or confidence.
    """
    successes, undecided = _float64(successes), _float64(undecided)
    value = clopper_pearson(successes, trials - undecided, confidence).value
    low = clopper_pearson(successes, trials, confidence).low
    return Estimate(value, low, clopper_pearson(successes + undecided, trials, confidence).high, confidence)


def inverse_binomial(successes: int, undecided: int, trials: int, confidence: float = 0.95) -> Estimate:
    """Proportion where sampling went on until a fixed number of successes (Haldane, Biometrika 33, 222, 1945).

    successes: that number, at least 1; the last of the `trials` was one of them.
    undecided: trials of which it is not known whether they succeeded; left out of the value, which is unbiased without
        them, (successes − 1)/(trials − 1), and read both ways in the exact interval.
    Raises ValueError for impossible counts or confidence.
    """
    fraction("confidence", confidence)
    if not 1 <= successes <= trials - undecided or undecided < 0:
        raise ValueError(
            f"successes must lie from 1 to the decided trials, got {successes} of {trials} with {undecided} undecided"
        )
    tail, failures = (1 - confidence) / 2, trials - successes - undecided
    low = special.betaincinv(successes, trials - successes + 1, tail)
    high = special.betainccinv(successes + undecided, failures, tail) if failures else 1.0
    return Estimate((successes - 1) / max(successes + failures - 1, 1), low, high, confidence)


def chi_square_rate(events: int, exposure: float, confidence: float = 0.95, *, fixed_events: bool = False) -> Estimate:
    """Rate of a Poisson process, per unit of `exposure` (Garwood, Biometrika 28, 437, 1936).

    events: how many were seen. exposure: total time watched; 0 gives the value NaN and the interval [0, ∞].
    fixed_events: the watch ended at the last event, not at a fixed time; then 2·rate·exposure is exactly chi-square
        with 2·events degrees of freedom. Otherwise coverage is at least `confidence`.
    Raises ValueError for a negative count or exposure, or an impossible confidence.
    """
    fraction("confidence", confidence)
    if events < 0 or not exposure >= 0:
        raise ValueError(f"events and exposure must be at least 0, got {events} in {exposure}")
    if exposure == 0:
        return Estimate(np.nan, 0.0, np.inf, confidence)
    tail = (1 - confidence) / 2
    low = 2 * special.gammaincinv(events, tail) / (2 * exposure) if events else 0.0
    high = special.chdtri(2 * events + (0 if fixed_events and events else 2), tail) / (2 * exposure)
    return Estimate(events / exposure, low, high, confidence)


def normal_width(confidence: float) -> float:
    """Half-width of a normal law's two-sided interval, in its standard deviations. Exact: 1.96 at confidence 0.95."""
    # scipy.stats says the same, and takes half a second to import
    return float(-special.ndtri((1 - confidence) / 2))


def student_width(confidence: float, freedom: Any) -> Any:
    """Half-width of the two-sided interval of Student's law (Student 1908), in standard errors.

    confidence: coverage, between 0 and 1. freedom: degrees of freedom, at least 1, of any shape.
    """
    return -special.stdtrit(freedom, (1 - confidence) / 2)


def kolmogorov_smirnov(
    values: Float[np.ndarray, " pooled"], weights: Float[np.ndarray, "rows pooled"]
) -> Float[np.ndarray, " rows"]:
    """Largest difference of two empirical distribution functions, for each row of weights.

    values: of both samples, NaN only where they have no weight. weights: 1/n for each of the n of the one, −1/m for
    each of the m of the other.
    """
    order = np.argsort(values)
    # a distribution function is read where the value changes
    ends = np.flatnonzero(values[order][1:] != values[order][:-1])
    return np.abs(np.cumsum(weights[:, order], axis=1)[:, ends]).max(axis=1, initial=0.0)


def smirnov_probability(ones: Any, others: Any) -> float:
    """How likely two samples of one law on the line are at least this far from each other (Smirnov 1939), from 0 to 1.

    ones, others: n and m independent numbers (n,), (m,) in one unit, at least one each. Far is the largest difference
        between their empirical distribution functions, d.
    The law of √(nm/(n + m))·d is nearly Kolmogorov's, with the correction of Vrbik (Pioneer Journal of Theoretical and
    Applied Statistics 15, 15, 2018): within 2 % of that of `scipy.stats.ks_2samp(method="asymp")` at 1 in 100 with
    n = m = 128, and the nearer the more numbers there are. With ties it is too large.
    Raises ValueError for a sample without numbers.
    """
    # scipy.stats has it, and takes half a second to import
    ones, others = _float64(ones), _float64(others)
    if not (len(ones) and len(others)):
        raise ValueError(f"ones and others must have a number each, at least, got {len(ones)} and {len(others)}")
    n, m = len(ones), len(others)
    (far,) = kolmogorov_smirnov(np.concatenate([ones, others]), np.repeat([1 / n, -1 / m], [n, m])[None])
    count = n * m / (n + m)
    root = np.sqrt(count)
    return float(special.kolmogorov(root * far + 1 / (6 * root) + (root * far - 1) / (4 * count)))


def student_mean(values: Any, confidence: float = 0.95, axis: int = -1) -> Estimate:
    """Mean along an axis with Student's interval (Student, Biometrika 6, 1, 1908); what is NaN is left out.

    values: numbers of any shape, in a unit that the estimate has too. confidence: coverage where they are independent
        and their mean nearly normal. axis: which of theirs is averaged over.
    One number alone has the interval [−∞, ∞], and none is NaN. Raises ValueError for another confidence.
    """
    fraction("confidence", confidence)
    values = np.moveaxis(_float64(values), axis, -1)
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=-1) / count
        squares = np.where(known, values - mean[..., None], 0.0) ** 2
        half = student_width(confidence, np.maximum(count - 1, 1)) * np.sqrt(
            squares.sum(axis=-1) / (np.maximum(count - 1, 1) * count)
        )
    half = np.where(count > 1, half, np.where(count == 1, np.inf, np.nan))
    return Estimate(mean, mean - half, mean + half, confidence)


def tail_index(values: Any, largest: int) -> float:
    """α of a law whose tail falls off as P(X > x) ~ x⁻ᵅ (Hill, Annals of Statistics 3, 1163, 1975), from 0 to ∞.

    values: independent positive numbers (n,) in any unit. largest: of so many it is estimated, at least 1 and fewer
        than n; the relative standard error is 1/√largest.
    Of a law that falls off faster than any power it grows with n.
    Up to 2 a law has no variance, and up to 1 no mean. Raises ValueError for another number of the largest, or for what
    is not a finite number above 0 among them.
    """
    top = _largest(values, largest)
    excess = float(np.mean(np.log(top[1:] / top[0])))
    return 1 / excess if excess > 0 else math.inf


def excess_shape(values: Any, largest: int) -> float:
    """ξ of the generalised Pareto law of what is above a threshold, by its moments (Hosking and Wallis 1987), up to 1.

    values, largest: as of `tail_index`, but at least 2 of them. 0 for a tail that is exponential from the threshold on,
        wherever it lies, and 1/α for a power law; from 1/2 on a law has no variance. Valid for ξ below 1, near which
        it is too small. Source: Technometrics 29, 339.
    """
    if largest < 2:
        raise ValueError(f"largest must be at least 2, got {largest}")
    top = _largest(values, largest)
    above = top[1:] - top[0]
    mean, falling = above.mean(), np.mean(above * np.arange(largest - 1, -1, -1)) / (largest - 1)
    return float(2 - mean / (mean - 2 * falling)) if mean > 2 * falling else -math.inf


def _largest(values: Any, largest: int) -> Float[np.ndarray, " k"]:
    """The threshold, the largest of the others, and so many above it, ascending."""
    values = np.sort(_float64(values))
    if not 0 < largest < len(values):
        raise ValueError(f"largest must be from 1 to {len(values) - 1}, fewer than there are values, got {largest}")
    top = values[-largest - 1 :]
    if np.any(bad := ~((top > 0) & np.isfinite(top))):
        raise ValueError(f"values must be finite and above 0, got {top[bad][0]} among the largest")
    return top
