"""The reference solver that a person calls."""

from typing import Any

import equinox as eqx
import numpy as np
from scipy.interpolate import CubicSpline

from .._errors import number, numbers
from .._numerics import as_float64
from ..diffusions import AbstractDiffusion, refuse_if_changing
from ..regions import AbstractRegion
from . import _one_dimensional, _propagator, _two_dimensional
from ._evaluate import Between, Complement, coefficients, crossings, levels
from ._grid import Grid, GridFunction

# points on each axis that tell which part of a cell lies in a region, in one dimension and in two
_PARTS = {1: 32, 2: 6}


class FokkerPlanck(eqx.Module):
    """Numerically exact law of dX = b(X) dt + B(X) dW (Itô) in a box that reflects, in one or two dimensions.

    diffusion: coefficients that do not depend on time and have a positive variance on the whole grid.
    grid: a Grid, (low, high, cells), or one such triple per axis.

    The diffusion is replaced by a Markov chain on the grid's cells (finite volumes, exponentially fitted, so that no
    probability is ever negative); everything is float64. The error falls with the square of the spacing. In one
    dimension mean passage times and committors have only quadrature error, which is far smaller.
    Source: Scharfetter and Gummel 1969; Grassmann, Taksar and Heyman 1985 for the elimination in one dimension.

    Regions are sets with `level(theta)`, inside where it is below 0; their boundaries are placed where they lie
    between the cells. A part of a region thinner than a cell may go unseen. The box must be wide enough for the law
    in it to be the law in the whole space: its edges reflect.
    In two dimensions noise correlated beyond about 0.9 leaves little diffusion on the axes and needs finer cells.
    Raises ValueError for a diffusion that depends on time, is not of the grid's dimension, or has no positive
    variance somewhere on the grid; in two dimensions also where correlated noise does not fit the cells' shape.
    """

    diffusion: AbstractDiffusion
    grid: Grid = eqx.field(converter=Grid.of)

    def __check_init__(self):
        if not isinstance(self.diffusion, AbstractDiffusion):
            raise ValueError(f"diffusion must be a diffusion, such as LangevinSGD(...), got {self.diffusion!r}")
        if self.diffusion.dim > 2:
            raise ValueError(f"diffusion must have 1 or 2 dimensions for a grid solver, got {self.diffusion.dim}")
        if self.diffusion.dim != self.grid.dim:
            raise ValueError(f"grid must have {self.diffusion.dim} axes, the diffusion's, got {self.grid.dim}")
        refuse_if_changing(self.diffusion, "grid solvers", "simulate it with a horizon")
        centers = np.stack(np.meshgrid(*self.grid.centers, indexing="ij"), axis=-1).reshape(-1, self.grid.dim)
        drift, a = coefficients(self._double(), centers)
        if not (np.all(np.isfinite(drift)) and np.all(np.isfinite(a))):
            bad = centers[np.argmax(~np.all(np.isfinite(np.concatenate([drift, a.reshape(len(a), -1)], 1)), axis=1))]
            raise ValueError(
                f"diffusion must have finite coefficients on the grid, got one that is not at {bad.tolist()}"
            )
        variance = np.diagonal(a, axis1=1, axis2=2)
        if np.any(variance <= 0):
            bad = centers[np.argmax(np.any(variance <= 0, axis=1))]
            raise ValueError(f"diffusion must have a positive variance on the grid, got none at {bad.tolist()}")

    def stationary(self) -> np.ndarray:
        """p∞ as probability per volume, averaged over each cell: float64 array of the grid's shape."""
        if self.grid.dim == 1:
            ends = np.linspace(self.grid.low[0], self.grid.high[0], self.grid.cells[0] + 1)
            probability = _one_dimensional.stationary(self._on_line, ends)
        else:
            probability = _two_dimensional.stationary(self._edges(), int(np.prod(self.grid.cells)))
        return probability.reshape(self.grid.cells) / np.prod(self.grid.spacing)

    def stationary_probability(self, region: Any) -> float:
        """p∞ of a region: its share of the time in the long run. Its error falls with the square of the spacing.

        Where its edge crosses a cell, the part of the cell inside is taken.
        """
        region, parts = self._region("region", region), _PARTS[self.grid.dim]
        offsets = (np.arange(parts) + 0.5) / parts - 0.5
        inside = np.zeros(len(self._points()))
        for offset in np.stack(np.meshgrid(*[offsets] * self.grid.dim), axis=-1).reshape(-1, self.grid.dim):
            inside += levels(region, self._points() + offset * self.grid.spacing) < 0
        return float(self.stationary().reshape(-1) @ inside * np.prod(self.grid.spacing) / parts**self.grid.dim)

    def mean_exit_time(self, region: Any, start: Any = None) -> Any:
        """Mean time to leave `region`, in SDE time, as a GridFunction (0 outside), or a float for one `start` (dim,).

        Raises ValueError where the region holds no cell centre, or the whole box (no exit), or not the start.
        """
        return self._backward(self._region("region", region), "region", start, source=1.0)

    def mean_passage_time(self, target: Any, start: Any = None) -> Any:
        """Mean time to reach `target`, in SDE time, as a GridFunction (0 in it), or a float for one `start` (dim,).

        Raises ValueError where the target holds the whole box, or none of it, or the start.
        """
        return self._backward(Complement(self._region("target", target)), "complement of target", start, source=1.0)

    def committor(self, target: Any, avoid: Any = None, start: Any = None, *, killing: float = 0.0) -> Any:
        """P(reach `target` before `avoid`), as a GridFunction, or a float for one `start` (dim,).

        killing: rate per time at which the motion ends by itself: the probability is then that of reaching the target
            before an exponential time of mean 1/killing too, E exp(−killing·τ). Above 0, `avoid` may be None.
        Values at the cells keep their relative accuracy down to 1e-300.
        Raises ValueError where the two sets overlap, or together hold every cell of the box, or none.
        """
        number("killing", killing)
        if killing < 0 or (killing == 0 and avoid is None):
            raise ValueError(f"killing must be at least 0, and above 0 where no set is avoided, got {killing!r}")
        target = self._region("target", target)
        if avoid is None:
            return self._backward(Complement(target), "complement of target", start, 0.0, (target, None), killing)
        avoid, points = self._region("avoid", avoid), self._points()
        if np.any((levels(target, points) < 0) & (levels(avoid, points) < 0)):
            raise ValueError("target and avoid must not overlap, got cells that lie in both")
        name = "complement of target and avoid"
        return self._backward(Between(target, avoid), name, start, 0.0, (target, avoid), killing)

    def escape_probability(self, region: Any, start: Any, times: Any) -> np.ndarray:
        """P(X has left `region` by t) from `start` (dim,) at each of `times` (n_times,), SDE time above 0; float64.

        A first-passage probability; `theory.outside_probability` is that of being outside at t, which is smaller.

        The error in time is below 1e-6; the error of the grid falls with the square of its spacing.
        Raises ValueError for times that are not positive and as `mean_exit_time` does.
        """
        times = np.atleast_1d(numbers("times", times))
        if times.ndim != 1 or len(times) == 0 or not np.all(np.isfinite(times) & (times > 0)):
            raise ValueError(f"times must be finite numbers above 0 of shape (n_times,), got {times}")
        region, point = self._region("region", region), self.grid.start(start)
        self._check_start(region, "region", point)
        if self.grid.dim == 1:
            nodes, inside = self._nodes(region, "region", point)
            up, down = _one_dimensional.rates(self._on_line, self.grid.low[0], self.grid.high[0], nodes)
            return _one_dimensional.exit_probability(up, down, inside, int(np.argmin(np.abs(nodes - point[0]))), times)
        problem = self._exit(region, "region")
        weights = _weights(self.grid, problem.inside, point[None])[0]
        return np.clip(1 - _propagator.survival(problem.generator, weights[problem.inside], times), 0, 1)

    def spectral_gap(self) -> float:
        """Slowest rate at which the law approaches p∞: smallest real part of a nonzero eigenvalue of −Q, per time."""
        if self.grid.dim == 1:
            return _one_dimensional.spectral_gap(
                *_one_dimensional.rates(self._on_line, *self._ends(), self.grid.centers[0])
            )
        return _two_dimensional.spectral_gap(self._edges(), int(np.prod(self.grid.cells)))

    def generator(self) -> Any:
        """Q on the grid's cells, a SciPy sparse matrix: rates of at least 0 off the diagonal, rows that sum to 0."""
        count = int(np.prod(self.grid.cells))
        if self.grid.dim == 2:
            return self._edges().generator(count)
        up, down = _one_dimensional.rates(self._on_line, *self._ends(), self.grid.centers[0])
        cell = np.arange(count - 1)
        edges = _two_dimensional.Edges(
            np.concatenate([cell, cell + 1]),
            np.concatenate([cell + 1, cell]),
            np.concatenate([up[:-1], down[1:]]),
        )
        return edges.generator(count)

    def _double(self):
        diffusion = self.diffusion
        batch_size = getattr(diffusion, "batch_size", None)
        if isinstance(batch_size, int):
            # a Python integer would be compiled in, and each batch size of a sweep would compile again
            diffusion = eqx.tree_at(lambda tree: tree.batch_size, diffusion, np.asarray(float(batch_size)))
        return as_float64(diffusion)

    def _region(self, name, value):
        if not isinstance(value, AbstractRegion):
            raise ValueError(f"{name} must be a region, such as Ball(center, radius), got {value!r}")
        value.check(self.grid.dim)
        return as_float64(value)

    def _ends(self):
        return self.grid.low[0], self.grid.high[0]

    def _points(self):
        return np.stack(np.meshgrid(*self.grid.centers, indexing="ij"), axis=-1).reshape(-1, self.grid.dim)

    def _on_line(self, x):
        drift, a = coefficients(self._double(), x[:, None])
        if not np.all(a > 0):
            raise ValueError(f"diffusion must have a positive variance on the grid, got none near {x[np.argmin(a)]}")
        return drift[:, 0], a[:, 0, 0] / 2

    def _edges(self):
        return _two_dimensional.jumps(self._double(), self.grid)

    def _exit(self, region, name):
        problem = _two_dimensional.KilledChain(self._double(), self.grid, self._edges(), region)
        if not np.any(problem.inside):
            raise ValueError(f"{name} must hold at least one cell centre of the grid, got none")
        if len(problem.kill_at) == 0:
            raise ValueError(f"{name} must not cover the whole grid, got one that is never left")
        return problem

    def _check_start(self, region, name, point):
        if not levels(region, point[None])[0] < 0:
            raise ValueError(f"start must lie inside the {name}, got {point.tolist()}")

    def _nodes(self, region, name, point):
        """Nodes on the line with the region's ends and the start among them, and which of them are inside."""
        low, high = self._ends()
        centers = self.grid.centers[0]
        probes = np.unique(np.concatenate([[low], centers, [high], [] if point is None else point]))
        inside = levels(region, probes[:, None]) < 0
        if not np.any(inside):
            raise ValueError(f"{name} must hold at least one cell centre of the grid, got none")
        change = np.flatnonzero(inside[1:] != inside[:-1])
        if len(change) == 0:
            raise ValueError(f"{name} must not cover the whole grid, got one that is never left")
        first = np.where(inside[change], probes[change], probes[change + 1])
        second = np.where(inside[change], probes[change + 1], probes[change])
        ends = first + crossings(region, first[:, None], second[:, None]) * (second - first)
        special = ends if point is None else np.concatenate([ends, point])
        nodes = _one_dimensional.place_nodes(centers, self.grid.spacing[0], special)
        flags = levels(region, nodes[:, None]) < 0
        flags[np.isin(nodes, ends)] = False
        return nodes, flags

    def _backward(self, region, name, start, source, sets=None, killing=0.0):
        point = None if start is None else self.grid.start(start)
        if point is not None and sets is None:
            self._check_start(region, name, point)

        def boundary(points):
            if sets is None or len(points) == 0:
                return np.zeros(len(points))
            if sets[1] is None:
                return np.ones(len(points))
            return (levels(sets[0], points) <= levels(sets[1], points)).astype(np.float64)

        if self.grid.dim == 1:
            nodes, inside = self._nodes(region, name, point)
            up, down = _one_dimensional.rates(self._on_line, *self._ends(), nodes)
            outer = np.where(inside, 0.0, boundary(nodes[:, None]))
            values = _one_dimensional.solve(up, down, inside, np.full(len(nodes), source), outer, killing)
            if point is not None:
                return float(values[np.argmin(np.abs(nodes - point[0]))])
            interpolate = _on_nodes(nodes, values, inside)
            return GridFunction(self.grid, interpolate(self.grid.centers[0][:, None]), interpolate)
        problem = self._exit(region, name)
        values = problem.solve(np.full(problem.count, source), boundary(problem.kill_point), killing)
        values = np.where(problem.inside, values, boundary(self._points()))
        function = GridFunction(
            self.grid,
            values.reshape(self.grid.cells),
            lambda points: _weights(self.grid, problem.inside, points, dense=values),
        )
        return function if point is None else float(function(point))


