"""Gradient-noise models: σ(θ)ξ and V(θ) agree, and V is what the model says. Exact: nothing is sampled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss

THETA = np.array([0.7, -0.4, 1.1])
COVARIANCE = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.4]])
SINGULAR = np.outer([1.0, 2.0, -1.0], [1.0, 2.0, -1.0])


def loss(x):
    """Positive, with a Hessian that is positive definite at THETA and differs from point to point."""
    return 0.3 + jnp.sum(x**4) / 4 + x @ jnp.asarray(COVARIANCE) @ x / 2


def hessian(x):
    return np.diag(3 * x**2) + COVARIANCE


def value(x):
    return 0.3 + np.sum(x**4) / 4 + x @ COVARIANCE @ x / 2


def factor(x):
    return jnp.stack([x, x**2], axis=1)


LANDSCAPE = ss.landscapes.Landscape(loss, 3)
MODELS = {
    "isotropic": (ss.noise.Isotropic(1.7), 1.7 * np.eye(3)),
    "diagonal": (ss.noise.Diagonal([1.0, 0.0, 3.0]), np.diag([1.0, 0.0, 3.0])),
    "constant": (ss.noise.ConstantCovariance(COVARIANCE), COVARIANCE),
    "singular": (ss.noise.ConstantCovariance(SINGULAR), SINGULAR),
    "hessian": (ss.noise.HessianProportional(0.5), 0.5 * hessian(THETA)),
    "loss": (ss.noise.LossProportional(2.0), 2 * value(THETA) * np.eye(3)),
    "loss and matrix": (ss.noise.LossProportional(2.0, COVARIANCE), 2 * value(THETA) * COVARIANCE),
    "component": (ss.noise.ComponentProportional([0.5, 0.0, 2.0]), np.diag([0.5, 0.0, 2.0] * THETA**2)),
    "function, a vector": (ss.noise.FromFunction(jnp.sin), np.diag(np.sin(THETA) ** 2)),
    "function, a matrix": (ss.noise.FromFunction(factor), np.asarray(factor(THETA)) @ np.asarray(factor(THETA)).T),
}


def sigma_of(model, theta, landscape=LANDSCAPE):
    """σ(θ), put together from the images of the basis vectors."""
    basis = jnp.eye(model.noise_dim(landscape))
    return np.asarray(jax.vmap(lambda xi: model.apply(landscape, theta, xi), out_axes=1)(basis))


@pytest.mark.parametrize("name", MODELS)
def test_what_is_applied_has_the_covariance(name, double_precision):
    model, expected = MODELS[name]
    theta = jnp.asarray(THETA)
    model.check(LANDSCAPE)
    sigma = sigma_of(model, theta)
    np.testing.assert_allclose(sigma @ sigma.T, expected, atol=1e-6)
    np.testing.assert_allclose(model.covariance(LANDSCAPE, theta), expected, atol=1e-6)
    # broken twin: σ and σσᵀ taken one for the other
    assert np.abs(sigma @ sigma.T @ sigma @ sigma.T - expected).max() > 0.1


@pytest.mark.parametrize("name", MODELS)
def test_diffusion_scales_it_by_rate_over_batch(name, double_precision):
    """a = (γ/M)V; the increment is −∇L dt + √(γ dt/M) σξ."""
    model, expected = MODELS[name]
    diffusion = ss.LangevinSGD(LANDSCAPE, model, learning_rate=0.2, batch_size=5)
    theta, dt = jnp.asarray(THETA), 0.03
    np.testing.assert_allclose(diffusion.covariance(theta, 0.0), 0.04 * expected, atol=1e-7)
    xi = jnp.linspace(-1.0, 1.5, model.noise_dim(LANDSCAPE))
    moved = diffusion.increment(theta, 0.0, dt, xi)
    noise = sigma_of(model, theta) @ np.asarray(xi)
    np.testing.assert_allclose(moved, -dt * np.asarray(jax.grad(loss)(theta)) + np.sqrt(0.04 * dt) * noise, atol=1e-6)


@pytest.mark.long
def test_a_learning_rate_that_falls_to_zero_stands_still():
    """Also where it is exactly 0: no 0/0 in the noise beside the gradient."""

    def schedule(count):
        return 0.1 * (count < 4)

    diffusion = ss.LangevinSGD(LANDSCAPE, ss.noise.Isotropic(1.0), schedule, batch_size=4)
    path = ss.simulate(ss.EulerMaruyama(diffusion), jnp.ones(3), 8, 16, save_every=4)
    assert np.all(np.isfinite(path)) and np.any(path[0] != path[1])
    assert np.array_equal(path[1], path[2])


def test_order_two_follows_the_learning_rate_of_the_moment(double_precision):
    """At half the learning rate the drift is that of SGD with that rate, in units of time that last twice as long."""

    def half(count):
        return 0.2 * jnp.where(count < 10, 1.0, 0.5)

    theta = jnp.asarray(THETA)
    scheduled = ss.LangevinSGD(LANDSCAPE, ss.noise.Isotropic(1.0), half, batch_size=4, order=2)
    constant = ss.LangevinSGD(LANDSCAPE, ss.noise.Isotropic(1.0), 0.1, batch_size=4, order=2)
    np.testing.assert_allclose(scheduled.drift(theta, 4.0), constant.drift(theta, 0.0) / 2, rtol=1e-6)
    still = scheduled.increment(theta, 4.0, 0.2, jnp.zeros(3))
    np.testing.assert_allclose(still, 0.2 * scheduled.drift(theta, 4.0), rtol=1e-6)


def test_negative_curvature_stops_or_is_left_out(double_precision):
    """Where ∇²L is no covariance σ is not a number, or without the negative direction, as was asked for."""
    saddle = ss.landscapes.Quadratic([2.0, -1.0])
    stop, clip = ss.noise.HessianProportional(), ss.noise.HessianProportional(negative="clip")
    assert np.any(np.isnan(stop.apply(saddle, jnp.zeros(2), jnp.ones(2))))
    np.testing.assert_allclose(clip.covariance(saddle, jnp.zeros(2)), np.diag([2.0, 0.0]), atol=1e-6)
    below = ss.landscapes.Landscape(lambda x: -1.0 + x[0] ** 2, 1)
    assert np.isnan(ss.noise.LossProportional().apply(below, jnp.zeros(1), jnp.ones(1)))[0]


BUMP = ss.landscapes.Landscape(lambda x: 1.0 + jnp.cos(2 * x[0]), 1)
"""In one dimension, with L'' = −4 cos 2x of either sign."""
IN_ONE = {
    "isotropic": (ss.noise.Isotropic(1.7), lambda x: 1.7),
    "diagonal": (ss.noise.Diagonal([3.0]), lambda x: 3.0),
    "constant": (ss.noise.ConstantCovariance([[2.0]]), lambda x: 2.0),
    "hessian, clipped": (ss.noise.HessianProportional(0.5, "clip"), lambda x: max(-2 * np.cos(2 * x), 0.0)),
    "loss": (ss.noise.LossProportional(2.0), lambda x: 2 + 2 * np.cos(2 * x)),
    "loss and matrix": (ss.noise.LossProportional(2.0, [[0.3]]), lambda x: 0.6 + 0.6 * np.cos(2 * x)),
    "component": (ss.noise.ComponentProportional(0.7), lambda x: 0.7 * x**2),
    "function, a vector": (ss.noise.FromFunction(jnp.sin), lambda x: np.sin(x) ** 2),
    "function, a row": (
        ss.noise.FromFunction(lambda x: jnp.stack([x, x**2], axis=1)),
        lambda x: x**2 + x**4,
    ),
}


@pytest.mark.parametrize("name", IN_ONE)
def test_noise_models_in_one_dimension(name, double_precision):
    """σ·1 squared, the covariance and the model's formula, at curvatures of either sign and of none."""
    model, expected = IN_ONE[name]
    model.check(BUMP)
    for x in (-1.2, 0.3, 0.9, np.pi / 4, 2.0):
        theta = jnp.array([x])
        sigma = sigma_of(model, theta, BUMP)
        np.testing.assert_allclose(sigma @ sigma.T, [[expected(x)]], atol=1e-6)
        np.testing.assert_allclose(model.covariance(BUMP, theta), [[expected(x)]], atol=1e-6)
        drawn = model.noisy_gradient(BUMP, theta, 0.5, jnp.ones(model.noise_dim(BUMP)))
        np.testing.assert_allclose(drawn, -2 * np.sin(2 * x) + 0.5 * sigma.sum(1), atol=1e-6)


