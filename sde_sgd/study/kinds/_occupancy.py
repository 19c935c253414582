"""Study kind `occupancy`: shares of regions, or of the basins of minima, at times or in the long run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._dataset import cell_dataset
from .._errors import StudyError
from .._kind import AbstractStudy, register
from .._sections import Count, DynamicsSpec, Name, PointSpec, Positive, Quantity, RegionSpec
from ..reporting._text_table import Column
from ._dynamics import AbstractDynamicsStudy, MinimaOf, attempt, solver, surfaces

if TYPE_CHECKING:
    import xarray as xr

LETTERS = {"sweep.learning_rate": "γ", "sweep.batch_size": "M", "sweep.temperature": "T"}


@register
class OccupancyStudy(AbstractDynamicsStudy):
    """Probability to be in each of some basins, from each start, at times or by averages over a window of time.

    kind: "occupancy". sweep: learning rate and batch size, or temperature. start: where trajectories begin.
    region: sets by name, which must not overlap. minimum: minima, in place of regions.
    search: starts of descents that find the minima, in place of both.
    basins: the rule by which θ belongs to a minimum. height: of the rule "sublevel", above the minimum.
    times: rising SDE times of the looks. horizon: SDE time at the end of a window, in place of times.
    burn_in: SDE time at which the window begins. every: SDE time between looks in it.
    trajectories: for every cell.
    """

    last = tuple(LETTERS)
    alone = (*AbstractStudy.alone, "times")

    kind: Literal["occupancy"] = "occupancy"
    sweep: DynamicsSpec
    start: Annotated[list[PointSpec], Field(min_length=1)]
    region: dict[Name, RegionSpec] = Field(default={})
    minimum: list[PointSpec] = Field(default=[])
    search: list[list[float]] | None = None
    basins: Literal["quench", "nearest", "sublevel"] | None = None
    height: Annotated[Positive | None, Quantity("loss", "height of the basins above their minima")] = None
    times: Annotated[list[Positive], Field(min_length=1)] | None = None
    horizon: Annotated[Positive | None, Quantity("SDE time", "horizon")] = None
    burn_in: Annotated[Positive | None, Quantity("SDE time", "burn-in")] = None
    every: Annotated[Positive | None, Quantity("SDE time", "time between looks")] = None
    trajectories: Count

    @model_validator(mode="after")
    def _consistent(self):
        if sum(map(bool, (self.region, self.minimum, self.search))) != 1:
            raise ValueError("give one of regions, minima, and a search for them")
        if (self.times is None) == (self.horizon is None):
            raise ValueError("give either times or a horizon, not both or none")
        if self.region and (self.basins is not None or self.height is not None):
            raise ValueError("basins and height are for minima, and regions are given")
        if (self.basins == "sublevel") != (self.height is not None):
            raise ValueError("height is of basins = 'sublevel', which needs one")
        names = [start.name for start in self.start]
        if len(set(names)) != len(names):
            raise ValueError(f"start names must differ, got {names}")
        return self

    def own_axes(self):
        return {"start": len(self.start)}

    def coordinates(self):
        names = [start.name for start in self.start]
        found = super().coordinates() | {"start": ("start", names, {"units": "", "long_name": "where it begins"})}
        if self.times is not None:
            found["time"] = ("time", self.times, {"units": "SDE time", "long_name": "SDE time t = γ·iterations"})
        return found

    def attributes(self):
        return {"step": self.step_words()}

    def key(self, index):
        rest = [f"{place:03d}" for name, place in index.items() if name != "start"]
        return "-".join([self.start[index["start"]].name, *rest])

    def work(self, index):
        values = self.values_at(index)
        end = values.get("horizon", self.horizon) or max(self.times or [1.0])
        dt = values.get("dt", self.dt) or values.get("sweep.learning_rate", self.sweep.learning_rate) or 1.0
        return end / dt * values.get("substeps", self.substeps or 1) * values.get("trajectories", 1)

    def prepare(self, folder):
        shared = _Shared(folder)
        for one, is_new in self.distinct():
            one.chain_of(shared.surface(one))
            if is_new:
                shared.check(one)
        return shared

    def run_cell(self, cell, shared):
        one = self.at(cell.index)
        surface = shared.surface(one)
        chain, point = one.chain_of(surface), shared.begins_at(one, cell.index["start"])
        options = {name: getattr(one, name) for name in ("times", "horizon", "burn_in", "every", "basins", "height")}
        result = ss.occupancy(
            chain,
            point,
            **shared.sets(one),
            **{name: value for name, value in options.items() if value is not None},
            trajectories=one.trajectories,
            seed=cell.seed,
            confidence=self.confidence,
        )
        where = ", ".join([f"start {self.start[cell.index['start']].name}", *self.words_at(cell.index, LETTERS)])
        data = cell_dataset(result, cell.seed, where, along=("basin", "time"))
        if self.times is not None:
            # looks are at whole steps, which may lie a fraction of a step before the times asked for
            data = data.assign_coords(time=self.times)
        theory = _theory(one, surface, shared)
        notes = "\n".join([data.attrs["notes"], theory.attrs["notes"]])
        return data.assign(theory.data_vars).assign_attrs(notes=notes)

    def columns(self):
        names = list(self.region) or [each.name for each in self.minimum]
        last = {} if self.times is None else {"time": -1}
        when = "in the end" if self.times is None else f"at t = {max(self.times):g}"
        columns = [Column("start", "start"), *self.rate_columns()]
        for place, name in enumerate(names):
            at = {"basin": place}
            columns += [
                Column(name, "probability", f"probability to be in {name} {when}", True, at | last),
                Column(f"{name}\nGibbs", "probability_gibbs", "stationary share, by Laplace's method", at=at),
                Column(f"{name}\nexact", "probability_exact", "stationary share, by the grid solver", at=at),
            ]
        return [*columns, Column("in none", "unassigned", "probability to be in none of them", True, last)]

    def heading(self, dataset):
        return [self.chain_words()]

    def verdicts(self, dataset):
        last = dataset.isel(time=-1) if "time" in dataset.dims else dataset
        exact, low, high = (last[name] for name in ("probability_exact", "probability_low", "probability_high"))
        known = (exact.notnull() & low.notnull()).transpose(*low.dims).values
        held = ((low <= exact) & (exact <= high)).transpose(*low.dims).values & known
        if not known.any():
            return []
        of = "" if self.times is None else " at the last time, which may be before the law has settled,"
        return [f"{held.sum()} of {known.sum()} shares{of} have the grid solver's stationary share in their interval"]

    def figures(self, dataset):
        from ... import plotting

        last = dataset.isel(time=-1) if "time" in dataset.dims else dataset
        theory = {"probability_gibbs": "Laplace's method", "probability_exact": "exact solver"}
        return {"occupancy.png": plotting.sweep_figure(last, "probability", theory)}


class _Shared:
    """What cells share: surfaces and minima, each made when it is first asked for."""

    def __init__(self, folder: Path):
        self.surface = surfaces(folder)
        self.minima = MinimaOf(self.surface)

    def begins_at(self, one: OccupancyStudy, number: int) -> np.ndarray:
        """The start of that number, shape (dim,)."""
        from .. import _build

        spec = one.start[number]
        return _build.point_of(f"point of start '{spec.name}'", spec.point, self.surface(one).landscape)

    def sets(self, one: OccupancyStudy) -> dict[str, Any]:
        """The argument of `ss.occupancy` that says which basins there are."""
        from .. import _build

        if not one.region:
            return {"minima": self.minima(one)}
        surface = self.surface(one).landscape
        return {
            "regions": {name: _build.region_of(f"region {name}", spec, surface) for name, spec in one.region.items()}
        }

    def check(self, one: OccupancyStudy) -> None:
        """Raise what a cell would raise."""
        for number in range(len(one.start)):
            self.begins_at(one, number)
        for region in self.sets(one).get("regions", {}).values():
            region.check(self.surface(one).landscape.dim)
        if one.reference is not None:
            try:
                solver(one.diffusion_of(self.surface(one)), one.reference)
            except ValueError as error:
                raise StudyError(f"reference.grid does not fit the study: {error}") from None


def _theory(one: OccupancyStudy, surface: Any, shared: _Shared) -> "xr.Dataset":
    """Stationary shares of the basins by Laplace's method and by the grid solver."""
    import xarray as xr

    data, notes = xr.Dataset(), []
    sets = shared.sets(one)
    dims = {"basin": len(next(iter(sets.values())))}

    def gibbs():
        if "minima" not in sets:
            raise ValueError("it is for minima, and regions were given")
        return ss.theory.gibbs_weights(one.diffusion_of(surface), shared.minima.polished(one))

    def exact():
        if "regions" not in sets:
            raise ValueError("it is for regions, and minima were given")
        law = solver(one.diffusion_of(surface), one.reference)
        return [law.stationary_probability(region) for region in sets["regions"].values()]

    words = "stationary probability to be in the basin"
    attempt(data, notes, "probability_gibbs", dims, "Gibbs weights", ("1", f"{words}, Laplace's method"), gibbs)
    attempt(data, notes, "probability_exact", dims, "exact solver", ("1", f"{words}, exact solver of the SDE"), exact)
    return data.assign_attrs(notes="\n".join(notes))
