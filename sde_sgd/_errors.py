"""Checks of arguments: one sentence that names the argument, what was given and what is allowed."""

import math
from typing import Any

import jax
import numpy as np
from jax.core import Tracer


def positive(name: str, value: Any) -> None:
    """Raise ValueError unless every entry of a concrete `value` is a finite number above zero.

    A traced value (inside jit or vmap) passes: its entries are not known when the program is built.
    """
    array = concrete(value)
    if array is None:
        return
    if not np.all(np.isfinite(array)) or not np.all(array > 0):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def positive_integer(name: str, value: Any) -> None:
    """Raise ValueError unless `value` is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def fraction(name: str, value: Any) -> None:
    """Raise ValueError unless 0 < value < 1."""
    if not isinstance(value, int | float) or not math.isfinite(value) or not 0 < value < 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1, got {value!r}")


def is_traced(value: Any) -> bool:
    """Whether JAX is tracing `value`: its entries are not known while the program is built."""
    return isinstance(value, Tracer | jax.ShapeDtypeStruct)


def concrete(value: Any) -> np.ndarray | None:
    """`value` as a NumPy array, or None where it is traced by JAX or not an array at all."""
    if is_traced(value):
        return None
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return array if array.dtype.kind in "biuf" else None
