"""The box on which a reference solver works, and functions given on its cells."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import numpy as np

from .._errors import concrete, positive_integer
from .._errors import point as point_of


class Grid(eqx.Module):
    """A box of equal cells in one or two dimensions; its edges reflect.

    low, high: corners of the box, a number in one dimension or one number per axis, low < high.
    cells: number of cells, at least 4 per axis.
    Raises ValueError where these do not fit together.
    """

    low: tuple[float, ...] = eqx.field(static=True, converter=lambda value: _axes("low", value))
    high: tuple[float, ...] = eqx.field(static=True, converter=lambda value: _axes("high", value))
    cells: tuple[int, ...] = eqx.field(static=True, converter=lambda value: _whole(value))

    def __check_init__(self):
        if not len(self.low) == len(self.high) == len(self.cells):
            raise ValueError(
                f"grid must have low, high and cells for the same axes, got {self.low}, {self.high}, {self.cells}"
            )
        if len(self.cells) not in (1, 2):
            raise ValueError(f"grid must have 1 or 2 axes, got {len(self.cells)}")
        for low, high, cells in zip(self.low, self.high, self.cells, strict=True):
            if not low < high:
                raise ValueError(f"grid must have low < high on every axis, got low = {low}, high = {high}")
            if cells < 4:
                raise ValueError(f"grid must have at least 4 cells per axis, got {cells}")

    @staticmethod
    def of(grid: Any) -> "Grid":
        """`grid` itself, or one made from (low, high, cells) or a sequence of those, one per axis; else ValueError."""
        if isinstance(grid, Grid):
            return grid
        try:
            axes = list(grid)
            if len(axes) == 3 and all(np.ndim(entry) == 0 for entry in axes):
                axes = [axes]
            low, high, cells = zip(*[tuple(axis) for axis in axes], strict=True)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"grid must be a Grid, (low, high, cells), or one such triple per axis, got {grid!r}"
            ) from error
        return Grid(low, high, cells)

    @property
    def dim(self) -> int:
        """Number of axes, 1 or 2."""
        return len(self.cells)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Width of a cell along each axis."""
        ends = zip(self.low, self.high, self.cells, strict=True)
        return tuple((high - low) / cells for low, high, cells in ends)

    @property
    def centers(self) -> tuple[np.ndarray, ...]:
        """Cell centres along each axis, float64 arrays of shape (cells,)."""
        return tuple(
            low + (np.arange(n) + 0.5) * h for low, n, h in zip(self.low, self.cells, self.spacing, strict=True)
        )

    def start(self, start: Any) -> np.ndarray:
        """`start` as a float64 array (dim,). Raises ValueError where it does not lie in the box."""
        known = concrete(start)
        if known is not None and known.ndim == 0 and self.dim == 1:
            start = known.reshape(1)
        point = point_of("start", start, self.dim)
        if not np.all((point >= self.low) & (point <= self.high)):
            raise ValueError(f"start must lie in the grid, from {self.low} to {self.high}, got {point.tolist()}")
        return point


class GridFunction(eqx.Module):
    """A function of θ known on the cells of a grid.

    values: float64 array of the grid's shape, the function at the cell centres.
    Calling it with θ of shape (..., dim) interpolates (cubic; linear in cells that a region's boundary cuts) and
    gives a float64 array of shape (...). Raises ValueError where a point lies outside the grid.
    """

    grid: Grid
    values: np.ndarray
    _interpolate: Callable[[np.ndarray], np.ndarray] = eqx.field(static=True)

    def __call__(self, theta: Any) -> np.ndarray:
        points = np.asarray(theta, dtype=np.float64)
        if points.ndim == 0 and self.grid.dim == 1:
            points = points[None]
        if points.ndim == 0 or points.shape[-1] != self.grid.dim:
            raise ValueError(f"theta must have shape (..., {self.grid.dim}), got shape {points.shape}")
        if not np.all((points >= self.grid.low) & (points <= self.grid.high)):
            raise ValueError(f"theta must lie in the grid, from {self.grid.low} to {self.grid.high}")
        return self._interpolate(points.reshape(-1, self.grid.dim)).reshape(points.shape[:-1])


def _axes(name, value):
    try:
        numbers = tuple(float(entry) for entry in np.atleast_1d(np.asarray(value, dtype=np.float64)))
    except (TypeError, ValueError) as error:
        raise ValueError(f"grid must have numbers for {name}, got {value!r}") from error
    if not np.all(np.isfinite(numbers)):
        raise ValueError(f"grid must have finite numbers for {name}, got {value!r}")
    return numbers


def _whole(value):
    entries = value if isinstance(value, tuple | list | np.ndarray) else (value,)
    for entry in entries:
        positive_integer("cells", entry)
    return tuple(int(entry) for entry in entries)
