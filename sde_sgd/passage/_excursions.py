"""Excursions from where a trajectory usually is: how often they begin, and in what states."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from ..chains import AbstractChain
from ..engine import DIVERGED, AbstractMonitor
from ._around import AbstractBeside, AbstractCarrying
from ._monitor import AVOID
from ._problem import Problem
from ._score import PASSED, Score
from ._settle import Settling

# quantiles of the settled scores, of home and of where an excursion begins
_HOME, _AWAY = 0.5, 0.8
# of the way from home to the highest of those scores: the least between home and that beginning
_RISE = 0.05
# steps of the pilot that tells how often excursions begin, in times to settle; single precision counts the longest
_WINDOW = 2
_SHORTEST, _LONGEST, _SELDOM = 64, 2**23, 1 / 16
_ON_THE_WAY, _JUST_HOME = 0, 1


class _Watched(AbstractCarrying):
    """A chain whose state carries, as one more component, where it is between home and its next excursion.

    That is 0 on an excursion, 1 + the steps since it came home, or their number, negative, where one begins.
    """

    chain: AbstractChain
    score: Score
    home: Any
    away: Any

    def step(self, state, noise, step_index):
        after, was = self.chain.step(state[:-1], noise, step_index), state[-1]
        score = self.score(after, step_index + 1)
        waiting = jnp.where(score >= self.away, -was, was + 1)
        away = jnp.where(score <= self.home, _JUST_HOME, _ON_THE_WAY)
        return jnp.concatenate([after, jnp.where(was > 0, waiting, away)[None].astype(state.dtype)])


class _Begins(AbstractBeside):
    """The passage itself, or the beginning of an excursion where that is asked for."""

    monitor: AbstractMonitor
    stops: Any

    def code(self, before, after, step_index, uniform):
        ended = self.monitor.code(before[:-1], after[:-1], step_index, uniform)
        return jnp.where((ended == 0) & (after[-1] < 0) & self.stops, PASSED, ended)


class _BackHome(AbstractBeside):
    """The passage itself, or the return that ends an excursion without it."""

    monitor: AbstractMonitor
    score: Score
    home: Any

    def code(self, before, after, step_index, uniform):
        ended = self.monitor.code(before, after, step_index, uniform)
        return jnp.where((ended == 0) & (self.score(after, step_index + 1) <= self.home), AVOID, ended)


class Begun(NamedTuple):
    """Excursions that began while trajectories were watched.

    states: (m, dim) at their beginning. owner: (m,) whose they are. waited: (n,) steps of each between excursions.
    diverged: (n,) whether its state stopped being finite.
    """

    states: Float[np.ndarray, "m dim"]
    owner: Int[np.ndarray, " m"]
    waited: Int[np.ndarray, " n"]
    diverged: Bool[np.ndarray, " n"]
    path_steps: int


class Excursions:
    """The excursions of a chain that has settled, before a rare passage.

    Home is where the score is at most its median; an excursion begins where a trajectory that has been at home since
    its last one comes to the score's 80 % quantile, and ends at home or in the target. So E τ is the mean time of an
    excursion and of the wait for it, over the probability that it ends in the target.
    """

    def __init__(self, problem: Problem, settling: Settling):
        self._problem, self._settling, self._next_id = problem, settling, 0
        scores = settling.scores.astype(problem.starts.dtype)
        self.home, away = (np.quantile(scores, share, method="lower") for share in (_HOME, _AWAY))
        # a score may be flat, but for its rounding, where trajectories usually are
        self.away = max(away, self.home + (scores.max() - self.home) * scores.dtype.type(_RISE))
        self.window = max(_SHORTEST, _WINDOW * settling.steps)

    def pilot(self, size: int) -> Begun:
        """Excursions of `size` trajectories; from then on a trajectory is watched until it begins about one."""
        begun = self(size)
        often = max(len(begun.states) / size, _SELDOM)
        self.window = int(np.clip(round(self.window / often), _SHORTEST, _LONGEST))
        return begun

    def __call__(self, trajectories: int) -> Begun:
        """Those of so many trajectories, new ones in every call, in the window after they have settled."""
        problem = self._problem.derived(5)
        dtype = problem.starts.dtype
        problem = problem._replace(chain=_Watched(problem.chain, problem.score, self.home, self.away))
        starts = self._problem.states(trajectories)
        states = np.concatenate([starts, np.full((trajectories, 1), _JUST_HOME, dtype)], axis=1)
        clocks = np.zeros(trajectories, np.int64)
        settled = 2 * self._settling.steps
        ends = problem.go_on(
            _Begins(problem.monitor, np.False_), states, self._ids(trajectories), clocks, clocks + settled
        )
        states, clocks, cost = ends.state, clocks + ends.step, ends.path_steps
        # only what is waited from now on counts, and no excursion that began before
        states[:, -1] = np.clip(states[:, -1], _ON_THE_WAY, _JUST_HOME)
        left, diverged = np.where(ends.code == 0, self.window, 0), ends.code == DIVERGED
        waited, found, owner = np.zeros(trajectories, np.int64), [states[:0, :-1]], [np.zeros(0, np.int64)]
        while np.any(left > 0):
            ends = problem.go_on(_Begins(problem.monitor, np.True_), states, self._ids(trajectories), clocks, left)
            states, clocks, cost = ends.state, clocks + ends.step, cost + ends.path_steps
            began = (ends.code == PASSED) & (left > 0)
            diverged |= ends.code == DIVERGED
            rows = np.flatnonzero(began)
            found.append(states[rows, :-1])
            owner.append(rows)
            waited[rows] -= states[rows, -1].astype(np.int64)
            states[rows, -1] = _ON_THE_WAY
            left = np.where(began, left - ends.step, 0)
        waited += np.maximum(states[:, -1].astype(np.int64) - _JUST_HOME, 0)
        return Begun(np.concatenate(found), np.concatenate(owner), waited, diverged, cost)

    def ahead(self, starts: Float[np.ndarray, "m dim"]) -> Problem:
        """What becomes of an excursion that began in one of these states: the passage, or the way home."""
        monitor = _BackHome(self._problem.monitor, self._problem.score, self.home)
        return self._problem._replace(monitor=monitor, starts=starts, avoids=True)

    def _ids(self, trajectories: int) -> Int[np.ndarray, " n"]:
        first, self._next_id = self._next_id, self._next_id + trajectories
        return first + np.arange(trajectories)
