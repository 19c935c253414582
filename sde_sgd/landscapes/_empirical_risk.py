"""Empirical risk: the mean loss of a model over the examples of a data set."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Scalar

from ._base import AbstractLandscape


class EmpiricalRisk(AbstractLandscape):
    """L(θ) = (1/N) Σ_n ℓ_n(θ), with ℓ_n the loss of example n and θ the flattened parameters of a model.

    model: an equinox Module (or any PyTree that `per_example_loss` understands); its real floating arrays, in the
        order of the PyTree, are θ, and all else in it is held fixed.
    per_example_loss: maps (model, x, y) to a scalar, for one example x = inputs[n], y = targets[n]. A penalty on the
        parameters belongs in it; it is then in L and drops out of the gradient noise.
    inputs: (N, ...); targets: (N, ...). Both are PyTree leaves.

    The arithmetic is done in the dtype of θ. Raises ValueError where the data are empty or of different lengths,
    the model has no real floating array or has a complex one, or the loss of one example is not a scalar.
    """

    model: Any
    per_example_loss: Callable[..., Any]
    inputs: Array
    targets: Array
    dim: int = eqx.field(static=True)

    def __init__(self, model: Any, per_example_loss: Any, inputs: Any, targets: Any):
        if not callable(per_example_loss):
            raise ValueError(f"per_example_loss must be a function of (model, x, y), got {per_example_loss!r}")
        self.model = model
        self.per_example_loss = per_example_loss
        self.inputs = _data("inputs", inputs)
        self.targets = _data("targets", targets)
        if self.inputs.shape[0] != self.targets.shape[0]:
            raise ValueError(
                f"targets must have one entry for each of the {self.inputs.shape[0]} inputs, "
                f"got {self.targets.shape[0]}"
            )
        leaves = jax.tree_util.tree_leaves(eqx.filter(model, eqx.is_inexact_array))
        if any(jnp.issubdtype(leaf.dtype, jnp.complexfloating) for leaf in leaves):
            raise ValueError("model must have real parameters, got a complex array among them")
        self.dim = sum(math.prod(leaf.shape) for leaf in leaves)
        if self.dim == 0:
            raise ValueError(f"model must hold at least one array of floating-point parameters, got {model!r}")
        self._check_loss()

    @property
    def examples(self) -> int:
        """N, the number of examples."""
        return self.inputs.shape[0]

    @property
    def initial(self) -> Float[Array, " dim"]:
        """θ of the model that was given, shape (dim,)."""
        leaves = jax.tree_util.tree_leaves(eqx.filter(self.model, eqx.is_inexact_array))
        return jnp.concatenate([jnp.ravel(leaf) for leaf in leaves])

    def unflatten(self, theta: Float[Array, " dim"]) -> Any:
        """The model whose parameters are θ, shape (dim,); its parameters take the dtype of θ."""
        parameters, rest = eqx.partition(self.model, eqx.is_inexact_array)
        leaves, structure = jax.tree_util.tree_flatten(parameters)
        ends = np.cumsum([math.prod(leaf.shape) for leaf in leaves])
        pieces = [
            theta[end - math.prod(leaf.shape) : end].reshape(leaf.shape) for leaf, end in zip(leaves, ends, strict=True)
        ]
        return eqx.combine(jax.tree_util.tree_unflatten(structure, pieces), rest)

    def loss(self, theta: Float[Array, " dim"]) -> Scalar:
        return jnp.mean(self.per_example_losses(theta))

    def per_example_losses(self, theta: Float[Array, " dim"]) -> Float[Array, " examples"]:
        """ℓ_n(θ) of every example, shape (N,)."""
        return self._losses(theta, self.inputs, self.targets)

    def weighted_loss(self, theta: Float[Array, " dim"], weights: Float[Array, " examples"]) -> Scalar:
        """Σ_n w_n ℓ_n(θ). Its gradient is one backward pass, whatever the weights, which may be negative."""
        return jnp.dot(weights, self.per_example_losses(theta))

    def batch_loss(self, theta: Float[Array, " dim"], indices: Integer[Array, " batch"]) -> Scalar:
        """Mean of ℓ_n(θ) over the examples `indices`, shape (M,), which may repeat; its cost grows with M, not N."""
        return jnp.mean(self._losses(theta, self.inputs[indices], self.targets[indices]))

    def _losses(self, theta, inputs, targets):
        model = self.unflatten(theta)

        def one(x, y):
            return self.per_example_loss(model, _cast(x, theta.dtype), _cast(y, theta.dtype))

        return jax.vmap(one)(inputs, targets)

    def _check_loss(self):
        point = jax.ShapeDtypeStruct((self.dim,), jnp.zeros(0).dtype)
        try:
            out = jax.eval_shape(
                lambda theta, x, y: self.per_example_loss(self.unflatten(theta), x, y),
                point,
                jax.ShapeDtypeStruct(self.inputs.shape[1:], _cast(self.inputs, point.dtype).dtype),
                jax.ShapeDtypeStruct(self.targets.shape[1:], _cast(self.targets, point.dtype).dtype),
            )
        except Exception as error:
            raise ValueError(f"per_example_loss must accept (model, x, y) of one example, got: {error}") from error
        if getattr(out, "shape", None) != () or not jnp.issubdtype(out.dtype, jnp.floating):
            raise ValueError(f"per_example_loss must return a real scalar for one example, got {out}")


def _data(name, value):
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array with one row for each example, got {value!r}") from error
    if array.ndim == 0 or array.shape[0] == 0:
        raise ValueError(f"{name} must have one row for each of at least 1 example, got shape {array.shape}")
    return array


def _cast(array, dtype):
    """Floating-point data in the dtype of θ; labels as they are."""
    return array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array
