"""All stages of splitting in one program on an accelerator: levels, queue and resampling without the host."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from ... import _progress
from ...engine import Compiled, StopCode, shard_apply
from .._execution import Execution
from ._account import KEPT, Account
from ._climb import level_crossing
from ._levels import Levels
from ._on_devices import OnDevices, on_devices, real
from ._score import Score

# stages are compiled in by so many
_STAGES = 8
# of each trajectory in each stage: one random number there, four numbers back
_NUMBERS, _MOST_NUMBERS = 5, 2**25


def stages_at_once(
    run: Execution,
    score: Score,
    levels: Levels,
    account: Account,
    starts: Float[np.ndarray, "n state_dim"],
    first_id: int,
    randomness: np.random.Generator,
) -> bool:
    """Whether it was done, see `on_devices`; else the host asks stage by stage.

    It does what `_repetitions._one_by_one` does, with the same random numbers; only that a device chooses parents with
    weights and chances in the precision that JAX has, float32 by default. Their rounding may give a copy to a
    neighbour, and then further numbers are others. Each copy takes back the chance by which it was chosen, as rounded.
    """
    number, count = len(starts), len(levels.scores) + 1
    stages = _STAGES * -(-count // _STAGES)
    if _NUMBERS * stages * number > _MOST_NUMBERS:
        return False
    zero = np.zeros((), starts.dtype)
    monitor = level_crossing(run.monitor, score, zero, zero)
    last_id = first_id + 2 * count * number
    devices = on_devices(run, monitor, number, starts.dtype, last_id, account.repetitions)
    if devices is None:
        return False
    weights = account.weights / max(account.weights.max(), np.finfo(float).tiny)
    drawn = _drawn(randomness, count, stages, number, account.repetitions)
    cut = devices.cut(np.arange(number, dtype=np.uint32), starts.T, *map(real, (weights, *drawn)))
    scalars = np.uint32(first_id), np.uint32(run.steps), np.uint32(0)
    known = _known(levels, stages, starts.dtype)
    found = _ALL.prepare((devices, number // account.repetitions, scalars, known))(*cut)
    chances = np.asarray(found[-1])[:count].astype(float)
    steps, marks, parents = (np.asarray(each)[:count].astype(np.int64) for each in found[:-1])
    codes = marks >> 2
    run.told(codes, devices.path_steps(steps))
    _progress.advance(int(steps.sum()))
    for stage in range(count):
        account.passed(marks[stage] & 1 > 0, steps[stage], codes[stage], marks[stage] & 2 > 0)
        if stage < count - 1:
            account.go_on(parents[stage], chances[stage])
    return True


def _drawn(randomness: np.random.Generator, count: int, stages: int, number: int, repetitions: int):
    """In the host's order: who goes on of those who fall back, and where resampling begins."""
    thinning, places = np.zeros((stages, number)), np.zeros((stages, repetitions))
    for stage in range(count):
        thinning[stage] = randomness.random(number)
        if stage < count - 1:
            places[stage] = randomness.random(repetitions)
    return thinning, places


def _known(levels: Levels, stages: int, dtype: Any) -> tuple[np.ndarray, ...]:
    """Of all stages: numbers, levels and floors, clocks and chances of success, of which only the ratios matter."""
    bounds = np.full((2, stages), [[np.inf], [-np.inf]])
    bounds[:, : len(levels.scores) + 1] = np.transpose(levels.bounds(thins=True))
    knots = len(levels.chances[0].clocks) if levels.chances else 1
    clocks, chances = np.zeros((2, stages, knots))
    for stage, each in enumerate(levels.chances):
        clocks[stage], chances[stage] = each.clocks, each.chances / max(each.chances.max(), np.finfo(float).tiny)
    return np.arange(stages, dtype=np.uint32), *bounds.astype(dtype), real(clocks), real(chances)


def _all_stages(shared, *cut):
    devices, size, scalars, known = shared

    def run(shared, numbers, starts, weights, thinning, places):
        chain, monitor, key, scalars, known = shared
        here = devices._replace(chain=chain, monitor=monitor, key=key)
        stage = _Stage(here, size, numbers, *scalars)
        begin = starts, jnp.zeros_like(numbers), weights
        return jax.lax.scan(lambda now, known: stage.run(now, known), begin, (*known, thinning, places))[1]

    return shard_apply(devices.mesh, run, (devices.chain, devices.monitor, devices.key, scalars, known), *cut)


