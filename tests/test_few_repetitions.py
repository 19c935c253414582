"""Intervals of splitting with few repetitions, worked out again from its dataset with scipy's Student law.

With two or three repetitions the quantile of a normal is a fifth to a tenth of Student's, and its interval a promise
that is not kept.
"""

import numpy as np
import pytest
from scipy import stats

import sde_sgd as ss
from sde_sgd.passage.splitting._repetitions import _resample, _share

BOWL = ss.landscapes.Landscape(lambda x: x[0] ** 2 / 2, 1)
CHAIN = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(BOWL, 0.5), 0.05)


def jackknife(values, quantile):
    """Interval of a mean by the jackknife of its logarithm."""
    number = len(values)
    logs = np.log([np.delete(values, each).mean() for each in range(number)])
    error = np.sqrt((number - 1) / number * np.sum((logs - logs.mean()) ** 2))
    return values.mean() * np.exp(-quantile * error), values.mean() * np.exp(quantile * error)


@pytest.mark.parametrize(("repetitions", "confidence"), [(2, 0.95), (3, 0.9), (3, 0.99), (8, 0.95)])
def test_the_quantile_is_students(repetitions, confidence):
    found = ss.escape(
        CHAIN, np.zeros(1, np.float32), ss.regions.HalfSpace([1.0], 1.5), 2.0, trajectories=256 * repetitions,
        seed=5, method=ss.passage.Splitting(repetitions=repetitions), confidence=confidence,
    )  # fmt: skip
    data, tail = found.to_dataset(times=[0.0, 1.0, 2.0]), (1 - confidence) / 2
    weights, owner, times = (data[name].values for name in ("weight", "repetition_of", "exit_time"))
    student, normal = stats.t.isf(tail, repetitions - 1), stats.norm.isf(tail)
    for number, time in ((1, 1.0), (2, 2.0)):
        low, high = (float(data[name][number]) for name in ("survival_low", "survival_high"))
        shares = np.bincount(owner, weights * (times <= time + 1e-9), repetitions)
        expected = jackknife(shares, student)
        np.testing.assert_allclose((1 - high, 1 - low), (expected[0], min(expected[1], 1)), rtol=1e-6)
    np.testing.assert_allclose(data["level_probability"].values[:, -1], shares, rtol=1e-9)
    np.testing.assert_allclose((found.probability.low, found.probability.high), expected, rtol=1e-6)
    # broken twins: a normal quantile, and as many degrees of freedom as repetitions
    for quantile in (normal, stats.t.isf(tail, repetitions)):
        assert jackknife(shares, quantile)[1] < 0.999 * expected[1]


def test_excursions_of_a_repetition_share_its_weight():
    """Two repetitions that watched four trajectories each, of which six and two excursions came; a third without any.

    All of a repetition's starts weigh as much as it has excursions per trajectory; each serves as often as another.
    """
    trajectory = np.array([0, 5, 1, 3, 0, 2, 7, 2])
    chosen, weights = _share(trajectory, 3, 12, 4, np.random.default_rng(0))
    np.testing.assert_allclose(weights.reshape(3, 12).sum(axis=1), [6 / 4, 2 / 4, 0])
    copies = np.bincount(chosen[:24], minlength=8)
    assert np.array_equal(copies, np.where(trajectory < 4, 2, 6))


def test_copies_are_in_proportion_to_the_mass():
    """On average exactly; 4.5 standard errors, of which a count that is one of two neighbours has at most 1/2 each."""
    mass = np.array([0.05, 0.4, 0.0, 0.25, 0.15, 0.15])
    rounds = 20_000
    parents = _resample(np.tile(mass, (rounds, 1)), np.random.default_rng(0)).reshape(rounds, 6)
    assert np.array_equal(parents // 6, np.repeat(np.arange(rounds)[:, None], 6, axis=1))
    copies = np.bincount(parents.reshape(-1) % 6, minlength=6) / rounds
    assert np.all(np.abs(copies - 6 * mass) < 4.5 * 0.5 / np.sqrt(rounds))
    # without mass each keeps its own
    assert _resample(np.zeros((1, 6)), np.random.default_rng(0)).tolist() == list(range(6))
