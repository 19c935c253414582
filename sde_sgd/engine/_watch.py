"""A block of steps under a monitor: the marks that say which trajectory stopped, where and why."""

import abc
import functools
import operator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from ._integrate import Step, scan_steps
from ._lanes import Lanes
from ._noise import BRIDGE, SeedKey, Source, bridge_uniforms, stream_keys

DIVERGED = 1
"""Code of a trajectory whose state stopped being finite; a monitor's own codes are 2 … 7."""
CODES = 8
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
        """0 to go on, 2 … 7 to stop after this step."""


def watched(
    shared: Any, stop: Int32[Array, " n"], steps: Any, states: Float[Array, "dim n"], ids: Any, *past: Any
) -> tuple[Float[Array, "dim n"], Int32[Array, " n"]]:
    """States and marks after a block of `steps` steps.

    shared: chain, monitor, key, number of the step from which marks count, number of the block's first step (each one
        for all, or one each) and the guard.
    stop: RUNNING, or what stopped the trajectory: (steps counted)·8 + code, or an older mark.
    past: nothing, or clocks and budgets; the states of those that have stopped then stay.
    """
    chain, monitor, key, since, first, guard = shared
    lanes = Lanes(chain, states.dtype, guard)
    source = Source.of(chain.noise_kind, key, chain.noise_dim, states.dtype)
    watch = Watch(monitor, key, ids, since, first, *past)
    if lanes.single and states.dtype in (jnp.float32, jnp.float64):
        return _in_one_array(lanes, source, watch, states, stop, steps, freezes=bool(past))
    return _beside(lanes, source, watch, states, stop, steps, freezes=bool(past))


class Watch:
    """A monitor with the random numbers of its own.

    since: number of the step from which marks count. first: number of the block's first step.
    clock: (n,) steps that each trajectory had taken before, or None for none: what the chain and the monitor are told.
    budget: (n,) steps after which each stops with code 0, or None.
    """

    def __init__(self, monitor: AbstractMonitor, key: SeedKey, ids, since, first, clock=None, budget=None):
        self.monitor, self.ids, self.since, self.first = monitor, ids, since, first
        self.clock, self.budget = clock, budget
        self._keys = stream_keys(key, monitor.uniforms, BRIDGE) if monitor.uniforms else None

    def now(self, index):
        """The number of a step as the chain knows it."""
        return index if self.clock is None else self.clock + index

    def mark(self, lanes: Lanes, before, after, step: Step) -> Int32[Array, " n"]:
        """What a step did: (steps counted)·8 + code, or RUNNING."""
        uniform = []
        if self._keys is not None:
            uniform = bridge_uniforms(self._keys, self.ids, step.group, step.offset, lanes.dtype)
        code = lanes.code(self.monitor.code, before, after, self.now(step.index), uniform)
        if lanes.componentwise:
            finite = functools.reduce(operator.and_, map(jnp.isfinite, after))
        else:
            finite = jnp.all(jnp.isfinite(after), axis=0)
        base = ((step.index - self.since).astype(jnp.int32) + 1) * CODES
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
