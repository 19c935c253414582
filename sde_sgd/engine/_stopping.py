"""Runs until a monitor stops each trajectory (first passages): growing blocks, compaction of those that still run."""

import functools
from threading import Event
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, Int32

from .. import _progress
from ..chains import AbstractChain, refuse_late
from ..random import SeedKey
from ._batched_step import as_leaves
from ._blocks import Ids, pad, place_ids, place_states, smallest_width, split_trajectories
from ._compiled import Compiled
from ._devices import mesh_of, run_chunks, shard, shard_apply, workers
from ._integrate import MAX_STEPS
from ._stop_codes import CODES
from ._tuning import Tuning, given_or_of
from ._watch import RUNNING, AbstractMonitor, watched
from .kernel import choose
from .kernel import watched as watched_in_kernel

# multiples of the steps that one hash serves
_SHORTEST_BLOCK, _LONGEST_BLOCK = 64, 4_096
# the running ones move together once they fit into this part of the width: few widths, so few programs
_PART = 4


class StopTimes(NamedTuple):
    """When each trajectory stopped, and why.

    step: step count at the stop, −1 while running at the end. code: a `StopCode`, 0 while running.
    path_steps: steps computed for all of them, those after a stop in a block included.
    """

    step: Int[np.ndarray, " n"]
    code: Int[np.ndarray, " n"]
    path_steps: int


def run_until_stopped(
    chain: AbstractChain,
    monitor: AbstractMonitor,
    starts: Float[np.ndarray, "n dim"],
    ids: Ids,
    steps: int | None,
    key: SeedKey,
    chunk: int | None = None,
    devices: Any = None,
    tuning: Tuning | None = None,
) -> StopTimes:
    """Run each trajectory until its monitor stops it, at most `steps` steps (None: until all have stopped).

    chain, chunk, devices: as in `simulate`. starts: states, one for each of `ids`, which choose the noise. key: of the
        seed, see `seed_key`.
    The host steps compiled blocks and drops stopped trajectories between them, so time goes to those that still run.
    Which trajectories run together, and on which devices, changes of them what `simulate` says.
    tuning: by default that of the devices.
    """
    refuse_late(chain, MAX_STEPS if steps is None else steps, starts.dtype)
    step, code = np.full(len(ids), -1, np.int64), np.zeros(len(ids), np.int8)
    chain, monitor, mesh = as_leaves(chain), as_leaves(monitor), mesh_of(devices)
    tuning = given_or_of(tuning, mesh)
    chunks, unit = split_trajectories(ids, chain, chunk, mesh, tuning), smallest_width(chain, mesh)
    spent = np.zeros(len(chunks.ids), np.int64)
    route = choose(chain, monitor, starts.dtype, mesh, tuning).route
    if route is not None:
        # within a kernel no iteration asks the host
        tuning = tuning.but(static_trips=False)
    compiled = tuning.static_block if tuning.static_trips else None
    run = _BLOCK.prepare((chain, monitor, key, compiled, mesh, tuning, route))

    def block(first: int, length: int, states, words, stop):
        for at in range(first, first + length, compiled or length):
            states, stop, count = run(
                stop, np.uint32(first), np.uint32(at), np.int32(length), np.uint32(0), states, words
            )
        return states, stop, int(np.sum(count))

    def work(number: int, halted: Event) -> None:
        begin, numbers = number * chunks.size, chunks.ids[number]
        rows = np.arange(begin, begin + len(numbers))
        states = place_states(mesh, starts[begin : begin + len(numbers)], chunks.size)
        words, stop = place_ids(mesh, numbers, chunks.size, tuning), _marks(mesh, rows.size, chunks.size)
        first, going, running = 0, np.ones(rows.size, bool), rows.size
        while running and (steps is None or first < steps) and not halted.is_set():
            length = block_length(first, steps, stop.shape[0], tuning)
            spent[number] += length * running
            states, stop, left = block(first, length, states, words, stop)
            _progress.advance(length * running)
            if left < running:
                marks = np.asarray(stop)[: rows.size]
                still = marks == RUNNING
                # a mark stays after it was told
                new = np.flatnonzero(going & ~still)
                step[rows[new]], code[rows[new]] = first + marks[new].astype(np.int64) // CODES, marks[new] % CODES
                going, running = still, left
            first += length
            width = _narrowed(unit, left, stop.shape[0])
            if width < stop.shape[0]:
                kept = np.flatnonzero(going)
                rows, going, filled = rows[kept], going[kept], pad(kept, width)
                states, words = (shard(mesh, np.asarray(each)[..., filled]) for each in (states, words))
                stop = _marks(mesh, left, width)

    run_chunks(work, len(chunks.ids), workers(mesh))
    if steps is not None:
        # blocks may run a little past the end; what happened there was not asked for
        late = step > steps
        step[late], code[late] = -1, 0
    return StopTimes(step, code, int(spent.sum()))


@functools.lru_cache(maxsize=64)
def _marks(mesh: Mesh, used: int, width: int) -> Int32[Array, " width"]:
    """The marks at the start: of a trajectory that runs, and 0 for one that only fills up."""
    return shard(mesh, np.where(np.arange(width) < used, RUNNING, 0).astype(np.int32))


def block_length(first: int, steps: int | None, width: int, tuning: Tuning) -> int:
    """Short blocks at first, where many may leave, then longer ones."""
    # as long again as all before: those that leave early are dropped early, and few blocks are short
    work = tuning.block_work // width
    longest = min(_LONGEST_BLOCK, max(_SHORTEST_BLOCK, work), max(2 * _SHORTEST_BLOCK, first))
    wanted = longest if steps is None else min(longest, steps - first)
    unit = tuning.static_block if tuning.static_trips else _SHORTEST_BLOCK
    return unit * -(-wanted // unit)


def _narrowed(unit: int, left: int, width: int) -> int:
    """The width for those that are left, in multiples of `unit`: fewer once they fit into a part of them."""
    while width > unit and 0 < left <= width // _PART:
        width = unit * -(-(width // _PART) // unit)
    return width


def _block(shared, stop: Int32[Array, " n"], since, first, count, guard, states: Float[Array, "dim n"], ids):
    """As many steps as are compiled in, or else `count`, see `watched`; and how many run on, on each device."""
    chain, monitor, key, steps, mesh, tuning, route = shared
    watch = watched if route is None else functools.partial(watched_in_kernel, route)

    def run(shared, stop, states, ids):
        *watching, count, guard = shared
        states, stop = watch((*watching, guard), stop, count if steps is None else steps, states, tuning, ids)
        return states, stop, jnp.sum(stop == RUNNING, dtype=jnp.int32)[None]

    return shard_apply(mesh, run, (chain, monitor, key, since, first, count, guard), stop, states, ids)


_BLOCK = Compiled(_block)
