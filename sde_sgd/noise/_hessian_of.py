"""Noise of the Hessian's shape with the trace of another model."""

import jax.numpy as jnp

from ._base import AbstractNoise
from ._matrices import root_at_each_step
from ._shaped import AbstractShapedNoise


class HessianOf(AbstractShapedNoise):
    """V(θ) = Tr C(θ)·H₊/Tr H₊, with the C of another model and the positive part H₊ of the Hessian ∇²L(θ).

    "GLD Hessian" of Zhu et al. (2019, arXiv 1803.00195): noise of the curvature's own shape, as loud as C. There is no
    noise along directions of negative curvature. Where no curvature is positive there is no such shape: σ is NaN, and
    a trajectory that gets there is counted as diverged.

    noise: the model of C. Each step takes a root of a dense Hessian: by formula up to two dimensions, beyond them by
        eigenvectors, dim³ operations.
    Raises ValueError for what is no noise model.
    """

    noise: AbstractNoise

    def apply(self, landscape, theta, xi):
        root = root_at_each_step(landscape.hessian(theta))
        # of a symmetric root of H₊ the squares sum to its trace
        return jnp.sqrt(self._trace(landscape, theta) / jnp.sum(root**2)) * (root @ xi)

    def covariance(self, landscape, theta):
        root = root_at_each_step(landscape.hessian(theta))
        return self._trace(landscape, theta) / jnp.sum(root**2) * (root @ root.T)
