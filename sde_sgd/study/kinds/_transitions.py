"""Study kind `transitions`: rates between minima, however rare, and the jump process that they make."""

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._dataset import cell_dataset
from .._kind import register
from .._sections import Count, Name, Positive, Quantity, check_names
from ..reporting._text_table import Column
from ._axes import LETTERS, sweep_columns
from ._dynamics import Theories, beside, given_of, solver
from ._minima import AbstractMinimaStudy, Minima

if TYPE_CHECKING:
    import xarray as xr

_ALONG = ("minimum", "from", "to", "component")
# most rates that have a column of their own
_MOST = 6


@register
class TransitionsStudy(AbstractMinimaStudy):
    """Rates of the jumps between minima, shares of the time in the end, and the time that it takes to get there.

    Source: as of `transitions`.

    kind: "transitions". minimum: the minima, at least two.
    neighbours: pairs of names of minima between which there are jumps; by default those with a saddle between them.
    rtol: relative half-width asked of each rate. max_trajectories, max_steps: budgets of each first passage.
    radius: of balls as cores of the minima, in θ. method: "auto", "direct" or "splitting".
    score: of splitting, "path" or "distance". monitoring: "discrete" is the jump of the chain, "continuous" of the SDE.
    """

    # first batches have 1,024 exits, enough for rtol = 0.06
    without_budget = (
        "rtol gives every rate the same relative width as it is, and a pilot would cost as much as the rates themselves"
    )

    kind: Literal["transitions"] = "transitions"
    neighbours: list[tuple[Name, Name]] | None = None
    rtol: Annotated[float, Field(gt=0, lt=1), Quantity("1", "relative half-width asked for")] = 0.1
    max_trajectories: Count | None = None
    max_steps: Count | None = None
    radius: Annotated[Positive | None, Quantity("θ", "radius of the cores")] = None
    method: Literal["auto", "direct", "splitting"] = "auto"
    score: Literal["path", "distance"] = "path"
    monitoring: Literal["discrete", "continuous"] = "discrete"

    @model_validator(mode="after")
    def _consistent(self):
        names = check_names("minimum", self.minimum)
        if (len(names) < 2) == (self.search is None):
            raise ValueError("give either at least two minima, or a search for them")
        for pair in self.neighbours or []:
            for name in pair:
                if name not in names:
                    raise ValueError(f"neighbours must be names of minima, {', '.join(names)}, got '{name}'")
        return self

    def answers(self):
        alone = dict.fromkeys(("relaxation_time", "spectral_gap"), ())
        return {"rate": ("from", "to"), "stationary": ("minimum",), "exit_time": ("minimum",), **alone}

    def check_times(self, chain):
        self.check_watch(chain, None, self.max_steps)

    def run_cell(self, cell, shared):
        one = self.at(cell.index)
        minima = shared.points(one)
        names = list(minima)
        pairs = self.neighbours and [(names.index(first), names.index(second)) for first, second in self.neighbours]
        result = ss.transitions(
            one.chain_of(shared.surface(one)),
            minima,
            neighbours=pairs,
            radius=one.radius,
            rtol=one.rtol,
            **given_of(one, "max_trajectories", "max_steps"),
            method=one.method,
            score=one.score,
            monitoring=one.monitoring,
            seed=cell.seed,
            confidence=self.confidence,
        )
        where = ", ".join(self.words_at(cell.index, LETTERS)) or self.name
        data = cell_dataset(result, cell.seed, where, along=_ALONG)
        for axis in ("from", "to", "minimum"):
            data[axis].attrs.setdefault("units", "")
        return beside(data, _theory(one, shared))

    def columns(self):
        names, columns = [each.name for each in self.minimum], sweep_columns(self)
        pairs = [(i, j) for i in range(len(names)) for j in range(len(names)) if i != j]
        for i, j in pairs if len(pairs) <= _MOST else []:
            at, way = {"from": i, "to": j}, f"{names[i]}→{names[j]}"
            columns += [
                Column(way, "rate", f"rate of jumps from {names[i]} to {names[j]}, per SDE time", True, at),
                Column(f"{way}\nKramers", "rate_eyring_kramers", "the same by Eyring–Kramers", at=at),
            ]
        for place, name in enumerate(names):
            words = f"share of the time at {name} in the end"
            columns.append(Column(f"share\n{name}", "stationary", words, True, {"minimum": place}))
        return [
            *columns,
            Column("relaxation\ntime", "relaxation_time", "SDE time of the slowest relaxation", True),
            Column("relaxation\nexact", "relaxation_time_exact", "the same by the grid solver of the SDE"),
        ]

    def verdicts(self, dataset):
        said = []
        measured, kramers = (dataset[name].transpose(..., "from", "to") for name in ("rate", "rate_eyring_kramers"))
        known = measured.notnull().values & (kramers.values > 0) & (measured.values > 0)
        if known.any():
            ratios = measured.values[known] / kramers.values[known]
            said.append(f"rates are {ratios.min():.3g} to {ratios.max():.3g} times those of Eyring–Kramers")
        exact, low, high = (dataset[f"relaxation_time{end}"].values for end in ("_exact", "_low", "_high"))
        known = np.isfinite(exact) & np.isfinite(low)
        if known.any():
            held = (low <= exact) & (exact <= high) & known
            said.append(f"{held.sum()} of {known.sum()} relaxation times have the grid solver's in their interval")
        return said

    def figures(self, dataset):
        from ... import plotting

        rates = plotting.sweep_figure(dataset, "rate", {"rate_eyring_kramers": "Eyring–Kramers"}, log=True)
        exact = {"relaxation_time_exact": "exact solver"}
        time = plotting.sweep_figure(dataset, "relaxation_time", exact, log=True)
        return {"rates.png": rates, "relaxation_time.png": time}


def _theory(one: TransitionsStudy, shared: Minima) -> "xr.Dataset":
    """Rates by Eyring–Kramers, shares by Laplace's method, and the slowest relaxation by the grid solver."""
    surface, count, theories = shared.surface(one), len(shared.points(one)), Theories()
    theories.add(
        "rate_eyring_kramers",
        "Eyring–Kramers",
        "1 / SDE time",
        "rate of jumps, Eyring–Kramers",
        lambda: ss.theory.rate_matrix(one.diffusion_of(surface), shared.polished(one), shared.saddles(one)),
        {"from": count, "to": count},
    )
    theories.add(
        "stationary_gibbs",
        "Gibbs weights",
        "1",
        "share of the time at the minimum in the end, Laplace's method",
        lambda: shared.gibbs_weights(one),
        {"minimum": count},
    )
    theories.add(
        "relaxation_time_exact",
        "exact solver",
        "SDE time",
        "time of the slowest relaxation, exact solver of the SDE",
        lambda: 1 / solver(one.diffusion_of(surface), one.reference).spectral_gap(),
    )
    return theories.dataset()
