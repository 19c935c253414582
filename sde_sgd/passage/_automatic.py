"""The choice between direct simulation and splitting, by small pilots with random numbers of their own."""

from typing import Any

from ..results import Status, Verdict
from ._direct import BATCH, Direct, found
from ._execution import Execution
from ._method import AbstractMethod, Answer
from ._pilots import is_rare, rarely_ends
from ._question import Effort, Question
from .splitting import Splitting
from .splitting.basins import hardly_entered


class Automatic(AbstractMethod):
    """Splitting where passages are rare, else direct simulation.

    Rare is fewer than one trajectory in 200 and fewer than 20 in all, or a mean time that would take more than some 10⁹
    path-steps, or that hangs on basins beside the way that hardly a trajectory enters, and stays in long. Below 1024
    trajectories there is no choice and no pilot. Where a pilot's trajectories diverge nothing rare is looked for: what
    diverges leaves more open than a rare passage could add.
    Where without a horizon both the target and `avoid` are rare, splitting tells which is first.

    score: of splitting, where that is chosen, by default the one that suits the passage; see `Splitting`.

    Source: this library; a pilot with random numbers of its own chooses, so that the choice biases neither answer.
    """

    score: Any = None

    def __check_init__(self):
        Splitting(self.score)

    def with_score(self, score: Any) -> "Automatic":
        Splitting(self.score).with_score(score)
        return Automatic(score)

    def answer(self, question: Question, run: Execution, effort: Effort) -> Answer:
        if effort.replays:
            return Direct().answer(question, run, effort)
        if (effort.trajectories is None or effort.trajectories >= BATCH) and rarely_ends(question, run):
            return Splitting(self.score).which_first(question, run, effort)
        pilot = is_rare(question, run, effort.trajectories)
        hidden = None
        if not pilot.rare and pilot.stops is not None and question.mean_time:
            hidden = hardly_entered(question, run, effort.trajectories or BATCH)
        if not (pilot.rare or hidden):
            return Direct().answer(question, run, effort)
        if not pilot.diverged:
            return Splitting(self.score).split(question, run, effort, around=hidden)
        if not question.mean_time:
            return Direct().answer(question, run, effort)
        assert pilot.stops is not None
        reason = (
            f"of {len(pilot.stops.code)} trajectories {pilot.diverged} stopped being finite within the {pilot.steps} "
            "steps of a pilot, and so a rare passage was not looked for: what is told is what the pilot saw"
        )
        answer = found(question, pilot.stops, Verdict(), steps=pilot.steps)
        return answer._replace(verdict=Verdict(((Status.UNDECIDED, reason),)))
