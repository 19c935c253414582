"""Laws at a time and in the long run: anisotropic quadratics, and the heavy tail of loss-proportional noise."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.linalg import expm
from statistical import agrees, binomial_error, false_pass

import sde_sgd as ss

HESSIAN = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 0.4]])
FACTOR = np.array([[1.0, 0.0, 0.0], [0.5, 1.5, 0.0], [-0.2, 0.4, 0.6]])
COVARIANCE = FACTOR @ FACTOR.T
RATE, BATCH = 0.1, 4.0
RADIUS = 0.35


def quadratic_chain(covariance, dt=RATE):
    hessian = jnp.asarray(HESSIAN, jnp.float32)
    landscape = ss.landscapes.Landscape(lambda x: 0.5 * x @ hessian @ x, dim=3)
    noise = ss.noise.ConstantCovariance(jnp.asarray(covariance, jnp.float32))
    return ss.EulerMaruyama(ss.LangevinSGD(landscape, noise, RATE, BATCH), dt)


def covariance_of_chain(covariance, dt, steps):
    """Cov Θ_k from Θ_0 = 0: S' = (I − dt H) S (I − dt H) + dt (γ/M) V, exact for the chain."""
    contraction, total = np.eye(3) - dt * HESSIAN, np.zeros((3, 3))
    for _ in range(steps):
        total = contraction @ total @ contraction + dt * RATE / BATCH * covariance
    return total


def outside(matrix):
    return ss.theory.weighted_chi2_tail(np.linalg.eigvalsh(matrix), RADIUS**2)


@pytest.mark.long
@pytest.mark.parametrize("steps", [4, 60])
def test_escape_from_an_anisotropic_quadratic_is_a_weighted_chi_square_tail(steps):
    """P(‖Θ_t − θ*‖ ≥ ε), outside at time t, of the chain. No bias. False-fail rate 6.3e-5.

    Twins (false-pass rate below 1e-4): noise 5 % off, and isotropic noise of the same trace.
    """
    n = 100_000
    exact = outside(covariance_of_chain(COVARIANCE, RATE, steps))
    error = binomial_error(exact, n)

    def measure(covariance):
        states = ss.simulate(quadratic_chain(covariance), np.zeros(3, np.float32), steps, n, seed=31)
        return float(np.mean(np.sum(states.astype(np.float64) ** 2, axis=1) >= RADIUS**2))

    assert agrees(measure(COVARIANCE), exact, error)
    for covariance in (1.05**2 * COVARIANCE, np.trace(COVARIANCE) / 3 * np.eye(3)):
        twin = outside(covariance_of_chain(covariance, RATE, steps))
        assert false_pass(twin - exact, error) < 1e-4, (exact, twin, error)
        assert not agrees(measure(covariance), exact, error)


@pytest.mark.long
def test_linearised_theory_is_the_limit_of_small_steps():
    """The same event against `theory.outside_probability`, with 20 steps per iteration. False-fail rate 6.3e-5.

    The bias bound is 1.5 times the change that the chain's exact covariance makes, and must be small.
    Twin (false-pass rate below 1e-4): noise 5 % off.
    """
    n, dt, steps = 100_000, RATE / 20, 200
    chain = quadratic_chain(COVARIANCE, dt)
    theory = float(ss.theory.outside_probability(chain.diffusion, np.zeros(3), RADIUS, steps * dt))
    bias = 1.5 * abs(outside(covariance_of_chain(COVARIANCE, dt, steps)) - theory)
    error = binomial_error(theory, n)
    assert bias < 3 * error
    for covariance, good in ((COVARIANCE, True), (1.05**2 * COVARIANCE, False)):
        states = ss.simulate(quadratic_chain(covariance, dt), np.zeros(3, np.float32), steps, n, seed=32)
        share = float(np.mean(np.sum(states.astype(np.float64) ** 2, axis=1) >= RADIUS**2))
        assert agrees(share, theory, error, bias) == good
    twin = outside(covariance_of_chain(1.05**2 * COVARIANCE, dt, steps))
    assert false_pass(twin - theory, error, bias) < 1e-4


ETA, CURVATURE, FLOOR = 1.0, 1.0, 0.5
FREEDOM = 1 + 2 / (ETA * CURVATURE)
SCALE = np.sqrt(2 * FLOOR / CURVATURE / FREEDOM)


def kolmogorov_distance(noise):
    landscape = ss.landscapes.Landscape(lambda x: FLOOR + CURVATURE * x[0] ** 2 / 2, dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD(landscape, noise, ETA, 1.0), 0.01)
    states = ss.simulate(chain, np.zeros(1, np.float32), 1_000, 16_384, seed=33)
    return stats.kstest(states[:, 0].astype(np.float64) / SCALE, stats.t(FREEDOM).cdf).statistic


