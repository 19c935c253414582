"""Two dimensions: a Markov chain on the cells whose generator is a second-order, monotone form of b·∇ + ½a:∇∇.

The operator is written as a sum over directions, the two axes and the diagonal that has the sign of a_xy:
Σ ∂_d(D_d ∂_d f) + (b − ½ div a)·∇f. Each direction joins neighbouring cells; the drift goes into the axes by
exponential fitting. All rates are at least 0 where |a_xy| ≤ a_xx h_y/h_x and |a_xy| ≤ a_yy h_x/h_y; else the grid
is refused.
"""

from typing import Any, NamedTuple, cast

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import eigs, splu

from ._evaluate import coefficients, crossings, levels
from ._grid import Grid


class Edges(NamedTuple):
    """Jumps of a chain: from cell `origin` to cell `end` with `rate`, each (n_jumps,)."""

    origin: np.ndarray
    end: np.ndarray
    rate: np.ndarray

    def generator(self, count: int) -> sparse.csc_matrix:
        off = sparse.csc_matrix((self.rate, (self.origin, self.end)), shape=(count, count))
        return sparse.csc_matrix(off - sparse.diags(np.asarray(off.sum(axis=1)).ravel()))


def _bernoulli(z):
    """z/(e^z − 1)."""
    small = np.abs(z) < 1e-5
    safe = np.where(small, 1.0, np.clip(z, -700, 700))
    return np.where(small, 1 - z / 2, safe / np.expm1(safe))


def jumps(diffusion: Any, grid: Grid) -> Edges:
    """The chain on the grid's cells, reflecting at the box. Raises ValueError where a rate would be negative."""
    (h1, h2), (n1, n2) = grid.spacing, grid.cells
    x, y = grid.centers
    x_edges, y_edges = (
        low + np.arange(n + 1) * h for low, n, h in zip(grid.low, grid.cells, grid.spacing, strict=True)
    )

    def at(first, second):
        mesh = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1)
        drift, a = coefficients(diffusion, mesh.reshape(-1, 2))
        return drift.reshape(mesh.shape), a.reshape((*mesh.shape, 2))

    _, center = at(x, y)
    _, corner = at(x_edges, y_edges)
    check(center, grid, "cell centre")
    index = np.arange(n1 * n2).reshape(n1, n2)
    pieces = []
    for axis, (b, a) in enumerate((at(x_edges[1:-1], y), at(x, y_edges[1:-1]))):
        h, across = (h1, h2) if axis == 0 else (h2, h1)
        check(a, grid, "cell face")
        along = a[..., axis, axis] / 2 - np.abs(a[..., 0, 1]) * h / (2 * across)
        gradient = np.diff(center[..., axis, axis], axis=axis) / h
        cross = corner[1:-1, :, 0, 1] if axis == 0 else corner[:, 1:-1, 0, 1]
        drift = b[..., axis] - (gradient + np.diff(cross, axis=1 - axis) / across) / 2
        along = np.maximum(along, 1e-9 * a[..., axis, axis])
        push = drift * h / along
        behind = (index[:-1] if axis == 0 else index[:, :-1]).ravel()
        ahead = (index[1:] if axis == 0 else index[:, 1:]).ravel()
        pieces.append((behind, ahead, (along / h**2 * _bernoulli(-push)).ravel()))
        pieces.append((ahead, behind, (along / h**2 * _bernoulli(push)).ravel()))
    middle = corner[1:-1, 1:-1, 0, 1].ravel()
    for rate, one, other in (
        (np.maximum(middle, 0), index[:-1, :-1], index[1:, 1:]),
        (np.maximum(-middle, 0), index[:-1, 1:], index[1:, :-1]),
    ):
        used = rate > 0
        rate, one, other = rate[used] / (2 * h1 * h2), one.ravel()[used], other.ravel()[used]
        pieces += [(one, other, rate), (other, one, rate)]
    return Edges(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))


def check(a: np.ndarray, grid: Grid, where: str) -> None:
    """Raise ValueError unless a is positive on the axes and its off-diagonal fits the grid's ratio."""
    h1, h2 = grid.spacing
    cross = np.abs(a[..., 0, 1])
    slack = 1e-9 * (a[..., 0, 0] + a[..., 1, 1])
    bad = (cross * h1 > a[..., 0, 0] * h2 + slack * h2) | (cross * h2 > a[..., 1, 1] * h1 + slack * h1)
    if np.any(bad):
        worst = a[tuple(np.argwhere(bad)[0])]
        best = float(np.sqrt(worst[0, 0] / worst[1, 1]))
        raise ValueError(
            f"grid must have cells of which |a_xy| ≤ a_xx h_y/h_x and |a_xy| ≤ a_yy h_x/h_y, else no scheme on "
            f"neighbouring cells keeps probabilities positive; got h_x/h_y = {h1 / h2:.4g} "
            f"where a = {worst.tolist()} at a "
            f"{where}: take h_x/h_y near {best:.4g}, or rotate the coordinates to the principal axes of a"
        )


