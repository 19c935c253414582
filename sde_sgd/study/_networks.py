"""Networks and data of a training study: from the words of its file to the risk that is trained on."""

import functools
import inspect
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .. import data, landscapes
from .._errors import choose
from ..landscapes import EmpiricalRisk
from ._build import import_named, one_line
from ._errors import StudyError
from ._sections import DataSpec, NetworkSpec

ACTIVATIONS = {name: getattr(jax.nn, name) for name in ("tanh", "relu", "gelu", "sigmoid", "softplus", "identity")}
# what is handed on to the function of a data set
_OF_DATA = ("held_out", "seed", "samples", "features", "scales", "slope", "noise", "degree")
# the losses of all examples at once where the network takes them so, of one example for a person's own
_LOSSES = {
    "cross_entropy": (landscapes.cross_entropies, landscapes.cross_entropy),
    "squared_error": (landscapes.squared_errors, landscapes.squared_error),
}


class Perceptron(eqx.Module):
    """Layers x ↦ a(xW + b), the last one without a; x is one input, (features,), or many, (n, features).

    biases: b of each layer, or none at all.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array | None, ...]
    activation: Callable[[Any], Any] = eqx.field(static=True)
    is_scalar: bool = eqx.field(static=True)

    def __call__(self, x):
        *hidden, last = zip(self.weights, self.biases, strict=True)
        for weight, bias in hidden:
            x = self.activation(_affine(x, weight, bias))
        outputs = _affine(x, *last)
        return outputs[..., 0] if self.is_scalar else outputs


def _affine(x: Any, weight: Array, bias: Array | None) -> Any:
    return x @ weight if bias is None else x @ weight + bias


def perceptron(key: Any, *, sizes: tuple[int, ...], activation: str, is_scalar: bool, bias: bool = True) -> Perceptron:
    """One whose weights and biases are uniform within ±1/√(inputs of the layer), as PyTorch's are by default."""
    weights, biases = [], []
    for inputs, outputs in itertools.pairwise(sizes):
        key, first, second = jax.random.split(key, 3)
        draw = functools.partial(jax.random.uniform, minval=-(inputs**-0.5), maxval=inputs**-0.5)
        weights.append(draw(first, (inputs, outputs)))
        biases.append(draw(second, (outputs,)) if bias else None)
    return Perceptron(tuple(weights), tuple(biases), ACTIVATIONS[activation], is_scalar)


def examples(spec: DataSpec) -> data.Examples:
    """The data set of that name, cut to the examples asked for, with the label noise asked for.

    Raises StudyError for what the data set has not.
    """
    given = {name: getattr(spec, name) for name in _OF_DATA if getattr(spec, name) is not None}
    make = getattr(data, spec.name)
    for name in given:
        if name not in inspect.signature(make).parameters:
            raise StudyError(f"data.{name} is not for the data set {spec.name}, got {given[name]}")
    try:
        found = make(**given)
    except (ValueError, ImportError) as error:
        raise StudyError(f"data {spec.name}: {one_line(error)}") from None
    if spec.examples is not None:
        most = len(found.targets)
        if spec.examples > most:
            raise StudyError(f"data.examples must be at most the {most} to train on, got {spec.examples}")
        found = found._replace(inputs=found.inputs[: spec.examples], targets=found.targets[: spec.examples])
    return found if not spec.label_noise else _noisy(found, spec)


def risk(
    spec: NetworkSpec, hidden: list[int], found: data.Examples, loss: str, penalty: float, folder: Path, seed: int = 0
) -> tuple[EmpiricalRisk, Callable[[Any], Any]]:
    """The risk of a network on examples, and what makes such a network from a key.

    hidden: widths of its hidden layers. folder: where a person's module is looked for first. seed: of the risk's model.
    Raises StudyError where network, loss and data do not go together.
    """
    is_classification = found.targets.dtype.kind == "i"
    if is_classification != (loss == "cross_entropy"):
        allowed, kind = ("cross_entropy", "labels") if is_classification else ("squared_error", "numbers")
        raise StudyError(f"loss must be {allowed} for a data set whose targets are {kind}, got {loss}")
    outputs = int(found.targets.max()) + 1 if is_classification else 1
    if spec.function is None:
        sizes = (found.inputs.shape[1], *hidden, outputs)
        shape: dict[str, Any] = {"sizes": sizes, "activation": spec.activation, "bias": spec.bias}
        make = functools.partial(perceptron, **shape, is_scalar=not is_classification)
    else:
        function = import_named("network.function", spec.function, folder)
        make = function if not hidden else functools.partial(function, width=hidden[0])
    batched = spec.function is None
    try:
        model = make(jax.random.key(seed))
        each = _LOSSES[loss][0 if batched else 1]
        inputs, targets = jnp.asarray(found.inputs, jnp.float32), jnp.asarray(found.targets)
        return EmpiricalRisk(
            model, each, inputs, targets, batched=batched, penalty=penalty or None, held_out=found.held_out
        ), make
    except (ValueError, TypeError) as error:
        raise StudyError(f"network: {one_line(error)}") from None


def _noisy(found: data.Examples, spec: DataSpec) -> data.Examples:
    """That share of the training labels drawn anew among the other ones, by NumPy's RandomState."""
    if found.targets.dtype.kind != "i":
        raise StudyError(
            f"data.label_noise is for labels, and those of {spec.name} are numbers, got {spec.label_noise}"
        )
    generator, number = np.random.RandomState(spec.seed or 0), len(found.targets)
    classes, targets = int(found.targets.max()) + 1, found.targets.copy()
    wrong = generator.permutation(number)[: round(spec.label_noise * number)]
    targets[wrong] = (targets[wrong] + generator.randint(1, classes, len(wrong))) % classes
    return found._replace(targets=targets)


def check_measures(names: list[str], allowed: Any) -> None:
    """Raise StudyError for the first of the names that is no measure."""
    for name in names:
        if name not in allowed:
            raise StudyError(choose("measure", name, allowed))
