"""Many short runs through a queue: each trajectory with a clock and a budget of its own, its state kept at the stop.

They queue for the columns of one compiled loop: a column whose trajectory has stopped takes the next one, and the host
is asked only when the queue is empty. A program of one's own may have such loops within (`population_loop`), and then
the host is not asked between them.
"""

import functools
import math
from threading import Event
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, Int32, Integer, UInt32

from .. import _progress
from ..chains import AbstractChain
from ..random import SeedKey
from ._batched_step import as_leaves
from ._blocks import pad, split_branching
from ._compiled import Compiled
from ._devices import mesh_of, run_chunks, shard, shard_apply, workers
from ._integrate import MAX_STEPS, block_unit
from ._queue import UNFINISHED, Loop, Queue, run_block
from ._stop_codes import StopCode
from ._tuning import Tuning, given_or_of, tuning_of
from ._watch import AbstractMonitor
from .kernel import AbstractRoute, choose

# many stop within a few steps
_BLOCK_STEPS = 16
_GUARD = np.uint32(0)
_TOO_LARGE = "a trajectory's steps and the ids must stay below 2**32"


class Ends(NamedTuple):
    """What became of each trajectory.

    step: steps taken in this run. code: a `StopCode`, 0 where the budget was spent. state: that at the stop.
    path_steps: steps computed for all of them, those after a stop in a block included.
    """

    step: Int[np.ndarray, " n"]
    code: Int[np.ndarray, " n"]
    state: Float[np.ndarray, "n dim"]
    path_steps: int


class Renewals(NamedTuple):
    """Where trajectories crossed a level from which they went on, one row for each of m times.

    ids: (m,) those of the noise that led there. step: (m,) steps taken with it. state: (m, dim) that at the crossing.
    """

    ids: Int[np.ndarray, " m"]
    step: Int[np.ndarray, " m"]
    state: Float[np.ndarray, "m dim"]


def run_population(
    chain: AbstractChain,
    monitor: AbstractMonitor,
    starts: Float[np.ndarray, "n dim"],
    ids: Int[np.ndarray, " n"],
    clocks: Int[np.ndarray, " n"],
    budgets: Int[np.ndarray, " n"],
    key: SeedKey,
    chunk: int | None = None,
    devices: Any = None,
    tuning: Tuning | None = None,
    renewable: bool = False,
) -> Ends:
    """Run each trajectory until its monitor stops it or its budget is spent, and say where it is then.

    starts: the states at which they stand. ids choose the noise, which counts from the first step of this run: fresh
        ids for every run.
    clocks: steps that each had taken before; the chain and the monitor see a step's number from the beginning.
    budgets: steps that each may still take, below 2³²; with 0 it stays where it is.
    key: of the seed, see `seed_key`. chunk: most trajectories in one compiled call.
    tuning: by default that of the devices. renewable: runs in the program of `run_renewing`, for who needs both.
    Which trajectories run together, and on which devices, changes of them what `simulate` says.
    Raises ValueError where a step's number would pass 2³². Whether the chain knows the times of all steps is for the
    caller to ask once (`chains.refuse_late`), because these runs are many.
    """
    stride = 0 if renewable else None
    return _run(chain, monitor, starts, (ids, clocks, budgets), key, chunk, devices, tuning, stride)[0]


def run_renewing(
    chain: AbstractChain,
    monitor: AbstractMonitor,
    starts: Float[np.ndarray, "n dim"],
    ids: Int[np.ndarray, " n"],
    clocks: Int[np.ndarray, " n"],
    budgets: Int[np.ndarray, " n"],
    key: SeedKey,
    chunk: int | None = None,
    devices: Any = None,
    tuning: Tuning | None = None,
) -> tuple[Ends, Renewals]:
    """The same where a trajectory that crosses a level (`StopCode.LEVEL_CROSSED`) goes on from there at once.

    It does so with what is left of its budget, and with new noise: that of its id and n, 2n, … more, in that order.

    chain, monitor, starts, ids, clocks, budgets, key, chunk, devices, tuning: as in `run_population`.
    Returns (Ends, Renewals). Ends tells of the steps since the last crossing; where that was the last step of all, of 0
    of them and code 0. Renewals has a row for each crossing, in the order of its ids.
    Raises ValueError also where an id would pass 2³². Bits: by definition those of as many calls of `run_population`,
    each from the crossings that the last one found.
    """
    ends, renewals = _run(chain, monitor, starts, (ids, clocks, budgets), key, chunk, devices, tuning, len(ids))
    if np.any(ends.code == StopCode.LEVEL_CROSSED):
        raise ValueError(_TOO_LARGE)
    order = np.argsort(renewals.ids)
    return ends, Renewals(*(each[order] for each in renewals))


