"""Many short runs through a queue: each trajectory with a clock and a budget of its own, its state kept at the stop.

They queue for the columns of one compiled loop: a column whose trajectory has stopped takes the next one, and the host
is asked only when the queue is empty. A program of one's own may have such loops within (`population_loop`), and then
the host is not asked between them.
"""

import functools
import math
from collections.abc import Callable
from threading import Event
from typing import Any, NamedTuple

import jax
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
from ._stop_codes import CODES
from ._tuning import Tuning, given_or_of, tuning_of
from ._watch import RUNNING, AbstractMonitor, watched
from .kernel import AbstractRoute, choose
from .kernel import watched as watched_in_kernel

# many stop within a few steps
_BLOCK_STEPS = 16
# a column waits for the next trajectory until so large a part of all columns does
_PART = 4
_UNFINISHED = CODES


class Ends(NamedTuple):
    """What became of each trajectory.

    step: steps taken in this run. code: a `StopCode`, 0 where the budget was spent. state: that at the stop.
    path_steps: steps computed for all of them, those after a stop in a block included.
    """

    step: Int[np.ndarray, " n"]
    code: Int[np.ndarray, " n"]
    state: Float[np.ndarray, "n dim"]
    path_steps: int


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
) -> Ends:
    """Run each trajectory until its monitor stops it or its budget is spent, and say where it is then.

    starts: the states at which they stand. ids choose the noise, which counts from the first step of this run: fresh
        ids for every run.
    clocks: steps that each had taken before; the chain and the monitor see a step's number from the beginning.
    budgets: steps that each may still take, below 2³²; with 0 it stays where it is.
    key: of the seed, see `seed_key`. chunk: most trajectories in one compiled call.
    tuning: by default that of the devices.
    Which trajectories run together, and on which devices, changes of them what `simulate` says.
    Raises ValueError where a step's number would pass 2³². Whether the chain knows the times of all steps is for the
    caller to ask once (`chains.refuse_late`), because these runs are many.
    """
    if np.any(clocks.astype(np.int64) + budgets >= MAX_STEPS) or np.any(ids >= MAX_STEPS):
        raise ValueError("a trajectory's steps and the ids must stay below 2**32")
    step, code, state = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64), np.array(starts)
    runs = np.flatnonzero(budgets > 0)
    code[runs] = _UNFINISHED
    chain, monitor, mesh = as_leaves(chain), as_leaves(monitor), mesh_of(devices)
    tuning = given_or_of(tuning, mesh)
    queues = split_branching(runs, chain, chunk, mesh, tuning)
    route, block = _loop(chain, monitor, starts.dtype, mesh, tuning)
    run = _WORK_OFF.prepare((chain, monitor, key, block if tuning.static_trips else None, mesh, tuning, route))
    turns = np.int32(max(1, tuning.queue_work // (block * chain.state_dim * tuning.queue_width)))

    def work(number: int, halted: Event) -> None:
        rows = np.asarray(queues.ids[number])
        while rows.size and not halted.is_set():
            filled, waits = _cut(rows, queues.size, mesh.size)
            counts = np.stack([each[filled] for each in (ids, clocks, budgets, step)]).astype(np.uint32)
            queue = (shard(mesh, each) for each in (waits, state[filled].T, counts))
            found = run(turns, np.int32(block), np.uint32(0), *queue)
            states, (steps, codes) = (np.asarray(each)[:, waits] for each in found)
            _progress.advance(int(np.sum(steps - step[rows])))
            state[rows], step[rows], code[rows] = states.T, steps, codes
            rows = rows[codes == _UNFINISHED]

    run_chunks(work, len(queues.ids), workers(mesh))
    return Ends(step, code, state, path_steps(step, block))


def path_steps(steps: Integer[np.ndarray, "..."], block: int) -> int:
    """What so many steps of each trajectory cost, those after a stop in a block included."""
    return int(np.sum(block * -(-steps.astype(np.int64) // block)))


def _loop(chain, monitor, dtype, mesh: Mesh, tuning: Tuning) -> tuple[AbstractRoute | None, int]:
    """The kernel for a block of steps, or None, and how many steps that are."""
    route = choose(chain, monitor, dtype, mesh, tuning, past=True).route
    unit = 1 if route is None else tuning.steps_in_kernel(chain)
    return route, math.lcm(_BLOCK_STEPS, block_unit(chain.noise_kind, tuning), unit)


def _cut(rows: Int[np.ndarray, " m"], size: int, devices: int) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Rows shared among queues of one length, one on each device, each filled up behind; and which are not filling."""
    share, parts = size // devices, np.array_split(rows, devices)
    filled = [pad(part if part.size else rows[:1], share) for part in parts]
    return np.concatenate(filled), np.concatenate([np.arange(share) < part.size for part in parts])


class _Queue(NamedTuple):
    """Trajectories in order: states, ids, clocks, budgets, the steps taken, and codes."""

    states: Float[Array, "dim n"]
    ids: UInt32[Array, " n"]
    clocks: UInt32[Array, " n"]
    budgets: UInt32[Array, " n"]
    steps: UInt32[Array, " n"]
    codes: Int32[Array, " n"]

    @property
    def going(self) -> Bool[Array, " n"]:
        return self.codes == _UNFINISHED

    def load(self, places: Int32[Array, " width"]) -> "_Queue":
        return jax.tree.map(lambda each: each[..., places], self)

    def store(self, columns: "_Queue", places: Int32[Array, " width"]) -> "_Queue":
        return self._replace(
            states=self.states.at[:, places].set(columns.states),
            steps=self.steps.at[places].set(columns.steps),
            codes=self.codes.at[places].set(columns.codes),
        )


class _Columns(NamedTuple):
    """What runs side by side.

    places: where each stands in the queue. following: the place of the next one to begin. turns: blocks that are left.
    """

    running: _Queue
    places: Int32[Array, " width"]
    following: Int32[Array, ""]
    turns: Int32[Array, ""]

    def more(self, fewest: Any) -> Bool[Array, ""]:
        """Whether more than so many columns run, and may."""
        return (jnp.sum(self.running.going, dtype=jnp.int32) > fewest) & (self.turns > 0)


def _work_off(shared, turns, count, guard, waits, states, counts):
    """Run those that wait, which come first; states, steps and codes of all in the queue's order.

    At most `turns` blocks of as many steps as is compiled in, or else of `count`; then some are left unfinished.
    """
    chain, monitor, key, length, mesh, tuning, route = shared

    def run(shared, waits, states, counts):
        chain, monitor, key, turns, count, guard = shared
        steps = count if length is None else length
        queue = _Queue(states, *counts, jnp.where(waits, _UNFINISHED, 0).astype(jnp.int32))
        block = functools.partial(_block, chain, monitor, key, guard, steps, tuning, route)
        done = _through_columns(queue, jnp.sum(waits, dtype=jnp.int32), turns, block, tuning.queue_width)
        return done.states, jnp.stack([done.steps, done.codes.astype(jnp.uint32)])

    return shard_apply(mesh, run, (chain, monitor, key, turns, count, guard), waits, states, counts)


_WORK_OFF = Compiled(_work_off, data_dependent_loop=True)


def _through_columns(
    queue: _Queue, waiting: Array, turns: Array, block: Callable[[_Queue], _Queue], width: int
) -> _Queue:
    """The first `waiting` of the queue, `width` of them side by side, or all."""
    width = min(width, queue.states.shape[1])

    def turn(now: _Columns) -> _Columns:
        return now._replace(running=block(now.running), turns=now.turns - 1)

    def exchange(carry: tuple[_Queue, _Columns]) -> tuple[_Queue, _Columns]:
        queue, now = carry
        queue, idle = queue.store(now.running, now.places), ~now.running.going
        following = now.following + jnp.cumsum(idle, dtype=jnp.int32) - 1
        places = jnp.where(idle & (following < waiting), following, now.places)
        begun = now.following + jnp.sum(idle, dtype=jnp.int32)
        now = _Columns(queue.load(places), places, begun, now.turns)
        fewest = jnp.where(begun < waiting, width - width // _PART, 0)
        return queue, jax.lax.while_loop(lambda now: now.more(fewest), turn, now)

    def goes_on(carry: tuple[_Queue, _Columns]) -> Array:
        now = carry[1]
        return now.more(0) | ((now.following < waiting) & (now.turns > 0))

    places = jnp.arange(width, dtype=jnp.int32)
    begin = _Columns(queue.load(places), places, jnp.int32(width), turns)
    queue, now = jax.lax.while_loop(goes_on, exchange, (queue, begin))
    return queue.store(now.running, now.places)


def _block(
    chain: AbstractChain,
    monitor: AbstractMonitor,
    key: SeedKey,
    guard: Any,
    steps: Any,
    tuning: Tuning,
    route: AbstractRoute | None,
    running: _Queue,
) -> _Queue:
    going = running.going
    watch = watched if route is None else functools.partial(watched_in_kernel, route)
    # the noise counts each trajectory's own steps
    shared = chain, monitor, key, running.steps, running.steps, guard
    past = running.ids, running.clocks, running.budgets
    states, marks = watch(shared, jnp.where(going, jnp.int32(RUNNING), 0), steps, running.states, tuning, *past)
    stopped = going & (marks < RUNNING)
    taken = jnp.where(stopped, marks // CODES, jnp.where(going, steps, 0)).astype(jnp.uint32)
    codes = jnp.where(stopped, marks % CODES, running.codes)
    return running._replace(states=states, steps=running.steps + taken, codes=codes)


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
        order = jnp.argsort(~runs, stable=True).astype(jnp.int32)
        codes = jnp.where(runs, _UNFINISHED, 0).astype(jnp.int32)
        begin = _Queue(states, ids, clocks, budgets, jnp.zeros_like(ids), codes)
        block = functools.partial(_block, chain, monitor, key, guard, self.block, self.tuning, self.route)
        waiting, turns = jnp.sum(runs, dtype=jnp.int32), jnp.int32(2**31 - 1)
        done = _through_columns(begin.load(order), waiting, turns, block, self.tuning.queue_width)
        end = begin.store(done, order)
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
