"""Which score splitting takes, why, and which other one it is held against."""

import contextlib
import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from ...scores import GridScore, choose
from .._question import Question
from ._score import EitherScore, Score, score_of

# the grid of the level function, which is smooth, over that of a committor
_WIDENED = 3.0


class ChosenScore(NamedTuple):
    """A score, the reason for it in words, and another one for repetitions that check it, or None."""

    score: Score
    reason: str
    other: Score | None

    @property
    def other_name(self) -> str:
        """Of the other one; the level function keeps its name where it is read off a grid."""
        return self.other.name if self.other and self.score.fn is None else "level"


def chosen_for(question: Question, asked: Any, settled: bool) -> ChosenScore:
    """The score of a question.

    asked: None, "auto", "level" or a function. settled: of trajectories that have settled.
    """

    def made(fn: Any) -> Score:
        return score_of(question.chain, question.target, fn)

    if not (is_auto(asked) or is_level(asked)):
        return ChosenScore(made(asked), "as given", None)
    chosen = choose(
        question.chain, question.starts[0, : question.chain.dim], question.target, avoid=question.avoid,
        horizon=question.horizon, settled=settled, plain=asked != "auto",
    )  # fmt: skip
    level, better = made(None), chosen.score and made(chosen.score)
    if is_level(asked):
        return ChosenScore(level, "as asked", better)
    if better is None:
        return ChosenScore(level, chosen.reason, None)
    better, other = _held_together(better, level)
    return ChosenScore(better, chosen.reason, other)


def _held_together(score: Score, other: Score) -> tuple[Score, Score]:
    """Two scores of θ such that the programs of the second are those of the first.

    A score on a grid has the other one on as many cells: it is to see ways beyond that grid, so its own one is wider.
    """
    if not isinstance(score.fn, GridScore):
        one, two = (dataclasses.replace(score, fn=EitherScore(score, other, np.bool_(which))) for which in (0, 1))
        return one, two
    with contextlib.suppress(ValueError):
        return score, dataclasses.replace(score, fn=score.fn.tabulating(eqx.Partial(other, steps=0), _WIDENED))
    return score, other


def is_auto(score: Any) -> bool:
    """Whether the score is to be chosen."""
    return score is None or (isinstance(score, str) and score == "auto")


def is_level(score: Any) -> bool:
    """Whether it is the target's level function."""
    return isinstance(score, str) and score == "level"
