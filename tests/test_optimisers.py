"""Any optax transformation as a chain, held against plain optax loops."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sgd_cases import network, squared

import sde_sgd as ss
from sde_sgd.chains import (
    Optimizer,
)
from sde_sgd.random import group_words

TRANSFORMATIONS = {
    "sgd": lambda: optax.sgd(0.05, 0.9, nesterov=True),
    "adam": lambda: optax.adam(0.02),
    "adamw, masked, with a schedule": lambda: optax.adamw(
        optax.warmup_cosine_decay_schedule(0.0, 0.05, 5, 20),
        weight_decay=0.1,
        mask=lambda tree: jax.tree.map(lambda leaf: leaf.ndim > 1, tree),
    ),
    "clipped": lambda: optax.chain(optax.clip_by_global_norm(0.2), optax.trace(0.9), optax.scale(-0.05)),
    "by layer": lambda: optax.lamb(0.02, weight_decay=0.01),
    "hyper-parameters in the state": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=0.02),
}
STEPS, BATCH, SEED = 12, 3, 5


def indices_of(number, trajectory, examples):
    """What step `number` of a chain draws with replacement, by the counters themselves."""
    key = (np.uint32(SEED), np.uint32(0))
    pair = group_words(key, jnp.asarray([trajectory], jnp.uint32), jnp.uint32(number // 2), BATCH)
    return [int(word) * examples >> 32 for word in np.asarray(pair[number % 2][:, 0])]


@pytest.mark.long
@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_an_optimiser_does_what_a_plain_optax_loop_does(name):
    """Fed the same examples: a Python loop over the model itself, to rounding (float64)."""
    with jax.enable_x64(True):
        risk, transformation = network(6, jnp.float64), TRANSFORMATIONS[name]()
        found = ss.simulate(Optimizer(risk, transformation, BATCH), np.asarray(risk.initial), STEPS, 64, seed=SEED)
        model = risk.model
        state = transformation.init(eqx.filter(model, eqx.is_inexact_array))

        @eqx.filter_jit
        def train(model, state, inputs, targets):
            def loss(model):
                return jnp.mean(jax.vmap(lambda x, y: squared(model, x, y))(inputs, targets))

            parameters = eqx.filter(model, eqx.is_inexact_array)
            updates, state = transformation.update(eqx.filter_grad(loss)(model), state, parameters)
            return eqx.apply_updates(model, updates), state

        for number in range(STEPS):
            indices = np.array(indices_of(number, 7, 6))
            model, state = train(model, state, risk.inputs[indices], risk.targets[indices])
        flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))])
        np.testing.assert_allclose(found[7], flat, rtol=1e-9, atol=1e-11)
        assert np.abs(found[8] - flat).max() > 1e-4
        assert np.abs(flat - risk.initial).max() > 1e-2


def test_counts_of_an_optimiser_are_exact_beyond_what_a_float_counts():
    """A transformation that moves at iteration 2²⁴ + 1 alone, which float32 does not know."""
    risk, late = network(4), 2**24 + 1
    chain = Optimizer(risk, optax.scale_by_schedule(lambda count: jnp.where(count == late, -1.0, 0.0)), 2)
    state, step = chain.begin(risk.initial), eqx.filter_jit(chain.step)
    (count,) = jax.tree.leaves(chain.transformation_state(state))
    assert count.dtype == jnp.int32 and count == 0 and chain.memory == 2
    for number, moves in ((late - 1, False), (late, True), (late + 1, False)):
        begun = state.at[-2:].set(jnp.array([number >> 16, number & 0xFFFF], jnp.float32))
        after = step(begun, jnp.arange(2, dtype=jnp.uint32), jnp.uint32(0))
        assert int(jax.tree.leaves(chain.transformation_state(after))[0]) == number + 1
        assert np.any(np.asarray(after[:-2]) != np.asarray(begun[:-2])) == moves


def test_frozen_parts_of_a_model_are_not_trained():
    """What θ does not reach is None for the transformation, and weight decay leaves it alone."""

    class Scaled(eqx.Module):
        weight: jax.Array
        scale: jax.Array

    class Half(ss.EmpiricalRisk):
        def unflatten(self, theta):
            return Scaled(theta, jnp.ones(1, theta.dtype))

    frozen = Half(
        Scaled(jnp.zeros(2), jnp.ones(0)), lambda m, x, y: (m.weight @ x * m.scale[0] - y) ** 2, np.eye(2), np.ones(2)
    )
    chain = Optimizer(frozen, optax.adamw(0.1), 1)
    assert chain.trained == (True, False) and chain.memory == 2 + 2 * 2
    assert chain.parameters(jnp.ones(2)).scale is None
    assert np.all(ss.simulate(chain, np.zeros(2, np.float32), 3, 8).sum(axis=1) > 0.2)
