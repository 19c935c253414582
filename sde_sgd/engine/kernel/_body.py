"""A block of steps of one tile of trajectories: hash, step, look and freezing in plain arithmetic on its lanes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ...chains import AbstractChain
from ...random import SeedKey, Source
from .._batched_step import BatchedStep
from .._integrate import Step
from .._tuning import Tuning
from .._watch import RUNNING, AbstractMonitor, MonitoredStep
from ..lowering import Unlowerable
from ._hoisting import Hoisted


class Own(NamedTuple):
    """What each lane has of its own beside its state, tiles or None.

    ids: of the trajectories. since: number of the block's first step, where it is not the same for all.
    clock, budget: see `MonitoredStep`.
    """

    ids: Any
    since: Any = None
    clock: Any = None
    budget: Any = None


class Lanes(NamedTuple):
    """What a kernel carries of a tile: the components of its states, and its marks, None without a monitor."""

    states: list[Any]
    marks: Any = None


class Body:
    """What a kernel does with one tile.

    values: scalars, known before it begins, that it takes.
    """

    def __init__(
        self,
        chain: AbstractChain,
        monitor: AbstractMonitor | None,
        key: SeedKey,
        since: Any,
        guard: Any,
        like: tuple[Lanes, Own],
        edges: bool,
        tuning: Tuning,
    ):
        """since: number of the step from which marks count, where it is the same for all. like: tiles, as
        ShapeDtypeStructs. edges: whether a block may begin or end within a hash group or an unrolled iteration.

        Raises Unlowerable where the chain's step, or the monitor, cannot be read by components.
        """
        lanes, own = like
        self._dtype = lanes.states[0].dtype
        batched = BatchedStep(chain, self._dtype, tuning, guard)
        if batched.reason is not None:
            raise Unlowerable(f"a step is batched: {batched.reason}")
        self._monitor, self._key, self._since = monitor, key, since
        self._batched = batched
        self._source = Source.of(chain.noise_kind, key, chain.noise_dim, self._dtype)
        self.period, self.unroll = self._source.period, tuning.steps_in_kernel(chain)
        self._stretch = tuning.kernel_stretch if monitor else None

        tile, number = own.ids.shape, jax.ShapeDtypeStruct((), jnp.uint32)
        group = number if own.since is None else own.ids
        self._parts: dict[str, Hoisted] = {}
        if self.period <= self.unroll:
            self._parts["several"] = Hoisted(self._several, tile, lanes, own, group)
        else:
            self._parts["draw"] = Hoisted(self._draw, tile, own, group)
            pairs = jax.eval_shape(self._draw, own, group)
            self._parts["part"] = Hoisted(self._part, tile, lanes, own, pairs, group, number)
        if edges:
            self._parts["single"] = Hoisted(self._single, tile, lanes, own, number)
        self.values = [value for part in self._parts.values() for value in part.values]

    @property
    def unit(self) -> int:
        """Steps in one iteration of the loop."""
        return max(self.period, self.unroll)

    def run(self, values: Sequence[Any], lanes: Lanes, own: Own, first: Any, count: Any) -> Lanes:
        """The tile after `count` steps from number `first` on, within a kernel.

        values: `self.values`, as it has read them. first: one for all, uint32, where lanes have no number of their own.
        """
        left, parts = iter(values), {}
        for name, part in self._parts.items():
            taken = [next(left) for _ in part.values]
            parts[name] = lambda *given, part=part, taken=taken: part(taken, *given)
        begins = first if own.since is None else own.since
        before = jnp.int32(0)
        if "single" in parts:
            # up to the next group, and what no whole iteration is left for
            into = (first % self.period).astype(jnp.int32)
            before = jnp.minimum(count, jnp.where(into == 0, 0, self.period - into))
            lanes = self._edge(parts["single"], lanes, own, first, before)
        groups = (begins + before.astype(jnp.uint32)) // self.period
        whole = (count - before) // self.unit
        lanes = self._middle(parts, lanes, own, groups, whole)
        if "single" in parts:
            done = before + whole * self.unit
            lanes = self._edge(parts["single"], lanes, own, first + done.astype(jnp.uint32), count - done)
        return lanes

    def _edge(self, single: Callable, lanes: Lanes, own: Own, first, count) -> Lanes:
        return _loop(count, lambda number, lanes: single(lanes, own, first + number), lanes)

    def _middle(self, parts: dict[str, Callable], lanes: Lanes, own: Own, first_group, iterations) -> Lanes:
        """So many iterations; where trajectories may stop, only while one of the tile still runs."""
        groups = self.unit // self.period

        def iteration(number, lanes):
            group = first_group + number * groups
            if "several" in parts:
                return parts["several"](lanes, own, group)
            pairs = parts["draw"](own, group)
            rest = self.period // self.unroll
            return _loop(jnp.int32(rest), lambda at, lanes: parts["part"](lanes, own, pairs, group, at), lanes)

        if self._stretch is None:
            return _loop(iterations, iteration, lanes)
        stretch = max(1, self._stretch // self.unit)

        def several(number, lanes):
            begun = number.astype(jnp.int32) * stretch
            runs = jnp.max(lanes.marks) == RUNNING
            left = jnp.where(runs, jnp.minimum(stretch, iterations - begun), 0)
            return _loop(left, lambda at, lanes: iteration(begun.astype(jnp.uint32) + at, lanes), lanes)

        return _loop((iterations + stretch - 1) // stretch, several, lanes)

    def _several(self, lanes: Lanes, own: Own, group) -> Lanes:
        """One iteration, each hash where it is used."""
        for further in range(self.unroll // self.period):
            now = group + jnp.uint32(further)
            pairs = self._source.inline(own.ids, now)
            for offset in range(self.period):
                lanes = self._step(lanes, own, pairs, Step(now * self.period + jnp.uint32(offset), now, offset))
        return lanes

    def _draw(self, own: Own, group):
        return self._source.inline(own.ids, group)

    def _part(self, lanes: Lanes, own: Own, pairs, group, number) -> Lanes:
        """A part of a hash group of many steps."""
        for further in range(self.unroll):
            offset = number * self.unroll + jnp.uint32(further)
            lanes = self._step(lanes, own, pairs, Step(group * self.period + offset, group, offset))
        return lanes

    def _single(self, lanes: Lanes, own: Own, index) -> Lanes:
        """One step, hashed for itself."""
        group = index // self.period
        return self._step(lanes, own, self._source.inline(own.ids, group), Step(index, group, index % self.period))

    def _step(self, lanes: Lanes, own: Own, pairs, at: Step) -> Lanes:
        noise = [self._source.step(pair, at.offset) for pair in pairs]
        if self._monitor is None:
            return Lanes(self._batched.step(lanes.states, noise, at.index))
        since = self._since if own.since is None else own.since
        watch = MonitoredStep(self._monitor, self._key, own.ids, since, since, own.clock, own.budget)
        after = self._batched.step(lanes.states, noise, watch.now(at.index))
        pair = at if self.period == 2 else Step(at.index, at.index // 2, at.index % 2)
        mark = watch.stop_code(self._batched, lanes.states, after, pair, lowered=True)
        runs = lanes.marks == RUNNING
        frozen = [jnp.where(runs, new, old) for new, old in zip(after, lanes.states, strict=True)]
        return Lanes(frozen, jnp.minimum(lanes.marks, mark))


def _loop(count, body: Callable, carry: Lanes) -> Lanes:
    """carry = body(number, carry) for number = 0 … count − 1, unsigned."""
    flat, structure = jax.tree.flatten(carry)

    def one(number, flat):
        return jax.tree.leaves(body(number.astype(jnp.uint32), jax.tree.unflatten(structure, flat)))

    return jax.tree.unflatten(structure, jax.lax.fori_loop(jnp.int32(0), count, one, flat))
