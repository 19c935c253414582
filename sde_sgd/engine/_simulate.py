"""Simulation: states of many trajectories at the end or along the way, and streaming reductions over them."""

import functools
from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from .. import _progress
from .._errors import names_options, positive_integer
from ..chains import AbstractChain, refuse_late
from ..random import SeedKey, seed_key
from ._batched_step import as_leaves
from ._blocks import (
    Ids,
    check_steps,
    place_ids,
    place_states,
    split_trajectories,
)
from ._compiled import Compiled
from ._devices import mesh_of, run_chunks, shard, shard_apply, workers
from ._integrate import advance, as_ids, block_unit, steps_per_hash
from ._start import check_first_step, start_states
from ._tuning import Tuning, given_or_of
from .kernel import advance as advance_in_kernel
from .kernel import choose

# a block ends often enough that a run can be interrupted
_BLOCK_STEPS = 4_096
# observations between which the host waits for the devices, so that what it has asked for does not pile up
_RUN_AHEAD = 64
# so few steps of numbers are done before another thread is awake
_BEFORE_A_THREAD_WAKES = 2**13


@names_options
def simulate(
    chain: AbstractChain,
    start: Any,
    steps: int,
    trajectories: int | None = None,
    seed: Any = 0,
    *,
    save_every: int | None = None,
    trajectory_ids: Any = None,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool | None = None,
    tuning: Tuning | None = None,
    to: str = "host",
) -> Float[np.ndarray | Array, "..."]:
    """Final states of many trajectories, or their paths.

    chain: any chain.
    start: θ of shape (dim,) for all, or (trajectories, dim); or whole states of a chain with memory.
    steps: number of chain steps, at most 2³².
    trajectories: how many; their ids are 0, 1, 2, …
    seed: 0 … 2⁶⁴ − 1, or a JAX key of two words; trajectory i is a function of it and of i, see below.
    save_every: keep the state after each so many steps; it must divide `steps`.
    trajectory_ids: run just these ids (in place of `trajectories`); [17] replays trajectory 17 alone.
    chunk: most trajectories in one compiled call; by default what is fast and fits memory (`plan` says).
    devices: those to run on, by default all local ones.
    progress: a line with the path-steps done; None shows it in a terminal and in a notebook.
    tuning: how the work is laid out, by default as measured on such devices (`engine.tuning_of`).
    to: "host" for a NumPy array, "device" for a JAX array that stays on the devices: nothing is then sent to the host.
    Returns θ, (trajectories, dim), or (steps // save_every + 1, trajectories, dim) with the start first. A trajectory
    that diverges holds NaN or infinity from there on.

    Where a step is read by components (`plan(…).lowering` says so), trajectory i is the same to the last bit whatever
    the chunk, the devices of one kind, the number of trajectories, `trajectory_ids` or `save_every`. Where it is not (a
    network, examples of a data set, more than 32 components) its sums may be taken in another order in chunks of
    another width, on other devices and with another `save_every`: there runs agree to rounding. With a `chunk` that is
    given, of 64 times the number of devices say, all chunks are alike, and so trajectory i of such a chain, too, is the
    same to the last bit whatever the number of trajectories or `trajectory_ids`.

    Raises ValueError on a wrong shape, a start with a loss or gradient that is not finite, an impossible count, or
    `steps` that end later than the chain knows its time, where something changes in time (`chain.last_step(dtype)`:
    float32 knows a general time up to step 2²³, and schedules and periods longer).
    """
    if to not in ("host", "device"):
        raise ValueError(f"to must be 'host' or 'device', got {to!r}")
    steps = check_steps("steps", steps)
    ids = resolve_ids(trajectories, trajectory_ids)
    if save_every is not None:
        positive_integer("save_every", save_every)
        if steps % save_every:
            raise ValueError(f"save_every must divide steps = {steps}, got {save_every}")
    key, starts = seed_key(seed), start_states(start, chain, len(ids))
    check_first_step(chain, starts)
    mesh = mesh_of(devices)
    tuning = given_or_of(tuning, mesh)
    at = [steps] if save_every is None else range(0, steps + 1, save_every)
    kept = (_OnDevice if to == "device" else _OnHost)(len(at), len(ids), chain.dim, starts.dtype, tuning)

    def keep(part: Part, number: int, states: Any, carry: Any) -> None:
        kept.keep(part, number, states[: chain.dim] if chain.memory else states)

    with _progress.shown(progress, "simulate"):
        observe(chain, starts, ids, at, key, keep, chunk=chunk, devices=devices, tuning=tuning)
    return kept.final() if save_every is None else kept.paths()


