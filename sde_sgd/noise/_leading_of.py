"""Noise along one leading direction with the trace of another model."""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp

from ._base import AbstractNoise
from ._shaped import AbstractShapedNoise


class LeadingOf(AbstractShapedNoise):
    """V(θ) = Tr C(θ)·eeᵀ, with the C of another model: all of its noise along one unit vector e(θ).

    Zhu et al. (2019, arXiv 1803.00195) take such noise of rank 1, "GLD leading" and "GLD 1st eigven(H)", at the trace
    of the others. V is valid where the largest eigenvalue is a simple one: where two meet e jumps from one eigenvector
    to the other, as between two equal ones it is any vector that the eigensolver gives.

    noise: the model of C. Each step takes the eigenvectors of a dense matrix, dim³ operations.
    direction: whose eigenvector of the largest eigenvalue e is, "covariance" of C(θ) or "hessian" of ∇²L(θ).
    Raises ValueError for what is no noise model, or another word.
    """

    noise: AbstractNoise
    direction: Literal["covariance", "hessian"] = eqx.field(static=True, default="covariance")

    def __check_init__(self):
        if self.direction not in ("covariance", "hessian"):
            raise ValueError(f"direction must be 'covariance' or 'hessian', got {self.direction!r}")

    @property
    def is_constant(self) -> bool:
        return self.direction == "covariance" and self.noise.is_constant

    def noise_dim(self, landscape):
        """One: there is noise along e alone."""
        return 1

    def apply(self, landscape, theta, xi):
        return self._amplitude(landscape, theta) * xi[0]

    def covariance(self, landscape, theta):
        amplitude = self._amplitude(landscape, theta)
        return jnp.outer(amplitude, amplitude)

    def diagonal(self, landscape, theta):
        return self._amplitude(landscape, theta) ** 2

    def _amplitude(self, landscape, theta):
        """√(Tr C)·e, shape (dim,)."""
        if self.direction == "covariance":
            matrix = self.noise.covariance(landscape, theta)
            trace = jnp.trace(matrix)
        else:
            matrix, trace = landscape.hessian(theta), self._trace(landscape, theta)
        return jnp.sqrt(trace) * jnp.linalg.eigh(matrix)[1][:, -1]
