"""Euler–Maruyama discretisation of an Itô diffusion."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import positive
from ..diffusions import AbstractClock, AbstractDiffusion
from ..landscapes import AbstractLandscape
from ..random import AbstractIncrements, short_name
from ._base import AbstractChain, NoiseKind


class EulerMaruyama(AbstractChain):
    """x' = x + b(x, t) dt + B(x, t) ξ √dt, with the t at which step k begins made from the integer k.

    Weak order 1; strong order 1/2, and 1 where the noise does not depend on the state (Kloeden and Platen 1992,
    chapters 9.6 and 10.2). Where the noise depends on the state it is read in the sense of Itô.

    diffusion: any diffusion; its step is explicit, so dt must be small against 1/|∂b/∂x|.
    dt: SDE time of one step, > 0, shape (); None takes the learning rate, so that one step is one SGD iteration with
        Gaussian noise. Where the diffusion has schedules, dt is γ, or γ times a ratio of two small whole numbers:
        step k then takes the rates of iteration ⌊k·dt/γ⌋, by integer arithmetic.
    increments: "gaussian", or "rademacher" for ξ = ±1: weak order 1 as well and cheaper, but bounded, so the
        probability of a rare exit is that of the walk and not that of the diffusion. Or a kind of increments of your
        own (`sde_sgd.random.AbstractIncrements`), with mean 0 and variance 1.
    Raises ValueError for what is no diffusion, a dt that is not one number above 0, is missing or does not suit the
    diffusion's schedules or period, or what is no kind of increments.
    """

    diffusion: AbstractDiffusion
    dt: Float[Array, ""] | float
    increments: NoiseKind = eqx.field(static=True)
    clock: AbstractClock
    """How the number of a step becomes the time that the diffusion is asked for."""

    def __init__(self, diffusion: AbstractDiffusion, dt: Any = None, increments: Any = "gaussian"):
        if not isinstance(diffusion, AbstractDiffusion):
            raise ValueError(f"diffusion must be a diffusion, such as LangevinSGD(...), got {diffusion!r}")
        step = diffusion.default_dt if dt is None else dt
        if step is None:
            raise ValueError(
                f"dt must be given for {type(diffusion).__name__}, which has no learning rate to take it from"
            )
        positive("dt", step)
        if jnp.ndim(step) != 0:
            raise ValueError(f"dt must be a single number, got shape {jnp.shape(step)}")
        increments = short_name(increments)
        if increments not in ("gaussian", "rademacher") and not isinstance(increments, AbstractIncrements):
            raise ValueError(
                f"increments must be 'gaussian', 'rademacher' or a kind of increments of your own, got {increments!r}"
            )
        self.diffusion = diffusion
        self.dt = step
        self.increments = increments
        self.clock = diffusion.clock(dt)

    @property
    def dim(self) -> int:
        return self.diffusion.dim

    @property
    def noise_dim(self) -> int:
        return self.diffusion.noise_dim

    @property
    def noise_kind(self) -> NoiseKind:
        return self.increments

    @property
    def time_step(self) -> Any:
        return self.dt

    @property
    def landscape(self) -> AbstractLandscape | None:
        """The loss beneath, where the diffusion has one."""
        return self.diffusion.landscape

    @property
    def changes_in_time(self) -> bool:
        return self.diffusion.changes_in_time

    @property
    def what_changes(self) -> str:
        return self.diffusion.what_changes

    def last_step(self, dtype: Any) -> int:
        """As of any chain. Raises ValueError where dt was replaced by one that the diffusion is not asked at so."""
        clock = self.clock
        # it was made from the dt, the learning rate and the period of the time when the chain was
        if not clock.fits(self.dt, self.diffusion.base_time):
            raise ValueError(
                f"dt must keep its ratio to the learning rate or the period that the chain was made with, got "
                f"{self.dt!r}; make the chain anew"
            )
        return clock.last_step(dtype)

    def instant(self, step_index: Any, dtype: Any) -> Any:
        """The time at which step number `step_index` begins, as the diffusion takes it, for states of `dtype`."""
        return self.clock.at(step_index, jnp.asarray(self.dt, dtype))

    def covariance(self, theta: Float[Array, " dim"], step_index: Any = 0) -> Float[Array, "dim dim"]:
        """Covariance of x after one step from `theta` (dim,): a(θ, t) dt, shape (dim, dim). Increments have variance 1.

        a is the diffusion's `covariance`: γσσᵀ/M for LangevinSGD, so that with dt = γ this is the γ²V/M of a step of
        SGD with replacement. step_index: number of the step, which makes its time.
        """
        dt = jnp.asarray(self.dt, theta.dtype)
        return self.diffusion.covariance(theta, self.instant(step_index, theta.dtype)) * dt

    def step(self, state, noise, step_index):
        dt = jnp.asarray(self.dt, state.dtype)
        time = self.instant(step_index, state.dtype)
        return state + self.diffusion.increment(state, time, dt, noise.astype(state.dtype))
