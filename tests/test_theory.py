"""Theory against independent integration: every formula beside a quadrature or a closed form that shares no code."""

import functools

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import integrate, linalg, stats

import sde_sgd as ss
from sde_sgd import theory


class Point:
    def __init__(self, location):
        self.location = location


# kept, for programs are of one landscape
@functools.cache
def quartic():
    return ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)


@functools.cache
def valley(stiffness=3.0):
    return ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + stiffness * x[1] ** 2 / 2, dim=2)


def quadratic(hessian):
    hessian = jnp.asarray(hessian)
    return ss.landscapes.Landscape(lambda x, h: x @ h @ x / 2, dim=int(hessian.shape[0]), parameters=hessian)


def sgd(landscape, covariance, learning_rate=0.1, batch_size=10.0):
    return ss.LangevinSGD(landscape, ss.noise.ConstantCovariance(covariance), learning_rate, batch_size)


# Eyring–Kramers


@pytest.mark.parametrize(
    ("beta", "expected"),
    [(2, 8.20718), (4, 60.6433), (6, 448.097), (8, 3311.01), (10, 24465.3), (12, 180775)],
)
def test_eyring_kramers_of_the_quartic(beta, expected):
    landscape = quartic()
    diffusion = ss.LangevinSGD.at_temperature(landscape, 1 / beta)
    time = theory.eyring_kramers(diffusion, Point(jnp.array([-1.0])), [1e-5])
    assert time == pytest.approx(expected, rel=3e-6)
    assert theory.eyring_kramers(diffusion, [-1.0], [0.0], to="saddle") == pytest.approx(time / 2, rel=1e-9)
    # broken twins: a temperature 5 % off, and the time to the saddle in place of the time to the well
    assert time != pytest.approx(
        theory.eyring_kramers(ss.LangevinSGD.at_temperature(landscape, 1.05 / beta), [-1.0], [0.0]), rel=0.05
    )
    assert time / 2 != pytest.approx(expected, rel=0.3)


def passage_time(potential, diffusivity, start, end, wall):
    """E τ from start to end with a reflecting wall, by nested quadrature of e^Φ e^−Φ / D with Φ = potential/D."""
    grid = np.linspace(wall, end, 200_001)
    phi = potential(grid) / diffusivity
    inner = integrate.cumulative_simpson(np.exp(-phi), x=grid, initial=0) / diffusivity
    keep = grid >= start
    return integrate.simpson(np.exp(phi[keep]) * inner[keep], x=grid[keep])


def test_anisotropic_reversible_noise_agrees_with_quadrature():
    """Separable landscape, diagonal noise: the first coordinate is a one-dimensional diffusion by itself.

    The relative error of Eyring–Kramers must fall in proportion to the noise: D = 1/24 has half the error of D = 1/12.
    """
    errors = []
    for diffusivity in (1 / 12, 1 / 24):
        covariance = np.diag([2 * diffusivity, 7.0]) * 100  # C = (γ/M) V with γ/M = 1/100
        diffusion = sgd(valley(), covariance)
        exact = passage_time(lambda x: (x**2 - 1) ** 2, diffusivity, -1.0, 1.0 - 1e-9, -2.5)
        to_saddle = passage_time(lambda x: (x**2 - 1) ** 2, diffusivity, -1.0, 0.5, -2.5)
        value = theory.eyring_kramers(diffusion, [-1.0, 0.0], [0.0, 0.0])
        errors.append(to_saddle / value - 1)
        assert exact / value == pytest.approx(1, abs=0.06)
        # the noise of the other coordinate must not enter
        other = sgd(valley(), np.diag([2 * diffusivity, 1.0]) * 100)
        assert theory.eyring_kramers(other, [-1.0, 0.0], [0.0, 0.0]) == pytest.approx(value, rel=1e-6)
    assert errors[1] == pytest.approx(errors[0] / 2, rel=0.25)
    # broken twin: the temperature Tr(C)/(2 dim) in place of D⁻¹∇L
    wrong = np.exp(1 / ((2 / 24 + 7.0) / 4) - 24)
    assert abs(np.log(wrong)) > 10


