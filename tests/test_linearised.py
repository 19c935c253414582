"""Theory of the diffusion linearised at a minimum, beside independent integration."""

import functools

import jax.numpy as jnp
import numpy as np
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


def quadratic(hessian):
    hessian = jnp.asarray(hessian)
    return ss.landscapes.Landscape(lambda x, h: x @ h @ x / 2, dim=int(hessian.shape[0]), parameters=hessian)


def sgd(landscape, covariance, learning_rate=0.1, batch_size=10.0):
    return ss.LangevinSGD(landscape, ss.noise.ConstantCovariance(covariance), learning_rate, batch_size)


# Covariance of the linearised diffusion


def test_covariances_when_hessian_and_noise_do_not_commute():
    rng = np.random.default_rng(5)
    root = rng.normal(size=(4, 2))
    noise = root @ root.T  # singular
    turn = rng.normal(size=(4, 4))
    hessian = turn @ turn.T + 0.1 * np.eye(4)
    assert np.max(np.abs(hessian @ noise - noise @ hessian)) > 1
    sigma = theory.stationary_covariance(hessian, noise)
    np.testing.assert_allclose(hessian @ sigma + sigma @ hessian, noise, atol=1e-12)
    np.testing.assert_allclose(sigma, linalg.solve_continuous_lyapunov(hessian, noise), atol=1e-11)
    # broken twin: the commuting formula
    assert not np.allclose(np.linalg.solve(2 * hessian, noise), sigma, rtol=0.05)
    assert np.trace(hessian @ sigma) / 2 == pytest.approx(np.trace(noise) / 4, rel=1e-12)
    for matrix in (hessian, hessian - 2 * np.eye(4), np.diag([1.0, -1.0, 0.0, 2.0])):
        times = np.array([0.0, 0.3, 1.7])
        values = theory.covariance_at(matrix, noise, times)
        for t, value in zip(times, values, strict=True):
            nodes, mass = np.polynomial.legendre.leggauss(80)
            exact = np.zeros((4, 4))
            for node, weight in zip(t / 2 * (nodes + 1), t / 2 * mass, strict=True):
                decay = linalg.expm(-matrix * node)
                exact += weight * decay @ noise @ decay
            np.testing.assert_allclose(value, exact, rtol=1e-9, atol=1e-9 * np.max(np.abs(exact)))


def test_covariances_refuse():
    with pytest.raises(ValueError, match="hessian must be symmetric"):
        theory.covariance_at([[1.0, 2.0], [0.0, 1.0]], np.eye(2), 1.0)
    with pytest.raises(ValueError, match="positive semi-definite"):
        theory.covariance_at(np.eye(2), np.diag([1.0, -1.0]), 1.0)
    with pytest.raises(ValueError, match="positive definite wherever"):
        theory.stationary_covariance(np.diag([1.0, 0.0]), np.eye(2))
    np.testing.assert_allclose(
        theory.stationary_covariance(np.diag([1.0, 0.0]), np.diag([1.0, 0.0])), np.diag([0.5, 0.0])
    )
    with pytest.raises(ValueError, match="times must be small enough"):
        theory.covariance_at(-np.eye(2), np.eye(2), 1e3)
    with pytest.raises(ValueError, match="at least 0"):
        theory.covariance_at(np.eye(2), np.eye(2), [-1.0])


# Outside the ball at time t


def test_outside_probability_of_a_quadratic():
    hessian, noise = np.diag([1.0, 4.0]), np.array([[1.0, 0.5], [0.5, 2.0]])
    diffusion = sgd(quadratic(hessian), noise * 100)
    times = np.array([0.0, 0.05, 0.5, 20.0])
    value = theory.outside_probability(diffusion, Point([0.0, 0.0]), 1.0, times)
    assert value.shape == (4,) and value[0] == 0
    for t, p in zip(times[1:], value[1:], strict=True):
        rates = np.add.outer(np.diag(hessian), np.diag(hessian))
        sigma = noise * (1 - np.exp(-rates * t)) / rates
        inverse, angle = np.linalg.inv(sigma), np.linspace(0, 2 * np.pi, 4001)[:-1]
        direction = np.stack([np.cos(angle), np.sin(angle)])
        form = np.einsum("ia,ij,ja->a", direction, inverse, direction)
        # the radial integral of a normal density beyond 1 is exp(−form/2)/form
        exact = np.mean(np.exp(-form / 2) / form) / np.sqrt(np.linalg.det(sigma))
        assert p == pytest.approx(exact, rel=1e-5)
    # broken twin: noise 5 % off
    twin = theory.outside_probability(sgd(quadratic(hessian), noise * 105), [0.0, 0.0], 1.0, times)
    assert np.all(np.abs(twin[1:] / value[1:] - 1) > 0.01)
    assert isinstance(float(theory.outside_probability(diffusion, [0.0, 0.0], 1.0, 2.0)), float)


