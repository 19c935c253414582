"""The mean time of a rare passage: that of a settled law, or where slow basins lie on the way, of the jumps between."""

import dataclasses
from typing import Any

from ....results import Status, Verdict
from ..._execution import Execution
from ..._method import Answer
from ..._question import Question
from .._asking import Asking
from .._steady_state import SteadyStateSample
from ._network import Part
from ._over_slow_basins import over_slow_basins
from ._surroundings import Surroundings


def mean_time(
    question: Question, run: Execution, asking: Asking, part: Part, score: Any, around: Surroundings | None
) -> Answer:
    """The mean time of a rare passage; score: of splitting towards the target. around: as of `over_slow_basins`.

    What lies around the way is explored first. Where no other basin is slow to leave, the law settles and the rate of
    those that have settled is the answer; else the jumps between the slow ones are measured one by one.
    """
    seen = over_slow_basins(question, run, asking, part, (score,), around)
    if seen.answer is not None:
        return seen.answer
    found = part(question, run, asking, score)
    if not isinstance(found.evidence, SteadyStateSample):
        return found
    evidence = dataclasses.replace(found.evidence, told=seen.told)
    findings = [*found.verdict.findings, *seen.findings, *_not_seen_to_settle(seen.exchange, evidence)]
    width = float(evidence.mean_exit_time.relative_half_width)
    if asking.rtol is not None and width > asking.rtol and evidence.came_home < evidence.walkers and not findings:
        words = f"what arrived before it was at home leaves {width:.3g} and not rtol = {asking.rtol}"
        findings.append((Status.BUDGET_SPENT, words))
    return found._replace(evidence=evidence, verdict=Verdict(tuple(findings), found.verdict.fine))


def _not_seen_to_settle(exchange: float, evidence: SteadyStateSample) -> list[tuple[Status, str]]:
    """What is to be said where minima count as one basin that exchange trajectories too slowly for that to be seen."""
    if exchange <= evidence.checked:
        return []
    words = (
        f"minima that count as one basin, since there are no rates between them, exchange trajectories within "
        f"{exchange:.3g}, and the law was watched for {evidence.checked:.3g}; give a horizon, or a smaller target"
    )
    return [(Status.NOT_SETTLED, words)]
