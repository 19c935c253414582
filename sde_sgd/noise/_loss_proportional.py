"""Gradient noise proportional to the loss."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import positive_number, real_array
from ._base import AbstractNoise
from ._matrices import positive_semidefinite, square_root


class LossProportional(AbstractNoise):
    """V(θ) = scale·L(θ)·S with S the identity or the constant matrix `shape` (the Hessian at a minimum, say).

    Mori, Ziyin, Liu and Ueda (2022, arXiv 2105.09557) derive it for the squared loss: V = 2 L(θ) H near a
    minimum. L must be at least 0 wherever a trajectory goes; below 0 σ is NaN and the trajectory counts as diverged.

    scale: factor > 0, shape (); scale·S is in units of squared gradient per loss.
    shape: S, (dim, dim), symmetric and positive semi-definite, or None for the identity.
    Raises ValueError for a scale that is not a finite number above 0, or a matrix that is not as said.
    """

    scale: Float[Array, ""] | float = 1.0
    shape: Float[Array, "dim dim"] | None = eqx.field(
        default=None, converter=lambda value: None if value is None else real_array("shape", value)
    )

    def __check_init__(self):
        positive_number("scale", self.scale)
        if self.shape is not None:
            positive_semidefinite("shape", self.shape)

    def check(self, landscape):
        if self.shape is not None and self.shape.shape != (landscape.dim, landscape.dim):
            raise ValueError(
                f"shape must be None or a matrix of shape ({landscape.dim}, {landscape.dim}), got {self.shape.shape}"
            )

    def apply(self, landscape, theta, xi):
        amplitude = jnp.sqrt(jnp.asarray(self.scale, theta.dtype) * landscape.loss(theta))
        return amplitude * (xi if self.shape is None else square_root(self.shape.astype(theta.dtype)) @ xi)

    def covariance(self, landscape, theta):
        shape = jnp.eye(landscape.dim) if self.shape is None else self.shape
        return jnp.asarray(self.scale, theta.dtype) * landscape.loss(theta) * shape.astype(theta.dtype)
