"""One step of the chain, for every noise model in one and three dimensions, with constant and scheduled γ and M.

Step k from θ has mean θ − γ_k ∇L and covariance γ_k² V(θ)/M_k, whatever schedules there are, because it stands for one
iteration of SGD. Both are read off the step itself, with ξ the basis vectors: nothing is sampled.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parameters import quick

import sde_sgd as ss

CURVED = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.4]])
TILTED = {1: np.array([[2.0]]), 3: CURVED}
ORIGIN = {1: np.array([0.6]), 3: np.array([0.7, -0.4, 1.1])}


def loss(x):
    return 0.3 + jnp.sum(x**4) / 4 + x @ jnp.asarray(TILTED[x.shape[0]]) @ x / 2


def value(x):
    return 0.3 + np.sum(x**4) / 4 + x @ TILTED[len(x)] @ x / 2


def gradient(x):
    return x**3 + TILTED[len(x)] @ x


def hessian(x):
    return np.diag(3 * x**2) + TILTED[len(x)]


def wide(x):
    return jnp.stack([x, x**2 - 1], axis=1)


def models(dim):
    """Noise models and V at θ, written out."""
    theta = ORIGIN[dim]
    variances, matrix = np.array([1.0, 0.0, 3.0])[:dim], TILTED[dim]
    factor = np.stack([theta, theta**2 - 1], axis=1)
    return {
        "isotropic": (ss.noise.Isotropic(1.7), 1.7 * np.eye(dim)),
        "diagonal": (ss.noise.Diagonal(variances), np.diag(variances)),
        "constant": (ss.noise.ConstantCovariance(matrix), matrix),
        "hessian": (ss.noise.HessianProportional(0.5), 0.5 * hessian(theta)),
        "hessian, clipped": (ss.noise.HessianProportional(0.5, "clip"), 0.5 * hessian(theta)),
        "loss": (ss.noise.LossProportional(2.0), 2 * value(theta) * np.eye(dim)),
        "loss and matrix": (ss.noise.LossProportional(2.0, matrix), 2 * value(theta) * matrix),
        "component": (ss.noise.ComponentProportional(0.6), 0.6 * np.diag(theta**2)),
        "function, a vector": (ss.noise.FromFunction(jnp.sin), np.diag(np.sin(theta) ** 2)),
        "function, a matrix": (ss.noise.FromFunction(wide), factor @ factor.T),
    }


def rate(count):
    """0.2, then 0.1, then 0.6; strictly between the steps that are looked at."""
    return jnp.where(count < 4, 0.2, jnp.where(count < 9, 0.1, 0.6))


def batch(count):
    return jnp.where(count < 6, 4.0, 16.0)


# step, γ and M there
STEPS = [(2, 0.2, 4.0), (5, 0.1, 4.0), (8, 0.1, 16.0), (12, 0.6, 16.0)]


@eqx.filter_jit
def steps_of(chain, theta, rows, number):
    return jax.vmap(lambda xi: chain.step(theta, xi, number))(rows)


def step_of(chain, theta, number):
    """Mean and covariance of one step, read off it."""
    # without noise, and by each basis vector
    rows = np.eye(chain.noise_dim + 1)[:, 1:]
    still, *moved = np.asarray(steps_of(chain, theta, rows, np.uint32(number)))
    factor = np.stack(moved, axis=1) - still[:, None]
    return still - theta, factor @ factor.T


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("name", list(models(1)))
@pytest.mark.parametrize("scheduled", quick(["neither", "rate", "batch", "both"], "neither", "both"))
def test_a_step_is_an_iteration(name, dim, scheduled, double_precision):
    model, expected = models(dim)[name]
    theta = ORIGIN[dim]
    landscape = ss.landscapes.Landscape(loss, dim)
    rates, batches = scheduled in ("rate", "both"), scheduled in ("batch", "both")
    chain = ss.EulerMaruyama(
        ss.LangevinSGD(landscape, model, rate if rates else 0.2, batch if batches else 4.0),
    )
    for number, gamma, size in STEPS if scheduled != "neither" else STEPS[:1]:
        gamma, size = (gamma if rates else 0.2), (size if batches else 4.0)
        mean, covariance = step_of(chain, theta, number)
        np.testing.assert_allclose(mean, -gamma * gradient(theta), rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(covariance, gamma**2 / size * expected, rtol=1e-5, atol=1e-7)


def test_at_an_sde_time_schedules_are_those_of_the_whole_iterations_before(double_precision):
    """Drift and covariance of the SDE in the middle of iteration k: −u ∇L and u² γ₀ V/M, with u = γ_k/γ₀."""
    theta = jnp.asarray(ORIGIN[3])
    diffusion = ss.LangevinSGD(ss.landscapes.Landscape(loss, 3), ss.noise.Isotropic(1.7), rate, batch)
    for number, gamma, size in STEPS:
        time, share = jnp.asarray((number + 0.5) * 0.2), gamma / 0.2
        np.testing.assert_allclose(diffusion.drift(theta, time), -share * gradient(ORIGIN[3]), rtol=1e-5)
        expected = share**2 * 0.2 / size * 1.7 * np.eye(3)
        np.testing.assert_allclose(diffusion.covariance(theta, time), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_negative_curvature_is_clipped_or_stops(dim, double_precision):
    """At a saddle, and in one dimension at a maximum: no noise along it, or a state that is not a number."""
    curvatures = np.array([-2.0, 3.0, 1.0])[:dim]
    saddle = ss.landscapes.Quadratic(curvatures)
    theta = jnp.zeros(dim)
    clip = ss.noise.HessianProportional(1.0, "clip")
    found = eqx.filter_jit(clip.covariance)(saddle, theta)
    np.testing.assert_allclose(found, np.diag(np.maximum(curvatures, 0)), atol=1e-6)
    _, covariance = step_of(ss.EulerMaruyama(ss.LangevinSGD(saddle, clip, 0.1, 1.0)), np.zeros(dim), 0)
    np.testing.assert_allclose(covariance, 0.01 * np.diag(np.maximum(curvatures, 0)), atol=1e-8)
    stop = ss.EulerMaruyama(ss.LangevinSGD(saddle, ss.noise.HessianProportional(1.0), 0.1, 1.0))
    assert np.all(np.isnan(steps_of(stop, np.zeros(dim), np.ones((1, dim)), np.uint32(0))))


@pytest.mark.parametrize("dim", [1, 3])
def test_second_order_in_the_rate(dim, double_precision):
    """The mean of a step of order 2 is that of −∇(L + γ/4 ‖∇L‖²); the noise is as of order 1. Twin: γ/2."""
    theta, landscape = ORIGIN[dim], ss.landscapes.Landscape(loss, dim)
    first, second = (
        ss.EulerMaruyama(ss.LangevinSGD(landscape, ss.noise.HessianProportional(), rate, 4.0, order=order))
        for order in (1, 2)
    )
    for number, gamma, _ in STEPS:
        mean, covariance = step_of(second, theta, number)
        correction = hessian(theta) @ gradient(theta)
        np.testing.assert_allclose(mean, -gamma * (gradient(theta) + gamma / 2 * correction), rtol=1e-5)
        np.testing.assert_allclose(covariance, step_of(first, theta, number)[1], rtol=1e-6, atol=1e-12)
        assert not np.allclose(mean, -gamma * (gradient(theta) + gamma * correction), rtol=1e-3)


def test_a_temperature_is_that_of_its_noise(double_precision):
    """√(2T dt) of `at_temperature`, and of SGD with T = γβ/(2M)."""
    landscape = ss.landscapes.Landscape(loss, 3)
    theta = ORIGIN[3]
    langevin = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.3), 0.02)
    mean, covariance = step_of(langevin, theta, 7)
    np.testing.assert_allclose(mean, -0.02 * gradient(theta), rtol=1e-6)
    np.testing.assert_allclose(covariance, 2 * 0.3 * 0.02 * np.eye(3), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(langevin.diffusion.covariance(jnp.asarray(theta), 0.0), 0.6 * np.eye(3), rtol=1e-6)
    sgd = ss.LangevinSGD(landscape, ss.noise.Isotropic(1.7), 0.2, 4.0)
    assert float(sgd.temperature) == pytest.approx(0.2 * 1.7 / 8)
    _, covariance = step_of(ss.EulerMaruyama(sgd, 0.02), theta, 7)
    np.testing.assert_allclose(covariance, 2 * float(sgd.temperature) * 0.02 * np.eye(3), rtol=1e-6, atol=1e-9)


def test_coefficients_of_a_persons_own(double_precision):
    """b dt and BBᵀ dt, for a factor that is a matrix and for one that is a diagonal; jitted as the engine does."""
    theta = jnp.asarray(ORIGIN[3])
    for factor in (wide, jnp.cos):
        diffusion = ss.diffusions.ItoDiffusion(lambda x, t: jnp.sin(x) + t, lambda x, t, f=factor: (1 + t) * f(x), 3)
        chain = ss.EulerMaruyama(diffusion, 0.05)
        time = 40 * 0.05
        matrix = np.asarray(factor(theta)) if factor is wide else np.diag(np.asarray(factor(theta)))
        mean, covariance = step_of(chain, ORIGIN[3], 40)
        np.testing.assert_allclose(mean, 0.05 * (np.sin(ORIGIN[3]) + time), rtol=1e-6)
        np.testing.assert_allclose(covariance, 0.05 * (1 + time) ** 2 * matrix @ matrix.T, rtol=1e-6, atol=1e-9)
        per_time = diffusion.covariance(theta, time)
        np.testing.assert_allclose(per_time, (1 + time) ** 2 * matrix @ matrix.T, rtol=1e-6, atol=1e-9)
        jitted = jax.jit(chain.step)(theta, jnp.ones(chain.noise_dim), jnp.uint32(40))
        np.testing.assert_allclose(jitted, chain.step(theta, jnp.ones(chain.noise_dim), jnp.uint32(40)), rtol=1e-9)