@pytest.mark.long
def test_loss_proportional_noise_makes_a_student_t():
    """V = 2hL, L = L* + hx²/2, B = 1: p∞ is Student's t with ν = 1 + 2/(ηh) = 3 (Mori et al. 2022).

    Kolmogorov's distance; its limit has probability 1e-4 at 2.23/√n. Bias bound dt/2 = 0.005 for the step and
    e^(−10) for the start. Twin: isotropic noise of the t's own variance, whose Gaussian law lies 0.08 off; the
    distance falls short of that by 0.05 with probability below 1e-15 (Dvoretzky, Kiefer and Wolfowitz).
    """
    limit = 2.23 / np.sqrt(16_384) + 0.005
    assert kolmogorov_distance(ss.noise.LossProportional(2 * CURVATURE)) < limit
    # its stationary variance ηβ/(2h) is the t's, 2L*/(h(ν − 2))
    beta = 2 * CURVATURE / ETA * 2 * FLOOR / (CURVATURE * (FREEDOM - 2))
    x = np.linspace(-5, 5, 2001)
    deviation = np.sqrt(2 * FLOOR / (CURVATURE * (FREEDOM - 2)))
    gap = np.max(np.abs(stats.norm.cdf(x, 0, deviation) - stats.t(FREEDOM).cdf(x / SCALE)))
    assert gap > limit + 0.03
    assert kolmogorov_distance(ss.noise.Isotropic(beta)) > limit


def test_the_poincare_bound_holds_and_no_faster_one_does():
    """The law of a double well from one side, by the generator's exponential: its distance stays below the bound.

    Twin: the bound of twice the gap.
    """
    diffusion = ss.LangevinSGD.at_temperature(ss.landscapes.TwoWells(), 0.2)
    solver = ss.reference.FokkerPlanck(diffusion, (-2.5, 3.5, 240))
    probability = solver.stationary() * solver.grid.spacing[0]
    left = np.where(solver.grid.centers[0] < float(diffusion.landscape.saddle[0]), probability, 0)
    gap, share = solver.spectral_gap(), left.sum()
    times = np.linspace(0, 3, 7) / gap
    step = expm(solver.generator().toarray().T * times[1])
    laws = np.array([np.linalg.matrix_power(step, number) @ (left / share) for number in range(len(times))])
    distance = np.abs(laws - probability).sum(axis=1) / 2
    bound = ss.theory.poincare_bound(gap, share, times)
    assert np.all(distance <= bound * (1 + 1e-6)) and np.all(distance > 0.3 * bound)
    assert not np.all(distance <= ss.theory.poincare_bound(2 * gap, share, times))
    for words, given in (("gap", (0.0, 0.5, 1.0)), ("share", (1.0, 1.0, 1.0)), ("times", (1.0, 0.5, -1.0))):
        with pytest.raises(ValueError, match=words):
            ss.theory.poincare_bound(*given)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["Hessian", "loss times Hessian"])
def test_noise_that_follows_the_curvature_prefers_the_flat_well_more(kind):
    """V = floor + scale·H₊, or scale·L·H₊, against the grid solver; a step of 0.002 moves the share by 0.02 at most.

    Twin: the share under isotropic noise. `benchmarks/validation` does it with finer steps, and in a plane.
    """
    wells = ss.landscapes.TwoWells(16.0, 4.0)
    scale, height = (0.1, lambda x: 1.0) if kind == "Hessian" else (0.2, lambda x: 0.2 + wells.loss(x))
    noise = ss.noise.FromFunction(lambda x: jnp.sqrt(0.6 + scale * height(x) * jnp.maximum(wells.hessian(x)[0], 0)))
    cut = float(wells.saddle[0])
    flat = ss.regions.HalfSpace([-1.0], -cut)

    def exact(noise):
        solver = ss.reference.FokkerPlanck(ss.LangevinSGD(wells, noise, 0.8, 1.0), (-4.0, 6.0, 2000))
        return float(solver.stationary()[solver.grid.centers[0] > cut].sum() * solver.grid.spacing[0])

    chain = ss.EulerMaruyama(ss.LangevinSGD(wells, noise, 0.8, 1.0), 0.002)
    found = ss.occupancy(
        chain, wells.sharp_minimum, regions={"flat": flat, "sharp": ~flat}, horizon=600.0, burn_in=300.0,
        trajectories=512, seed=21,
    ).weight  # fmt: skip
    error = float(found.high[0] - found.low[0]) / (2 * 1.96)
    assert agrees(found.value[0], exact(noise), error, bias=0.02)
    isotropic = exact(ss.noise.Isotropic(1.0))
    assert found.value[0] > isotropic + 0.1 and not agrees(found.value[0], isotropic, error, bias=0.02)
