"""Statistical assertions with stated error rates, and exact values found without the library.

Every statistical assertion of the suite is one band of `Z` standard errors, wider by a bound on any known bias. A
fresh seed would leave it with probability `FALSE_FAIL`. `false_pass` is the chance that a broken twin passes.
"""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import cumulative_simpson
from scipy.stats import norm

Z = 4.0
FALSE_FAIL = 2 * float(norm.sf(Z))  # 6.3e-5


def agrees(value: Any, truth: Any, error: Any, bias: Any = 0.0) -> bool:
    """Whether |value − truth| ≤ Z·error + bias, in every component."""
    return bool(np.all(np.abs(np.asarray(value) - truth) <= Z * np.asarray(error) + bias))


def false_pass(shift: float, error: float, bias: float = 0.0) -> float:
    """Probability that an estimator that is off by `shift`, with standard error `error`, passes `agrees`."""
    band = Z * error + bias
    return float(norm.cdf((band - abs(shift)) / error) - norm.cdf((-band - abs(shift)) / error))


def binomial_error(probability: Any, trials: int) -> Any:
    """Standard error of a frequency."""
    return np.sqrt(np.asarray(probability) * (1 - np.asarray(probability)) / trials)


def mean_passage(drift: Callable, variance: Callable, start: float, target: float, reflecting: float) -> float:
    """E τ from `start` up to `target` of dX = b dt + √v dW, by the double integral of the backward equation.

    drift, variance: b and v of an array of points. reflecting: left end, where the path is reflected.
    Relative error below 1e-6 for the problems of this suite (compared with published values there).
    """
    x = np.linspace(reflecting, target, 40_001)
    spacing = float(x[1] - x[0])
    half = variance(x) / 2
    potential = -cumulative_simpson(drift(x) / half, dx=spacing, initial=0)
    inner = cumulative_simpson(np.exp(-potential) / half, dx=spacing, initial=0)
    outer = cumulative_simpson(np.exp(potential) * inner, dx=spacing, initial=0)
    return float(outer[-1] - np.interp(start, x, outer))


class ExitOfChain:
    """Exact first exit of x' = map(x) + s·ξ above `target`, from the chain's transition density.

    The density is iterated at Gauss–Legendre nodes on (lowest, target); nothing is simulated. The error is that of the
    quadrature (spectral) and of what lies below `lowest`.
    """

    def __init__(self, mean: Callable, deviation: float, start: float, target: float, lowest: float, nodes: int = 400):
        points, weights = np.polynomial.legendre.leggauss(nodes)
        points = lowest + (target - lowest) * (points + 1) / 2
        weights = weights * (target - lowest) / 2
        self.kernel = norm.pdf(points[None, :], mean(points)[:, None], deviation) * weights[None, :]
        self.first = norm.pdf(points, mean(np.asarray(start)), deviation) * weights
        self._leaving = norm.sf(target, mean(points), deviation)
        self._leaving_first = float(norm.sf(target, mean(np.asarray(start)), deviation))

    def survival(self, steps: int) -> np.ndarray:
        """P(τ > k) for k = 0 … steps, shape (steps + 1,)."""
        out, row = [1.0], self.first
        for _ in range(steps):
            out.append(float(row.sum()))
            row = row @ self.kernel
        return np.array(out)

    def exits(self, steps: int) -> np.ndarray:
        """P(τ ≤ k) for k = 0 … steps: the flux out summed up, so that it is accurate however small."""
        flux, row = [0.0, self._leaving_first], self.first
        for _ in range(steps - 1):
            flux.append(float(row @ self._leaving))
            row = row @ self.kernel
        return np.cumsum(flux)[: steps + 1]

    def mean_steps(self) -> float:
        """E τ in steps."""
        return 1 + float(self.first @ np.linalg.solve(np.eye(len(self.first)) - self.kernel, np.ones(len(self.first))))


