"""Capture–recapture: how many things there are, from how often independent searches found each that they found."""

import math
from typing import Any

import numpy as np

from ..statistics import Estimate, normal_width

_CONFIDENCE = 0.95


def chao(counts: Any) -> Estimate:
    """Chao's estimate of how many kinds there are in all, with its 95 % interval; found ones are counted in.

    counts: (n,) how often each kind that was found was found. The interval is log-normal, and binomial where no kind
        was found just once.

    Valid as an estimate where searches are independent and find every kind with one probability; where probabilities
    differ it is a lower bound on average, and kinds that no search can find it does not see. With nothing found, or
    every kind just once, nothing bounds the number above.
    Source: Chao, Scand. J. Statist. 11, 265 (1984), bias-corrected; interval: Chao, Biometrics 43, 783 (1987).
    """
    counts = np.asarray(counts, np.int64)
    counts, normal = counts[counts > 0], float(normal_width(_CONFIDENCE))
    found, once, twice = len(counts), int(np.sum(counts == 1)), int(np.sum(counts == 2))
    if found == 0:
        return Estimate(0.0, 0.0, math.inf, _CONFIDENCE)
    missing = once * (once - 1) / (2 * (twice + 1))
    total = found + missing
    if missing == 0:
        unseen = float(np.mean(np.exp(-counts)))
        weights = np.exp(-counts) - np.exp(-2.0 * counts)
        variance = max(float(np.sum(weights) - np.sum(counts * np.exp(-counts)) ** 2 / np.sum(counts)), 0.0)
        high = (found + normal * math.sqrt(variance)) / (1 - unseen)
        return Estimate(total, found, max(high, found), _CONFIDENCE)
    variance = missing + once * (2 * once - 1) ** 2 / (4 * (twice + 1) ** 2)
    variance += once**2 * twice * (once - 1) ** 2 / (4 * (twice + 1) ** 4)
    factor = math.exp(normal * math.sqrt(math.log1p(variance / missing**2)))
    high = math.inf if once == found else found + missing * factor
    return Estimate(total, found + missing / factor, high, _CONFIDENCE)
