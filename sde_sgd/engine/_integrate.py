"""Many steps of a chain for many trajectories: pure functions, one scan, noise made where it is used."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from .._errors import is_traced, positive_integer
from ..chains import AbstractChain
from ._noise import STEPS_PER_HASH, Key, group_noise, noise_of_step, seed_key

MAX_STEPS = 2**32
"""Steps are counted by unsigned 32-bit integers."""

Body = Callable[[Any, UInt32[Array, ""], Array], Any]


def scan_steps(
    body: Body,
    carry: Any,
    chain: AbstractChain,
    key: Key,
    ids: UInt32[Array, " n"],
    first_step,
    steps: int,
    dtype,
    *,
    aligned: bool,
) -> Any:
    """carry = body(carry, step_index, noise) for `steps` steps, noise of shape (noise_dim, n).

    aligned: first_step is a multiple of the steps that one hash serves. Then each hash is computed once and used
        whole; otherwise it is computed for each step, with the same numbers.
    """
    period = STEPS_PER_HASH[chain.noise_kind]
    first_step = jnp.asarray(first_step, jnp.uint32)
    whole = steps // period if aligned else 0

    def noise(group):
        return group_noise(chain.noise_kind, key, ids, group, chain.noise_dim, dtype)

    def one(carry, index):
        draws = noise_of_step(chain.noise_kind, noise(index // period), index % period, dtype)
        return body(carry, index, draws), None

    def pair(carry, group):
        draws = noise(group)
        for offset in range(2):
            step = noise_of_step(chain.noise_kind, draws, offset, dtype)
            carry = body(carry, 2 * group + jnp.uint32(offset), step)
        return carry, None

    def bits(carry, group):
        draws = noise(group)

        def inner(carry, offset):
            return body(carry, group * period + offset, noise_of_step(chain.noise_kind, draws, offset, dtype)), None

        return jax.lax.scan(inner, carry, jnp.arange(period, dtype=jnp.uint32))

    if whole:
        groups = first_step // period + jnp.arange(whole, dtype=jnp.uint32)
        carry, _ = jax.lax.scan(pair if period == 2 else bits, carry, groups)
    rest = steps - whole * period
    if rest:
        indices = first_step + jnp.uint32(whole * period) + jnp.arange(rest, dtype=jnp.uint32)
        carry, _ = jax.lax.scan(one, carry, indices)
    return carry


def batched_step(chain: AbstractChain, states: Float[Array, "dim n"], noise: Array, index) -> Float[Array, "dim n"]:
    """One step of every trajectory; the trajectory axis is last, where it vectorises."""
    return jax.vmap(chain.step, in_axes=(1, 1, None), out_axes=1)(states, noise, index)


def integrate(
    chain: AbstractChain,
    states: Float[Array, "n dim"],
    first_step,
    steps: int,
    seed,
    trajectory_ids: Any,
) -> Float[Array, "n dim"]:
    """States after `steps` steps: the pure function beneath everything, for your own jit, vmap, shard_map and grad.

    chain: any chain; differentiate with respect to its leaves, or to `states`, for path-wise sensitivities.
    states: (n, dim), the states before step `first_step`; their dtype is that of the arithmetic.
    first_step: number of the first step; a Python integer (fastest when even) or a traced integer.
    steps: how many steps, fixed when the program is compiled.
    seed: 0 … 2⁶⁴ − 1, or a traced 32-bit integer.
    trajectory_ids: (n,) whole numbers below 2³²; they choose the noise. Splitting `steps` over several calls, or the
        trajectories over several devices, gives the same states.
    Raises ValueError on a wrong shape, or where the last step number would pass 2³².
    """
    positive_integer("steps", steps)
    states = jnp.asarray(states)
    if not jnp.issubdtype(states.dtype, jnp.floating):
        states = states.astype(jnp.zeros(0).dtype)
    ids = as_ids(trajectory_ids)
    if states.ndim != 2 or states.shape != (ids.shape[0], chain.dim):
        raise ValueError(
            f"states must have shape ({ids.shape[0]}, {chain.dim}), one row for each trajectory id, got {states.shape}"
        )
    known = isinstance(first_step, int | np.integer)
    if known and not 0 <= first_step <= MAX_STEPS - steps:
        raise ValueError(f"first_step must lie from 0 to 2**32 - steps, got {first_step!r}")

    def body(carry, index, noise):
        return batched_step(chain, carry, noise, index)

    aligned = bool(known and first_step % STEPS_PER_HASH[chain.noise_kind] == 0)
    final = scan_steps(body, states.T, chain, seed_key(seed), ids, first_step, steps, states.dtype, aligned=aligned)
    return final.T


def as_ids(trajectory_ids) -> UInt32[Array, " n"]:
    """Trajectory ids as unsigned 32-bit words; ValueError where one does not fit."""
    if is_traced(trajectory_ids):
        return trajectory_ids.astype(jnp.uint32)
    array = np.asarray(trajectory_ids)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
        raise ValueError(f"trajectory_ids must be a list of whole numbers, shape (n,), got {trajectory_ids!r}")
    if array.min() < 0 or array.max() >= 2**32:
        raise ValueError(f"trajectory_ids must lie from 0 to 2**32 - 1, got values from {array.min()} to {array.max()}")
    return jnp.asarray(array.astype(np.uint32))
