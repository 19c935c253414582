"""Kinds of increments: what the words of a hash become, and which part of it a step takes.

A new kind is one final class here or in a person's own file: `chains.EulerMaruyama(diffusion, increments=Mine())`.
"""

import abc
import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._normals import normals32, normals64
from ._threefry import Word

Pair = tuple[Array, Array]
"""What one hash serves: two arrays, of the words themselves or of what is made of them."""


@dataclasses.dataclass(frozen=True)
class AbstractIncrements(abc.ABC):
    """How random words become the draws that drive a step. Instances are compared by value and hold no arrays.

    A draw stands for one component of one trajectory in one step. The draws of different components, steps and
    trajectories are independent; for a discretised diffusion they need mean 0 and variance 1.
    """

    steps_per_hash: ClassVar[int] = 2
    """Steps that one hash serves, a power of two from 2 to 64."""
    packs: ClassVar[bool] = False
    """Whether the pair is two floating arrays that may travel as one complex array."""
    standardised: ClassVar[bool] = True
    """Whether a draw has mean 0 and variance 1, as a discretised diffusion needs it."""

    def hashes(self, dtype: Any) -> int:
        """How many hashes of two words a pair is made of, 1 or 2, for states of that dtype."""
        return 1

    def dtype(self, dtype: Any) -> Any:
        """The dtype of a draw, for states of that dtype."""
        return dtype

    @abc.abstractmethod
    def draw(self, *words: tuple[Word, Word]) -> Pair:
        """The pair that a hash serves: elementwise in its two words, which are given once for each of the `hashes`."""

    def of_step(self, pair: Pair, offset: Any, dtype: Any) -> Array:
        """The draw of step number `offset` in the group, in that dtype; a Python integer should cost no selection.

        pair: what `draw` made for the group.
        """
        return select(pair, offset).astype(dtype)


@dataclasses.dataclass(frozen=True)
class Gaussian(AbstractIncrements):
    """Standard normals (Box and Muller 1958): they reach 6.76 standard deviations in float32, 8.57 in float64."""

    packs: ClassVar[bool] = True

    def hashes(self, dtype: Any) -> int:
        """Two in float64: its uniforms take 53 bits."""
        return 2 if dtype == jnp.float64 else 1

    def draw(self, *words: tuple[Word, Word]) -> Pair:
        """Two independent normals."""
        return normals32(*words[0]) if len(words) == 1 else normals64(*words)


@dataclasses.dataclass(frozen=True)
class Rademacher(AbstractIncrements):
    """Signs ±1, a bit of the hash each: enough for weak order 1 (Kloeden and Platen 1992, section 14.1)."""

    steps_per_hash: ClassVar[int] = 64

    def draw(self, *words: tuple[Word, Word]) -> Pair:
        """The words: a step takes a bit."""
        return words[0]

    def of_step(self, pair: Pair, offset: Any, dtype: Any) -> Array:
        """The step's bit becomes the sign of 1.0."""
        sign = (select(pair, offset // 32) << jnp.asarray(31 - offset % 32, jnp.uint32)) & jnp.uint32(0x80000000)
        return jax.lax.bitcast_convert_type(sign | jnp.uint32(0x3F800000), jnp.float32).astype(dtype)


@dataclasses.dataclass(frozen=True)
class Words(AbstractIncrements):
    """Uniform 32-bit words of the hash itself (Salmon and others 2011), for a chain that draws indices."""

    def dtype(self, dtype: Any) -> Any:
        """Unsigned, whatever the states are."""
        return jnp.uint32

    def draw(self, *words: tuple[Word, Word]) -> Pair:
        """The words."""
        return words[0]

    def of_step(self, pair: Pair, offset: Any, dtype: Any) -> Array:
        """The step's word."""
        return select(pair, offset)


INCREMENTS: dict[str, AbstractIncrements] = {"gaussian": Gaussian(), "rademacher": Rademacher(), "words": Words()}
"""The short names of ready-made kinds."""


def increments_of(kind: Any) -> AbstractIncrements:
    """The kind of increments that is meant: itself, or the one of that short name; ValueError where there is none."""
    if isinstance(kind, AbstractIncrements):
        return kind
    if kind not in INCREMENTS:
        raise ValueError(f"noise_kind must be {', '.join(map(repr, INCREMENTS))} or a kind of increments, got {kind!r}")
    return INCREMENTS[kind]


def short_name(kind: Any) -> Any:
    """The short name of a ready-made kind; anything else as it is."""
    return next((name for name, each in INCREMENTS.items() if each == kind), kind)


def select(pair: Pair, which: Any) -> Array:
    """One of the two arrays; a Python integer costs no selection."""
    return pair[which] if isinstance(which, int) else _chosen(pair, which)


def _chosen(pair: Pair, which: Any) -> Array:
    if pair[0].dtype != jnp.float64:
        return jnp.where(which == 0, pair[0], pair[1])
    # a compiler makes a branch of a choice between two calls of a library, here sine and cosine, and contracts no
    # product before a branch with a sum behind it: the step that takes this noise would round otherwise
    first, second = (jax.lax.bitcast_convert_type(each, jnp.uint64) for each in pair)
    mask = jnp.uint64(0) - jnp.asarray(which).astype(jnp.uint64)
    return jax.lax.bitcast_convert_type(first ^ ((first ^ second) & mask), jnp.float64)
