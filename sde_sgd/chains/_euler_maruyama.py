"""The Euler–Maruyama discretisation of a diffusion."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import positive
from ..diffusions import AbstractDiffusion
from ..landscapes import AbstractLandscape
from ..random import AbstractIncrements, short_name
from ._base import AbstractChain, NoiseKind


class EulerMaruyama(AbstractChain):
    """x' = x + b(x, t) dt + B(x, t) ξ √dt, t = k·dt with an integer k.

    Weak order 1; strong order 1/2, and 1 where the noise does not depend on the state (Kloeden and Platen 1992,
    chapters 9.6 and 10.2). Where the noise depends on the state it is read in the sense of Itô.

    dt: SDE time of one step, > 0; None takes the learning rate, so that one step is one SGD iteration with
        Gaussian noise.
    increments: "gaussian", or "rademacher" for ξ = ±1: weak order 1 as well and cheaper, but bounded, so the
        probability of a rare exit is that of the walk and not that of the diffusion. Or a kind of increments of your
        own (`sde_sgd.random.AbstractIncrements`), with mean 0 and variance 1.
    """

    diffusion: AbstractDiffusion
    dt: Float[Array, ""] | float
    increments: NoiseKind = eqx.field(static=True)

    def __init__(self, diffusion: AbstractDiffusion, dt: Any = None, increments: Any = "gaussian"):
        if not isinstance(diffusion, AbstractDiffusion):
            raise ValueError(f"diffusion must be a diffusion, such as LangevinSGD(...), got {diffusion!r}")
        if dt is None:
            dt = diffusion.default_dt
            if dt is None:
                raise ValueError(
                    f"dt must be given for {type(diffusion).__name__}, which has no learning rate to take it from"
                )
        positive("dt", dt)
        if jnp.ndim(dt) != 0:
            raise ValueError(f"dt must be a single number, got shape {jnp.shape(dt)}")
        increments = short_name(increments)
        if increments not in ("gaussian", "rademacher") and not isinstance(increments, AbstractIncrements):
            raise ValueError(
                f"increments must be 'gaussian', 'rademacher' or a kind of increments of your own, got {increments!r}"
            )
        self.diffusion = diffusion
        self.dt = dt
        self.increments = increments

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
        return getattr(self.diffusion, "landscape", None)

    def step(self, state, noise, step_index):
        dt = jnp.asarray(self.dt, state.dtype)
        return state + self.diffusion.increment(state, step_index * dt, dt, noise.astype(state.dtype))
