"""Ready-made losses of a model's outputs: cross entropy and squared error, of one example or of all at once."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar


def cross_entropy(model: Any, x: Any, y: Any) -> Scalar:
    """−log p(y | x) of one example, by definition the softmax of model(x) at the label.

    model: maps x to logits of shape (C,). x: one input, of any shape. y: its label, a whole number 0 … C−1.
    """
    return -jax.nn.log_softmax(model(x))[y]


def squared_error(model: Any, x: Any, y: Any) -> Scalar:
    """½‖model(x) − y‖² of one example, by definition; ValueError where the shapes differ, which would be broadcast.

    model: maps x to an array. x: one input, of any shape. y: its target, of the shape of model(x).
    """
    output = model(x)
    if jnp.shape(output) != jnp.shape(y):
        raise ValueError(
            f"the model's output must have the shape of one target, {jnp.shape(y)}, got {jnp.shape(output)}"
        )
    return jnp.sum((output - y) ** 2) / 2


def cross_entropies(model: Any, x: Any, y: Any) -> Float[Array, " n"]:
    """By definition `cross_entropy` of n examples, for `EmpiricalRisk(…, batched=True)`: a matrix product a layer.

    model: maps all inputs to logits of shape (n, C), as `x @ weights` does. x: inputs (n, …). y: labels, (n,).
    """
    logits = jax.nn.log_softmax(model(x))
    return -jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]


def squared_errors(model: Any, x: Any, y: Any) -> Float[Array, " n"]:
    """By definition `squared_error` of n examples, for `EmpiricalRisk(…, batched=True)`; ValueError for unlike shapes.

    model: maps all inputs to outputs of the shape of the targets. x: inputs (n, …). y: targets, (n, …).
    """
    outputs = model(x)
    if jnp.shape(outputs) != jnp.shape(y):
        raise ValueError(
            f"the model's outputs must have the shape of the targets, {jnp.shape(y)}, got {jnp.shape(outputs)}"
        )
    return jnp.sum(((outputs - y) ** 2).reshape(len(y), -1), axis=1) / 2
