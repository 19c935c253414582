"""Splitting as a method, and the rate of settled trajectories as one: options, and what is said of a spent budget."""

from typing import Any

import equinox as eqx

from ..._errors import positive_integer
from ...chains import refuse_if_changing
from ...results import Status, Verdict
from .._direct import Direct, found
from .._execution import BudgetSpent, Execution
from .._method import AbstractMethod, Answer
from .._pilots import AFFORDABLE, rarely_ends
from .._question import Effort, Question
from ._asking import Asking
from ._choice import chosen_for, is_auto, is_level
from ._equilibration import NotRare
from ._run import split, split_until
from ._score import Score, score_of
from ._two_sets import which_first
from .basins import Surroundings, mean_time


class Splitting(AbstractMethod):
    """Multilevel splitting with a fixed effort at each level: for passages however rare.

    Trajectories that have come past a level of the score go on from there in many copies, with the weight shared among
    them. `trajectories=` start in all, in independent repetitions; with `rtol=` there are as many repetitions as it
    takes. Where steps are coarse it takes them in substeps. With neither horizon nor `avoid` it answers for the mean
    time, by the rate at which excursions from where settled trajectories usually are reach the target; `rtol` is then
    that of the rate, and `max_steps` the budget of an excursion; where nearly all arrive before the law has settled
    they are followed directly. With `avoid` and no horizon trajectories are followed to their end; where a pilot sees
    that both sets are rare from the start, the rate at which settled trajectories reach each of them tells which is
    first (`SettledRate`, and a TwoSetsSample as evidence).

    score: a number that grows on the way to the target. By default, or with "auto", it is what `scores.choose` finds:
        the committor on a grid in one and two dimensions, all ways over saddles beyond; by default too, on the line and
        where nothing better is had, the target's level function, negated, which is "level". Or a function of θ, or of
        θ and t. Any score gives the right answer on average, a good one gives it soon, and a way along which it does
        not grow may go unseen. So a chosen score is held against the level function, and "level" against the score that
        would be chosen, by further repetitions, a quarter as many, with random numbers of their own: where they find
        significantly more the status is `disagreeing` (`score_check` of the result). A function of one's own is not
        held against any. Towards the set to avoid its own level function serves, or without a score of one's own one
        that is chosen too.
    repetitions: how many share `trajectories`, 32 by default; with `rtol=` there are as many as it takes.

    Raises ValueError for repetitions below 2, and where it cannot answer: trajectory_ids, a score that is given twice.
    Source: Cérou, Del Moral, Furon and Guyader, Statistics and Computing 22, 795 (2012), for the levels as quantiles;
    unbiased, because they are fixed by a run of their own.
    """

    score: Any = None
    repetitions: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_kind(self.score)
        if self.repetitions is not None:
            positive_integer("repetitions", self.repetitions)

    def with_score(self, score: Any) -> "Splitting":
        if self.score is not None:
            raise ValueError("score must be given once, to the call or to its method, got it twice")
        return Splitting(score, self.repetitions)

    def answer(self, question: Question, run: Execution, effort: Effort) -> Answer:
        if effort.replays:
            raise ValueError(
                "method='splitting' has no single trajectories to replay, got trajectory_ids; use 'direct'"
            )
        if rarely_ends(question, run):
            return self.which_first(question, run, effort)
        return self.split(question, run, effort)

    def split(
        self,
        question: Question,
        run: Execution,
        effort: Effort,
        settled: bool = False,
        around: Surroundings | None = None,
    ) -> Answer:
        """The answer by splitting, whatever pilots may say of it; question, run, effort: as in `answer`.

        settled: ask for the rate of trajectories that have settled, as a mean time does anyhow.
        around: what lies around the way of a mean time, where that is known already.
        """
        asking = Asking(effort.rtol, len(effort.ids), self.repetitions)

        try:
            if question.mean_time and not settled:
                return mean_time(question, run, asking, self._part, self.score, around)
            return self._split(question, run, asking, settled)
        except BudgetSpent:
            return _too_few(question, run)
        except NotRare:
            return Direct().answer(question, run, effort)

    def which_first(self, question: Question, run: Execution, effort: Effort) -> Answer:
        """Which of two sets is reached first that are both rare; question, run, effort: as in `answer`."""
        refuse_if_changing(question.chain, "two rare sets without a horizon")

        scores = (self.score, self.score if is_auto(self.score) else "level")
        try:
            return which_first(
                question, run, Asking(effort.rtol, len(effort.ids), self.repetitions), self._part, scores
            )
        except BudgetSpent:
            return _too_few(question, run)

    def _part(self, question: Question, run: Execution, asking: Asking, score: Any, settled: bool = True) -> Answer:
        """The answer by splitting to a part of the question, with a score of its own."""
        return Splitting(score)._split(question, run, asking, settled)

    def _split(self, question: Question, run: Execution, asking: Asking, settled: bool) -> Answer:
        chosen = chosen_for(question, self.score, settled)
        if asking.rtol is None:
            return split(question, run, chosen, asking.trajectories, asking.repetitions, settled)
        return split_until(question, run, chosen, asking.rtol, settled)

    def score_for(self, question: Question, settled: bool = False) -> Score:
        """The score as a function of the states of a question's chain. settled: of those that have settled."""
        return chosen_for(question, self.score, settled).score