class LawOfChain:
    """Exact law of x' = map(x) + s·ξ on the line, from the chain's transition density; nothing is simulated.

    cuts: rising ends of the panels; probabilities are those of each panel. The density is held at Gauss–Legendre nodes
    of each panel, so the error is that of the quadrature (spectral) and of what lies beyond the outer cuts.
    """

    def __init__(self, mean: Callable, deviation: float, cuts: Any, nodes: int = 200):
        unit, share = np.polynomial.legendre.leggauss(nodes)
        ends = np.asarray(cuts, np.float64)
        half = np.diff(ends)[:, None] / 2
        self._weights = (half * share).ravel()
        self.points = (ends[:-1, None] + half * (unit + 1)).ravel()
        self._panels, self._mean, self._deviation = len(half), mean, deviation
        kernel = norm.pdf(self.points[None, :], mean(self.points)[:, None], deviation) * self._weights[None, :]
        # what the nodes lose beyond the outer cuts stays
        self.kernel = kernel / kernel.sum(axis=1, keepdims=True)

    def stationary(self) -> np.ndarray:
        """P∞ of each panel."""
        size = len(self.points)
        system = np.vstack([(np.eye(size) - self.kernel).T[:-1], np.ones(size)])
        return self._masses(np.linalg.solve(system, np.eye(size)[-1]))

    def after(self, start: float, steps: Any) -> np.ndarray:
        """P(in each panel) after each of some numbers of steps, rising and at least 1: shape (len(steps), panels)."""
        row = norm.pdf(self.points, self._mean(np.asarray(start)), self._deviation) * self._weights
        out, done = [], 1
        for step in steps:
            for _ in range(step - done):
                row = row @ self.kernel
            done = step
            out.append(self._masses(row))
        return np.array(out)

    def _masses(self, row: np.ndarray) -> np.ndarray:
        return row.reshape(self._panels, -1).sum(axis=1)


class ExactChain:
    """Exact k_ij = P(core j first)/E τ of x' = x − L'(x) dt + √(2T dt) ξ, from its transition density.

    The density is held at Gauss–Legendre nodes between the other cores, and the linear system is solved by an
    elimination that only adds, so that times of 1e15 steps keep their digits.
    """

    def __init__(self, chain, cores):
        self._deviation = float(np.sqrt(2 * float(chain.diffusion.temperature) * chain.dt))
        gradient = jax.jit(jax.vmap(chain.landscape.gradient))
        self._mean = lambda x: x - np.asarray(gradient(jnp.asarray(x)[:, None])[:, 0], np.float64) * chain.dt
        self._dt = chain.dt
        centers = [float(core.center[0]) for core in cores]
        self._starts = centers
        halves = [1 / abs(float(core.factor[0, 0])) for core in cores]
        # four times as far out as the core's edge, where the loss is four barriers high
        self._ends = (centers[0] - 4 * halves[0], centers[-1] + 4 * halves[-1])
        self._cores = [(center - half, center + half) for center, half in zip(centers, halves, strict=True)]

    def rates(self, start):
        """k_ij from minimum i = `start`, (K,), and E τ."""
        others = [core for number, core in enumerate(self._cores) if number != start]
        edges = sorted([*self._ends, *itertools.chain(*others)])
        panels = list(zip(edges[::2], edges[1::2], strict=True))
        unit, share = np.polynomial.legendre.leggauss(160)
        points = np.concatenate([low + (high - low) * (unit + 1) / 2 for low, high in panels])
        weights = np.concatenate([share * (high - low) / 2 for low, high in panels])
        means = np.concatenate([self._mean(points), self._mean(np.array([self._starts[start]]))])
        kernel = norm.pdf(points[None, :], means[:, None], self._deviation) * weights[None, :]
        hits = np.stack([_between(core, means, self._deviation) for core in self._cores], axis=1)
        hits[:, start] = 0
        right = np.concatenate([hits, np.ones((len(means), 1))], axis=1)
        found = _add_up(np.pad(kernel, ((0, 0), (0, 1))), hits.sum(axis=1), right)[-1]
        return found[:-1] / (found[-1] * self._dt), found[-1] * self._dt


def _between(core, means, deviation):
    """P(means + deviation·ξ in core), with relative accuracy on both sides."""
    low, high = ((end - means) / deviation for end in core)
    return np.where(low > 0, norm.sf(low) - norm.sf(high), norm.cdf(high) - norm.cdf(low))


def _add_up(kernel, out, right):
    """x = kernel x + right, where 1 − Σ kernel is `out`: elimination without a subtraction."""
    kernel, out, right, size = kernel.copy(), out.copy(), right.copy(), len(out)
    totals = np.zeros(size)
    for state in range(size):
        ahead = slice(state + 1, None)
        totals[state] = out[state] + kernel[state, ahead].sum()
        share = kernel[ahead, state] / totals[state]
        kernel[ahead, ahead] += np.outer(share, kernel[state, ahead])
        out[ahead] += share * out[state]
        right[ahead] += np.outer(share, right[state])
    for state in range(size - 1, -1, -1):
        right[state] = (right[state] + kernel[state, state + 1 :] @ right[state + 1 :]) / totals[state]
    return right
