"""The overdamped Langevin equation at a temperature."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import positive_number
from ..landscapes import AbstractLandscape, check_landscape
from ._base import AbstractDiffusion


class Langevin(AbstractDiffusion):
    """dX = −∇L(X) dt + √(2T) dW (Itô), whose stationary law is exp(−L/T) (Risken, The Fokker–Planck Equation, 1989).

    landscape: the loss L of θ (dim,). Where exp(−L/T) cannot be normalised there is no stationary law.
    temperature: T > 0, shape (), in units of the loss.
    It has no learning rate of its own, so a chain on it needs its dt.
    Raises ValueError for what is no landscape, or a temperature that is not a finite number above 0.
    """

    landscape: AbstractLandscape
    temperature: Float[Array, ""] | float

    def __check_init__(self):
        check_landscape(self.landscape)
        positive_number("temperature", self.temperature)

    @property
    def dim(self) -> int:
        return self.landscape.dim

    @property
    def noise_dim(self) -> int:
        return self.landscape.dim

    @property
    def changes_in_time(self) -> bool:
        return False

    @property
    def drift_is_gradient(self) -> bool:
        return True

    @property
    def gibbs_temperature(self) -> Any:
        return self.temperature

    @property
    def noise_scale(self) -> Any:
        return 2 * self.temperature

    def drift(self, theta, time):
        return -self.landscape.gradient(theta)

    def diffuse(self, theta, time, xi):
        return self._amplitude(theta.dtype) * xi

    def covariance(self, theta, time):
        return self._amplitude(theta.dtype) ** 2 * jnp.eye(self.dim, dtype=theta.dtype)

    def increment(self, theta, time, dt, xi):
        return self.drift(theta, time) * dt + self._amplitude(theta.dtype) * jnp.sqrt(dt) * xi

    def _amplitude(self, dtype):
        return jnp.sqrt(2 * jnp.asarray(self.temperature, dtype))
