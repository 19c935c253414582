"""The jump process of given rates, against exact linear algebra, and the coverage of what the rates carry."""

from fractions import Fraction

import numpy as np
import pytest
from parameters import quick
from scipy.linalg import expm
from scipy.stats import norm

from sde_sgd.results import Provenance
from sde_sgd.stationary import Transitions, spectral_gap, stationary_law, transition_matrix
from sde_sgd.statistics import Estimate


def synthetic(value, error, level=0.95):
    """Transitions with these rates, each known to a relative error."""
    value = np.asarray(value, np.float64)
    factor = np.exp(norm.isf((1 - level) / 2) * error)
    count = len(value)
    return Transitions(
        names=tuple(str(number) for number in range(count)),
        locations=np.zeros((count, 1)),
        cores=(),
        rates=Estimate(value, value / factor, value * factor, level),
        exit_times=1 / value.sum(axis=1),
        settling_times=np.zeros(count),
        methods={},
        findings=(),
        diverged=0,
        time_step=1.0,
        provenance=Provenance.of(0, "synthetic", 0, 0.0),
    )


def random_rates(count, decades, seed):
    rates = 10.0 ** -np.random.default_rng(seed).uniform(0, decades, (count, count))
    np.fill_diagonal(rates, 0)
    return rates


def reversible_rates(count, decades, seed):
    """Rates with a known law: k_ij = s_ij/π_i."""
    generator = np.random.default_rng(seed)
    flow = 10.0 ** -generator.uniform(0, decades, (count, count))
    flow = flow + flow.T
    np.fill_diagonal(flow, 0)
    law = 10.0 ** -generator.uniform(0, decades / 2, count)
    return flow / law[:, None], law / law.sum()


def test_jump_process_is_that_of_linear_algebra():
    rates = random_rates(5, 1, seed=1)
    generator = rates - np.diag(rates.sum(axis=1))
    eigenvalues = np.sort(-np.linalg.eigvals(generator).real)
    assert spectral_gap(rates) == pytest.approx(eigenvalues[1], rel=1e-12)
    np.testing.assert_allclose(stationary_law(rates) @ generator, 0, atol=1e-15)
    np.testing.assert_allclose(transition_matrix(rates, 1.7), expm(1.7 * generator), rtol=1e-12)
    np.testing.assert_allclose(transition_matrix(rates, 0.0), np.eye(5))


@pytest.mark.parametrize("seed", range(8))
def test_three_states_over_twenty_decades(seed):
    """The law and the two other eigenvalues of three states are sums of products: in fractions they are exact."""
    rates = random_rates(3, 20, seed)
    q = [[Fraction(float(value)) for value in row] for row in rates]
    trees = [
        q[1][0] * q[2][0] + q[1][2] * q[2][0] + q[2][1] * q[1][0],
        q[0][1] * q[2][1] + q[0][2] * q[2][1] + q[2][0] * q[0][1],
        q[0][2] * q[1][2] + q[0][1] * q[1][2] + q[1][0] * q[0][2],
    ]
    total = sum(sum(row) for row in q)
    np.testing.assert_allclose(stationary_law(rates), [float(tree / sum(trees)) for tree in trees], rtol=1e-13)
    # λ² − total·λ + Σ trees = 0
    ratio = float(4 * sum(trees) / total**2)
    gap = float(2 * sum(trees) / total) / (1 + np.sqrt(1 - ratio)) if ratio < 1 else float(total) / 2
    assert spectral_gap(rates) == pytest.approx(gap, rel=1e-12)


def test_two_states_at_any_rate():
    for scale in (1.0, 1e-20, 1e-120):
        rates = np.array([[0, 3e-20], [1.0, 0]]) * scale
        assert spectral_gap(rates) == pytest.approx(scale * (1 + 3e-20), rel=1e-14)
        np.testing.assert_allclose(stationary_law(rates), [1, 3e-20], rtol=1e-14)
        times = np.array([1e-3, 1.0, 30.0]) / scale
        near = [transition_matrix(rates, time)[0, 1] for time in times]
        np.testing.assert_allclose(near, 3e-20 * -np.expm1(-times * scale), rtol=1e-12)


