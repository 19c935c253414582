"""Truths for the battery: exact kernels on a line and along a radius, grids that are refined, direct simulation."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg
from scipy.special import ive, log_ndtr, ndtr
from scipy.stats import norm

import sde_sgd as ss
from sde_sgd.reference._exact_chains import _add_up

Function = Callable[[np.ndarray], np.ndarray]


class Truth(NamedTuple):
    """What is right, with the relative half-width of a 95 % interval of it, and how it was found."""

    value: float
    error: float
    by: str


class Kernel(NamedTuple):
    """A chain at quadrature nodes until it leaves them, its last row that of the start.

    inside: (n + 1, n), chance to go to each node. reached, lost: (n + 1,), to the target, and to what is avoided.
    """

    inside: np.ndarray
    reached: np.ndarray
    lost: np.ndarray

    def ends(self) -> tuple[float, float]:
        """P(target first) and the mean number of steps until either, by an elimination that only adds."""
        right = np.stack([self.reached, np.ones(len(self.reached))], axis=1)
        square = np.pad(self.inside, ((0, 0), (0, 1)))
        chance, steps = _add_up(square, self.reached + self.lost, right)[-1]
        return float(chance), float(steps)

    def within(self, steps: int) -> float:
        """P(target by so many steps, and first): the flux added up, so accurate however small."""
        *_, total = self.flux(steps)
        return float(total)

    def flux(self, steps: int) -> np.ndarray:
        """P(target within k steps), k = 1 … steps."""
        row, arrived = self.inside[-1], [self.reached[-1]]
        for _ in range(steps - 1):
            arrived.append(row @ self.reached[:-1])
            row = row @ self.inside[:-1]
        return np.cumsum(arrived)


def on_a_line(
    mean: Function, deviation: Function | float, start: float, target: float, other: float, nodes: int = 500, *,
    avoid: bool = False, bridged: bool = False, stretched: bool = False,
) -> Kernel:  # fmt: skip
    """x' = mean(x) + deviation(x)·ξ from `start` until it is beyond `target`, or beyond `other` where that is avoided.

    Where it is not, the chain must hardly ever be there. bridged: crossings of the target between steps count, those of
    the Brownian bridge. stretched: nodes lie evenly in asinh x, for noise that grows like |x|.
    """
    unit, weights = np.polynomial.legendre.leggauss(nodes)
    ends = np.arcsinh([target, other]) if stretched else np.array([target, other])
    place, width = ends.mean() + np.ptp(ends) / 2 * unit, np.ptp(ends) / 2
    points = np.sinh(place) if stretched else place
    weights = weights * width * (np.cosh(place) if stretched else 1)
    before = np.append(points, start)
    means = mean(before)
    spread = np.broadcast_to(deviation(before) if callable(deviation) else deviation, before.shape)
    inside = norm.pdf(points[None, :], means[:, None], spread[:, None]) * weights
    reached, lost = _beyond(target, target > other, means, spread), _beyond(other, other > target, means, spread)
    if bridged:
        gap = target - before
        inside *= -np.expm1(-2 * gap[:, None] * (target - points) / spread[:, None] ** 2)
        side = 1 if target > other else -1
        reached = reached + np.exp(
            2 * gap * (means - before) / spread**2 + log_ndtr(side * (2 * before - target - means) / spread)
        )
    return Kernel(inside, reached, lost if avoid else np.zeros_like(lost))


def by_quadrature(loss: Function, temperature: float, start: float, target: float, lowest: float) -> float:
    """Mean time of the overdamped diffusion on the line from `start` up to `target`, which reflects at `lowest`.

    The double integral of Kramers, (1/T) ∫ exp(L(y)/T) ∫ exp(−L(z)/T) dz dy over z < y, start < y < target, by the
    trapezoidal rule on points that lie evenly in asinh x, for what reaches too far out for the cells of `FokkerPlanck`.
    """
    ends = np.arcsinh([lowest, target])
    points = np.sinh(np.linspace(*ends, 400_001))
    with jax.enable_x64(True):
        heights = np.asarray(jax.vmap(loss)(jnp.asarray(points)[:, None])) / temperature
    weight = np.exp(-(heights - heights.min()))
    below = np.append(0.0, np.cumsum(np.diff(points) * (weight[1:] + weight[:-1]) / 2))
    outer = np.where(points >= start, np.exp(heights - heights.min()) * below, 0.0)
    return float(np.trapezoid(outer, points) / temperature)


def of_maps(
    maps: list[Function], chances: np.ndarray, start: float, target: float, lowest: float, steps: int | None,
    points: int = 20_001,
) -> float:  # fmt: skip
    """P(above `target` within so many steps), or the mean number of steps until then, of x' = one of `maps` by chance.

    By values at grid points, linear between them; the chain never comes below `lowest`.
    """
    grid = np.linspace(lowest, target, points)

    def averages(places: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
        inside, there = sparse.csr_matrix((len(places), points)), np.zeros(len(places))
        for step, chance in zip(maps, chances, strict=True):
            after = step(places)
            beyond = after >= target
            where = np.clip((after - lowest) / (grid[1] - grid[0]), 0, points - 1.001)
            left, part = np.floor(where).astype(int), where % 1
            rows, stays = np.arange(len(places)), chance * ~beyond
            for column, share in ((left, 1 - part), (left + 1, part)):
                inside += sparse.csr_matrix((stays * share, (rows, column)), (len(places), points))
            there += chance * beyond
        return inside, there

    (inside, there), (first, at_once) = averages(grid), averages(np.array([start]))
    if steps is None:
        times = sparse_linalg.spsolve(sparse.eye(points, format="csc") - inside.tocsc(), np.ones(points))
        return float(1 + (first @ times)[0])
    values = np.zeros(points)
    for _ in range(steps - 1):
        values = there + inside @ values
    return float((at_once + first @ values)[0])


def along_a_radius(
    mean: Function, deviation: Function, dim: int, start: float, radius: float, lowest: float, nodes: int = 500
) -> Kernel:
    """|x'| of x' = mean(|x|)·x/|x| + deviation(|x|)·ξ in `dim` dimensions, from |x| = `start` to above `radius`.

    Its density is that of a noncentral chi variable. Below `lowest` ≥ 0 the chain must hardly ever be.
    """
    unit, weights = np.polynomial.legendre.leggauss(nodes)
    points, weights = lowest + (radius - lowest) * (unit + 1) / 2, weights * (radius - lowest) / 2
    before = np.append(points, start)
    # from the centre itself it is the central law, which one next to it has too
    spread = np.broadcast_to(deviation(before), before.shape)
    means = np.maximum(np.abs(mean(before)), 1e-3 * spread)
    beyond = radius + 14 * spread[:, None] * (unit + 1) / 2
    tail = np.sum(_chi(beyond, means, spread, dim) * np.polynomial.legendre.leggauss(nodes)[1], axis=1) * 7 * spread
    return Kernel(_chi(points, means, spread, dim) * weights, tail, np.zeros(len(before)))


def independent(kernels: list[Kernel], settle: int) -> float:
    """Mean steps until the first of several independent chains arrives, each with one rate after `settle` steps."""
    survivals = [1 - np.append(0.0, kernel.flux(2 * settle)) for kernel in kernels]
    together = np.prod(survivals, axis=0)
    # the flux of each keeps its digits where its survival is near 1
    leaving = 0.0
    for kernel, survival in zip(kernels, survivals, strict=True):
        flux = np.diff(kernel.flux(2 * settle)[-2:])[0]
        leaving += -math.log1p(-flux / survival[-2])
    return float(together[:-1].sum() + together[-1] / -math.expm1(-leaving))


def stepped(diffusion: Any, dt: float) -> Any:
    """The diffusion that Euler–Maruyama steps of `dt` follow to second order, where the noise is one number.

    b − dt/2 (Jb + T Δb) with the amplitude √(2T)(1 − dt/2 J), J the derivative of b: Zygalakis, SIAM J. Sci. Comput.
    33, 102 (2011).
    """

    def drift(x):
        return diffusion.drift(x, 0.0)

    def bent(x, t):
        curved = jnp.trace(jax.jacfwd(jax.jacfwd(drift))(x), axis1=1, axis2=2)
        return drift(x) - dt / 2 * (jax.jacfwd(drift)(x) @ drift(x) + diffusion.temperature * curved)

    def amplitude(x, t):
        root = jnp.sqrt(2 * jnp.asarray(diffusion.temperature, x.dtype))
        return root * (jnp.eye(diffusion.dim, dtype=x.dtype) - dt / 2 * jax.jacfwd(drift)(x))

    return ss.diffusions.ItoDiffusion(bent, amplitude, diffusion.dim)


def on_a_grid(
    diffusion: Any, dt: float | None, start: Any, target: Any, box: Any, cells: int, *, avoid: Any = None,
    error: float = 0.0,
) -> Truth:  # fmt: skip
    """The grid solver at `cells` and 1.5 times as many along each axis, and what they tend to.

    dt: of the steps whose bias is taken into account, or None. error: what else is to be allowed for.
    """

    def solved(law: Any, count: int) -> float:
        solver = ss.reference.FokkerPlanck(law, [(low, high, count) for low, high in box])
        if avoid is not None:
            return float(solver.committor(target, avoid, start))
        return float(solver.mean_passage_time(target, start))

    law = diffusion if dt is None else stepped(diffusion, dt)
    coarse, fine = solved(law, cells), solved(law, cells * 3 // 2)
    limit = fine + (fine - coarse) / (1.5**2 - 1)
    bias = 0.0 if dt is None else math.log(solved(diffusion, cells) / coarse)
    # a tenth or so of a step's bias is left
    left = abs(math.log(limit / fine)) / 2 + abs(bias) / 8
    return Truth(limit, left + error, "grid solver")


def by_simulation(asked: Any, trajectories: int, time: bool) -> Truth:
    """Direct simulation with seeds of its own."""
    found = ss.first_passage(
        asked.chain, asked.start, asked.target, asked.avoid, asked.horizon, trajectories=trajectories, seed=2**40,
        monitoring=asked.monitoring, method="direct", max_steps=10**9,
    )  # fmt: skip
    if found.reasons:
        raise RuntimeError(f"direct simulation did not tell the truth: {found.result}")
    estimate = found.mean_exit_time if time else found.probability
    return Truth(float(estimate), float(estimate.relative_half_width), "direct simulation")


def _beyond(end: float, above: bool, means: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return ndtr((means - end if above else end - means) / spread)


def _chi(points: np.ndarray, means: np.ndarray, spread: np.ndarray, dim: int) -> np.ndarray:
    """Density of |m + sξ| at points (n,) or (m, n) for means and spreads (m,): shape (m, n)."""
    means, variance = means[:, None], spread[:, None] ** 2
    with np.errstate(divide="ignore"):
        logs = np.log(points / variance) + (dim / 2 - 1) * np.log(points / means)
        logs = logs - (points - means) ** 2 / (2 * variance) + np.log(ive(dim / 2 - 1, points * means / variance))
    return np.exp(logs)
