"""The paths of splitting themselves, to look at (the genealogy of one repetition)."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..._errors import positive_integer
from ...chains import AbstractChain
from ...engine import StopCode
from ...regions import AbstractRegion
from .._execution import Execution
from .._question import Monitoring, execution_of, make_question
from ._method import Splitting, check_score
from ._repetitions import Stage
from ._run import prepare


class Branch(NamedTuple):
    """A piece of a path, from where it entered a level until it entered the next, arrived, or ended.

    times: (n,) SDE time. states: (n, dim). stage: how many levels it had come past. successful: whether some path
    through it reached the target.
    """

    times: Float[np.ndarray, " n"]
    states: Float[np.ndarray, "n dim"]
    stage: int
    successful: bool


class Branches(NamedTuple):
    """One repetition of splitting. branches: its paths, each with its parent's. levels: (m,) scores, rising."""

    levels: Float[np.ndarray, " m"]
    branches: list[Branch]


def branches(
    chain: AbstractChain,
    start: Any,
    target: AbstractRegion,
    avoid: AbstractRegion | None = None,
    horizon: float | None = None,
    *,
    trajectories: int = 16,
    seed: Any = 0,
    score: Any = None,
    monitoring: Monitoring = "discrete",
    max_steps: int = 10_000_000,
) -> Branches:
    """How splitting finds the way to `target`: the paths of one repetition of `trajectories`, in full.

    chain, start, target, avoid, seed, monitoring, max_steps: as in `first_passage`; horizon in SDE time. score: as in
        `Splitting`.
    As `first_passage` with method="splitting", for a mean time its excursions; each path is replayed from its start,
    bit for bit. The memory is that of all their states, the work grows as the square of a path's steps: for a look, not
    for statistics. Source: as of `Splitting`. Raises ValueError as `first_passage` does.
    """
    positive_integer("trajectories", trajectories)
    question = make_question(chain, start, target, avoid, horizon, monitoring=monitoring, max_steps=max_steps)
    check_score(question, score)
    run = execution_of(question, seed, None, None, None)
    repeat = prepare(question, run, Splitting(score).score_for(question), trajectories, question.mean_time).repetitions
    history: list[Stage] = []
    repeat(1, history)
    pieces = [
        Branch(times, states, number, good)
        for number, (stage, lucky) in enumerate(zip(history, _lineage(history), strict=True))
        for times, states, good in _replay(repeat.run, stage, lucky)
    ]
    return Branches(repeat.levels.scores, pieces)


def _lineage(history: list[Stage]) -> list[np.ndarray]:
    """Of each stage: which trajectories arrived, or some of their descendants did."""
    arrived = []
    later = np.zeros(0, bool)
    for stage in reversed(history):
        lucky = stage.code == StopCode.TARGET
        lucky[stage.parents[later[: len(stage.parents)]]] = True
        arrived.append(lucky)
        later = lucky
    return arrived[::-1]


def _replay(run: Execution, stage: Stage, lucky: np.ndarray):
    """Of each trajectory that moved: its times, its θ along the way and whether it was lucky.

    Noise counts from a path's first step, so each state is that of a run from there which stops sooner.
    """
    moved = np.flatnonzero(stage.steps)
    rows = np.repeat(moved, stage.steps[moved])
    ends = np.cumsum(stage.steps[moved])
    budgets = np.arange(len(rows)) - np.repeat(ends - stage.steps[moved], stage.steps[moved]) + 1
    along = run.go_on(run.monitor, stage.states[rows], stage.ids[rows], stage.clocks[rows], budgets)
    for number, last in zip(moved, ends, strict=True):
        count = stage.steps[number]
        states = run.theta(np.concatenate([stage.states[number][None], along.state[last - count : last]]))
        yield (stage.clocks[number] + np.arange(count + 1)) * run.time_step, states, bool(lucky[number])
