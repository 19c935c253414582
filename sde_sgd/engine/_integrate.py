"""The loop over steps (scan): pure functions of many trajectories, noise hashed where it is used, steps fused."""

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from .._errors import is_traced, positive_integer
from ..chains import AbstractChain, refuse_late
from ..random import SeedKey, Source, increments_of, seed_key
from ._batched_step import BatchedStep, as_leaves
from ._start import check_chain, refuse_half
from ._tuning import Tuning, tuning_of

MAX_STEPS = 2**32
"""Steps are counted by unsigned 32-bit integers."""


class Step(NamedTuple):
    """A step's number, and the group of steps that its hash serves with its place there."""

    index: Any
    group: Any
    offset: Any


Body = Callable[[Any, Step, Any], Any]
Packing = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""Open and close: from what a loop carries to what a step works on, and back."""


def scan_steps(
    body: Body,
    carry: Any,
    batched: BatchedStep,
    source: Source,
    ids: UInt32[Array, " n"],
    first_step,
    steps: Any,
    *,
    aligned: bool,
    fused: int,
    packing: Packing | None = None,
) -> Any:
    """carry = body(carry, step, noise) for `steps` steps.

    first_step: number of the first step, one for all trajectories or one for each.
    steps: an integer, or a traced one that is a multiple of `block_unit`.
    aligned: first_step is a multiple of the steps that one hash serves. Then each hash is computed once and used
        whole; otherwise it is computed for each step, with the same numbers.
    fused: most steps in one iteration where a step has one component, a power of 2; more than the tuning has are not.
    packing: how the carry crosses from one fused iteration to the next, for fused and aligned steps.
    """
    first_step = jnp.asarray(first_step, jnp.uint32)
    period = source.period
    known = isinstance(steps, int)
    whole = steps // period if aligned else 0
    if aligned:
        if batched.tuning.multi_output_fusion or batched.single:
            carry = _fused(body, carry, batched, source, ids, first_step // period, whole, packing, fused)
        else:
            carry = _stored(body, carry, batched, source, ids, first_step // period, whole)
    rest = steps - whole * period if known else 0

    def single(carry, index):
        pairs = (
            source.inline(ids, index // period) if batched.componentwise else source.inline_block(ids, index // period)
        )
        place = Step(index, index // period, index % period)
        return body(carry, place, _step_noise(batched, source, pairs, place.offset))

    return _loop(single, carry, first_step + jnp.uint32(whole * period) if known else first_step, rest)


def steps_per_hash(chain: AbstractChain) -> int:
    """Steps of a chain that one hash serves."""
    return increments_of(chain.noise_kind).steps_per_hash


def block_unit(kind, tuning: Tuning | None = None) -> int:
    """Steps of which a block of a traced length holds a multiple, for that kind of increments.

    tuning: by default that of all local devices.
    """
    return max(increments_of(kind).steps_per_hash, (tuning or tuning_of()).steps_fused)


def _fused(body, carry, batched, source, ids, first_group, groups, packing, fused):
    """Several steps an iteration in one fusion, each hash where it is used."""
    period, tuning = source.period, batched.tuning
    width = min(tuning.steps_fused, fused) if batched.single else tuning.steps_fused_many
    draw = source.inline if batched.componentwise else source.inline_block
    open_, close = packing or (lambda carry: carry, lambda carry: carry)

    def unrolled(carry, group, offset, count, pairs):
        for step in range(count):
            place = Step(group * period + offset + jnp.uint32(step), group, offset + step)
            carry = body(carry, place, _step_noise(batched, source, pairs, place.offset))
        return carry

    def few_groups(number_of_groups):
        def iteration(carry, number):
            carry = open_(carry)
            for offset in range(number_of_groups):
                group = first_group + number * number_of_groups + jnp.uint32(offset)
                carry = unrolled(carry, group, 0, period, draw(ids, group))
            return close(carry)

        return iteration

    def group_in_parts(carry, group):
        pairs = draw(ids, group)

        def part(carry, number):
            return close(unrolled(open_(carry), group, number * width, width, pairs))

        return _loop(part, carry, jnp.uint32(0), period // width)

    if period > width:
        return _loop(group_in_parts, carry, first_group, groups)
    together = width // period
    carry = _loop(few_groups(together), carry, jnp.uint32(0), groups // together)
    if isinstance(groups, int) and groups % together:
        first_group = first_group + jnp.uint32(groups // together * together)
        carry = _loop(few_groups(1), carry, jnp.uint32(0), groups % together)
    return carry


def _stored(body, carry, batched, source, ids, first_group, groups):
    """One step an iteration, its components in fusions of their own, the noise of a group in memory."""
    period = source.period

    def one(carry, group):
        pair = source.stored(ids, group, batched.tuning.packing)

        def step(carry, offset):
            place = Step(group * period + offset, group, offset)
            noise = _by_component(pair, offset, batched.guard) if batched.componentwise else pair
            return body(carry, place, _step_noise(batched, source, noise, offset))

        # a loop's boundary is the one that a compiler does not fuse across
        return _loop(step, carry, jnp.uint32(0), period)

    return _loop(one, carry, first_group, groups)


def _by_component(pair: tuple[Array, Array], offset, guard: Any) -> list[tuple[Array, Array]]:
    """Rows of both arrays, cut where they are used.

    To a compiler their numbers depend on the step, so that it does not cut them before the loop: each would be a kernel
    and a copy, and these are as many as there are components, twice.
    """
    none = jnp.uint32(0) if guard is None else offset & guard
    rows = (jnp.uint32(row) + none for row in range(len(pair[0])))
    return [tuple(jax.lax.dynamic_index_in_dim(each, row, keepdims=False) for each in pair) for row in rows]


def _step_noise(batched: BatchedStep, source: Source, pairs: Any, offset) -> Any:
    if batched.componentwise:
        return [source.step(pair, offset) for pair in pairs]
    noise = source.step(pairs, offset)
    # what is drawn with a word is used many times over: a compiler that fuses would hash it as often, and JAX 0.12's
    # does not come to an end. Words have no rounding that this could change
    return jax.lax.optimization_barrier(noise) if jnp.issubdtype(noise.dtype, jnp.integer) else noise


def _loop(body: Callable, carry: Any, first, count: Any) -> Any:
    """body(carry, index) for `count` indices from `first`; a known count can be differentiated in reverse."""
    if not isinstance(count, int):
        return jax.lax.fori_loop(0, count, lambda number, carry: body(carry, first + number.astype(jnp.uint32)), carry)
    if count == 0:
        return carry
    numbers = jnp.arange(count, dtype=jnp.uint32)
    return jax.lax.scan(lambda carry, number: (body(carry, first + number), None), carry, numbers)[0]


def advance(
    chain: AbstractChain,
    states: Float[Array, "dim n"],
    key: SeedKey,
    ids: UInt32[Array, " n"],
    first_step,
    steps: Any,
    aligned: bool,
    guard,
    tuning: Tuning,
) -> Float[Array, "dim n"]:
    """States after `steps` steps, the trajectory axis last, where it vectorises."""
    batched = BatchedStep(chain, states.dtype, tuning, guard)
    source = Source.of(chain.noise_kind, key, chain.noise_dim, states.dtype)

    def body(batch, step, noise):
        return batched.step(batch, noise, step.index)

    begin = batched.enter(states)
    fused = tuning.steps_fused_unwatched
    return batched.leave(scan_steps(body, begin, batched, source, ids, first_step, steps, aligned=aligned, fused=fused))


def integrate(
    chain: AbstractChain,
    states: Float[Array, "n state_dim"],
    first_step,
    steps: int,
    seed,
    trajectory_ids: Any,
) -> Float[Array, "n state_dim"]:
    """States after `steps` steps: the pure function beneath everything, for your own jit, vmap, shard_map and grad.

    chain: any chain; differentiate with respect to its leaves, or to `states`, for path-wise sensitivities.
    states: (n, state_dim), the whole states before step `first_step`, which are θ where the chain has no memory, else
        made from θ by `chain.begin`; their dtype is that of the arithmetic.
    first_step: number of the first step; a Python integer (fastest when even) or a traced integer. One that is traced
        cannot be refused: the states are NaN where it leads beyond the last step whose time the chain knows
        (`chain.last_step(dtype)`); that steps stay below 2³² is then for you to see to.
    steps: how many steps, fixed when the program is compiled.
    seed: 0 … 2⁶⁴ − 1, or a JAX key of two words; also a traced integer or key.
    trajectory_ids: (n,) whole numbers below 2³²; they choose the noise. Splitting `steps` over several calls, or the
        trajectories over several devices, gives the same states, to the last bit or to rounding as in `simulate`.
    Raises ValueError on a wrong shape, complex states or half precision, or where the last step number would pass 2³²,
    or the last one whose time the chain knows (`chain.last_step(dtype)`) where something changes in time.
    """
    check_chain(chain)
    positive_integer("steps", steps)
    states = jnp.asarray(states)
    if jnp.issubdtype(states.dtype, jnp.complexfloating):
        raise ValueError(f"states must be real, got complex numbers of dtype {states.dtype}")
    if not jnp.issubdtype(states.dtype, jnp.floating):
        states = states.astype(jnp.zeros(0).dtype)
    refuse_half("states", states.dtype)
    ids = as_ids(trajectory_ids)
    if states.ndim != 2 or states.shape != (ids.shape[0], chain.state_dim):
        raise ValueError(
            f"states must have shape ({ids.shape[0]}, {chain.state_dim}), one row for each trajectory id, "
            f"got {states.shape}"
        )
    if isinstance(first_step, np.ndarray | jax.Array) and not is_traced(first_step) and first_step.shape == ():
        first_step = operator.index(first_step)
    known = isinstance(first_step, int | np.integer)
    if known and not 0 <= first_step <= MAX_STEPS - steps:
        raise ValueError(f"first_step must lie from 0 to 2**32 - steps, got {first_step!r}")
    refuse_late(chain, first_step + steps if known else steps, states.dtype, "first_step + steps")
    if not known and (last := chain.last_step(states.dtype)) < MAX_STEPS and chain.changes_in_time:
        # a traced number cannot be refused, and must not lead to a wrong time either
        states = jnp.where(first_step <= last - steps, states, jnp.nan)
    aligned = bool(known and first_step % steps_per_hash(chain) == 0)
    first_step, key = jnp.asarray(first_step, jnp.uint32), seed_key(seed)
    tuning = tuning_of(None if is_traced(states) else sorted(states.devices(), key=lambda device: device.id))
    chain, guard = as_leaves(chain), np.uint32(0)
    return _advance(chain, states.T, key, ids, first_step, int(steps), aligned, guard, tuning).T


# numbers become arguments and not constants, as everywhere in the engine: the compiler then rounds alike
_advance = eqx.filter_jit(advance)


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