def test_outside_probability_without_curvature_and_with_singular_noise():
    """L = x⁴: at 0 the linearised diffusion is Brownian; along the silent direction nothing moves."""
    landscape = ss.landscapes.Landscape(lambda x: jnp.sum(x**4), dim=2)
    diffusion = sgd(landscape, np.diag([100.0, 0.0]))
    value = theory.outside_probability(diffusion, [0.0, 0.0], 2.0, [1.0, 4.0])
    np.testing.assert_allclose(value, stats.chi2.sf([4.0, 1.0], 1), rtol=1e-6)
    with pytest.raises(ValueError, match="critical point"):
        theory.outside_probability(diffusion, [1.0, 0.0], 2.0, [1.0])
    with pytest.raises(ValueError, match="radius"):
        theory.outside_probability(diffusion, [0.0, 0.0], -1.0, [1.0])


# First exit of the linearised diffusion


def line(curvature, noise):
    landscape = ss.landscapes.Landscape(lambda x, h: h * x[0] ** 2 / 2, dim=1, parameters=curvature)
    return ss.LangevinSGD.at_temperature(landscape, noise / 2)


def test_exit_of_brownian_motion():
    times = np.array([0.0, 0.01, 0.3, 2.0, 50.0])
    flat = line(0.0, 1.0)
    half = theory.exit_probability(flat, [0.0], (np.inf, 1.0), times)
    exact = 2 * stats.norm.sf(1 / np.sqrt(np.maximum(times, 1e-300)))
    np.testing.assert_allclose(half, exact, atol=1e-11)
    both = theory.exit_probability(flat, [0.0], (1.0, 1.0), times)
    odd = 2 * np.arange(200) + 1
    decay = np.exp(-(odd**2) * np.pi**2 * times[2:, None] / 8)
    survival = 4 / np.pi * np.sum((-1.0) ** np.arange(200) / odd * decay, axis=1)
    np.testing.assert_allclose(both[2:], 1 - survival, atol=1e-11)
    assert np.all(theory.exit_probability(flat, [0.0], (np.inf, np.inf), times) == 0)
    # broken twin: outside at time t, half of it by the reflection principle
    at_time = stats.norm.sf(1 / np.sqrt(times[2:]))
    assert np.all(half[2:] - at_time > 0.03)


@pytest.mark.parametrize(("level", "expected"), [(2, 10.42841), (3, 86.93162), (4, 2018.3924), (5, 140741.0005)])
def test_mean_exit_of_ornstein_uhlenbeck(level, expected):
    """∫ P(no exit by t) dt, Gauss–Laguerre, against the mean time of dx = −x dt + dW from 0 to level·σ∞."""
    nodes, mass = np.polynomial.laguerre.laggauss(12)
    value = theory.exit_probability(line(1.0, 1.0), [0.0], (np.inf, level / np.sqrt(2)), nodes * expected)
    mean = expected * np.sum(mass * np.exp(nodes) * (1 - value))
    assert mean == pytest.approx(expected, rel=2e-3)
    twin = theory.exit_probability(line(1.0, 1.05), [0.0], (np.inf, level / np.sqrt(2)), nodes * expected)
    assert expected * np.sum(mass * np.exp(nodes) * (1 - twin)) < 0.95 * expected


