"""Gradient noise with a person's own amplitude."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import shape_of
from ._base import AbstractNoise


class FromFunction(AbstractNoise):
    """V = σσᵀ with a person's own σ(θ).

    sigma: a JAX function of θ (dim,) that returns a factor σ of shape (dim, m), or a vector (dim,) that stands for a
        diagonal σ, in units of the gradient.
    Raises ValueError where it cannot be called so, or returns another shape.
    """

    sigma: Callable[[Float[Array, " dim"]], Array]

    def noise_dim(self, landscape):
        shape = self._shape(landscape)
        return shape[-1]

    def check(self, landscape):
        shape = self._shape(landscape)
        if len(shape) not in (1, 2) or shape[0] != landscape.dim:
            raise ValueError(
                f"sigma must return shape ({landscape.dim},) or ({landscape.dim}, m) for dim = {landscape.dim}, "
                f"got {shape}"
            )

    def apply(self, landscape, theta, xi):
        sigma = self.sigma(theta)
        return sigma * xi if sigma.ndim == 1 else sigma @ xi

    def covariance(self, landscape, theta):
        sigma = self.sigma(theta)
        return jnp.diag(sigma**2) if sigma.ndim == 1 else sigma @ sigma.T

    def _shape(self, landscape):
        return shape_of("sigma", self.sigma, jax.ShapeDtypeStruct((landscape.dim,), jnp.zeros(0).dtype))
