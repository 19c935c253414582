"""A mean passage time over several slow basins: the jump process between them and the target, from measured rates."""

from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from ...._jumps import delta_method, from_log_odds, log_odds, times_before, transition_matrix, unseen
from ....regions import AbstractRegion
from ....statistics import Estimate
from ..._evidence import AbstractEvidence, reciprocal
from ..._question import Watch


class JumpProcessSample(AbstractEvidence):
    """A rare first passage without a horizon, where other basins that are slow to leave lie on the way.

    Between basins, and into the target, trajectories jump at rates that are measured one by one: each is that of
    settled trajectories of a basin that reach the core of another one, or the target, before any other core (the Hill
    relation, see SteadyStateSample). E τ is the jump process's mean time to the target from the basin, or basins, that
    the start leads to; its interval carries the errors of all rates by the delta method on their logarithms.

    Valid where each basin is left slowly against the motion inside it.

    locations: (K, dim) of the lowest minimum of each basin, the start's first. cores: the sets around them whose
        entrance completes a jump.
    rates: (K + 1, K + 1) per SDE time, entry (i, j) from i to j, the target last; 0 in [0, 0] where there is no way.
    settled_by: SDE time after which the law in each basin has forgotten where it began. checked: SDE time up to which
        each was watched for a later change. told: what was explored around the way, in words.
    n_trajectories: over all rates. n_diverged: how many of them stopped being finite.
    first: (K + 1,) of how many trajectories from the start each basin's core, or last the target, was the first one.
    """

    found_by: ClassVar[str] = "splitting of a mean time over several slow basins (method='splitting' without horizon)"
    watch: Watch
    locations: Float[np.ndarray, "K dim"]
    cores: tuple[AbstractRegion, ...]
    rates: Estimate
    first: Int[np.ndarray, " K_and_target"]
    settled_by: float
    checked: float
    told: str
    n_trajectories: int
    n_diverged: int

    @property
    def trajectories(self) -> int:
        return self.n_trajectories

    @property
    def diverged(self) -> int:
        return self.n_diverged

    @property
    def censored(self) -> int:
        """0: without a horizon nothing is cut off."""
        return 0

    @property
    def reached_target(self) -> bool:
        return bool(np.any(self.rates.value[:, -1] > 0))

    @property
    def settling_time(self) -> float:
        return self.settled_by

    @property
    def checked_until(self) -> float:
        return self.checked

    @property
    def surroundings(self) -> str:
        return self.told

    @property
    def probability(self) -> Estimate:
        """1, as long as the target can be reached; 0 to 1 where it was not."""
        known = float(self.reached_target)
        return Estimate(known, 0.0 if self.diverged else known, 1.0, self.watch.confidence)

    @property
    def mean_exit_time(self) -> Estimate:
        def log_time(rates: np.ndarray) -> np.ndarray:
            return np.asarray(np.log(self._law @ _times(rates).sum(axis=1)))

        found = delta_method(self.rates, log_time, np.exp, (0.0, np.inf))
        return self._with_the_first(found)

    @property
    def exit_rate(self) -> Estimate:
        """1/`mean_exit_time`."""
        return reciprocal(self.mean_exit_time)

    @property
    def time_shares(self) -> Estimate:
        """Share of the time until the target is reached that is spent in each basin, (K,); on the scale of log-odds."""

        def odds(rates: np.ndarray) -> np.ndarray:
            spent = self._law @ _times(rates)
            return log_odds(spent / spent.sum())

        return delta_method(self.rates, odds, from_log_odds, (0.0, 1.0))

    def survival(self, times: Any) -> Estimate:
        """P(target not reached by each time), of the jump process: valid long after `settling_time`."""
        times = np.asarray(times, np.float64)
        if not np.all(times >= 0):
            raise ValueError(f"times must be at least 0, got {times}")

        def odds(rates: np.ndarray) -> np.ndarray:
            laws = np.array([self._first_shares @ transition_matrix(rates, time) for time in times.ravel()])
            with np.errstate(divide="ignore"):
                return (np.log(laws[:, :-1].sum(axis=1)) - np.log(laws[:, -1])).reshape(times.shape)

        return delta_method(self.rates, odds, from_log_odds, (0.0, 1.0))

    @property
    def _first_shares(self) -> Float[np.ndarray, " K_and_target"]:
        return self.first / self.first.sum()

    @property
    def _law(self) -> Float[np.ndarray, " K"]:
        return self._first_shares[:-1]

    def _with_the_first(self, found: Estimate) -> Estimate:
        """The interval with what is not known of where trajectories come first, in quadrature on the log scale."""
        if np.any(unseen(self.rates)) or np.count_nonzero(self.first) == 1:
            return found
        times = np.append(_times(self.rates.value).sum(axis=1), 0.0)
        mean = self._first_shares @ times
        spread = np.sqrt((self._first_shares @ times**2 - mean**2) / self.first.sum()) / mean
        further = spread * stats.norm.isf((1 - self.watch.confidence) / 2)
        low = np.hypot(np.log(found.value / found.low), further)
        high = np.hypot(np.log(found.high / found.value), further)
        return Estimate(found.value, found.value * np.exp(-low), found.value * np.exp(high), found.confidence)

    def details(self):
        return {
            "basin": (("basin", "component"), self.locations, "θ", "lowest minimum of each slow basin"),
            "jump_rate": (("from", "to"), self.rates.value, "1 / SDE time", "rate of jumps, the target last"),
            "time_share": (("basin",), self.time_shares.value, "1", "share of the time spent in each basin"),
        }

    def attributes(self):
        return {"settling_time": self.settling_time, "surroundings": self.told}


def _times(rates: Float[np.ndarray, "L L"]) -> Float[np.ndarray, "K K"]:
    """Mean time in each basin, from each of them, before the target, the last state, is reached."""
    last = len(rates) - 1
    return times_before(rates, last, np.arange(last))
