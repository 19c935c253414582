"""32-bit words in a floating-point state: two halves each, which float32 holds exactly."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

_HALF_BITS = 16


def check_holds_words(dtype: Any) -> None:
    """Raise ValueError where a number of `dtype` does not hold 24 bits, so that whole numbers would be rounded."""
    if jnp.finfo(dtype).nmant < 23:
        raise ValueError(f"start must be float32 or float64 for a memory that holds whole numbers, got {dtype}")


def numbers_of(words: UInt32[Array, " n"], dtype: Any) -> Float[Array, " halves"]:
    """The words as numbers of `dtype`, twice as many, all below 2¹⁶: upper halves, and then lower halves.

    Raises ValueError as `check_holds_words` does.
    """
    check_holds_words(dtype)
    # by way of signed integers, whose conversion processors have
    halves = jnp.concatenate([words >> _HALF_BITS, words & jnp.uint32(0xFFFF)])
    return halves.astype(jnp.int32).astype(dtype)


def words_of(numbers: Float[Array, " halves"]) -> UInt32[Array, " n"]:
    """The words that `numbers_of` made these of; their derivative is 0."""
    high, low = jnp.split(jax.lax.stop_gradient(numbers).astype(jnp.int32).astype(jnp.uint32), 2)
    return (high << _HALF_BITS) | low
