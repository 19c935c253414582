"""Checks of a model, its loss and its data for an empirical risk: what makes a loss random, what labels it looks up."""

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal
from jaxtyping import Array

from .._errors import ASKS_FOR_VALUES, OF_JAX, is_traced
from .._numerics import bound, read_outside

# relative difference beyond which two losses are not one that was rounded
_APART = 1e-3
_RANDOM = ("random_bits", "random_seed", "random_wrap", "random_split", "random_fold_in", "threefry2x32", "rng_")


def data(name: str, value: Any) -> Array:
    """`value` with one row for each example; ValueError where it is none, is empty, or holds what is not finite."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array with one row for each example, got {value!r}") from error
    if array.ndim == 0 or array.shape[0] == 0:
        raise ValueError(f"{name} must have one row for each of at least 1 example, got shape {array.shape}")
    if not is_traced(array) and jnp.issubdtype(array.dtype, jnp.inexact):
        finite = np.asarray(jnp.isfinite(array)).reshape(len(array), -1).all(axis=1)
        if not finite.all():
            raise ValueError(f"{name} must be finite, got a row that is not: {int(np.argmin(finite))}")
    return array


def held_out_data(value: Any, inputs: Array, targets: Array) -> tuple[Array, Array] | None:
    """Inputs and targets held out; ValueError unless they are of one length and of the training part's shapes."""
    if value is None:
        return None
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"held_out must be a pair (inputs, targets), got {type(value).__name__}")
    pair = data("held_out's inputs", value[0]), data("held_out's targets", value[1])
    if len(pair[0]) != len(pair[1]):
        raise ValueError(
            f"held_out's targets must have one entry for each of its {len(pair[0])} inputs, got {len(pair[1])}"
        )
    for name, given, first in zip(("inputs", "targets"), pair, (inputs, targets), strict=True):
        if given.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"held_out's {name} must have rows of shape {first.shape[1:]}, as those to train by, "
                f"got {given.shape[1:]}"
            )
    return pair


def two_labels(targets: Array, held_out: Any) -> tuple[int, int] | None:
    """The labels that one output tells apart by its sign: 0 and 1, or −1 and 1; None where targets are neither."""
    parts = [targets] + ([] if held_out is None else [held_out[1]])
    if any(is_traced(part) or not jnp.issubdtype(part.dtype, jnp.integer) for part in parts):
        return None
    known = set(np.concatenate([np.unique(np.asarray(part)) for part in parts]).tolist())
    return next((pair for pair in ((0, 1), (-1, 1)) if known <= set(pair)), None)


def which_train(model: Any, trainable: Any) -> tuple[bool, ...]:
    """For each leaf of the model whether it is in θ; ValueError for a choice that is none, or a complex array in it."""
    leaves = jax.tree_util.tree_leaves(model)
    chosen = [True] * len(leaves) if trainable is None else _chosen(model, trainable)
    trained = tuple(pick and bool(eqx.is_inexact_array(leaf)) for pick, leaf in zip(chosen, leaves, strict=True))
    if any(trains and jnp.iscomplexobj(leaf) for trains, leaf in zip(trained, leaves, strict=True)):
        raise ValueError("model must have real parameters, got a complex array among them")
    if trainable is not None and not any(trained):
        raise ValueError("trainable must choose at least one floating-point array of the model, got none chosen")
    return trained


def _chosen(model: Any, trainable: Any) -> list[bool]:
    def of_subtree(choice: Any, subtree: Any) -> Any:
        return jax.tree.map(lambda leaf: choice(leaf) if callable(choice) else choice, subtree)

    try:
        picks = jax.tree_util.tree_leaves(jax.tree.map(of_subtree, trainable, model))
    except (TypeError, ValueError) as error:
        given = type(trainable).__name__
        raise ValueError(
            f"trainable must be booleans in a tree like the model, or a prefix of it, got another tree: {given}"
        ) from error
    for pick in picks:
        if not isinstance(pick, bool | np.bool_):
            raise ValueError(f"trainable must say True or False for each array of the model, got {pick!r}")
    return [bool(pick) for pick in picks]


