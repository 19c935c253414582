"""A rare passage over several slow basins: the jump process between them and the sets, from measured rates."""

from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from ...._errors import numbers
from ...._jumps import delta_method, from_log_odds, log_odds, times_before, transition_matrix, unseen
from ....regions import AbstractRegion
from ....statistics import Estimate, add_estimate, normal_width
from ..._evidence import AbstractEvidence, reciprocal
from ..._question import Watch


class JumpProcessSample(AbstractEvidence):
    """A rare first passage without a horizon, where other basins that are slow to leave lie on the way.

    Between basins, and into the target or `avoid`, trajectories jump at rates that are measured one by one: each is
    that of settled trajectories of a basin that reach the core of another one, or the set, before any other core (the
    Hill relation, see SteadyStateSample). E τ is the jump process's mean time to the target from the basin, or basins,
    that the start leads to, and with `avoid` P its chance to come to the target first; intervals carry the errors of
    all rates by the delta method on their logarithms.

    Valid where each basin is left slowly against the motion inside it.

    locations: (K, dim) of the lowest minimum of each basin, the start's first. cores: the sets around them whose
        entrance completes a jump.
    rates: (L, L) per SDE time, entry (i, j) from i to j; of the L states the first K are the basins, then comes the
        target, and `avoid` last where there is one; 0 in [0, 0] where there is no way.
    settled_by: SDE time after which the law in each basin has forgotten where it began. checked: SDE time up to which
        each was watched for a later change. told: what was explored around the way, in words.
    n_trajectories: over all rates. n_diverged: how many of them stopped being finite.
    first: (L,) of how many trajectories from the start each basin's core, or set, was the first one.
    """

    found_by: ClassVar[str] = "splitting of a mean time over several slow basins (method='splitting' without horizon)"
    watch: Watch
    locations: Float[np.ndarray, "K dim"]
    cores: tuple[AbstractRegion, ...]
    rates: Estimate
    first: Int[np.ndarray, " L"]
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
        return bool(np.any(self.rates.value[:, self._target] > 0))

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
        """1, as long as the target can be reached, 0 to 1 where it was not; with `avoid`, P(target reached before)."""
        if not self.watch.avoids:
            known = float(self.reached_target)
            return Estimate(known, 0.0 if self.diverged else known, 1.0, self.watch.confidence)

        def odds(rates: np.ndarray) -> np.ndarray:
            return np.asarray(np.subtract(*np.log(self._first_shares @ self._ends(rates))))

        target, avoid = self._ends(self._known).T
        influence = target / (self._first_shares @ target) / (self._first_shares @ avoid)
        return delta_method(self.rates, odds, from_log_odds, (0.0, 1.0), self._by_the_first(influence))

    @property
    def mean_exit_time(self) -> Estimate:
        """E τ; with `avoid`, the reciprocal of `exit_rate`."""
        return reciprocal(self.exit_rate) if self.watch.avoids else self.mean_end_time

    @property
    def mean_end_time(self) -> Estimate:
        """Mean SDE time until the target, or `avoid`, is reached."""

        def log_time(rates: np.ndarray) -> np.ndarray:
            return np.asarray(np.log(self._first_shares @ self._times(rates)))

        times = self._times(self._known)
        influence = times / (self._first_shares @ times)
        return delta_method(self.rates, log_time, np.exp, (0.0, np.inf), self._by_the_first(influence))

    @property
    def exit_rate(self) -> Estimate:
        """1/`mean_exit_time`; with `avoid`, P(target reached before) over the mean time until either is reached."""
        if not self.watch.avoids:
            return reciprocal(self.mean_end_time)

        def log_rate(rates: np.ndarray) -> np.ndarray:
            reached, spent = self._first_shares @ self._ends(rates)[:, 0], self._first_shares @ self._times(rates)
            return np.asarray(np.log(reached) - np.log(spent))

        target, times = self._ends(self._known)[:, 0], self._times(self._known)
        influence = target / (self._first_shares @ target) - times / (self._first_shares @ times)
        return delta_method(self.rates, log_rate, np.exp, (0.0, np.inf), self._by_the_first(influence))

    @property
    def time_shares(self) -> Estimate:
        """Share of the time until the end that is spent in each basin, (K,); on the scale of log-odds."""

        def odds(rates: np.ndarray) -> np.ndarray:
            spent = self._first_shares[: self._target] @ self._times_in(rates)
            return log_odds(spent / spent.sum())

        return delta_method(self.rates, odds, from_log_odds, (0.0, 1.0))

    def survival(self, times: Any) -> Estimate:
        """P(target not reached by each time), of the jump process: valid long after `settling_time`."""
        times = numbers("times", times)
        if not np.all(times >= 0):
            raise ValueError(f"times must be at least 0, got {times}")

        def odds(rates: np.ndarray) -> np.ndarray:
            laws = np.array([self._first_shares @ transition_matrix(rates, time) for time in times.ravel()])
            others = np.delete(laws, self._target, axis=1).sum(axis=1)
            with np.errstate(divide="ignore"):
                return (np.log(others) - np.log(laws[:, self._target])).reshape(times.shape)

        return delta_method(self.rates, odds, from_log_odds, (0.0, 1.0))

    @property
    def _target(self) -> int:
        """The number of the state that is the target."""
        return len(self.locations)

    @property
    def _first_shares(self) -> Float[np.ndarray, " L"]:
        return self.first / self.first.sum()

    @property
    def _known(self) -> Float[np.ndarray, "L L"]:
        """The rates, or where only a bound is known that."""
        return np.where(unseen(self.rates), self.rates.high, self.rates.value)

    def _times_in(self, rates: Float[np.ndarray, "L L"]) -> Float[np.ndarray, "K K"]:
        """Mean time in each basin, from each of them, before it ends."""
        return times_before(rates, np.arange(self._target, len(rates)), np.arange(self._target))

    def _times(self, rates: Float[np.ndarray, "L L"]) -> Float[np.ndarray, " L"]:
        """Mean time before it ends, from each state."""
        return np.append(self._times_in(rates).sum(axis=1), np.zeros(len(rates) - self._target))

    def _ends(self, rates: Float[np.ndarray, "L L"]) -> Float[np.ndarray, "L E"]:
        """P(it ends in each set), from each state: sums of positive numbers."""
        into = rates[: self._target, self._target :]
        return np.concatenate([self._times_in(rates) @ into, np.eye(into.shape[1])])

    def _by_the_first(self, influence: Float[np.ndarray, " L"]) -> float:
        """Half-width that comes of how few trajectories told where they lead first.

        influence: how much a change of each state's share moves the answer, on the scale of its interval.
        """
        variance = self._first_shares @ (influence - self._first_shares @ influence) ** 2 / self.first.sum()
        return float(np.sqrt(variance) * normal_width(self.watch.confidence))

    def details(self):
        import xarray as xr

        parts = xr.Dataset()
        add_estimate(parts, "time_share", ("basin",), self.time_shares, "1", "share of the time spent in each basin")
        words = "rate of jumps; after the basins the target, and the set to avoid"
        add_estimate(parts, "jump_rate", ("from", "to"), self.rates, "1 / SDE time", words)
        told = {name: (part.dims, part.values, *part.attrs.values()) for name, part in parts.items()}
        return {"basin": (("basin", "component"), self.locations, "θ", "lowest minimum of each slow basin")} | told

    def attributes(self):
        return {"settling_time": self.settling_time, "surroundings": self.told}
