"""What a method of first passages is, and the short names of those that are ready-made."""

import abc
from typing import Any, NamedTuple

import equinox as eqx

from .._errors import nearest
from ..results import Verdict
from ._evidence import AbstractEvidence
from ._execution import Execution
from ._question import Effort, Question


class Answer(NamedTuple):
    """What a method found.

    name: what answered, in a word. evidence: what it saw. verdict: what is to be said beside divergence.
    """

    name: str
    evidence: AbstractEvidence
    verdict: Verdict


class AbstractMethod(eqx.Module):
    """A way to find a first passage: one class with `answer`, and a short name for it in `passage.METHODS`."""

    @abc.abstractmethod
    def answer(self, question: Question, run: Execution, effort: Effort) -> Answer:
        """The answer to a question.

        question: what is asked. run: the question as an execution, whose `run(ids)` simulates trajectories from the
            start, `go_on` lets any go on, and whose `ledger` counts what is spent. effort: how much is to be done.
        The call itself makes the result of it: it adds divergence to the verdict, and says what was spent.
        Raises ValueError where the method has no answer to such a question.
        """

    def with_score(self, score: Any) -> "AbstractMethod":
        """The same method with the score that the call names, itself where it needs none; ValueError if it has one."""
        return self


METHODS: dict[str, AbstractMethod] = {}
"""Ready-made methods by name: those that `method=` takes as a string. Add yours."""


def method_of(method: Any) -> AbstractMethod:
    """The method that a person names or gives; ValueError where it is none."""
    if isinstance(method, AbstractMethod):
        return method
    if isinstance(method, str) and method in METHODS:
        return METHODS[method]
    *names, last = (repr(name) for name in METHODS)
    raise ValueError(f"method must be {', '.join(names)} or {last}, got {method!r}{nearest(method, METHODS)}")