def test_anisotropic_noise_in_a_rotated_basis():
    """The rotated problem has the same time as the separable one; the noise then has off-diagonal entries."""
    angle = 0.7
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = jnp.asarray(rotation.T)
    base = valley()
    rotated = ss.landscapes.Landscape(lambda x, q: base.fn(q @ x), dim=2, parameters=matrix)
    covariance = np.diag([30.0, 200.0])
    plain = theory.eyring_kramers(sgd(base, covariance), [-1.0, 0.0], [0.0, 0.0])
    turned = sgd(rotated, rotation @ covariance @ rotation.T)
    value = theory.eyring_kramers(turned, rotation @ [-1.0, 0.0], [0.0, 0.0])
    assert value == pytest.approx(plain, rel=1e-5)
    with pytest.raises(ValueError, match="reversible"):
        theory.eyring_kramers(sgd(rotated, covariance), rotation @ [-1.0, 0.0], [0.0, 0.0])


@pytest.mark.parametrize("friction", [0.3, 2.0, 50.0])
def test_eyring_kramers_with_a_velocity(friction):
    """The saddle is left at the rate of the growing mode of the linear equations there: ∇²L = −4 at θ = 0."""
    diffusion = ss.diffusions.UnderdampedLangevin(quartic(), 0.1, friction)
    growing = np.linalg.eigvals([[0.0, 1.0], [4.0, -friction]]).real.max()
    overdamped = theory.eyring_kramers(ss.LangevinSGD.at_temperature(quartic(), 0.1), [-1.0], [0.0])
    assert theory.eyring_kramers(diffusion, [-1.0], [0.0]) == pytest.approx(overdamped * 4 / growing, rel=1e-6)
    # the formula of weak noise and infinite friction is another one
    assert theory.eyring_kramers(diffusion, [-1.0], [0.0]) > 1.001 * overdamped * friction


def test_eyring_kramers_of_momentum():
    """Mass γ, friction 1 − μ, T = γβ/(2M(1 − μ)); for γλ far below (1 − μ)² that of γ/(1 − μ), 1 − μ times as long."""
    noise = ss.noise.Isotropic(2.0)
    diffusion = ss.diffusions.LangevinMomentumSGD(quartic(), noise, 0.1, 2.0, 0.5)
    growing = np.linalg.eigvals([[0.0, 1.0], [4.0 / 0.1, -0.5 / 0.1]]).real.max()
    warm = theory.eyring_kramers(ss.LangevinSGD(quartic(), noise, 0.2, 2.0), [-1.0], [0.0])
    assert theory.eyring_kramers(diffusion, [-1.0], [0.0]) == pytest.approx(warm * 4 / growing, rel=1e-6)
    slow = ss.diffusions.LangevinMomentumSGD(quartic(), noise, 1e-5, 2e-4, 0.5)
    assert theory.eyring_kramers(slow, [-1.0], [0.0]) == pytest.approx(0.5 * warm, rel=2e-4)
    with pytest.raises(ValueError, match="to must be 'well' for a diffusion with a velocity"):
        theory.eyring_kramers(diffusion, [-1.0], [0.0], to="saddle")
    varying = ss.diffusions.LangevinMomentumSGD(quartic(), ss.noise.FromFunction(lambda x: 1 + x**2), 0.1, 2.0, 0.5)
    with pytest.raises(ValueError, match="must have a temperature for an Eyring–Kramers time with a velocity"):
        theory.eyring_kramers(varying, [-1.0], [0.0])