def _run(chain, monitor, starts, counts, key, chunk, devices, tuning, stride) -> tuple[Ends, Renewals]:
    """Either. stride: of the ids of a trajectory that goes on, 0 or None where none does, the latter by its program."""
    ids, clocks, budgets = (each.astype(np.int64) for each in counts)
    if np.any(clocks + budgets >= MAX_STEPS) or np.any(ids >= MAX_STEPS):
        raise ValueError(_TOO_LARGE)
    step, code, state = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64), np.array(starts)
    runs = np.flatnonzero(budgets > 0)
    code[runs] = UNFINISHED
    chain, monitor, mesh = as_leaves(chain), as_leaves(monitor), mesh_of(devices)
    tuning = given_or_of(tuning, mesh)
    queues = split_branching(runs, chain, chunk, mesh, tuning)
    route, block = _loop(chain, monitor, starts.dtype, mesh, tuning)
    how = mesh, tuning, route, stride is not None
    run = _WORK_OFF.prepare((chain, monitor, key, block if tuning.static_trips else None, how))
    turns = np.int32(max(1, tuning.queue_work // (block * chain.state_dim * tuning.queue_width)))
    scalars = turns, np.int32(block), _GUARD, np.uint32(stride or 0)
    kept = [Renewals(ids[:0], step[:0], state[:0])]

    def work(number: int, halted: Event) -> None:
        rows = np.asarray(queues.ids[number])
        while rows.size and not halted.is_set():
            filled, waiting, mine = _cut(rows, queues.size, mesh.size)
            words = (each[filled].astype(np.uint32) for each in (ids, clocks, budgets, step))
            queue = [shard(mesh, each) for each in (waiting, state[filled].T, *words)]
            done, found = run(*scalars, *queue)
            before = clocks[rows] + step[rows]
            states, *words, codes = (np.asarray(each)[..., mine] for each in done)
            state[rows], code[rows] = states.T, codes
            if found is None:
                step[rows] = words[0]
            else:
                ids[rows], clocks[rows], budgets[rows], step[rows] = words
                if np.any(np.asarray(found.number)):
                    kept.append(_kept(*map(np.asarray, found), mesh.size))
            _progress.advance(int(np.sum(clocks[rows] + step[rows] - before)))
            rows = rows[codes == UNFINISHED]

    run_chunks(work, len(queues.ids), workers(mesh))
    renewals = Renewals(*map(np.concatenate, zip(*kept, strict=True)))
    return Ends(step, code, state, path_steps(step, block) + path_steps(renewals.step, block)), renewals


def _kept(states, ids, steps, number, devices: int) -> Renewals:
    """What the devices have kept, `number` of theirs each."""
    kept = (np.arange(len(ids) // devices) < number[:, None]).reshape(-1)
    return Renewals(ids[kept].astype(np.int64), steps[kept].astype(np.int64), states[:, kept].T)


def path_steps(steps: Integer[np.ndarray, "..."], block: int) -> int:
    """What so many steps of each trajectory cost, those after a stop in a block included."""
    return int(np.sum(block * -(-steps.astype(np.int64) // block)))


def _loop(chain, monitor, dtype, mesh: Mesh, tuning: Tuning) -> tuple[AbstractRoute | None, int]:
    """The kernel for a block of steps, or None, and how many steps that are."""
    route = choose(chain, monitor, dtype, mesh, tuning, past=True).route
    unit = 1 if route is None else tuning.steps_in_kernel(chain)
    return route, math.lcm(_BLOCK_STEPS, block_unit(chain.noise_kind, tuning), unit)


def _cut(
    rows: Int[np.ndarray, " m"], size: int, devices: int
) -> tuple[Int[np.ndarray, " n"], Int32[np.ndarray, " devices"], Bool[np.ndarray, " n"]]:
    """Rows shared among queues of one length, one on each device, each filled up behind.

    How many there are in each queue, and which are not filling.
    """
    share, parts = size // devices, np.array_split(rows, devices)
    filled = [pad(part if part.size else rows[:1], share) for part in parts]
    counts = np.array([part.size for part in parts], np.int32)
    return np.concatenate(filled), counts, (np.arange(share) < counts[:, None]).reshape(-1)


def _work_off(shared, turns, count, guard, stride, waiting, states, *counts):
    """Run those that wait, which come first: states, steps and codes of all in the queue's order.

    With their ids, clocks and budgets, and what was kept, where a trajectory may go on; else None for that.
    At most `turns` blocks of as many steps as is compiled in, or else of `count`; then some are left unfinished.
    waiting: how many on each device. counts: ids, clocks, budgets and steps taken. stride: as in `_run`.
    """
    chain, monitor, key, length, (mesh, tuning, route, renews) = shared

    def run(shared, waiting, states, *counts):
        chain, monitor, key, turns, count, guard, stride = shared
        steps = count if length is None else length
        block = functools.partial(run_block, chain, monitor, key, guard, steps, tuning, route)
        codes = jnp.where(jnp.arange(states.shape[1]) < waiting[0], UNFINISHED, 0).astype(jnp.int32)
        loop = Loop(block, tuning.queue_width, stride if renews else None)
        done, kept = loop.run(Queue(states, *counts, codes), waiting[0], turns)
        if kept is None:
            return (done.states, done.steps, done.codes), None
        return done, kept._replace(number=kept.number[None])

    return shard_apply(mesh, run, (chain, monitor, key, turns, count, guard, stride), waiting, states, *counts)


_WORK_OFF = Compiled(_work_off, data_dependent_loop=True)


class PopulationLoop(NamedTuple):
    """What `run_population` does, within a program of one's own that runs on the devices from first to last.

    block: steps between two looks at who has stopped. tuning, route: as the chain runs by them.
    """

    tuning: Tuning
    route: AbstractRoute | None
    block: int

    def __call__(
        self, chain: AbstractChain, monitor: AbstractMonitor, key: SeedKey, guard: Any, states, ids, clocks, budgets
    ) -> tuple[Float[Array, "dim n"], UInt32[Array, " n"], Int32[Array, " n"]]:
        """States, steps and codes of trajectories as in `run_population`, while JAX traces.

        chain, monitor: with numbers as leaves. guard: 0, of which no compiler knows that.
        states: (dim, n). ids, clocks, budgets: (n,) unsigned words.
        """
        runs = budgets > 0
        order = jnp.argsort(~runs, stable=True).astype(jnp.uint32)
        codes = jnp.where(runs, UNFINISHED, 0).astype(jnp.int32)
        begin = Queue(states, ids, clocks, budgets, jnp.zeros_like(ids), codes)
        block = functools.partial(run_block, chain, monitor, key, guard, self.block, self.tuning, self.route)
        waiting, turns = jnp.sum(runs, dtype=jnp.int32), jnp.int32(2**31 - 1)
        done = Loop(block, self.tuning.queue_width).run(begin.load(order), waiting, turns)[0]
        end = begin.store(done, order, ("states", "steps", "codes"))
        return end.states, end.steps, end.codes


def population_loop(
    chain: AbstractChain, monitor: AbstractMonitor, trajectories: int, dtype: Any, chunk: int | None, mesh: Mesh
) -> PopulationLoop | None:
    """The loop for so many trajectories, or None where the host had better be asked.

    chain, monitor: as in `run_population`, with numbers as leaves. That is where the devices are the host itself, and
    where not all trajectories fit one queue on each of them.
    """
    tuning = tuning_of(mesh)
    if not tuning.has_own_memory or tuning.has_rows(chain):
        return None
    if trajectories > split_branching(np.arange(trajectories), chain, chunk, mesh, tuning).size:
        return None
    return PopulationLoop(tuning, *_loop(chain, monitor, dtype, mesh, tuning))
