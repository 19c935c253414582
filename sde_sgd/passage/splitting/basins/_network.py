"""Slow basins with their cores, the sets that end it all, and how often trajectories go from one to the next."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ...._errors import show
from ...._jumps import core_sets
from ...._numerics import bound, of_each
from ...._progress import stage
from ....chains import AbstractChain
from ....engine import StopCode, start_states, tuned
from ....random import Stream
from ....regions import AbstractRegion
from ....scores import choose
from ....statistics import Estimate
from ..._execution import Execution
from ..._method import Answer
from ..._monitor import monitor_for
from ..._question import Question
from .._asking import Asking
from .._equilibration import SettlesSlowly
from ._one_of import OneOf
from ._surroundings import Surroundings

# the budget of a trajectory over the steps that may be waited until the law in a basin has settled: beyond that its
# rates take minutes
_PATIENCE = 16
# trajectories from the start that tell which basin they come to first, and how long they may take
FIRST, _FIRST_STEPS = 1_024, 2**17
# most basins, since each core costs every step and every basin some rates; on the line only neighbours do
_MOST_BASINS, _MOST_ON_A_LINE = 8, 32
# temperatures of a barrier above which a core does not grow with it
_HIGH = 16.0
# a compiler that recomputes what it fuses takes long over the levels of many sets
_STEPS_FUSED = 1
# cores that trajectories from one of them, on the line, may come to
_NEIGHBOURS = 3

Part = Callable[..., Answer]
"""The answer to a question, by splitting, from (question, execution, asking, score): the rate of settled trajectories,
or with `settled=False` what all of them do."""


class NotFollowed(Exception):
    """Why slow basins are not followed one by one."""


class Network(NamedTuple):
    """Basins with their cores, and what is measured between them.

    ends: the cores, and last the sets where it ends. scores: of splitting towards each of those.
    """

    question: Question
    run: Execution
    part: Part
    scores: tuple[Any, ...]
    around: Surroundings
    ends: tuple[AbstractRegion, ...]

    @property
    def count(self) -> int:
        """Of the basins."""
        return len(self.around.basins)

    def name(self, end: int) -> str:
        """A basin or a set, in words."""
        if end < self.count:
            return f"the basin of {show(self.around.basins[end].point.location)}"
        return ("the target", "avoid")[end - self.count]

    def one_of(self, near: Sequence[int], ends: Sequence[int]) -> AbstractRegion:
        """The union of those of the ends `near` that are among `ends`."""
        return OneOf(tuple(self.ends[end] for end in near), np.isin(near, ends))

    def near(self, start: int) -> list[int]:
        """The ends of which trajectories from a basin come to one before any other.

        Where nothing jumps over a core those are its neighbours' on the line and where it ends: three cores with its
        own, also for the first and the last in the row, so that one program serves them all.
        """
        order = np.arange(self.count)
        if passes_none_over(self.question.chain) and self.count > _NEIGHBOURS:
            order = np.argsort([basin.point.location[0] for basin in self.around.basins])
            first = np.clip(np.flatnonzero(order == start)[0] - 1, 0, self.count - _NEIGHBOURS)
            order = order[first : first + _NEIGHBOURS]
        return [*order.tolist(), *range(self.count, len(self.ends))]

    def rate(self, start: int, end: int, asking: Asking, again: int) -> Answer:
        """The rate of jumps from one basin to another, or to a set where it ends; NotFollowed where that takes long."""
        stage(f"from {self.name(start)} to {self.name(end)}")
        number = (again * self.count + start) * len(self.ends) + end
        near = self.near(start)
        others = [other for other in near if other not in (start, end)]
        target, avoid = self.one_of(near, [end]), self.one_of(near, others)
        asked, run = self._asked(self.around.basins[start].point.location, target, avoid, (Stream.BASINS, number))
        score = self._score_towards_core(asked) if end < self.count else self.scores[end - self.count]
        patience = self.run.steps // _PATIENCE
        try:
            with tuned(steps_fused=_STEPS_FUSED):
                return self.part(asked, run._replace(patience=patience), asking, score)
        except SettlesSlowly:
            words = f"the motion in {self.name(start)} does not settle within {patience} steps"
            raise NotFollowed(f"{words}, a {_PATIENCE}th of max_steps: raise max_steps to wait for it") from None

    def first(self) -> Int[np.ndarray, " L"]:
        """How many trajectories from the start come to each of the ends first."""
        stage("from the start")
        every, last = range(len(self.ends)), range(self.count, len(self.ends))
        cores, sets = self.one_of(every, range(self.count)), self.one_of(every, last)
        _, run = self._asked(None, cores, sets, (Stream.FIRST_BASIN,))
        states = run.states(FIRST)
        levels = self._levels(run.theta(states), range(self.count))
        there = levels.min(axis=0) < 0
        begun = np.bincount(np.argmin(levels, axis=0)[there], minlength=len(self.ends))
        if np.all(there):
            return begun
        states = states[~there]
        run.ledger.start(len(states))
        ids, clocks = np.arange(len(states)), np.zeros(len(states), np.int64)
        budgets = np.full(len(states), min(_FIRST_STEPS, run.steps))
        with tuned(steps_fused=_STEPS_FUSED):
            ends = run.go_on(run.monitor, states, ids, clocks, budgets)
        thetas, counts = run.theta(ends.state), []
        for code, among in ((StopCode.TARGET, range(self.count)), (StopCode.AVOID, last)):
            nearest = np.argmin(self._levels(thetas[ends.code == code], among), axis=0)
            counts.append(np.bincount(nearest, minlength=len(among)))
        return begun + np.concatenate(counts)

    def straight(self, asking: Asking) -> Estimate | None:
        """The chance to come from the start to the target before any core and `avoid`; None from within the cores."""
        cores = range(self.count)
        if np.all(self._levels(self.run.theta(self.run.starts), cores).min(axis=0) < 0):
            return None
        stage("from the start to the target")
        others = [*cores, *range(self.count + 1, len(self.ends))]
        target, others = (self.one_of(range(len(self.ends)), ends) for ends in ([self.count], others))
        asked, run = self._asked(None, target, others, (Stream.FIRST_BASIN, 1))
        with tuned(steps_fused=_STEPS_FUSED):
            return self.part(asked, run, asking, self.scores[0], settled=False).evidence.probability

    def _levels(self, thetas: Any, ends: range) -> Float[np.ndarray, "E n"]:
        return np.array([np.asarray(bound(of_each("level"), self.ends[end])(jnp.asarray(thetas))) for end in ends])

    def _asked(self, start: Float[np.ndarray, " dim"] | None, target: AbstractRegion, avoid: AbstractRegion, stream):
        """The question of a jump, from a minimum or from the start itself, and its execution."""
        chain, question, starts = self.question.chain, self.question, self.question.starts
        if start is not None:
            starts = start_states(start.astype(starts.dtype), chain, 1)
        watch = monitor_for(chain, target, avoid, question.monitoring, starts[:, : chain.dim])
        run = functools.reduce(lambda run, number: run.derived(number), stream, self.run)
        return question._replace(starts=starts, target=target, avoid=avoid), run._replace(starts=starts, monitor=watch)

    def _score_towards_core(self, asked: Question) -> Any:
        """On the line a core's own level function orders states as well as any other."""
        chain = asked.chain
        if chain.dim == 1:
            return "level"
        theta = asked.starts[0, : chain.dim]
        return choose(chain, theta, asked.target, avoid=asked.avoid, settled=True).score or "level"


def passes_none_over(chain: AbstractChain) -> bool:
    """Whether trajectories come to a basin's neighbours before any other: on the line, by small steps."""
    return chain.dim == 1 and chain.noise_kind == "gaussian"


def cores_of(around: Surroundings, chain: AbstractChain) -> tuple[AbstractRegion, ...]:
    """The core of each basin; NotFollowed where there are too many, or they overlap."""
    points = [basin.point for basin in around.basins]
    most = _MOST_ON_A_LINE if passes_none_over(chain) else _MOST_BASINS
    if len(points) > most:
        raise NotFollowed(f"there are more than {most}")
    names = tuple(show(point.location) for point in points)
    # a core is where all that stay are again and again: no barrier, however high, makes it larger
    barriers = np.minimum(around.barriers, _HIGH * around.temperature)
    try:
        return core_sets(points, barriers, None, names, towards=around.towards)
    except ValueError as error:
        raise NotFollowed(str(error)) from error
