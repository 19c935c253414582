"""Which way passages take: over which saddles of an explored landscape, with which share of the probability."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from ..._errors import fraction, positive_integer
from ..._numerics import of_points
from ..._progress import shown
from ...chains import AbstractChain
from ...engine import StopCode
from ...landscapes import Exploration
from ...regions import AbstractRegion
from ...statistics import Estimate, student_width
from .._execution import Execution
from .._question import Monitoring, execution_of, make_question
from ._method import Splitting, check_score
from ._repetitions import Stage
from ._run import prepare

_REPETITIONS = 32
# looks at a path between two levels, at equal times
_LOOKS = 64


def way_shares(
    chain: AbstractChain,
    start: Any,
    target: AbstractRegion,
    exploration: Exploration,
    avoid: AbstractRegion | None = None,
    *,
    trajectories: int = 8_192,
    seed: Any = 0,
    confidence: float = 0.95,
    score: Any = None,
    monitoring: Monitoring = "discrete",
    max_steps: int = 10_000_000,
    progress: bool | None = None,
) -> Estimate:
    """Share of the passages to `target` that go over each saddle of an exploration, (saddles,), connections first.

    chain, start, target, avoid, seed, confidence, monitoring, max_steps, progress: as in `first_passage` without a
        horizon. exploration: of the chain's landscape, by `landscapes.explore`. trajectories: of all of 32 repetitions
        of splitting. score: as in `Splitting`; one that does not grow along a way underrates it, the default does.
    By definition a passage goes over a saddle where one of 64 looks between each two of its levels is nearer to the
    upper half of the way over it, by loss, than to any other part of any way. One over two saddles in turn counts for
    both, so that shares may sum to more than 1, and what stays away from all ways for none. Intervals are Student's t
    of the ratio over repetitions.

    `exploration.plot(shares=shares)` draws each way as wide as its share.
    Raises ValueError as `first_passage` does, and for what is no exploration of as many components as the chain's.
    """
    if not isinstance(exploration, Exploration) or exploration.landscape.dim != chain.dim:
        raise ValueError(
            f"exploration must be one of a landscape with {chain.dim} components, got {type(exploration).__name__}"
        )
    fraction("confidence", confidence)
    positive_integer("trajectories", trajectories)
    if trajectories < 8 * _REPETITIONS:
        raise ValueError(f"trajectories must be at least {8 * _REPETITIONS}, got {trajectories}")
    question = make_question(chain, start, target, avoid, None, monitoring=monitoring, max_steps=max_steps)
    check_score(question, score)
    run = execution_of(question, seed, None, None, None)
    with shown(progress, "ways"):
        repeat = prepare(
            question, run, Splitting(score).score_for(question, True), trajectories // _REPETITIONS, True
        ).repetitions
        history: list[Stage] = []
        tally = repeat(_REPETITIONS, history)
        over = _over(repeat.run, history, _Ways(exploration))
    masses = np.stack([np.bincount(tally.repetition, tally.weights * one, _REPETITIONS) for one in over.T], axis=1)
    return _ratio(masses, np.bincount(tally.repetition, tally.weights, _REPETITIONS), confidence)


def _ratio(parts: Float[np.ndarray, "R W"], whole: Float[np.ndarray, " R"], confidence: float) -> Estimate:
    """Σ parts / Σ whole over repetitions, with Student's t of its linearisation, within 0 and 1."""
    if not whole.sum() > 0:
        nothing = np.full(parts.shape[1], np.nan)
        return Estimate(nothing, np.zeros_like(nothing), np.ones_like(nothing), confidence)
    value = parts.sum(axis=0) / whole.sum()
    left = (parts - value * whole[:, None]) / whole.mean()
    error = left.std(axis=0, ddof=1) / np.sqrt(len(whole))
    half = error * student_width(confidence, len(whole) - 1)
    return Estimate(value, np.maximum(value - half, 0.0), np.minimum(value + half, 1.0), confidence)


class _Ways:
    """The ways of an exploration as points, and of each point which way's upper half it is in, or none."""

    def __init__(self, exploration: Exploration):
        paths = [*exploration.paths, *(out.path for out in exploration.exits)]
        self.number = len(paths)
        owners = []
        for number, path in enumerate(paths):
            losses = of_points("loss", exploration.landscape, path)
            top = int(np.nanargmax(losses))
            # on each side above the middle between its end and the saddle
            middle = np.where(np.arange(len(path)) <= top, losses[0], losses[-1]) / 2 + losses[top] / 2
            owners.append(np.where(losses >= middle, number, -1))
        self._owner = np.concatenate(owners) if owners else np.zeros(0, int)
        self._tree = KDTree(np.concatenate(paths)) if paths else None

    def near(self, thetas: Float[np.ndarray, "n dim"]) -> Int[np.ndarray, " n"]:
        """The way whose upper half each point is next to, −1 where that is none."""
        if self._tree is None:
            return np.full(len(thetas), -1)
        finite = np.all(np.isfinite(thetas), axis=1)
        places = self._tree.query(np.where(finite[:, None], thetas, 0.0))[1]
        return np.where(finite, self._owner[places], -1)


def _over(run: Execution, history: list[Stage], ways: _Ways) -> Bool[np.ndarray, "k W"]:
    """Of each passage, in the order of a tally: which ways it went over."""
    found = []
    seen: list[dict[int, np.ndarray]] = [{} for _ in history]
    for number, stage in enumerate(history):
        rows = np.flatnonzero(stage.code == StopCode.TARGET)
        over = np.zeros((len(rows), ways.number), bool)
        for earlier in range(number, -1, -1):
            new = np.setdiff1d(rows, np.fromiter(seen[earlier], int, len(seen[earlier])))
            seen[earlier].update(zip(new.tolist(), _along(run, history[earlier], new, ways), strict=True))
            if len(rows):
                over |= np.stack([seen[earlier][row] for row in rows.tolist()])
            rows = history[earlier - 1].parents[rows] if earlier else rows
        found.append(over)
    return np.concatenate(found)


def _along(run: Execution, stage: Stage, rows: Int[np.ndarray, " m"], ways: _Ways) -> Bool[np.ndarray, "m W"]:
    """Which ways these trajectories of a stage went over in it: replayed, each to several times."""
    over = np.zeros((len(rows), ways.number), bool)
    if not len(rows):
        return over
    owners = np.repeat(np.arange(len(rows)), _LOOKS)
    budgets = (stage.steps[rows][:, None] * np.arange(1, _LOOKS + 1) // _LOOKS).reshape(-1)
    which = rows[owners]
    ends = run.go_on(run.monitor, stage.states[which], stage.ids[which], stage.clocks[which], budgets)
    near = ways.near(np.asarray(run.theta(ends.state), np.float64))
    over[owners[near >= 0], near[near >= 0]] = True
    return over
