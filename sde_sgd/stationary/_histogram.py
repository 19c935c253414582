"""The density of an observable in the long run, its mean and its covariance: the public call."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from .._errors import concrete, fraction, shape_of
from ..chains import AbstractChain
from ..engine import Part, as_leaves, check_first_step, follow, place, resolve_ids, seed_key, start_states
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
    level: float = 0.95,
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
    level: coverage of the intervals, which come from the spread between groups of independent trajectories.

    Only counts and sums are kept: memory does not grow with the number of steps.
    Raises ValueError on a wrong shape or count, or an observable that is no such function.
    """
    if not isinstance(chain, AbstractChain):
        raise ValueError(f"chain must be a chain, such as EulerMaruyama(diffusion, dt), got {chain!r}")
    fraction("level", level)
    looks = in_window(chain, horizon, burn_in, every)
    ids = resolve_ids(trajectories, trajectory_ids)
    if len(ids) < 2:
        raise ValueError(f"trajectories must be at least 2, whose spread makes the intervals, got {len(ids)}")
    starts = start_states(start, chain.dim, len(ids))
    axes = _axes(observable, starts)
    table = _bins(bins, axes)
    check_first_step(chain, starts)
    watched: Observable = as_leaves(Observable(observable))
    origin = np.asarray(watched(jax.numpy.asarray(starts[0])))
    counts = np.zeros((table.rows, GROUPS), np.int64)
    sums, finite = np.zeros((axes + axes * axes, len(ids))), np.zeros(len(ids), np.int64)
    lock = threading.Lock()

    def visit(part: Part, number: int, states, carry):
        if carry is None:
            lanes = states.shape[1]
            live = place(part.mesh, np.arange(lanes) < part.used)
            carry = (live, empty_sums(part.mesh, table, axes, states))
        live, old = carry
        new = Sums(*SUMS.prepare((watched, table, origin, part.mesh))(states, live, *old))
        if (number + 1) % max(1, _FULL * GROUPS // states.shape[1]) == 0:
            new = _emptied(part, new)
        return live, new

    def _emptied(part: Part, now: Sums) -> Sums:
        with lock:
            counts[:] += np.asarray(now.table, np.int64).reshape(table.rows, part.mesh.size, GROUPS).sum(axis=1)
        return now._replace(table=place(part.mesh, np.zeros(now.table.shape, np.int32)))

    def finish(part: Part, carry):
        now = _emptied(part, carry[1])
        finite[part.rows] = np.asarray(now.finite)[: part.used]
        total = np.asarray(now.shifted, np.float64) + np.asarray(now.errors, np.float64)
        sums[:, part.rows] = total[:, : part.used]

    follow(chain, starts, ids, looks, seed_key(seed), visit, finish, chunk=chunk, devices=devices)
    time_step = float(np.asarray(chain.time_step))
    seen = _by_group(finite[None])[0].astype(np.int64)
    used = seen > 0
    if used.sum() < 2:
        raise ValueError(f"chain must stay finite, got {len(ids)} trajectories of which nearly all diverged")
    return Histogram(
        bins=table,
        counts=counts[:, used],
        sums=_by_group(sums)[:, used],
        looks=seen[used],
        origin=np.asarray(origin, np.float64),
        diverged=int(np.sum(finite < len(looks))),
        trajectories=len(ids),
        burn_in=(looks[0] - looks.step) * time_step,
        horizon=looks[-1] * time_step,
        every=looks.step * time_step,
        time_step=time_step,
        level=float(level),
        seed=int(seed),
    )


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
