"""A block of steps under a monitor (early stopping): step and stop code in one integer mark for each trajectory."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from ..random import HashStream, SeedKey, Source, bridge_uniforms, stream_keys
from ._batched_step import BatchedStep
from ._integrate import Step, scan_steps
from ._stop_codes import CODES, StopCode
from ._tuning import Tuning

RUNNING = 2**21
"""The mark of a trajectory that runs, above all others and within the payload of a NaN."""


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
        """0 to go on, a `StopCode` from TARGET on (2 … 7) to stop after this step.

        before, after: whole states at both ends of the step, (state_dim,). step_index: number of the step, a scalar.
        uniform: as many uniform numbers as the monitor asks for, in (0, 1).
        """


def watched(
    shared: Any,
    stop: Int32[Array, " n"],
    steps: Any,
    states: Float[Array, "dim n"],
    tuning: Tuning,
    ids: Any,
    *past: Any,
) -> tuple[Float[Array, "dim n"], Int32[Array, " n"]]:
    """States and marks after a block of `steps` steps.

    shared: chain, monitor, key, number of the step from which marks count, number of the block's first step (each one
        for all, or one each) and the guard.
    stop: RUNNING, or what stopped the trajectory: (steps counted)·8 + code, or an older mark.
    past: nothing, or clocks and budgets; the states of those that have stopped then stay.
    """
    chain, monitor, key, since, first, guard = shared
    batched = BatchedStep(chain, states.dtype, tuning, guard)
    source = Source.of(chain.noise_kind, key, chain.noise_dim, states.dtype)
    monitored = MonitoredStep(monitor, key, ids, since, first, *past)
    packs = tuning.packing and batched.single and states.dtype in (jnp.float32, jnp.float64)
    run = _in_one_array if packs else _in_two_arrays
    return run(batched, source, monitored, states, stop, steps, freezes=bool(past))


class MonitoredStep:
    """A monitor with the random numbers of its own.

    since: number of the step from which marks count. first: number of the block's first step.
    clock: (n,) steps that each trajectory had taken before, or None for none: what the chain and the monitor are told.
    budget: (n,) steps after which each stops with code 0, or None.
    """

    def __init__(self, monitor: AbstractMonitor, key: SeedKey, ids, since, first, clock=None, budget=None):
        self.monitor, self.ids, self.since, self.first = monitor, ids, since, first
        self.clock, self.budget = clock, budget
        self._keys = stream_keys(key, monitor.uniforms, HashStream.BRIDGE) if monitor.uniforms else None

    def now(self, index):
        """The number of a step as the chain knows it."""
        return index if self.clock is None else self.clock + index

    def stop_code(self, batched: BatchedStep, before, after, step: Step, lowered: bool = False) -> Int32[Array, "..."]:
        """What a step did, as a mark: (steps counted)·8 + code, or RUNNING.

        step: with the pair of steps that share two uniforms for its group.
        lowered: whether the monitor has to be read by components, and Unlowerable to be raised where it cannot be.
        """
        uniform = []
        if self._keys is not None:
            uniform = bridge_uniforms(self._keys, self.ids, step.group, step.offset, batched.dtype)
        codes = batched.lowered_code if lowered else batched.code
        code = codes(self.monitor.code, before, after, self.now(step.index), uniform)
        base = ((step.index - self.since).astype(jnp.int32) + 1) * CODES
        going = RUNNING if self.budget is None else jnp.where(step.index + 1 < self.budget, RUNNING, base)
        mark = jnp.where(code > 0, base + code.astype(jnp.int32), going)
        return jnp.where(batched.finite(after), mark, base + int(StopCode.DIVERGED))


def _in_two_arrays(batched: BatchedStep, source: Source, monitored: MonitoredStep, states, stop, steps, freezes: bool):
    """The marks in an array beside the states; each step is looked at before the next one.

    So the look reads what was carried, and the compiler does not compute the step a second time for it.
    freezes: a trajectory that has stopped keeps its state.
    """

    def look(previous, batch, stop, index):
        mark = monitored.stop_code(batched, previous, batch, Step(index, index // 2, index % 2))
        # before the block's first step there is nothing to look at; later marks are larger
        return jnp.where(index + 1 == monitored.first, stop, jnp.minimum(stop, mark))

    def body(carry, step, noise):
        batch, previous, stop = carry
        stop = look(batch if previous is None else previous, batch, stop, step.index - 1)
        after = batched.step(batch, noise, monitored.now(step.index))
        if freezes:
            after = batched.choose(stop < RUNNING, batch, after)
        return after, (None if previous is None else batch), stop

    batch = batched.enter(states)
    carry = (batch, batch if monitored.monitor.looks_back else None, stop)
    batch, previous, stop = scan_steps(
        body, carry, batched, source, monitored.ids, monitored.first, steps, aligned=True,
        fused=batched.tuning.steps_fused,
    )  # fmt: skip
    last = monitored.first + jnp.asarray(steps).astype(jnp.uint32) - 1
    return batched.leave(batch), look(batch if previous is None else previous, batch, stop, last)


def _in_one_array(batched: BatchedStep, source: Source, monitored: MonitoredStep, states, stop, steps, freezes: bool):
    """One component: between iterations the state and its mark are packed into one array.

    A second array would be a second output of the loop's one fusion, and a CPU computes a fusion once for each.
    """
    open_, close = packing = _PAIR if freezes else _in_a_nan(batched.dtype)

    def body(carry, step, noise):
        state, stop = carry
        (after,) = batched.step([state], noise, monitored.now(step.index))
        pairs = step if source.period == 2 else Step(step.index, step.index // 2, step.index % 2)
        mark = jnp.minimum(stop, monitored.stop_code(batched, [state], [after], pairs))
        return jnp.where(stop < RUNNING, state, after) if freezes else after, mark

    tuning, bridged = batched.tuning, monitored.monitor.uniforms > 0
    packed = scan_steps(
        body, close((states[0], stop)), batched, source, monitored.ids, monitored.first, steps, aligned=True,
        fused=tuning.steps_fused_bridged if freezes and bridged else tuning.steps_fused, packing=packing,
    )  # fmt: skip
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
