"""Capture–recapture: how many kinds there are in all, against urns of known contents."""

import math

import numpy as np
import pytest
from statistical import Z, agrees, binomial_error

from sde_sgd.landscapes._capture_recapture import chao


def urn(rng, chances, draws):
    """How often each kind was drawn."""
    return np.bincount(rng.choice(len(chances), size=draws, p=chances), minlength=len(chances))


def test_capture_recapture():
    """50 kinds of equal chance, 120 draws, 2,000 times: about 4.5 kinds are not seen.

    The mean of the estimate is 50 to within Z standard errors (a fresh seed fails once in 16,000) and a known bias
    below 0.25; the interval's coverage is 95 % within Z binomial errors and 2 %. Twins: what was found without an
    estimate of the rest, and 1.1 times the estimate, are outside; both with certainty to ten digits.
    """
    rng, truth, repetitions = np.random.default_rng(0), 50, 2_000
    counts = [urn(rng, np.full(truth, 1 / truth), 120) for _ in range(repetitions)]
    totals = [chao(each) for each in counts]
    values = np.array([float(total.value) for total in totals])
    error = values.std(ddof=1) / math.sqrt(repetitions)
    assert agrees(values.mean(), truth, error, bias=0.25)
    assert not agrees(1.1 * values.mean(), truth, error, bias=0.25)
    seen = np.array([np.sum(each > 0) for each in counts])
    assert not agrees(seen.mean(), truth, seen.std() / math.sqrt(repetitions), bias=0.25)
    covered = np.mean([bool(total.contains(truth)) for total in totals])
    assert abs(covered - 0.95) < Z * binomial_error(0.95, repetitions) + 0.02
    assert np.mean([bool(total.contains(1.3 * truth)) for total in totals]) < 0.5


def test_capture_recapture_is_a_lower_bound_where_chances_differ():
    """Chances that fall by a factor of 30: the mean estimate lies above what was found, and not above the truth."""
    rng = np.random.default_rng(1)
    chances = np.geomspace(1, 30, 50) / np.geomspace(1, 30, 50).sum()
    counts = [urn(rng, chances, 120) for _ in range(500)]
    values = np.array([float(chao(each).value) for each in counts])
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert np.mean([np.sum(each > 0) for each in counts]) + Z * error < values.mean() < 50 + Z * error


def test_capture_recapture_by_hand():
    """Six kinds seen once, two twice, four often: 12 + 6·5/(2·3)."""
    assert float(chao([1] * 6 + [2, 2, 5, 7, 9, 9]).value) == pytest.approx(17)
    sure = chao([8, 9, 12])
    assert float(sure.value) == float(sure.low) == 3 and 3 < float(sure.high) < 3.1
    assert np.isinf(chao([]).high) and np.isinf(chao([1, 1, 1]).high)
