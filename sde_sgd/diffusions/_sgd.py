"""Diffusion limit of SGD (stochastic modified equation), with learning-rate and batch-size schedules."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import concrete, is_traced, positive_number
from .._numerics import as_real
from ..landscapes import AbstractLandscape, check_landscape
from ..noise import AbstractNoise, check_noise
from ._base import AbstractDiffusion, Time
from ._clock import AbstractClock, RunningTime, WholeIterations, whole_iterations
from ._langevin import Langevin

Schedule = Callable[[Any], Any]


class LangevinSGD(AbstractDiffusion):
    """dΘ = −u ∇L(Θ) dt + u √(γ/M) σ(Θ) dW (Itô), the diffusion limit of SGD.

    One iteration of SGD lasts a time γ, so t = γ·(iterations). With a constant learning rate u = 1. With a schedule
    γ_k, γ is the reference γ_0 (`time_unit`) and u = γ_k/γ_0 at k = t/γ_0 (Li, Tai and E 2017, arXiv 1511.06251): an
    Euler–Maruyama step of dt = γ_0 is then one SGD iteration with learning rate γ_k and Gaussian noise.

    landscape: the loss L of θ (dim,).
    noise: the covariance of one example's gradient; must fit the landscape.
    learning_rate: γ > 0, shape (), in SDE time per iteration; or an optax schedule of the iteration count with a
        positive value at 0. Schedules are asked for whole iterations, so a chain's dt must be γ_0 times a ratio of two
        small whole numbers.
    batch_size: M > 0, shape () (any real number: only γ/M enters), or a schedule.
    order: 1, or 2 for the modified drift −∇(L + (γ/4)‖∇L‖²) (Li, Tai and E 2017, arXiv 1511.06251), with the γ of the
        moment where there is a schedule, which must vary slowly. Order 2 improves finite-time means; it does not
        improve the stationary variance.

    Its methods take a time as a number, or as `Iterations`. Of a number t they take the iterations that are complete
    at t, where a t meant as a multiple of γ_0 counts as one.
    Raises ValueError for a rate, a batch size or an order that is not as said, or noise that does not fit.
    """

    landscape: AbstractLandscape
    noise: AbstractNoise
    learning_rate: Float[Array, ""] | float | Schedule = eqx.field(converter=as_real)
    batch_size: Float[Array, ""] | float | Schedule = eqx.field(converter=as_real)
    order: Literal[1, 2] = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_landscape(self.landscape)
        check_noise(self.noise, self.landscape)
        for name in ("learning_rate", "batch_size"):
            value = getattr(self, name)
            if callable(value):
                positive_number(f"{name} at iteration 0", value(0))
            else:
                if concrete(value) is None and not is_traced(value):
                    raise ValueError(f"{name} must be a number above 0 or a schedule, got {value!r}")
                positive_number(name, value)
        if self.order not in (1, 2):
            raise ValueError(f"order must be 1 or 2, got {self.order!r}")

    @staticmethod
    def at_temperature(landscape: AbstractLandscape, temperature: Float[Array, ""] | float) -> Langevin:
        """dX = −∇L dt + √(2T) dW with the loss L of `landscape`, at the `temperature` T > 0, shape (), in units of L.

        It has no learning rate of its own, so a chain on it needs its dt. Raises ValueError as `Langevin` does.
        """
        return Langevin(landscape, temperature)

    @property
    def dim(self) -> int:
        return self.landscape.dim

    @property
    def noise_dim(self) -> int:
        return self.noise.noise_dim(self.landscape)

    @property
    def time_unit(self) -> Any:
        """SDE time of one iteration, shape (): the learning rate, or its schedule's value at 0."""
        return self.learning_rate(0) if callable(self.learning_rate) else self.learning_rate

    @property
    def default_dt(self) -> Any:
        return self.time_unit

    @property
    def temperature(self) -> Any:
        """T = γβ/(2M), the temperature of the Gibbs law exp(−L/T) that this diffusion has.

        Raises ValueError where there is none: noise that is not isotropic, schedules, order 2.
        """
        if self.noise.isotropic_variance is None:
            raise ValueError(
                f"temperature is defined for Isotropic noise only, got {type(self.noise).__name__}: its stationary law "
                "is not a Gibbs law in general"
            )
        if self.changes_in_time:
            raise ValueError("temperature is defined for a constant learning_rate and batch_size, got a schedule")
        if self.order == 2:
            raise ValueError("temperature is defined for order 1, got order 2: its drift is not −∇L")
        return self.gibbs_temperature

    @property
    def gibbs_temperature(self) -> Any:
        variance, rate, batch = self.noise.isotropic_variance, self.learning_rate, self.batch_size
        if variance is None or callable(rate) or callable(batch) or self.order == 2:
            return None
        return rate * variance / (2 * batch)

    @property
    def noise_scale(self) -> Any:
        batch = self.batch_size(0) if callable(self.batch_size) else self.batch_size
        return self.time_unit / batch

    @property
    def changes_in_time(self) -> bool:
        return bool(self._schedules)

    @property
    def what_changes(self) -> str:
        return " and ".join(f"a schedule for {name}" for name in self._schedules)

    @property
    def drift_is_gradient(self) -> bool:
        return self.order == 1 and not callable(self.learning_rate)

    @property
    def _schedules(self) -> list[str]:
        return [name for name in ("learning_rate", "batch_size") if callable(getattr(self, name))]

    @property
    def base_time(self) -> Any:
        return self.time_unit if self.changes_in_time else None

    def clock(self, dt: Any) -> AbstractClock:
        return WholeIterations.of(dt, self.time_unit) if self.changes_in_time else RunningTime()

    def drift(self, theta, time):
        rate, gradient = self._rate(time, theta.dtype), self.landscape.gradient(theta)
        return -rate * (gradient if self.order == 1 else gradient + rate * self._correction(theta, gradient))

    def diffuse(self, theta, time, xi):
        return self._amplitude(time, theta.dtype) * self.noise.apply(self.landscape, theta, xi)

    def covariance(self, theta, time):
        return self._amplitude(time, theta.dtype) ** 2 * self.noise.covariance(self.landscape, theta)

    def increment(self, theta, time, dt, xi):
        rate = self._rate(time, theta.dtype)
        # the noise beside the gradient does not know the rate, which a schedule may take to 0
        loudness = self._deviation(time, theta.dtype) / jnp.sqrt(dt)
        # minus the noisy gradient: one joint evaluation where the noise model has one (per-example noise)
        step = -rate * dt * self.noise.noisy_gradient(self.landscape, theta, -loudness, xi)
        if self.order == 2:
            step = step - rate**2 * dt * self._correction(theta, self.landscape.gradient(theta))
        return step

    def _rate(self, time: Time, dtype) -> Array:
        """u."""
        if not callable(self.learning_rate):
            return jnp.ones((), dtype)
        rate = self.learning_rate(whole_iterations(time, self.time_unit))
        return jnp.asarray(rate / self.time_unit, dtype)

    def _amplitude(self, time: Time, dtype) -> Array:
        return self._rate(time, dtype) * self._deviation(time, dtype)

    def _deviation(self, time: Time, dtype) -> Array:
        """√(γ/M)."""
        batch = self.batch_size
        if callable(batch):
            batch = batch(whole_iterations(time, self.time_unit))
        return jnp.sqrt(jnp.asarray(self.time_unit / batch, dtype))

    def _correction(self, theta, gradient):
        """∇(γ/4)‖∇L‖² = (γ/2) ∇²L ∇L."""
        product = jax.jvp(self.landscape.gradient, (theta,), (gradient,))[1]
        return jnp.asarray(self.time_unit, theta.dtype) / 2 * product
