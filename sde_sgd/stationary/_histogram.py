"""The density of an observable in the long run, its mean and its covariance: the public call."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _progress
from .._errors import concrete, fraction, names_options, shape_of
from ..chains import AbstractChain
from ..engine import check_chain, observation_steps, trajectories_of
from ._bins import BinnedSums, Bins, Observable
from ._density import Histogram
from ._unvisited import can_be_explored, unvisited


@names_options
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
    seed: Any = 0,
    confidence: float = 0.95,
    trajectory_ids: Any = None,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool | None = None,
) -> Histogram:
    """Density, mean and covariance of an observable over the time from `burn_in` to `horizon`.

    chain: any chain. start: θ of shape (dim,) for all trajectories, or (trajectories, dim).
    observable: a JAX function of θ with one value, or two of shape (2,); None for θ itself in dim 1 or 2.
    bins: (low, high, number) of equal bins, or two of these for two values. Values outside are counted by themselves.
    horizon, burn_in, every: SDE times of the window and between looks, as in `occupancy`.
    trajectories, seed, trajectory_ids, chunk, devices: as in `simulate`; the last two change no count.
    confidence: coverage of the intervals, which are Student's t over groups of independent trajectories (for mean and
        covariance the jackknife's, Efron and Tibshirani 1993, chapter 11), and so valid whatever the correlation in
        time.
    progress: whether to show a line of progress; by default in a terminal and in a notebook.

    Only counts and sums are kept: memory does not grow with the number of steps. The status is `not converged` where
    masses differ between the halves of the window by more than chance allows, or halves of trajectories differ as if
    none had seen all of the law.
    Raises ValueError on a wrong shape or count, or an observable that is no such function.
    """
    began = time.perf_counter()
    check_chain(chain)
    fraction("confidence", confidence)
    steps = observation_steps(chain, None, horizon, burn_in, every)
    assert isinstance(steps, range)
    runs = trajectories_of(chain, start, trajectories, trajectory_ids, seed, chunk, devices)
    if len(runs.ids) < 2:
        raise ValueError(f"trajectories must be at least 2, whose spread makes the intervals, got {len(runs.ids)}")
    table, of_theta = _bins(bins, _axes(observable, runs.origin)), Observable(observable)
    sums = BinnedSums(
        of_theta, table, np.asarray(of_theta(jnp.asarray(runs.origin))), len(steps) // 2, can_be_explored(chain)
    )
    with _progress.shown(progress, "histogram"):
        carry, _ = runs.reduce(sums, steps)
        around = unvisited(chain, runs.origin, np.asarray(carry.last), jax.vmap(of_theta))
    time_step = float(np.asarray(chain.time_step))
    counts, moments, looks = sums.result(carry, np.array(steps) * time_step)
    used = looks > 0
    return Histogram(
        bins=table,
        counts=counts.sum(axis=0)[:, used],
        early=counts[0][:, used],
        sums=moments[:, used],
        looks=looks[used],
        origin=np.asarray(sums.origin, np.float64),
        unseen=1 - int(looks.sum()) / (len(runs.ids) * len(steps)),
        diverged=int(np.sum(carry.finite < len(steps))),
        trajectories=len(runs.ids),
        burn_in=(steps[0] - steps.step) * time_step,
        horizon=steps[-1] * time_step,
        every=steps.step * time_step,
        time_step=time_step,
        confidence=float(confidence),
        provenance=runs.provenance("histogram", steps, began),
        around=around,
        changes=chain.what_changes if chain.changes_in_time else None,
    )


def _axes(observable: Any, theta: Any) -> int:
    point = jax.ShapeDtypeStruct(theta.shape, theta.dtype)
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
