"""Symmetric α-stable increments, by Chambers, Mallows and Stuck."""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import concrete
from ._increments import AbstractIncrements, Pair
from ._normals import half_sine, minus_two_log
from ._threefry import Word

# below it the tail would end where float32 does, and not where the words do
_SMALLEST = 0.5


@dataclasses.dataclass(frozen=True)
class Stable(AbstractIncrements):
    """Symmetric α-stable draws, E exp(isX) = exp(−|scale·s|^α): no variance below α = 2, and no mean at α ≤ 1.

    α = 2 is the normal law of variance 2·scale², α = 1 Cauchy's of half-width `scale`. A sum of n draws has the scale
    n^(1/α) fold. Chambers, Mallows and Stuck (1976, JASA 71, 340-344).

    alpha: α, one number from 0.5 to 2. scale: > 0. Both are fixed when a program is compiled.
    Draws are made in float32 whatever the states are, from 32 bits for the angle and 32 for an exponential variable.
    They are right to about 1e-6 of themselves or of `scale`; one in 10,000, whose exponential variable is below 1e-4,
    to the rounding of its word, which is a third of itself at worst.
    The tail ends where the angle is next to ±π/2: from α = 1 to below 2 near (2³³/π)^(1/α)·scale, 2.7e9 for Cauchy's
    law and 3.6e5 for α = 1.7, beyond which a draw would lie with a probability near 2⁻³²; the largest values are that
    times (2k + 1)^(−1/α), k = 0, 1, …. At α = 2 it ends at 6.77 standard deviations, as that of the normals does.
    Raises ValueError for numbers that are not as said.
    """

    alpha: Any
    scale: Any = 1.0
    standardised: ClassVar[bool] = False

    def __post_init__(self):
        alpha, scale = concrete(self.alpha), concrete(self.scale)
        if alpha is None or alpha.shape != () or alpha.dtype == bool or not _SMALLEST <= alpha <= 2:
            raise ValueError(f"alpha must be a number from {_SMALLEST} to 2, got {self.alpha!r}")
        if scale is None or scale.shape != () or scale.dtype == bool or not 0 < scale < math.inf:
            raise ValueError(f"scale must be a finite number above 0, got {self.scale!r}")
        object.__setattr__(self, "alpha", float(alpha))
        object.__setattr__(self, "scale", float(scale))

    def hashes(self, dtype: Any) -> int:
        """Two: a draw takes both words of one."""
        return 2

    def draw(self, *words: tuple[Word, Word]) -> Pair:
        """Two independent draws, of the words of one hash each."""
        first, second = (_stable(*pair, self.alpha) * jnp.float32(self.scale) for pair in words)
        return first, second


def _stable(w0: Word, w1: Word, alpha: float) -> Float[Array, "..."]:
    """sin(αU) cos(U)^(−1/α) (cos((1 − α)U)/W)^((1 − α)/α), U uniform in (−π/2, π/2), W exponential, in float32.

    With δ = π/2 − |U|, made of 31 bits of w1 and right to 2⁻²⁴ however small; its sign is the top bit.
    """
    gap = _plus_half(w1 & jnp.uint32(0x7FFFFFFF)) * jnp.float32(math.pi / 2**32)
    # sin(α|U|) = sin((2 − α)π/2 + αδ), an angle in [0, π]
    size = _sine((2 - alpha) * math.pi / 2, alpha, gap)
    edge = half_sine(gap, gap * gap)
    if alpha == 1:
        size = size / edge
    else:
        # the word next to 2³² would round to it, and its logarithm to 0
        waited = minus_two_log(jnp.minimum(_plus_half(w0), jnp.float32(2**32 - 2**8)))
        other = _sine((2 - alpha) * math.pi / 2, alpha - 1, gap)
        # one product in each sum: of two a compiler may contract either, and rounds as it chose
        ratio = _log(other * 2) - _log(waited)
        size = size * jnp.exp((jnp.float32(1 - alpha) * ratio - _log(edge)) * jnp.float32(1 / alpha))
    bits = jax.lax.bitcast_convert_type(size, jnp.uint32) ^ (w1 & jnp.uint32(0x80000000))
    return jax.lax.bitcast_convert_type(bits, jnp.float32)


def _plus_half(word: Word) -> Float[Array, "..."]:
    """word + 1/2 in float32, assembled from halves: an exact signed conversion each."""
    high = (word >> 16).astype(jnp.int32).astype(jnp.float32)
    low = (word & jnp.uint32(0xFFFF)).astype(jnp.int32).astype(jnp.float32)
    return high * 65536.0 + (low + 0.5)


def _sine(offset: float, slope: float, gap: Float[Array, "..."]) -> Float[Array, "..."]:
    """sin(offset + slope·gap) of an angle in [0, π]."""
    angle = jnp.float32(offset) + jnp.float32(slope) * gap
    folded = jnp.minimum(angle, jnp.float32(math.pi) - angle)
    return half_sine(folded, folded * folded)


def _log(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """ln x of a normal positive float32 up to 1 or little above."""
    return minus_two_log(x * jnp.float32(2**32)) * jnp.float32(-0.5)
