"""A small network on data, shared by the tests of chains that draw examples."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp

import sde_sgd as ss


def squared(model, x, y):
    return 0.5 * jnp.sum((model(x) - y) ** 2)


@functools.cache
def network(examples=4, dtype=None):
    keys = jax.random.split(jax.random.key(3), 3)
    model = eqx.nn.MLP(2, 1, 3, 1, activation=jnp.tanh, key=keys[0], dtype=dtype)
    inputs = jax.random.normal(keys[1], (examples, 2), dtype)
    return ss.EmpiricalRisk(model, squared, inputs, jax.random.normal(keys[2], (examples, 1), dtype))
