"""The loop over a queue of trajectories, within one program: some run side by side, the next take their columns."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32, UInt32

from ..chains import AbstractChain
from ..random import SeedKey
from ._integrate import MAX_STEPS
from ._stop_codes import CODES, StopCode
from ._tuning import Tuning
from ._watch import RUNNING, AbstractMonitor, watched
from .kernel import AbstractRoute
from .kernel import watched as watched_in_kernel

UNFINISHED = CODES
"""The code of a trajectory that runs, above all stop codes."""
# columns whose trajectories have stopped wait for the next ones until they are so large a part
_PART = 4
# so many columns are counted by comparing all with all
_NARROW = 256


class Queue(NamedTuple):
    """Trajectories in order: states, ids, clocks, budgets, the steps taken, and codes."""

    states: Float[Array, "dim n"]
    ids: UInt32[Array, " n"]
    clocks: UInt32[Array, " n"]
    budgets: UInt32[Array, " n"]
    steps: UInt32[Array, " n"]
    codes: Int32[Array, " n"]

    @property
    def going(self) -> Bool[Array, " n"]:
        return self.codes == UNFINISHED

    def load(self, places: UInt32[Array, " width"]) -> "Queue":
        return jax.tree.map(lambda each: each.at[..., places].get(mode="promise_in_bounds"), self)

    def store(self, columns: "Queue", places: UInt32[Array, " width"], names: Sequence[str]) -> "Queue":
        """With those fields of the columns, where they belong."""

        def stored(ours, theirs):
            return ours.at[..., places].set(theirs, mode="promise_in_bounds", unique_indices=True)

        return self._replace(**{name: stored(getattr(self, name), getattr(columns, name)) for name in names})


class Kept(NamedTuple):
    """Crossings of a level from which trajectories went on, as in Renewals; so many are filled in."""

    states: Float[Array, "dim room"]
    ids: UInt32[Array, " room"]
    steps: UInt32[Array, " room"]
    number: UInt32[Array, ""]

    @classmethod
    def room_for(cls, queue: Queue) -> "Kept":
        return cls(queue.states, queue.ids, queue.steps, jnp.uint32(0))

    def full(self, width: int) -> Bool[Array, ""]:
        """Whether not all of so many columns could be kept."""
        return self.number + width > len(self.ids)

    def renew(self, running: Queue, stride: Array) -> tuple[Queue, "Kept"]:
        """Columns that have crossed a level are kept, and go on where they have steps left; none with a stride of 0."""
        crossed = (running.codes == StopCode.LEVEL_CROSSED) & (stride > 0)
        crossed &= running.ids <= jnp.uint32(MAX_STEPS - 1) - stride
        outside = len(self.ids) + jnp.arange(len(crossed), dtype=jnp.uint32)
        places = jnp.where(crossed, self.number + _counted(crossed) - 1, outside)

        def kept(ours, theirs):
            return ours.at[..., places].set(theirs, mode="drop", unique_indices=True)

        def new(value, old):
            return jnp.where(crossed, value, old)

        left = running.budgets - running.steps
        after = running._replace(
            ids=new(running.ids + stride, running.ids),
            clocks=new(running.clocks + running.steps, running.clocks),
            budgets=new(left, running.budgets),
            steps=new(jnp.uint32(0), running.steps),
            codes=new(jnp.where(left > 0, UNFINISHED, 0), running.codes),
        )
        number = self.number + jnp.sum(crossed, dtype=jnp.uint32)
        there = kept(self.states, running.states), kept(self.ids, running.ids), kept(self.steps, running.steps)
        return after, Kept(*there, number)


class _Columns(NamedTuple):
    """What runs side by side.

    places: where each column's trajectory stands in the queue. going: how many columns have one that still runs.
    following: the place of the next one to begin. turns: blocks that are left.
    """

    places: UInt32[Array, " width"]
    going: Int32[Array, ""]
    following: UInt32[Array, ""]
    turns: Int32[Array, ""]


class Loop(NamedTuple):
    """The loop over a queue: `width` of its trajectories side by side, or all.

    Written for few kernels, of which a compiler makes each by itself in some 15 ms on a CPU: trajectories are loaded
    and stored in one place only, and what runs is counted, not asked for in every condition.

    block: runs columns on. stride: of the ids of a trajectory that goes on, 0 where none does, None where none ever
        will.
    """

    block: Callable[[Queue], Queue]
    width: int
    stride: Array | None = None

    def run(self, queue: Queue, waiting: Array, turns: Array) -> tuple[Queue, Kept | None]:
        """The first `waiting` of the queue run, and what was kept of them; the others stay as they are."""
        width, waiting = min(self.width, queue.states.shape[1]), waiting.astype(jnp.uint32)
        first = jnp.minimum(waiting, width)
        begin = _Columns(jnp.arange(width, dtype=jnp.uint32), first.astype(jnp.int32), first, turns)
        kept = None if self.stride is None else Kept.room_for(queue)

        def goes_on(carry):
            _, kept, now = carry
            going = (now.going > 0) & (now.turns > 0)
            return going if kept is None else going & ~kept.full(width)

        def exchange(carry):
            return self._exchange(waiting, *carry)

        return jax.lax.while_loop(goes_on, exchange, (queue, kept, begin))[:2]

    def _exchange(
        self, waiting: Array, queue: Queue, kept: Kept | None, now: _Columns
    ) -> tuple[Queue, Kept | None, _Columns]:
        """Columns run until a part of them has stopped; those go on or are stored, and the next are loaded."""
        part = jnp.maximum(now.going // _PART, 1)
        exchanges = now.following < waiting
        if self.stride is not None:
            exchanges |= self.stride > 0
        fewest = jnp.where(exchanges, now.going - part, 0)

        def turn(carry):
            running, _, turns = carry
            running = self.block(running)
            return running, jnp.sum(running.going, dtype=jnp.int32), turns - 1

        running, going, turns = jax.lax.while_loop(
            lambda carry: (carry[1] > fewest) & (carry[2] > 0), turn, (queue.load(now.places), now.going, now.turns)
        )
        changed = "states", "steps", "codes"
        if kept is not None and self.stride is not None:
            running, kept = kept.renew(running, self.stride)
            going, changed = jnp.sum(running.going, dtype=jnp.int32), Queue._fields
        idle, width = ~running.going, len(now.places)
        following = now.following + _counted(idle) - 1
        begun = jnp.minimum((width - going).astype(jnp.uint32), waiting - now.following)
        after = _Columns(
            jnp.where(idle & (following < waiting), following, now.places),
            going + begun.astype(jnp.int32),
            now.following + begun,
            turns,
        )
        return queue.store(running, now.places, changed), kept, after


def _counted(marks: Bool[Array, " n"]) -> UInt32[Array, " n"]:
    """How many there are up to each place, that place included."""
    if len(marks) > _NARROW:
        return jnp.cumsum(marks, dtype=jnp.uint32)
    # a cumulative sum is six kernels of a CPU
    places = jnp.arange(len(marks))
    return jnp.sum((places[:, None] >= places) & marks, axis=1, dtype=jnp.uint32)


def run_block(
    chain: AbstractChain,
    monitor: AbstractMonitor,
    key: SeedKey,
    guard: Any,
    steps: Any,
    tuning: Tuning,
    route: AbstractRoute | None,
    running: Queue,
) -> Queue:
    going = running.going
    watch = watched if route is None else functools.partial(watched_in_kernel, route)
    # the noise counts each trajectory's own steps
    shared = chain, monitor, key, running.steps, running.steps, guard
    past = running.ids, running.clocks, running.budgets
    states, marks = watch(shared, jnp.where(going, jnp.int32(RUNNING), 0), steps, running.states, tuning, *past)
    stopped = going & (marks < RUNNING)
    taken = jnp.where(stopped, marks // CODES, jnp.where(going, steps, 0)).astype(jnp.uint32)
    codes = jnp.where(stopped, marks % CODES, running.codes)
    return running._replace(states=states, steps=running.steps + taken, codes=codes)
