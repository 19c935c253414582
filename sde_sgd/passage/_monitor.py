"""Watching a chain reach a set: on its own grid, or between the grid points too (Brownian bridge)."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..chains import AbstractChain, EulerMaruyama
from ..engine import AbstractMonitor, Compiled, StopCode, as_leaves
from ..regions import AbstractRegion
from ._wrappers import theta_of

# points near the start that are followed to the boundary, to see whether it feels noise there
_SAMPLED, _NEWTON_STEPS = 64, 24


class Discrete(AbstractMonitor):
    """The chain's own passage: a set is reached when θ lies in it.

    dim: components of θ.
    """

    dim: int = eqx.field(static=True)
    target: AbstractRegion
    avoid: AbstractRegion | None
    uniforms: int = eqx.field(static=True, default=0)
    looks_back: bool = eqx.field(static=True, default=False)

    def code(self, before, after, step_index, uniform):
        theta = theta_of(after, self.dim)
        target = self.target.contains(theta)
        if self.avoid is None:
            return _first(target, False)
        avoid = self.avoid.contains(theta)
        return jnp.where(target & avoid, StopCode.IN_BOTH_SETS, _first(target, avoid))


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
        before, after = (theta_of(state, self.chain.dim) for state in (before, after))
        target = self._reached(self.target, before, after, step_index, uniform[0])
        if self.avoid is None:
            return _first(target, False)
        avoid = self._reached(self.avoid, before, after, step_index, uniform[1])
        inside = self.target.contains(after) & self.avoid.contains(after)
        return jnp.where(inside, StopCode.IN_BOTH_SETS, _first(target, avoid))

    def _reached(self, region, before, after, step_index, uniform):
        dt = jnp.asarray(self.chain.dt, before.dtype)
        normal = jax.grad(region.level)((before + after) / 2)
        covariance = self.chain.diffusion.covariance(before, self.chain.instant(step_index, before.dtype))
        variance = dt * normal @ covariance @ normal
        ends = region.level(before) * region.level(after)
        crossed = uniform < jnp.exp(-2 * ends / jnp.where(variance > 0, variance, jnp.inf))
        return region.contains(after) | (crossed & (variance > 0))


def monitor_for(
    chain: AbstractChain,
    target: AbstractRegion,
    avoid: AbstractRegion | None,
    monitoring: str,
    starts: Float[np.ndarray, "m dim"],
) -> AbstractMonitor:
    """The monitor that `monitoring` names; ValueError where it does not fit the chain."""
    if monitoring == "discrete":
        return Discrete(chain.dim, target, avoid)
    if monitoring != "continuous":
        raise ValueError(f"monitoring must be 'discrete' or 'continuous', got {monitoring!r}")
    if not isinstance(chain, EulerMaruyama) or chain.increments != "gaussian":
        raise ValueError(
            "monitoring='continuous' needs an EulerMaruyama chain with gaussian increments, whose path between "
            f"steps is a Brownian bridge, got {type(chain).__name__} with {chain.noise_kind} noise; use 'discrete'"
        )
    for region in (target, avoid):
        if region is not None:
            _check_noise_across(chain, region, starts[0])
    return BrownianBridge(chain, target, avoid)


def _check_noise_across(chain: EulerMaruyama, region: AbstractRegion, start: Float[np.ndarray, " dim"]) -> None:
    """ValueError where the noise at a near point of the boundary lies along it.

    Then a path crosses it without a Brownian part, as a position driven by a velocity does, and the bridge would see no
    more than the ends of a step.
    """
    points = _boundary(region, start)
    across, all_noise = map(np.asarray, _NOISE_ACROSS.prepare(as_leaves((chain, region)))(points))
    blind = np.flatnonzero(across <= 1e-6 * all_noise)
    if blind.size:
        raise ValueError(
            "monitoring='continuous' needs noise across the boundary, whose path between steps is a Brownian bridge, "
            f"got none along its normal at θ = {points[blind[0]]}; use 'discrete'"
        )


def _boundary(region: AbstractRegion, start: Float[np.ndarray, " dim"]) -> Float[np.ndarray, "n dim"]:
    """Points of the boundary, from close to the start to as far away as its normal leads; NaN where none was found.

    Next to each there is another one, which lies beside an edge where the first ended on it.
    """
    levels = _LEVELS.prepare(as_leaves(region))

    def newton(points: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n dim"]:
        for _ in range(_NEWTON_STEPS):
            height, normal = map(np.asarray, levels(points))
            square = np.sum(normal**2, axis=1)
            points = points - (height / np.where(square > 0, square, np.inf))[:, None] * normal
        return points

    with np.errstate(all="ignore"):
        directions = np.random.default_rng(0).standard_normal((2, _SAMPLED, len(start))).astype(start.dtype)
        farthest = np.linalg.norm(newton(start + 1e-3 * directions[0])[0] - start)
        scale = (farthest if np.isfinite(farthest) else 1.0) * np.logspace(-3, 0, _SAMPLED) / np.sqrt(len(start))
        far, beside = (directions * scale[:, None]).astype(start.dtype)
        here = np.abs(np.asarray(levels(np.broadcast_to(start, far.shape))[0]))
        found = [newton(start + far)]
        found.append(newton(found[0] + beside))
        for points in found:
            heights, normals = map(np.asarray, levels(points))
            known = (np.abs(heights) <= 1e-3 * here) & (np.sum(normals**2, axis=1) > 0)
            points[~known] = np.nan
    return np.concatenate(found)


def _noise_across(shared: Any, points: Float[Array, "n dim"]):
    """nᵀan/|n|² at each point, and the trace of a."""
    chain, region = shared

    def at(point):
        normal = jax.grad(region.level)(point)
        noise = chain.diffusion.covariance(point, chain.instant(jnp.uint32(0), point.dtype))
        return normal @ noise @ normal / jnp.sum(normal**2), jnp.trace(noise)

    # one after another, for one covariance at a time
    return jax.lax.map(at, points)


_LEVELS = Compiled(lambda region, points: jax.vmap(jax.value_and_grad(region.level))(points))
_NOISE_ACROSS = Compiled(_noise_across)


def _first(target, avoid):
    return jnp.where(target, StopCode.TARGET, jnp.where(avoid, StopCode.AVOID, 0))
