"""The diagonal of another model's noise."""

from typing import Any

import jax.numpy as jnp

from ._base import AbstractNoise
from ._shaped import AbstractShapedNoise


class DiagonalOf(AbstractShapedNoise):
    """V(θ) = diag C(θ) with the C of another model: its variances in each component of θ, without its correlations.

    "GLD diag" of Zhu et al. (2019, arXiv 1803.00195). Its trace is that of C.

    noise: the model of C. In high dimensions `PerExample` makes all N examples' gradients for a diagonal.
    Raises ValueError for what is no noise model.
    """

    noise: AbstractNoise

    @property
    def is_constant(self) -> bool:
        return self.noise.is_constant

    @property
    def isotropic_variance(self) -> Any:
        return self.noise.isotropic_variance

    def apply(self, landscape, theta, xi):
        return jnp.sqrt(self.noise.diagonal(landscape, theta)) * xi

    def covariance(self, landscape, theta):
        return jnp.diag(self.noise.diagonal(landscape, theta))

    def diagonal(self, landscape, theta):
        return self.noise.diagonal(landscape, theta)
