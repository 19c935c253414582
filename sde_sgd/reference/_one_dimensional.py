"""One dimension: the birth–death chain whose mean passage times and splitting probabilities are those of the diffusion.

With D = a/2, Φ' = −b/D, scale density e^Φ and speed density e^{−Φ}/D, a chain on nodes x_i gets the rates
1/(M_i r_{i±1/2}), r the integral of the scale density between neighbours and M_i the integral of the speed density
against the probability of hitting x_i before its neighbours. That is exponential fitting (Scharfetter and Gummel
1969) with the variable D of an Itô equation in its right place. Nodes may lie anywhere, so a region's boundary and
the start are nodes. Elimination never subtracts (Grassmann, Taksar and Heyman 1985), so times of any length keep
their digits.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import get_lapack_funcs
from scipy.sparse.linalg import LinearOperator, eigsh
from scipy.special import logsumexp

Coefficients = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

_ORDER = 6
_POINTS = (np.polynomial.legendre.leggauss(_ORDER)[0] + 1) / 2
_WEIGHTS = np.polynomial.legendre.leggauss(_ORDER)[1] / 2


def _integration_matrix():
    """A[j, k] = ∫_0^{c_j} of the k-th Lagrange polynomial on the Gauss points c."""
    powers = np.vander(_POINTS, increasing=True)
    integrals = _POINTS[:, None] ** np.arange(1, _ORDER + 1) / np.arange(1, _ORDER + 1)
    return integrals @ np.linalg.inv(powers)


_INTEGRATE = _integration_matrix()


class _Pieces:
    """Φ and D inside each piece of a partition: `phi` from the left end, `rise` over the whole piece."""

    def __init__(self, coefficients: Coefficients, ends: np.ndarray):
        self.width = np.diff(ends)
        points = ends[:-1, None] + self.width[:, None] * _POINTS
        drift, half_variance = (value.reshape(points.shape) for value in coefficients(points.ravel()))
        self.half_variance = half_variance
        slope = -drift / half_variance
        # a piece over which e^Φ changes by e^600 is far beyond what any grid could resolve
        self.phi = np.clip(self.width[:, None] * (slope @ _INTEGRATE.T), -600, 600)
        self.rise = np.clip(self.width * (slope @ _WEIGHTS), -600, 600)


def stationary(coefficients: Coefficients, ends: np.ndarray) -> np.ndarray:
    """Probability of each cell between `ends` (n + 1,) under p∞ ∝ e^{−Φ}/D, shape (n,)."""
    piece = _Pieces(coefficients, ends)
    left = np.concatenate([[0.0], np.cumsum(piece.rise)[:-1]])
    logs = np.log(_WEIGHTS * piece.width[:, None]) - piece.phi - np.log(piece.half_variance) - left[:, None]
    log_mass = logsumexp(logs, axis=1)
    return np.exp(log_mass - logsumexp(log_mass))


def rates(coefficients: Coefficients, low: float, high: float, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rates (up, down), each (n,), of the chain on `nodes` (n,) in [low, high]; up[-1] = down[0] = 0."""
    piece = _Pieces(coefficients, np.concatenate([[low], nodes, [high]]))
    weights = _WEIGHTS * piece.width[:, None]
    scale = np.exp(piece.phi)
    from_left = (weights * scale).sum(axis=1)
    from_right = (weights * np.exp(piece.phi - piece.rise[:, None])).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        reached = piece.width[:, None] * (scale @ _INTEGRATE.T) / from_left[:, None]
    reached = np.clip(np.nan_to_num(reached), 0, 1)
    # beyond the outermost nodes there is nothing but reflection: the end pieces belong to them whole
    reached[0], reached[-1] = 1, 0
    to_left = (weights * (1 - reached) / scale / piece.half_variance).sum(axis=1)
    to_right = (weights * reached * np.exp(piece.rise[:, None] - piece.phi) / piece.half_variance).sum(axis=1)
    mass = to_right[:-1] + to_left[1:]
    up = np.zeros(len(nodes))
    down = np.zeros(len(nodes))
    # a rate too small for a float is none
    with np.errstate(over="ignore"):
        up[:-1] = 1 / (mass[:-1] * from_left[1:-1])
        down[1:] = 1 / (mass[1:] * from_right[1:-1])
    return up, down


def place_nodes(centers: np.ndarray, spacing: float, special: np.ndarray) -> np.ndarray:
    """`centers` with each `special` point made a node: in place of a node close by, else between two."""
    distance = np.abs(centers[:, None] - special[None, :]).min(axis=1, initial=np.inf)
    return np.unique(np.concatenate([centers[distance > 0.3 * spacing], special]))