def test_negative_curvature_in_one_dimension(double_precision):
    """Clipped it is no noise at all: a step from there is the drift, whatever was drawn; "stop" is not a number."""
    theta, xi = jnp.array([0.3]), jnp.array([1.3])
    clip, stop = ss.noise.HessianProportional(0.5, "clip"), ss.noise.HessianProportional(0.5)
    assert clip.apply(BUMP, theta, xi) == 0 and clip.covariance(BUMP, theta) == 0
    assert np.isnan(stop.apply(BUMP, theta, xi)).all() and np.isnan(stop.covariance(BUMP, theta)).all()
    chain = ss.EulerMaruyama(ss.LangevinSGD(BUMP, clip, 0.1, 4.0))
    np.testing.assert_allclose(chain.step(theta, xi, jnp.uint32(0)), theta + 0.2 * np.sin(0.6), rtol=1e-6)


def test_negative_curvature_in_two_dimensions(double_precision):
    """Of a turned saddle, σ of the clipped model is √λ along the positive direction and 0 along the other."""
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    saddle = ss.landscapes.Landscape(lambda x: x @ jnp.asarray(turn @ np.diag([2.0, -1.0]) @ turn.T) @ x / 2, 2)
    model = ss.noise.HessianProportional(0.5, "clip")
    sigma = sigma_of(model, jnp.zeros(2), saddle)
    expected = turn @ np.diag([1.0, 0.0]) @ turn.T
    np.testing.assert_allclose(sigma @ sigma.T, expected, atol=1e-6)
    np.testing.assert_allclose(model.covariance(saddle, jnp.zeros(2)), expected, atol=1e-6)