def test_eyring_kramers_refuses():
    hot = ss.LangevinSGD.at_temperature(quartic(), 0.1)
    with pytest.raises(ValueError, match="minimum must lie at a critical point"):
        theory.eyring_kramers(hot, [-0.8], [0.0])
    with pytest.raises(ValueError, match=r"minimum must be a minimum .* 1 negative"):
        theory.eyring_kramers(hot, [0.0], [0.0])
    with pytest.raises(ValueError, match=r"saddle must be a saddle .* 0 negative"):
        theory.eyring_kramers(hot, [-1.0], [1.0])
    with pytest.raises(ValueError, match=r"minimum must have shape \(1,\)"):
        theory.eyring_kramers(hot, [-1.0, 0.0], [0.0])
    flat = ss.LangevinSGD.at_temperature(valley(0.0), 0.1)
    with pytest.raises(ValueError, match="1 zero eigenvalues"):
        theory.eyring_kramers(flat, [-1.0, 0.0], [0.0, 0.0])
    coupled = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + (x[1] - x[0]) ** 2, dim=2)
    with pytest.raises(ValueError, match="reversible"):
        theory.eyring_kramers(sgd(coupled, np.diag([1.0, 2.0])), [-1.0, -1.0], [0.0, 0.0])
    # isotropic noise is reversible on the same landscape, whatever model it is written in
    theory.eyring_kramers(sgd(coupled, np.diag([2.0, 2.0])), [-1.0, -1.0], [0.0, 0.0])
    with pytest.raises(ValueError, match="every direction"):
        theory.eyring_kramers(sgd(valley(), np.diag([1.0, 0.0])), [-1.0, 0.0], [0.0, 0.0])
    varying = ss.LangevinSGD(quartic(), ss.noise.FromFunction(lambda x: 1 + x**2), 0.1, 10)
    with pytest.raises(ValueError, match="constant noise"):
        theory.eyring_kramers(varying, [-1.0], [0.0])
    schedule = ss.LangevinSGD(quartic(), ss.noise.Isotropic(1.0), optax.constant_schedule(0.1), 10)
    with pytest.raises(ValueError, match="do not change in time, got LangevinSGD with a schedule for learning_rate"):
        theory.eyring_kramers(schedule, [-1.0], [0.0])
    with pytest.raises(ValueError, match="order 1"):
        theory.eyring_kramers(ss.LangevinSGD(quartic(), ss.noise.Isotropic(1.0), 0.1, 10, order=2), [-1.0], [0.0])
    ito = ss.diffusions.ItoDiffusion(lambda x, t: -x, lambda x, t: jnp.ones_like(x), dim=1)
    with pytest.raises(ValueError, match="got ItoDiffusion"):
        theory.eyring_kramers(ito, [-1.0], [0.0])


def test_only_a_saddle_of_index_one_has_a_kramers_time():
    """The hilltop between four wells has index 2; a monkey saddle, and a quartic one, have zero eigenvalues."""
    hill = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + (x[1] ** 2 - 1) ** 2, dim=2)
    diffusion = ss.LangevinSGD.at_temperature(hill, 0.1)
    assert theory.eyring_kramers(diffusion, [-1.0, -1.0], [0.0, -1.0]) > 1
    with pytest.raises(ValueError, match=r"saddle must be a saddle .* 2 negative and 0 zero"):
        theory.eyring_kramers(diffusion, [-1.0, -1.0], [0.0, 0.0])
    monkey = ss.landscapes.Landscape(
        lambda x: (x[0] - 0.3) ** 3 - 3 * (x[0] - 0.3) * x[1] ** 2 + ((x[0] - 0.3) ** 2 + x[1] ** 2) ** 2, dim=2
    )
    with pytest.raises(ValueError, match=r"saddle must be a saddle .* 0 negative and 2 zero"):
        theory.eyring_kramers(ss.LangevinSGD.at_temperature(monkey, 0.1), [-0.45, 0.0], [0.3, 0.0])
    quartic_top = ss.landscapes.Landscape(lambda x: -(x[0] ** 4) + x[0] ** 6, dim=1)
    with pytest.raises(ValueError, match=r"saddle must be a saddle .* 0 negative and 1 zero"):
        theory.eyring_kramers(ss.LangevinSGD.at_temperature(quartic_top, 0.1), [np.sqrt(2 / 3)], [1e-4])


def test_a_loss_that_rounds_to_float32_inside_has_critical_points():
    rounded = ss.landscapes.Landscape(lambda x: ((x[0].astype(jnp.float32) ** 2 - 1) ** 2).astype(x.dtype), dim=1)
    weights = theory.gibbs_weights(ss.LangevinSGD.at_temperature(rounded, 0.1), [[-1.0], [1.0]])
    assert weights == pytest.approx([0.5, 0.5], rel=1e-5)
    # minima that are no float32 numbers: some gradient is left wherever Newton's method stops
    between = ss.landscapes.Landscape(lambda x: ((x[0].astype(jnp.float32) ** 2 - 2) ** 2).astype(x.dtype), dim=1)
    weights = theory.gibbs_weights(ss.LangevinSGD.at_temperature(between, 0.1), [[-np.sqrt(2)], [np.sqrt(2)]])
    assert weights == pytest.approx([0.5, 0.5], rel=1e-5)
    # and where it would have to go far, or finds none, there is none
    steep = ss.landscapes.Landscape(lambda x: jnp.abs(x[0]) + x[0] ** 2 / 2, dim=1)
    with pytest.raises(ValueError, match=r"minima.* must lie at a critical point of the loss"):
        theory.gibbs_weights(ss.LangevinSGD.at_temperature(steep, 0.1), [[1e-4]])


