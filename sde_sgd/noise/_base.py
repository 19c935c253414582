"""What a gradient-noise model is: σ(θ)ξ and V(θ) = σσᵀ, the covariance of one example's gradient.

A minibatch of M examples (with replacement) has gradient covariance V/M. Every model is written against a
landscape, which the diffusion passes in; a model that does not need it ignores it.
"""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..landscapes import AbstractLandscape


class AbstractNoise(eqx.Module):
    """Noise of one example's gradient at θ: mean 0, covariance V(θ) = σ(θ)σ(θ)ᵀ, in units of squared gradient.

    Its methods are given the `landscape` that a diffusion stands on, and θ of shape (dim,).
    """

    @property
    def is_constant(self) -> bool:
        """Whether V is the same at every θ, whatever the landscape; False where that is not known."""
        return False

    @property
    def isotropic_variance(self) -> Any:
        """β where V = βI at every θ, shape (), in units of squared gradient; else None, also where it is not known."""
        return None

    @property
    def mean_variance(self) -> Any:
        """Tr V/dim where that is the same at every θ, shape (), in units of squared gradient; else None, as above."""
        return self.isotropic_variance

    def noise_dim(self, landscape: AbstractLandscape) -> int:
        """Number of independent standard normals that σ acts on; `landscape.dim` unless a model says otherwise."""
        return landscape.dim

    @abc.abstractmethod
    def apply(
        self, landscape: AbstractLandscape, theta: Float[Array, " dim"], xi: Float[Array, " noise_dim"]
    ) -> Float[Array, " dim"]:
        """σ(θ)ξ on this `landscape`, shape (dim,), in units of the gradient; ξ has shape (noise_dim,)."""

    @abc.abstractmethod
    def covariance(self, landscape: AbstractLandscape, theta: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
        """V(θ) = σσᵀ on this `landscape`, shape (dim, dim), in units of squared gradient."""

    def diagonal(self, landscape: AbstractLandscape, theta: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """The diagonal of V(θ) on this `landscape`, shape (dim,), in units of squared gradient; its sum is the trace.

        A model that need not make the whole matrix for it writes it in its place.
        """
        return jnp.diagonal(self.covariance(landscape, theta))

    def noisy_gradient(
        self,
        landscape: AbstractLandscape,
        theta: Float[Array, " dim"],
        amplitude: Array | float,
        xi: Float[Array, " noise_dim"],
    ) -> Float[Array, " dim"]:
        """∇L(θ) + amplitude·σ(θ)ξ with the loss L of `landscape`, shape (dim,); amplitude: a number.

        A model that has a cheaper joint form writes it in its place.
        """
        return landscape.gradient(theta) + amplitude * self.apply(landscape, theta, xi)

    def check(self, landscape: AbstractLandscape) -> None:
        """Raise ValueError where this model cannot act on this landscape."""


def check_noise(noise: Any, landscape: AbstractLandscape | None = None) -> None:
    """Raise ValueError for what is no `noise` model, or one that is not valid on the `landscape`, if known."""
    if not isinstance(noise, AbstractNoise):
        raise ValueError(f"noise must be a model of sde_sgd.noise, such as Isotropic(1.0), got {noise!r}")
    if landscape is not None:
        noise.check(landscape)
