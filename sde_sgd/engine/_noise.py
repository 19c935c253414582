"""Counter-based noise: a draw is a function of (seed, trajectory, step, component) and of nothing else.

Threefry is keyed per component by the seed, and counts (trajectory id, group of steps). One hash yields the noise of a
whole group of consecutive steps: two normals or words, or 64 signs. So no trajectory needs a state of its own, and
any trajectory can be at any step.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

from ..chains import NoiseKind
from ._normals import normals32, normals64
from ._threefry import threefry2x32

Key = tuple[UInt32[Array, ""], UInt32[Array, ""]]
Noise = tuple[Array, ...]

# a stream is a purpose: two streams never share a hash
DYNAMICS, LOW_BITS, BRIDGE = 0, 1, 2
_STREAM_BITS = 4

STEPS_PER_HASH: dict[NoiseKind, int] = {"gaussian": 2, "words": 2, "rademacher": 64}


def seed_key(seed: Any) -> Key:
    """The 64-bit key of a seed: a Python integer below 2⁶⁴, or a traced 32-bit integer."""
    if isinstance(seed, bool):
        raise ValueError(f"seed must be a whole number from 0 to 2**64 - 1, got {seed!r}")
    if isinstance(seed, int | np.integer):
        if not 0 <= int(seed) < 2**64:
            raise ValueError(f"seed must be a whole number from 0 to 2**64 - 1, got {seed!r}")
        return jnp.uint32(int(seed) & 0xFFFFFFFF), jnp.uint32(int(seed) >> 32)
    if not hasattr(seed, "dtype") or seed.dtype.kind not in "iu" or seed.shape != ():
        raise ValueError(f"seed must be a whole number from 0 to 2**64 - 1, got {seed!r}")
    return seed.astype(jnp.uint32), jnp.uint32(0)


def group_words(key: Key, ids: UInt32[Array, " n"], group, components: int, stream: int = DYNAMICS):
    """Two words, each of shape (components, n), for group number `group` (a scalar, or one per trajectory)."""
    component = jnp.arange(components, dtype=jnp.uint32)[:, None]
    component_key = threefry2x32(key, (component, jnp.uint32(stream << (32 - _STREAM_BITS))))
    return threefry2x32(component_key, (ids[None, :], jnp.asarray(group, jnp.uint32)))


def group_noise(kind: NoiseKind, key: Key, ids: UInt32[Array, " n"], group, components: int, dtype) -> Noise:
    """The noise of all steps of a group; read one step of it with `noise_of_step`."""
    words = group_words(key, ids, group, components)
    if kind != "gaussian":
        return words
    if dtype == jnp.float64:
        return normals64(words, group_words(key, ids, group, components, LOW_BITS))
    return tuple(draw.astype(dtype) for draw in normals32(*words))


def noise_of_step(kind: NoiseKind, noise: Noise, offset, dtype) -> Array:
    """The noise (components, n) of step number `offset` in its group; a Python integer costs no selection."""
    if kind == "rademacher":
        word = _select(noise, offset // 32)
        bit = (word >> jnp.asarray(offset % 32, jnp.uint32)) & 1
        return (2 * bit.astype(jnp.int32) - 1).astype(dtype)
    return _select(noise, offset)


def _select(pair: Noise, which) -> Array:
    return pair[which] if isinstance(which, int) else jnp.where(which == 0, pair[0], pair[1])
