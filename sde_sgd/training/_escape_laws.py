"""What mean times to leave say together: slope of their logarithm against M/γ, one process over another, a sentence."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import special

from ..statistics import Estimate, normal_width, student_width

PROCESSES = ("sgd", "sde", "linear")
WORDS = {"sgd": "SGD", "sde": "its SDE", "linear": "linearised at the minimum"}
_SGDS = "SGD's"


def slope(x: Float[np.ndarray, "..."], times: Estimate) -> Estimate:
    """d log E τ/dx by weighted least squares over all cells, shape ().

    x: M/γ of each cell. times: of its shape; those whose interval has no end at 0 or infinity count.
    The interval takes the cells' own errors; where the cells scatter about the line by more than those, it is widened
    to that scatter with Student's quantile. NaN in [−∞, ∞] with fewer than two values of x.
    """
    value, error = (each.ravel() for each in _logarithms(times))
    known = np.isfinite(error) & (error > 0)
    x, value, weight = x.ravel()[known], value[known], 1 / error[known] ** 2
    if len(np.unique(x)) < 2:
        return Estimate(np.nan, -np.inf, np.inf, times.confidence)
    away = x - np.average(x, weights=weight)
    spread = float(weight @ away**2)
    found = float((weight * away) @ value) / spread
    left = value - np.average(value, weights=weight) - found * away
    normal: Any = normal_width(times.confidence)
    half = normal / np.sqrt(spread)
    if len(x) > 2:
        scatter = float(weight @ left**2) / (len(x) - 2)
        if scatter > 1:
            half = student_width(times.confidence, len(x) - 2) * np.sqrt(scatter / spread)
    return Estimate(found, found - half, found + half, times.confidence)


def over(times: Estimate, base: Estimate) -> Estimate:
    """Times over those of another process, or from another minimum, cell by cell, without unit.

    Intervals of all cells together have the confidence of the times (Bonferroni), on a logarithmic scale.
    NaN in [0, ∞] where one of the two has an interval with an end at 0 or infinity.
    """
    (value, error), (base_value, base_error) = _logarithms(times), _logarithms(base)
    half = -special.ndtri((1 - times.confidence) / (2 * value.size)) * np.hypot(error, base_error)
    known = np.isfinite(half)
    with np.errstate(invalid="ignore"):
        middle = np.exp(value - base_value)
        low, high = (np.exp(value - base_value + side * half) for side in (-1, 1))
    return Estimate(
        np.where(known, middle, np.nan), np.where(known, low, 0), np.where(known, high, np.inf), times.confidence
    )


def sentence(slopes: Mapping[str, Any], ratios: Mapping[str, Estimate], limit: float) -> str:
    """Slopes of log time, and whether the SDE and the theory have SGD's times.

    slopes: by process. ratios: over SGD's times, of the other processes. limit: slope at low noise, NaN where unknown.
    """
    each = "; ".join(f"{WORDS[name]} {value:.3g}" for name, value in slopes.items())
    said = [f"log of the mean time to leave grows per unit of M/γ by: {each}"]
    if np.isfinite(limit):
        said.append(f"at low noise the linearised one tends to {limit:.3g}")
    said += [f"{WORDS[name]}: {compared(ratio, _SGDS)}" for name, ratio in ratios.items()]
    return "; ".join(said)


def compared(ratio: Estimate, whose: str) -> str:
    """Ratios of times in words, such as "0.95 to 1.1 of SGD's times, agrees in all of 6 cells". whose: times below."""
    known = np.isfinite(ratio.high)
    if not known.any():
        return f"times that cannot be compared with {whose}"
    differ, values = int(np.sum(~ratio.contains(1.0))), ratio.value[known]
    agree = "agrees in all" if not differ else f"differs in {differ}"
    return f"{values.min():.3g} to {values.max():.3g} of {whose} times, {agree} of {known.sum()} cells"


def _logarithms(estimate: Estimate) -> tuple[np.ndarray, np.ndarray]:
    """log of each, and its standard error by the interval; infinite where the interval has an end at 0 or infinity."""
    normal = normal_width(estimate.confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = (np.log(estimate.high) - np.log(estimate.low)) / (2 * normal)
        value = np.log(estimate.value)
    known = np.isfinite(error) & np.isfinite(value)
    return np.where(known, value, 0.0), np.where(known, error, np.inf)
