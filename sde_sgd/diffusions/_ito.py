"""A diffusion given by its coefficients."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._errors import positive_integer, shape_of
from ._base import AbstractDiffusion


class ItoDiffusion(AbstractDiffusion):
    """dX = b(X, t) dt + B(X, t) dW with a person's own coefficients.

    drift_fn: maps (dim,) and t to (dim,).
    diffusion_fn: maps (dim,) and t to (dim, m), or to (dim,) for a diagonal B.
    dim: number of components.
    Raises ValueError if a coefficient returns another shape.
    """

    drift_fn: Callable[..., Array]
    diffusion_fn: Callable[..., Array]
    dim: int = eqx.field(static=True)

    def __check_init__(self):
        positive_integer("dim", self.dim)
        drift, factor = self._shape("drift_fn"), self._shape("diffusion_fn")
        if drift != (self.dim,):
            raise ValueError(f"drift_fn must return shape ({self.dim},) for dim = {self.dim}, got {drift}")
        if len(factor) not in (1, 2) or factor[0] != self.dim:
            raise ValueError(f"diffusion_fn must return shape ({self.dim},) or ({self.dim}, m), got {factor}")

    @property
    def noise_dim(self) -> int:
        return self._shape("diffusion_fn")[-1]

    def drift(self, theta, time):
        return self.drift_fn(theta, time)

    def diffuse(self, theta, time, xi):
        factor = self.diffusion_fn(theta, time)
        return factor * xi if factor.ndim == 1 else factor @ xi

    def covariance(self, theta, time):
        factor = self.diffusion_fn(theta, time)
        return jnp.diag(factor**2) if factor.ndim == 1 else factor @ factor.T

    def increment(self, theta, time, dt, xi):
        return self.drift(theta, time) * dt + self.diffuse(theta, time, xi) * jnp.sqrt(dt)

    def _shape(self, name):
        real = jnp.zeros(0).dtype
        return shape_of(
            name, getattr(self, name), jax.ShapeDtypeStruct((self.dim,), real), jax.ShapeDtypeStruct((), real)
        )