@functools.cache
def tilted():
    return ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 * (1 + 0.3 * x[0] + 0.2 * x[0] ** 2), dim=1)


def test_spectral_gap_agrees_with_a_generator_on_a_grid():
    """Finite volumes on a grid, symmetric form; the gap is the second eigenvalue. The error is that of low
    temperature."""
    landscape, heat = tilted(), 0.05
    points = np.linspace(-1.7, 1.7, 1500)
    loss = (points**2 - 1) ** 2 * (1 + 0.3 * points + 0.2 * points**2)
    spacing = points[1] - points[0]
    middle = (points[1:] + points[:-1]) / 2
    between = (middle**2 - 1) ** 2 * (1 + 0.3 * middle + 0.2 * middle**2)
    right = heat / spacing**2 * np.exp((loss[:-1] - between) / heat)
    left = heat / spacing**2 * np.exp((loss[1:] - between) / heat)
    leave = np.append(right, 0) + np.insert(left, 0, 0)
    gap = linalg.eigh_tridiagonal(leave, -np.sqrt(right * left), eigvals_only=True, select="i", select_range=(0, 1))[1]
    grid = np.linspace(-0.5, 0.5, 100_001)
    top = float(grid[np.argmax((grid**2 - 1) ** 2 * (1 + 0.3 * grid + 0.2 * grid**2))])
    diffusion = ss.LangevinSGD.at_temperature(landscape, heat)
    value = theory.spectral_gap(diffusion, [-1.0], [top], [1.0])
    assert value == pytest.approx(gap, rel=0.06)
    # broken twin: one way only
    assert 1 / theory.eyring_kramers(diffusion, [1.0], [top]) != pytest.approx(gap, rel=0.06)


# Gibbs weights


def test_gibbs_weights_agree_with_quadrature():
    heat = 0.01
    diffusion = ss.LangevinSGD(tilted(), ss.noise.Isotropic(2.0), learning_rate=0.1, batch_size=10)
    weights = theory.gibbs_weights(diffusion, [Point([-1.0]), [1.0]])
    grid = np.linspace(-2, 2, 400_001)
    density = np.exp(-((grid**2 - 1) ** 2) * (1 + 0.3 * grid + 0.2 * grid**2) / heat)
    left = np.sum(density[grid < 0]) / np.sum(density)
    assert weights == pytest.approx([left, 1 - left], abs=0.005)
    assert np.sum(weights) == pytest.approx(1, abs=1e-15)
    # broken twin: H in place of √det H
    assert pytest.approx(left, abs=0.02) != 1.5 / (0.9 + 1.5)
    # depth decides at low temperature, without overflow
    tilt = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + 0.1 * x[0] + 1e4, dim=1)
    near = [[-1.01226], [0.98724]]
    cold = theory.gibbs_weights(ss.LangevinSGD.at_temperature(tilt, 1e-4), near)
    assert cold == pytest.approx([1, 0], abs=1e-12)


def test_gibbs_weights_refuse():
    with pytest.raises(ValueError, match="Isotropic noise only"):
        theory.gibbs_weights(sgd(valley(), np.diag([1.0, 2.0])), [[-1.0, 0.0]])
    hot = ss.LangevinSGD.at_temperature(quartic(), 0.1)
    with pytest.raises(ValueError, match="at least one"):
        theory.gibbs_weights(hot, [])
    with pytest.raises(ValueError, match=r"minima\[1\] must be a minimum"):
        theory.gibbs_weights(hot, [[-1.0], [0.0]])


# Weighted χ²