class SettledRate(AbstractMethod):
    """The rate at which trajectories reach the target that have settled and have reached neither set, by splitting.

    For questions without horizon: excursions from where settled trajectories usually are end in the target, in `avoid`,
    or at home, and the rate is the flux of the first over the time at risk (`exit_rate` of the result, and
    `mean_exit_time` its reciprocal, without `avoid` with what comes before the first excursion; the evidence is a
    SteadyStateSample). `rtol` is that of the rate. It is what a mean time by splitting is made of; with `avoid` it is
    the rate of one way out among several.

    score, repetitions: as of `Splitting`.
    Valid where both sets are rare from settled trajectories. Raises ValueError with a horizon or trajectory_ids.
    Source: as of `SteadyStateSample`.
    """

    score: Any = None
    repetitions: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        Splitting(self.score, self.repetitions)

    def with_score(self, score: Any) -> "SettledRate":
        return SettledRate(Splitting(self.score).with_score(score).score, self.repetitions)

    def answer(self, question: Question, run: Execution, effort: Effort) -> Answer:
        if not question.open_ended:
            raise ValueError(f"horizon must be None for a rate of settled trajectories, got {question.horizon}")
        refuse_if_changing(question.chain, "rates")
        if effort.replays:
            raise ValueError("a rate has no single trajectories to replay, got trajectory_ids; use method='direct'")
        return Splitting(self.score, self.repetitions).split(question, run, effort, settled=True)


def check_kind(score: Any) -> None:
    """ValueError where it is neither None, a function, "level" nor "auto"."""
    if not (callable(score) or is_auto(score) or is_level(score)):
        raise ValueError(f"score must be a function of θ, or of θ and t, 'level' or 'auto', got {score!r}")


def check_score(question: Question, score: Any) -> None:
    """ValueError where it is no score of this question."""
    if not (is_auto(score) or is_level(score)):
        score_of(question.chain, question.target, score)


def _too_few(question: Question, run: Execution) -> Answer:
    """What direct simulation of the trajectories that are left sees."""
    left = int(run.ledger.left)
    steps = min(run.steps, AFFORDABLE // max(left, 1) + 1) if question.open_ended else run.steps
    stops = run._replace(steps=steps).run(range(left))
    reason = (
        f"max_trajectories = {run.ledger.limit} does not suffice for splitting, which had taken "
        f"{run.ledger.trajectories - left} to choose its levels; the other {left} were simulated directly"
    )
    return found(question, stops, Verdict(((Status.BUDGET_SPENT, reason),)), steps=steps)
