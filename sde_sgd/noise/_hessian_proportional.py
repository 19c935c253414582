"""Gradient noise proportional to the loss's Hessian."""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import positive_number
from ._base import AbstractNoise
from ._matrices import root_at_each_step


class HessianProportional(AbstractNoise):
    """V(θ) = scale·∇²L(θ), the covariance that a well-specified likelihood has near its minimum.

    There the Fisher information is both. Far from a minimum, or where the model is wrong, it is an assumption. Each
    step takes a symmetric root of the Hessian: by formula up to two dimensions, beyond them by eigenvectors, dim³
    operations.

    scale: factor > 0, shape (), in units of the loss.
    negative: what to do with a negative curvature direction, where ∇²L is no covariance. "stop" makes σ NaN, so
        a trajectory that gets there is counted as diverged; "clip" puts no noise along it.
    Raises ValueError for a scale that is not a finite number above 0, or another word.
    """

    scale: Float[Array, ""] | float = 1.0
    negative: Literal["stop", "clip"] = eqx.field(static=True, default="stop")

    def __check_init__(self):
        positive_number("scale", self.scale)
        if self.negative not in ("stop", "clip"):
            raise ValueError(f"negative must be 'stop' or 'clip', got {self.negative!r}")

    def apply(self, landscape, theta, xi):
        return root_at_each_step(self._hessian(landscape, theta), self.negative) @ xi

    def covariance(self, landscape, theta):
        root = root_at_each_step(self._hessian(landscape, theta), self.negative)
        return root @ root.T

    def _hessian(self, landscape, theta):
        return jnp.asarray(self.scale, theta.dtype) * landscape.hessian(theta)
