"""Occupancy of basins, at given times and in the long run: the public call."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import _progress
from .._errors import fraction, names_options
from ..chains import AbstractChain
from ..engine import check_chain, observation_steps, trajectories_of
from ..regions import AbstractRegion
from ._at_times import AtTimes
from ._basin_counts import AtTimesCarry, CountsAtTimes, CountsInWindow, WindowCarry
from ._basins import AbstractBasins, describe_basins, labels
from ._occupancy_result import Occupancy
from ._time_averages import TimeAverages
from ._unvisited import Unvisited, unvisited


@names_options
def occupancy(
    chain: AbstractChain,
    start: Any,
    *,
    regions: Mapping[str, AbstractRegion] | None = None,
    minima: Any = None,
    basins: str | AbstractBasins | None = None,
    height: Any = None,
    times: Any = None,
    horizon: Any = None,
    burn_in: Any = None,
    every: Any = None,
    trajectories: int | None = None,
    seed: Any = 0,
    confidence: float = 0.95,
    trajectory_ids: Any = None,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool | None = None,
) -> Occupancy:
    """Probability to be in each of some basins: at given `times`, or by time averages between `burn_in` and `horizon`.

    chain: any chain. start: θ of shape (dim,) for all trajectories, or (trajectories, dim).
    regions: names with a region each, which must not overlap.
    minima: CriticalPoints or their locations (dim,): a list of them, or a mapping from names.
    basins: the rule by which θ belongs to a minimum. "quench", the default, is `stationary.GradientFlowBasins()`: to
        the one that its gradient flow reaches. "nearest" is `NearestBasins()`. "sublevel" with `height` is
        `SublevelBasins(height)`: to the nearest one, where the loss is less than `height` above it. A class of one's
        own is another. θ that belongs to none is counted as unassigned.
    times: rising SDE times, each rounded down to whole steps.
    horizon, burn_in: SDE times of the window of a time average; burn_in is half the horizon by default.
    every: SDE time between looks in that window; by default such that there are about 1024, or 256 for "quench".
    trajectories, seed, trajectory_ids, chunk, devices: as in `simulate`; the last two change no number of the result.
    confidence: coverage of the intervals: at given times exact for each share on its own (Clopper and Pearson 1934), of
        time averages Student's t over trajectories, valid whatever the correlation in time.
    progress: whether to show a line of progress; by default in a terminal and in a notebook.

    Returns Occupancy, whose `status` says whether the numbers can be relied on and `reasons` why not.
    Only counts are kept: memory does not grow with the number of steps.
    Raises ValueError on a wrong shape or count, a minimum that is none or has a flat direction, and regions that hold
    a θ in common.
    """
    began = time.perf_counter()
    check_chain(chain)
    fraction("confidence", confidence)
    made, names = describe_basins(chain, regions, minima, basins, height)
    steps = observation_steps(chain, times, horizon, burn_in, every, made.looks)
    runs = trajectories_of(chain, start, trajectories, trajectory_ids, seed, chunk, devices)
    time_step = float(np.asarray(chain.time_step))
    with _progress.shown(progress, "occupancy"):
        if isinstance(steps, range):
            half = np.asarray(len(steps) // 2, np.int32)
            carry, _ = runs.reduce(CountsInWindow(made, runs.origin, half), steps)
            _refuse_overlap(made, carry)
            around = unvisited(
                chain, runs.origin, np.asarray(carry.witness), lambda points: labels(made, jnp.asarray(points).T)
            )
            counted = _time_averages(carry, made.count, steps, chain, around)
        else:
            carry, _ = runs.reduce(CountsAtTimes.of(made, len(steps)), steps)
            _refuse_overlap(made, carry)
            counted = _at_times(carry, made.count, steps, time_step)
        unassigned = made.unassigned_minima(carry.witness.T, carry.label == made.count)
    provenance = runs.provenance(f"occupancy by {type(made).__name__}", steps, began)
    return Occupancy(names, counted, unassigned, time_step, float(confidence), provenance)


def _at_times(carry: AtTimesCarry, count: int, steps: Sequence[int], time_step: float) -> AtTimes:
    counts = np.asarray(carry.counts)[: len(steps)]
    return AtTimes(np.array(steps) * time_step, counts[:, : count + 1], counts[:, count + 2], len(carry.label))


def _time_averages(
    carry: WindowCarry, count: int, steps: range, chain: AbstractChain, around: Unvisited
) -> TimeAverages:
    time_step = float(np.asarray(chain.time_step))
    return TimeAverages(
        visits=np.moveaxis(np.asarray(carry.visits, np.int64), 1, 2),
        transitions=np.asarray(carry.transitions, np.int64),
        has_diverged=np.asarray(carry.label) == count + 2,
        distance=np.asarray(carry.distance, np.float64),
        looks=len(steps) // 2,
        burn_in=(steps[0] - steps.step) * time_step,
        horizon=steps[-1] * time_step,
        every=steps.step * time_step,
        around=around,
        changes=chain.what_changes if chain.changes_in_time else None,
    )


def _refuse_overlap(basins: AbstractBasins, carry: AtTimesCarry | WindowCarry) -> None:
    both = np.flatnonzero(carry.label == basins.count + 1)
    if both.size:
        basins.refuse_overlap(np.asarray(carry.witness)[:, both[0]])
