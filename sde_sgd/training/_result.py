"""What training found: parameters over a grid and networks, measures of them, and laws over networks."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from .._quantities import WORDS
from ..landscapes import EmpiricalRisk
from ..results import AbstractResult, Provenance, Status, Verdict
from ._dataset import dataset_of, law_over_networks
from ._grid import NAMES, Grid
from ._measures import Measure, by_name, named, parts_of
from ._stop import AbstractStop, Loss

if TYPE_CHECKING:
    import xarray as xr

# over what a loss is at the start, where a network is about to overflow and no training has an end
_EXPLODED = 1e6


class Training(AbstractResult):
    """Networks trained over a grid; arrays have the dimensions rates, sizes, momenta, networks.

    risk: what they were trained on. grid: of learning rates, batch sizes and momenta. starts: (networks, dim).
    thetas: (…, networks, dim) where each ended. steps: (…, networks) that it took. reached: whether it came to the loss
    that was to end it. losses: over all examples where it ended, NaN where that or its gradient is not finite.
    scale: the largest loss at the starts and at θ = 0. variances: c of each batch size, such that a batch's gradient
    has covariance cV, V that of one example's; of reshuffled epochs that of one step seen by itself.
    stop, sampling: as they were asked for. provenance: how it came about.
    """

    risk: EmpiricalRisk
    grid: Grid
    starts: Float[np.ndarray, "networks dim"]
    thetas: Float[np.ndarray, "rates sizes momenta networks dim"]
    steps: Int[np.ndarray, "rates sizes momenta networks"]
    reached: Bool[np.ndarray, "rates sizes momenta networks"]
    losses: Float[np.ndarray, "rates sizes momenta networks"]
    scale: float
    variances: Float[np.ndarray, " sizes"]
    stop: AbstractStop = eqx.field(static=True)
    sampling: str = eqx.field(static=True)
    provenance: Provenance

    @property
    def networks(self) -> int:
        """How many in each cell."""
        return self.thetas.shape[3]

    @property
    def has_diverged(self) -> Bool[np.ndarray, "rates sizes momenta networks"]:
        """Which networks stopped being finite: in their parameters, or in the loss or its gradient there."""
        return ~(np.all(np.isfinite(self.thetas), axis=-1) & np.isfinite(self.losses))

    @property
    def is_exploding(self) -> Bool[np.ndarray, "rates sizes momenta networks"]:
        """Which networks are finite still, with a loss above a million times `scale`."""
        return ~self.has_diverged & (np.nan_to_num(self.losses) > _EXPLODED * self.scale)

    @property
    def diverged(self) -> int:
        """How many did."""
        return int(self.has_diverged.sum())

    @property
    def is_late(self) -> Bool[np.ndarray, "rates sizes momenta networks"]:
        """Which networks were stopped before they came to the loss that was to end them; none where no loss was."""
        return ~self.reached & ~self.has_diverged & isinstance(self.stop, Loss)

    @property
    def verdict(self) -> Verdict:
        """Complete, or how many networks diverged or are about to, and how many did not come to their loss."""
        found, whole = Verdict(), self.has_diverged.size
        if self.diverged:
            found = found.also(Status.DIVERGED, f"{self.diverged} of {whole} networks stopped being finite")
        exploding = self.is_exploding
        if exploding.any():
            by = float(self.losses[exploding].max()) / self.scale
            words = f"are finite still, with losses up to {by:.2g} times the largest at a start, and count in all means"
            found = found.also(Status.DIVERGED, f"{exploding.sum()} of {whole} networks {words}")
        late = int(self.is_late.sum())
        if late and isinstance(self.stop, Loss):
            words = f"{late} of {whole} networks did not come to a loss of {self.stop.value:g} within {self.stop.most}"
            found = found.also(Status.BUDGET_SPENT, words)
        return found

    def measure(self, *measures: str | Measure) -> "xr.Dataset":
        """Each measure of every network, as variables over the grid and `network`; NaN where one diverged.

        measures: names of `training.MEASURES`, or Measures of your own. Where a measure is an Estimate its interval is
            beside it. Raises ValueError for other names, one that is given twice or is the result's own, for a Measure
            that gives not one number for each network, and where the risk has not what is measured.
        """
        data = self._coordinates()
        data["steps"] = self._variable(self.steps, "1", "steps taken")
        data["diverged"] = self._variable(self.has_diverged, "1", "whether the network stopped being finite")
        data["late"] = self._variable(self.is_late, "1", "whether it was stopped before it came to its loss")
        finite = ~self.has_diverged
        thetas = self.thetas[finite]
        starts = np.broadcast_to(self.starts, self.thetas.shape)[finite]
        for name, measure in by_name(measures, [str(taken) for taken in data.variables]).items():
            parts = parts_of(measure, self.risk, thetas, starts) if len(thetas) else {"": np.zeros(0)}
            for end, values in parts.items():
                whole = np.full(finite.shape, np.nan)
                whole[finite] = values
                data[name + end] = self._variable(whole, measure.units, measure.words)
        data.attrs = {"status": str(self.status), "provenance": str(self.provenance), "sampling": self.sampling}
        return data

    def law(self, *measures: str | Measure, confidence: float = 0.95) -> "xr.Dataset":
        """Over the networks of each cell: mean with Student's interval, quartiles, and how many did not diverge.

        Numbers that are not finite are left out, and the attribute `left_out` says how many.

        measures: as in `measure`. confidence: of the intervals. Raises ValueError as `measure` does.
        """
        names = [named(measure)[0] for measure in measures]
        return law_over_networks(self.measure(*measures), *names, confidence=confidence)

    def to_dataset(self, *measures: str | Measure, confidence: float = 0.95) -> "xr.Dataset":
        """Means over networks with intervals, and each network's number as `…_of_each`: what `plotting.batch_figure`
        and `plotting.trade_off_figure` draw, and `training.verdicts` puts into sentences.

        measures, confidence: as in `law`; what cannot be measured where training ended is NaN, and the attribute
            `unknown` says why.
        """
        return dataset_of(self, measures, confidence)

    def plot(self, ax: Any = None, *, measure: str | Measure = "loss", confidence: float = 0.95) -> Any:
        """The law of a measure over the networks of each cell of the grid: see `plotting.training_law`.

        measure: a name of `training.MEASURES`, or a Measure of your own. confidence: of the intervals of means.
        Raises ValueError for another measure.

        Example: `trained.plot(measure="sharpness")`.
        """
        from ..plotting import training_law

        return training_law(self.to_dataset(measure, confidence=confidence), named(measure)[0], ax)

    def _coordinates(self) -> "xr.Dataset":
        import xarray as xr

        data = xr.Dataset(coords={name: (name, getattr(self.grid, name), WORDS[name]) for name in NAMES})
        data = data.assign_coords(network=np.arange(self.networks))
        return data.squeeze([name for name in NAMES if name not in self.grid.varies])

    def _variable(self, values: np.ndarray, units: str, words: str) -> "xr.DataArray":
        import xarray as xr

        given = xr.DataArray(values, dims=(*NAMES, "network"), attrs={"units": units, "long_name": words})
        return given.squeeze([name for name in NAMES if name not in self.grid.varies])

    def _answers(self) -> list[tuple[str, str]]:
        shape = ", ".join(f"{len(getattr(self.grid, name))} {name}" for name in self.grid.varies) or "one cell"
        steps = self.steps
        return [
            ("networks", f"{self.networks} in each of {int(np.prod(self.grid.shape))} cells ({shape})"),
            ("steps", f"{steps.min():,}" if steps.min() == steps.max() else f"{steps.min():,} to {steps.max():,}"),
            ("diverged", f"{self.diverged} of {self.has_diverged.size}"),
            ("sampling", self.sampling),
        ]
