"""The paths of splitting themselves, to look at."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..chains import AbstractChain
from ..regions import AbstractRegion
from ._call import Monitoring, pose, with_score
from ._monitor import TARGET
from ._problem import Problem
from ._split import prepare
from ._splitting import Stage


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
    """One repetition of splitting, path by path. levels: (m,) scores, rising."""

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
    seed: int = 0,
    score: Any = None,
    monitoring: Monitoring = "discrete",
    max_steps: int = 10_000_000,
) -> Branches:
    """How splitting finds the way to `target`: the paths of one repetition of `trajectories`, in full.

    As `first_passage` with method="splitting", for a mean time its excursions; each path is replayed from its start,
    bit for bit. The memory is that of all their states, the work grows as the square of a path's steps: for a look, not
    for statistics.
    Raises ValueError as `first_passage` does.
    """
    problem = pose(
        chain, start, target, avoid, horizon, 1, seed=seed, monitoring=monitoring, max_steps=max_steps, score=score
    )
    run = prepare(with_score(problem, score, target, avoid, horizon), trajectories).run
    history: list[Stage] = []
    run(1, history)
    found = [
        Branch(times, states[:, : chain.dim], number, good)
        for number, (stage, lucky) in enumerate(zip(history, _lineage(history), strict=True))
        for times, states, good in _replay(run.problem, stage, lucky)
    ]
    return Branches(run.levels.scores, found)


def _lineage(history: list[Stage]) -> list[np.ndarray]:
    """Of each stage: which lanes arrived, or some of their descendants did."""
    found = []
    later = np.zeros(0, bool)
    for stage in reversed(history):
        lucky = stage.code == TARGET
        lucky[stage.parents[later[: len(stage.parents)]]] = True
        found.append(lucky)
        later = lucky
    return found[::-1]


def _replay(problem: Problem, stage: Stage, lucky: np.ndarray):
    """Of each lane that moved: its times, its states and whether it was lucky.

    Noise counts from a path's first step, so each state is that of a run from there which stops sooner.
    """
    lanes = np.flatnonzero(stage.steps)
    rows = np.repeat(lanes, stage.steps[lanes])
    ends = np.cumsum(stage.steps[lanes])
    budgets = np.arange(len(rows)) - np.repeat(ends - stage.steps[lanes], stage.steps[lanes]) + 1
    run = problem.go_on(problem.monitor, stage.states[rows], stage.ids[rows], stage.clocks[rows], budgets)
    for lane, last in zip(lanes, ends, strict=True):
        count = stage.steps[lane]
        states = np.concatenate([stage.states[lane][None], run.state[last - count : last]])
        yield (stage.clocks[lane] + np.arange(count + 1)) * problem.time_step, states, bool(lucky[lane])
