"""Where trajectories are at given times."""

import equinox as eqx
import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from ..statistics import Estimate, add_estimate, proportion_with_undecided
from ._missed import ALLOWED, Missed


class OccupancyAtTimes(eqx.Module):
    """In which basin independent trajectories are at each of some times.

    times: (n_times,) SDE times of the looks, each a whole number of steps.
    counts: (n_times, K + 1) trajectories in each basin, and last in none of them.
    diverged: (n_times,) trajectories that are not finite.
    missed: where the gradient flow of those in no basin ends, at the last time.
    """

    names: tuple[str, ...]
    times: Float[np.ndarray, " n_times"]
    counts: Int[np.ndarray, "n_times basins"]
    diverged: Int[np.ndarray, " n_times"]
    missed: Missed
    trajectories: int
    time_step: float
    confidence: float
    seed: int

    @property
    def probability(self) -> Estimate:
        """P(in basin i at t), shape (n_times, K).

        Intervals: Clopper–Pearson, each on its own; coverage is at least `confidence`. Diverged trajectories are
        left out of the value and read both ways in the interval.
        """
        return self._proportion(self.counts[:, :-1])

    @property
    def elsewhere(self) -> Estimate:
        """P(in none of the basins at t), shape (n_times,); interval as of `probability`."""
        estimate = self._proportion(self.counts[:, -1:])
        return Estimate(estimate.value[:, 0], estimate.low[:, 0], estimate.high[:, 0], self.confidence)

    @property
    def result(self) -> str:
        """In words: "complete", or what the numbers leave out."""
        share = float(np.max(self.counts[:, -1])) / self.trajectories
        reasons = []
        if self.missed.shares.size and share > ALLOWED:
            reasons.append(f"up to {share:.1%} belong to none of the minima given; their flow ends at {self.missed}")
        if self.diverged[-1]:
            reasons.append(f"{self.diverged[-1]} of {self.trajectories} trajectories diverged")
        return "incomplete: " + "; ".join(reasons) if reasons else "complete"

    def to_dataset(self) -> xr.Dataset:
        """Everything as an xarray Dataset with `units` and `long_name`."""
        time = ("time", self.times, {"units": "SDE time", "long_name": "time"})
        basin = ("basin", list(self.names), {"units": "name", "long_name": "basin"})
        data = xr.Dataset(coords={"time": time, "basin": basin})
        add_estimate(data, "probability", ("time", "basin"), self.probability, "1", "probability to be in the basin")
        add_estimate(data, "elsewhere", ("time",), self.elsewhere, "1", "probability to be in no basin")
        data["count"] = (
            ("time", "basin"),
            self.counts[:, :-1],
            {"units": "1", "long_name": "trajectories in the basin"},
        )
        data["diverged"] = ("time", self.diverged, {"units": "1", "long_name": "trajectories that are not finite"})
        names = ("trajectories", "time_step", "confidence", "seed", "result")
        data.attrs = {name: getattr(self, name) for name in names}
        return data

    def _proportion(self, counts: Int[np.ndarray, "n_times basins"]) -> Estimate:
        return proportion_with_undecided(counts, self.diverged[:, None], self.trajectories, self.confidence)
