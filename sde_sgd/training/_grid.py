"""The grid of a training study: which numbers vary, in what order, and which trajectory id each network has."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from .._errors import concrete

NAMES = ("learning_rate", "batch_size", "momentum")
"""Dimensions of the grid, in their order."""


class Grid(NamedTuple):
    """Values of each number. varies: those given as a list, which become dimensions of the result."""

    learning_rate: Float[np.ndarray, " rates"]
    batch_size: Int[np.ndarray, " sizes"]
    momentum: Float[np.ndarray, " momenta"]
    varies: tuple[str, ...]

    @classmethod
    def of(cls, learning_rate: Any, batch_size: Any, momentum: Any) -> "Grid":
        """Raises ValueError, naming the argument, for what are no such numbers, or one that is given twice."""
        given = dict(zip(NAMES, (learning_rate, batch_size, momentum), strict=True))
        values = {name: _numbers(name, value) for name, value in given.items()}
        _check("learning_rate", values["learning_rate"], values["learning_rate"] > 0, "above 0")
        sizes = values["batch_size"]
        _check("batch_size", sizes, (sizes >= 1) & (sizes % 1 == 0), "whole numbers of at least 1")
        momenta = values["momentum"]
        _check("momentum", momenta, (momenta >= 0) & (momenta < 1), "at least 0 and below 1")
        varies = tuple(name for name in NAMES if np.ndim(given[name]) > 0)
        return cls(values["learning_rate"], sizes.astype(int), momenta, varies)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Lengths of all three dimensions, those that do not vary too."""
        return len(self.learning_rate), len(self.batch_size), len(self.momentum)

    @property
    def has_momentum(self) -> bool:
        return bool(np.any(self.momentum > 0))


def _numbers(name: str, given: Any) -> Float[np.ndarray, " n"]:
    array = concrete(given)
    if array is None or array.ndim > 1 or array.size == 0 or array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be a number or a list of numbers, got {given!r}")
    values = np.atleast_1d(array).astype(np.float64)
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{name} must be finite, got {given!r}")
    if len(np.unique(values)) < len(values):
        raise ValueError(f"{name} must have each of its values once, got {given!r}")
    return values


def _check(name: str, values: np.ndarray, allowed: np.ndarray, what: str) -> None:
    if not np.all(allowed):
        raise ValueError(f"{name} must be {what}, got {values[~allowed][0]:g}")
