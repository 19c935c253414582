"""Proportions of independent trajectories in basins at given times, with Clopper–Pearson intervals."""

from typing import TYPE_CHECKING

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from ..results import Status
from ..statistics import Estimate, proportion_with_undecided
from ._unassigned_minima import ALLOWED, UnassignedMinima

if TYPE_CHECKING:
    import xarray as xr

_SHOWN = 8


class AtTimes(eqx.Module):
    """What was counted at given times.

    times: (n_times,) SDE times of the looks, each a whole number of steps.
    counts: (n_times, K + 1) trajectories in each basin, and last in none of them.
    diverged_at_times: (n_times,) trajectories that are not finite.
    trajectories: how many were run.
    """

    times: Float[np.ndarray, " n_times"]
    counts: Int[np.ndarray, "n_times basins"]
    diverged_at_times: Int[np.ndarray, " n_times"]
    trajectories: int

    @property
    def diverged(self) -> int:
        """Trajectories that are not finite at the last time."""
        return int(self.diverged_at_times[-1])

    def shares(self, confidence: float) -> Estimate:
        """P(in basin i at t), and last in none, (n_times, K + 1)."""
        return proportion_with_undecided(self.counts, self.diverged_at_times[:, None], self.trajectories, confidence)

    def findings(self, names: tuple[str, ...], found: UnassignedMinima) -> list[tuple[Status, str]]:
        """What is to be said against the numbers."""
        findings = []
        if self.diverged:
            findings.append((Status.DIVERGED, f"{self.diverged} of {self.trajectories} trajectories diverged"))
        share = float(np.max(self.counts[:, -1])) / self.trajectories
        if found.shares.size and share > ALLOWED:
            reason = f"up to {share:.1%} belong to none of the minima given; their flow ends at {found}"
            findings.append((Status.INCOMPLETE, reason))
        return findings

    def answers(self, names: tuple[str, ...], shares: Estimate) -> list[tuple[str, str]]:
        """What is printed: a line for each time."""
        rows = []
        for number, time in list(enumerate(self.times))[:_SHOWN]:
            each = [f"{name} {shares[number][place]}" for place, name in enumerate(names)]
            none = [f"none of them {shares[number][-1]}"] if self.counts[number, -1] else []
            rows.append((f"at t = {time:.6g}", ", ".join([*each, *none])))
        if len(self.times) > _SHOWN:
            rows.append(("…", f"{len(self.times) - _SHOWN} more times"))
        return rows

    def add_to(self, data: "xr.Dataset") -> tuple[str, ...]:
        """Add what only this way has to a dataset; the dimensions in front of those of a basin."""
        data.coords["time"] = ("time", self.times, {"units": "SDE time", "long_name": "time"})
        words = {"units": "1", "long_name": "trajectories in the basin"}
        data["count"] = (("time", "basin"), self.counts[:, :-1], words)
        words = {"units": "1", "long_name": "trajectories that are not finite"}
        data["diverged_at_times"] = ("time", self.diverged_at_times, words)
        return ("time",)
