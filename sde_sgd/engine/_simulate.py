"""States of many trajectories, at the end or along the way."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._errors import positive_integer
from ..chains import AbstractChain
from ._blocks import (
    as_leaves,
    check_first_step,
    check_steps,
    pad,
    split_steps,
    split_trajectories,
    start_states,
)
from ._integrate import as_ids, batched_step, scan_steps
from ._noise import STEPS_PER_HASH, seed_key


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
) -> Float[np.ndarray, "..."]:
    """Final states of many trajectories, or their paths.

    chain: any chain.
    start: (dim,) for all, or (trajectories, dim).
    steps: number of chain steps, at most 2³².
    trajectories: how many; their ids are 0, 1, 2, …
    seed: 0 … 2⁶⁴ − 1. Trajectory i is the same bits whatever the chunk, the number of trajectories or `save_every`.
    save_every: keep the state after each so many steps; it must divide `steps`.
    trajectory_ids: run just these ids (in place of `trajectories`); [17] replays trajectory 17 alone.
    chunk: most trajectories in one compiled call; by default what fits memory.
    Returns (trajectories, dim), or (steps // save_every + 1, trajectories, dim) with the start first. A trajectory that
    diverges holds NaN or infinity from there on.
    Raises ValueError on a wrong shape, a start with a loss or gradient that is not finite, or an impossible count.
    """
    steps = check_steps("steps", steps)
    ids = resolve_ids(trajectories, trajectory_ids)
    if save_every is not None:
        positive_integer("save_every", save_every)
        if steps % save_every:
            raise ValueError(f"save_every must divide steps = {steps}, got {save_every}")
    key = seed_key(seed)
    starts = start_states(start, chain.dim, len(ids))
    check_first_step(chain, starts)
    chain = as_leaves(chain)
    chunks = split_trajectories(ids, chain, chunk)
    saved = 1 if save_every is None else steps // save_every + 1
    out = np.empty((saved, len(ids), chain.dim), starts.dtype)
    done = 0
    for part in chunks.ids:
        rows = slice(done, done + len(part))
        states = jnp.asarray(pad(starts[rows], chunks.size).T)
        words = jnp.asarray(pad(part, chunks.size).astype(np.uint32))
        if save_every is None:
            out[0, rows] = _advance(chain, key, words, states, 0, steps)[:, : len(part)].T
        else:
            out[0, rows] = starts[rows]
            for index in range(1, saved):
                states = _advance(chain, key, words, states, (index - 1) * save_every, save_every)
                out[index, rows] = np.asarray(states).T[: len(part)]
        done += len(part)
    return out[0] if save_every is None else out


def resolve_ids(trajectories, trajectory_ids) -> np.ndarray:
    """The ids to run, as 64-bit integers."""
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
    return np.arange(trajectories, dtype=np.int64)


def _advance(chain, key, ids, states, first, steps):
    """Step from the host in compiled blocks, so that a run can be interrupted."""
    _, length = split_steps(steps, chain)
    while steps > 0:
        now = min(length, steps)
        aligned = first % STEPS_PER_HASH[chain.noise_kind] == 0
        states = _block(chain, key, ids, states, jnp.uint32(first), now, aligned)
        first, steps = first + now, steps - now
    return states


@eqx.filter_jit
def _block(chain, key, ids, states: Float[Array, "dim n"], first, steps: int, aligned: bool):
    def body(carry, index, noise):
        return batched_step(chain, carry, noise, index)

    return scan_steps(body, states, chain, key, ids, first, steps, states.dtype, aligned=aligned)
