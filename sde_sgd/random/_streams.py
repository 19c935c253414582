"""The registry of random streams: every purpose that draws random numbers has its number here, and nowhere else.

A hash is Threefry keyed by (seed, component, hash stream) at the counter (trajectory id, group of steps). One seed
serves a whole computation: what runs beside the main trajectories has a seed of its own, derived from it by a number.
"""

import enum

import jax.numpy as jnp
from jaxtyping import Array, UInt32

from ._threefry import threefry2x32

Key = tuple[UInt32[Array, "..."], UInt32[Array, "..."]]
"""Two words that key a hash, for one component or for several."""


class HashStream(enum.IntEnum):
    """What a hash under one seed is for; two of them never share a hash. Four bits number them."""

    DYNAMICS = 0
    """The noise that drives the chain."""
    LOW_BITS = 1
    """Further bits of that noise, where a draw takes more than one hash (float64 normals)."""
    BRIDGE = 2
    """The uniforms that a monitor asks for."""
    DERIVED = 3
    """The keys of `derived_key`."""


class Stream(enum.IntEnum):
    """What a seed derived from another is for, see `derived_key`; two of them never share a random number.

    The numbers never change, because bits depend on them. 4 is free.
    """

    PILOT = 0
    """Trajectories that tell whether a passage is rare, or how far they come."""
    LEVELS = 1
    """The choice of splitting's levels."""
    REPETITIONS = 2
    """Splitting's repetitions."""
    EQUILIBRATION = 3
    """How long the law takes to settle."""
    EXCURSIONS = 5
    """Where excursions begin."""
    LINGERERS = 6
    """Whether some trajectories rarely end."""
    OTHER_SET = 7
    """The rate at which the set to avoid is reached, beside that of the target."""
    EARLY = 8
    """Which set is reached before the law has settled."""
    SURROUNDINGS = 9
    """How warm the motion is."""
    SECOND_SCORE = 10
    """What another score finds."""
    BASINS = 11
    """The rates between slow basins: a key of its own for each of them."""
    FIRST_BASIN = 12
    """Which slow basin the start leads to."""
    FAR_OUT = 13
    """Whether passages from far out take very long."""


_STREAM_BITS = 4


def stream_keys(key, components: int, stream: int = HashStream.DYNAMICS) -> Key:
    """A key for every component of a stream, each of the two words of shape (components,)."""
    return component_key(key, jnp.arange(components, dtype=jnp.uint32), stream)


def component_key(key, component, stream: int) -> Key:
    """The key of one component of a stream."""
    return threefry2x32(
        (jnp.asarray(key[0]), jnp.asarray(key[1])), (component, jnp.uint32(stream << (32 - _STREAM_BITS)))
    )


def group_words(
    key, ids: UInt32[Array, " n"], group, components: int, stream: int = HashStream.DYNAMICS
) -> tuple[Array, Array]:
    """Two words, each of shape (components, n), for group number `group` (a scalar, or one per trajectory).

    key: of the seed. ids: of the trajectories. stream: what the words are for.
    """
    k0, k1 = stream_keys(key, components, stream)
    return threefry2x32((k0[:, None], k1[:, None]), (ids[None, :], jnp.asarray(group, jnp.uint32)))
