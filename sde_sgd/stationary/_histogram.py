"""The density of an observable in the long run, its mean and its covariance: the public call."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import concrete, fraction, shape_of
from ..chains import AbstractChain
from ..engine import Part, as_leaves, check_first_step, observe, resolve_ids, seed_key, shard, start_states
from ._bins import GROUPS, SUMS, Bins, Observable, Sums, empty_sums
from ._density import Histogram
from ._schedule import in_window

# a table is emptied into 64-bit counts on the host before one of its numbers could pass 2³¹
_FULL = 2**30


def histogram(
    chain: AbstractChain,
    start: Any,
    observable: Callable[..., Any] | None = None,
    bins: Any = None,
    *,
    horizon: Any,
    burn_in: Any = None,
    every: Any = None,
    trajectories: int | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    trajectory_ids: Any = None,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
) -> Histogram:
    """Density, mean and covariance of an observable over the time from `burn_in` to `horizon`.

    chain: any chain. start: (dim,) for all trajectories, or (trajectories, dim).
    observable: a JAX function of θ with one value, or two of shape (2,); None for θ itself in dim 1 or 2.
    bins: (low, high, number) of equal bins, or two of these for two values. Values outside are counted by themselves.
    horizon, burn_in, every: SDE times of the window and between looks, as in `occupancy`.
    trajectories, seed, trajectory_ids, chunk, devices: as in `simulate`; the last two change no count.
    confidence: coverage of the intervals, which come from the spread between groups of independent trajectories.

    Only counts and sums are kept: memory does not grow with the number of steps.
    Raises ValueError on a wrong shape or count, or an observable that is no such function.
    """
    if not isinstance(chain, AbstractChain):
        raise ValueError(f"chain must be a chain, such as EulerMaruyama(diffusion, dt), got {chain!r}")
    fraction("confidence", confidence)
    looks = in_window(chain, horizon, burn_in, every)
    ids = resolve_ids(trajectories, trajectory_ids)
    if len(ids) < 2:
        raise ValueError(f"trajectories must be at least 2, whose spread makes the intervals, got {len(ids)}")
    starts = start_states(start, chain, len(ids))
    table = _bins(bins, _axes(observable, starts))
    check_first_step(chain, starts)
    run = _Run(Observable(observable), table, starts)
    observe(chain, starts, ids, looks, seed_key(seed), run.visit, run.finish, chunk=chunk, devices=devices)
    time_step = float(np.asarray(chain.time_step))
    return Histogram(
        **run.groups(),
        bins=table,
        origin=np.asarray(run.origin, np.float64),
        diverged=int(np.sum(run.finite < len(looks))),
        trajectories=len(ids),
        burn_in=(looks[0] - looks.step) * time_step,
        horizon=looks[-1] * time_step,
        every=looks.step * time_step,
        time_step=time_step,
        confidence=float(confidence),
        seed=int(seed),
    )


class _Run:
    """What has been counted so far. The parts of a run each fill rows of their own, but share the table."""

    def __init__(self, observable: Observable, bins: Bins, starts: np.ndarray):
        self.observable, self.bins, self.axes = as_leaves(observable), bins, len(bins.shape)
        self.origin = np.asarray(self.observable(jnp.asarray(starts[0])))
        self.counts = np.zeros((bins.rows, GROUPS), np.int64)
        self.sums = np.zeros((self.axes + self.axes**2, len(starts)))
        self.finite = np.zeros(len(starts), np.int64)
        self.lock = threading.Lock()

    def visit(self, part: Part, number: int, states: Any, carry: Any) -> Any:
        lanes = states.shape[1]
        if carry is None:
            live = shard(part.mesh, np.arange(lanes) < part.used)
            carry = (live, empty_sums(part.mesh, self.bins, self.axes, states))
        live, sums = carry
        look = SUMS.prepare((self.observable, self.bins, self.origin, part.mesh))
        sums = Sums(*look(states, live, *sums))
        if (number + 1) % max(1, _FULL * GROUPS // lanes) == 0:
            sums = self._empty_table(part, sums)
        return live, sums

    def finish(self, part: Part, carry: Any) -> None:
        sums = self._empty_table(part, carry[1])
        self.finite[part.rows] = np.asarray(sums.finite)[: part.used]
        total = np.asarray(sums.shifted, np.float64) + np.asarray(sums.errors, np.float64)
        self.sums[:, part.rows] = total[:, : part.used]

    def groups(self) -> dict[str, np.ndarray]:
        """Counts, sums and looks of the groups that hold a trajectory; ValueError where fewer than two do."""
        looks = _by_group(self.finite[None])[0].astype(np.int64)
        used = looks > 0
        if used.sum() < 2:
            raise ValueError(f"chain must stay finite, got {len(self.finite)} trajectories that nearly all diverged")
        return {"counts": self.counts[:, used], "sums": _by_group(self.sums)[:, used], "looks": looks[used]}

    def _empty_table(self, part: Part, sums: Sums) -> Sums:
        table = np.asarray(sums.table, np.int64).reshape(self.bins.rows, part.mesh.size, GROUPS)
        with self.lock:
            self.counts += table.sum(axis=1)
        return sums._replace(table=shard(part.mesh, np.zeros(sums.table.shape, np.int32)))


def _by_group(values: np.ndarray) -> np.ndarray:
    """Sums over the trajectories of each group, (rows, n) to (rows, 64)."""
    group = np.arange(values.shape[1]) % GROUPS
    return np.stack([np.bincount(group, row, GROUPS) for row in values])


def _axes(observable: Any, starts: np.ndarray) -> int:
    point = jax.ShapeDtypeStruct(starts.shape[1:], starts.dtype)
    shape = point.shape if observable is None else shape_of("observable", observable, point)
    if shape not in ((), (1,), (2,)):
        raise ValueError(f"observable must have one value or two, of shape (2,), got shape {shape}")
    return 1 if shape == () else shape[0]


def _bins(given: Any, axes: int) -> Bins:
    array = concrete(given)
    if array is not None and array.shape == (3,) and axes == 1:
        array = array[None]
    if array is None or array.shape != (axes, 3) or not np.all(np.isfinite(array)):
        wanted = "(low, high, number)" if axes == 1 else "two of (low, high, number)"
        raise ValueError(f"bins must be {wanted}, got {given!r}")
    low, high, number = np.asarray(array, np.float64).T
    if np.any(high <= low) or np.any(number < 1) or np.any(number % 1):
        raise ValueError(f"bins must have low < high and a whole number of bins, got {given!r}")
    return Bins(low, high, tuple(int(count) for count in number))
