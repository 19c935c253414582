"""The best score there is, the chance of success itself, from a grid in one or two dimensions."""

import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from .._errors import positive_number
from .._numerics import as_float64, bound, of_each
from ..diffusions import AbstractDiffusion
from ..reference import FokkerPlanck, Grid
from ..regions import AbstractRegion

_TINY = 1e-300


class GridScore(eqx.Module):
    """A function known at the cell centres of a grid, linear between them and constant beyond the outermost.

    values: of the grid's shape. low, spacing: (dim,), the box's lower corner and the cells' widths.
    Source: as of `committor`.
    """

    values: Float[Array | np.ndarray, "..."]
    low: Float[Array | np.ndarray, " dim"]
    spacing: Float[Array | np.ndarray, " dim"]

    def tabulating(self, function: Callable[[Float[Array, " dim"]], Any], widened: float = 1.0) -> "GridScore":
        """Another function on as many cells: a program that runs with this score runs with that one as it is.

        function: a PyTree, of θ of shape (dim,). widened: so many times as wide is its grid, about the same centre.
        Raises ValueError where the function is not finite at a cell centre.
        """
        counts, spacing = np.asarray(self.values.shape), self.spacing * widened
        low = self.low + counts * (self.spacing - spacing) / 2
        cells = np.moveaxis(np.indices(self.values.shape), 0, -1).reshape(-1, len(counts))
        with jax.enable_x64(True):
            centers = jnp.asarray(low + (cells + 0.5) * spacing)
            values = np.asarray(bound(of_each("__call__"), as_float64(function))(centers))
        if not np.all(np.isfinite(values)):
            raise ValueError("function must be finite at every cell centre of the score's grid")
        return GridScore(values.reshape(self.values.shape), low, spacing)

    def __call__(self, theta: Float[Array, " dim"]) -> Scalar:
        """The value at θ of shape (dim,), in θ's precision; NaN where θ is."""
        cells = self.values.shape
        if theta.shape != (len(cells),):
            raise ValueError(f"theta must have shape ({len(cells)},), got shape {theta.shape}")
        low, spacing, flat = (jnp.asarray(each, theta.dtype) for each in (self.low, self.spacing, self.values.ravel()))
        corner, parts = 0, []
        for axis, count in enumerate(cells):
            place = jnp.clip((theta[axis] - low[axis]) / spacing[axis] - 0.5, 0, count - 1)
            first = jnp.clip(jnp.floor(place), 0, count - 2)
            corner = corner * count + first.astype(jnp.int32)
            parts.append((1 - (place - first), place - first))
        total = jnp.zeros((), theta.dtype)
        for sides in itertools.product((0, 1), repeat=len(cells)):
            ahead, share = 0, jnp.ones((), theta.dtype)
            for count, side, part in zip(cells, sides, parts, strict=True):
                ahead, share = ahead * count + side, share * part[side]
            total = total + share * jnp.take(flat, corner + ahead, mode="clip")
        return total


def committor(
    diffusion: AbstractDiffusion,
    target: AbstractRegion,
    grid: Any,
    *,
    avoid: AbstractRegion | None = None,
    horizon: float | None = None,
) -> GridScore:
    """log P(reach `target` before `avoid`, and before an exponential time of mean `horizon`), tabulated.

    diffusion: one- or two-dimensional, with coefficients that do not depend on time.
    grid: as for `FokkerPlanck`: (low, high, cells), or one such triple per axis; 50 to 100 cells per axis serve, as
        long as the noise does not cross a cell in much less than a step's time.
    target: what is to be reached.
    avoid, horizon: those of the passage that is asked for, horizon in SDE time; at least one of them. Without a horizon
        the score is the committor. With one, it is flat where the motion equilibrates within the horizon, and rises
        from there on.

    The score is 0 in the target. It is lowest in `avoid`, and where less than 1e-300 is left of the probability. Its
    error is that of the diffusion's law on such a grid, of the order of one cell's width in place; what is estimated
    with it stays unbiased. Use it for splitting of a chain whose steps are small enough to be near the diffusion.

    Raises ValueError where neither `avoid` nor `horizon` is given, the grid misses the target, or the two sets or the
    diffusion do not suit `FokkerPlanck`.

    Source: that the committor is the optimal score of splitting: Bréhier, Lelièvre and Rousset, ESAIM: Probability and
    Statistics 19, 361 (2015).
    """
    solver = FokkerPlanck(diffusion, grid)
    if avoid is None and horizon is None:
        raise ValueError("horizon or avoid must be given, got neither: without an end every path reaches the target")
    if horizon is not None:
        positive_number("horizon", horizon)
    _check_target(target, solver.grid)
    chance = solver.committor(target, avoid, killing=0.0 if horizon is None else 1 / float(horizon)).values
    lowest = float(chance[chance > _TINY].min())
    return GridScore(np.log(np.maximum(chance, lowest)), np.asarray(solver.grid.low), np.asarray(solver.grid.spacing))


def _check_target(target: AbstractRegion, grid: Grid) -> None:
    if not isinstance(target, AbstractRegion):
        raise ValueError(f"target must be a region, such as regions.Ball(center, radius), got {target!r}")
    target.check(grid.dim)
    if not has_some(target, grid):
        raise ValueError(
            f"grid must have a cell centre in the target, got none from {grid.low} to {grid.high} in {grid.cells} cells"
        )


def has_some(target: AbstractRegion, grid: Grid) -> bool:
    """Whether a cell centre of the grid lies in the target."""
    centers = np.stack(np.meshgrid(*grid.centers, indexing="ij"), axis=-1).reshape(-1, grid.dim)
    return bool(np.any(np.asarray(bound(of_each("contains"), target)(jnp.asarray(centers)))))
