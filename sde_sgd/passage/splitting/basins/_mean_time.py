"""The mean time of a rare passage: that of a settled law, or where slow basins lie on the way, of the jumps between."""

import dataclasses
from typing import Any

from ....results import Verdict
from ..._execution import Execution
from ..._method import Answer
from ..._question import Question
from .._asking import Asking
from .._steady_state import SteadyStateSample
from ._network import Part
from ._over_slow_basins import over_slow_basins


def mean_time(question: Question, run: Execution, asking: Asking, part: Part, score: Any) -> Answer:
    """The mean time of a rare passage; score: of splitting towards the target.

    What lies around the way is explored first. Where no other basin is slow to leave, the law settles and the rate of
    those that have settled is the answer; else the jumps between the slow ones are measured one by one.
    """
    seen = over_slow_basins(question, run, asking, part, (score,))
    if seen.answer is not None:
        return seen.answer
    found = part(question, run, asking, score)
    if not isinstance(found.evidence, SteadyStateSample):
        return found
    evidence = dataclasses.replace(found.evidence, told=seen.told)
    verdict = Verdict((*found.verdict.findings, *seen.findings), found.verdict.fine)
    return found._replace(evidence=evidence, verdict=verdict)
