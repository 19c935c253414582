"""Exact kernels of chains on the line against the normal law, a matrix power and a grid solver: nothing is random."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

import sde_sgd as ss
from sde_sgd.reference import ChainExit, ChainFork, ChainLaw, ChainRates

DT = 0.1
STEP = float(np.sqrt(DT))


def pull(x):
    return x * (1 - DT)


def test_the_first_two_steps_are_normal_probabilities():
    """P(τ > 1) and P(τ > 2) from 0 of x' = x(1 − dt) + √dt ξ: one and two dimensional normal distributions."""
    chain = ChainExit(pull, STEP, 0.0, 0.8, -6.0)
    survival = chain.survival(2)
    covariance = DT * np.array([[1, 1 - DT], [1 - DT, 1 + (1 - DT) ** 2]])
    both = multivariate_normal([0, 0], covariance).cdf([0.8, 0.8])
    np.testing.assert_allclose(survival, [1, norm.cdf(0.8 / STEP), both], atol=2e-6)
    np.testing.assert_allclose(chain.exits(2), 1 - survival, atol=1e-12)


def test_exits_and_mean_steps_belong_together():
    """E τ = Σ P(τ > k), and what has left is what is not there, to the last digits; tiny ones keep theirs."""
    chain = ChainExit(pull, STEP, 0.0, 1.2, -6.0)
    survival, exits = chain.survival(3_000), chain.exits(3_000)
    assert survival.shape == exits.shape == (3_001,)
    np.testing.assert_allclose(exits, 1 - survival, atol=1e-10)
    assert chain.mean_steps() == pytest.approx(survival.sum(), rel=1e-6)
    far = ChainExit(pull, STEP, 0.0, 5.0, -6.0)
    assert far.exits(1)[1] == pytest.approx(norm.sf(5 / STEP), rel=1e-12)
    assert far.mean_steps() == pytest.approx(ChainExit(pull, STEP, 0.0, 5.0, -6.0, nodes=800).mean_steps(), rel=1e-6)


def test_the_law_of_an_autoregression():
    """x' = (1 − dt)x + √dt ξ: normal at every step, in the long run of variance dt/(1 − (1 − dt)²)."""
    cuts = [-6.0, -0.5, 0.2, 6.0]
    law = ChainLaw(pull, STEP, cuts, nodes=120)
    for steps, masses in zip((1, 2, 30), law.after(1.5, (1, 2, 30)), strict=True):
        variance = DT * sum((1 - DT) ** (2 * k) for k in range(steps))
        exact = np.diff(norm.cdf(cuts, 1.5 * (1 - DT) ** steps, np.sqrt(variance)))
        np.testing.assert_allclose(masses, exact, atol=1e-7)
    exact = np.diff(norm.cdf(cuts, 0, np.sqrt(DT / (1 - (1 - DT) ** 2))))
    np.testing.assert_allclose(law.stationary(), exact, atol=1e-6)


def test_rates_between_cores_are_those_of_the_diffusion_at_small_steps():
    """A double well at T = 0.15: the rate over the barrier, by the grid solver, within an error of order √dt."""
    landscape = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
    diffusion = ss.LangevinSGD.at_temperature(landscape, 0.15)
    cores = [ss.regions.Ellipsoid([x], [[1 / 0.2**2]]) for x in (-1.0, 1.0)]
    rates, time = ChainRates(diffusion, 0.002, cores).rates(0)
    solver = ss.reference.FokkerPlanck(diffusion, (-2.2, 2.2, 800))
    exact = solver.mean_passage_time(ss.regions.Ball([1.0], 0.2), start=-1.0)
    assert rates.shape == (2,) and rates[0] == 0
    assert rates[1] * time == pytest.approx(1, rel=1e-9)
    assert time == pytest.approx(exact, rel=0.02)
    # broken twin: a temperature 5 % off
    twin = ChainRates(ss.LangevinSGD.at_temperature(landscape, 0.1575), 0.002, cores).rates(0)[1]
    assert twin != pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ChainExit(3.0, 1.0, 0.0, 1.0, -1.0), "mean must be a function"),
        (lambda: ChainExit(pull, 0.0, 0.0, 1.0, -1.0), "deviation must be a finite number above 0"),
        (lambda: ChainExit(pull, 1.0, 2.0, 1.0, -1.0), "start must lie between lowest = -1.0 and target = 1.0, got 2"),
        (lambda: ChainExit(pull, 1.0, 0.0, 1.0, -1.0, nodes=0), "nodes must be a whole number"),
        (lambda: ChainExit(pull, 1.0, 0.0, 1.0, -1.0).exits(0), "steps must be a whole number"),
        (lambda: ChainLaw(pull, 1.0, [0.0]), "cuts must be rising"),
        (lambda: ChainLaw(pull, 1.0, [1.0, 0.0]), "cuts must be rising"),
        (lambda: ChainLaw(pull, 1.0, [0.0, 1.0], 8).after(0.5, [2, 1]), "steps must be rising"),
        (
            lambda: ChainRates(ss.diffusions.Langevin(ss.landscapes.Quadratic([1.0]), 1.0), 0.1, [1]),
            "cores must be at least two",
        ),
    ],
)
def test_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_fork_is_even_in_the_middle_and_an_exit_where_one_end_is_far():
    """One half by symmetry; with the lower end out of reach the mean time of `ChainExit`, with no chance left."""

    def mean(x):
        return 0.98 * x

    even = ChainFork(mean, 0.1, 0.0, -0.5, 0.5)
    assert even.probability() == pytest.approx(0.5, rel=1e-12)
    far = ChainFork(mean, 0.1, 0.0, -4.5, 0.6)
    assert far.mean_steps() == pytest.approx(ChainExit(mean, 0.1, 0.0, 0.6, -4.5).mean_steps(), rel=1e-9)
    assert 1 - far.probability() < 1e-12 and ChainFork(mean, 0.1, 0.3, -0.5, 0.5).probability() > 0.55
    with pytest.raises(ValueError, match="start must lie between low = 0 and high = 1, got 2"):
        ChainFork(mean, 0.1, 2, 0, 1)
