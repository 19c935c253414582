"""Student's t intervals of time averages, from the spread between independent trajectories, on the logit scale."""

import numpy as np
from jaxtyping import Float

from ..statistics import Estimate, clopper_pearson, student_width


def time_average_interval(shares: Float[np.ndarray, "m basins"], undecided: int, confidence: float) -> Estimate:
    """Mean share in each basin over m independent trajectories.

    undecided: trajectories beside these, left out of the value and read both ways in the interval.
    Interval: t on the logit scale; for a mean of 0 or 1 that of the probability to be there, or away, at all.
    """
    number = len(shares)
    if number < 2:
        nothing = np.full(shares.shape[1], np.nan)
        return Estimate(nothing, np.zeros_like(nothing), np.ones_like(nothing), confidence)
    mean = shares.mean(axis=0)
    inside = (mean > 0) & (mean < 1)
    middle = np.where(inside, mean, 0.5)
    error = shares.std(axis=0, ddof=1) / np.sqrt(number) / (middle * (1 - middle))
    width = student_width(confidence, number - 1) * error
    logit = np.log(middle) - np.log1p(-middle)
    most = clopper_pearson(0, number, confidence).high
    low = np.where(inside, _logistic(logit - width), np.where(mean == 1, 1 - most, 0.0))
    high = np.where(inside, _logistic(logit + width), np.where(mean == 1, 1.0, most))
    whole = number + undecided
    return Estimate(mean, low * number / whole, (high * number + undecided) / whole, confidence)


def _logistic(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(value, -700, 700)))