class _OnHost:
    """States of all trajectories in one NumPy array."""

    def __init__(self, looks: int, trajectories: int, dim: int, dtype: Any, tuning: Tuning):
        self._out, self._tuning = np.empty((looks, trajectories, dim), dtype), tuning

    def keep(self, part: "Part", number: int, thetas: Float[Array, "dim width"]) -> None:
        self._out[number, part.rows] = _as_rows(thetas, self._tuning)[: part.used]

    def final(self) -> Float[np.ndarray, "n dim"]:
        return self._out[0]

    def paths(self) -> Float[np.ndarray, "looks n dim"]:
        return self._out


class _OnDevice:
    """The same, where the chunks left them, joined there in the end."""

    def __init__(self, looks: int, trajectories: int, dim: int, dtype: Any, tuning: Tuning):
        # by the number of the look and by that of a chunk's first trajectory
        self._parts: list[dict[int, Array]] = [{} for _ in range(looks)]

    def keep(self, part: "Part", number: int, thetas: Float[Array, "dim width"]) -> None:
        self._parts[number][part.rows.start] = _ROWS(thetas, part.used)

    def final(self) -> Float[Array, "n dim"]:
        return self._joined(0)

    def paths(self) -> Float[Array, "looks n dim"]:
        return jnp.stack([self._joined(number) for number in range(len(self._parts))])

    def _joined(self, number: int) -> Float[Array, "n dim"]:
        parts = [part for _, part in sorted(self._parts[number].items(), key=lambda item: item[0])]
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts)


def _as_rows(states: Float[Array, "dim width"], tuning: Tuning) -> Float[np.ndarray, "width dim"]:
    """The states on the host; devices with a memory of their own turn them faster than it does."""
    turns = tuning.has_own_memory and states.shape[0] > 1
    return np.asarray(_TURNED(states)) if turns else np.asarray(states).T


_TURNED = jax.jit(jnp.transpose)
_ROWS = jax.jit(lambda thetas, used: thetas[:, :used].T, static_argnums=1)


class Part(NamedTuple):
    """Trajectories that run side by side: their rows among all, and how many there are.

    Their states fill the first `used` of all columns; the others are copies of the last. mesh: the devices.
    """

    rows: slice
    used: int
    mesh: Mesh


def observe(
    chain: AbstractChain,
    starts: Float[np.ndarray, "n dim"],
    ids: Ids,
    observation_steps: Sequence[int],
    key: SeedKey,
    update: Callable[[Part, int, Any, Any], Any],
    finalize: Callable[[Part, Any], None] | None = None,
    chunk: int | None = None,
    devices: Any = None,
    tuning: Tuning | None = None,
    ended: Callable[[Part], bool] | None = None,
    whole: bool = False,
) -> None:
    """Run trajectories and reduce their states along the way; nothing else is kept.

    chain, chunk, devices: as in `simulate`. starts: states, one for each of `ids`, which choose the noise. key: of the
        seed, see `seed_key`.
    observation_steps: step numbers that never fall, 0 for the start.
    update: carry = update(part, number, states, carry) at each of them; `states` lie on the devices, (dim, width), and
        so should the carry, which is None at first: then the host runs ahead and the devices never wait.
    finalize: finalize(part, carry) once its trajectories are done. Parts run side by side, each in one thread.
    tuning: by default that of the devices. ended: whether a part needs to run no further, asked after each update.
    whole: whether parts are of whole vector widths (`LANES`) even where a chain needs none.
    Which trajectories run together, and on which devices, changes of them what `simulate` says.
    """
    refuse_late(chain, max(observation_steps), starts.dtype)
    chain, mesh = as_leaves(chain), mesh_of(devices)
    tuning = given_or_of(tuning, mesh)
    chunks = split_trajectories(ids, chain, chunk, mesh, tuning, whole)
    blocks = _Blocks(chain, key, starts.dtype, mesh, tuning)

    def work(number: int, halted: Event) -> None:
        numbers = chunks.ids[number]
        part = Part(slice(number * chunks.size, number * chunks.size + len(numbers)), len(numbers), mesh)
        states = place_states(mesh, starts[part.rows], chunks.size)
        words = place_ids(mesh, numbers, chunks.size, tuning)
        now, carry = 0, None
        for index, until in enumerate(observation_steps):
            for first, length in blocks.between(now, until):
                if halted.is_set():
                    return
                states = blocks.advance(words, states, first, length)
                _progress.advance(length * part.used)
            carry, now = update(part, index, states, carry), until
            if ended is not None and ended(part):
                break
            if index % _RUN_AHEAD == _RUN_AHEAD - 1:
                states.block_until_ready()
        if finalize is not None:
            finalize(part, carry)

    brief = len(ids) * chain.state_dim * max(observation_steps) <= _BEFORE_A_THREAD_WAKES
    run_chunks(work, len(chunks.ids), 1 if brief else workers(mesh))


