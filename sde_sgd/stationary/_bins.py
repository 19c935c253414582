"""Streaming counts in bins and compensated sums (Neumaier) of an observable."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from ..engine import LANES, AbstractReduction

# trajectories are counted in as many groups, by their number; every device's lanes are a multiple of that
GROUPS = LANES


class Observable(eqx.Module):
    """A function of θ with one or two values, or the state itself."""

    fn: Callable[..., Any] | None

    def __call__(self, theta: Float[Array, " dim"]) -> Float[Array, " axes"]:
        return theta if self.fn is None else jnp.atleast_1d(jnp.asarray(self.fn(theta), theta.dtype))


class Bins(eqx.Module):
    """Equal bins on each axis from `low` up to `high`; the rows of a table of counts.

    Behind those of the bins, in C order, come two rows for each axis, of values below and above its range.
    """

    low: Float[np.ndarray, " axes"]
    high: Float[np.ndarray, " axes"]
    shape: tuple[int, ...] = eqx.field(static=True)

    @property
    def inside(self) -> int:
        """How many bins there are."""
        return int(np.prod(self.shape))

    @property
    def rows(self) -> int:
        """Rows of a table of counts."""
        return self.inside + 2 * len(self.shape)

    def name(self, row: int) -> str:
        """Where a row's values lie, in words."""
        if row >= self.inside:
            axis, above = divmod(row - self.inside, 2)
            return f"above {self.high[axis]:.4g}" if above else f"below {self.low[axis]:.4g}"
        widths = (self.high - self.low) / self.shape
        starts = self.low + np.array(np.unravel_index(row, self.shape)) * widths
        return " × ".join(
            f"from {start:.4g} to {start + width:.4g}" for start, width in zip(starts, widths, strict=True)
        )

    def row(self, values: Float[Array, "axes n"]) -> Int32[Array, " n"]:
        """The row of each value; one outside on several axes is counted on the first."""
        low, high = (jnp.asarray(end, values.dtype)[:, None] for end in (self.low, self.high))
        count = jnp.asarray(self.shape, jnp.int32)[:, None]
        place = jnp.floor((values - low) / (high - low) * count)
        index = jnp.clip(place, 0, count - 1).astype(jnp.int32)
        row = jnp.zeros(values.shape[1], jnp.int32)
        for axis, size in enumerate(self.shape):
            row = row * size + index[axis]
        for axis in reversed(range(len(self.shape))):
            row = jnp.where(values[axis] < low[axis], self.inside + 2 * axis, row)
            row = jnp.where(values[axis] >= high[axis], self.inside + 2 * axis + 1, row)
        return row


class Sums(NamedTuple):
    """table: counts in each row of the bins by groups, a total; those of the second half of the looks in further rows.

    Of each trajectory: `shifted`, sums of y = f(θ) − origin, then of its products; `errors`, what rounding took from
    these, to be added; `finite`, looks at a finite value; `last`, θ at the last look, where it is kept.
    """

    table: Int32[Array, "two_rows groups"]
    shifted: Float[Array, "moments n"]
    errors: Float[Array, "moments n"]
    finite: Int32[Array, " n"]
    last: Float[Array, "dim n"]


class BinnedSums(AbstractReduction):
    """Counts in bins by groups of trajectories, and sums of first and second powers.

    origin: (axes,) what is taken from values before they are summed, so that their spread keeps its digits.
    half: the look at which the second half of them begins. keeps_last: whether θ at the last look is kept.
    """

    observable: Observable
    bins: Bins
    origin: Float[np.ndarray, " axes"]
    half: int
    keeps_last: bool = eqx.field(static=True, default=True)

    def init(self, thetas):
        axes, lanes = len(self.bins.shape), thetas.shape[1]
        zeros = jnp.zeros((axes + axes * axes, lanes), thetas.dtype)
        table = jnp.zeros((2 * self.bins.rows, GROUPS), jnp.int32)
        return Sums(table, zeros, zeros, jnp.zeros(lanes, jnp.int32), self._kept(thetas))

    def update(self, carry, thetas, live, look):
        values = jax.vmap(self.observable, 1, 1)(thetas)
        finite = jnp.all(jnp.isfinite(values), axis=0)
        group = jnp.arange(thetas.shape[1], dtype=jnp.int32) % GROUPS
        # a row beyond the table is dropped
        row = self.bins.row(values) + jnp.where(look < self.half, 0, self.bins.rows)
        row = jnp.where(finite & live, row, 2 * self.bins.rows)
        shifted = jnp.where(finite, values - jnp.asarray(self.origin, values.dtype)[:, None], 0)
        products = (shifted[:, None] * shifted[None]).reshape(-1, shifted.shape[1])
        total, errors = _add(carry.shifted, carry.errors, jnp.concatenate([shifted, products]))
        table = carry.table.at[row, group].add(1, mode="drop")
        return Sums(table, total, errors, carry.finite + finite.astype(jnp.int32), self._kept(thetas))

    def _kept(self, thetas: Array) -> Array:
        return thetas if self.keeps_last else thetas[:0]

    def result(self, carry, times):
        """Counts (2, rows, 64) in each half, sums (moments, 64) and looks (64,) of each group of trajectories."""
        total = np.asarray(carry.shifted, np.float64) + np.asarray(carry.errors, np.float64)
        counts = np.asarray(carry.table, np.int64).reshape(2, self.bins.rows, GROUPS)
        return counts, _by_group(total), _by_group(carry.finite[None])[0].astype(np.int64)


def _add(total: Array, errors: Array, value: Array) -> tuple[Array, Array]:
    """A sum and the rounding error it has gathered (Neumaier 1974)."""
    after = total + value
    larger = jnp.abs(total) >= jnp.abs(value)
    lost = jnp.where(larger, (total - after) + value, (value - after) + total)
    return after, errors + lost


def _by_group(values: np.ndarray) -> np.ndarray:
    """Sums over the trajectories of each group, (rows, n) to (rows, 64)."""
    group = np.arange(values.shape[1]) % GROUPS
    return np.stack([np.bincount(group, row, GROUPS) for row in values])
