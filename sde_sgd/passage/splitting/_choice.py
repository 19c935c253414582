"""Which score splitting takes, why, and which other one it is held against."""

import contextlib
import dataclasses
from typing import Any, NamedTuple

import equinox as eqx

from ...scores import GridScore, choose
from .._question import Question
from ._score import Score, score_of

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
    return ChosenScore(better, chosen.reason, _as_tabulated(level, better))


def _as_tabulated(other: Score, score: Score) -> Score:
    """The other score on as many cells as one that has a grid, where it can be: then its programs are that one's.

    It is to see ways beyond that grid, so its own one is wider.
    """
    if not isinstance(score.fn, GridScore):
        return other
    with contextlib.suppress(ValueError):
        return dataclasses.replace(score, fn=score.fn.tabulating(eqx.Partial(other, steps=0), _WIDENED))
    return other


def is_auto(score: Any) -> bool:
    """Whether the score is to be chosen."""
    return score is None or (isinstance(score, str) and score == "auto")


def is_level(score: Any) -> bool:
    """Whether it is the target's level function."""
    return isinstance(score, str) and score == "level"
