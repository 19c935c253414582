"""What a diffusion is: drift, noise amplitude and properties of an Itô stochastic differential equation."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._dependence import depends_on
from ..landscapes import AbstractLandscape
from ._clock import AbstractClock, Iterations, RunningTime

Time = Array | np.ndarray | float | int | Iterations
"""SDE time, a number; diffusions with schedules are asked for whole `Iterations` by their chain."""


class AbstractDiffusion(eqx.Module):
    """dΘ = b(Θ, t) dt + B(Θ, t) dW in the sense of Itô, Θ in R^dim, W in R^noise_dim.

    It says what it is, so that whoever needs a gradient, a temperature or coefficients that stay the same asks for
    that and not for a class: `landscape`, `changes_in_time`, `drift_is_gradient`, `gibbs_temperature`.
    """

    dim: eqx.AbstractVar[int]
    """Components of Θ."""
    noise_dim: eqx.AbstractVar[int]
    """Components of W."""
    landscape: eqx.AbstractVar[AbstractLandscape | None]
    """The loss L that the drift comes from, or None where there is none."""

    @abc.abstractmethod
    def drift(self, theta: Float[Array, " dim"], time: Time) -> Float[Array, " dim"]:
        """b(θ, t), shape (dim,), in units of θ per SDE time; t is `time`."""

    @abc.abstractmethod
    def diffuse(self, theta: Float[Array, " dim"], time: Time, xi: Float[Array, " noise_dim"]) -> Float[Array, " dim"]:
        """B(θ, t) ξ, shape (dim,), for one noise vector ξ of shape (noise_dim,), in units of θ per √(SDE time).

        time: t, in SDE time.
        """

    @abc.abstractmethod
    def covariance(self, theta: Float[Array, " dim"], time: Time) -> Float[Array, "dim dim"]:
        """a(θ, t) = B Bᵀ, shape (dim, dim): covariance of dΘ per unit of SDE time; t is `time`."""

    @abc.abstractmethod
    def increment(
        self, theta: Float[Array, " dim"], time: Time, dt: Array | float, xi: Float[Array, " noise_dim"]
    ) -> Float[Array, " dim"]:
        """b(θ, t) dt + B(θ, t) ξ √dt, shape (dim,): one Euler–Maruyama increment.

        time: t, in SDE time as is dt > 0. xi: ξ, shape (noise_dim,).
        """

    @property
    def default_dt(self) -> Any:
        """SDE time of one SGD iteration where the diffusion knows it, else None."""
        return None

    @property
    def changes_in_time(self) -> bool:
        """Whether a coefficient depends on t: read off the traced program, by its data flow and not by trying times.

        False is certain; True may be too careful, as where a coefficient calls the host.
        """
        real = jnp.zeros(0).dtype
        vector, number = jax.ShapeDtypeStruct((self.dim,), real), jax.ShapeDtypeStruct((), real)
        xi = jax.ShapeDtypeStruct((self.noise_dim,), real)

        def coefficients(theta, xi, time):
            return self.drift(theta, time), self.covariance(theta, time), self.increment(theta, time, 1.0, xi)

        return depends_on(coefficients, vector, xi, number, on=2)

    @property
    def what_changes(self) -> str:
        """In words: what of it changes in time, where something does."""
        return "a drift or an amplitude that depends on t"

    @property
    def drift_is_gradient(self) -> bool:
        """Whether b = −c∇L with the L of `landscape` and a number c > 0 that does not change in time."""
        return False

    @property
    def gibbs_temperature(self) -> Any:
        """T where the stationary law is known to be exp(−L/T), in units of the loss, shape (); else None."""
        return None

    @property
    def noise_scale(self) -> Any:
        """ε of a = εσσᵀ, shape (): how loud the noise is, told apart from its shape σσᵀ; 1 where that is not done.

        It tends to 0 at low noise: γ/M for SGD, 2T at a temperature. Of a schedule, its value at iteration 0.
        """
        return 1.0

    @property
    def base_time(self) -> Any:
        """SDE time that a chain's dt must stand in a simple ratio to, shape (), or None where any dt will do."""
        return None

    def clock(self, dt: Any) -> AbstractClock:
        """How steps of `dt`, in SDE time (None: one SGD iteration), get the times that these coefficients want.

        Raises ValueError where the diffusion cannot be asked at such steps.
        """
        return RunningTime()


def refuse_if_changing(subject: Any, what: str, instead: str = "give a horizon") -> None:
    """Raise ValueError where a chain or diffusion changes in time: for questions that have no answer then.

    subject: has `changes_in_time` and `what_changes`. what: the plural that begins the sentence, such as "mean times".
    instead: what to do, which ends it.
    """
    if subject.changes_in_time:
        raise ValueError(
            f"{what} need coefficients that do not change in time, got {type(subject).__name__} with "
            f"{subject.what_changes}; {instead}"
        )
