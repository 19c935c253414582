"""A histogram: density with Student's t intervals, mean and covariance with those of the jackknife over groups."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int
from scipy import special

from ..results import AbstractResult, Provenance, Status, Verdict
from ..statistics import Estimate, add_estimate, clopper_pearson, student_width
from ._bins import Bins
from ._unvisited import Unvisited

if TYPE_CHECKING:
    import xarray as xr

# probability that any bin's mass seems to move although none does
_FALSE_ALARM = 1e-4
# split R-hat above which halves of trajectories have fewer than some two independent looks each, of masses that are not
# nearly 0 or 1
_MOST_R_HAT, _SEEN, _LEAST_WITHIN = 1.2, 0.05, 0.01


class Histogram(AbstractResult):
    """Counts of an observable's values in G groups of independent trajectories, at most 64.

    bins: equal bins on one axis or two. counts: (rows, G), see `Bins`. early: those of the first half of the looks.
    looks: (G,) finite values that were seen.
    sums: (axes + axes², G) sums of y = f(θ) − origin and of its products. origin: (axes,), f at the start.
    diverged: trajectories whose value was not finite at some look; they are left out from there on, and read both ways
        in every interval. unseen: share of all looks that are left out so.
    burn_in, horizon, every: SDE times of the window and between looks. time_step: SDE time of a step.
    trajectories: how many were run. confidence: coverage that the intervals are made for.
    provenance: how it came about. around: what exploration says that no trajectory has seen.
    changes: what of the chain changes in time, in words; None where nothing does.
    """

    bins: Bins
    counts: Int[np.ndarray, "rows G"]
    early: Int[np.ndarray, "rows G"]
    sums: Float[np.ndarray, "moments G"]
    looks: Int[np.ndarray, " G"]
    origin: Float[np.ndarray, " axes"]
    unseen: float
    diverged: int
    trajectories: int
    burn_in: float
    horizon: float
    every: float
    time_step: float
    confidence: float
    provenance: Provenance
    around: Unvisited = eqx.field(static=True, default=Unvisited("not explored"))
    changes: str | None = eqx.field(static=True, default=None)

    @property
    def edges(self) -> list[Float[np.ndarray, " n"]]:
        """Ends of the bins on each axis, (number + 1,) each."""
        ends = zip(self.bins.low, self.bins.high, self.bins.shape, strict=True)
        return [np.linspace(low, high, number + 1) for low, high, number in ends]

    @property
    def volume(self) -> float:
        """Length or area of a bin."""
        return float(np.prod((self.bins.high - self.bins.low) / self.bins.shape))

    @property
    def density(self) -> Estimate:
        """Probability per length or area, averaged over each bin, of the bins' shape.

        Interval: Student's t from the spread between groups, each bin on its own, not below 0. Where nothing was seen
        the upper bound is that of the probability that a trajectory comes there at all. Looks at trajectories that
        have diverged could all have been in the bin, or none of them.
        """
        part = self._part(slice(None, self.bins.inside))
        ends = ((each / self.volume).reshape(self.bins.shape) for each in (part.value, part.low, part.high))
        return Estimate(*ends, self.confidence)

    @property
    def standard_error(self) -> Float[np.ndarray, "..."]:
        """Standard error of the density in each bin, of the bins' shape; 0 where nothing was seen."""
        return (self._error(slice(None, self.bins.inside)) / self.volume).reshape(self.bins.shape)

    @property
    def outside(self) -> Estimate:
        """Mass below and above the range of each axis, shape (axes, 2); one outside on both is with the first."""
        part = self._part(slice(self.bins.inside, None))
        return Estimate(*(each.reshape(-1, 2) for each in (part.value, part.low, part.high)), self.confidence)

    @property
    def mean(self) -> Estimate:
        """E f, shape (axes,), also of values out of range; interval by the jackknife over groups.

        Where trajectories diverged nothing bounds the values that they would have had: the interval is infinite.
        """
        axes = len(self.origin)
        return self._jackknife(lambda means: self.origin + means[:, :axes])

    @property
    def covariance(self) -> Estimate:
        """Covariance of f, shape (axes, axes), also of values out of range; interval by the jackknife over groups.

        Where trajectories diverged nothing bounds the values that they would have had: the interval is infinite, but
        for a variance, which is not below 0.
        """
        axes = len(self.origin)

        def covariance(means):
            first, second = means[:, :axes], means[:, axes:].reshape(-1, axes, axes)
            return second - first[:, :, None] * first[:, None, :]

        found = self._jackknife(covariance)
        low = np.where(np.isneginf(found.low) & np.eye(axes, dtype=bool), 0.0, found.low)
        return Estimate(found.value, low, found.high, self.confidence)

    @property
    def verdict(self) -> Verdict:
        """Complete, or how many trajectories diverged, what changes in time, and what does not look settled."""
        found = Verdict()
        if self.diverged:
            found = found.also(Status.DIVERGED, f"{self.diverged} of {self.trajectories} trajectories diverged")
        if self.changes is not None:
            words = f"the chain has no stationary law, with {self.changes}: these are averages over the window"
            return found.also(Status.NOT_CONVERGED, words)
        unsettled = self._unsettled() or self.around.missing
        return found.also(Status.NOT_CONVERGED, unsettled) if unsettled else found

    @property
    def surroundings(self) -> str:
        """What of the landscape was explored for basins that no trajectory ended in, or why nothing was; in words."""
        return self.around.told

    def _unsettled(self) -> str:
        """In words, why these are not yet averages of the stationary law; else "".

        Of each bin's mass, and of all up to it: where its change between the halves is more than chance, and where
        halves of trajectories differ as much as if none had seen both sides (split R-hat, Gelman et al. 2013, 11.4).
        """
        late = self.counts - self.early
        groups = np.flatnonzero((late.sum(axis=0) > 0) & (self.early.sum(axis=0) > 0))
        if len(groups) < 2:
            return ""
        halves = np.stack([each[:, groups] / each[:, groups].sum(axis=0) for each in (self.early, late)])
        shares = np.concatenate([halves, np.cumsum(halves[:, : self.bins.inside], axis=1)], axis=1)
        before, after = shares.mean(axis=2)
        error = (shares[1] - shares[0]).std(axis=1, ddof=1) / np.sqrt(len(groups))
        allowed = -special.stdtrit(len(groups) - 1, _FALSE_ALARM / 2 / len(error))
        excess = np.abs(after - before) - allowed * error
        row = int(np.argmax(excess))
        if excess[row] > 0:
            return (
                f"the start is not forgotten: the mass {self._where(row)} moves from {before[row]:.4g} to "
                f"{after[row]:.4g} between the halves of the window; give a longer burn_in or horizon"
            )
        mean = (before + after) / 2
        among = np.concatenate([*shares], axis=1).var(axis=1, ddof=1) * self.trajectories / len(groups)
        seen = (mean > _SEEN) & (mean < 1 - _SEEN)
        whole = mean * (1 - mean)
        r_hat = np.sqrt(1 + np.where(seen, among, 0.0) / np.maximum(whole - among, _LEAST_WITHIN * whole + ~seen))
        row = int(np.argmax(r_hat))
        if r_hat[row] <= _MOST_R_HAT:
            return ""
        return (
            f"a trajectory does not see all of the law: split R-hat of the mass {self._where(row)} is "
            f"{r_hat[row]:.3g}, above {_MOST_R_HAT}; give a longer horizon"
        )

    def _where(self, row: int) -> str:
        rows = len(self.counts)
        return self.bins.name(row) if row < rows else f"in all bins up to that {self.bins.name(row - rows)}"

    def to_dataset(self) -> "xr.Dataset":
        """Everything as an xarray Dataset with `units` and `long_name`; axes are called first and second."""
        import xarray as xr

        axes = ("first", "second")[: len(self.origin)]
        data = xr.Dataset()
        for name, ends in zip(axes, self.edges, strict=True):
            words = {"units": "observable", "long_name": f"middle of a bin, {name} value"}
            data = data.assign_coords({name: (name, (ends[1:] + ends[:-1]) / 2, words)})
        add_estimate(data, "density", axes, self.density, "1 / observable", "probability density")
        words = {"units": "1 / observable", "long_name": "standard error of the density"}
        data["standard_error"] = (axes, self.standard_error, words)
        add_estimate(data, "outside", ("value", "side"), self.outside, "1", "mass below and above the range")
        add_estimate(data, "mean", ("value",), self.mean, "observable", "mean")
        add_estimate(data, "covariance", ("value", "other_value"), self.covariance, "observable²", "covariance")
        names = ("trajectories", "diverged", "burn_in", "horizon", "every", "time_step", "confidence", "result")
        data.attrs = {name: getattr(self, name) for name in names}
        data.attrs |= {"low": self.bins.low.tolist(), "high": self.bins.high.tolist()}
        data.attrs |= {"unseen": self.unseen, "seed": self.provenance.seed, "status": str(self.status)}
        return data

    def plot(self, ax: Any = None, *, theory: Any = None) -> Any:
        """The density, of one value as steps with a band and of two as colours: see `plotting.histogram`.

        theory: a diffusion with a temperature, of which Gibbs' density is drawn, a `reference.FokkerPlanck`, an array
            of the bins' shape, or a function of values, (n,) or in two dimensions (n, 2), that returns densities (n,).

        Example: `found.plot(theory=diffusion)`.
        """
        from ..plotting import histogram

        return histogram(self.to_dataset(), ax, theory=theory)

    def _answers(self) -> list[tuple[str, str]]:
        outside = [
            f"{side} {estimate}"
            for pair in self.outside
            for side, estimate in zip(("below", "above"), pair, strict=True)
            if estimate.value > 0
        ]
        ends = zip(self.bins.low, self.bins.high, self.bins.shape, strict=True)
        return [
            ("mean", str(self.mean if len(self.origin) > 1 else self.mean[0])),
            ("covariance", str(self.covariance if len(self.origin) > 1 else self.covariance[0, 0])),
            ("bins", ", ".join(f"{number} from {low:.6g} to {high:.6g}" for low, high, number in ends)),
            ("outside", ", ".join(outside) or "nothing seen"),
            ("window", f"from t = {self.burn_in:.6g} to {self.horizon:.6g}, a look every {self.every:.6g}"),
            ("surroundings", self.surroundings),
            ("trajectories", f"{self.trajectories}, {self.diverged} of them diverged"),
        ]

    def _error(self, rows: slice) -> np.ndarray:
        """Standard error of the mass in each row: that of a ratio of sums over groups."""
        counts, groups = self.counts[rows], len(self.looks)
        if groups < 2:
            return np.full(len(counts), np.nan)
        left = counts - counts.sum(axis=1, keepdims=True) / self.looks.sum() * self.looks
        return np.sqrt(groups / (groups - 1) * np.sum(left**2, axis=1)) / self.looks.sum()

    def _part(self, rows: slice) -> Estimate:
        """Mass in each row."""
        with np.errstate(invalid="ignore"):
            value = self.counts[rows].sum(axis=1) / self.looks.sum()
        if len(self.looks) < 2:
            return Estimate(value, np.zeros_like(value), np.ones_like(value), self.confidence)
        width = self._quantile() * self._error(rows)
        most = clopper_pearson(0, self.trajectories, self.confidence).high
        low, high = np.maximum(value - width, 0), np.where(value > 0, value + width, most)
        seen = 1 - self.unseen
        return Estimate(value, low * seen, high * seen + self.unseen, self.confidence)

    def _jackknife(self, fn: Callable) -> Estimate:
        """fn of the means of all moments, (m, moments) to (m, …)."""
        groups = len(self.looks)
        with np.errstate(invalid="ignore"):
            whole = fn((self.sums.sum(axis=1) / self.looks.sum())[None])[0]
        if groups < 2 or self.unseen > 0:
            nothing = np.full(np.shape(whole), np.inf)
            return Estimate(whole, -nothing, nothing, self.confidence)
        without = (self.sums.sum(axis=1, keepdims=True) - self.sums) / (self.looks.sum() - self.looks)
        parts = fn(without.T)
        error = np.sqrt((groups - 1) / groups * np.sum((parts - parts.mean(axis=0)) ** 2, axis=0))
        width = self._quantile() * error
        return Estimate(whole, whole - width, whole + width, self.confidence)

    def _quantile(self) -> float:
        return float(student_width(self.confidence, len(self.looks) - 1))