def _on_nodes(nodes, values, inside):
    """Cubic within each piece of the region, ends included; constant beyond the outermost nodes."""
    pieces = []
    for first, last in _one_dimensional.segments(inside):
        a, b = max(first - 1, 0), min(last + 1, len(nodes) - 1)
        spline = CubicSpline(nodes[a : b + 1], values[a : b + 1]) if b - a >= 3 else None
        pieces.append((nodes[a], nodes[b], spline))

    def interpolate(points):
        x = np.clip(points[:, 0], nodes[0], nodes[-1])
        result = np.interp(x, nodes, values)
        for a, b, spline in pieces:
            if spline is not None:
                chosen = (x >= a) & (x <= b)
                result[chosen] = spline(x[chosen])
        return result

    return interpolate


def _weights(grid, inside, points, dense=None):
    """Interpolation on cells: cubic where all 16 cells around are inside, else linear.

    With `dense` (values on all cells) the interpolated values (n_points,), else the weights (n_points, n_cells).
    """
    inside = inside.reshape(grid.cells)
    rows = []
    for point in points:
        place = [(p - low) / h - 0.5 for p, low, h in zip(point, grid.low, grid.spacing, strict=True)]
        for width in (4, 2):
            base = [
                int(np.clip(np.floor(s) - width // 2 + 1, 0, n - width)) for s, n in zip(place, grid.cells, strict=True)
            ]
            block = tuple(slice(b, b + width) for b in base)
            if width == 2 or np.all(inside[block]):
                break
        one, two = (_lagrange(s - b, width) for s, b in zip(place, base, strict=True))
        weight = np.outer(one, two)
        if dense is None:
            row = np.zeros(grid.cells)
            row[block] = weight
            rows.append(row.ravel())
        else:
            rows.append(float((weight * dense.reshape(grid.cells)[block]).sum()))
    return np.array(rows)


def _lagrange(s, width):
    nodes = np.arange(width)
    return np.array([np.prod([(s - m) / (k - m) for m in nodes if m != k]) for k in nodes])
