"""Watching a chain reach a set: on its own grid, or between the grid points too."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ..chains import AbstractChain, EulerMaruyama
from ..engine import AbstractMonitor
from ..regions import AbstractRegion

TARGET, AVOID, BOTH = 2, 3, 6
"""Codes of a passage; the last is that of a state in two sets that should not overlap."""


class Discrete(AbstractMonitor):
    """The chain's own passage: a set is reached when a state lies in it."""

    target: AbstractRegion
    avoid: AbstractRegion | None
    uniforms: int = eqx.field(static=True, default=0)
    looks_back: bool = eqx.field(static=True, default=False)

    def code(self, before, after, step_index, uniform):
        target = self.target.contains(after)
        if self.avoid is None:
            return _first(target, False)
        avoid = self.avoid.contains(after)
        return jnp.where(target & avoid, BOTH, _first(target, avoid))


class BrownianBridge(AbstractMonitor):
    """Passage of the diffusion: also counts a path that went into the set and came out within one step.

    Given both ends outside a set of level function φ, the Euler–Maruyama path crossed its flat boundary with
    probability exp(−2 φ_k φ_{k+1} / (∇φᵀ a ∇φ dt)) (Gobet 2000, Stochastic Processes and their Applications
    87, 167-197); a = BBᵀ is that of the step. For a curved boundary the error is O(dt), like that of the scheme.
    """

    chain: EulerMaruyama
    target: AbstractRegion
    avoid: AbstractRegion | None
    looks_back: bool = eqx.field(static=True, default=True)

    @property
    def uniforms(self) -> int:
        return 1 if self.avoid is None else 2

    def code(self, before, after, step_index, uniform):
        target = self._reached(self.target, before, after, step_index, uniform[0])
        if self.avoid is None:
            return _first(target, False)
        avoid = self._reached(self.avoid, before, after, step_index, uniform[1])
        inside = self.target.contains(after) & self.avoid.contains(after)
        return jnp.where(inside, BOTH, _first(target, avoid))

    def _reached(self, region, before, after, step_index, uniform):
        dt = jnp.asarray(self.chain.dt, before.dtype)
        normal = jax.grad(region.level)((before + after) / 2)
        covariance = self.chain.diffusion.covariance(before, self.chain.instant(step_index, before.dtype))
        variance = dt * normal @ covariance @ normal
        ends = region.level(before) * region.level(after)
        crossed = uniform < jnp.exp(-2 * ends / jnp.where(variance > 0, variance, jnp.inf))
        return region.contains(after) | (crossed & (variance > 0))


def monitor_for(
    chain: AbstractChain, target: AbstractRegion, avoid: AbstractRegion | None, monitoring: str
) -> AbstractMonitor:
    """The monitor that `monitoring` names; ValueError where it does not fit the chain."""
    if monitoring == "discrete":
        return Discrete(target, avoid)
    if monitoring != "continuous":
        raise ValueError(f"monitoring must be 'discrete' or 'continuous', got {monitoring!r}")
    if not isinstance(chain, EulerMaruyama) or chain.increments != "gaussian":
        raise ValueError(
            "monitoring='continuous' needs an EulerMaruyama chain with gaussian increments, whose path between "
            f"steps is a Brownian bridge, got {type(chain).__name__} with {chain.noise_kind} noise; use 'discrete'"
        )
    return BrownianBridge(chain, target, avoid)


def _first(target, avoid):
    return jnp.where(target, TARGET, jnp.where(avoid, AVOID, 0))
