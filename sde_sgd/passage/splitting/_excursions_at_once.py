"""When the next excursion begins, several times in one program on an accelerator."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ... import _progress
from ...engine import AbstractMonitor, Compiled, Ends, StopCode, shard_apply
from .._execution import Execution
from .._wrappers import AbstractWrappedMonitor
from ._on_devices import on_devices

AWAY = 0
"""The memory of a trajectory on an excursion."""
# rounds in one program, and most numbers that come back from it
_ROUNDS, _MOST_NUMBERS = 8, 2**25


class Begins(AbstractWrappedMonitor):
    """The passage itself, or the beginning of an excursion where that is asked for."""

    monitor: AbstractMonitor
    stops: Any

    def code(self, before, after, step_index, uniform):
        ended = self.monitor.code(before, after, step_index, uniform)
        return jnp.where((ended == 0) & (after[-1] < AWAY) & self.stops, StopCode.LEVEL_CROSSED, ended)


def begun_at_once(
    run: Execution,
    begins: Begins,
    states: Float[np.ndarray, "n state_dim"],
    clocks: Int[np.ndarray, " n"],
    left: Int[np.ndarray, " n"],
    first_id: int,
) -> Iterator[Ends] | None:
    """What became of trajectories in several rounds, while they have steps left; None where the host asks for each.

    Each round ends where an excursion begins or no step is left, and the next one goes on from there, on an excursion.
    first_id: each round has as many ids as there are trajectories. What they cost is for the caller to tell.
    """
    number = len(states)
    last_id = first_id + _ROUNDS * number
    if _ROUNDS * states.size > _MOST_NUMBERS or np.any(clocks + left >= 2**32):
        return None
    devices = on_devices(run, begins, number, states.dtype, last_id, number)
    if devices is None:
        return None
    words = (each.astype(np.uint32) for each in (np.arange(number), clocks, left))
    numbers, *past = devices.cut(*words)
    found = _SEVERAL.prepare(devices)(np.uint32(first_id), np.uint32(0), numbers, *devices.cut(states.T), *past)
    return _rounds(devices, *(np.asarray(each) for each in found), left)


def _rounds(devices, states, steps, codes, left) -> Iterator[Ends]:
    for ended, taken, code in zip(states, steps.astype(np.int64), codes, strict=True):
        if not np.any(left > 0):
            return
        _progress.advance(int(taken.sum()))
        yield Ends(taken, code.astype(np.int64), np.array(ended.T), devices.path_steps(taken))
        left = np.where((code == StopCode.LEVEL_CROSSED) & (left > 0), left - taken, 0)


def _several(shared, first_id, guard, *cut):
    devices = shared

    def run(shared, numbers, states, clocks, left):
        chain, begins, key, first_id, guard = shared

        def once(now, number):
            states, clocks, left = now
            ids = first_id + number * jnp.uint32(devices.total) + numbers
            ended, steps, codes = devices.loop(chain, begins, key, guard, states, ids, clocks, left)
            began = (codes == StopCode.LEVEL_CROSSED) & (left > 0)
            # the memory where one has begun is below AWAY, and the next step takes it for that
            return (ended, clocks + steps, jnp.where(began, left - steps, 0)), (ended, steps, codes)

        return jax.lax.scan(once, (states, clocks, left), jnp.arange(_ROUNDS, dtype=jnp.uint32))[1]

    return shard_apply(devices.mesh, run, (devices.chain, devices.monitor, devices.key, first_id, guard), *cut)


_SEVERAL = Compiled(_several, data_dependent_loop=True)
