"""Stationary weights of basins, by time averages over independent trajectories."""

import equinox as eqx
import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from ..statistics import Estimate, add_estimate
from ._missed import ALLOWED, Missed
from ._spread import between

MOST_R_HAT = 1.01
FEWEST_TRANSITIONS = 5.0
# standard errors between the halves of a run: chance moves them so far once in 1e6 runs
_DRIFT = 5.0
_GROWTH = 1.2


class StationaryWeights(eqx.Module):
    """How much of the time after the burn-in independent trajectories spend in each basin.

    visits: (2, n, K + 1) looks at which a trajectory was in each basin, and last in none, in the first and the second
        half of the time after the burn-in; `looks` in each half.
    transitions: (n,) times at which a trajectory was seen in another basin than the one it was last seen in.
    lost: (n,) trajectories that diverged, not finite at the end; they are left out of values.
    distance: (2, n) mean square distance from the start in each half.
    missed: where the gradient flow of those in no basin ends, at the horizon.
    """

    names: tuple[str, ...]
    visits: Int[np.ndarray, "2 n basins"]
    transitions: Int[np.ndarray, " n"]
    lost: Bool[np.ndarray, " n"]
    distance: Float[np.ndarray, "2 n"]
    missed: Missed
    looks: int
    burn_in: float
    horizon: float
    every: float
    time_step: float
    confidence: float
    seed: int

    @property
    def trajectories(self) -> int:
        """How many trajectories were run."""
        return len(self.lost)

    @property
    def diverged(self) -> int:
        """How many trajectories stopped being finite."""
        return int(self.lost.sum())

    @property
    def weight(self) -> Estimate:
        """Share of time in each basin, shape (K,).

        Interval: from the spread between trajectories, which are independent, on the logit scale (Student's t with
        n − 1 degrees of freedom), so right however long each is correlated. Where no trajectory entered a basin the
        bound is that of the probability to enter it, which is larger than the weight. Diverged trajectories are left
        out of the value and read both ways in the interval.
        Valid for the stationary law where `result` is "converged", else for the law averaged over the window.
        """
        estimate = self._shares()
        return Estimate(estimate.value[:-1], estimate.low[:-1], estimate.high[:-1], self.confidence)

    @property
    def elsewhere(self) -> Estimate:
        """Share of time in none of the basins; interval as of `weight`."""
        estimate = self._shares()
        return Estimate(estimate.value[-1], estimate.low[-1], estimate.high[-1], self.confidence)

    @property
    def r_hat(self) -> Float[np.ndarray, " K"]:
        """Split R-hat of the indicator of each basin (Gelman et al. 2013, section 11.4): 1 once each half of each
        trajectory has seen all of the law; 1 too for a basin that is always or never visited, infinite where every
        half lies wholly inside or outside."""
        if self._kept.shape[1] < 2:
            return np.full(len(self.names), np.nan)
        halves = self._kept[:, :, :-1].reshape(-1, len(self.names)) / self.looks
        within = np.mean(halves * (1 - halves), axis=0) * self.looks / (self.looks - 1)
        among = halves.var(axis=0, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.sqrt((self.looks - 1) / self.looks + among / within)
        return np.where(among == 0, np.minimum(np.nan_to_num(ratio, nan=1.0), 1.0), ratio)

    @property
    def effective_samples(self) -> Float[np.ndarray, " K"]:
        """Independent states worth as much as all looks at all trajectories, p(1 − p)/Var p̂ for each basin.

        From the spread between trajectories, so also right where each has seen only a part. NaN for a basin that is
        always or never visited.
        """
        if self._kept.shape[1] < 2:
            return np.full(len(self.names), np.nan)
        shares = self._kept[:, :, :-1].sum(axis=0) / (2 * self.looks)
        mean = shares.mean(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return mean * (1 - mean) / (shares.var(axis=0, ddof=1) / len(shares))

    @property
    def result(self) -> str:
        """ "converged", or "not converged: because …" with every reason found.

        Reasons: diverged trajectories; more than 5 % of the time in none of the minima given; states still spreading
        (no stationary law, or not yet); a weight that differs between the halves by more than 5 standard errors (the
        start is not forgotten); R-hat above 1.01; fewer than 5 transitions per trajectory.
        """
        reasons = [*self._bad_law(), *self._bad_mixing()]
        return "not converged: because " + "; ".join(reasons) if reasons else "converged"

    def to_dataset(self) -> xr.Dataset:
        """Everything as an xarray Dataset with `units` and `long_name`."""
        basin = ("basin", list(self.names), {"units": "name", "long_name": "basin"})
        data = xr.Dataset(coords={"basin": basin})
        add_estimate(data, "weight", ("basin",), self.weight, "1", "share of time in the basin")
        add_estimate(data, "elsewhere", (), self.elsewhere, "1", "share of time in no basin")
        data["r_hat"] = ("basin", self.r_hat, {"units": "1", "long_name": "split R-hat"})
        data["effective_samples"] = (
            "basin",
            self.effective_samples,
            {"units": "1", "long_name": "effective sample size"},
        )
        data["transitions"] = (
            "trajectory",
            self.transitions,
            {"units": "1", "long_name": "transitions between basins that were seen"},
        )
        names = ("trajectories", "diverged", "looks", "burn_in", "horizon", "every", "time_step", "confidence", "seed")
        data.attrs = {name: getattr(self, name) for name in (*names, "result")}
        return data

    @property
    def _kept(self) -> Int[np.ndarray, "2 m basins"]:
        return self.visits[:, ~self.lost]

    def _shares(self) -> Estimate:
        return between(self._kept.sum(axis=0) / (2 * self.looks), self.diverged, self.confidence)

    def _bad_law(self) -> list[str]:
        found = []
        if self.diverged:
            found.append(
                f"{self.diverged} of {self.trajectories} trajectories diverged: the chain may not be confining"
            )
        if self.trajectories - self.diverged < 2:
            return found
        elsewhere = float(self.elsewhere.value)
        if self.missed.shares.size and elsewhere > ALLOWED:
            found.append(f"{elsewhere:.1%} of the time is in none of the minima given; the flow ends at {self.missed}")
        first, second = self.distance[:, ~self.lost]
        change = second - first
        spread = change.std(ddof=1) / np.sqrt(len(change))
        if second.mean() > _GROWTH * first.mean() and change.mean() > _DRIFT * spread:
            found.append(
                f"states still spread: their mean square distance from the start grew from {first.mean():.4g} to "
                f"{second.mean():.4g}, so the chain may not be confining, or the burn-in is too short"
            )
        return found

    def _bad_mixing(self) -> list[str]:
        kept = self._kept
        if kept.shape[1] < 2 or np.count_nonzero(kept.sum(axis=(0, 1))) + (len(self.names) > 1) < 2:
            return []
        found = []
        change = (kept[1] - kept[0])[:, :-1] / self.looks
        error = change.std(axis=0, ddof=1) / np.sqrt(len(change))
        moved = np.flatnonzero(np.abs(change.mean(axis=0)) > _DRIFT * error)
        for basin in moved:
            before, after = kept[:, :, basin].mean(axis=1) / self.looks
            found.append(
                f"the start is not forgotten: the weight of {self.names[basin]} moves from {before:.4g} to {after:.4g} "
                "between the halves"
            )
        worst = int(np.argmax(self.r_hat))
        if self.r_hat[worst] > MOST_R_HAT:
            found.append(
                f"split R-hat of {self.names[worst]} is {self.r_hat[worst]:.4g}, above {MOST_R_HAT}: a trajectory does "
                "not see all of the law; a longer horizon does"
            )
        seen = float(self.transitions[~self.lost].mean())
        if seen < FEWEST_TRANSITIONS:
            found.append(f"a trajectory makes {seen:.3g} transitions between basins, fewer than {FEWEST_TRANSITIONS:g}")
        return found
