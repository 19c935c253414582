"""The delta method: intervals of quantities computed from rates, from the intervals of the rates."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from ..statistics import Estimate


def delta_method(
    rates: Estimate, fn: Callable[[np.ndarray], np.ndarray], unscaled: Callable, bounds: tuple, further: float = 0.0
) -> Estimate:
    """fn(rates), with an interval by the delta method on the logarithms of the rates.

    rates: (K, K), each independent of the others; 0 with an upper bound of 0 is a jump that does not happen.
    fn: of such a matrix of values, any shape, on a scale where its error is near to normal. unscaled: back from that
        scale. bounds: of the answer, where a rate was never seen: the value is NaN then. further: half-width on that
        scale that comes of something else.
    The change of fn over the middle half of each rate's interval, doubled, stands for its slope times the half-width,
    so that the interval holds for errors that are not small too; the squares add up.
    """
    if np.any(unseen(rates)):
        nothing = np.full(np.shape(fn(np.where(unseen(rates), rates.high, rates.value))), np.nan)
        return Estimate(nothing, *(np.full(nothing.shape, bound) for bound in bounds), rates.confidence)
    value = np.asarray(fn(rates.value))
    square = np.full(value.shape, further**2)
    for place in zip(*np.nonzero(rates.value > 0), strict=True):
        factor = np.sqrt(np.sqrt(rates.high[place] / rates.low[place]))
        moved = []
        for way in (factor, 1 / factor):
            matrix = rates.value.copy()
            matrix[place] *= way
            moved.append(np.asarray(fn(matrix)))
        # what is certain, at a time of 0, has infinite log-odds, and stays there
        with np.errstate(invalid="ignore"):
            square = square + np.where(moved[0] == moved[1], 0.0, moved[0] - moved[1]) ** 2
    width = np.sqrt(square)
    ends = (unscaled(np.asarray(end)) for end in (value, value - width, value + width))
    return Estimate(*ends, rates.confidence)


def unseen(rates: Estimate) -> Bool[np.ndarray, "K K"]:
    """Rates of which only an upper bound is known."""
    return ~(rates.low > 0) & (rates.high > 0)


def log_odds(shares: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "... K"]:
    """log(p/(1 − p)) of shares that sum to 1, also where 1 − p is far below rounding error."""
    others = [np.delete(shares, state, axis=-1).sum(axis=-1) for state in range(shares.shape[-1])]
    with np.errstate(divide="ignore"):
        return np.log(shares) - np.log(np.stack(others, axis=-1))


def from_log_odds(value: np.ndarray) -> np.ndarray:
    """The share with these log-odds."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -value)))
