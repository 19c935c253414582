"""Two standard normals from two (float32) or four (float64) uniform words, by Box and Muller."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._threefry import Words

# ln(1+f) − f + f²/2 over f³ on √½ − 1 ≤ f ≤ √2 − 1, highest power first (Cephes `logf`, Moshier 1984)
_LOG = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
# sin and cos on |a| ≤ π/4 in powers of a² (Cephes `sinf`, `cosf`)
_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)


def normals32(w0: Words, w1: Words) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Two independent float32 normals; the radius uses all 32 bits of w0, so they reach 6.76 standard deviations."""
    # (w0 + 1/2)/2³², assembled from halves: an exact signed conversion each, which processors have
    high = (w0 >> 16).astype(jnp.int32).astype(jnp.float32)
    low = (w0 & jnp.uint32(0xFFFF)).astype(jnp.int32).astype(jnp.float32)
    uniform = (high * 65536.0 + (low + 0.5)) * jnp.float32(2.0**-32)
    radius = jnp.sqrt(-2.0 * _log(uniform))
    # the top two bits choose the quadrant, the rest an angle in [−π/4, π/4)
    angle = jax.lax.bitcast_convert_type(w1 << 2, jnp.int32).astype(jnp.float32) * jnp.float32(jnp.pi / 2**33)
    square = angle * angle
    sine = angle + angle * square * _horner(_SIN, square)
    cosine = 1.0 - 0.5 * square + square * square * _horner(_COS, square)
    odd = (w1 >> 30) & 1 == 1
    sign_cosine = _sign((w1 >> 31) ^ ((w1 >> 30) & 1))
    sign_sine = _sign(w1 >> 31)
    return (
        radius * _flip(jnp.where(odd, sine, cosine), sign_cosine),
        radius * _flip(jnp.where(odd, cosine, sine), sign_sine),
    )


def normals64(words: tuple[Words, Words], more: tuple[Words, Words]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Two independent float64 normals from 53-bit uniforms; they reach 8.57 standard deviations."""
    uniform = _uniform53(words[0], more[0]) + 2.0**-54
    radius = jnp.sqrt(-2.0 * jnp.log(uniform))
    angle = (2 * jnp.pi) * _uniform53(words[1], more[1])
    return radius * jnp.cos(angle), radius * jnp.sin(angle)


def uniforms(word: Words, dtype) -> Float[Array, "..."]:
    """Uniform in (0, 1) with 24 bits (32 in float64): never 0, never 1."""
    if dtype == jnp.float64:
        return (word.astype(jnp.float64) + 0.5) * 2.0**-32
    return ((word >> 9).astype(jnp.int32).astype(jnp.float32) + 0.5) * jnp.float32(2.0**-23)


def _uniform53(high: Words, low: Words) -> Float[Array, "..."]:
    return high.astype(jnp.float64) * 2.0**-32 + (low >> 11).astype(jnp.float64) * 2.0**-53


def _log(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Natural logarithm of a normal positive float32."""
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    # offset by √½ so that the mantissa lands in [√½, √2)
    shifted = bits - jnp.int32(0x3F3504F3)
    exponent = (shifted >> 23).astype(jnp.float32)
    fraction = jax.lax.bitcast_convert_type((shifted & 0x7FFFFF) + jnp.int32(0x3F3504F3), jnp.float32) - 1.0
    square = fraction * fraction
    tail = fraction * square * _horner(_LOG, fraction) - 0.5 * square
    return exponent * jnp.float32(0.6931471805599453) + (fraction + tail)


def _horner(coefficients, x):
    total = jnp.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def _sign(bit: Words) -> Words:
    return bit << 31


def _flip(x, sign: Words):
    return jax.lax.bitcast_convert_type(jax.lax.bitcast_convert_type(x, jnp.uint32) ^ sign, jnp.float32)