@pytest.mark.parametrize("curvature", [1.5, -0.8])
def test_exit_from_an_interval_agrees_with_a_matrix_exponential(curvature):
    left, right, noise, n = 0.9, 1.3, 0.7, 100
    times = np.array([0.1, 0.5, 2.0])
    results = []
    for cells in (n, 2 * n):  # Richardson extrapolation of a second-order scheme
        grid = np.linspace(-left, right, 22 * cells // 20 + 1)
        spacing = grid[1] - grid[0]
        y = grid[1:-1]
        middle = np.diag(np.full(y.size, -noise / spacing**2))
        up = noise / (2 * spacing**2) - curvature * y / (2 * spacing)
        down = noise / (2 * spacing**2) + curvature * y / (2 * spacing)
        generator = middle + np.diag(up[:-1], 1) + np.diag(down[1:], -1)
        start = int(np.argmin(np.abs(y)))
        assert abs(y[start]) < 1e-12
        values, vectors = np.linalg.eig(generator)
        weights = np.linalg.solve(vectors, np.ones(y.size))
        results.append([1 - np.real(vectors[start] @ (np.exp(values * t) * weights)) for t in times])
    coarse, fine = np.array(results)
    exact = (4 * fine - coarse) / 3
    value = theory.exit_probability(line(curvature, noise), [0.0], (left, right), times)
    np.testing.assert_allclose(value, exact, atol=2e-6)
    # no shortcut: leaving to the right alone is less
    assert np.all(theory.exit_probability(line(curvature, noise), [0.0], (np.inf, right), times) < value)


def test_exit_rare_keeps_its_relative_accuracy():
    """Barrier of 64 in Φ: the rate between consecutive times is steady and is one over the mean exit time, to 1e-8."""
    b = 64.0
    p = theory.exit_probability(line(1.0, 1.0), [0.0], (8.0, 8.0), [50.0, 100.0, 150.0])
    first, second = np.diff(p) / 50
    assert second == pytest.approx(first, rel=1e-8)
    # mean exit time = ∫₀^8 2 e^{y²} ∫₀^y e^{−z²} dz dy by quadrature
    mean = integrate.quad(
        lambda y: 2 * np.exp(y**2 - b) * np.sqrt(np.pi) / 2 * float(stats.chi2.cdf(2 * y**2, 1)),
        0,
        8,
        epsabs=0,
    )[0]
    assert first == pytest.approx(np.exp(-b) / mean, rel=1e-8)


def test_exit_along_an_eigenvector():
    diffusion = sgd(quadratic(np.diag([1.0, 4.0])), np.array([[1.0, 0.5], [0.5, 2.0]]) * 100)
    value = theory.exit_probability(diffusion, [0.0, 0.0], (1.0, 2.0), [1.0, 3.0], direction=[0.0, 2.0])
    np.testing.assert_allclose(value, theory.exit_probability(line(4.0, 2.0), [0.0], (1.0, 2.0), [1.0, 3.0]), rtol=1e-5)
    with pytest.raises(ValueError, match="direction must be given"):
        theory.exit_probability(diffusion, [0.0, 0.0], (1.0, 2.0), [1.0])
    with pytest.raises(ValueError, match="eigenvector"):
        theory.exit_probability(diffusion, [0.0, 0.0], (1.0, 2.0), [1.0], direction=[1.0, 1.0])
    with pytest.raises(ValueError, match="distances"):
        theory.exit_probability(diffusion, [0.0, 0.0], (0.0, 2.0), [1.0], direction=[0.0, 1.0])


# Excess risk


def test_excess_risk_is_the_stationary_mean_loss():
    hessian = np.array([[2.0, 0.7], [0.7, 1.0]])
    covariance = np.array([[3.0, -1.0], [-1.0, 2.0]])
    diffusion = sgd(quadratic(hessian), covariance, learning_rate=0.2, batch_size=5.0)
    value = theory.excess_risk(diffusion, [0.0, 0.0])
    assert value == pytest.approx(0.2 * 5.0 / (4 * 5.0), rel=1e-6)
    sigma = linalg.solve_continuous_lyapunov(hessian, covariance * 0.2 / 5)
    assert value == pytest.approx(np.trace(hessian @ sigma) / 2, rel=1e-6)
    # a temperature T gives T/2 for each direction
    assert theory.excess_risk(line(3.0, 0.2), [0.0]) == pytest.approx(0.05, rel=1e-6)
    with pytest.raises(ValueError, match="positive definite wherever"):
        theory.excess_risk(ss.LangevinSGD.at_temperature(quartic(), 0.1), [0.0])
