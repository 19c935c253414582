"""Euler–Maruyama discretisation of an Itô diffusion."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..diffusions import AbstractDiffusion
from ..random import AbstractIncrements, short_name
from ._base import NoiseKind
from ._euler import AbstractEuler


class EulerMaruyama(AbstractEuler):
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
    One step from θ has the covariance a(θ, t) dt, a = BBᵀ, see `covariance`.
    Raises ValueError for what is no diffusion, a dt that is not one number above 0, is missing or does not suit the
    diffusion's schedules or period, or what is no kind of increments of variance 1.
    """

    increments: NoiseKind = eqx.field(static=True)

    def __init__(self, diffusion: AbstractDiffusion, dt: Any = None, increments: Any = "gaussian"):
        super().__init__(diffusion, dt)
        increments = short_name(increments)
        own = isinstance(increments, AbstractIncrements)
        if increments not in ("gaussian", "rademacher") and not own:
            raise ValueError(
                f"increments must be 'gaussian', 'rademacher' or a kind of increments of your own, got {increments!r}"
            )
        if own and not increments.standardised:
            raise ValueError(
                f"increments must have mean 0 and variance 1 for steps that grow like √dt, got {increments!r}; stable "
                "ones are for chains.LevyEuler"
            )
        self.increments = increments

    @property
    def noise_kind(self) -> NoiseKind:
        return self.increments

    def step(self, state, noise, step_index):
        dt = jnp.asarray(self.dt, state.dtype)
        time = self.instant(step_index, state.dtype)
        return state + self.diffusion.increment(state, time, dt, noise.astype(state.dtype))

    def covariance(self, theta: Float[Array, " dim"], step_index: Any = 0) -> Float[Array, "dim dim"]:
        """Covariance of x after one step from `theta` (dim,): a(θ, t) dt, shape (dim, dim). Increments have variance 1.

        a is the diffusion's `covariance`: γσσᵀ/M for LangevinSGD, so that with dt = γ this is the γ²V/M of a step of
        SGD with replacement. step_index: number of the step, which makes its time.
        """
        dt = jnp.asarray(self.dt, theta.dtype)
        return self.diffusion.covariance(theta, self.instant(step_index, theta.dtype)) * dt
