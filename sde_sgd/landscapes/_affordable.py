"""How many climbs an exploration may make within some seconds, and whether a landscape has Hessians at all."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ._base import AbstractLandscape
from ._critical_points import Float64Landscape

# at most so many climbs, and so many floating-point operations: some seconds; each takes about so many Hessians, and an
# eigendecomposition so many operations for each cube of the components
_CLIMBS, _OPERATIONS, _HESSIANS, _EIGEN = 512, 1e11, 100, 25
# and at least so many, without which it is no search
_FEWEST = 32


MOST_COMPONENTS = 300
"""Of a landscape in which climbs in random directions still tell something, and Hessians are held whole."""


def affordable_climbs(landscape: AbstractLandscape, start: Float[np.ndarray, " dim"]) -> int:
    """How many climbs take no more than some seconds; ValueError where those are too few, or there is no Hessian."""
    if landscape.dim > MOST_COMPONENTS:
        raise ValueError(f"there are {landscape.dim} components, more than the {MOST_COMPONENTS} that are hopeful")
    check_twice_differentiable(landscape)
    try:
        with jax.enable_x64(True):
            # in the program that an exploration needs as well
            operations = Float64Landscape(landscape).hessian_operations(np.asarray(start, np.float64))
    except TypeError as error:
        raise ValueError(f"landscape must be computable in float64, got one that is not: {error}") from error
    operations += _EIGEN * len(start) ** 3
    climbs = int(_OPERATIONS / (_HESSIANS * operations))
    if climbs < _FEWEST:
        raise ValueError(f"each Hessian takes {operations:.2g} operations, too many for an exploration")
    return min(climbs, _CLIMBS)


def check_twice_differentiable(landscape: AbstractLandscape) -> None:
    """ValueError for a landscape whose own code has no second derivatives: a rule for reverse mode alone, say."""
    try:
        jax.eval_shape(
            lambda theta: landscape.hessian(theta), jax.ShapeDtypeStruct((landscape.dim,), jnp.zeros(0).dtype)
        )
    except (TypeError, NotImplementedError) as error:
        raise ValueError(f"landscape must be twice differentiable, got one that is not: {error}") from error
