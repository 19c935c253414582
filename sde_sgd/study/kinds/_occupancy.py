"""Study kind `occupancy`: shares of regions, or of the basins of minima, at times or in the long run."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._dataset import cell_dataset
from .._errors import before_any_cell
from .._kind import AbstractStudy, register
from .._sections import Count, Name, PointSpec, Positive, Quantity, RegionSpec, check_names
from ..reporting._text_table import Column
from ._axes import LETTERS, named_key, sweep_columns
from ._budget import AbstractBudgetStudy
from ._dynamics import Surface, beside
from ._minima import AbstractMinimaStudy
from ._occupancy_theory import theory

if TYPE_CHECKING:
    import xarray as xr


@register
class OccupancyStudy(AbstractBudgetStudy, AbstractMinimaStudy):
    """Probability to be in each of some basins, from each start, at times or by averages over a window of time.

    Source: the question is that of Dai and Zhu 2018 (arXiv 1812.00542).

    kind: "occupancy". start: where trajectories begin.
    region: sets by name, which must not overlap, in place of minima and of a search for them.
    basins: the rule by which θ belongs to a minimum. height: of the rule "sublevel", above the minimum.
    times: rising SDE times of the looks. horizon: SDE time at the end of a window, in place of times.
    burn_in: SDE time at which the window begins. every: SDE time between looks in it.
    trajectories: for every cell.
    budget: path-steps of the whole study, the pilot's included, of which each cell has `trajectories`. All cells are
        then run anew, with as many as make the widest interval of a share, at any of the times, as narrow as may be;
        with atol, no more than that takes. atol: half-width asked of every share.
    """

    target = "atol"
    is_relative = False
    # of averages over a window the intervals are by the spread between trajectories
    least = 2
    alone = (*AbstractStudy.alone, "times", "budget", "atol")

    kind: Literal["occupancy"] = "occupancy"
    start: Annotated[list[PointSpec], Field(min_length=1)]
    region: dict[Name, RegionSpec] = Field(default={})
    basins: Literal["quench", "nearest", "sublevel"] | None = None
    height: Annotated[Positive | None, Quantity("loss", "height of the basins above their minima")] = None
    times: Annotated[list[Positive], Field(min_length=1)] | None = None
    horizon: Annotated[Positive | None, Quantity("SDE time", "horizon")] = None
    burn_in: Annotated[Positive | None, Quantity("SDE time", "burn-in")] = None
    every: Annotated[Positive | None, Quantity("SDE time", "time between looks")] = None
    trajectories: Count
    atol: Positive | None = None

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
        check_names("start", self.start)
        check_names("minimum", self.minimum)
        return self

    def own_axes(self):
        return {"start": len(self.start)}

    def coordinates(self):
        names = [start.name for start in self.start]
        found = super().coordinates() | {"start": ("start", names, {"units": "", "long_name": "where it begins"})}
        if self.times is not None:
            found["time"] = ("time", self.times, {"units": "SDE time", "long_name": "SDE time t = γ·iterations"})
        return found

    def key(self, index):
        return named_key("start", self.start[index["start"]].name, index)

    def work(self, index):
        values = self.values_at(index)
        end = values.get("horizon", self.horizon) or max(self.times or [1.0])
        return self.steps_at(index, end) * values.get("trajectories", 1)

    def interval(self):
        return "probability", {}

    def answers(self):
        time = () if self.times is None else ("time",)
        return {"probability": (*time, "basin"), "unassigned": time}

    def check_times(self, chain):
        from ...engine import observation_steps

        self.check_number()
        with before_any_cell():
            observation_steps(chain, self.times, self.horizon, self.burn_in, self.every)

    def check(self, surface):
        for number in range(len(self.start)):
            self._begins_at(number, surface)
        for region in self._regions(surface).values():
            region.check(surface.landscape.dim)

    def _begins_at(self, number: int, surface: Surface) -> np.ndarray:
        """The start of that number, shape (dim,)."""
        from .. import _build

        spec = self.start[number]
        return _build.point_of(f"point of start '{spec.name}'", spec.point, surface.landscape)

    def _regions(self, surface: Surface) -> dict[str, Any]:
        from .. import _build

        return {name: _build.region_of(f"region {name}", spec, surface.landscape) for name, spec in self.region.items()}

    def run_cell(self, cell, shared):
        one = self.of_cell(cell)
        surface = shared.surface(one)
        sets = {"regions": one._regions(surface)} if one.region else {"minima": shared.points(one)}
        start = one._begins_at(cell.index["start"], surface)
        result = ss.occupancy(
            one.chain_of(surface),
            start,
            regions=sets.get("regions"),
            minima=sets.get("minima"),
            times=one.times,
            horizon=one.horizon,
            burn_in=one.burn_in,
            every=one.every,
            basins=one.basins,
            height=one.height,
            trajectories=one.trajectories,
            seed=cell.seed,
            confidence=self.confidence,
        )
        where = ", ".join([f"start {self.start[cell.index['start']].name}", *self.words_at(cell.index, LETTERS)])
        data = cell_dataset(result, cell.seed, where, along=("basin", "time"))
        if self.times is not None:
            # looks are at whole steps, which may lie a fraction of a step before the times asked for
            data = data.assign_coords(time=self.times)
        return self.judged(beside(data, theory(one, shared, sets, start)), where)

    def heading(self, dataset):
        return [*super().heading(dataset), *self.budget_lines(dataset)]

    def columns(self):
        names = list(self.region) or [each.name for each in self.minimum]
        last = {} if self.times is None else {"time": -1}
        when = "in the end" if self.times is None else f"at t = {max(self.times):g}"
        columns = [Column("start", "start"), *sweep_columns(self)]
        for place, name in enumerate(names):
            at = {"basin": place}
            columns += [
                Column(name, "probability", f"probability to be in {name} {when}", True, at | last),
                Column(f"{name}\nGibbs", "probability_gibbs", "stationary share, by Laplace's method", at=at),
                Column(f"{name}\nexact", "probability_exact", "stationary share, by the grid solver", at=at),
            ]
            for header, variable, by in _BY_RATES if self._has_rates else ():
                words = f"probability to be in {name} {when}, by the rate equation with rates by {by}"
                columns.append(Column(f"{name}\n{header}", variable, words, at=at | last))
        return [*columns, Column("in none", "unassigned", "probability to be in none of them", True, last)]

    @property
    def _has_rates(self) -> bool:
        """Whether there are shares at times by the rates of the jumps: of minima that are given."""
        return self.times is not None and not self.region

    def verdicts(self, dataset):
        last = _in_the_end(dataset)
        of = "" if self.times is None else " at the last time, which may be before the law has settled,"
        compared = [("probability_exact", of, "the grid solver's stationary share")]
        for _, variable, by in _BY_RATES if self._has_rates else ():
            compared.append((variable, " at the last time", f"that of the rate equation with rates by {by}"))
        said = []
        for variable, of, whose in compared:
            held, known = _held(last, variable)
            said += [f"{held} of {known} shares{of} have {whose} in their interval"] if known else []
        return said

    def figures(self, dataset):
        from ... import plotting

        last = _in_the_end(dataset)
        theory = {"probability_gibbs": "Laplace's method", "probability_exact": "exact solver"}
        if self._has_rates:
            theory = {variable: f"rate equation, rates by {by}" for _, variable, by in _BY_RATES}
        return {"occupancy.png": plotting.sweep_figure(last, "probability", theory)}


# shares at times by the rates of the jumps: of a column its header and variable, and whose the rates are
_BY_RATES = (
    ("Kramers", "probability_kramers", "Eyring–Kramers"),
    ("rates", "probability_rates", "the exact solver"),
)


def _in_the_end(dataset: "xr.Dataset") -> "xr.Dataset":
    """At the last of the times, where the study has some."""
    return dataset.isel(time=-1) if "time" in dataset.dims else dataset


def _held(data: "xr.Dataset", variable: str) -> tuple[int, int]:
    """How many shares have a variable of theory in their interval, and how many there are to compare."""
    exact, low, high = (data[name] for name in (variable, "probability_low", "probability_high"))
    known = (exact.notnull() & low.notnull()).transpose(*low.dims).values
    held = ((low <= exact) & (exact <= high)).transpose(*low.dims).values & known
    return int(held.sum()), int(known.sum())
