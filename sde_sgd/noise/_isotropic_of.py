"""Isotropic noise with the trace of another model."""

from typing import Any

import jax.numpy as jnp

from ._base import AbstractNoise
from ._shaped import AbstractShapedNoise


class IsotropicOf(AbstractShapedNoise):
    """V(θ) = (Tr C(θ)/dim)·I with the C of another model: as loud at every θ, and the same in every direction.

    "GLD dynamic" of Zhu et al. (2019, arXiv 1803.00195), with which SGD's own noise is compared. Where C is constant
    it has a temperature.

    noise: the model of C. In high dimensions `PerExample` makes all N examples' gradients for a trace.
    Raises ValueError for what is no noise model.
    """

    noise: AbstractNoise

    @property
    def is_constant(self) -> bool:
        return self.noise.is_constant

    @property
    def isotropic_variance(self) -> Any:
        return self.noise.mean_variance

    def apply(self, landscape, theta, xi):
        return jnp.sqrt(self._variance(landscape, theta)) * xi

    def covariance(self, landscape, theta):
        return self._variance(landscape, theta) * jnp.eye(landscape.dim, dtype=theta.dtype)

    def _variance(self, landscape, theta):
        return self._trace(landscape, theta) / landscape.dim
