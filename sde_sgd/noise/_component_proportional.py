"""Gradient noise that each component multiplies: it vanishes with the square of the component."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._errors import concrete, real_array
from ._base import AbstractNoise


class ComponentProportional(AbstractNoise):
    """V(θ) = scale·diag(θ²): no component leaves 0 any more once it is there, nor changes its sign.

    Such noise has a loss that a change of a component's sign leaves as it is: the gradients of all examples vanish
    together at 0. Chen, Kunin, Yamamura and Ganguli (2023, arXiv 2306.04251) show that 0 attracts SGD then, also where
    the loss has a maximum there, if the noise is strong enough (stochastic collapse).

    scale: ≥ 0, one number or (dim,) of them, in units of squared gradient per θ².
    Raises ValueError for another shape, or numbers that are negative or not finite.
    """

    scale: Float[Array, "..."] = eqx.field(default=1.0, converter=lambda value: real_array("scale", value))

    def __check_init__(self):
        array = concrete(self.scale)
        if self.scale.ndim > 1:
            raise ValueError(f"scale must be one number or of shape (dim,), got shape {self.scale.shape}")
        if array is not None and not (np.all(np.isfinite(array)) and np.all(array >= 0)):
            raise ValueError(f"scale must be finite and at least 0, got {array}")

    def check(self, landscape):
        if self.scale.shape not in ((), (landscape.dim,)):
            raise ValueError(f"scale must be one number or of shape ({landscape.dim},), got shape {self.scale.shape}")

    def apply(self, landscape, theta, xi):
        return jnp.sqrt(jnp.asarray(self.scale, theta.dtype)) * theta * xi

    def covariance(self, landscape, theta):
        return jnp.diag(self.diagonal(landscape, theta))

    def diagonal(self, landscape, theta):
        return jnp.asarray(self.scale, theta.dtype) * theta**2