class KilledChain:
    """The chain killed where it leaves a region, with the region's boundary where it really is.

    A cell beside the boundary uses the true distances to it along every direction (Shortley and Weller 1938), with
    exponentially fitted and therefore positive rates; the solution stays second-order in the spacing.
    """

    def __init__(self, diffusion: Any, grid: Grid, edges: Edges, region: Any):
        self.grid, self.count = grid, int(np.prod(grid.cells))
        mesh = np.stack(np.meshgrid(*grid.centers, indexing="ij"), axis=-1).reshape(-1, 2)
        inside = levels(region, mesh) < 0
        self.inside = inside
        position = np.stack(np.unravel_index(np.arange(self.count), grid.cells), axis=-1)
        step = np.array(grid.spacing)
        cells = np.array(grid.cells)
        directions = np.array([(1, 0), (0, 1), (1, 1), (1, -1)])
        fraction = np.ones((self.count, 4, 2))
        neighbour = np.full((self.count, 4, 2), -1)
        kind = np.zeros((self.count, 4, 2), dtype=int)  # 0 a cell inside, 1 the region's boundary, 2 a reflecting wall
        for d, direction in enumerate(directions):
            for side, sign in enumerate((-1, 1)):
                target = position + sign * direction
                exists = np.all((target >= 0) & (target < cells), axis=1)
                number = np.ravel_multi_index(tuple(np.clip(target, 0, cells - 1).T), grid.cells)
                neighbour[:, d, side] = number
                kind[:, d, side] = np.where(exists, np.where(inside[number], 0, 1), 2)
                reach = np.where(exists, 1.0, 0.5 if d < 2 else 0.0)
                ends = mesh + (sign * reach)[:, None] * direction * step
                if d < 2:
                    wall = np.flatnonzero(inside & ~exists)
                    kind[wall[levels(region, ends[wall]) >= 0], d, side] = 1
                cut = np.flatnonzero(inside & (kind[:, d, side] == 1))
                fraction[cut, d, side] = reach[cut] * crossings(region, mesh[cut], ends[cut])
        self._assemble(diffusion, edges, mesh, directions * step, neighbour, kind, fraction)

    def _assemble(self, diffusion, edges, mesh, vectors, neighbour, kind, fraction):
        inside, grid = self.inside, self.grid
        (h1, h2) = grid.spacing
        cut = np.flatnonzero(inside & np.any(kind == 1, axis=(1, 2)))
        is_cut = np.zeros(self.count, dtype=bool)
        is_cut[cut] = True
        kept = inside[edges.origin] & ~is_cut[edges.origin]
        origin, end, rate = [edges.origin[kept]], [edges.end[kept]], [edges.rate[kept]]
        kill_at, kill_rate, kill_point = [], [], []
        drift, a = coefficients(diffusion, mesh[cut]) if len(cut) else (np.zeros((0, 2)), np.zeros((0, 2, 2)))
        cross = np.abs(a[:, 0, 1])
        strength = [
            (np.maximum(a[:, 0, 0] / 2 - cross * h1 / (2 * h2), 1e-9 * a[:, 0, 0]), drift[:, 0], h1),
            (np.maximum(a[:, 1, 1] / 2 - cross * h2 / (2 * h1), 1e-9 * a[:, 1, 1]), drift[:, 1], h2),
            (np.maximum(a[:, 0, 1], 0) / (2 * h1 * h2), 0 * cross, 1.0),
            (np.maximum(-a[:, 0, 1], 0) / (2 * h1 * h2), 0 * cross, 1.0),
        ]
        for d, (half_variance, push, h) in enumerate(strength):
            distance = fraction[cut, d] * h
            # a wall half a cell away reflects: as if the next cell were there, with nothing crossing
            distance = np.where(kind[cut, d] == 2, h, distance)
            for side, out in enumerate(fitted(half_variance, push, distance[:, 0], distance[:, 1])):
                sign = -1 if side == 0 else 1
                active = out > 0
                free = active & (kind[cut, d, side] == 0)
                origin.append(cut[free])
                end.append(neighbour[cut[free], d, side])
                rate.append(out[free])
                gone = active & (kind[cut, d, side] == 1)
                kill_at.append(cut[gone])
                kill_rate.append(out[gone])
                kill_point.append(mesh[cut[gone]] + (sign * fraction[cut[gone], d, side])[:, None] * vectors[d])
        self.kill_point = np.concatenate(kill_point)
        self.kill_at, self.kill_rate = np.concatenate(kill_at), np.concatenate(kill_rate)
        self.number = np.cumsum(inside) - 1
        self.size = int(inside.sum())
        self.origin = self.number[np.concatenate(origin)]
        self.end = self.number[np.concatenate(end)]
        self.rate = np.concatenate(rate)
        self.kill = np.bincount(self.number[self.kill_at], self.kill_rate, self.size)
        off = sparse.csc_matrix((self.rate, (self.origin, self.end)), shape=(self.size, self.size))
        self.generator = sparse.csc_matrix(off - sparse.diags(np.asarray(off.sum(axis=1)).ravel() + self.kill))

    def solve(self, source: np.ndarray, kill_value: np.ndarray, killing: float = 0.0) -> np.ndarray:
        """f on all cells with (killing − Q)f = source inside, f = kill_value (n_kills,) at the boundary, 0 outside."""
        right = source[self.inside] + np.bincount(self.number[self.kill_at], self.kill_rate * kill_value, self.size)
        factors = splu(sparse.csc_matrix(killing * sparse.identity(self.size) - self.generator))
        f = factors.solve(right)
        for _ in range(3):
            # differences of neighbours are nearly exact, so long times survive where a plain residual loses them
            flow = np.bincount(self.origin, self.rate * (f[self.origin] - f[self.end]), self.size)
            f = f + factors.solve(right - flow - (self.kill + killing) * f)
        result = np.zeros(self.count)
        result[self.inside] = f
        return result


