"""Trajectories with a past: each with a clock and a budget of its own, its state kept where it stops."""

from threading import Event
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int32, UInt32

from ..chains import AbstractChain
from ._blocks import pad, split_trajectories
from ._devices import mesh_of, place, run_chunks, spread
from ._integrate import MAX_STEPS
from ._lanes import Lanes, as_leaves
from ._noise import SeedKey, Source
from ._stopping import CODES, RUNNING, AbstractMonitor, Watch, beside, block_length, compact
from ._tuning import Compiled, tuning

# many short runs: fewer widths, so fewer programs
_PART = 8


class Ends(NamedTuple):
    """Per trajectory: steps taken in this run, code (0 where the budget was spent) and state at the stop."""

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
) -> Ends:
    """Run each trajectory until its monitor stops it or its budget is spent, and say where it is then.

    starts: the states at which they stand. ids choose the noise, which counts from the first step of this run: fresh
        ids for every run.
    clocks: steps that each had taken before; the chain and the monitor see a step's number from the beginning.
    budgets: steps that each may still take, below 2³²; with 0 it stays where it is.
    Which trajectories run together, and on which devices, changes nothing in their bits.
    Raises ValueError where a step's number would pass 2³².
    """
    if np.any(clocks.astype(np.int64) + budgets >= MAX_STEPS) or np.any(ids >= MAX_STEPS):
        raise ValueError("a trajectory's steps and the ids must stay below 2**32")
    chain, monitor, mesh = as_leaves(chain), as_leaves(monitor), mesh_of(devices)
    chunks = split_trajectories(ids, chain, chunk, mesh)
    step, code, state = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64), np.array(starts)
    spent = np.zeros(len(chunks.ids), np.int64)

    def work(number: int, halted: Event) -> None:
        begin = number * chunks.size
        rows, width = np.arange(begin, begin + len(chunks.ids[number])), chunks.size
        # lanes that only fill up have no budget
        left = np.zeros(width, np.uint32)
        left[: rows.size] = budgets[rows]
        last = int(left.max())
        running = left[: rows.size] > 0
        states, budget = place(mesh, pad(starts[rows], width).T), place(mesh, left)
        words, clock = (place(mesh, pad(each[rows], width).astype(np.uint32)) for each in (ids, clocks))
        stop = place(mesh, np.where(left > 0, RUNNING, 0).astype(np.int32))
        rows, running, arrays, stop = compact(mesh, rows, running, (states, words, clock, budget), stop, _PART)
        first, run = 0, _BLOCK.prepare((chain, monitor, key, None, mesh))
        while rows.size and not halted.is_set():
            length = block_length(first, last, stop.shape[0])
            run = run if not tuning().static_trips else _BLOCK.prepare((chain, monitor, key, length, mesh))
            spent[number] += length * np.count_nonzero(running)
            states, stop = run(*arrays[1:], arrays[0], stop, np.uint32(first), np.int32(length), np.uint32(0))
            marks = np.asarray(stop)[: rows.size]
            stopped = marks < RUNNING
            new = np.flatnonzero(stopped & running)
            if new.size:
                step[rows[new]] = first + marks[new].astype(np.int64) // CODES
                code[rows[new]] = marks[new] % CODES
                state[rows[new]] = np.asarray(states)[:, new].T
            running = ~stopped
            first += length
            rows, running, arrays, stop = compact(mesh, rows, running, (states, *arrays[1:]), stop, _PART)

    run_chunks(work, len(chunks.ids), mesh)
    return Ends(step, code, state, int(spent.sum()))


def _block(
    shared,
    ids: UInt32[Array, " n"],
    clock: UInt32[Array, " n"],
    budget: UInt32[Array, " n"],
    states: Float[Array, "dim n"],
    stop: Int32[Array, " n"],
    first,
    count,
    guard,
):
    """As the block of a plain run; the states of those that have stopped stay."""
    chain, monitor, key, steps, mesh = shared

    def run(shared, states, stop, ids, clock, budget):
        chain, monitor, key, first, count, guard = shared
        lanes = Lanes(chain, states.dtype, guard)
        source = Source.of(chain.noise_kind, key, chain.noise_dim, states.dtype)
        watch = Watch(monitor, key, ids, first, clock, budget)
        return beside(lanes, source, watch, states, stop, count if steps is None else steps, freezes=True)

    return spread(mesh, run, (chain, monitor, key, first, jnp.asarray(count), guard), states, stop, ids, clock, budget)


_BLOCK = Compiled(_block)
