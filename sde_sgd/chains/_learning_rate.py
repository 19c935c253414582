"""Learning rates, one number or an optax schedule asked for whole iterations, and what chains with one share."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import concrete, is_traced, positive
from .._numerics import as_real
from ._base import AbstractChain

LearningRate = Float[Array, ""] | float | Callable[[Any], Any]

MOST_ITERATIONS = 2**31
"""Schedules are asked for signed 32-bit integers."""


class AbstractRateChain(AbstractChain):
    """A chain with a learning rate: one iteration lasts a time γ (a schedule's value at 0)."""

    learning_rate: eqx.AbstractVar[LearningRate]
    """γ, or its schedule."""

    @property
    def time_step(self) -> Any:
        return self.learning_rate(0) if callable(self.learning_rate) else self.learning_rate

    @property
    def changes_in_time(self) -> bool:
        return callable(self.learning_rate)

    @property
    def what_changes(self) -> str:
        return "a schedule for learning_rate"

    def last_step(self, dtype: Any) -> int:
        return MOST_ITERATIONS

    def rate(self, step_index: Any, dtype: Any) -> Array:
        """γ of step number `step_index`, a scalar of `dtype`."""
        rate = self.learning_rate
        if callable(rate):
            # schedules subtract from their count, which an unsigned integer does not survive
            rate = rate(jnp.minimum(step_index, MOST_ITERATIONS - 1).astype(jnp.int32))
        return jnp.asarray(rate, dtype)


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
    return as_real(learning_rate)
