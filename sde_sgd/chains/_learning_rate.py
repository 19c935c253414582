"""Learning rates: one number, or an optax schedule that is asked for whole iterations."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import concrete, is_traced, positive

LearningRate = Float[Array, ""] | float | Callable[[Any], Any]

MOST_ITERATIONS = 2**31
"""Schedules are asked for signed 32-bit integers."""


def checked_rate(learning_rate: Any, schedules: bool = True) -> Any:
    """γ as a number that can be swept, or the schedule that was given, where `schedules` are allowed.

    Raises ValueError for what is neither, a rate that is not above 0, or a schedule that does not begin above 0.
    """
    if callable(learning_rate) and schedules:
        positive("learning_rate at iteration 0", learning_rate(0))
        return learning_rate
    array = concrete(learning_rate)
    if not is_traced(learning_rate) and (array is None or array.ndim != 0):
        allowed = "a single number above 0" + (" or a schedule" if schedules else "")
        raise ValueError(f"learning_rate must be {allowed}, got {learning_rate!r}")
    positive("learning_rate", learning_rate)
    return as_number(learning_rate)


def as_number(value: Any) -> Any:
    """A whole number as a float, which is a leaf that can be swept without compiling again; else `value` itself."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def rate_at(learning_rate: LearningRate, step_index: Any, dtype: Any) -> Array:
    """γ of step number `step_index`, a scalar of `dtype`."""
    if callable(learning_rate):
        # schedules subtract from their count, which an unsigned integer does not survive
        learning_rate = learning_rate(jnp.minimum(step_index, MOST_ITERATIONS - 1).astype(jnp.int32))
    return jnp.asarray(learning_rate, dtype)