_ALL = Compiled(_all_stages, data_dependent_loop=True)


class _Stage(NamedTuple):
    """One stage, the body of a scan over all of them.

    numbers: of the trajectories here, `size` in each repetition. first_id, most, guard: of the first stage's ids, most
    steps, and 0.
    """

    devices: OnDevices
    size: int
    numbers: UInt32[Array, " n"]
    first_id: Any
    most: Any
    guard: Any

    def run(self, now, known):
        """now: states, clocks and weights at its start. known: of it alone, as `_known` has it, and random numbers."""
        states, clocks, weights = now
        stage, level, floor, at, chances, thinning, places = known
        ahead = jax.vmap(self.devices.monitor.score, in_axes=(1, 0))(states, clocks) >= level
        budgets = jnp.where(ahead | (weights == 0), 0, self.most - clocks)
        first = self.first_id + 2 * stage * jnp.uint32(self.devices.total) + self.numbers
        states, steps, codes, kept = self._advance(states, first, clocks, budgets, (level, floor), thinning < KEPT)
        weights = jnp.where(kept, weights / KEPT, jnp.where(codes == StopCode.FELL_BACK, 0, weights))
        clocks = clocks + steps
        onward = (ahead | (codes == StopCode.LEVEL_CROSSED)) & (weights > 0)
        chance = jnp.where(onward, _between(at, chances, clocks.astype(weights.dtype)), 0)
        parents = _parents((weights * chance).reshape(-1, self.size), places)
        weights = jnp.where(chance[parents] > 0, 1 / chance[parents], 0)
        marks = ahead.astype(jnp.int32) + 2 * kept.astype(jnp.int32) + 4 * codes
        return (states[:, parents], clocks[parents], weights), (steps, marks, self.numbers[parents], chance)

    def _advance(self, states, ids, clocks, budgets, bounds, lucky):
        """States, steps, codes, and who fell below the lower bound and went on, which is who is `lucky` then."""
        level, floor = bounds
        devices = self.devices

        def part(number, now):
            states, steps, codes, budgets, kept = now
            below = jnp.where(number == 0, floor, -jnp.inf)
            crossing = dataclasses.replace(devices.monitor, level=level, floor=below)
            past = ids + number.astype(jnp.uint32) * jnp.uint32(devices.total), clocks + steps, budgets
            states, more, ended = devices.loop(devices.chain, crossing, devices.key, self.guard, states, *past)
            codes = jnp.where((number == 0) | kept, ended, codes)
            kept = jnp.where(number == 0, (codes == StopCode.FELL_BACK) & lucky, kept)
            return states, steps + more, codes, jnp.where(kept, budgets - more, 0), kept

        none = jnp.zeros_like(clocks)
        begin = states, none, none.astype(jnp.int32), budgets, jnp.zeros_like(lucky)
        states, steps, codes, _, kept = jax.lax.fori_loop(0, 2, part, begin)
        return states, steps, codes, kept


def _between(knots, values, x):
    """What `np.interp` says: where knots meet the last of them counts, which `jnp.interp` knows only within."""
    left = jnp.searchsorted(knots, x, side="right") - 1
    here, then = jnp.clip(left, 0), jnp.clip(left + 1, 0, len(knots) - 1)
    gap = knots[then] - knots[here]
    slope = (values[then] - values[here]) / jnp.where(gap > 0, gap, 1)
    return values[here] + jnp.where(left < 0, 0, slope * (x - knots[here]))


def _parents(mass: Float[Array, "R size"], places: Float[Array, " R"]) -> Int[Array, " n"]:
    """Of the next stage, by systematic resampling; a repetition without mass keeps its own."""
    repetitions, size = mass.shape
    summed = jnp.cumsum(mass, axis=1)
    alive = summed[:, -1:] > 0
    edges = jnp.ceil(summed / jnp.where(alive, summed[:, -1:], 1) * size - places[:, None]).astype(jnp.int32)
    # a sum made in parts may fall by its rounding, and a place may round to the next one
    edges = jnp.minimum(jax.lax.cummax(edges, axis=1), size).at[:, -1].set(size)
    edges = jnp.where(alive, edges, jnp.arange(1, size + 1, dtype=jnp.int32))
    within = jax.vmap(lambda row: jnp.searchsorted(row, jnp.arange(size, dtype=jnp.int32), side="right"))(edges)
    return (jnp.arange(repetitions, dtype=jnp.int32)[:, None] * size + within.astype(jnp.int32)).reshape(-1)
