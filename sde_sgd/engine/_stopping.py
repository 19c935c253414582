"""Run trajectories until a monitor stops them: the step and the reason, nothing kept along the way."""

import functools
from threading import Event
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, Int32

from ..chains import AbstractChain
from ._blocks import narrowest, pad, split_trajectories
from ._devices import mesh_of, place, run_chunks, spread
from ._lanes import as_leaves
from ._noise import SeedKey
from ._tuning import Compiled, tuning
from ._watch import CODES, RUNNING, AbstractMonitor, watched

# a multiple of the steps that one hash serves
_SHORTEST_BLOCK, _LONGEST_BLOCK = 64, 4_096
# a block ends after about so many path-steps, so that Ctrl-C is heard
_BLOCK_WORK = 2**26
# the running ones move together once they fit into this part of the lanes: few widths, so few programs
_PART = 4


class Stops(NamedTuple):
    """Per trajectory: step count at the stop (−1 while running at the end) and code (0 while running)."""

    step: Int[np.ndarray, " n"]
    code: Int[np.ndarray, " n"]
    path_steps: int


def run_until_stopped(
    chain: AbstractChain,
    monitor: AbstractMonitor,
    starts: Float[np.ndarray, "n dim"],
    ids: Int[np.ndarray, " n"],
    steps: int | None,
    key: SeedKey,
    chunk: int | None = None,
    devices: Any = None,
) -> Stops:
    """Run each trajectory until its monitor stops it, at most `steps` steps (None: until all have stopped).

    The host steps compiled blocks and drops stopped trajectories between them, so time goes to those that still run.
    Which trajectories run together, and on which devices, changes nothing in their bits.
    """
    step, code = np.full(len(ids), -1, np.int64), np.zeros(len(ids), np.int8)
    chain, monitor, mesh = as_leaves(chain), as_leaves(monitor), mesh_of(devices)
    chunks, unit = split_trajectories(ids, chain, chunk, mesh), narrowest(chain, mesh)
    spent = np.zeros(len(chunks.ids), np.int64)

    def prepare(length: int | None):
        return _BLOCK.prepare((chain, monitor, key, length, mesh))

    def work(number: int, halted: Event) -> None:
        begin = number * chunks.size
        rows = np.arange(begin, begin + len(chunks.ids[number]))
        going = np.ones(rows.size, bool)
        filled = pad(rows, chunks.size)
        arrays = place(mesh, starts[filled].T), place(mesh, ids[filled].astype(np.uint32))
        stop = _marks(mesh, rows.size, chunks.size)
        first, run = 0, prepare(None)
        while rows.size and (steps is None or first < steps) and not halted.is_set():
            length = block_length(first, steps, stop.shape[0])
            run = prepare(length) if tuning().static_trips else run
            spent[number] += length * np.count_nonzero(going)
            states, stop = run(stop, np.uint32(first), np.int32(length), np.uint32(0), *arrays)
            marks = np.asarray(stop)[: rows.size]
            # a lane keeps its mark after it was told
            new = np.flatnonzero((marks < RUNNING) & going)
            step[rows[new]], code[rows[new]] = first + marks[new].astype(np.int64) // CODES, marks[new] % CODES
            going = marks == RUNNING
            first += length
            rows, going, arrays, stop = _compact(mesh, unit, rows, going, (states, arrays[1]), stop)

    run_chunks(work, len(chunks.ids), mesh)
    if steps is not None:
        # blocks may run a little past the end; what happened there was not asked for
        late = step > steps
        step[late], code[late] = -1, 0
    return Stops(step, code, int(spent.sum()))


@functools.lru_cache(maxsize=64)
def _marks(mesh: Mesh, used: int, width: int) -> Int32[Array, " width"]:
    """The marks at the start: of a trajectory that runs, and 0 for a lane that only fills up."""
    return place(mesh, np.where(np.arange(width) < used, RUNNING, 0).astype(np.int32))


def block_length(first: int, steps: int | None, width: int) -> int:
    """Short blocks at first, where many may leave, then longer ones."""
    # as long again as all before: those that leave early are dropped early, and few blocks are short
    longest = min(_LONGEST_BLOCK, max(_SHORTEST_BLOCK, _BLOCK_WORK // width), max(2 * _SHORTEST_BLOCK, first))
    wanted = longest if steps is None else min(longest, steps - first)
    if tuning().static_trips:
        # few lengths, so few programs
        return _SHORTEST_BLOCK if wanted < 1_024 else 1_024
    return _SHORTEST_BLOCK * -(-wanted // _SHORTEST_BLOCK)


def _compact(mesh: Mesh, unit: int, rows, going, arrays: tuple[Array, ...], stop):
    """Keep the running trajectories alone once they fit into a quarter of the lanes, the last axis of `arrays`.

    unit: of the lanes that are left.
    """
    left = int(np.count_nonzero(going))
    width = stop.shape[0]
    if left == 0:
        return rows[:0], going[:0], arrays, stop
    smaller = width
    while smaller > unit and left <= smaller // _PART:
        smaller = unit * -(-(smaller // _PART) // unit)
    if smaller == width:
        return rows, going, arrays, stop
    kept = np.flatnonzero(going)
    arrays = tuple(place(mesh, np.asarray(array)[..., pad(kept, smaller)]) for array in arrays)
    return rows[kept], going[kept], arrays, _marks(mesh, left, smaller)


def _block(shared, stop: Int32[Array, " n"], first, count, guard, states: Float[Array, "dim n"], ids):
    """A block of as many steps as is compiled in, or else of `count`; see `watched`."""
    chain, monitor, key, steps, mesh = shared

    def run(shared, stop, states, ids):
        chain, monitor, key, first, count, guard = shared
        length = count if steps is None else steps
        return watched((chain, monitor, key, first, guard), stop, length, states, ids)

    return spread(mesh, run, (chain, monitor, key, first, count, guard), stop, states, ids)


_BLOCK = Compiled(_block)
