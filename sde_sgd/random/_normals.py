"""Two standard normals from two (float32) or four (float64) uniform words, by Box and Muller."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._threefry import Word

# minimax fits, highest power first; the errors are those of the polynomials in exact arithmetic
# (−2 ln(1+f) + 2f − f²)/f³ on √½ − 1 ≤ f ≤ √2 − 1: error of the logarithm 1.3e-7
_LOG = (0.2044883, -0.3228247, 0.34333732, -0.39820458, 0.49961152, -0.66669382)
# (sin a − a)/a³ and (cos a − 1 + a²/2)/a⁴ in powers of a² on |a| ≤ π/2: errors 4.7e-9 and 9.5e-8
_SIN = (2.60006259e-6, -1.98066189e-4, 8.33301734e-3, -1.66666571e-1)
_COS = (2.33793892e-5, -1.38652316e-3, 4.16654401e-2)


def normals32(w0: Word, w1: Word) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Two independent float32 normals; the radius uses all 32 bits of w0, so they reach 6.76 standard deviations.

    Against float64, over all 2³² words w0 and all 2³² words w1 (`benchmarks/validation`), a normal is off by at
    most 3.1e-6 (root mean square 1.0e-7); only where the radius is below 0.01, one pair in 20,000, does the rounding of
    w0 to 24 bits near 1 cost up to 2.5e-4. The radius from 1 up is right to 1.7 units in the last place (relative
    2.0e-7), cosine and sine to 3.3e-7; variance and kurtosis to 1.1e-7 and 5e-7.
    Source: Box and Muller 1958; the polynomials are minimax fits of this library.
    """
    # w0 + 1/2, assembled from halves: an exact signed conversion each, which processors have
    high = (w0 >> 16).astype(jnp.int32).astype(jnp.float32)
    low = (w0 & jnp.uint32(0xFFFF)).astype(jnp.int32).astype(jnp.float32)
    radius = jnp.sqrt(minus_two_log(high * 65536.0 + (low + 0.5)))
    # the top bit chooses the half of the circle, the rest an angle in [−π/2, π/2)
    bits = jax.lax.bitcast_convert_type(radius, jnp.uint32) ^ (w1 & jnp.uint32(0x80000000))
    radius = jax.lax.bitcast_convert_type(bits, jnp.float32)
    angle = jax.lax.bitcast_convert_type(w1 << 1, jnp.int32).astype(jnp.float32) * jnp.float32(jnp.pi / 2**32)
    square = angle * angle
    cosine = 1.0 + square * (square * horner(_COS, square) - 0.5)
    return radius * cosine, radius * half_sine(angle, square)


def normals64(words: tuple[Word, Word], more: tuple[Word, Word]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Two independent float64 normals from 53-bit uniforms; they reach 8.57 standard deviations.

    words: the upper bits of both uniforms. more: their lower bits. Source: Box and Muller 1958.
    """
    uniform = _uniform53(words[0], more[0]) + 2.0**-54
    radius = jnp.sqrt(-2.0 * jnp.log(uniform))
    angle = (2 * jnp.pi) * _uniform53(words[1], more[1])
    return radius * jnp.cos(angle), radius * jnp.sin(angle)


def half_sine(angle: Float[Array, "..."], square: Float[Array, "..."]) -> Float[Array, "..."]:
    """sin a in float32 of an `angle` |a| ≤ π/2; `square`: a², of the same shape.

    Source: this library; a minimax polynomial, in error by 4.7e-9 of a³ before rounding.
    """
    return angle + angle * square * horner(_SIN, square)


def uniforms(word: Word, dtype) -> Float[Array, "..."]:
    """A word as a number of that dtype, by definition the middle of one of 2²³ equal parts of (0, 1) (float64: 2³²)."""
    if dtype == jnp.float64:
        return (word.astype(jnp.float64) + 0.5) * 2.0**-32
    return ((word >> 9).astype(jnp.int32).astype(jnp.float32) + 0.5) * jnp.float32(2.0**-23)


def _uniform53(high: Word, low: Word) -> Float[Array, "..."]:
    return high.astype(jnp.float64) * 2.0**-32 + (low >> 11).astype(jnp.float64) * 2.0**-53


def minus_two_log(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """−2 ln(x/2³²) of a normal positive float32."""
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    # the mantissa lands in [√½, √2); 2³² goes with the exponent
    shifted = bits - jnp.int32(0x3F3504F3 + (32 << 23))
    exponent = (shifted >> 23).astype(jnp.float32)
    fraction = jax.lax.bitcast_convert_type((shifted & 0x7FFFFF) + jnp.int32(0x3F3504F3), jnp.float32) - 1.0
    square = fraction * fraction
    # sums of one product each: where there are two, a compiler may contract either, and rounds as it chose
    mantissa = square * (fraction * horner(_LOG, fraction) + 1.0) - (fraction + fraction)
    return exponent * jnp.float32(-2 * 0.6931471805599453) + mantissa


def horner(coefficients, x):
    """The polynomial with these coefficients, that of the highest power first, at x of any shape (Horner 1819)."""
    total = jnp.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total