@pytest.mark.parametrize("n", [1, 2, 3, 10, 100, 2000])
def test_equal_weights_are_chi_squared(n):
    x = np.array([1e-3, 0.1, 0.5, 0.97, 1.0, 1.1, 1.5, 3.0, 20.0]) * n
    value = theory.weighted_chi2_tail(np.full(n, 0.3), 0.3 * x)
    exact = stats.chi2.sf(x, n)
    np.testing.assert_allclose(value, exact, atol=1e-12)
    deep = (x >= n) & (exact > 1e-290)
    np.testing.assert_allclose(value[deep], exact[deep], rtol=1e-10)


@pytest.mark.parametrize("pairs", [[1, 0.5, 0.1], [1, 1e-2, 1e-5], [1, 0.9, 0.5, 0.2]])
def test_paired_weights_are_a_sum_of_exponentials(pairs):
    x = np.array([0.01, 0.1, 1, 2, 3, 10, 100, 300])
    exact = np.zeros_like(x)
    for i, weight in enumerate(pairs):
        others = np.array([w for j, w in enumerate(pairs) if j != i])
        exact += np.exp(-x / (2 * weight)) * np.prod(weight / (weight - others))
    value = theory.weighted_chi2_tail(np.repeat(pairs, 2), x)
    np.testing.assert_allclose(value, exact, atol=1e-12, rtol=1e-11)
    # broken twin: the largest weight 1 % off
    twin = theory.weighted_chi2_tail(np.repeat([1.01 * pairs[0], *pairs[1:]], 2), x)
    assert not np.allclose(twin[2:], exact[2:], rtol=1e-3, atol=0)


@pytest.mark.parametrize("weights", [(1.0, 0.4, 0.03), (2.0, 1.99, 0.7), (1.0, 1e-3, 1e-3)])
def test_three_weights_agree_with_convolution_quadrature(weights):
    """Condition on the last two variables, by Gauss–Legendre quadrature over their normal densities."""
    nodes, mass = np.polynomial.legendre.leggauss(300)
    z = 4.5 * (nodes + 1)  # |Z| on (0, 9)
    density = 4.5 * mass * 2 * stats.norm.pdf(z)
    for x in (0.05, 0.7, 2.0, 8.0):
        # P = P(w₂Z₂² + w₃Z₃² ≥ x) + P(w₁Z₁² ≥ the rest of x); substitute to keep the integrand smooth
        top = np.minimum(9.0, np.sqrt(x / weights[1]))
        y = top * (nodes + 1) / 2
        inside = top / 2 * mass * 2 * stats.norm.pdf(y)
        total = stats.chi2.sf(top**2, 1) if top < 9 else 0.0
        for value, weight in zip(y, inside, strict=True):
            rest = x - weights[1] * value**2
            angle = np.pi / 4 * (nodes + 1)  # w₃Z₃² = rest·sin², so that √(rest − w₃Z₃²) is smooth
            third = np.sqrt(rest / weights[2]) * np.sin(angle)
            jacobian = np.sqrt(rest / weights[2]) * np.cos(angle) * np.pi / 4 * mass
            hit = stats.chi2.sf(rest * np.cos(angle) ** 2 / weights[0], 1)
            if np.sqrt(rest / weights[2]) < 9:
                total += weight * (
                    np.sum(jacobian * 2 * stats.norm.pdf(third) * hit) + stats.chi2.sf(rest / weights[2], 1)
                )
            else:
                total += weight * np.sum(density * stats.chi2.sf((rest - weights[2] * z**2) / weights[0], 1))
        assert theory.weighted_chi2_tail(weights, x) == pytest.approx(total, abs=1e-8)


def test_weighted_chi2_edges():
    assert theory.weighted_chi2_tail([1.0, 2.0], 0.0) == 1
    assert theory.weighted_chi2_tail([0.0, 0.0], 1.0) == 0
    assert theory.weighted_chi2_tail([1.0, 0.0], 4.0) == pytest.approx(stats.chi2.sf(4, 1), rel=1e-12)
    assert theory.weighted_chi2_tail([1.0], np.inf) == 0
    with pytest.raises(ValueError, match="at least 0"):
        theory.weighted_chi2_tail([1.0, -0.1], 1.0)
    with pytest.raises(ValueError, match="x must be a number"):
        theory.weighted_chi2_tail([1.0], np.nan)
