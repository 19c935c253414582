"""Empirical risk: the mean loss of a model over the examples of a data set, and what it is on examples held out."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Scalar

from .._errors import is_traced, number
from ._base import AbstractLandscape
from ._risk_checks import (
    cast,
    check_apart,
    check_labels,
    check_loss,
    check_penalty,
    data,
    first_line,
    held_out_data,
    two_labels,
    which_train,
)


class EmpiricalRisk(AbstractLandscape):
    """L(θ) = (1/N) Σ_n ℓ_n(θ) by definition, ℓ_n the loss of example n and θ the flattened parameters of a model.

    model: an equinox Module (or any PyTree that `per_example_loss` understands); its real floating arrays, in the
        order of the PyTree, are θ, and all else in it (integers, functions, static fields) is held fixed.
    per_example_loss: maps (model, x, y) to a scalar, for one example x = inputs[n], y = targets[n], such as
        `landscapes.cross_entropy`; or, with `batched`, (model, x, y) for n examples x (n, …), y (n, …) to their n
        losses, shape (n,), such as `landscapes.cross_entropies`, each of which depends on its own example alone.
    inputs: (N, ...); targets: (N, ...). Both are PyTree leaves.
    batched: whether `per_example_loss` takes many examples at once; faster where it is written as
        products of matrices.
    penalty: added to the loss of every example, so that it is in L and drops out of the gradient noise: a weight
        λ ≥ 0 of (λ/2)‖θ‖² (weight decay), or a function of the model that gives a scalar.
    held_out: (inputs, targets) of other examples, (n, ...) each, that θ is judged by; of the shapes of the first.
    trainable: which of the floating arrays are θ; the others are frozen. A function of an array that says True or
        False, or booleans in a PyTree like the model, or a prefix of it, as `equinox.partition` takes them.

    The arithmetic is done in the dtype of θ. Raises ValueError where data are empty, not finite, of different lengths,
    or labels that the loss looks up are none of the model's; where the model has no real floating array to train or
    trains a complex one; where the loss of one example is not a scalar, draws random numbers, or meets dropout;
    where with `batched` it changes with the others of a batch.
    """

    model: Any
    per_example_loss: Callable[..., Any]
    inputs: Array
    targets: Array
    penalty: Any
    held_out: tuple[Array, Array] | None
    dim: int = eqx.field(static=True)
    _two_labels: tuple[int, int] | None = eqx.field(static=True)
    batched: bool = eqx.field(static=True)
    _trained: tuple[bool, ...] = eqx.field(static=True)

    def __init__(
        self,
        model: Any,
        per_example_loss: Any,
        inputs: Any,
        targets: Any,
        *,
        batched: bool = False,
        penalty: Any = None,
        held_out: Any = None,
        trainable: Any = None,
    ):
        if not callable(per_example_loss):
            raise ValueError(f"per_example_loss must be a function of (model, x, y), got {per_example_loss!r}")
        self.model = model
        self.per_example_loss = per_example_loss
        self.inputs = data("inputs", inputs)
        self.targets = data("targets", targets)
        if self.inputs.shape[0] != self.targets.shape[0]:
            raise ValueError(
                f"targets must have one entry for each of the {self.inputs.shape[0]} inputs, "
                f"got {self.targets.shape[0]}"
            )
        self.held_out = held_out_data(held_out, self.inputs, self.targets)
        self._two_labels = two_labels(self.targets, self.held_out)
        self.batched = bool(batched)
        self._trained = which_train(model, trainable)
        self.dim = sum(math.prod(leaf.shape) for leaf in self._parameters)
        if self.dim == 0:
            raise ValueError(f"model must hold at least one array of floating-point parameters, got {model!r}")
        if penalty is not None and not callable(penalty):
            number("penalty", penalty)
            if not is_traced(penalty) and penalty < 0:
                raise ValueError(f"penalty must be at least 0, or a function of the model, got {penalty!r}")
            penalty = float(penalty) if isinstance(penalty, int) else penalty
        self.penalty = penalty
        check_penalty(self)
        check_loss(self)
        check_labels(self)
        check_apart(self)

    @property
    def examples(self) -> int:
        """N, the number of examples."""
        return self.inputs.shape[0]

    @property
    def initial(self) -> Float[Array, " dim"]:
        """θ of the model that was given, shape (dim,)."""
        return jnp.concatenate([jnp.ravel(leaf) for leaf in self._parameters])

    @property
    def classifies(self) -> bool:
        """Whether there is an accuracy: targets are integer labels, and the model names one for each input."""
        try:
            jax.eval_shape(self.accuracy, jax.ShapeDtypeStruct((self.dim,), jnp.zeros(0).dtype))
        except ValueError:
            return False
        return True

    @property
    def leaves(self) -> dict[str, slice]:
        """The part of θ that each trained array of the model is, by its name in the model, such as layers[0].weight."""
        named = jax.tree_util.tree_leaves_with_path(self.model)
        parts: dict[str, slice] = {}
        start = 0
        for (path, leaf), trains in zip(named, self._trained, strict=True):
            if trains:
                end = start + math.prod(leaf.shape)
                parts[jax.tree_util.keystr(path).lstrip(".") or "model"] = slice(start, end)
                start = end
        return parts

    def unflatten(self, theta: Float[Array, " dim"]) -> Any:
        """The model whose parameters are θ, shape (dim,); its floating arrays take the dtype of θ."""
        leaves, structure = jax.tree_util.tree_flatten(self.model)
        ends = np.cumsum([math.prod(leaf.shape) for leaf in self._parameters])
        # one split: its derivative is one concatenation, where that of slices pads each to the whole of θ
        parts, pieces = iter(jnp.split(theta, ends[:-1])), []
        for leaf, trains in zip(leaves, self._trained, strict=True):
            if trains:
                pieces.append(next(parts).reshape(leaf.shape))
            else:
                pieces.append(cast(leaf, theta.dtype) if eqx.is_array(leaf) else leaf)
        return jax.tree_util.tree_unflatten(structure, pieces)

    def flatten(self, model: Any) -> Float[Array, " dim"]:
        """θ of another model of the same structure, shape (dim,): the inverse of `unflatten`.

        Raises ValueError where its arrays are not those of the risk's `model`.
        """
        leaves, structure = jax.tree_util.tree_flatten(model)
        own = jax.tree_util.tree_flatten(self.model)
        shapes = [[jnp.shape(leaf) for leaf in each if eqx.is_array(leaf)] for each in (leaves, own[0])]
        if structure != own[1] or shapes[0] != shapes[1]:
            raise ValueError(
                f"model must have the arrays of the risk's, got {shapes[0]} in {structure}, not {shapes[1]} in {own[1]}"
            )
        return jnp.concatenate([jnp.ravel(leaf) for leaf, trains in zip(leaves, self._trained, strict=True) if trains])

    def loss(self, theta: Float[Array, " dim"]) -> Scalar:
        return jnp.mean(self.per_example_losses(theta))

    def per_example_losses(self, theta: Float[Array, " dim"]) -> Float[Array, " examples"]:
        """ℓ_n(θ) of every example, penalty included, shape (N,)."""
        return self._losses(theta, self.inputs, self.targets)

    def weighted_loss(self, theta: Float[Array, " dim"], weights: Float[Array, " examples"]) -> Scalar:
        """Σ_n w_n ℓ_n(θ). Its gradient is one backward pass, whatever the weights, which may be negative."""
        return jnp.dot(weights, self.per_example_losses(theta))

    def noise_weights(self, xi: Float[Array, " examples"]) -> Float[Array, " examples"]:
        """N^(−1/2)(ξ_n − ξ̄) for standard normals ξ, (N,): Σ_n w_n ∇ℓ_n then has the covariance of one gradient."""
        return (xi - jnp.mean(xi)) / jnp.sqrt(jnp.asarray(xi.shape[0], xi.dtype))

    def gradient_covariance(self, theta: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
        """Covariance of one example's gradient at θ, (dim,), drawn with replacement; holds all N gradients at once."""
        gradients = jax.jacrev(self.per_example_losses)(theta)
        centred = gradients - jnp.mean(gradients, axis=0)
        return centred.T @ centred / centred.shape[0]

    def batch_loss(self, theta: Float[Array, " dim"], indices: Integer[Array, " batch"]) -> Scalar:
        """Mean of ℓ_n(θ) over the examples `indices`, shape (M,), which may repeat; its cost grows with M, not N."""
        return jnp.mean(self._losses(theta, self.inputs[indices], self.targets[indices]))

    def data_loss(self, theta: Float[Array, " dim"]) -> Scalar:
        """L(θ) without the penalty, for θ of shape (dim,): what `held_out_loss` is to be compared with."""
        return jnp.mean(self._data_losses(self.unflatten(theta), theta.dtype, self.inputs, self.targets))

    def held_out_loss(self, theta: Float[Array, " dim"]) -> Scalar:
        """Mean loss at θ, (dim,), of the examples held out, without the penalty; ValueError where there are none."""
        inputs, targets = self._held_out()
        return jnp.mean(self._data_losses(self.unflatten(theta), theta.dtype, inputs, targets))

    def accuracy(self, theta: Float[Array, " dim"]) -> Scalar:
        """Share of the examples whose label the model at θ, shape (dim,), names: the place of its largest output.

        Of a model with one output that is 1 where the output is above 0, else 0, or −1 where labels are −1 and 1.
        Raises ValueError unless targets are integer labels, with one output those, and the model maps one input to one
        output for each of them.
        """
        return self._accuracy(theta, self.inputs, self.targets)

    def held_out_accuracy(self, theta: Float[Array, " dim"]) -> Scalar:
        """`accuracy` on the examples held out, for θ of shape (dim,); ValueError where there are none too."""
        return self._accuracy(theta, *self._held_out())

    @property
    def _parameters(self) -> list[Any]:
        leaves = jax.tree_util.tree_leaves(self.model)
        return [leaf for leaf, trains in zip(leaves, self._trained, strict=True) if trains]

    def _losses(self, theta, inputs, targets):
        model = self.unflatten(theta)
        losses = self._data_losses(model, theta.dtype, inputs, targets)
        return losses if self.penalty is None else losses + self._penalty(theta, model)

    def _data_losses(self, model, dtype, inputs, targets):
        if self.batched:
            return self.per_example_loss(model, cast(inputs, dtype), cast(targets, dtype))

        def one(x, y):
            return self.per_example_loss(model, cast(x, dtype), cast(y, dtype))

        return jax.vmap(one)(inputs, targets)

    def _penalty(self, theta, model):
        if callable(self.penalty):
            return self.penalty(model)
        return jnp.asarray(self.penalty, theta.dtype) / 2 * jnp.sum(theta**2)

    def _held_out(self) -> tuple[Array, Array]:
        if self.held_out is None:
            raise ValueError("held_out must be given to EmpiricalRisk for what is measured on it, got None")
        return self.held_out

    def _accuracy(self, theta, inputs, targets):
        if not jnp.issubdtype(targets.dtype, jnp.integer) or targets.ndim != 1:
            raise ValueError(
                "targets must be integer labels of shape (N,) for an accuracy, got "
                f"{targets.dtype} of shape {targets.shape}"
            )
        model, inputs = self.unflatten(theta), cast(inputs, theta.dtype)
        try:
            outputs = jax.vmap(model)(inputs)
        except Exception as error:
            if not self.batched:
                raise ValueError(
                    f"model must map one input to its outputs for an accuracy, got: {first_line(error)}"
                ) from error
            outputs = model(inputs)
        if outputs.shape == targets.shape:
            outputs = outputs[:, None]
        if outputs.ndim != 2 or len(outputs) != len(targets):
            raise ValueError(f"model must map one input to a vector for an accuracy, got shape {outputs.shape[1:]}")
        return jnp.mean((self._named(outputs) == targets).astype(theta.dtype))

    def _named(self, outputs):
        """The label that each row of outputs, (n, labels), names."""
        if outputs.shape[1] > 1:
            return jnp.argmax(outputs, axis=1)
        if self._two_labels is None:
            raise ValueError("targets must be 0 and 1, or -1 and 1, for the accuracy of one output, got other labels")
        low, high = self._two_labels
        return jnp.where(outputs[:, 0] > 0, high, low)
