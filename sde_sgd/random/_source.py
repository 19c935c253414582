"""Counter-based noise: a draw is a function of (seed, trajectory, step, component) and of nothing else.

Threefry is keyed per component by the seed, and counts (trajectory id, group of steps). One hash yields the noise of a
whole group of consecutive steps: two normals or words, or 64 signs. So no trajectory needs a state of its own, and
any trajectory can be at any step.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt32

from ._increments import AbstractIncrements, Pair, increments_of, select
from ._normals import uniforms
from ._seeds import SeedKey
from ._streams import HashStream, Key, stream_keys
from ._threefry import threefry2x32


class Source(NamedTuple):
    """The noise of one chain under one seed; its keys are made once, before the first step.

    increments: their kind. dtype: of the states. components: draws that a step takes.
    keys: component keys, of one stream for every hash that a draw takes.
    """

    increments: AbstractIncrements
    dtype: Any
    components: int
    keys: tuple[Key, ...]

    @classmethod
    def of(cls, kind: str | AbstractIncrements, key: SeedKey, components: int, dtype: Any) -> "Source":
        """kind: of the increments. key: of the seed. components: draws that a step takes. dtype: of the states."""
        increments = increments_of(kind)
        streams = (HashStream.DYNAMICS, HashStream.LOW_BITS)[: increments.hashes(dtype)]
        return cls(increments, dtype, components, tuple(stream_keys(key, components, stream) for stream in streams))

    @property
    def period(self) -> int:
        """Steps that one hash serves."""
        return self.increments.steps_per_hash

    def inline(self, ids: UInt32[Array, "..."], group) -> list[Pair]:
        """The noise of a group for trajectories `ids`, by component, for the compiler to make where it is used."""
        return [self._draw(self._key(component), ids, group) for component in range(self.components)]

    def inline_block(self, ids: UInt32[Array, " n"], group) -> Pair:
        """The noise of a group for trajectories `ids`, (components, n) each of the pair, made where it is used."""
        return self._draw([(k0[:, None], k1[:, None]) for k0, k1 in self.keys], ids[None, :], group)

    def stored(self, ids: UInt32[Array, " n"], group, packing: bool = True) -> Pair:
        """The same in memory, for noise that many fusions read: otherwise each of them would hash again.

        ids, group: as in `inline`. packing: whether two floating arrays travel as one complex array.
        """
        packs = packing and self.increments.packs

        def one(_, keys):
            first, second = self._draw(keys, ids, group)
            # one output: a processor computes a fusion once for each of its outputs
            return None, (jax.lax.complex(first, second) if packs else (first, second))

        rows: Any = jax.lax.scan(one, None, list(self.keys))[1]
        return (rows.real, rows.imag) if packs else rows

    def step(self, pair: Pair, offset) -> Array:
        """The noise of step number `offset` in the group whose noise is `pair`; a Python integer costs no selection."""
        return self.increments.of_step(pair, offset, self.dtype)

    def _key(self, component: int) -> list[Key]:
        return [(k0[component], k1[component]) for k0, k1 in self.keys]

    def _draw(self, keys: list[Key], ids, group) -> Pair:
        counter = (ids, jnp.asarray(group, jnp.uint32))
        return self.increments.draw(*(threefry2x32(key, counter) for key in keys))


def bridge_uniforms(keys: Key, ids: UInt32[Array, "..."], pair_of_steps, which, dtype) -> list[Array]:
    """The uniforms of step number 2·pair_of_steps + which, one array (n,) of `dtype` for every key.

    ids: of the trajectories. keys: those of `stream_keys` for `HashStream.BRIDGE`, a component for each uniform.
    """
    counter = (ids, jnp.asarray(pair_of_steps, jnp.uint32))
    pairs = [threefry2x32((k0, k1), counter) for k0, k1 in zip(*keys, strict=True)]
    return [uniforms(select(pair, which), dtype) for pair in pairs]
