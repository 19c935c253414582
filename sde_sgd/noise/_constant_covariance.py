"""Gradient noise with a constant covariance."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import real_array
from ._base import AbstractNoise
from ._matrices import positive_semidefinite, square_root


class ConstantCovariance(AbstractNoise):
    """V = C, constant.

    matrix: C, (dim, dim), symmetric and positive semi-definite, in units of squared gradient; it may be singular.
    Raises ValueError for another shape, or a matrix that is not symmetric, finite and positive semi-definite.
    """

    matrix: Float[Array, "dim dim"] = eqx.field(converter=lambda value: real_array("matrix", value))

    def __check_init__(self):
        positive_semidefinite("matrix", self.matrix)

    @property
    def is_constant(self) -> bool:
        return True

    @property
    def mean_variance(self) -> Any:
        return jnp.trace(self.matrix) / self.matrix.shape[0]

    def check(self, landscape):
        if self.matrix.shape != (landscape.dim, landscape.dim):
            raise ValueError(
                f"matrix must have shape ({landscape.dim}, {landscape.dim}), the landscape's dim, "
                f"got {self.matrix.shape}"
            )

    def apply(self, landscape, theta, xi):
        return square_root(self.matrix.astype(theta.dtype)) @ xi

    def covariance(self, landscape, theta):
        return self.matrix.astype(theta.dtype)
