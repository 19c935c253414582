"""Chains that draw examples, held against enumeration of their steps and exact second moments."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from parameters import quick
from sgd_cases import network
from statistical import agrees

import sde_sgd as ss
from sde_sgd.chains import (
    SVAG,
    GradientDescent,
    LabelNoiseSGD,
    MinibatchSGD,
    MomentumSGD,
    Optimizer,
)
from sde_sgd.noise import PerExample

RATE, MOMENTUM = 0.3, 0.8


def regression(examples=12, dim=3, noise=1.0):
    """½(w·x − y)² and its exact moments about the minimum: H, the minimum, and the residuals there."""
    generator = np.random.default_rng(5)
    inputs = generator.normal(size=(examples, dim)) * np.linspace(1.3, 0.6, dim)
    targets = inputs @ np.ones(dim) + noise * generator.normal(size=examples)
    risk = ss.EmpiricalRisk(jnp.zeros(dim), lambda w, x, y: 0.5 * (w @ x - y) ** 2, inputs, targets)
    minimum = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    return risk, inputs, minimum, inputs @ minimum - targets


def batches_of(sampling, examples, batch_size):
    """Words that stand for all batches, each for equally many: all draws, or one key for each subset."""
    if isinstance(sampling, ss.chains.WithReplacement):
        words = [-((-index * 2**32) // examples) for index in range(examples)]
        return np.array(list(itertools.product(words, repeat=batch_size)), np.uint32)
    keys = np.random.default_rng(1).integers(0, 2**32, (2_000, 2), dtype=np.uint32)
    place = jnp.zeros(sampling.memory)
    draw = jax.jit(jax.vmap(lambda key: sampling.draw(place, key, examples, batch_size)[0]))
    _, first = np.unique(np.sort(draw(keys), axis=1), axis=0, return_index=True)
    assert len(first) == len(list(itertools.combinations(range(examples), batch_size)))
    return keys[first]


def moments(chain, state, words):
    """Mean and covariance of θ after a step from `state`, over equally likely words."""
    step = jax.jit(jax.vmap(lambda each: chain.theta(chain.step(state, each, jnp.uint32(0)))))
    moved = np.asarray(step(jnp.asarray(words)))
    return moved.mean(axis=0), np.cov(moved.T, bias=True)


@eqx.filter_jit
def _gradient_and_variance(risk, theta):
    return risk.gradient(theta), PerExample().covariance(risk, theta)


def gradient_of(risk, theta):
    return np.asarray(_gradient_and_variance(risk, theta)[0])


def variance_of(risk, theta):
    return np.asarray(_gradient_and_variance(risk, theta)[1])


def spread(replacement, examples, batch_size):
    """c, by hand."""
    return 1 / batch_size if replacement is True else (examples - batch_size) / (batch_size * (examples - 1))


MAKE = {
    "sgd": lambda risk, replacement: MinibatchSGD(risk, RATE, 2, replacement),
    "momentum": lambda risk, replacement: MomentumSGD(risk, RATE, 2, MOMENTUM, replacement=replacement),
    "nesterov": lambda risk, replacement: MomentumSGD(risk, RATE, 2, MOMENTUM, nesterov=True, replacement=replacement),
    "optax": lambda risk, replacement: Optimizer(risk, optax.sgd(RATE, MOMENTUM, nesterov=True), 2, replacement),
}
# of θ after a step from velocity u: θ − γ(followed·u + gain·g)
FOLLOWED = {"sgd": (0, 1), "momentum": (MOMENTUM, 1), "nesterov": (MOMENTUM**2, 1 + MOMENTUM)}
FOLLOWED["optax"] = FOLLOWED["nesterov"]


# each chain and each sampling once; the others are long
QUICK = {("sgd", True), ("sgd", "epoch"), ("momentum", False), ("nesterov", True), ("optax", "epoch")}


@pytest.mark.parametrize(
    ("name", "replacement"),
    [
        pytest.param(*each, marks=[] if each in QUICK else [pytest.mark.long])
        for each in itertools.product(MAKE, [True, False, "epoch"])
    ],
)
def test_a_step_has_the_mean_and_covariance_that_it_states(name, replacement):
    """Exact: every batch of 2 of 4 examples, for a network, from a velocity that is not 0."""
    with jax.enable_x64(True):
        risk = network(4, jnp.float64)
        chain, theta = MAKE[name](risk, replacement), risk.initial
        velocity = jnp.linspace(-0.3, 0.5, risk.dim)
        state = chain.begin(theta)
        if chain.own_memory:
            state = state.at[risk.dim : 2 * risk.dim].set(velocity)
        mean, covariance = moments(chain, state, batches_of(chain.sampling, 4, 2))
        followed, gain = FOLLOWED[name]
        exact = (RATE * gain) ** 2 * spread(replacement, 4, 2) * variance_of(risk, theta)
        moved = theta - RATE * (followed * velocity + gain * gradient_of(risk, theta))
        np.testing.assert_allclose(mean, moved, atol=1e-13)
        np.testing.assert_allclose(covariance, exact, atol=1e-13)
        stated = jax.jit(lambda state, theta: (chain.covariance(state), chain.covariance(theta)))
        for each in stated(state, theta):
            np.testing.assert_allclose(each, exact, atol=1e-13)


def test_batches_of_one_epoch_depend_on_each_other_as_stated():
    """Exact: −V/(N−1) between the mean gradients of two steps of an epoch, over all orders of four examples."""
    with jax.enable_x64(True):
        risk = network(4, jnp.float64)
        sampling, theta = ss.chains.ReshuffledEpochs(), risk.initial

        def both(key):
            indices, place = sampling.draw(jnp.zeros(5), key, 4, 2)
            return jnp.stack([indices, sampling.draw(place, ~key, 4, 2)[0]])

        keys = jnp.asarray(batches_of(sampling, 4, 2))
        pairs = np.asarray(jax.jit(jax.vmap(both))(keys))
        gradients = np.asarray(jax.jit(jax.jacrev(risk.per_example_losses))(theta))
        first, second = (gradients[pairs[:, at]].mean(axis=1) - gradients.mean(axis=0) for at in (0, 1))
        exact = -variance_of(risk, theta) / 3
        np.testing.assert_allclose(first.T @ second / len(keys), exact, atol=1e-13)


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("batch_size", quick([2, 3], 2))
def test_svag_has_the_mean_and_covariance_that_it_states(replacement, batch_size):
    """Exact, over all pairs of batches of three examples; by gathering (M < N) and by counting."""
    with jax.enable_x64(True):
        risk = network(3, jnp.float64)
        theta, chain = risk.initial, SVAG(risk, RATE, batch_size, 3, replacement)
        one = batches_of(chain.sampling, 3, batch_size)
        words = np.array([np.concatenate(pair) for pair in itertools.product(one, one)])
        mean, covariance = moments(chain, theta, words)
        exact = RATE**2 / 3 * spread(replacement, 3, batch_size) * variance_of(risk, theta)
        np.testing.assert_allclose(mean, theta - RATE / 3 * gradient_of(risk, theta), atol=1e-13)
        np.testing.assert_allclose(covariance, exact, atol=1e-13)
        np.testing.assert_allclose(eqx.filter_jit(chain.covariance)(theta), exact, atol=1e-13)
        assert chain.time_step == pytest.approx(RATE / 3)


@pytest.mark.long
def test_svag_with_one_is_sgd_to_the_last_bit():
    risk = network(8)
    start, run = np.asarray(risk.initial), {"steps": 20, "trajectories": 64, "seed": 3}
    one = ss.simulate(SVAG(risk, 0.1, 3, 1), start, **run)
    np.testing.assert_array_equal(one, ss.simulate(MinibatchSGD(risk, 0.1, 3), start, **run))
    assert not np.array_equal(one, ss.simulate(SVAG(risk, 0.1, 3, 2), start, **run))


def test_the_covariance_of_a_step_of_the_diffusion_is_that_of_sgd():
    with jax.enable_x64(True):
        risk = network(4, jnp.float64)
        sgd, diffusion = MinibatchSGD(risk, RATE, 2), ss.LangevinSGD(risk, PerExample(), RATE, 2)
        exact = sgd.covariance(risk.initial)
        np.testing.assert_allclose(ss.EulerMaruyama(diffusion).covariance(risk.initial), exact, rtol=1e-12)
        half = ss.EulerMaruyama(diffusion, RATE / 2).covariance(risk.initial)
        np.testing.assert_allclose(half, exact / 2, rtol=1e-12)
        # of a schedule, that of the step's number
        schedule = MinibatchSGD(risk, lambda count: RATE / (1 + count), 2)
        np.testing.assert_allclose(schedule.covariance(risk.initial, jnp.uint32(2)), exact / 9, rtol=1e-12)
        np.testing.assert_array_equal(GradientDescent(risk, RATE).covariance(risk.initial), 0 * exact)


# exact second moments of linear regression, step by step


def second_moments(inputs, residuals, steps, rate, c, momentum=0.0):
    """E δδᵀ after so many steps from the minimum at rest, δ the distance from it: Ziyin and others 2022, iterated."""
    examples, dim = inputs.shape
    hessian = inputs.T @ inputs / examples
    additive = np.einsum("n,ni,nj->ij", residuals**2, inputs, inputs) / examples
    joint = np.zeros((2 * dim, 2 * dim))
    eye = np.eye(dim)
    # (δ, v) to (δ − γv', v'), v' = μv + Hδ + noise
    drift = np.block([[eye - rate * hessian, -rate * momentum * eye], [hessian, momentum * eye]])
    noise_in = np.concatenate([-rate * eye, eye])
    for _ in range(steps):
        sigma = joint[:dim, :dim]
        answers = np.einsum("ni,nj,nk,kl,nl->ij", inputs, inputs, inputs, sigma, inputs) / examples
        variance = c * (answers - hessian @ sigma @ hessian + additive)
        joint = drift @ joint @ drift.T + noise_in @ variance @ noise_in.T
    return joint[:dim, :dim]


EXACT_CASES = {
    "with": (lambda risk: MinibatchSGD(risk, 0.2, 4), 0.2, 1 / 4, 0.0),
    "without": (lambda risk: MinibatchSGD(risk, 0.2, 4, replacement=False), 0.2, 8 / 44, 0.0),
    "momentum": (lambda risk: MomentumSGD(risk, 0.05, 4, 0.7), 0.05, 1 / 4, 0.7),
    "momentum, without": (lambda risk: MomentumSGD(risk, 0.05, 4, 0.7, replacement=False), 0.05, 8 / 44, 0.7),
    "optax": (lambda risk: Optimizer(risk, optax.sgd(0.05, 0.7), 4), 0.05, 1 / 4, 0.7),
}


@pytest.mark.long
@pytest.mark.parametrize("name", EXACT_CASES)
def test_the_excess_loss_of_linear_regression_is_the_exact_one(name):
    """½ E δᵀHδ after 30 steps from the minimum, to 1 %: a step that is off by 3 % in its rate is rejected."""
    make, rate, c, momentum = EXACT_CASES[name]
    risk, inputs, minimum, residuals = regression()
    ends = ss.simulate(make(risk), minimum.astype(np.float32), 30, 65_536, seed=1).astype(np.float64)
    losses = 0.5 * np.mean(((ends - minimum) @ inputs.T) ** 2, axis=1)
    error = losses.std() / np.sqrt(len(losses))
    hessian = inputs.T @ inputs / len(inputs)

    def exact(rate, c):
        return 0.5 * np.trace(hessian @ second_moments(inputs, residuals, 30, rate, c, momentum))

    assert 4 * error < 0.017 * losses.mean()
    assert agrees(losses.mean(), exact(rate, c), error)
    assert not agrees(losses.mean(), exact(1.03 * rate, c), error)
    # broken twin: the other sampling
    assert not agrees(losses.mean(), exact(rate, 8 / 44 if c == 1 / 4 else 1 / 4), error)


@pytest.mark.long
def test_epochs_are_quieter_than_independent_batches():
    """Exact, for ℓ_n = ½(θ − y_n)²: over an epoch of two steps the noise of the first is partly undone by the second.

    θ after it is (1−γ)²θ₀ + γ(1−γ)m₁ + γm₂ with m₂ = −m₁ for a mean target of 0: variance (γ²)²·(V/M)(N−M)/(N−1).
    """
    targets = np.array([-3.0, 1.0, 4.0, -2.0])
    risk = ss.EmpiricalRisk(jnp.zeros(1), lambda w, x, y: 0.5 * (w[0] - y) ** 2, np.zeros(4), targets)
    variances = {}
    for replacement in ("epoch", False):
        ends = ss.simulate(MinibatchSGD(risk, 0.5, 2, replacement), np.zeros(1, np.float32), 2, 16_384, seed=2)
        variances[replacement] = ends.var()
    batch = targets.var() / 2 * 2 / 3
    error = np.sqrt(2 / 16_384)
    assert agrees(variances["epoch"], 0.5**4 * batch, 0.5**4 * batch * error)
    independent = 0.5**2 * (1 + 0.5**2) * batch
    assert agrees(variances[False], independent, independent * error)


def test_descent_with_all_examples():
    """Against the recursion by hand; from the minimum it rests, and above 2/λ it diverges."""
    landscape = ss.landscapes.Quadratic([1.0, 4.0])
    chain, start = GradientDescent(landscape, 0.3), np.array([1.0, -2.0], np.float32)
    ends = ss.simulate(chain, start, 7, 70, seed=0)
    np.testing.assert_allclose(ends, np.broadcast_to(start * (1 - 0.3 * np.array([1, 4])) ** 7, (70, 2)), rtol=1e-5)
    np.testing.assert_array_equal(ss.simulate(chain, np.zeros(2, np.float32), 7, 3), np.zeros((3, 2)))
    ball = ss.regions.Ball(np.zeros(2), 10.0)
    stays = ss.escape(chain, start, ball, horizon=30.0, trajectories=64, method="direct")
    leaves = ss.escape(GradientDescent(landscape, 0.51), start, ball, horizon=51.0, trajectories=64, method="direct")
    assert stays.probability.value == 0 and leaves.probability.value == 1
    # 2·1.04^k passes 10 after 42 steps
    np.testing.assert_allclose(leaves.exit_times, 42 * 0.51, rtol=1e-5)
    scheduled = GradientDescent(landscape, optax.piecewise_constant_schedule(0.3, {2: 0.0}))
    np.testing.assert_allclose(
        ss.simulate(scheduled, start, 9, 1)[0], start * (1 - 0.3 * np.array([1, 4])) ** 2, rtol=1e-5
    )


# label noise


@pytest.mark.long
def test_label_noise_has_the_mean_and_covariance_that_it_states():
    """One step from 262,144 streams, two targets for each example; without noise on the targets the test rejects."""
    generator = np.random.default_rng(3)
    inputs, targets = generator.normal(size=(5, 2)), generator.normal(size=(5, 2))
    weights = jnp.asarray(generator.normal(size=4), jnp.float32)
    risk = ss.EmpiricalRisk(weights.reshape(2, 2), lambda w, x, y: 0.5 * jnp.sum((w @ x - y) ** 2), inputs, targets)
    for replacement in (True, False):
        chain = LabelNoiseSGD(risk, 0.5, 3, 0.7, replacement)
        assert chain.noise_dim == (3 if replacement else 2) + 6
        moved = ss.simulate(chain, np.asarray(weights), 1, 2**18, seed=8).astype(np.float64)
        exact = np.asarray(chain.covariance(weights), np.float64)
        # by hand: the noise of a target moves its own row of the weights by γσx/M
        second = np.kron(np.eye(2), inputs.T @ inputs / 5)
        by_hand = np.asarray(MinibatchSGD(risk, 0.5, 3, replacement).covariance(weights)) + 0.5**2 * 0.7**2 / 3 * second
        np.testing.assert_allclose(exact, by_hand, rtol=1e-4, atol=1e-6)
        error = np.sqrt(np.diag(exact) / len(moved))
        assert agrees(moved.mean(axis=0), weights - 0.5 * risk.gradient(weights), error, bias=1e-6)
        error = np.sqrt((np.outer(np.diag(exact), np.diag(exact)) + exact**2) * 1.5 / len(moved))
        assert agrees(np.cov(moved.T), exact, error)
        silent = np.asarray(LabelNoiseSGD(risk, 0.5, 3, 0.0, replacement).covariance(weights))
        assert not agrees(np.cov(moved.T), silent, error)
    # the ones of a batch are independent, and new in each step
    flat = ss.EmpiricalRisk(jnp.zeros(1), lambda w, x, y: -w[0] * y * x, np.ones(2), np.zeros(2))
    path = ss.simulate(LabelNoiseSGD(flat, 1.0, 4, 1.0), np.zeros(1, np.float32), 2, 2**16, seed=1, save_every=1)[
        ..., 0
    ]
    steps = np.diff(path, axis=0)
    assert agrees(np.cov(steps), np.eye(2) / 4, np.sqrt(2 / 2**16) / 4)
