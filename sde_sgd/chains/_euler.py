"""What explicit Euler schemes of a diffusion have in common: the diffusion, dt, and the time at which a step begins."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import positive
from ..diffusions import AbstractClock, AbstractDiffusion
from ..landscapes import AbstractLandscape
from ._base import AbstractChain


class AbstractEuler(AbstractChain):
    """A chain x' = x + b(x, t) dt + noise, with the t at which step k begins made from the integer k.

    diffusion: whose drift b is taken. dt: SDE time of one step, shape ().
    Raises ValueError for what is no diffusion, or a dt that is missing, not one number above 0, or does not suit the
    diffusion's schedules or period.
    """

    diffusion: AbstractDiffusion
    dt: Float[Array, ""] | float
    clock: AbstractClock
    """How the number of a step becomes the time that the diffusion is asked for."""

    def __init__(self, diffusion: AbstractDiffusion, dt: Any = None):
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
        self.diffusion = diffusion
        self.dt = step
        self.clock = diffusion.clock(dt)

    @property
    def dim(self) -> int:
        return self.diffusion.dim

    @property
    def noise_dim(self) -> int:
        return self.diffusion.noise_dim

    @property
    def time_step(self) -> Any:
        return self.dt

    @property
    def gibbs_temperature(self) -> Any:
        """That of the diffusion, where its law is known."""
        return self.diffusion.gibbs_temperature

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
        if not type(clock).fits(clock, self.dt, self.diffusion.base_time):
            raise ValueError(
                f"dt must keep its ratio to the learning rate or the period that the chain was made with, got "
                f"{self.dt!r}; make the chain anew"
            )
        return type(clock).last_step(clock, dtype)

    def instant(self, step_index: Any, dtype: Any) -> Any:
        """The time at which step number `step_index` begins, as the diffusion takes it, for states of `dtype`."""
        return self.clock.at(step_index, jnp.asarray(self.dt, dtype))
