"""Measures of trained networks: losses, accuracies, distances, and the curvature where they ended."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._numerics import bound
from ..landscapes import EmpiricalRisk, alignment, noise_trace, sharpness, simple_noise_scale, trace
from ..statistics import Estimate


class Measure(NamedTuple):
    """of: maps (risk, θ (n, dim), starts (n, dim)) to n numbers, or an Estimate of n. units and words for a dataset."""

    of: Callable[[EmpiricalRisk, Any, Any], Any]
    units: str
    words: str


def _each(name: str) -> Callable[[EmpiricalRisk, Any, Any], Any]:
    def values(risk, thetas, starts):
        return np.asarray(bound(_mapped(name), risk)(jnp.asarray(thetas)), np.float64)

    return values


@functools.cache
def _mapped(name: str) -> Callable:
    """For `bound`, which keeps a program for each function: one for each name."""

    def mapped(risk, thetas):
        return jax.lax.map(getattr(risk, name), thetas)

    return mapped


MEASURES: dict[str, Measure] = {
    "loss": Measure(_each("loss"), "loss", "loss over all examples, penalty included"),
    "train_loss": Measure(_each("data_loss"), "loss", "loss over all examples"),
    "held_out_loss": Measure(_each("held_out_loss"), "loss", "loss over examples held out"),
    "accuracy": Measure(_each("accuracy"), "1", "accuracy over all examples"),
    "held_out_accuracy": Measure(_each("held_out_accuracy"), "1", "accuracy over examples held out"),
    "gradient_norm": Measure(
        lambda risk, thetas, starts: np.asarray(bound(_gradient_norms, risk)(jnp.asarray(thetas)), np.float64),
        "loss / θ", "norm of the gradient of the loss",
    ),
    "norm": Measure(lambda risk, thetas, starts: _norms(thetas), "θ", "norm of the parameters"),
    "distance": Measure(lambda risk, thetas, starts: _norms(thetas, starts), "θ", "distance from the start"),
    "sharpness": Measure(
        lambda risk, thetas, starts: np.asarray(sharpness(risk, thetas, 1))[:, 0],
        "loss / θ²", "largest eigenvalue of the Hessian",
    ),
    "trace": Measure(lambda risk, thetas, starts: trace(risk, thetas), "loss / θ²", "trace of the Hessian"),
    "alignment": Measure(
        lambda risk, thetas, starts: alignment(risk, thetas), "1", "Tr(HV)/(Tr H Tr V/dim)"
    ),
    "noise_trace": Measure(
        lambda risk, thetas, starts: noise_trace(risk, thetas), "loss² / θ²", "Tr V of one example's gradient"
    ),
    "noise_scale": Measure(
        lambda risk, thetas, starts: simple_noise_scale(risk, thetas), "examples", "Tr V/|gradient|²"
    ),
}  # fmt: skip
"""Ready measures by name; a new one is an entry here, or a Measure that is given in place of a name."""


def _norms(thetas, beside=0.0):
    """|θ| or |θ − beside|, in float64: squares of what float32 has room for have none in it."""
    with np.errstate(over="ignore"):
        return np.linalg.norm(np.subtract(thetas, beside, dtype=np.float64), axis=1)


def _gradient_norms(risk, thetas):
    return jax.lax.map(lambda theta: jnp.linalg.norm(risk.gradient(theta)), thetas)


def named(measure: Any) -> tuple[str, Measure]:
    """The name of a measure, or of a person's own, and the measure; ValueError for what is none."""
    if isinstance(measure, Measure):
        return measure.words.replace(" ", "_"), measure
    if measure not in MEASURES:
        raise ValueError(f"measures must be of {', '.join(MEASURES)}, or a Measure, got {measure!r}")
    return measure, MEASURES[measure]


def by_name(measures: Sequence[Any], taken: Sequence[str]) -> dict[str, Measure]:
    """Measures by their names; ValueError for what is none, for a name that is there twice, or is `taken`."""
    pairs = [named(each) for each in measures]
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError(
            f"measures must each be given once, under a name of its own, got {[name for name, _ in pairs]}"
        )
    for name in told:
        if name in taken:
            raise ValueError(f"measures must not be called {name!r}, which is a name of the result's own")
    return told


def parts_of(measure: Measure, risk: Any, thetas: np.ndarray, starts: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers of each network under "", and under "_low" and "_high" the bounds where they are Estimates.

    Raises ValueError where a person's own measure gives another shape.
    """
    found = measure.of(risk, thetas, starts)
    ends = {"": found} if not isinstance(found, Estimate) else {
        "": found.value, "_low": found.low, "_high": found.high
    }  # fmt: skip
    parts = {end: np.asarray(values, np.float64) for end, values in ends.items()}
    if parts[""].shape != (len(thetas),):
        raise ValueError(
            f"measures must give one number for each network, got shape {parts[''].shape} of {measure.words!r} for "
            f"{len(thetas)}"
        )
    return parts
