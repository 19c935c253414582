"""Underdamped (second-order, kinetic) Langevin equations: a position with a velocity, a mass and friction."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import positive_number
from ..landscapes import AbstractLandscape, check_landscape


class AbstractUnderdamped(eqx.Module):
    """dΘ = U dt, m dU = −(ζU + ∇L(Θ)) dt + B(Θ) dW, in the sense of Itô, which here is that of Stratonovich too.

    Θ and the velocity U are in R^dim, W in R^noise_dim; no coefficient depends on time. It is no `AbstractDiffusion`
    of Θ, which alone is not Markov: closed forms but Kramers' time and grid solvers refuse it. For m → 0 it tends
    to dΘ = −∇L/ζ dt + B/ζ dW, in the sense of Itô, as ζ is a constant (Hottovy, McDaniel, Volpe and Wehr 2015).

    On a quadratic loss, whatever B: E[mU²] = E[Θ·∇L] = Tr(BBᵀ)/(2ζ) in the stationary law, so that the mean loss above
    the minimum is Tr(BBᵀ)/(4ζ). Exact: the balance of energy and of Θ·U.
    """

    landscape: eqx.AbstractVar[AbstractLandscape]
    """The loss L."""
    mass: eqx.AbstractVar[Any]
    """m, shape (), in units of loss per squared velocity."""
    friction: eqx.AbstractVar[Any]
    """ζ, shape (), in units of mass per SDE time."""

    @property
    def dim(self) -> int:
        """Components of Θ, and of U."""
        return self.landscape.dim

    @property
    @abc.abstractmethod
    def noise_dim(self) -> int:
        """Components of W."""

    @property
    def default_dt(self) -> Any:
        """SDE time of one SGD iteration where the equation knows it, else None."""
        return None

    @property
    @abc.abstractmethod
    def gibbs_temperature(self) -> Any:
        """T where the stationary law is known to be exp(−(L + m|U|²/2)/T), in the loss's units, shape (); else None."""

    @abc.abstractmethod
    def noisy_gradient(
        self, theta: Float[Array, " dim"], amplitude: Array | float, xi: Float[Array, " noise_dim"]
    ) -> Float[Array, " dim"]:
        """∇L(θ) + amplitude·B(θ)ξ, shape (dim,); amplitude: a number, in units of √(1/SDE time)."""

    @abc.abstractmethod
    def covariance(self, theta: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
        """B(θ)B(θ)ᵀ, shape (dim, dim): covariance of m dU per unit of SDE time."""


class UnderdampedLangevin(AbstractUnderdamped):
    """dΘ = U dt, dU = −(ζU + ∇L(Θ)) dt + √(2ζT) dW: Langevin dynamics at a temperature, of mass 1.

    Its stationary law is exp(−(L + |U|²/2)/T), whatever the friction: that of Θ is the overdamped one's. For large ζ
    it is `Langevin` in a time that runs ζ times slower. The rate at which it leaves a well is largest at a friction in
    between (Kramers 1940).

    landscape: the loss L of θ (dim,). Where exp(−L/T) cannot be normalised there is no stationary law.
    temperature: T > 0, shape (), in units of the loss. friction: ζ > 0, shape (), per SDE time.
    It has no learning rate of its own, so a chain on it needs its dt.
    Raises ValueError for what is no landscape, or numbers that are not finite and above 0.
    """

    landscape: AbstractLandscape
    temperature: Float[Array, ""] | float
    friction: Float[Array, ""] | float

    def __check_init__(self):
        check_landscape(self.landscape)
        positive_number("temperature", self.temperature)
        positive_number("friction", self.friction)

    @property
    def mass(self) -> Any:
        return 1.0

    @property
    def noise_dim(self) -> int:
        return self.landscape.dim

    @property
    def gibbs_temperature(self) -> Any:
        return self.temperature

    def noisy_gradient(self, theta, amplitude, xi):
        return self.landscape.gradient(theta) + amplitude * jnp.sqrt(self._noise(theta.dtype)) * xi

    def covariance(self, theta):
        return self._noise(theta.dtype) * jnp.eye(self.dim, dtype=theta.dtype)

    def _noise(self, dtype):
        """2ζT."""
        return 2 * jnp.asarray(self.friction, dtype) * jnp.asarray(self.temperature, dtype)
