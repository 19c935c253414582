"""Where SGD is, at given times and in the long run: the public call and its reductions."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from .._errors import fraction
from ..chains import AbstractChain
from ..engine import Part, check_first_step, observe, resolve_ids, seed_key, start_states
from ..regions import AbstractRegion
from ._at_times import OccupancyAtTimes
from ._basins import LABELS, Flow, Named, named_basins, refuse_overlap
from ._missed import missed_by
from ._schedule import at_times, in_window
from ._tally import TALLY, Tally, empty_tally
from ._weights import StationaryWeights


def occupancy(
    chain: AbstractChain,
    start: Any,
    *,
    regions: Mapping[str, AbstractRegion] | None = None,
    minima: Any = None,
    basins: Literal["quench", "nearest", "level"] | None = None,
    height: Any = None,
    times: Any = None,
    horizon: Any = None,
    burn_in: Any = None,
    every: Any = None,
    trajectories: int | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    trajectory_ids: Any = None,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
) -> OccupancyAtTimes | StationaryWeights:
    """Probability to be in each of some basins: at given `times`, or by time averages between `burn_in` and `horizon`.

    chain: any chain. start: (dim,) for all trajectories, or (trajectories, dim).
    regions: names with a region each, which must not overlap.
    minima: CriticalPoints or their locations (dim,): a list of them, or a mapping from names.
    basins: the rule by which a state belongs to a minimum. "quench", the default: to the one that its gradient flow
        reaches. "nearest": to the nearest one. "level": to the nearest one, where the loss is less than `height` above
        it. States that belong to none are counted as elsewhere.
    times: rising SDE times, each rounded down to whole steps.
    horizon, burn_in: SDE times of the window of a time average; burn_in is half the horizon by default.
    every: SDE time between looks in that window; by default such that there are about 1024, or 256 for "quench".
    trajectories, seed, trajectory_ids, chunk, devices: as in `simulate`; the last two change no number of the result.
    confidence: coverage of the intervals.

    Returns OccupancyAtTimes, or StationaryWeights, whose `result` says whether they have converged and if not, why.
    Only counts are kept: memory does not grow with the number of steps.
    Raises ValueError on a wrong shape or count, a minimum that is none or has a flat direction, and regions that hold
    a state in common.
    """
    if not isinstance(chain, AbstractChain):
        raise ValueError(f"chain must be a chain, such as EulerMaruyama(diffusion, dt), got {chain!r}")
    fraction("confidence", confidence)
    if (times is None) == (horizon is None):
        raise ValueError("give either times or a horizon, got " + ("neither" if times is None else "both"))
    if times is not None and (burn_in is not None or every is not None):
        raise ValueError("burn_in and every belong to a horizon, got them with times")
    named = named_basins(chain, regions, minima, basins, height)
    # a look that follows the flow costs as much as hundreds of steps
    most = 256 if isinstance(named.basins, Flow) else 1_024
    looks = in_window(chain, horizon, burn_in, every, most) if times is None else at_times(chain, times)
    ids = resolve_ids(trajectories, trajectory_ids)
    starts = start_states(start, chain, len(ids))
    check_first_step(chain, starts)
    run = _Run(chain, starts, ids, named, seed, chunk, devices, float(confidence))
    return run.at_times(looks) if isinstance(looks, list) else run.in_window(looks)


class _Run:
    """What a call has settled; each way to look at it is one method."""

    def __init__(self, chain, starts, ids, named: Named, seed, chunk, devices, confidence):
        self.named, self.count = named, named.basins.count
        self.starts = starts
        # the last states and their labels, to say where those go that belong to no minimum
        self.states, self.last = np.zeros(starts.shape, starts.dtype), np.zeros(len(ids), np.int32)
        self.observe = functools.partial(observe, chain, starts, ids, key=seed_key(seed), chunk=chunk, devices=devices)
        self.told = {
            "names": named.names,
            "time_step": float(np.asarray(chain.time_step)),
            "confidence": confidence,
            "seed": int(seed),
        }

    def at_times(self, looks: list[int]) -> OccupancyAtTimes:
        tables = []

        def visit(part: Part, number: int, states, table):
            found = np.asarray(LABELS.prepare((self.named.basins, part.mesh))(states))[: part.used]
            if number == len(looks) - 1 or np.any(found == self.count + 1):
                self._keep(part, states, found)
            table = np.zeros((len(looks), self.count + 3), np.int64) if table is None else table
            table[number] = np.bincount(found, minlength=self.count + 3)
            return table

        self.observe(looks, update=visit, finalize=lambda part, table: tables.append(table))
        counts = np.sum(tables, axis=0)
        return OccupancyAtTimes(
            times=np.array(looks) * self.told["time_step"],
            counts=counts[:, : self.count + 1],
            diverged=counts[:, self.count + 2],
            missed=self._missed(),
            trajectories=len(self.starts),
            **self.told,
        )

    def in_window(self, looks: range) -> StationaryWeights:
        number, half = len(self.starts), len(looks) // 2
        visits, transitions = np.zeros((2, number, self.count + 1), np.int64), np.zeros(number, np.int64)
        distance = np.zeros((2, number))

        def visit(part: Part, index: int, states, tally):
            if tally is None:
                tally = empty_tally(part.mesh, self.count, states)
            step = TALLY.prepare((self.named.basins, self.starts[0], part.mesh))
            return Tally(*step(states, *tally, np.uint32(index // half), np.float32(index % half + 1)))

        def finish(part: Part, tally: Tally):
            rows, used = part.rows, part.used
            self._keep(part, tally.witness, np.asarray(tally.label)[:used])
            visits[:, rows] = np.moveaxis(np.asarray(tally.visits)[..., :used], 1, 2)
            transitions[rows] = np.asarray(tally.transitions)[:used]
            distance[:, rows] = np.asarray(tally.distance)[:, :used]

        self.observe(looks, update=visit, finalize=finish)
        time_step = self.told["time_step"]
        return StationaryWeights(
            visits=visits,
            transitions=transitions,
            lost=self.last == self.count + 2,
            distance=distance,
            missed=self._missed(),
            looks=half,
            burn_in=(looks[0] - looks.step) * time_step,
            horizon=looks[-1] * time_step,
            every=looks.step * time_step,
            **self.told,
        )

    def _keep(self, part: Part, states, found) -> None:
        self.states[part.rows], self.last[part.rows] = np.asarray(states).T[: part.used], found
        both = np.flatnonzero(found == self.count + 1)
        if both.size:
            refuse_overlap(self.named, self.states[part.rows][both[0]])

    def _missed(self):
        return missed_by(self.named.basins, self.states, self.last == self.count)
