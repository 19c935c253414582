"""Tail of a weighted sum of χ²₁ variables by a saddle-point contour, accurate far out."""

from typing import Any

import numpy as np
from scipy.optimize import brentq

from .._errors import numbers


def weighted_chi2_tail(weights: Any, x: Any) -> Any:
    """P(Σ w_i Z_i² ≥ x) for independent standard normal Z_i.

    weights: (n,), each ≥ 0. x: scalar or any shape.
    Returns a float for a scalar x, else an array of x's shape, float64. Absolute error below 1e-10 everywhere; for x
    above the mean Σ w_i the relative error stays below about 1e-9, so a tail of 1e-30 is known too.
    Raises ValueError if a weight is negative or anything is NaN.

    Method: with K(s) = −½ Σ log(1 − 2 w_i s) the tail is (1/2πi)∫ exp(K(s) − sx)/s ds over a contour that crosses the
    real axis between the pole at 0 and the first branch point 1/(2 max w). The contour runs through the integrand's
    saddle point and bends to the right as steepest descent does, so nothing cancels; the trapezoidal rule then
    converges geometrically. Below the mean the same integral to the left of 0 gives the complement.
    Source: Imhof 1961, along the imaginary axis, which has the absolute accuracy only; Rice 1980 moves the path.
    """
    weights = numbers("weights", weights)
    if weights.ndim != 1 or not np.all(np.isfinite(weights)) or np.any(weights < 0):
        raise ValueError(f"weights must be finite numbers of shape (n,), each at least 0, got {weights}")
    points = numbers("x", x)
    if np.any(np.isnan(points)):
        raise ValueError(f"x must be a number, got {x!r}")
    values = np.array([_tail(weights, float(point)) for point in points.reshape(-1)]).reshape(points.shape)
    return float(values) if points.ndim == 0 else values


def _tail(weights: np.ndarray, x: float) -> float:
    if x <= 0:
        return 1.0
    largest = np.max(weights, initial=0.0)
    if largest == 0 or np.isinf(x):
        return 0.0
    if x > 1e6 * np.sum(weights):
        return 0.0  # far below the smallest float64
    scaled = weights / largest
    scaled = scaled[scaled > 1e-18]  # what is dropped moves the sum by less than rounding does
    x = float(x / largest)
    upper = bool(x >= np.sum(scaled))
    # z = 1/2 − s, measured from the first branch point: deep in the tail the saddle lies close to it
    z = 0.5 - _saddle(scaled, x, upper)
    s = 0.5 - z
    shifted = (1 - scaled) / (2 * scaled) + z
    second = np.sum(0.5 / shifted**2) + 1 / s**2
    third = np.sum(1 / shifted**3) - 2 / s**3
    width = 1 / np.sqrt(second)
    gap = z if upper else -s
    bend = float(np.clip(third / (6 * second), min(0.1 / width, 0.25 / gap), 0.25 / gap))
    reference = float(np.real(_exponent(scaled, x, np.array([complex(z)])))[0] - np.log(abs(s)))
    reach = np.array([4 * width])
    while np.real(_exponent(scaled, x, z - 1j * reach - bend * reach**2))[0] - reference > -45:
        reach = 1.3 * reach
    end = float(np.arcsinh(reach / width)[0])

    def total(y: np.ndarray) -> float:
        v = width * np.sinh(y)
        path = z - 1j * v - bend * v**2
        integrand = np.exp(_exponent(scaled, x, path) - reference) / (0.5 - path) * (1 - 2j * bend * v)
        return float(np.sum((integrand * width * np.cosh(y)).real))

    nodes = 32
    step = end / nodes
    mass = total(np.arange(1, nodes + 1) * step) + total(np.zeros(1)) / 2
    value = mass * step
    while nodes < 1 << 12:
        mass += total((np.arange(nodes) + 0.5) * step)
        nodes, step = 2 * nodes, step / 2
        previous, value = value, mass * step
        if abs(value - previous) <= 1e-12 * abs(value):
            break
    with np.errstate(under="ignore"):
        probability = abs(value) / np.pi * np.exp(reference)
    return float(min(probability, 1.0) if upper else max(1 - probability, 0.0))


def _exponent(weights: np.ndarray, x: float, z: np.ndarray) -> np.ndarray:
    """K(s) − sx at s = 1/2 − z, in slices so that many weights need little memory."""
    rows = max(1, 2_000_000 // weights.size)
    parts = [
        -0.5 * np.sum(np.log((1 - weights) + 2 * weights * part[:, None]), axis=1)
        for part in np.split(z, range(rows, z.size, rows))
    ]
    return np.concatenate(parts) + (z - 0.5) * x


def _saddle(weights: np.ndarray, x: float, upper: bool) -> float:
    """The point s where K(s) − sx − log|s| is smallest: above 0 for the upper tail, below 0 for the lower one."""

    def slope(s: float) -> float:
        return float(np.sum(weights / (1 - 2 * weights * s))) - x - 1 / s

    if upper:

        def slope_at(log_z: float) -> float:
            z = np.exp(log_z)
            return float(np.sum(weights / ((1 - weights) + 2 * weights * z))) - x - 1 / (0.5 - z)

        small = 0.25
        while slope(small) > 0:
            small /= 2
        root: Any = brentq(slope_at, np.log(1 / (2 * x + 8)), np.log(0.5 - small), xtol=1e-10)
        return 0.5 - float(np.exp(root))
    near = far = (weights.size / 2 + 1) / x
    while slope(-near) < 0:
        near /= 2
    if near == far:
        return -far
    root = brentq(lambda log: slope(-float(np.exp(log))), np.log(near), np.log(far), xtol=1e-10)
    return -float(np.exp(root))