def fitted(half_variance, drift, behind, ahead):
    """Rates (back, on) of the chain with the exit law of a constant-coefficient motion from (−behind, ahead)."""
    safe = np.where(half_variance > 0, half_variance, 1.0)
    push = drift / safe
    back_scale, on_scale = behind / _bernoulli(push * behind), ahead / _bernoulli(-push * ahead)
    on = back_scale / (back_scale + on_scale)
    small = np.abs(push) * (behind + ahead) < 1e-4
    plain = behind * ahead / (2 * safe) * (1 + push * (ahead - behind) / 3)
    time = np.where(small, plain, (on * ahead - (1 - on) * behind) / np.where(small, 1.0, drift))
    present = half_variance > 0
    return np.where(present, (1 - on) / time, 0), np.where(present, on / time, 0)


def stationary(edges: Edges, count: int) -> np.ndarray:
    """Probability of each cell under the chain's stationary law, (count,)."""
    transposed = sparse.csc_matrix(edges.generator(count).T)
    reference = _typical(edges, count)
    others = np.flatnonzero(np.arange(count) != reference)
    flow = -transposed[:, [reference]].toarray().ravel()[others]
    p = np.ones(count)
    p[others] = splu(sparse.csc_matrix(transposed[others][:, others])).solve(flow)
    p = np.maximum(p, 0)
    return p / p.sum()


def _typical(edges, count):
    """A cell where the stationary law is not small: solving relative to it keeps all numbers in range."""
    shift = 1e-7 * np.bincount(edges.origin, edges.rate, count).max()
    matrix = sparse.csc_matrix(shift * sparse.identity(count) - edges.generator(count).T)
    factors = splu(matrix)
    p = np.full(count, 1 / count)
    for _ in range(5):
        p = factors.solve(p)
        p = p / p.sum()
    return int(np.argmax(p))


def _eigenpairs(operator: Any, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four eigenvalues of largest magnitude, (4,), and their vectors, (n, 4)."""
    values, vectors = cast(Any, eigs(operator, k=4, which="LM", v0=start))
    return values, vectors


def spectral_gap(edges: Edges, count: int) -> float:
    """Smallest real part of the nonzero eigenvalues of −Q."""
    generator = edges.generator(count)
    fastest = np.bincount(edges.origin, edges.rate, count).max()
    shift = 1e-10 * fastest
    factors = splu(sparse.csc_matrix(shift * sparse.identity(count) - generator))
    operator = sparse.linalg.LinearOperator((count, count), matvec=factors.solve, dtype=np.float64)  # pyright: ignore
    start = np.random.default_rng(0).standard_normal(count)
    values, right = _eigenpairs(operator, start)
    order = np.argsort(-np.abs(values))[1:]
    decay = 1 / values[order] - shift
    best = int(np.argmin(decay.real))
    if abs(decay[best].imag) > 1e-8 * abs(decay[best]):
        return float(decay[best].real)
    vector = np.real(right[:, order[best]])
    backward = sparse.linalg.LinearOperator(  # pyright: ignore
        (count, count), matvec=lambda v: factors.solve(v, trans="T"), dtype=np.float64
    )
    values_left, left = _eigenpairs(backward, start)
    dual = np.real(left[:, int(np.argmin(np.abs(values_left - values[order[best]])))])
    # a two-sided quotient from differences of neighbours: its error is the product of the two vectors' errors
    rise = np.bincount(edges.origin, edges.rate * (vector[edges.origin] - vector[edges.end]), count)
    return float(dual @ rise / (dual @ vector))
