"""Counter-based noise: a draw is a function of (seed, trajectory, step, component) and of nothing else.

Threefry is keyed per component by the seed, and counts (trajectory id, group of steps). One hash yields the noise of a
whole group of consecutive steps: two normals or words, or 64 signs. So no trajectory needs a state of its own, and
any trajectory can be at any step.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

from ..chains import NoiseKind
from ._normals import normals32, normals64, uniforms
from ._threefry import threefry2x32

Key = tuple[UInt32[Array, "..."], UInt32[Array, "..."]]
SeedKey = tuple[UInt32[Array, ""] | np.uint32, UInt32[Array, ""] | np.uint32]
"""The 64-bit key of a seed, in two words."""
Pair = tuple[Array, Array]
"""The noise of a group: its two normals, or the two words of its hash."""

# a stream is a purpose: two streams never share a hash
DYNAMICS, LOW_BITS, BRIDGE, DERIVED = 0, 1, 2, 3
_STREAM_BITS = 4

STEPS_PER_HASH: dict[NoiseKind, int] = {"gaussian": 2, "words": 2, "rademacher": 64}


def seed_key(seed: Any) -> SeedKey:
    """The 64-bit key of a seed: a Python integer below 2⁶⁴, or a traced 32-bit integer."""
    if isinstance(seed, bool):
        raise ValueError(f"seed must be a whole number from 0 to 2**64 - 1, got {seed!r}")
    if isinstance(seed, int | np.integer):
        if not 0 <= int(seed) < 2**64:
            raise ValueError(f"seed must be a whole number from 0 to 2**64 - 1, got {seed!r}")
        return np.uint32(int(seed) & 0xFFFFFFFF), np.uint32(int(seed) >> 32)
    if not hasattr(seed, "dtype") or seed.dtype.kind not in "iu" or seed.shape != ():
        raise ValueError(f"seed must be a whole number from 0 to 2**64 - 1, got {seed!r}")
    return seed.astype(jnp.uint32), jnp.uint32(0)


def stream_keys(key: SeedKey, components: int, stream: int = DYNAMICS) -> Key:
    """A key for every component of a stream, each of the two words of shape (components,)."""
    return _component_key(key, jnp.arange(components, dtype=jnp.uint32), stream)


def _component_key(key: SeedKey, component, stream: int) -> Key:
    return threefry2x32(
        (jnp.asarray(key[0]), jnp.asarray(key[1])), (component, jnp.uint32(stream << (32 - _STREAM_BITS)))
    )


def derived_key(key: SeedKey, number: int) -> SeedKey:
    """Key number `number` that one seed yields beside its own: its trajectories share no noise with those of `key`."""
    first, second = np.asarray(_derived(key, np.uint32(number)))
    return first, second


@jax.jit
def _derived(key, number):
    return jnp.stack(_component_key(key, number, DERIVED))


def group_words(key: SeedKey, ids: UInt32[Array, " n"], group, components: int, stream: int = DYNAMICS) -> Pair:
    """Two words, each of shape (components, n), for group number `group` (a scalar, or one per trajectory)."""
    k0, k1 = stream_keys(key, components, stream)
    return threefry2x32((k0[:, None], k1[:, None]), (ids[None, :], jnp.asarray(group, jnp.uint32)))


class Source(NamedTuple):
    """The noise of one chain under one seed; its keys are made once, before the first step.

    keys: one stream of component keys, or two where the normals take 53 bits.
    """

    kind: NoiseKind
    dtype: Any
    components: int
    keys: tuple[Key, ...]

    @classmethod
    def of(cls, kind: NoiseKind, key: SeedKey, components: int, dtype: Any) -> "Source":
        wide = kind == "gaussian" and dtype == jnp.float64
        streams = (DYNAMICS, LOW_BITS) if wide else (DYNAMICS,)
        return cls(kind, dtype, components, tuple(stream_keys(key, components, stream) for stream in streams))

    def inline(self, ids: UInt32[Array, " n"], group) -> list[Pair]:
        """The noise of a group, component by component, for the compiler to make where it is used."""
        return [self._draw(self._key(component), ids, group) for component in range(self.components)]

    def inline_block(self, ids: UInt32[Array, " n"], group) -> Pair:
        """The noise of a group, each of the pair of shape (components, n), made where it is used."""
        return self._draw([(k0[:, None], k1[:, None]) for k0, k1 in self.keys], ids[None, :], group)

    def stored(self, ids: UInt32[Array, " n"], group) -> Pair:
        """The same in memory, for noise that many fusions read: otherwise each of them would hash again."""

        packs = self.kind == "gaussian"

        def one(_, keys):
            first, second = self._draw(keys, ids, group)
            # one output: a processor computes a fusion once for each of its outputs
            return None, (jax.lax.complex(first, second) if packs else (first, second))

        rows: Any = jax.lax.scan(one, None, list(self.keys))[1]
        return (rows.real, rows.imag) if packs else rows

    def step(self, pair: Pair, offset) -> Array:
        """The noise of step number `offset` in the group; a Python integer costs no selection."""
        if self.kind == "rademacher":
            # the step's bit becomes the sign of 1.0
            sign = (_select(pair, offset // 32) << jnp.asarray(31 - offset % 32, jnp.uint32)) & jnp.uint32(0x80000000)
            return jax.lax.bitcast_convert_type(sign | jnp.uint32(0x3F800000), jnp.float32).astype(self.dtype)
        drawn = _select(pair, offset)
        return drawn if self.kind == "words" else drawn.astype(self.dtype)

    def _key(self, component: int) -> list[Key]:
        return [(k0[component], k1[component]) for k0, k1 in self.keys]

    def _draw(self, keys: list[Key], ids, group) -> Pair:
        counter = (ids, jnp.asarray(group, jnp.uint32))
        words = threefry2x32(keys[0], counter)
        if self.kind != "gaussian":
            return words
        return normals32(*words) if len(keys) == 1 else normals64(words, threefry2x32(keys[1], counter))


def bridge_uniforms(keys: Key, ids: UInt32[Array, " n"], pair_of_steps, which, dtype) -> list[Array]:
    """The uniforms of step number 2·pair_of_steps + which, one array (n,) for every key."""
    counter = (ids, jnp.asarray(pair_of_steps, jnp.uint32))
    pairs = [threefry2x32((k0, k1), counter) for k0, k1 in zip(*keys, strict=True)]
    return [uniforms(_select(pair, which), dtype) for pair in pairs]


def _select(pair: Pair, which) -> Array:
    return pair[which] if isinstance(which, int) else jnp.where(which == 0, pair[0], pair[1])
