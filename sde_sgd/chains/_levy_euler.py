"""Euler scheme of an equation that symmetric α-stable noise drives: jumps of all sizes, and no variance."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..diffusions import AbstractDiffusion
from ..random import Stable
from ._base import NoiseKind
from ._euler import AbstractEuler


class LevyEuler(AbstractEuler):
    """x' = x + b(x, t) dt + B(x, t) ξ dt^(1/α), each ξ symmetric α-stable: E exp(isξ) = exp(−|s|^α).

    A step of dX = b dt + B dL, where L has independent components of symmetric α-stable Lévy motion,
    E exp(isL_t) = exp(−t|s|^α), and jumps: of sizes above r they come at the rate 2Γ(α) sin(πα/2)/π·r^(−α). Şimşekli,
    Sagun and Gürbüzbalaban (2019, arXiv 1901.06053) take SGD's gradient noise for such. At α = 2 it is Brownian motion
    of twice the variance, dX = b dt + √2 B dW; below it a step has no variance (`covariance`), and at α ≤ 1 no mean.
    An iteration x' = x − γ(∇L + sξ) is the step dt = γ of B = s γ^(1 − 1/α), which `ItoDiffusion` takes as its
    amplitude; a `LangevinSGD` has √(γ/M) σ for any dt.

    Between two steps a path is no Brownian bridge, but jumps over thin sets: `monitoring="continuous"` refuses it.
    Splitting does not take its steps in parts, and gains little, because one jump leads past many levels.

    diffusion: any diffusion; of its noise the B(x, t) is taken, with which the components of ξ are mixed.
    alpha: α, one number from 0.5 to 2; it is fixed when the program is compiled.
    dt: SDE time of one step, > 0, shape (), small against 1/|∂b/∂x|. A diffusion with schedules takes γ, or γ times a
        ratio of two small whole numbers.
    Raises ValueError for what is no diffusion, an alpha or a dt that is not as said.
    """

    alpha: float = eqx.field(static=True)

    def __init__(self, diffusion: AbstractDiffusion, alpha: Any, dt: Any):
        super().__init__(diffusion, dt)
        self.alpha = Stable(alpha).alpha

    @property
    def gibbs_temperature(self) -> None:
        """Jumps do not lead to the law of the diffusion."""

    @property
    def noise_kind(self) -> NoiseKind:
        return Stable(self.alpha)

    def step(self, state, noise, step_index):
        dt, time = jnp.asarray(self.dt, state.dtype), self.instant(step_index, state.dtype)
        jump = self.diffusion.diffuse(state, time, noise.astype(state.dtype))
        return state + self.diffusion.drift(state, time) * dt + jump * dt ** (1 / self.alpha)

    def covariance(self, theta: Float[Array, " dim"], step_index: Any = 0) -> Float[Array, "dim dim"]:
        """Covariance 2a(θ, t) dt of step number `step_index` from θ at α = 2, exact, shape (dim, dim).

        Raises ValueError for smaller α, where it is infinite.
        """
        if self.alpha < 2:
            raise ValueError(f"alpha must be 2 for a step to have a covariance, got {self.alpha}: it is infinite")
        dt = jnp.asarray(self.dt, theta.dtype)
        return 2 * dt * self.diffusion.covariance(theta, self.instant(step_index, theta.dtype))