def solve(up, down, inside, source, boundary, killing: float = 0.0) -> np.ndarray:
    """f with (killing − Q)f = source where `inside`, f = boundary elsewhere; all (n,), and nothing below 0."""
    result = np.array(boundary, dtype=np.float64)
    for first, last in segments(inside):
        u, d = up[first : last + 1].tolist(), down[first : last + 1].tolist()
        c = np.asarray(source, np.float64)[first : last + 1].tolist()
        k = [killing] * len(u)
        k[0] += d[0]
        c[0] += d[0] * (result[first - 1] if first else 0.0)
        k[-1] += u[-1]
        c[-1] += u[-1] * (result[last + 1] if last + 1 < len(result) else 0.0)
        u[-1] = 0.0
        for i in range(len(u) - 1):
            ratio = d[i + 1] / (u[i] + k[i])
            k[i + 1] += ratio * k[i]
            c[i + 1] += ratio * c[i]
        value = 0.0
        for i in range(len(u) - 1, -1, -1):
            value = (c[i] + u[i] * value) / (u[i] + k[i])
            result[first + i] = value
    return result


def segments(inside: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each run of True."""
    change = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(change[::2], change[1::2], strict=True)]


def exit_probability(up, down, inside, start: int, times: np.ndarray, contour: int = 24) -> np.ndarray:
    """P(left the `inside` nodes by t) from node `start` at each of `times` (n_times,).

    The Laplace transform E e^{−sτ} comes from one elimination; it is inverted on the cotangent contour of Trefethen,
    Weideman and Schmelzer (2006), which suits a real spectrum: error about 3.89^−contour, at rounding level for 24.
    """
    angle = (np.arange(contour // 2) * 2 + 1) * np.pi / contour
    z = contour * (0.5017 * angle / np.tan(0.6407 * angle) - 0.6122 + 0.2645j * angle)
    slope = 0.5017 / np.tan(0.6407 * angle) - 0.5017 * 0.6407 * angle / np.sin(0.6407 * angle) ** 2 + 0.2645j
    s = (z[None, :] / times[:, None]).ravel()
    first, last = next(run for run in segments(inside) if run[0] <= start <= run[1])
    killed, arrived = s.copy(), np.zeros_like(s)
    for forward, backward, nodes, wall in (
        (up, down, range(first, start), first > 0),
        (down, up, range(last, start, -1), last + 1 < len(up)),
    ):
        total, hit = (np.ones_like(s), np.ones_like(s)) if wall else (np.zeros_like(s), np.zeros_like(s))
        # `total` and `hit` are shares, per unit rate into the eliminated side, of what does not come back
        for i in nodes:
            lost = s + backward[i] * total
            reach = 1 / (forward[i] + lost)
            total, hit = lost * reach, backward[i] * hit * reach
        killed += backward[start] * total
        arrived += backward[start] * hit
    transform = (arrived / killed).reshape(len(times), -1)
    return np.clip(2 * (np.exp(z) * slope / z * transform).imag.sum(axis=1), 0, 1)


def spectral_gap(up: np.ndarray, down: np.ndarray) -> float:
    """Smallest nonzero decay rate of the chain.

    The nonzero spectrum is that of the dual chain on the edges (Siegmund 1976), which is killed at both ends and so
    can be inverted without subtraction: the gap keeps its digits however small it is.
    """
    dual_up, dual_down = down[1:], up[:-1]
    killed, pivot = dual_down[0], np.zeros(len(dual_up))
    for i in range(len(pivot)):
        pivot[i] = dual_up[i] + killed
        if i + 1 < len(pivot):
            killed = dual_down[i + 1] * killed / pivot[i]
    side = np.sqrt(dual_up[:-1] * dual_down[1:])
    ones, none = np.arange(1, len(pivot) + 1, dtype=np.int32), np.zeros(max(len(pivot) - 2, 0))

    solve_factored: Any = get_lapack_funcs("gttrs", (pivot,))

    def inverse(vector):
        return solve_factored(-side / pivot[:-1], pivot, -side, none, ones, np.ravel(vector))[0]

    operator = LinearOperator((len(pivot), len(pivot)), matvec=inverse, dtype=np.float64)  # pyright: ignore
    start = np.ones(len(pivot))
    return float(1 / eigsh(operator, k=1, which="LM", v0=start, return_eigenvectors=False)[0])
