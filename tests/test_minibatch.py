"""Empirical risk, minibatch SGD and per-example noise, held against direct sums over examples and draws."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sde_sgd.chains import MinibatchSGD
from sde_sgd.chains._sampling import words_to_indices
from sde_sgd.landscapes import Landscape
from sde_sgd.landscapes._empirical_risk import EmpiricalRisk
from sde_sgd.noise import PerExample


def squared(model, x, y):
    return 0.5 * jnp.sum((model(x) - y) ** 2) + 0.05 * jnp.sum(model.layers[0].weight ** 2)


@functools.cache
def network(dtype):
    return eqx.nn.MLP(2, 1, 3, 1, activation=jnp.tanh, key=jax.random.key(3), dtype=dtype)


@functools.cache
def problem(examples=5, dtype=jnp.float32):
    draw = np.random.default_rng(3)
    inputs, targets = (draw.standard_normal((examples, wide)).astype(dtype) for wide in (2, 1))
    return EmpiricalRisk(network(dtype), squared, inputs, targets)


def example_gradients(risk, theta):
    """One example at a time, in a Python loop and through the model itself."""

    def loss(point, n):
        return squared(risk.unflatten(point), risk.inputs[n], risk.targets[n])

    gradient = jax.jit(jax.grad(loss))
    return np.stack([np.asarray(gradient(theta, n)) for n in range(risk.examples)])


def crafted_word(index, examples):
    """The smallest 32-bit word that stands for this index."""
    return -((-index * 2**32) // examples)


def random_words(*shape):
    return np.random.default_rng(5).integers(0, 2**32, shape, np.uint32)


def every_step(chain, state):
    """The states after one step for every one of the N^M equally likely batches, shape (N^M, dim)."""
    examples = chain.risk.examples
    words = [
        [crafted_word(index, examples) for index in batch]
        for batch in itertools.product(range(examples), repeat=chain.batch_size)
    ]
    step = eqx.filter_jit(lambda noise: jax.vmap(lambda w: chain.step(state, w, jnp.uint32(0)))(noise))
    return np.asarray(step(jnp.asarray(words, jnp.uint32)))


def moments(states):
    centred = states - states.mean(0)
    return states.mean(0), centred.T @ centred / len(states)


def covariance_of(risk, theta):
    return np.asarray(_covariance(PerExample(), risk, theta))


@eqx.filter_jit
def _covariance(noise, risk, theta):
    return noise.covariance(risk, theta)


def test_loss_and_gradient_are_means_over_examples():
    with jax.enable_x64(True):
        risk = problem(dtype=jnp.float64)
        theta = risk.initial + 0.1
        model, one = risk.unflatten(theta), eqx.filter_jit(squared)
        direct = np.array([one(model, x, y) for x, y in zip(risk.inputs, risk.targets, strict=True)])
        weights, batch = jnp.array([0.5, -1.0, 0.0, 2.0, 0.25]), jnp.array([4, 1, 4])

        @jax.jit
        def all_of_them(theta):
            means = risk.loss(theta), risk.weighted_loss(theta, weights), risk.batch_loss(theta, batch)
            return risk.per_example_losses(theta), means, risk.gradient(theta)

        each, means, gradient = all_of_them(theta)
        np.testing.assert_allclose(each, direct, rtol=1e-13)
        exact = direct.mean(), direct @ np.asarray(weights), direct[[4, 1, 4]].mean()
        np.testing.assert_allclose(means, exact, rtol=1e-13)
        np.testing.assert_allclose(gradient, example_gradients(risk, theta).mean(0), rtol=1e-12)


def test_unflatten_is_the_inverse_of_initial():
    risk = problem()
    assert risk.dim == 2 * 3 + 3 + 3 + 1 == risk.initial.size
    assert risk.examples == 5
    assert eqx.tree_equal(risk.unflatten(risk.initial), risk.model)
    flat, _ = jax.flatten_util.ravel_pytree(eqx.filter(risk.model, eqx.is_inexact_array))
    np.testing.assert_array_equal(risk.initial, flat)
    shifted = EmpiricalRisk(risk.unflatten(risk.initial + 1), squared, risk.inputs, risk.targets)
    np.testing.assert_array_equal(shifted.initial, risk.initial + 1)


def test_other_data_are_not_another_program():
    risk = problem()
    other = eqx.tree_at(lambda r: r.inputs, risk, 2 * risk.inputs)
    loss = eqx.filter_jit(eqx.debug.assert_max_traces(lambda r, theta: r.loss(theta), max_traces=1))
    assert loss(risk, risk.initial) != loss(other, risk.initial)


def test_arithmetic_is_in_the_dtype_of_theta():
    with jax.enable_x64(True):
        risk = problem(dtype=jnp.float32)
        assert jax.eval_shape(risk.loss, risk.initial.astype(jnp.float64)).dtype == jnp.float64
        risk = problem(dtype=jnp.float64)
        assert jax.eval_shape(risk.loss, risk.initial.astype(jnp.float32)).dtype == jnp.float32


def test_integer_labels_reach_the_loss_as_integers():
    model = eqx.nn.Linear(2, 3, key=jax.random.key(0))
    risk = EmpiricalRisk(
        model, lambda m, x, y: -jax.nn.log_softmax(m(x))[y], np.eye(2, dtype=np.float32), np.array([2, 0])
    )
    expected = [-jax.nn.log_softmax(model(risk.inputs[0]))[2], -jax.nn.log_softmax(model(risk.inputs[1]))[0]]
    np.testing.assert_allclose(risk.per_example_losses(risk.initial), expected, rtol=1e-6)


@pytest.mark.parametrize("examples", [1, 2, 3, 5, 256, 1797, 2**16 - 1, 2**16, 2**16 + 1, 10**6 + 3, 2**31 - 1])
def test_indices_are_the_exact_high_half_of_the_product(examples):
    generator = np.random.RandomState(1)
    words = {0, 1, 0xFFFF, 0x10000, 0x10001, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1}
    words |= set(generator.randint(0, 2**32, 5_000, dtype=np.uint64).tolist())
    for index in {0, examples // 2, examples - 1}:
        first = crafted_word(index, examples)
        words |= {first, (first - 1) % 2**32}
    words = sorted(words)
    got = np.asarray(words_to_indices(jnp.asarray(words, jnp.uint32), examples))
    assert got.tolist() == [word * examples >> 32 for word in words]


@pytest.mark.parametrize(("examples", "batch_size"), [(4, 1), (4, 3), (3, 4)])
def test_one_step_has_the_mean_and_covariance_of_minibatch_sgd(examples, batch_size):
    """Exact: all N^M batches, by gathering (M < N) and by counting (M >= N)."""
    with jax.enable_x64(True):
        risk = problem(examples, jnp.float64)
        theta, rate = risk.initial, 0.3
        states = every_step(MinibatchSGD(risk, rate, batch_size), theta)
        mean, covariance = moments(states)
        gradients = example_gradients(risk, theta)
        expected = covariance_of(risk, theta) * rate**2 / batch_size
        np.testing.assert_allclose(mean, theta - rate * gradients.mean(0), atol=1e-13)
        np.testing.assert_allclose(covariance, expected, atol=1e-13)
        if batch_size > 1:
            # broken twin: the covariance of drawing without replacement
            twin = expected * (examples - batch_size) / (examples - 1)
            assert np.abs(covariance - twin).max() > 1e-3 * np.abs(expected).max()


def test_gathering_and_counting_are_the_same_step():
    with jax.enable_x64(True):
        risk = problem(6, jnp.float64)
        words = random_words(7)
        indices = np.asarray(words_to_indices(jnp.asarray(words), 6))
        counted = eqx.filter_jit(MinibatchSGD(risk, 0.1, 7).step)(risk.initial, words, np.uint32(0))
        gathered = risk.initial - 0.1 * example_gradients(risk, risk.initial)[indices].mean(0)
        np.testing.assert_allclose(counted, gathered, atol=1e-14)


def test_schedule_sets_the_rate_of_each_iteration():
    risk = problem()
    schedule = optax.linear_schedule(0.4, 0.1, transition_steps=4, transition_begin=2)
    chain = MinibatchSGD(risk, schedule, 2)
    assert float(chain.time_step) == pytest.approx(0.4)
    words = random_words(2)
    gradient = example_gradients(risk, risk.initial)[np.asarray(words_to_indices(jnp.asarray(words), 5))].mean(0)
    step = eqx.filter_jit(chain.step)
    for count, rate in [(0, 0.4), (1, 0.4), (2, 0.4), (4, 0.25), (6, 0.1), (2**32 - 1, 0.1)]:
        moved = step(risk.initial, words, jnp.uint32(count))
        np.testing.assert_allclose(moved, risk.initial - rate * gradient, atol=1e-6)


def test_chain_tells_the_engine_what_it_needs():
    risk = problem()
    chain = MinibatchSGD(risk, 0.2, 3)
    assert (chain.dim, chain.noise_dim, chain.noise_kind, chain.time_step) == (13, 3, "words", 0.2)
    assert chain.landscape is risk
    states = np.asarray(risk.initial)[:, None] * np.array([1.0, 0.5, 2.0, -1.0], np.float32)
    words = random_words(3, 4)
    batched = jax.jit(jax.vmap(chain.step, in_axes=(-1, -1, None), out_axes=-1))(states, words, np.uint32(1))
    step = eqx.filter_jit(chain.step)
    alone = np.stack([step(states[:, i], words[:, i], np.uint32(1)) for i in range(4)], axis=1)
    np.testing.assert_allclose(batched, alone, atol=1e-6)


def test_per_example_noise_has_its_covariance():
    """σσᵀ, with σ put together from basis vectors, against the sum over examples; no sampling."""
    with jax.enable_x64(True):
        risk = problem(dtype=jnp.float64)
        noise, theta = PerExample(), risk.initial
        noise.check(risk)
        assert noise.noise_dim(risk) == risk.examples == 5
        apply = eqx.filter_jit(noise.apply)
        sigma = np.stack([apply(risk, theta, basis) for basis in np.eye(5)], axis=1)
        gradients = example_gradients(risk, theta)
        expected = np.cov(gradients.T, bias=True)
        np.testing.assert_allclose(sigma @ sigma.T, expected, atol=1e-13)
        np.testing.assert_allclose(covariance_of(risk, theta), expected, atol=1e-13)
        # broken twin: without centring, the second moment of the gradients
        twin = gradients.T @ gradients / 5
        assert np.abs(sigma @ sigma.T - twin).max() > 1e-2 * np.abs(expected).max()


@eqx.filter_jit
def jointly_and_apart(risk, theta, amplitude, xi):
    joint = PerExample().noisy_gradient(risk, theta, amplitude, xi)
    return joint, risk.gradient(theta) + amplitude * PerExample().apply(risk, theta, xi)


@pytest.mark.parametrize("amplitude", [-1.7, 0.0, 0.3])
def test_noisy_gradient_is_gradient_plus_noise(amplitude):
    risk = problem()
    xi = np.random.default_rng(4).standard_normal(5).astype(np.float32)
    np.testing.assert_allclose(*jointly_and_apart(risk, risk.initial, np.float32(amplitude), xi), atol=2e-6)


def test_sgd_and_its_diffusion_have_equal_first_two_moments():
    """A step of Euler–Maruyama with dt = γ moves by −γ·noisy_gradient of amplitude 1/√M: exact, over basis vectors."""
    with jax.enable_x64(True):
        risk = problem(4, jnp.float64)
        theta, rate, batch_size = risk.initial, 0.3, 2
        mean, covariance = moments(every_step(MinibatchSGD(risk, rate, batch_size), theta))

        @jax.jit
        def moved(xi):
            return theta - rate * PerExample().noisy_gradient(risk, theta, jnp.asarray(batch_size**-0.5), xi)

        centre = np.asarray(moved(jnp.zeros(4)))
        sigma = np.stack([np.asarray(moved(basis)) - centre for basis in jnp.eye(4)], axis=1)
        np.testing.assert_allclose(centre, mean, atol=1e-13)
        np.testing.assert_allclose(sigma @ sigma.T, covariance, atol=1e-13)


def test_per_example_noise_needs_examples():
    bowl = Landscape(lambda x: jnp.sum(x**2), dim=2)
    with pytest.raises(ValueError, match=r"EmpiricalRisk.*got Landscape"):
        PerExample().check(bowl)
    with pytest.raises(ValueError, match="EmpiricalRisk"):
        PerExample().noise_dim(bowl)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"targets": np.zeros((4, 1), np.float32)},
            "targets must have one entry for each of the 5 inputs, got 4",
        ),
        ({"inputs": np.zeros((0, 2), np.float32)}, "inputs must have one row"),
        ({"targets": np.float32(1)}, "targets must have one row"),
        ({"inputs": "pixels"}, "inputs must be an array"),
        ({"inputs": np.zeros((5, 7), np.float32)}, "per_example_loss must accept"),
        ({"per_example_loss": lambda m, x, y: m(x) - y}, "per_example_loss must return a real scalar"),
        ({"per_example_loss": lambda m, x, y: jnp.int32(1)}, "per_example_loss must return a real scalar"),
        ({"per_example_loss": 3.0}, "per_example_loss must be a function"),
        ({"model": {"count": jnp.arange(3)}}, "model must hold"),
        ({"model": {"wave": jnp.ones(2, jnp.complex64)}}, "model must have real parameters"),
    ],
)
def test_bad_data_and_models_are_refused(change, message):
    risk = problem()
    arguments = dict(model=risk.model, per_example_loss=squared, inputs=risk.inputs, targets=risk.targets)
    with pytest.raises(ValueError, match=message):
        EmpiricalRisk(**(arguments | change))


@pytest.mark.parametrize(
    ("learning_rate", "batch_size", "message"),
    [
        (0.0, 2, "learning_rate must be a finite number above 0"),
        (-0.1, 2, "learning_rate must be a finite number above 0"),
        (float("nan"), 2, "learning_rate must be a finite number above 0"),
        ("fast", 2, "learning_rate must be a single number above 0 or a schedule"),
        (np.ones(2), 2, "learning_rate must be a single number above 0 or a schedule"),
        (optax.constant_schedule(0.0), 2, "learning_rate at iteration 0 must be"),
        (0.1, 0, "batch_size must be a whole number of at least 1"),
        (0.1, 2.0, "batch_size must be a whole number of at least 1"),
        (0.1, True, "batch_size must be a whole number of at least 1"),
    ],
)
def test_bad_rates_and_batches_are_refused(learning_rate, batch_size, message):
    with pytest.raises(ValueError, match=message):
        MinibatchSGD(problem(), learning_rate, batch_size)


def test_sgd_needs_examples():
    with pytest.raises(ValueError, match="risk must be an EmpiricalRisk"):
        MinibatchSGD(Landscape(lambda x: jnp.sum(x**2), dim=2), 0.1, 1)
