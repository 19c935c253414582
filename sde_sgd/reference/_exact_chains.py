"""Exact transition kernels of Gaussian chains on the line, by Gauss–Legendre quadrature: exits, laws and rates."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float64
from scipy import special

from .._errors import concrete, number, positive_integer, positive_number
from ..landscapes._critical_points import Float64Landscape
from ..regions import Ellipsoid


class ChainExit:
    """First exit of the chain x' = mean(x) + deviation·ξ above `target`, from its transition density.

    mean: maps float64 arrays of any shape to that shape; x − γL'(x) for SGD, say. deviation: of one step's noise, above
        0, in units of x. start, target: start < target. lowest: where the quadrature begins; below it the chain must
        hardly ever be. nodes: of the Gauss–Legendre quadrature from `lowest` to `target`.

    Nothing is simulated. The error is that of the quadrature, which is spectral (twice the nodes show it), and of what
    lies below `lowest`. Source: Nyström's method (Atkinson 1997, chapter 4).
    Raises ValueError where the numbers are not as said.
    """

    def __init__(self, mean: Any, deviation: Any, start: Any, target: Any, lowest: Any, nodes: int = 400):
        _check_chain(mean, deviation, nodes)
        for name, value in (("start", start), ("target", target), ("lowest", lowest)):
            number(name, value)
        if not lowest < start < target:
            raise ValueError(f"start must lie between lowest = {lowest} and target = {target}, got {start}")
        points, weights = _nodes([(float(lowest), float(target))], nodes)
        self._kernel = _density(points[None, :], mean(points)[:, None], deviation) * weights[None, :]
        self._first = _density(points, mean(np.asarray(start)), deviation) * weights
        self._leaving = _above(target, mean(points), deviation)
        self._leaving_first = float(_above(target, mean(np.asarray(start)), deviation))

    def survival(self, steps: int) -> Float64[np.ndarray, " times"]:
        """P(τ > k) for k = 0 … steps, shape (steps + 1,): still below the target after k steps.

        Raises ValueError unless steps is a whole number of at least 1.
        """
        positive_integer("steps", steps)
        below, row = [1.0], self._first
        for _ in range(steps):
            below.append(float(row.sum()))
            row = row @ self._kernel
        return np.array(below)

    def exits(self, steps: int) -> Float64[np.ndarray, " times"]:
        """P(τ ≤ k) for k = 0 … steps, shape (steps + 1,): the flux out summed up, so accurate however small.

        Raises ValueError unless steps is a whole number of at least 1.
        """
        positive_integer("steps", steps)
        flux, row = [0.0, self._leaving_first], self._first
        for _ in range(steps - 1):
            flux.append(float(row @ self._leaving))
            row = row @ self._kernel
        return np.cumsum(flux)

    def mean_steps(self) -> float:
        """E τ in steps, which keeps its digits however long; times the time step it is a mean exit time."""
        return 1 + float(self._first @ _add_up(self._kernel, self._leaving, np.ones((len(self._first), 1)))[:, 0])


class ChainFork:
    """Which end of an interval the chain x' = mean(x) + deviation·ξ leaves first, from its transition density.

    mean, deviation, nodes: as for `ChainExit`. start, low, high: low < start < high.

    Nothing is simulated; the error is that of the quadrature. Both answers keep their digits however rare exits are.
    Source: as for `ChainExit`.
    Raises ValueError where the numbers are not as said.
    """

    def __init__(self, mean: Any, deviation: Any, start: Any, low: Any, high: Any, nodes: int = 400):
        _check_chain(mean, deviation, nodes)
        for name, value in (("start", start), ("low", low), ("high", high)):
            number(name, value)
        if not low < start < high:
            raise ValueError(f"start must lie between low = {low} and high = {high}, got {start}")
        points, weights = _nodes([(float(low), float(high))], nodes)
        means = mean(np.append(points, float(start)))
        kernel = _density(points[None, :], means[:, None], deviation) * weights[None, :]
        up, down = _above(high, means, deviation), _above(-low, -means, deviation)
        right = np.stack([up, np.ones(len(means))], axis=1)
        self._solved = _add_up(np.pad(kernel, ((0, 0), (0, 1))), up + down, right)[-1]

    def probability(self) -> float:
        """P(above `high` before below `low`)."""
        return float(self._solved[0])

    def mean_steps(self) -> float:
        """Mean steps until either."""
        return float(self._solved[1])


class ChainLaw:
    """Law of the chain x' = mean(x) + deviation·ξ on the line, at a step and in the long run, from its density.

    mean, deviation: as for `ChainExit`. cuts: rising ends of the panels, (n_panels + 1,); probabilities are those of
        each panel, and beyond the outer cuts the chain must hardly ever be. nodes: of the quadrature in each panel.

    Nothing is simulated. The error is that of the quadrature (spectral) and of what lies beyond the outer cuts.
    Source: as for `ChainExit`.
    Raises ValueError where the numbers are not as said.
    """

    def __init__(self, mean: Any, deviation: Any, cuts: Any, nodes: int = 200):
        _check_chain(mean, deviation, nodes)
        ends = concrete(cuts)
        if ends is None or ends.ndim != 1 or len(ends) < 2 or not np.all(np.diff(ends) > 0):
            raise ValueError(f"cuts must be rising numbers of shape (n_panels + 1,), got {cuts!r}")
        self._points, self._weights = _nodes(itertools.pairwise(ends.tolist()), nodes)
        self._panels, self._mean, self._deviation = len(ends) - 1, mean, deviation
        kernel = _density(self._points[None, :], mean(self._points)[:, None], deviation) * self._weights[None, :]
        # what the nodes lose beyond the outer cuts stays
        self._kernel = kernel / kernel.sum(axis=1, keepdims=True)

    def stationary(self) -> Float64[np.ndarray, " panels"]:
        """P∞ of each panel, (n_panels,), summing to 1."""
        size = len(self._points)
        system = np.vstack([(np.eye(size) - self._kernel).T[:-1], np.ones(size)])
        return self._masses(np.linalg.solve(system, np.eye(size)[-1]))

    def after(self, start: float, steps: Sequence[int]) -> Float64[np.ndarray, "times panels"]:
        """P(in each panel) from `start` after each of some numbers of steps: shape (len(steps), n_panels).

        Raises ValueError unless the steps rise and are at least 1.
        """
        number("start", start)
        if len(steps) == 0 or steps[0] < 1 or not all(one < other for one, other in itertools.pairwise(steps)):
            raise ValueError(f"steps must be rising and at least 1, got {steps!r}")
        row = _density(self._points, self._mean(np.asarray(start)), self._deviation) * self._weights
        masses, done = [], 1
        for step in steps:
            for _ in range(step - done):
                row = row @ self._kernel
            done = step
            masses.append(self._masses(row))
        return np.array(masses)

    def _masses(self, row: np.ndarray) -> np.ndarray:
        return row.reshape(self._panels, -1).sum(axis=1)


class ChainRates:
    """Rates k_ij = P(core j first)/E τ between minima, of the Euler–Maruyama chain x' = x − L'(x) dt + √(2T dt) ξ.

    diffusion: one-dimensional, with a landscape L and a temperature T. dt: the chain's step, SDE time.
    cores: `regions.Ellipsoid`s around the minima, from left to right; those of `Transitions.cores`, say.

    Nothing is simulated: the density is held at Gauss–Legendre nodes between the cores, out to four of the outer cores'
    half-widths, and the linear system is solved by an elimination that only adds, so that times of 1e15 steps keep
    their digits. Source of the elimination: Grassmann, Taksar and Heyman, Oper. Res. 33, 1107 (1985).
    Raises ValueError for another dimension, fewer than two cores, or cores that are none.
    """

    def __init__(self, diffusion: Any, dt: Any, cores: Sequence[Any]):
        positive_number("dt", dt)
        if diffusion.dim != 1:
            raise ValueError(f"diffusion must have one dimension, got {diffusion.dim}")
        if len(cores) < 2 or not all(hasattr(core, "center") and hasattr(core, "factor") for core in cores):
            raise ValueError(f"cores must be at least two {Ellipsoid.__name__}s, got {cores!r}")
        self._dt, self._landscape = float(dt), diffusion.landscape
        self._deviation = math.sqrt(2 * float(diffusion.temperature) * self._dt)
        centers = [float(core.center[0]) for core in cores]
        halves = [1 / abs(float(core.factor[0, 0])) for core in cores]
        self._starts = centers
        self._ends = (centers[0] - 4 * halves[0], centers[-1] + 4 * halves[-1])
        self._cores = [(center - half, center + half) for center, half in zip(centers, halves, strict=True)]

    def rates(self, start: int) -> tuple[Float64[np.ndarray, " K"], float]:
        """k_ij per SDE time from minimum number `start` to each, (K,), 0 to itself; and E τ in SDE time."""
        others = [core for place, core in enumerate(self._cores) if place != start]
        edges = sorted([*self._ends, *itertools.chain(*others)])
        points, weights = _nodes(zip(edges[::2], edges[1::2], strict=True), 160)
        means = self._mean(np.append(points, self._starts[start]))
        kernel = _density(points[None, :], means[:, None], self._deviation) * weights[None, :]
        hits = np.stack([_between(core, means, self._deviation) for core in self._cores], axis=1)
        hits[:, start] = 0
        right = np.concatenate([hits, np.ones((len(means), 1))], axis=1)
        solved = _add_up(np.pad(kernel, ((0, 0), (0, 1))), hits.sum(axis=1), right)[-1]
        time = float(solved[-1] * self._dt)
        return solved[:-1] / time, time

    def _mean(self, points: np.ndarray) -> np.ndarray:
        with jax.enable_x64(True):
            gradients = Float64Landscape(self._landscape).values(points[:, None])[1]
        return points - gradients[:, 0] * self._dt


def _check_chain(mean: Any, deviation: Any, nodes: Any) -> None:
    if not callable(mean):
        raise ValueError(f"mean must be a function of an array, got {mean!r}")
    positive_number("deviation", deviation)
    positive_integer("nodes", nodes)


def _nodes(panels: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss–Legendre nodes of each panel (low, high) and their weights, all in a row."""
    unit, share = np.polynomial.legendre.leggauss(count)
    pieces = [(low + (high - low) * (unit + 1) / 2, share * (high - low) / 2) for low, high in panels]
    points, weights = zip(*pieces, strict=True)
    return np.concatenate(points), np.concatenate(weights)