def cast(array: Any, dtype: Any) -> Any:
    """Floating-point numbers in the dtype of θ; labels, and all else, as they are."""
    return array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array


def check_penalty(risk: Any) -> None:
    """ValueError unless a penalty that is a function maps the model to a real scalar."""
    if not callable(risk.penalty):
        return
    try:
        out = jax.eval_shape(lambda theta: risk.penalty(risk.unflatten(theta)), _point(risk))
    except ASKS_FOR_VALUES as error:
        raise ValueError(f"penalty {OF_JAX}") from error
    except Exception as error:
        raise ValueError(f"penalty must be a function of the model, got: {first_line(error)}") from error
    if getattr(out, "shape", None) != () or not jnp.issubdtype(out.dtype, jnp.floating):
        raise ValueError(f"penalty must return a real scalar, got {out}")


def check_loss(risk: Any) -> None:
    """ValueError unless the loss takes one example, or n with `batched`, gives a number for each, and is no draw."""
    examples = (2,) if risk.batched else ()
    asked = "n examples" if risk.batched else "one example"
    try:
        program, out = _traced_loss(risk, examples)
    except ASKS_FOR_VALUES as error:
        raise ValueError(f"per_example_loss {OF_JAX}") from error
    except Exception as error:
        raise ValueError(
            f"per_example_loss must accept (model, x, y) of {asked}, got: {_reason(risk, error)}"
        ) from error
    if getattr(out, "shape", None) != examples or not jnp.issubdtype(out.dtype, jnp.floating):
        if risk.batched:
            raise ValueError(f"per_example_loss must return real losses of shape (n,) for n = 2 examples, got {out}")
        hint = ""
        if getattr(out, "ndim", 0) and jnp.issubdtype(out.dtype, jnp.floating):
            hint = "; one that takes many examples and returns a loss for each is told by batched=True"
        raise ValueError(f"per_example_loss must return a real scalar for one example, got {out}{hint}")
    drawn = [name for name in _primitives(program.jaxpr) if name.startswith(_RANDOM)]
    if drawn or _constants(program) != _constants(_traced_loss(risk, examples)[0]):
        what = f"one with {_dropout(risk.model)}" if _dropout(risk.model) else "one that draws random numbers"
        raise ValueError(f"per_example_loss must be a fixed function of (model, x, y), got {what}")


