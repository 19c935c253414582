"""Run trajectories until a monitor stops them: the step and the reason, nothing kept along the way."""

import abc
import functools
import operator
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, Int32

from ..chains import AbstractChain
from ._blocks import narrowest, pad, split_trajectories
from ._devices import mesh_of, place, run_chunks, spread
from ._integrate import Step, scan_steps
from ._lanes import Lanes, as_leaves
from ._noise import BRIDGE, SeedKey, Source, bridge_uniforms, stream_keys
from ._tuning import Compiled, tuning

DIVERGED = 1
"""Code of a trajectory whose state stopped being finite; a monitor's own codes are 2 … 7."""
CODES = 8
# the mark of a trajectory that runs, above all others and within the payload of a NaN
RUNNING = 2**21
# a multiple of the steps that one hash serves
_SHORTEST_BLOCK, _LONGEST_BLOCK = 64, 4_096
# a block ends after about so many path-steps, so that Ctrl-C is heard
_BLOCK_WORK = 2**26
# the running ones move together once they fit into this part of the lanes: few widths, so few programs
_PART = 4


class AbstractMonitor(eqx.Module):
    """Watches each step of one trajectory and says when to stop it."""

    uniforms: eqx.AbstractVar[int]
    """How many uniform random numbers it wants per step."""
    looks_back: eqx.AbstractVar[bool]
    """Whether it needs the state before the step."""

    @abc.abstractmethod
    def code(
        self,
        before: Float[Array, " dim"],
        after: Float[Array, " dim"],
        step_index: Array,
        uniform: Float[Array, " uniforms"],
    ) -> Int32[Array, ""]:
        """0 to go on, 2 … 7 to stop after this step."""


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

    Which trajectories run together, and on which devices, changes nothing in their bits.
    """
    step, code = np.full(len(ids), -1, np.int64), np.zeros(len(ids), np.int8)

    def report(rows, steps, codes, states):
        step[rows], code[rows] = steps, codes

    run = Run(chain, monitor, key, chunk, devices)
    spent = run.follow((starts, ids), np.ones(len(ids), bool), steps, report)
    if steps is not None:
        # blocks may run a little past the end; what happened there was not asked for
        late = step > steps
        step[late], code[late] = -1, 0
    return Stops(step, code, spent)


class Run(NamedTuple):
    """What runs, and where.

    shortest: steps of the shortest block, a multiple of those that one hash serves.
    """

    chain: AbstractChain
    monitor: AbstractMonitor
    key: SeedKey
    chunk: int | None
    devices: Any
    shortest: int = _SHORTEST_BLOCK
    split: Callable = split_trajectories

    def follow(self, past: Sequence[np.ndarray], running: Bool[np.ndarray, " n"], steps: int | None, report) -> int:
        """Run the running ones until they stop, or all have taken `steps` steps; returns the path-steps spent.

        The host steps compiled blocks and drops stopped trajectories between them, so time goes to those that still
        run.
        past: states and ids of all, and where they have a past their clocks and budgets (see `Watch`).
        report: called with the rows that stopped, their steps and codes, and a function that gives their states.
        """
        chain, monitor, mesh = as_leaves(self.chain), as_leaves(self.monitor), mesh_of(self.devices)
        chunks = self.split(past[1], chain, self.chunk, mesh)
        unit = narrowest(chain, mesh)
        spent = np.zeros(len(chunks.ids), np.int64)

        def prepare(length: int | None):
            return _BLOCK.prepare((chain, monitor, self.key, length, mesh))

        def work(number: int, halted: Event) -> None:
            begin = number * chunks.size
            rows = np.arange(begin, begin + len(chunks.ids[number]))
            arrays = tuple(_lanes(mesh, each[rows], chunks.size) for each in past)
            going = running[rows]
            stop = _marks(mesh, rows.size, chunks.size)
            if not going.all():
                stop = place(mesh, pad(np.where(going, RUNNING, 0), chunks.size).astype(np.int32))
            rows, going, arrays, stop = _compact(mesh, unit, rows, going, arrays, stop)
            first, run = 0, prepare(None)
            while rows.size and (steps is None or first < steps) and not halted.is_set():
                length = block_length(first, steps, stop.shape[0], self.shortest)
                run = prepare(length) if tuning().static_trips else run
                spent[number] += length * np.count_nonzero(going)
                states, stop = run(stop, np.uint32(first), np.int32(length), np.uint32(0), *arrays)
                marks = np.asarray(stop)[: rows.size]
                # a lane keeps its mark after it was reported
                new = np.flatnonzero((marks < RUNNING) & going)
                if new.size:
                    found = first + marks[new].astype(np.int64) // CODES, marks[new] % CODES
                    report(rows[new], *found, lambda states=states, new=new: np.asarray(states)[:, new].T)
                going = marks == RUNNING
                first += length
                rows, going, arrays, stop = _compact(mesh, unit, rows, going, (states, *arrays[1:]), stop)

        run_chunks(work, len(chunks.ids), mesh)
        return int(spent.sum())


def _lanes(mesh: Mesh, rows: np.ndarray, width: int) -> Array:
    """Rows as lanes on the devices: states in their own dtype, whole numbers as unsigned words."""
    filled = pad(rows, width)
    return place(mesh, filled.T if filled.ndim == 2 else filled.astype(np.uint32))


@functools.lru_cache(maxsize=64)
def _marks(mesh: Mesh, used: int, width: int) -> Int32[Array, " width"]:
    """The marks at the start: of a trajectory that runs, and 0 for a lane that only fills up."""
    return place(mesh, np.where(np.arange(width) < used, RUNNING, 0).astype(np.int32))


def block_length(first: int, steps: int | None, width: int, shortest: int = _SHORTEST_BLOCK) -> int:
    """Short blocks at first, where many may leave, then longer ones."""
    # as long again as all before: those that leave early are dropped early, and few blocks are short
    longest = min(_LONGEST_BLOCK, max(shortest, _BLOCK_WORK // width), max(2 * shortest, first))
    wanted = longest if steps is None else min(longest, steps - first)
    if tuning().static_trips:
        # few lengths, so few programs
        return shortest if wanted < 1_024 else 1_024
    return shortest * -(-wanted // shortest)


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


def _block(shared, stop: Int32[Array, " n"], first, count, guard, states: Float[Array, "dim n"], ids, *past):
    """`stop` is RUNNING, or what stopped the trajectory: (steps since `first`)·8 + code, or an older mark.

    past: nothing, or clocks and budgets; the states of those that have stopped then stay.
    """
    chain, monitor, key, steps, mesh = shared

    def run(shared, stop, states, ids, *past):
        chain, monitor, key, first, count, guard = shared
        lanes = Lanes(chain, states.dtype, guard)
        source = Source.of(chain.noise_kind, key, chain.noise_dim, states.dtype)
        watch = Watch(monitor, key, ids, first, *past)
        length = count if steps is None else steps
        if lanes.single and states.dtype in (jnp.float32, jnp.float64):
            return _in_one_array(lanes, source, watch, states, stop, length, freezes=bool(past))
        return _beside(lanes, source, watch, states, stop, length, freezes=bool(past))

    return spread(mesh, run, (chain, monitor, key, first, count, guard), stop, states, ids, *past)


_BLOCK = Compiled(_block)


class Watch:
    """A monitor with the random numbers of its own.

    clock: (n,) steps that each trajectory had taken before, or None for none: what the chain and the monitor are told.
    budget: (n,) steps after which each stops with code 0, or None.
    """

    def __init__(self, monitor: AbstractMonitor, key: SeedKey, ids, first, clock=None, budget=None):
        self.monitor, self.ids, self.first, self.clock, self.budget = monitor, ids, first, clock, budget
        self._keys = stream_keys(key, monitor.uniforms, BRIDGE) if monitor.uniforms else None

    def now(self, index):
        """The number of a step as the chain knows it."""
        return index if self.clock is None else self.clock + index

    def mark(self, lanes: Lanes, before, after, step: Step) -> Int32[Array, " n"]:
        """What a step did: (steps since the block began)·8 + code, or RUNNING."""
        uniform = []
        if self._keys is not None:
            uniform = bridge_uniforms(self._keys, self.ids, step.group, step.offset, lanes.dtype)
        code = lanes.code(self.monitor.code, before, after, self.now(step.index), uniform)
        if lanes.componentwise:
            finite = functools.reduce(operator.and_, map(jnp.isfinite, after))
        else:
            finite = jnp.all(jnp.isfinite(after), axis=0)
        base = ((step.index - self.first).astype(jnp.int32) + 1) * CODES
        going = RUNNING if self.budget is None else jnp.where(step.index + 1 < self.budget, RUNNING, base)
        mark = jnp.where(code > 0, base + code.astype(jnp.int32), going)
        return jnp.where(finite, mark, base + DIVERGED)


def _beside(lanes: Lanes, source: Source, watch: Watch, states, stop, steps, freezes: bool):
    """The marks in an array beside the states; each step is looked at before the next one.

    So the look reads what was carried, and the compiler does not compute the step a second time for it.
    freezes: a trajectory that has stopped keeps its state.
    """

    def look(previous, lane, stop, index):
        mark = watch.mark(lanes, previous, lane, Step(index, index // 2, index % 2))
        # before the block's first step there is nothing to look at; later marks are larger
        return jnp.where(index + 1 == watch.first, stop, jnp.minimum(stop, mark))

    def body(carry, step, noise):
        lane, previous, stop = carry
        stop = look(lane if previous is None else previous, lane, stop, step.index - 1)
        after = lanes.step(lane, noise, watch.now(step.index))
        if freezes:
            after = jax.tree.map(lambda old, new: jnp.where(stop < RUNNING, old, new), lane, after)
        return after, (None if previous is None else lane), stop

    lane = lanes.enter(states)
    carry = (lane, lane if watch.monitor.looks_back else None, stop)
    lane, previous, stop = scan_steps(body, carry, lanes, source, watch.ids, watch.first, steps, aligned=True)
    last = watch.first + jnp.asarray(steps).astype(jnp.uint32) - 1
    return lanes.leave(lane), look(lane if previous is None else previous, lane, stop, last)


def _in_one_array(lanes: Lanes, source: Source, watch: Watch, states, stop, steps, freezes: bool):
    """One component: between iterations the state and its mark are one array.

    A second array would be a second output of the loop's one fusion, and a CPU computes a fusion once for each.
    """
    open_, close = packing = _PAIR if freezes else _in_a_nan(lanes.dtype)

    def body(carry, step, noise):
        state, stop = carry
        (after,) = lanes.step([state], noise, watch.now(step.index))
        mark = jnp.minimum(stop, watch.mark(lanes, [state], [after], step))
        return jnp.where(stop < RUNNING, state, after) if freezes else after, mark

    packed = close((states[0], stop))
    packed = scan_steps(body, packed, lanes, source, watch.ids, watch.first, steps, aligned=True, packing=packing)
    state, stop = open_(packed)
    return state[None], stop


def _in_a_nan(dtype):
    """What opens and closes: a stopped trajectory is a NaN whose payload is its mark, and its state is lost."""
    word, quiet = (jnp.int64, 0x7FF8 << 48) if dtype == jnp.float64 else (jnp.int32, 0x7FC00000)

    def open_(bits):
        payload = (bits & ~jnp.asarray(quiet, word)).astype(jnp.int32)
        return jax.lax.bitcast_convert_type(bits, dtype), jnp.where(bits >= quiet, payload, RUNNING)

    def close(carry):
        state, stop = carry
        return jnp.where(stop < RUNNING, stop.astype(word) | quiet, jax.lax.bitcast_convert_type(state, word))

    return open_, close


# a complex number holds the state and, exactly, the mark
_PAIR = (
    lambda pair: (pair.real, pair.imag.astype(jnp.int32)),
    lambda carry: jax.lax.complex(carry[0], carry[1].astype(carry[0].dtype)),
)
