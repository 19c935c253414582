"""Excursions from where a trajectory usually is: how often they begin, and in what states (for the Hill relation)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ...chains import AbstractChain
from ...engine import DIVERGED, Ends, Renewals, StopCode
from ...random import INCREMENTS, Stream, increments_of
from .._execution import Execution
from ._climb import AWAY, BEGINS, JUST_HOME, LONG, BackHome, LevelCrossing, Remembering, climb, level_crossing
from ._equilibration import Equilibration
from ._score import Score, scores

# quantiles of the settled scores, of home and of where an excursion begins
_HOME, _EXCURSION = 0.5, 0.8
# of the way from home to the highest of those scores: the least between home and that beginning
_RISE = 0.05
# steps of the pilot that tells how often excursions begin, in times to settle; single precision counts the longest
_WINDOW = 2
_SHORTEST, _LONGEST, _SELDOM = 64, 2**23, 1 / 16
# a law that takes so many steps to settle is dear to come to: then a trajectory is watched for several excursions, as
# long as that takes less than to settle, and stands for as many in its repetition
_LONG, _SHARING = 2**13, 4
# trajectories that tell how the start comes home, and how long they are followed, in times to settle
_WALKERS, _PATIENCE = 2_048, 32


class ExcursionStarts(NamedTuple):
    """Excursions that began while trajectories were watched.

    states: (m, state_dim) at their beginning. trajectory: (m,) whose they are. waited: (n,) steps of each between
    excursions. diverged: (n,) whether its state stopped being finite.
    """

    states: Float[np.ndarray, "m state_dim"]
    trajectory: Int[np.ndarray, " m"]
    waited: Int[np.ndarray, " n"]
    diverged: Bool[np.ndarray, " n"]


class WayHome(NamedTuple):
    """steps: of a trajectory from the start until it is at home, or has come to an end, on average.

    home: how many of so many `walkers` came home, or are still on the way after long.
    """

    steps: float = 0.0
    home: int = 1
    walkers: int = 1


class Excursions:
    """The excursions of a chain that has settled, before a rare passage.

    Home is where the score is at most its median; an excursion begins where a trajectory that has been at home since
    its last one comes to the score's 80 % quantile, and ends at home or in the target. So E τ is the mean time of an
    excursion and of the wait for it, over the probability that it ends in the target.
    """

    def __init__(self, run: Execution, score: Score, equilibration: Equilibration):
        self._run, self._score, self._next_id = run, score, 0
        self._equilibration = equilibration
        settled = equilibration.scores.astype(run.starts.dtype)
        if not settled.size:
            # none is left to tell where home is: all have ended
            settled = np.zeros(1, run.starts.dtype)
        self.home_level, beyond = (np.quantile(settled, share, method="lower") for share in (_HOME, _EXCURSION))
        # a score may be flat, but for its rounding, where trajectories usually are
        rise = (settled.max() - self.home_level) * settled.dtype.type(_RISE)
        self.excursion_level = max(beyond, self.home_level + rise)
        self.window = max(_SHORTEST, _WINDOW * equilibration.steps)
        self._sharing, self._settled = 1, 2 * equilibration.steps

    def pilot(self, size: int) -> ExcursionStarts:
        """Excursions of `size` trajectories; from then on one is watched until it begins about one, or a few of them.

        Of fewer trajectories where the law takes long to settle.
        """
        dear = self._settled >= _LONG
        watched = max(size // _SHARING, 1) if dear else size
        seen = self(watched)
        often = max(len(seen.states) / watched, _SELDOM)
        if dear:
            self._sharing = int(np.clip(self._settled * often // self.window, 1, _SHARING))
        self.window = int(np.clip(round(self.window / often * self._sharing), _SHORTEST, _LONGEST))
        return seen

    def watched(self, size: int) -> int:
        """How many trajectories are watched for the excursions of a repetition of `size`."""
        return max(size // self._sharing, 1)

    def __call__(self, trajectories: int) -> ExcursionStarts:
        """Those of so many trajectories, new ones in every call, in the window after they have settled."""
        run, chain, alone, ends = self._settle(trajectories, self.window)
        states, clocks = ends.state, ends.step
        # only what is waited from now on counts, and no excursion that began before
        states[:, -1] = np.clip(states[:, -1], JUST_HOME, AWAY)
        left, diverged = np.where(ends.code == StopCode.RUNNING, self.window, 0), ends.code == DIVERGED
        first = self._next_id
        ends, begun = self._until(BEGINS, alone, run, states, first + np.arange(trajectories), clocks, left)
        owner = (begun.ids - first) % trajectories
        # ids that have been used: one for each excursion, and for what came after the last
        self._next_id += trajectories * int(np.max(np.bincount(owner, minlength=trajectories) + (ends.step > 0)))
        waited = np.maximum(JUST_HOME - ends.state[:, -1], 0).astype(np.int64)
        np.add.at(waited, owner, begun.state[:, -1].astype(np.int64))
        return ExcursionStarts(chain.inner(begun.state), owner, waited, diverged | (ends.code == DIVERGED))

    def with_every_step(self) -> "StepsFromHome":
        """Those of the same chain that begin with every step from home."""
        return StepsFromHome(self._run, self._score, self._equilibration)

    def way_home(self) -> WayHome:
        """What comes before the first excursion, from the start."""
        run = self.passage_from_excursion(self._run.starts).derived(Stream.EXCURSIONS).derived(Stream.EQUILIBRATION)
        states, clocks = run.states(_WALKERS), np.zeros(_WALKERS, np.int64)
        away = scores(self._score, states, clocks) > self.home_level
        if not away.any():
            return WayHome()
        run.ledger.start(int(away.sum()))
        budgets = np.where(away, min(run.steps, _PATIENCE * self._settled), 0)
        ends, _ = climb(run, self._score, (np.inf, -np.inf), (states, np.arange(_WALKERS), clocks, budgets))
        home = ~away | (ends.code == StopCode.AVOID) | (ends.code == StopCode.RUNNING)
        return WayHome(float(ends.step.mean()), int(home.sum()), _WALKERS)

    def passage_from_excursion(self, starts: Float[np.ndarray, "m state_dim"]) -> Execution:
        """What becomes of an excursion that began in one of these states, if any: the passage, or the way home."""
        monitor = BackHome(self._run.monitor, self._score, self.home_level)
        return self._run._replace(monitor=monitor, starts=starts if len(starts) else self._run.starts)

    def _settle(self, trajectories: int, further: int) -> tuple[Execution, Remembering, bool, Ends]:
        """Trajectories that have settled, of a chain that remembers where they are between home and an excursion.

        further: steps that follow. With that chain, and whether they run in a program of their own.
        """
        alone = self._run.ledger.climbed + trajectories * (self._settled + further) > LONG
        peaks = False if alone else np.False_
        chain = Remembering(self._run.chain, self._score, peaks, self.home_level, self.excursion_level)
        run = self._run.derived(Stream.EXCURSIONS)._replace(chain=chain)
        run.ledger.start(trajectories)
        starts = self._run.states(trajectories)
        memory = np.full((trajectories, 1), JUST_HOME, starts.dtype)
        clocks = np.zeros(trajectories, np.int64)
        # none is told of yet: the program is that of what follows
        states = np.concatenate([starts, memory], axis=1)
        ends, _ = self._until(np.inf, alone, run, states, self._ids(trajectories), clocks, clocks + self._settled)
        return run, chain, alone, ends

    def _until(self, memory: float, alone: bool, run: Execution, states, ids, clocks, budgets) -> tuple[Ends, Renewals]:
        """Until the passage, or on from where the memory is so large.

        In the program of what follows excursions, which ends at home; or `alone`, in one that does nothing else.
        """
        level, floor = np.asarray([memory, -np.inf], states.dtype)
        if alone:
            monitor = LevelCrossing(run.monitor, self._score, level, floor, True)
            return run.go_on_renewing(monitor, states, ids, clocks, budgets)
        monitor = level_crossing(BackHome.nowhere(run, self._score), self._score, level, floor, np.True_)
        found = run.go_on_renewing(monitor, states, ids, clocks, budgets)
        run.ledger.climbed += found[0].path_steps
        return found

    def _ids(self, trajectories: int) -> Int[np.ndarray, " n"]:
        first, self._next_id = self._next_id, self._next_id + trajectories
        return first + np.arange(trajectories)


class StepsFromHome(Excursions):
    """Excursions that begin with every step from home, of a chain whose steps may lead from there straight to the end.

    Where steps are large, or jump, a trajectory may enter the target before it has been where other excursions begin.
    Of these each begins at home, and none waits: so E τ is the mean time until home is seen again, or the target, over
    the probability of the latter. They are dear where steps are small, as nearly all end with their first step.
    """

    def pilot(self, size: int) -> ExcursionStarts:
        return self(size)

    def __call__(self, trajectories: int) -> ExcursionStarts:
        """One of each of so many trajectories that is at home when the law has settled, new ones in every call."""
        _, chain, _, ends = self._settle(trajectories, 0)
        states = chain.inner(ends.state)
        at_home = scores(self._score, states, ends.step) <= self.home_level
        begins = np.flatnonzero(at_home & (ends.code == StopCode.RUNNING))
        return ExcursionStarts(states[begins], begins, np.zeros(trajectories, np.int64), ends.code == DIVERGED)


def may_jump(chain: AbstractChain) -> bool:
    """Whether a chain's noise is of a kind of its own, of which nothing is known: it may be heavy-tailed."""
    return increments_of(chain.noise_kind) not in INCREMENTS.values()
