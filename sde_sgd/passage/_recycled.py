"""A mean passage time by the rate at which excursions succeed."""

from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from ..statistics import Estimate
from ._result import AbstractFirstPassage
from ._split_result import SplitFirstPassage


class RecycledFirstPassage(AbstractFirstPassage):
    """A rare first passage without a horizon: its rate, once trajectories have settled, and E τ = 1/rate.

    Settled trajectories make excursions from home until one ends in the target; E τ is the mean time from one to the
    next over the probability of that end (the Hill relation: Hill, Free Energy Transduction in Biology, 1977; Bhatt,
    Zhang and Zuckerman, J. Chem. Phys. 133, 014110, 2010). However long a path rests on the way, it is followed to its
    end, and its time is counted.

    Valid where the passage is rare: E τ is that from the settled law, and what the start makes of it, of the order of
    `settling_time`, is left out. A way to the target along which the score does not grow may be missed unseen.

    excursions: by splitting; its probabilities are per trajectory and `exposure`, the time that one waited for its
        excursions and spent on them.
    settling_time: SDE time after which the law is seen to have forgotten the start.
    """

    excursions: SplitFirstPassage
    settling_time: float
    time_step: float
    within_step: float
    horizon: float
    open_ended: bool
    confidence: float
    seed: int
    method: str
    monitoring: str
    result: str
    path_steps: int
    diverged: int

    @property
    def trajectories(self) -> int:
        return self.excursions.trajectories

    @property
    def repetitions(self) -> int:
        return self.excursions.repetitions

    @property
    def score(self) -> str:
        """What those levels are of; see SplitFirstPassage."""
        return self.excursions.score

    @property
    def levels(self) -> Float[np.ndarray, " m"]:
        """Scores of the levels between the beginning of an excursion and the target."""
        return self.excursions.levels

    @property
    def censored(self) -> int:
        """0: without a horizon nothing is cut off."""
        return 0

    @property
    def probability(self) -> Estimate:
        """1, without a horizon and a set to avoid, as long as the target can be reached: 0 to 1 where it was not."""
        known = float(self.excursions.weights.size > 0)
        return Estimate(known, known, 1.0, self.confidence)

    def survival(self, times: Any) -> Estimate:
        """P(target not reached by each time), exp(−rate·t), as an Estimate of shape (n_times,).

        times: SDE times, at least 0; valid where they are long against `settling_time`.
        """
        times = np.asarray(times, np.float64)
        if not np.all(times >= 0):
            raise ValueError(f"times must be at least 0, got {times}")
        rate = self.exit_rate
        return Estimate(*(np.exp(-each * times) for each in (rate.value, rate.high, rate.low)), self.confidence)

    @property
    def exit_rate(self) -> Estimate:
        """Passages per unit of SDE time."""
        return self.excursions.exit_rate

    @property
    def mean_exit_time(self) -> Estimate:
        """E τ = 1/`exit_rate`; infinite where the target was never reached, with a lower bound."""
        return self.excursions.mean_exit_time

    @property
    def speed_up(self) -> float:
        """Chain steps that direct simulation would need for the same precision, over those that were run."""
        return self.excursions.speed_up

    _attributes: ClassVar[tuple[str, ...]] = ("score",)

    def _details(self):
        return self.excursions._details()
