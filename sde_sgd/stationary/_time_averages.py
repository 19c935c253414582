"""Time averages over independent trajectories: shares of time in basins, split R-hat, effective sample size."""

from typing import TYPE_CHECKING

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from ..results import Status
from ..statistics import Estimate
from ._intervals import time_average_interval
from ._unassigned_minima import ALLOWED, UnassignedMinima
from ._unvisited import Unvisited

if TYPE_CHECKING:
    import xarray as xr

MOST_R_HAT = 1.01
FEWEST_TRANSITIONS = 5.0
# standard errors between the halves of a run: chance moves them so far once in 1e6 runs
_DRIFT = 5.0
_GROWTH = 1.2


class TimeAverages(eqx.Module):
    """What was counted over a window of two halves.

    visits: (2, n, K + 1) looks at which a trajectory was in each basin, and last in none, in the first and the second
        half of the time after the burn-in; `looks` in each half.
    transitions: (n,) times at which a trajectory was seen in another basin than the one it was last seen in.
    has_diverged: (n,) trajectories that are not finite at the end; they are left out of values.
    distance: (2, n) mean square distance of θ from the start in each half.
    burn_in, horizon, every: SDE times of the window and between looks.
    around: what exploration says that no trajectory has seen.
    changes: what of the chain changes in time, in words; None where nothing does and there may be a stationary law.
    """

    visits: Int[np.ndarray, "2 n basins"]
    transitions: Int[np.ndarray, " n"]
    has_diverged: Bool[np.ndarray, " n"]
    distance: Float[np.ndarray, "2 n"]
    looks: int
    burn_in: float
    horizon: float
    every: float
    around: Unvisited = eqx.field(static=True, default=Unvisited("not explored"))
    changes: str | None = eqx.field(static=True, default=None)

    @property
    def trajectories(self) -> int:
        """How many trajectories were run."""
        return len(self.has_diverged)

    @property
    def diverged(self) -> int:
        """How many trajectories stopped being finite."""
        return int(self.has_diverged.sum())

    def shares(self, confidence: float) -> Estimate:
        """Share of time in each basin, and last in none, (K + 1,)."""
        return time_average_interval(self._kept.sum(axis=0) / (2 * self.looks), self.diverged, confidence)

    @property
    def r_hat(self) -> Float[np.ndarray, " K"]:
        """Split R-hat of the indicator of each basin (Gelman et al. 2013, section 11.4): 1 once each half of each
        trajectory has seen all of the law; 1 too for a basin that is always or never visited, infinite where every
        half lies wholly inside or outside."""
        if self._kept.shape[1] < 2:
            return np.full(self._kept.shape[2] - 1, np.nan)
        halves = self._kept[:, :, :-1].reshape(-1, self._kept.shape[2] - 1) / self.looks
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
            return np.full(self._kept.shape[2] - 1, np.nan)
        shares = self._kept[:, :, :-1].sum(axis=0) / (2 * self.looks)
        mean = shares.mean(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return mean * (1 - mean) / (shares.var(axis=0, ddof=1) / len(shares))

    @property
    def _kept(self) -> Int[np.ndarray, "2 m basins"]:
        return self.visits[:, ~self.has_diverged]

    def findings(self, names: tuple[str, ...], found: UnassignedMinima) -> list[tuple[Status, str]]:
        """What is to be said against taking the shares for those of the stationary law.

        Diverged trajectories; a chain that changes in time; more than 5 % of the time in none of the minima given;
        states still spreading (no stationary law, or not yet); a share that differs between the halves by more than 5
        standard errors (the start is not forgotten); R-hat above 1.01; fewer than 5 transitions per trajectory.
        """
        findings = []
        if self.diverged:
            words = f"{self.diverged} of {self.trajectories} trajectories diverged: the chain may not be confining"
            findings.append((Status.DIVERGED, words))
        if self.changes is not None:
            words = f"the chain has no stationary law, with {self.changes}: these are averages over the window"
            findings.append((Status.NOT_CONVERGED, words))
        if self.trajectories - self.diverged < 2:
            words = "fewer than two trajectories stayed finite, and nothing tells how far such averages spread"
            return [*findings, (Status.NOT_CONVERGED, words)]
        none = float(self._kept[:, :, -1].mean()) / self.looks
        if found.shares.size and none > ALLOWED:
            words = f"{none:.1%} of the time is in none of the minima given; the flow ends at {found}"
            findings.append((Status.INCOMPLETE, words))
        reasons = self._spreading() + self._mixing(names) + ([self.around.missing] if self.around.missing else [])
        return findings + [(Status.NOT_CONVERGED, reason) for reason in reasons]

    def answers(self, names: tuple[str, ...], shares: Estimate) -> list[tuple[str, str]]:
        """What is printed: a line for each basin, and what the verdict rests on."""
        rows = [(name, str(shares[place])) for place, name in enumerate(names)]
        if shares.value[-1] > 0:
            rows.append(("none of them", str(shares[-1])))
        window = f"from t = {self.burn_in:.6g} to {self.horizon:.6g}, a look every {self.every:.6g}"
        fewest = np.min(self.effective_samples)
        return [
            *rows,
            ("window", window),
            ("checks", f"R-hat {np.max(self.r_hat):.4g}, {fewest:.4g} effective samples"),
            ("surroundings", self.around.told),
        ]

    def add_to(self, data: "xr.Dataset") -> tuple[str, ...]:
        """Add what only this way has to a dataset; the dimensions in front of those of a basin."""
        for name, dims, words in (
            ("r_hat", "basin", "split R-hat"),
            ("effective_samples", "basin", "effective sample size"),
            ("transitions", "trajectory", "transitions between basins that were seen"),
        ):
            data[name] = (dims, getattr(self, name), {"units": "1", "long_name": words})
        data.attrs.update({name: getattr(self, name) for name in ("looks", "burn_in", "horizon", "every")})
        return ()

    def _spreading(self) -> list[str]:
        first, second = self.distance[:, ~self.has_diverged]
        change = second - first
        error = change.std(ddof=1) / np.sqrt(len(change))
        if not (second.mean() > _GROWTH * first.mean() and change.mean() > _DRIFT * error):
            return []
        return [
            f"states still spread: their mean square distance from the start grew from {first.mean():.4g} to "
            f"{second.mean():.4g}, so the chain may not be confining, or the burn-in is too short"
        ]

    def _mixing(self, names: tuple[str, ...]) -> list[str]:
        kept = self._kept
        if kept.shape[1] < 2 or np.count_nonzero(kept.sum(axis=(0, 1))) + (len(names) > 1) < 2:
            return []
        found = []
        change = (kept[1] - kept[0])[:, :-1] / self.looks
        error = change.std(axis=0, ddof=1) / np.sqrt(len(change))
        moved = np.flatnonzero(np.abs(change.mean(axis=0)) > _DRIFT * error)
        for basin in moved:
            before, after = kept[:, :, basin].mean(axis=1) / self.looks
            found.append(
                f"the start is not forgotten: the weight of {names[basin]} moves from {before:.4g} to {after:.4g} "
                "between the halves"
            )
        worst = int(np.argmax(self.r_hat))
        if self.r_hat[worst] > MOST_R_HAT:
            found.append(
                f"split R-hat of {names[worst]} is {self.r_hat[worst]:.4g}, above {MOST_R_HAT}: a trajectory does "
                "not see all of the law; a longer horizon does"
            )
        seen = float(self.transitions[~self.has_diverged].mean())
        if seen < FEWEST_TRANSITIONS:
            found.append(f"a trajectory makes {seen:.3g} transitions between basins, fewer than {FEWEST_TRANSITIONS:g}")
        return found
