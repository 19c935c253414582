"""What a diffusion is: drift and noise amplitude of an Itô stochastic differential equation."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float


class AbstractDiffusion(eqx.Module):
    """dΘ = b(Θ, t) dt + B(Θ, t) dW in the sense of Itô, Θ in R^dim, W in R^noise_dim."""

    dim: eqx.AbstractVar[int]
    noise_dim: eqx.AbstractVar[int]

    @abc.abstractmethod
    def drift(self, theta: Float[Array, " dim"], time: Array | float) -> Float[Array, " dim"]:
        """b(θ, t), shape (dim,)."""

    @abc.abstractmethod
    def diffuse(
        self, theta: Float[Array, " dim"], time: Array | float, xi: Float[Array, " noise_dim"]
    ) -> Float[Array, " dim"]:
        """B(θ, t) ξ, shape (dim,), for one noise vector ξ of shape (noise_dim,)."""

    @abc.abstractmethod
    def covariance(self, theta: Float[Array, " dim"], time: Array | float) -> Float[Array, "dim dim"]:
        """a(θ, t) = B Bᵀ, shape (dim, dim): covariance of dΘ per unit of time."""

    @abc.abstractmethod
    def increment(
        self, theta: Float[Array, " dim"], time: Array | float, dt: Array | float, xi: Float[Array, " noise_dim"]
    ) -> Float[Array, " dim"]:
        """b dt + B ξ √dt, shape (dim,): one Euler–Maruyama increment."""

    @property
    def default_dt(self) -> Any:
        """SDE time of one SGD iteration where the diffusion knows it, else None."""
        return None