def check_apart(risk: Any) -> None:
    """ValueError where the loss of one example of a batch changes with the others: a risk is a mean over examples.

    The first is looked at in two batches of three, at the model that was given.
    """
    leaves = [*jax.tree.leaves((risk.model, risk.inputs, risk.targets))]
    if not risk.batched or risk.inputs.shape[0] < 2 or any(is_traced(leaf) for leaf in leaves):
        return
    # of two alone a normalised output is 1 or −1, and their sum may be 0
    rows = np.array([[0, risk.examples // 2, -1], [0, 0, -1]])
    pairs = cast(risk.inputs, risk.initial.dtype)[rows], cast(risk.targets, risk.initial.dtype)[rows]
    one, other = np.asarray(bound(_losses_of_pairs, risk)(*pairs), np.float64)[:, 0]
    # sums of matrices of another shape may round otherwise
    if abs(one - other) > _APART * max(abs(one), abs(other), _APART):
        raise ValueError(
            "per_example_loss must give each of many examples the loss that it has by itself, got one that changes "
            f"from {one:.6g} to {other:.6g} with the others of a batch, as that of a batch normalisation does"
        )


def _losses_of_pairs(risk: Any, inputs: Any, targets: Any) -> Any:
    model = risk.unflatten(risk.initial)
    return jax.lax.map(lambda pair: risk.per_example_loss(model, *pair), (inputs, targets))


def check_labels(risk: Any) -> None:
    """ValueError where the loss looks up its integer target in the model's outputs, and one of them lies outside."""
    parts = [risk.targets] + ([] if risk.held_out is None else [risk.held_out[1]])
    if any(is_traced(part) or not jnp.issubdtype(part.dtype, jnp.integer) for part in parts) or risk.targets.ndim != 1:
        return
    # a loss that does not look it up has no use for the largest integer that there is either
    if _looked_up_outside(risk, np.iinfo(risk.targets.dtype).max) is None:
        return
    for name, part in zip(("targets", "held_out's targets"), parts, strict=False):
        labels = np.asarray(part)
        lowest, highest = int(labels.min()), int(labels.max())
        if lowest < 0:
            raise ValueError(f"{name} must be labels of at least 0, got {lowest}")
        outside = _looked_up_outside(risk, highest)
        if outside is not None:
            raise ValueError(f"{name} must be labels that the model has an output for, got {outside}")


def _traced_loss(risk: Any, examples: tuple[int, ...]) -> tuple[Any, Any]:
    point = _point(risk)
    x, y = (_examples(part, examples, point.dtype) for part in (risk.inputs, risk.targets))
    return jax.make_jaxpr(
        lambda theta, x, y: risk.per_example_loss(risk.unflatten(theta), x, y), return_shape=True
    )(point, x, y)  # fmt: skip


def _looked_up_outside(risk: Any, label: int) -> str | None:
    """How the loss of an example with this label reads outside an array, in words; None where it does not."""
    examples = (1,) if risk.batched else ()
    point = _point(risk)
    y = jnp.full(examples, label, risk.targets.dtype)
    x = _examples(risk.inputs, examples, point.dtype)
    return read_outside(jax.make_jaxpr(lambda theta, x: risk.per_example_loss(risk.unflatten(theta), x, y))(point, x))


def _point(risk: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((risk.dim,), jnp.zeros(0).dtype)


def _examples(array: Array, examples: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(examples + array.shape[1:], cast(array, dtype).dtype)


def _primitives(jaxpr: Any) -> Iterator[str]:
    return (equation.primitive.name for equation in _equations(jaxpr))


def _constants(program: Any) -> list[bytes]:
    """Every number that is written into a program: two traces of a fixed function have the same."""
    literals = [
        atom.val for equation in _equations(program.jaxpr) for atom in equation.invars if isinstance(atom, Literal)
    ]
    arrays = [each for each in [*program.consts, *literals] if not is_traced(each) and hasattr(each, "dtype")]
    plain = [each for each in arrays if not jnp.issubdtype(each.dtype, jax.dtypes.prng_key)]
    return [np.asarray(each).tobytes() for each in plain] + [
        repr(each).encode() for each in literals if isinstance(each, int | float)
    ]


def _equations(jaxpr: Any) -> Iterator[Any]:
    """The equations of a program and of all programs that it calls."""
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for each in value if isinstance(value, tuple | list) else [value]:
                inner = getattr(each, "jaxpr", each)
                if hasattr(inner, "eqns"):
                    yield from _equations(inner)


def _dropout(model: Any) -> str:
    """A layer of the model that is random unless it is switched off, in words; empty where there is none."""

    def is_random(node: Any) -> bool:
        return isinstance(node, eqx.Module) and getattr(node, "inference", None) is False and getattr(node, "p", 1) != 0

    nodes = [node for node in jax.tree_util.tree_leaves(model, is_leaf=is_random) if is_random(node)]
    return f"{type(nodes[0]).__name__} left on (equinox.nn.inference_mode(model) switches it off)" if nodes else ""


def first_line(error: Exception) -> str:
    """What an error of a person's own code says: JAX says more below, of its own insides."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _reason(risk: Any, error: Exception) -> str:
    layer = _dropout(risk.model)
    if layer:
        return f"a model with {layer}"
    said = first_line(error)
    targets = risk.targets
    if jnp.issubdtype(targets.dtype, jnp.integer) and targets.ndim == 1:
        return said
    return f"{said} (targets are {targets.dtype} of shape {targets.shape}; a loss of labels takes integers, shape (N,))"
