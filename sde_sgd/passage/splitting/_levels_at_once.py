"""The pilot that chooses levels, in one program on an accelerator: each level, who enters it, and copies of those."""

import copy
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, UInt32

from ... import _progress
from ...engine import DIVERGED, Compiled, StopCode
from .._execution import Execution
from ._climb import Remembering, level_crossing
from ._on_devices import OnDevices, on_devices, real
from ._score import Score


class Entrances(NamedTuple):
    """A stage of the pilot.

    score: mean of the highest scores with which its trajectories began. clocks: (n,) steps taken until then. passed:
    who entered the next level, after `entered` steps. reached: who came to the target.
    """

    score: float
    clocks: Int[np.ndarray, " n"]
    passed: Bool[np.ndarray, " n"]
    entered: Int[np.ndarray, " n"]
    reached: Bool[np.ndarray, " n"]


class Pilot(NamedTuple):
    """Levels found, and the stages between them with the last. stalled: whether that one came no higher, nor ended."""

    levels: list[float]
    stages: list[Entrances]
    stalled: bool


class Rule(NamedTuple):
    """How levels are chosen.

    share: of the trajectories at a level, those that reach the next, numerator and denominator. waiting: where most
    come no higher, those that do make a level if they are one in so many at least, and fewer than one in so many came
    to the target: motion that waits for rare jumps. most: levels. dwarfed: once what is left of the probability is so
    small a part of what has diverged, no further level is worth its cost.
    """

    share: tuple[int, int]
    waiting: tuple[int, int]
    most: int
    dwarfed: float

    def rank(self, usable: Any) -> Any:
        """Which of so many peaks, from the highest on, is the next level."""
        part, whole = self.share
        return -(-part * usable // whole)

    def waits(self, higher: Any, reached: Any, usable: Any) -> Any:
        """Whether so many that came higher, of which so many reached the target, make a level of their lowest peak."""
        least, near = self.waiting
        return (higher > reached) & (higher * least >= usable) & (reached * near < usable)


def pilot_at_once(run: Execution, score: Score, size: int, randomness: np.random.Generator, rule: Rule) -> Pilot | None:
    """All levels; None where the host asks for each, see `on_devices`, and where something is wrong, for it to say.

    It does what the host does, with the same random numbers, but for the rounding of places among those to be copied.
    """
    starts, most = run.states(size), rule.most
    zero = np.zeros((), starts.dtype)
    monitor = level_crossing(run.monitor, score, zero, zero, by_memory=True)
    around = run._replace(chain=Remembering(run.chain, score, True, zero, zero))
    devices = on_devices(around, monitor, size, starts.dtype, (most + 1) * size)
    if devices is None or devices.mesh.size > 1:
        return None
    places = real(copy.deepcopy(randomness).random(most + 1))
    scalars = np.uint32(run.steps), np.uint32(0)
    found = _PILOT.prepare((devices, rule, scalars))(*devices.cut(places, starts.T))
    count, failed, stalled, levels, means, clocks, entered, taken, flags = (np.asarray(each) for each in found)
    if failed:
        return None
    stages = []
    for stage in range(int(count) + 1):
        run.ledger.start(size)
        begun, then = clocks[stage].astype(np.int64), entered[stage].astype(np.int64)
        run.told(np.zeros(0, np.int64), devices.path_steps(taken[stage]) + devices.path_steps(then - begun))
        _progress.advance(int(taken[stage].sum(dtype=np.int64) + (then - begun).sum()))
        stages.append(Entrances(float(means[stage]), begun, flags[stage] & 1 > 0, then, flags[stage] & 2 > 0))
    randomness.random(int(count))
    return Pilot([float(level) for level in levels[:count]], stages, bool(stalled))


class _Found(NamedTuple):
    """What is known of stages 0 … count, as in Pilot and Entrances.

    failed: whether something has gone wrong. flags: 1 for who passed, 2 for who came to the target.
    """

    count: Int32[Array, ""]
    failed: Bool[Array, ""]
    stalled: Bool[Array, ""]
    levels: Float[Array, " most"]
    means: Float[Array, " most"]
    clocks: UInt32[Array, "most n"]
    entered: UInt32[Array, "most n"]
    taken: UInt32[Array, "most n"]
    flags: UInt32[Array, "most n"]


class _Now(NamedTuple):
    """Trajectories that stand at a level, their highest scores, and what is left of the probability."""

    states: Float[Array, "state_dim n"]
    clocks: UInt32[Array, " n"]
    highest: Float[Array, " n"]
    last: Float[Array, ""]
    alive: Float[Array, ""]
    diverged: Float[Array, ""]
    done: Bool[Array, ""]


def _pilot(shared, places, starts):
    devices, rule, (steps, guard) = shared
    size, rows = devices.total, rule.most + 1
    pilot = _Pilot(devices, rule, steps, guard)
    clocks = jnp.zeros(size, jnp.uint32)
    highest = pilot.scores(starts, clocks)
    one = jnp.ones((), places.dtype)
    table = jnp.zeros((rows, size), jnp.uint32)
    no, row = jnp.bool_(False), jnp.zeros(rows, starts.dtype)
    found = _Found(jnp.int32(0), no, no, row, row, *[table] * 4)
    now = _Now(starts, clocks, highest, jnp.min(highest), one, 0 * one, no)
    return jax.lax.while_loop(
        lambda carry: ~carry[0].done, lambda carry: pilot.stage(*carry, places[carry[1].count]), (now, found)
    )[1]


_PILOT = Compiled(_pilot, data_dependent_loop=True)


class _Pilot(NamedTuple):
    """One stage. steps, guard: most steps, and 0."""

    devices: OnDevices
    rule: Rule
    steps: Any
    guard: Any

    @property
    def score(self) -> Score:
        return self.devices.monitor.score

    def scores(self, states, clocks):
        return jax.vmap(self.score, in_axes=(1, 0))(states, clocks)

    def run(self, now: _Now, count, budgets, level):
        """States, highest scores, steps and codes of trajectories under a level."""
        devices, monitor = self.devices, self.devices.monitor
        level, floor = jnp.asarray(level, now.states.dtype), jnp.full((), -jnp.inf, now.states.dtype)
        crossing = dataclasses.replace(monitor, level=level, floor=floor)
        ids = jnp.arange(devices.total, dtype=jnp.uint32) + count.astype(jnp.uint32) * jnp.uint32(devices.total)
        joined = jnp.concatenate([now.states, now.highest[None]])
        past = joined, ids, now.clocks, budgets
        ended, steps, codes = devices.loop(devices.chain, crossing, devices.key, self.guard, *past)
        return ended[:-1], jnp.nan_to_num(ended[-1], nan=-jnp.inf), steps, codes

    def stage(self, now: _Now, found: _Found, place) -> tuple[_Now, _Found]:
        """To the highest scores, from there the level, and again up to it."""
        count, left = found.count, self.steps - now.clocks
        ended, peaks, taken, codes = self.run(now, count, left, jnp.inf)
        level = self.level(now, ended, peaks, taken, codes)
        reached, dead = codes == StopCode.TARGET, codes == DIVERGED
        diverged = now.diverged + now.alive * jnp.mean(dead, dtype=now.alive.dtype)
        no_higher = jnp.isinf(level) | (level <= now.last) | (count == self.rule.most)
        done = no_higher | (now.alive < self.rule.dwarfed * diverged)
        ahead, onward = now.highest >= level, (peaks >= level) | reached
        again, _, steps, ends = self.run(now, count, jnp.where(onward & ~ahead & ~done, left, 0), level)
        both = jnp.any(codes == StopCode.IN_BOTH_SETS) | jnp.any(ends == StopCode.IN_BOTH_SETS)
        failed = both | jnp.any(dead & jnp.all(jnp.isfinite(ended), axis=0))
        passed = ~done & (ahead | (ends == StopCode.LEVEL_CROSSED))
        arrived = jnp.where(done, reached, ends == StopCode.TARGET)
        stalled = (level <= now.last) & ~jnp.any(reached)
        rows = level, jnp.mean(now.highest), now.clocks, now.clocks + steps, taken, passed + jnp.uint32(2) * arrived
        tables = [table.at[count].set(row) for table, row in zip(found[3:], rows, strict=True)]
        found = _Found(count + jnp.where(done, 0, 1), failed, stalled, *tables)
        chosen = self.copies(passed, place)
        states, clocks = again[:, chosen], (now.clocks + steps)[chosen]
        alive = now.alive * jnp.mean(passed, dtype=now.alive.dtype)
        highest = self.scores(states, clocks)
        return _Now(states, clocks, highest, level, alive, diverged, done | failed), found

    def level(self, now: _Now, ended, peaks, taken, codes):
        """That quantile of the highest scores, of those from whose peak something goes on."""
        last = self.scores(ended, now.clocks + taken)
        # but for rounding
        at_the_end = (peaks > now.highest) & (peaks - last <= 1e-3 * (peaks - now.highest))
        usable = ~((codes == StopCode.AVOID) & at_the_end) & (codes != DIVERGED)
        values = jnp.where(usable, jnp.where(codes == StopCode.TARGET, jnp.inf, peaks), -jnp.inf)
        number, higher = jnp.sum(usable, dtype=jnp.int32), values > now.last
        level = jnp.where(number > 0, jnp.sort(values)[-self.rule.rank(number)], -jnp.inf)
        counts = (jnp.sum(each, dtype=jnp.int32) for each in (higher, jnp.isinf(values) & higher))
        waits = (level <= now.last) & self.rule.waits(*counts, number)
        return jnp.where(waits, jnp.min(jnp.where(higher, values, jnp.inf)), level)

    def copies(self, passed, place):
        """Of those that passed, each as often as any other to within one; anybody where none has."""
        total, size = jnp.sum(passed, dtype=jnp.int32), len(passed)
        ranks = ((jnp.arange(size) + place) * total / size).astype(jnp.int32)
        counts = jnp.cumsum(passed, dtype=jnp.int32)
        chosen = jnp.searchsorted(counts, jnp.minimum(ranks, total - 1), side="right")
        return jnp.minimum(chosen, size - 1)