def resolve_ids(trajectories, trajectory_ids) -> Ids:
    """The ids to run: 0, 1, … for `trajectories` of them, or `trajectory_ids`. ValueError unless one is given."""
    if (trajectories is None) == (trajectory_ids is None):
        raise ValueError(
            "give either trajectories (how many) or trajectory_ids (which), got "
            + ("neither" if trajectories is None else "both")
        )
    if trajectory_ids is not None:
        return np.asarray(as_ids(trajectory_ids)).astype(np.int64)
    positive_integer("trajectories", trajectories)
    if trajectories > 2**32:
        raise ValueError(f"trajectories must be at most 2**32, got {trajectories}")
    return range(trajectories)


class _Blocks:
    """The compiled blocks of one run: the program of each kind is looked up once.

    chain: with numbers as leaves. key: of the seed. dtype: of the states.
    """

    def __init__(self, chain: AbstractChain, key: SeedKey, dtype: Any, mesh: Mesh, tuning: Tuning):
        self._shared, self._static = (chain, key, mesh, tuning), tuning.static_trips
        self._route = choose(chain, None, dtype, mesh, tuning).route
        self._period, self._unit = steps_per_hash(chain), block_unit(chain.noise_kind, tuning)
        # what one iteration of a kernel takes; of a loop, whose blocks are cut so that they hold a multiple of it
        self._whole = self._unit if self._route is None else max(self._period, tuning.steps_in_kernel(chain))
        self._programs: dict[Any, Callable] = {}

    def between(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Blocks from one step to another, as (first step, steps): a run can be interrupted between them."""
        while first < last:
            length = min(_BLOCK_STEPS, last - first)
            # whole units where the noise allows it, and then what is left; a kernel takes both
            splits = self._route is None and length >= self._unit and first % self._period == 0
            length -= length % self._unit if splits else 0
            yield first, length
            first += length

    def advance(self, ids: Any, states: Any, first: int, length: int) -> Any:
        """One block. All those of whole units share a program, where the device does not mind."""
        aligned = first % self._period == 0
        whole = aligned and length % self._whole == 0
        traced, regular = (whole and not self._static, aligned) if self._route is None else (True, whole)
        kind = None if traced else length, regular
        if kind not in self._programs:
            self._programs[kind] = _BLOCK.prepare((*self._shared, self._route, *kind))
        return self._programs[kind](ids, states, np.uint32(first), np.int32(length), np.uint32(0))


def _block(shared, ids, states: Float[Array, "dim n"], first, count, guard):
    """As many steps as are compiled in, or else `count`; regular: they need no steps that are hashed one by one."""
    chain, key, mesh, tuning, route, steps, regular = shared
    move = advance if route is None else functools.partial(advance_in_kernel, route)

    def run(shared, states, ids):
        chain, key, first, count, guard = shared
        return move(chain, states, key, ids, first, count if steps is None else steps, regular, guard, tuning)

    return shard_apply(mesh, run, (chain, key, first, count, guard), states, ids)


_BLOCK = Compiled(_block)


def block_memory(chain: AbstractChain, chunk: int, dtype: Any, mesh: Mesh, tuning: Tuning) -> int:
    """Bytes on the devices while a chunk runs: its states before and after, and what lies between."""
    unit = block_unit(chain.noise_kind, tuning)
    states, ids = shard(mesh, np.zeros((chain.state_dim, chunk), dtype)), shard(mesh, np.zeros(chunk, np.uint32))
    steps = unit if tuning.static_trips else None
    shared = (as_leaves(chain), seed_key(0), mesh, tuning, None, steps, True)
    return _BLOCK.memory(mesh.size, shared, ids, states, np.uint32(0), np.int32(unit), np.uint32(0))
