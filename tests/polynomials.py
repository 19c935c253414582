"""Polynomial landscapes whose coefficients are leaves: all on the line, and all in the plane, are one program."""

import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

# of force with seven roots
_ON_THE_LINE = 9
_NODES = np.arange(-2.0, 3.0)


def on_the_line(potential):
    """A numpy Polynomial of degree 8 or less."""
    return ss.landscapes.Landscape(_line, 1, np.pad(potential.coef, (0, _ON_THE_LINE - potential.coef.size)))


def in_the_plane(function, wall=np.inf):
    """A function of (x, y) that is of degree 4 or less in each, as its values at 25 points have it.

    wall: where x is as large as this, the loss is not a number.
    """
    inverse = np.linalg.inv(np.vander(_NODES, increasing=True))
    values = function(np.meshgrid(_NODES, _NODES, indexing="ij"))
    coefficients = np.round(inverse @ values @ inverse.T, 12)
    return ss.landscapes.Landscape(_plane, 2, {"coefficients": coefficients, "wall": np.float64(wall)})


def _line(x, coefficients):
    return coefficients @ _powers(x[0], _ON_THE_LINE)


def _plane(x, given):
    number = len(_NODES)
    value = _powers(x[0], number) @ given["coefficients"] @ _powers(x[1], number)
    return value + jnp.where(x[0] < given["wall"], 0.0, jnp.nan)


def _powers(x, number):
    powers = [jnp.ones_like(x)]
    while len(powers) < number:
        powers.append(powers[-1] * x)
    return jnp.stack(powers)
