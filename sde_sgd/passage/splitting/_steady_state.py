"""A mean passage time by the rate at which excursions from the settled law succeed (the Hill relation)."""

from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from ..._errors import numbers
from ...statistics import Estimate, clopper_pearson
from .._evidence import AbstractEvidence, reciprocal
from .._question import Watch
from ._sample import SplittingSample

# of a mean time, what comes before the first excursion and does not count
_LEFT_OUT = 1e-3


class SteadyStateSample(AbstractEvidence):
    """A rare first passage without a horizon: its rate, once trajectories have settled, and E τ = 1/rate.

    Settled trajectories make excursions from home until one ends in the target; E τ is the mean time from one to the
    next over the probability of that end (the Hill relation: Hill, Free Energy Transduction in Biology, 1977; Bhatt,
    Zhang and Zuckerman, J. Chem. Phys. 133, 014110, 2010). However long a path rests on the way, it is followed to its
    end, and its time is counted.

    Valid where the passage is rare. What the start makes of E τ is taken from trajectories that were followed until
    they were at home, at time s: E τ = E[τ ∧ s] + P(s < τ)/rate; it is left out where it is less than a thousandth. A
    way to the target along which the score does not grow may be missed unseen.

    excursions: by splitting; its probabilities are per trajectory and `exposure`, the time that one waited for its
        excursions and spent on them.
    early: SDE time of a trajectory from the start until it is at home, or has come to an end, on average; and
        `came_home` of so many `walkers` came there.
    settled_by: SDE time after which the law is seen to have forgotten the start. checked: SDE time up to which
        trajectories were watched for a later change of it, into a basin that is slow to be found. told: what was
        explored around the way, in words; empty where that was not asked for.
    """

    found_by: ClassVar[str] = "splitting of a mean time (method='splitting' without horizon)"
    watch: Watch
    excursions: SplittingSample
    settled_by: float
    checked: float
    early: float
    came_home: int
    walkers: int
    told: str = ""

    @property
    def trajectories(self) -> int:
        return self.excursions.trajectories

    @property
    def diverged(self) -> int:
        return self.excursions.diverged

    @property
    def reached_target(self) -> bool:
        return self.excursions.reached_target

    @property
    def repetitions(self) -> int:
        """How many independent repetitions there were."""
        return self.excursions.repetitions

    @property
    def score(self) -> str:
        """What the levels are of; see SplittingSample."""
        return self.excursions.score

    @property
    def score_reason(self) -> str:
        """Why it is that score, in words."""
        return self.excursions.score_reason

    @property
    def score_check(self) -> str:
        """What repetitions by another score find beside it, in words, or ""."""
        return self.excursions.score_check

    @property
    def levels(self) -> Float[np.ndarray, " m"]:
        """Scores of the levels between the beginning of an excursion and the target."""
        return self.excursions.levels

    @property
    def speed_up(self) -> float:
        """Chain steps that direct simulation would need for the same precision, over those that were run."""
        return self.excursions.speed_up

    @property
    def settling_time(self) -> float:
        return self.settled_by

    @property
    def checked_until(self) -> float:
        return self.checked

    @property
    def surroundings(self) -> str | None:
        return self.told or None

    @property
    def censored(self) -> int:
        """0: without a horizon nothing is cut off."""
        return 0

    @property
    def probability(self) -> Estimate:
        """1, without a horizon and a set to avoid, as long as the target can be reached: 0 to 1 where it was not.

        With `avoid` it is not known from this rate alone: NaN, in [0, 1]. Those that diverge may never reach it: the
        lower bound is then the chance to arrive before that.
        """
        if self.watch.avoids:
            return Estimate(np.nan, 0.0, 1.0, self.watch.confidence)
        known = float(self.reached_target)
        low = known
        if known and self.diverged:
            seen = self.excursions
            columns = np.stack([seen.level_probability[:, -1], seen.diverging], axis=1)
            low = float(seen._ratio(columns, lambda mean: mean[..., 0] / (mean[..., 0] + mean[..., 1])).low)
        return Estimate(known, low, 1.0, self.watch.confidence)

    def survival(self, times: Any) -> Estimate:
        """exp(−rate·t), valid at SDE times that are long against `settling_time`; ValueError for times below 0.

        With `avoid` some end there, and that is its lower bound alone.
        """
        times = numbers("times", times)
        if not np.all(times >= 0):
            raise ValueError(f"times must be at least 0, got {times}")
        rate = self.exit_rate
        value, low, high = (np.exp(-bound * times) for bound in (rate.value, rate.high, rate.low))
        if self.watch.avoids:
            value, high = np.full(times.shape, np.nan), np.ones(times.shape)
        return Estimate(value, low, high, self.watch.confidence)

    @property
    def exit_rate(self) -> Estimate:
        """Passages per unit of SDE time at risk: of those that have settled and reached neither set."""
        return self.excursions.exit_rate

    @property
    def mean_exit_time(self) -> Estimate:
        """Infinite where the target was never reached, with a lower bound."""
        settled, arrived = reciprocal(self.exit_rate), self.walkers - self.came_home
        if self.watch.avoids or (not arrived and self.early <= _LEFT_OUT * settled.value):
            return settled
        later = settled
        if arrived:
            later = _product(clopper_pearson(self.came_home, self.walkers, self.watch.confidence), settled)
        return Estimate(*(self.early + getattr(later, end) for end in ("value", "low", "high")), later.confidence)

    def details(self):
        return self.excursions.details()

    def attributes(self):
        return self.excursions.attributes()

    def remarks(self):
        return self.excursions.remarks()


def _product(one: Estimate, other: Estimate) -> Estimate:
    """Of two that are independent: half-widths of the logarithms are added in quadrature where both have values."""
    value = one.value * other.value
    if not (0 < value < np.inf):
        return Estimate(value, one.low * other.low, one.high * other.high, other.confidence)
    with np.errstate(divide="ignore"):
        low, high = (
            np.exp(np.hypot(*(np.log(getattr(each, end) / each.value) for each in (one, other))))
            for end in ("low", "high")
        )
    return Estimate(value, value / low, value * high, other.confidence)
