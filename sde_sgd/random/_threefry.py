"""Threefry-2x32 with 20 rounds, the counter-based generator of Salmon, Moraes, Dror and Shaw (SC 2011).

Written as plain adds, rotates and xors so that XLA fuses it with the arithmetic that consumes the words.
"""

import jax.numpy as jnp
from jaxtyping import Array, UInt32

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA

Word = UInt32[Array, "..."]
"""32 random bits, or an array of such words."""


def threefry2x32(key: tuple[Word, Word], counter: tuple[Word, Word]) -> tuple[Word, Word]:
    """Two uniform 32-bit words for a 64-bit key and a 64-bit counter; the four inputs broadcast.

    Source: Salmon, Moraes, Dror and Shaw, SC 2011; Threefry-2x32 with 20 rounds.
    """
    k0, k1 = key
    schedule = (k0, k1, k0 ^ k1 ^ jnp.uint32(_PARITY))
    x0, x1 = counter[0] + k0, counter[1] + k1
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = ((x1 << rotation) | (x1 >> (32 - rotation))) ^ x0
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + (schedule[(group + 2) % 3] + jnp.uint32(group + 1))
    return x0, x1
