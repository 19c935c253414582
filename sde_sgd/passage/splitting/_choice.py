"""Which score splitting takes, why, and which other one it is held against."""

from typing import Any, NamedTuple

from ...scores import choose
from .._question import Question
from ._score import Score, score_of


class ChosenScore(NamedTuple):
    """A score, the reason for it in words, and another one for repetitions that check it, or None."""

    score: Score
    reason: str
    other: Score | None


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
    return ChosenScore(better or level, chosen.reason, better and level)


def is_auto(score: Any) -> bool:
    """Whether the score is to be chosen."""
    return score is None or (isinstance(score, str) and score == "auto")


def is_level(score: Any) -> bool:
    """Whether it is the target's level function."""
    return isinstance(score, str) and score == "level"