def test_reversible_law_and_gap_of_many_states():
    """A weak link between two halves that mix well: the gap is its rate both ways, to the ratio of the two."""
    rates, law = reversible_rates(8, 20, seed=3)
    np.testing.assert_allclose(stationary_law(rates), law, rtol=1e-12)
    rates, law = reversible_rates(8, 1, seed=4)
    rates[:4, 4:] *= 1e-16
    rates[4:, :4] *= 1e-16
    left = law[:4].sum()
    flow = (law[:4, None] * rates[:4, 4:]).sum()
    assert spectral_gap(rates) == pytest.approx(flow / left / (1 - left), rel=1e-13)


def test_occupancy_tends_to_the_law_and_keeps_its_digits():
    found = synthetic([[0, 1e-20, 1e-3], [1e-7, 0, 0.1], [1e-12, 2.0, 0]], 0.1)
    times = np.array([0.0, 1.0, 1e30])
    occupancy = found.occupancy(times, start=1)
    np.testing.assert_allclose(occupancy.value.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(occupancy.value[0], [0, 1, 0])
    np.testing.assert_allclose(occupancy.value[2], stationary_law(found.rates.value), rtol=1e-9)
    assert np.all((occupancy.low <= occupancy.value) & (occupancy.value <= occupancy.high))
    mixed = found.occupancy(times, start=[0.5, 0.25, 0.25])
    np.testing.assert_allclose(mixed.value[0], [0.5, 0.25, 0.25])


@pytest.mark.parametrize("error", quick([0.05, 0.3], 0.3))
def test_coverage_of_what_the_rates_carry(error):
    """200 repeats with noisy rates, three shares, gap and an occupancy each: 95 % intervals hold the truth.

    The standard error of one coverage is 1.5 %: [0.92, 0.98] is two of them.
    """
    truth = np.array([[0, 1e-9, 0], [3e-8, 0, 1e-12], [0, 2e-10, 0]])
    law, gap = stationary_law(truth), spectral_gap(truth)
    occupied = transition_matrix(truth, 1e9)[0]
    generator = np.random.default_rng(11)
    held = []
    for _ in range(200):
        noisy = synthetic(truth * np.exp(error * generator.standard_normal(truth.shape)), error)
        held.append(
            [
                *noisy.stationary.contains(law),
                noisy.spectral_gap.contains(gap),
                noisy.relaxation_time.contains(1 / gap),
                *noisy.occupancy([1e9]).contains(occupied)[0],
            ]
        )
    coverage = np.mean(held, axis=0)
    assert np.all((coverage >= 0.92) & (coverage <= 0.98)), coverage


def test_a_rate_never_seen_leaves_nothing_known():
    found = synthetic([[0, 1e-3], [1e-3, 0]], 0.1)
    bound = Estimate([[0, 1e-3], [0, 0]], [[0, 9e-4], [0, 0]], [[0, 1.1e-3], [1e-5, 0]])
    unknown = Transitions(**{**vars(found), "rates": bound})
    assert "no transition was seen" in unknown.result
    assert np.isnan(unknown.spectral_gap.value) and unknown.spectral_gap.high == np.inf
    assert np.all(np.isnan(unknown.stationary.value)) and np.all(unknown.stationary.high == 1)


def test_bad_times_and_starts_are_named():
    found = synthetic([[0, 1.0], [1.0, 0]], 0.1)
    for words, times, start in (
        ("times must be finite", [-1.0], 0),
        ("times must be finite", 1.0, 0),
        ("start must be a number from 0 to 1", [1.0], 2),
        ("start must be a number", [1.0], [0.5, 0.6]),
    ):
        with pytest.raises(ValueError, match=words):
            found.occupancy(times, start)
