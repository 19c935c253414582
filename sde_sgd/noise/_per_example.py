"""Per-example gradient covariance: the noise that a data set really has at each point of parameter space."""

import jax
import jax.numpy as jnp

from ..landscapes import AbstractLandscape, EmpiricalRisk
from ._base import AbstractNoise


class PerExample(AbstractNoise):
    """V(θ) = (1/N) Σ_n (∇ℓ_n − ∇L)(∇ℓ_n − ∇L)ᵀ, the covariance of one example's gradient, drawn with replacement.

    σ(θ)ξ = N^(−1/2) Σ_n (ξ_n − ξ̄) ∇ℓ_n(θ) with N standard normals ξ: a weighted sum of the examples' gradients, so
    the gradient and its noise together cost one backward pass. In units of squared gradient.
    Raises ValueError unless the landscape is an EmpiricalRisk.
    """

    def check(self, landscape: AbstractLandscape) -> None:
        if not isinstance(landscape, EmpiricalRisk):
            raise ValueError(
                "PerExample noise needs a landscape that is an EmpiricalRisk, whose examples have losses of their "
                f"own, got {type(landscape).__name__}"
            )

    def noise_dim(self, landscape):
        """N, the number of examples."""
        return self._risk(landscape).examples

    def apply(self, landscape, theta, xi):
        risk = self._risk(landscape)
        return jax.grad(risk.weighted_loss)(theta, risk.noise_weights(xi))

    def covariance(self, landscape, theta):
        """V(θ), shape (dim, dim); holds all N gradients at once, N·dim numbers."""
        return self._risk(landscape).gradient_covariance(theta)

    def diagonal(self, landscape, theta):
        """The diagonal of V(θ), shape (dim,); holds all N gradients at once, but no (dim, dim) matrix."""
        return jnp.var(jax.jacrev(self._risk(landscape).per_example_losses)(theta), axis=0)

    def noisy_gradient(self, landscape, theta, amplitude, xi):
        risk = self._risk(landscape)
        weights = 1 / xi.shape[0] + jnp.asarray(amplitude, xi.dtype) * risk.noise_weights(xi)
        return jax.grad(risk.weighted_loss)(theta, weights)

    def _risk(self, landscape) -> EmpiricalRisk:
        self.check(landscape)
        return landscape
