"""Isotropic gradient noise."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import positive_number
from ._base import AbstractNoise


class Isotropic(AbstractNoise):
    """V = βI. With it SGD has a temperature: T = γβ/(2M).

    beta: variance of each gradient component of one example, > 0, shape (), in units of squared gradient.
    Raises ValueError for a beta that is not a finite number above 0.
    """

    beta: Float[Array, ""] | float

    def __check_init__(self):
        positive_number("beta", self.beta)

    @property
    def is_constant(self) -> bool:
        return True

    @property
    def isotropic_variance(self) -> Any:
        return self.beta

    def apply(self, landscape, theta, xi):
        return jnp.sqrt(jnp.asarray(self.beta, theta.dtype)) * xi

    def covariance(self, landscape, theta):
        return jnp.asarray(self.beta, theta.dtype) * jnp.eye(landscape.dim, dtype=theta.dtype)
