"""Gradient noise with a constant diagonal covariance."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._errors import concrete, real_array
from ._base import AbstractNoise


class Diagonal(AbstractNoise):
    """V = diag(v), constant.

    variances: v, (dim,), each ≥ 0, in units of squared gradient.
    Raises ValueError for another shape, or variances that are negative or not finite.
    """

    variances: Float[Array, " dim"] = eqx.field(converter=lambda value: real_array("variances", value))

    def __check_init__(self):
        array = concrete(self.variances)
        if self.variances.ndim != 1:
            raise ValueError(f"variances must have shape (dim,), got shape {self.variances.shape}")
        if array is not None and not (np.all(np.isfinite(array)) and np.all(array >= 0)):
            raise ValueError(f"variances must be finite and at least 0, got {array}")

    @property
    def is_constant(self) -> bool:
        return True

    @property
    def mean_variance(self) -> Any:
        return jnp.mean(self.variances)

    def check(self, landscape):
        if self.variances.shape != (landscape.dim,):
            raise ValueError(
                f"variances must have shape ({landscape.dim},), the landscape's dim, got {self.variances.shape}"
            )

    def apply(self, landscape, theta, xi):
        return jnp.sqrt(self.variances.astype(theta.dtype)) * xi

    def covariance(self, landscape, theta):
        return jnp.diag(self.variances.astype(theta.dtype))
