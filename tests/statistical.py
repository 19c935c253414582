"""Statistical assertions with stated error rates, a mean passage time by quadrature, and short names of exact kernels.

Every statistical assertion of the suite is one band of `Z` standard errors, wider by a bound on any known bias. A
fresh seed would leave it with probability `FALSE_FAIL`. `false_pass` is the chance that a broken twin passes.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import cumulative_simpson
from scipy.stats import norm

Z = 4.0
FALSE_FAIL = 2 * float(norm.sf(Z))  # 6.3e-5


def agrees(value: Any, truth: Any, error: Any, bias: Any = 0.0) -> bool:
    """Whether |value − truth| ≤ Z·error + bias, in every component."""
    return bool(np.all(np.abs(np.asarray(value) - truth) <= Z * np.asarray(error) + bias))


def false_pass(shift: float, error: float, bias: float = 0.0) -> float:
    """Probability that an estimator that is off by `shift`, with standard error `error`, passes `agrees`."""
    band = Z * error + bias
    return float(norm.cdf((band - abs(shift)) / error) - norm.cdf((-band - abs(shift)) / error))


def binomial_error(probability: Any, trials: int) -> Any:
    """Standard error of a frequency."""
    return np.sqrt(np.asarray(probability) * (1 - np.asarray(probability)) / trials)


def mean_passage(drift: Callable, variance: Callable, start: float, target: float, reflecting: float) -> float:
    """E τ from `start` up to `target` of dX = b dt + √v dW, by the double integral of the backward equation.

    drift, variance: b and v of an array of points. reflecting: left end, where the path is reflected.
    Relative error below 1e-6 for the problems of this suite (compared with published values there).
    """
    x = np.linspace(reflecting, target, 40_001)
    spacing = float(x[1] - x[0])
    half = variance(x) / 2
    potential = -cumulative_simpson(drift(x) / half, dx=spacing, initial=0)
    inner = cumulative_simpson(np.exp(-potential) / half, dx=spacing, initial=0)
    outer = cumulative_simpson(np.exp(potential) * inner, dx=spacing, initial=0)
    return float(outer[-1] - np.interp(start, x, outer))


def distance(estimate: Any, truth: float) -> float:
    """|log(estimate/truth)| in half-widths of the 95 % interval: above 1.68 once in a thousand."""
    return abs(math.log(float(estimate) / truth)) / (math.log(float(estimate.high / estimate.low)) / 2)