def _between(core: tuple[float, float], means: np.ndarray, deviation: float) -> np.ndarray:
    """P(means + deviation·ξ in core), with relative accuracy on both sides."""
    low, high = ((end - means) / deviation for end in core)
    return np.where(low > 0, special.ndtr(-low) - special.ndtr(-high), special.ndtr(high) - special.ndtr(low))


def _add_up(kernel: np.ndarray, leaving: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x = kernel x + right, where 1 − Σ kernel is `leaving`: elimination without a subtraction."""
    kernel, leaving, right, size = kernel.copy(), leaving.copy(), right.copy(), len(leaving)
    totals = np.zeros(size)
    for state in range(size):
        ahead = slice(state + 1, None)
        totals[state] = leaving[state] + kernel[state, ahead].sum()
        share = kernel[ahead, state] / totals[state]
        kernel[ahead, ahead] += np.outer(share, kernel[state, ahead])
        leaving[ahead] += share * leaving[state]
        right[ahead] += np.outer(share, right[state])
    for state in range(size - 1, -1, -1):
        right[state] = (right[state] + kernel[state, state + 1 :] @ right[state + 1 :]) / totals[state]
    return right


def _density(points: np.ndarray, means: Any, deviation: Any) -> np.ndarray:
    """Of normal laws. scipy.stats says the same, and takes half a second to import."""
    return np.exp(-(((points - means) / deviation) ** 2) / 2) / np.sqrt(2 * np.pi) / deviation


def _above(points: Any, means: Any, deviation: Any) -> Any:
    """Probability of normal laws beyond the points."""
    return special.ndtr(-(points - means) / deviation)
