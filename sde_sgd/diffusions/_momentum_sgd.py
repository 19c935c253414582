"""Diffusion limit of SGD with momentum: the underdamped (second-order) stochastic modified equation."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import momentum_number, positive_number
from .._numerics import as_real
from ..landscapes import AbstractLandscape, check_landscape
from ..noise import AbstractNoise, check_noise
from ._underdamped import AbstractUnderdamped


class LangevinMomentumSGD(AbstractUnderdamped):
    """dΘ = U dt, γ dU = −((1 − μ)U + ∇L(Θ)) dt + √(γ/M) σ(Θ) dW, the diffusion limit of SGD with momentum.

    Of v' = μv − γ(∇L + noise), θ' = θ + v', with U = v/γ: one iteration lasts a time γ, so t = γ·(iterations) as in
    `LangevinSGD`, of which it is the limit of small γ at μ = 0: mass γ, friction 1 − μ. The equation of Li, Tai and E
    (2017, arXiv 1511.06251; 2019, JMLR 20(40)) is this one in the time t/√γ = √γ·(iterations), with p = √γ·U. In the
    weak sense it is an approximation of first order in √γ, where (1 − μ)/√γ stays of order 1.

    With isotropic noise V = βI it has a temperature, T = γβ/(2M(1 − μ)), and the stationary law
    exp(−(L + γ|U|²/2)/T): 1/(1 − μ) times as warm as SGD at the same γ. With other noise the law is no Gibbs law; on a
    quadratic loss the mean loss above the minimum is γ Tr(V)/(4M(1 − μ)), exact for constant V. Where
    γλ is small beside (1 − μ)² for every curvature λ it is `LangevinSGD` with the learning rate γ/(1 − μ), in the time
    t/(1 − μ).

    landscape: the loss L of θ (dim,).
    noise: the covariance of one example's gradient; must fit the landscape.
    learning_rate: γ > 0, shape (), in SDE time per iteration; no schedule.
    batch_size: M > 0, shape () (any real number: only γ/M enters); no schedule.
    momentum: μ, shape (), at least 0 and below 1.
    Raises ValueError for numbers that are not as said, or noise that does not fit.
    """

    landscape: AbstractLandscape
    noise: AbstractNoise
    learning_rate: Float[Array, ""] | float = eqx.field(converter=as_real)
    batch_size: Float[Array, ""] | float = eqx.field(converter=as_real)
    momentum: Float[Array, ""] | float = eqx.field(converter=as_real)

    def __check_init__(self):
        check_landscape(self.landscape)
        check_noise(self.noise, self.landscape)
        for name in ("learning_rate", "batch_size"):
            value = getattr(self, name)
            if callable(value):
                raise ValueError(f"{name} must be a number above 0, got a schedule, which LangevinSGD takes")
            positive_number(name, value)
        momentum_number(self.momentum)

    @property
    def noise_dim(self) -> int:
        return self.noise.noise_dim(self.landscape)

    @property
    def mass(self) -> Any:
        """γ."""
        return self.learning_rate

    @property
    def friction(self) -> Any:
        """1 − μ."""
        return 1 - self.momentum

    @property
    def default_dt(self) -> Any:
        return self.learning_rate

    @property
    def temperature(self) -> Any:
        """T = γβ/(2M(1 − μ)), shape (), in units of the loss. Raises ValueError where the noise is not isotropic."""
        if self.noise.isotropic_variance is None:
            raise ValueError(
                f"temperature is defined for Isotropic noise only, got {type(self.noise).__name__}: its stationary law "
                "is not a Gibbs law in general"
            )
        return self.gibbs_temperature

    @property
    def gibbs_temperature(self) -> Any:
        variance = self.noise.isotropic_variance
        return None if variance is None else self.learning_rate * variance / (2 * self.batch_size * self.friction)

    def noisy_gradient(self, theta, amplitude, xi):
        # one joint evaluation where the noise model has one (per-example noise)
        loudness = amplitude * jnp.sqrt(self._noise_scale(theta.dtype))
        return self.noise.noisy_gradient(self.landscape, theta, loudness, xi)

    def covariance(self, theta):
        return self._noise_scale(theta.dtype) * self.noise.covariance(self.landscape, theta)

    def _noise_scale(self, dtype):
        """γ/M."""
        return jnp.asarray(self.learning_rate, dtype) / jnp.asarray(self.batch_size, dtype)
