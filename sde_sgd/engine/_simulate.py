"""States of many trajectories, at the end or along the way."""

from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from .._errors import positive_integer
from ..chains import AbstractChain, refuse_late
from ._blocks import (
    Ids,
    check_first_step,
    check_steps,
    place_ids,
    place_states,
    split_trajectories,
    start_states,
)
from ._devices import mesh_of, run_chunks, shard, shard_apply
from ._integrate import advance, as_ids, block_unit
from ._lanes import as_leaves
from ._noise import STEPS_PER_HASH, SeedKey, seed_key
from ._tuning import Compiled, tuning

# a block ends often enough that a run can be interrupted
_BLOCK_STEPS = 4_096
# looks between which the host waits for the devices, so that what it has asked for does not pile up
_RUN_AHEAD = 64


def simulate(
    chain: AbstractChain,
    start: Any,
    steps: int,
    trajectories: int | None = None,
    seed: int = 0,
    *,
    save_every: int | None = None,
    trajectory_ids: Any = None,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
) -> Float[np.ndarray, "..."]:
    """Final states of many trajectories, or their paths.

    chain: any chain.
    start: θ of shape (dim,) for all, or (trajectories, dim); or whole states of a chain with memory.
    steps: number of chain steps, at most 2³².
    trajectories: how many; their ids are 0, 1, 2, …
    seed: 0 … 2⁶⁴ − 1. Trajectory i is the same bits whatever the chunk, the devices, the number of trajectories or
        `save_every`.
    save_every: keep the state after each so many steps; it must divide `steps`.
    trajectory_ids: run just these ids (in place of `trajectories`); [17] replays trajectory 17 alone.
    chunk: most trajectories in one compiled call; by default what is fast and fits memory (`plan` says).
    devices: those to run on, by default all local ones.
    Returns θ, (trajectories, dim), or (steps // save_every + 1, trajectories, dim) with the start first. A trajectory
    that diverges holds NaN or infinity from there on.
    Raises ValueError on a wrong shape, a start with a loss or gradient that is not finite, or an impossible count.
    """
    steps = check_steps("steps", steps)
    ids = resolve_ids(trajectories, trajectory_ids)
    if save_every is not None:
        positive_integer("save_every", save_every)
        if steps % save_every:
            raise ValueError(f"save_every must divide steps = {steps}, got {save_every}")
    starts = start_states(start, chain, len(ids))
    check_first_step(chain, starts)
    looks = [steps] if save_every is None else range(0, steps + 1, save_every)
    out = np.empty((len(looks), len(ids), chain.dim), starts.dtype)

    def keep(part: Part, number: int, states: Any, carry: Any) -> None:
        out[number, part.rows] = _as_rows(states[: chain.dim] if chain.memory else states)[: part.used]

    observe(chain, starts, ids, looks, seed_key(seed), keep, chunk=chunk, devices=devices)
    return out[0] if save_every is None else out


def _as_rows(states: Float[Array, "dim lanes"]) -> Float[np.ndarray, "lanes dim"]:
    """The states on the host; devices with a memory of their own turn them faster than it does."""
    turns = tuning().sends and states.shape[0] > 1
    return np.asarray(_TURNED(states)) if turns else np.asarray(states).T


_TURNED = jax.jit(jnp.transpose)


class Part(NamedTuple):
    """Trajectories that run side by side: their rows among all, and how many there are.

    Their states fill the first `used` of all lanes; the others are copies of the last.
    """

    rows: slice
    used: int
    mesh: Mesh


def observe(
    chain: AbstractChain,
    starts: Float[np.ndarray, "n dim"],
    ids: Ids,
    looks: Sequence[int],
    key: SeedKey,
    visit: Callable[[Part, int, Any, Any], Any],
    finish: Callable[[Part, Any], None] | None = None,
    chunk: int | None = None,
    devices: Any = None,
) -> None:
    """Run trajectories and look at their states along the way; nothing else is kept.

    looks: step numbers that never fall, 0 for the start.
    visit: carry = visit(part, number, states, carry) at each of them; `states` lie on the devices, (dim, lanes), and so
        should the carry, which is None at first: then the host runs ahead and the devices never wait.
    finish: finish(part, carry) once its trajectories are done. Parts run side by side, each in one thread.
    Which trajectories run together, and on which devices, changes nothing in their bits.
    """
    refuse_late(chain, max(looks), starts.dtype)
    chain, mesh = as_leaves(chain), mesh_of(devices)
    chunks = split_trajectories(ids, chain, chunk, mesh)

    def work(number: int, halted: Event) -> None:
        numbers = chunks.ids[number]
        part = Part(slice(number * chunks.size, number * chunks.size + len(numbers)), len(numbers), mesh)
        states = place_states(mesh, starts[part.rows], chunks.size)
        words = place_ids(mesh, numbers, chunks.size)
        now, carry = 0, None
        for index, look in enumerate(looks):
            states = _advance(chain, key, words, states, now, look - now, mesh, halted)
            if halted.is_set():
                return
            carry, now = visit(part, index, states, carry), look
            if index % _RUN_AHEAD == _RUN_AHEAD - 1:
                states.block_until_ready()
        if finish is not None:
            finish(part, carry)

    run_chunks(work, len(chunks.ids), mesh)


def resolve_ids(trajectories, trajectory_ids) -> Ids:
    """The ids to run."""
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


def _advance(chain, key, ids, states, first, steps, mesh, halted: Event):
    """Step from the host in compiled blocks, so that a run can be interrupted."""
    unit, aligned = block_unit(chain.noise_kind), first % STEPS_PER_HASH[chain.noise_kind] == 0
    while steps > 0 and not halted.is_set():
        now = min(_BLOCK_STEPS, steps)
        # one program for all whole blocks, where the device does not mind
        traced = aligned and now >= unit and not tuning().static_trips
        now -= now % unit if aligned and now >= unit else 0
        run = _BLOCK.prepare((chain, key, None if traced else now, aligned, mesh))
        states = run(ids, states, np.uint32(first), np.int32(now), np.uint32(0))
        first, steps = first + now, steps - now
    return states


def _block(shared, ids, states: Float[Array, "dim n"], first, count, guard):
    chain, key, steps, aligned, mesh = shared

    def run(shared, states, ids):
        chain, key, first, count, guard = shared
        return advance(chain, states, key, ids, first, count if steps is None else steps, aligned, guard)

    return shard_apply(mesh, run, (chain, key, first, count, guard), states, ids)


_BLOCK = Compiled(_block)


def block_memory(chain: AbstractChain, chunk: int, dtype: Any, mesh: Mesh) -> int:
    """Bytes on the devices while a chunk runs: its arguments, its results and what lies between."""
    unit = block_unit(chain.noise_kind)
    states, ids = shard(mesh, np.zeros((chain.state_dim, chunk), dtype)), shard(mesh, np.zeros(chunk, np.uint32))
    steps = unit if tuning().static_trips else None
    shared = (as_leaves(chain), seed_key(0), steps, True, mesh)
    return _BLOCK.memory(shared, ids, states, np.uint32(0), np.int32(unit), np.uint32(0))
