"""Seeds: whole numbers of 64 bits, used whole or refused, and the keys of other seeds that one yields."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

from .._errors import is_traced
from ._streams import HashStream, component_key

SeedKey = tuple[UInt32[Array, ""] | np.uint32, UInt32[Array, ""] | np.uint32]
"""The 64-bit key of a seed, in two words, the low one first."""


def seed_number(seed: Any) -> int:
    """A seed as the whole number that it is, for a result to record.

    seed: a Python, NumPy or JAX integer of shape () from 0 to 2⁶⁴ − 1, or a JAX key of two words, which counts as the
        number in it: `jax.random.key(7)` is the seed 7.
    Raises ValueError on anything else, also on what is traced by JAX.
    """
    if not is_traced(seed):
        if _is_key(seed):
            high, low = np.asarray(_key_words(seed)).tolist()
            return high << 32 | low
        number = _whole(seed)
        if number is not None and 0 <= number < 2**64:
            return number
    given = " ".join(repr(seed).split())
    raise ValueError(f"seed must be a whole number from 0 to 2**64 - 1, or a JAX key of two words, got {given}")


def seed_key(seed: Any) -> SeedKey:
    """The 64-bit key of a seed, see `seed_number`; of a traced integer or key too, whose sign is not known."""
    if is_traced(seed) and _is_key(seed):
        high, low = _key_words(seed)
        return low, high
    if is_traced(seed) and seed.dtype.kind in "iu" and seed.shape == ():
        high = (seed >> 32).astype(jnp.uint32) if seed.dtype.itemsize == 8 else jnp.uint32(0)
        return seed.astype(jnp.uint32), high
    number = seed_number(seed)
    return np.uint32(number & 0xFFFFFFFF), np.uint32(number >> 32)


def _whole(seed: Any) -> int | None:
    if isinstance(seed, int | np.integer):
        return None if isinstance(seed, bool) else int(seed)
    integer = isinstance(seed, np.ndarray | jax.Array) and seed.shape == () and jnp.issubdtype(seed.dtype, jnp.integer)
    return int(seed) if integer else None


def _is_key(seed: Any) -> bool:
    """Whether this is a JAX key of two words, of the new style or of the old one (`PRNGKey`)."""
    if not hasattr(seed, "dtype") or not hasattr(seed, "shape"):
        return False
    if jnp.issubdtype(seed.dtype, jax.dtypes.prng_key):
        return seed.shape == () and jax.random.key_data(seed).shape == (2,)
    return seed.dtype == np.uint32 and seed.shape == (2,)


def _key_words(seed: Any) -> Any:
    return jax.random.key_data(seed) if jnp.issubdtype(seed.dtype, jax.dtypes.prng_key) else seed


def derived_key(key: SeedKey, number: int) -> SeedKey:
    """The key of another seed, number `number` (a `Stream`): its trajectories share no random number with those of
    `key`, nor with those of another number. Source: a hash of `threefry2x32` in a stream of its own.
    """
    first, second = np.asarray(_derived(key, np.uint32(number)))
    return first, second


@jax.jit
def _derived(key, number):
    return jnp.stack(component_key(key, number, HashStream.DERIVED))