DIRECTION = np.array([[1.0, 0.3], [0.3, -0.5]])


def square_root_along(t, hessian, negative):
    """σ as a matrix at `hessian` + t·DIRECTION."""
    matrix = jnp.asarray(hessian) + t * jnp.asarray(DIRECTION)
    landscape = ss.landscapes.Landscape(lambda x: x @ matrix @ x / 2, 2)
    model = ss.noise.HessianProportional(negative=negative)
    return jnp.stack([model.apply(landscape, jnp.zeros(2), xi) for xi in jnp.eye(2)], axis=1)


IN_THE_PLANE = {
    "both above 0": ([2.0, 0.5], "stop"),
    "nearly alike": ([1.0, 1.0 - 1e-9], "stop"),
    "equal": ([0.7, 0.7], "stop"),
    "far apart": ([1e6, 1e-6], "stop"),
    "one of each sign": ([2.0, -1.0], "clip"),
    "no curvature across": ([3.0, 0.0], "clip"),
    "both below 0": ([-0.5, -2.0], "clip"),
    "nothing": ([0.0, 0.0], "clip"),
}


@pytest.mark.parametrize("case", IN_THE_PLANE)
def test_root_of_a_hessian_in_the_plane(case, double_precision):
    """σ is the symmetric root of the positive part, as eigenvectors give it (NumPy), and its derivative is finite."""
    values, negative = IN_THE_PLANE[case]
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    hessian = turn @ np.diag(values) @ turn.T
    landscape = ss.landscapes.Landscape(lambda x: x @ jnp.asarray((hessian + hessian.T) / 2) @ x / 2, 2)
    model = ss.noise.HessianProportional(negative=negative)
    expected = turn @ np.diag(np.sqrt(np.maximum(values, 0.0))) @ turn.T
    sigma = np.asarray(sigma_of(model, jnp.zeros(2), landscape))
    np.testing.assert_allclose(sigma, expected, atol=3e-8 * max(np.sqrt(np.max(np.abs(values))), 1e-9))
    along = jax.jacfwd(lambda t: square_root_along(t, hessian, negative))(0.0)
    assert np.all(np.isfinite(along))
    if min(values) > 0:
        # d√A = X with X√A + √A X = dA
        np.testing.assert_allclose(along @ expected + expected @ along, DIRECTION, rtol=1e-5, atol=1e-7)


@pytest.mark.long
def test_per_example_noise_has_its_covariance(double_precision):
    """σσᵀ put together from N unit vectors, the covariance, and the spread of the examples' gradients by hand."""
    inputs = np.random.default_rng(3).normal(size=(7, 3))
    risk = ss.EmpiricalRisk(jnp.zeros(3), lambda w, x, y: (w @ x - y) ** 2 / 2, inputs, inputs @ [1.0, -2.0, 0.5] + 1)
    gradients = (inputs @ THETA - (inputs @ [1.0, -2.0, 0.5] + 1))[:, None] * inputs
    centred = gradients - gradients.mean(0)
    model, theta = ss.noise.PerExample(), jnp.asarray(THETA)
    sigma = sigma_of(model, theta, risk)
    np.testing.assert_allclose(sigma @ sigma.T, centred.T @ centred / 7, atol=1e-5)
    np.testing.assert_allclose(model.covariance(risk, theta), centred.T @ centred / 7, atol=1e-5)


def test_noise_models_say_what_they_are():
    """Which are constant, and which isotropic."""
    constant = {name for name, (model, _) in MODELS.items() if model.is_constant}
    assert constant == {"isotropic", "diagonal", "constant", "singular"}
    assert MODELS["isotropic"][0].isotropic_variance == 1.7
    assert all(model.isotropic_variance is None for name, (model, _) in MODELS.items() if name != "isotropic")
    assert not ss.noise.PerExample().is_constant and ss.noise.PerExample().isotropic_variance is None
