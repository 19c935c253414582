"""Sine and cosine that vectorise: a compiler's own are exact for huge arguments and several times slower for it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...random import horner
from ._derivatives import elementwise_primitive

# π/2 in three parts, the first two short, so that their multiples are exact up to 8,192 (Cody and Waite; Cephes)
_PARTS = (1.5703125, 4.837512969970703125e-4, 7.54978995489188216e-8)
# minimax on |r| ≤ π/4, highest power first: errors 1.8e-9 and 7.3e-11
_SIN = (-1.94956592e-4, 8.33197962e-3, -1.66666508e-1)
_COS = (2.44343892e-5, -1.38873285e-3, 4.16666459e-2)


def sin32(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """sin x in float32: absolute error below 1.2e-7 for |x| ≤ 8,192.

    Beyond, it is the sine of an argument that is wrong in its last bit, which float32 arguments are anyway.
    """
    return _SINE.bind(x)


def cos32(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """cos x in float32, as accurate as `sin32`."""
    return _COSINE.bind(x)


def _quarter_turned(x, quarters: int):
    turns = jnp.round(x * jnp.float32(2 / jnp.pi))
    rest = x
    for part in _PARTS:
        rest = rest - turns * jnp.float32(part)
    # where float32 no longer resolves a turn, still a number between −1 and 1
    rest = jnp.clip(rest, -1.0, 1.0)
    square = rest * rest
    sine = rest + rest * square * horner(_SIN, square)
    cosine = 1.0 + square * (square * horner(_COS, square) - 0.5)
    quadrant = turns.astype(jnp.int32) + quarters
    value = jnp.where(quadrant & 1 == 1, cosine, sine)
    sign = jax.lax.bitcast_convert_type(quadrant & 2, jnp.uint32) << 30
    return jax.lax.bitcast_convert_type(jax.lax.bitcast_convert_type(value, jnp.uint32) ^ sign, jnp.float32)


_SINE = elementwise_primitive("sin32", lambda x: _quarter_turned(x, 0), lambda tangent, x: tangent * cos32(x))
_COSINE = elementwise_primitive("cos32", lambda x: _quarter_turned(x, 1), lambda tangent, x: -tangent * sin32(x))
