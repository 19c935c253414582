"""Counts in bins and sums of an observable, on the devices between looks."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int32

from ..engine import LANES, Compiled, shard, shard_apply

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
    """table: counts in each row of the bins by groups. shifted: sums of y = f(θ) − f(start), then of its products.

    errors: what rounding took from `shifted`, to be added. finite: looks at a finite value.
    """

    table: Int32[Array, "rows groups"]
    shifted: Float[Array, "moments n"]
    errors: Float[Array, "moments n"]
    finite: Int32[Array, " n"]


def empty_sums(mesh: Mesh, bins: Bins, axes: int, states: Float[Array, "dim n"]) -> Sums:
    """The sums before the first look."""
    zeros = np.zeros((axes + axes * axes, states.shape[1]), states.dtype)
    table = np.zeros((bins.rows, GROUPS * mesh.size), np.int32)
    arrays = (table, zeros, zeros, np.zeros(states.shape[1], np.int32))
    return Sums(*(shard(mesh, array) for array in arrays))


def _sums(shared, states, live, *sums):
    observable, bins, origin, mesh = shared
    return shard_apply(mesh, _look, (observable, bins, origin), states, live, *sums)


def _look(shared, states, live, *sums) -> Sums:
    observable, bins, origin = shared
    old = Sums(*sums)
    values = jax.vmap(observable, 1, 1)(states)
    finite = jnp.all(jnp.isfinite(values), axis=0)
    group = jnp.arange(states.shape[1], dtype=jnp.int32) % GROUPS
    # a row beyond the table is dropped
    row = jnp.where(finite & live, bins.row(values), bins.rows)
    shifted = jnp.where(finite, values - jnp.asarray(origin, values.dtype)[:, None], 0)
    products = (shifted[:, None] * shifted[None]).reshape(-1, shifted.shape[1])
    total, errors = _add(old.shifted, old.errors, jnp.concatenate([shifted, products]))
    table = old.table.at[row, group].add(1, mode="drop")
    return Sums(table, total, errors, old.finite + finite.astype(jnp.int32))


def _add(total: Array, errors: Array, value: Array) -> tuple[Array, Array]:
    """A sum and the rounding error it has gathered (Neumaier 1974)."""
    after = total + value
    larger = jnp.abs(total) >= jnp.abs(value)
    lost = jnp.where(larger, (total - after) + value, (value - after) + total)
    return after, errors + lost


SUMS = Compiled(_sums)
"""A look. shared: (observable, bins, origin, mesh); then states, which lanes count, and the sums."""
