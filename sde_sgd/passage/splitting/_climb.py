"""Trajectories watched on their way up a score: until they cross a level, with the highest score, or from home on.

One program does all of it, until that is much: a compiler takes longer for each than most calls take to run.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...chains import AbstractChain
from ...engine import AbstractMonitor, Ends, StopCode
from .._execution import Execution
from .._wrappers import AbstractAugmentedChain, AbstractWrappedMonitor
from ._score import Score

LONG = 2**27
"""Path-steps of a call after which a program is worth compiling that does one thing only, and so computes less."""
AWAY, JUST_HOME, BEGINS = 0.0, -1.0, 1.0
"""The memory of a trajectory on an excursion, of one that has just come home, and the least where one begins."""


class BackHome(AbstractWrappedMonitor):
    """The passage itself, or the return that ends an excursion without it.

    home_level: score up to which it is at home; NaN for no home.
    """

    monitor: AbstractMonitor
    score: Score
    home_level: Any

    def code(self, before, after, step_index, uniform):
        ended = self.monitor.code(before, after, step_index, uniform)
        return _at_home(ended, self.score(after, step_index + 1), self.home_level)

    @classmethod
    def nowhere(cls, run: Execution, score: Score) -> "BackHome":
        """Of what knows no home: then it is the passage itself, in the program of one that ends at home."""
        return cls(run.monitor, score, run.starts.dtype.type(np.nan))


def _at_home(ended: Any, score: Any, home_level: Any) -> Array:
    return jnp.where((ended == 0) & (score <= home_level), StopCode.AVOID, ended)


class LevelCrossing(AbstractWrappedMonitor):
    """The passage itself, or else the first state whose score is at least `level`, or below `floor`.

    by_memory: what is compared is the memory of a `Remembering` chain instead. A number where one program is to do
        both, True or False where it does one of them.
    home_level: as of `BackHome`, of this score; None where the passage is all that ends.
    """

    monitor: AbstractMonitor
    score: Score
    level: Any
    floor: Any
    by_memory: Any = False
    home_level: Any = None

    def code(self, before, after, step_index, uniform):
        score = functools.cache(lambda: self.score(after, step_index + 1))
        reached = _either(self.by_memory, lambda: after[-1], score)
        ended = self.monitor.code(before, after, step_index, uniform)
        if self.home_level is not None:
            ended = _at_home(ended, score(), self.home_level)
        crossed = jnp.where(
            reached >= self.level, StopCode.LEVEL_CROSSED, jnp.where(reached < self.floor, StopCode.FELL_BACK, 0)
        )
        return jnp.where(ended > 0, ended, crossed)


def level_crossing(monitor: Any, score: Score, level: Any, floor: Any, by_memory: Any = False) -> LevelCrossing:
    """A LevelCrossing that asks a score which tells of home as well only once: to a compiler two may be different."""
    crossing = LevelCrossing(monitor, score, level, floor, by_memory)
    if isinstance(monitor, BackHome) and monitor.score is score:
        return dataclasses.replace(crossing, monitor=monitor.monitor, home_level=monitor.home_level)
    return crossing


class Remembering(AbstractAugmentedChain):
    """A chain that remembers its highest score so far, or else where it is between home and its next excursion.

    peaks: which of both. A number where one program is to do all that splitting asks, True or False where it does one
        of them. Memory is one component because each that a loop carries costs a CPU the step again.
    home, away: scores up to which it is at home, and from which on an excursion begins. Then its memory is 0 on an
        excursion, −1 − the steps waited since it came home, or the steps waited where an excursion begins, for one
        step. With NaN for both it stays 0.
    """

    chain: AbstractChain
    score: Score
    peaks: Any
    home: Any
    away: Any

    def begin(self, theta):
        state = self.chain.begin(theta)
        memory = _either(self.peaks, lambda: self.score(state, 0), lambda: JUST_HOME)
        return jnp.concatenate([state, jnp.asarray(memory, state.dtype)[None]])

    def step(self, state, noise, step_index):
        after, was = self.chain.step(self.inner(state), noise, step_index), state[-1]
        score = self.score(after, step_index + 1)

        def watched() -> Array:
            if_waiting = jnp.where(score >= self.away, -was, was - 1)
            return jnp.where(was < AWAY, if_waiting, jnp.where(score <= self.home, JUST_HOME, AWAY))

        memory = _either(self.peaks, lambda: jnp.maximum(was, score), watched)
        return jnp.concatenate([after, memory[None].astype(state.dtype)])


def _either(which: Any, one: Callable[[], Any], other: Callable[[], Any]) -> Any:
    """One of two values; both are computed where it is a number that says which."""
    if isinstance(which, bool):
        return one() if which else other()
    return jnp.where(which, one(), other())


def climb(
    run: Execution,
    score: Score,
    bounds: tuple[float, float],
    past: tuple[np.ndarray, ...],
    highest: Float[np.ndarray, " n"] | None = None,
    alone: bool = False,
) -> tuple[Ends, Float[np.ndarray, " n"]]:
    """Where trajectories end that run until their score is at least one bound, or below the other.

    past: states, ids, clocks and budgets, as in `Execution.go_on`. highest: their highest scores so far; then it is
    that which crosses a bound, and with their ends, in states of the run's own chain, come their highest scores.
    alone: in a program that does nothing else, and is the faster for it.
    """
    states, ids, clocks, budgets = past
    dtype = states.dtype
    level, floor = np.asarray(bounds, dtype)
    if alone:
        ends = run.go_on(level_crossing(run.monitor, score, level, floor), states, ids, clocks, budgets)
        return ends, np.full(len(states), np.nan, dtype)
    peaks = np.bool_(highest is not None)
    memory = np.full(len(states), AWAY) if highest is None else highest
    no_home = dtype.type(np.nan)
    chain = Remembering(run.chain, score, peaks, no_home, no_home)
    monitor = level_crossing(run.monitor, score, level, floor, peaks)
    joined = np.concatenate([states, memory[:, None].astype(dtype)], axis=1)
    ends = run._replace(chain=chain).go_on(monitor, joined, ids, clocks, budgets, renewable=True)
    # levels are chosen in this program in any case
    run.ledger.climbed += 0 if peaks else ends.path_steps
    return ends._replace(state=chain.inner(ends.state)), ends.state[:, -1]
