"""Occupancy of basins: probabilities at given times, or shares of time; one result for both."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from ..results import AbstractResult, Provenance, Status, Verdict
from ..statistics import Estimate, add_estimate
from ._at_times import AtTimes
from ._time_averages import TimeAverages
from ._unassigned_minima import UnassignedMinima

if TYPE_CHECKING:
    import xarray as xr


class Occupancy(AbstractResult):
    """Probability to be in each of K basins: at given times, or averaged over a window of time.

    names: what the basins are called. counted: what was counted, `AtTimes` or `TimeAverages`.
    unassigned_minima: where the gradient flow of those in no basin ends, at the last look.
    time_step: SDE time of a step. confidence: coverage that the intervals are made for. provenance: how it came about.

    The status is `complete` at times, and `converged` for a window where the averages are those of the stationary law
    as far as all checks tell. What only one of the two ways has raises AttributeError for the other.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    counted: AtTimes | TimeAverages
    unassigned_minima: UnassignedMinima
    time_step: float = eqx.field(static=True)
    confidence: float = eqx.field(static=True)
    provenance: Provenance

    @property
    def probability(self) -> Estimate:
        """P(in basin i at t), (n_times, K); over a window the share of time in each basin, (K,).

        At times: Clopper–Pearson intervals, each on its own, whose coverage is at least `confidence`.
        Over a window: from the spread between trajectories, which are independent, on the logit scale (Student's t with
        n − 1 degrees of freedom), so right however long each is correlated. Where no trajectory entered a basin the
        bound is that of the probability to enter it, which is larger than the share. Valid for the stationary law
        where the status is `converged`, else for the law averaged over the window.
        Diverged trajectories are left out of the value and read both ways in the interval.
        """
        return self.counted.shares(self.confidence)[..., :-1]

    @property
    def unassigned(self) -> Estimate:
        """Probability to be in none of the basins, (n_times,) or of no shape; interval as of `probability`."""
        return self.counted.shares(self.confidence)[..., -1]

    @property
    def trajectories(self) -> int:
        """How many trajectories were run."""
        return self.counted.trajectories

    @property
    def diverged(self) -> int:
        """How many of them were not finite at the last look."""
        return self.counted.diverged

    @property
    def verdict(self) -> Verdict:
        """Every reason not to rely on the numbers."""
        fine = Status.COMPLETE if isinstance(self.counted, AtTimes) else Status.CONVERGED
        return Verdict(tuple(self.counted.findings(self.names, self.unassigned_minima)), fine)

    @property
    def times(self) -> Float[np.ndarray, " n_times"]:
        """SDE times of the looks, each a whole number of steps; at times only."""
        return self._at_times("times").times

    @property
    def counts(self) -> Int[np.ndarray, "n_times basins"]:
        """(n_times, K + 1) trajectories in each basin, and last in none of them; at times only."""
        return self._at_times("counts").counts

    @property
    def diverged_at_times(self) -> Int[np.ndarray, " n_times"]:
        """Trajectories that are not finite at each time; at times only."""
        return self._at_times("diverged_at_times").diverged_at_times

    @property
    def weight(self) -> Estimate:
        """Another name of `probability` over a window, where it is the stationary weight; (K,)."""
        self._window("weight")
        return self.probability

    @property
    def visits(self) -> Int[np.ndarray, "2 n basins"]:
        """(2, n, K + 1) looks in each basin, and last in none, in the halves of the window; over a window only."""
        return self._window("visits").visits

    @property
    def transitions(self) -> Int[np.ndarray, " n"]:
        """(n,) times at which a trajectory was seen in another basin than before; over a window only."""
        return self._window("transitions").transitions

    @property
    def has_diverged(self) -> Bool[np.ndarray, " n"]:
        """(n,) trajectories that are not finite at the end; over a window only."""
        return self._window("has_diverged").has_diverged

    @property
    def distance(self) -> Float[np.ndarray, "2 n"]:
        """(2, n) mean square distance of θ from the start in the halves of the window, in θ²; over a window only."""
        return self._window("distance").distance

    @property
    def looks(self) -> int:
        """Looks in each half of the window; over a window only."""
        return self._window("looks").looks

    @property
    def burn_in(self) -> float:
        """SDE time at which the window begins; over a window only."""
        return self._window("burn_in").burn_in

    @property
    def horizon(self) -> float:
        """SDE time at which the window ends; over a window only."""
        return self._window("horizon").horizon

    @property
    def every(self) -> float:
        """SDE time between looks; over a window only."""
        return self._window("every").every

    @property
    def r_hat(self) -> Float[np.ndarray, " K"]:
        """Split R-hat of the indicator of each basin (Gelman et al. 2013, section 11.4), (K,); over a window only."""
        return self._window("r_hat").r_hat

    @property
    def effective_samples(self) -> Float[np.ndarray, " K"]:
        """Independent states worth as much as all looks at all trajectories, (K,); over a window only."""
        return self._window("effective_samples").effective_samples

    @property
    def surroundings(self) -> str:
        """What of the landscape was explored for basins that no trajectory ended in, or why nothing was; over a window
        only.
        """
        return self._window("surroundings").around.told

    def to_dataset(self) -> "xr.Dataset":
        """Everything as an xarray Dataset with `units` and `long_name`."""
        import xarray as xr

        data = xr.Dataset(coords={"basin": ("basin", list(self.names), {"units": "name", "long_name": "basin"})})
        dims = self.counted.add_to(data)
        add_estimate(data, "probability", (*dims, "basin"), self.probability, "1", "probability to be in the basin")
        add_estimate(data, "unassigned", dims, self.unassigned, "1", "probability to be in no basin")
        data.attrs |= {name: getattr(self, name) for name in ("trajectories", "diverged", "time_step", "confidence")}
        data.attrs |= {"seed": self.provenance.seed, "status": str(self.status), "result": self.result}
        return data

    def plot(self, ax: Any = None, *, theory: Any = None) -> Any:
        """Probability of each basin over time with its band, or over a window bars: see `plotting.occupancy`.

        theory: (K,) shares of the basins in the end, or a function of SDE times (n,) that returns them, (n, K).

        Example: `found.plot(theory=ss.theory.gibbs_weights(diffusion, minima))`.
        """
        from ..plotting import occupancy

        return occupancy(self.to_dataset(), ax, theory=theory)

    def _answers(self) -> list[tuple[str, str]]:
        rows = self.counted.answers(self.names, self.counted.shares(self.confidence))
        return [*rows, ("trajectories", f"{self.trajectories}, {self.diverged} of them diverged")]

    def _at_times(self, name: str) -> AtTimes:
        if not isinstance(self.counted, AtTimes):
            raise AttributeError(f"{name} belongs to occupancy at given times, times=; this one is over a window")
        return self.counted

    def _window(self, name: str) -> Any:
        if not isinstance(self.counted, TimeAverages):
            raise AttributeError(f"{name} belongs to occupancy over a window, horizon=; this one is at given times")
        return self.counted
