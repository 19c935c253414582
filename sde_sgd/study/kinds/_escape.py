"""Study kind `escape`: start × learning rate × batch size, each with theory and the exact Fokker–Planck answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._dataset import cell_dataset
from .._errors import StudyError, before_any_cell
from .._kind import register
from .._sections import TIME, Count, Positive, Quantity, StartSpec, SweepSpec, check_names
from ..reporting._text_table import Column
from ._axes import LAST, LETTERS, named_key, ratio, slices, sweep_columns
from ._budget import AbstractWatchStudy
from ._dynamics import AbstractDynamicsStudy, Shared, Surface, beside, given_of

if TYPE_CHECKING:
    import xarray as xr

    from .._build import Start

N_TIMES = 60


@register
class EscapeStudy(AbstractWatchStudy, AbstractDynamicsStudy):
    """Escape from each start for every learning rate and batch size.

    Source: the question is that of Dai and Zhu 2018 (arXiv 1812.00542).

    kind: "escape". sweep: the learning rates and batch sizes. start: the minima, and what is to be left or reached.
    horizon: SDE time watched; left out, until all have left, and then the study has mean times alone.
    trajectories: for every cell; or rtol: run on until the interval of the escape probability is that tight, or
        max_trajectories are spent, which the report then says.
    budget: path-steps of the whole study, the pilot's included, of which each cell has `trajectories`. All cells are
        then run anew, with as many as make the widest interval of the probability, against its value, as narrow as may
        be; with rtol, no more than that takes.
    rtol: relative half-width asked of every cell. max_trajectories: budget of rtol, for a cell.
    max_steps: budget of a trajectory without horizon.
    monitoring: "discrete" is the exit of the chain, "continuous" that of the SDE.
    method: "direct", "splitting" or "auto". score: of splitting, "auto" or "level".
    """

    last = LAST
    always = ("sweep.learning_rate", "sweep.batch_size")
    alone = (*AbstractDynamicsStudy.alone, "budget")

    kind: Literal["escape"] = "escape"
    sweep: SweepSpec
    start: Annotated[list[StartSpec], Field(min_length=1)]
    horizon: Annotated[Positive | None, Quantity("SDE time", "horizon")] = None
    trajectories: Annotated[Count | None, Quantity("trajectories", "trajectories asked for")] = None
    rtol: Annotated[Positive | None, Quantity("1", "relative half-width asked for")] = None
    max_trajectories: Count | None = None
    max_steps: Count | None = None
    monitoring: Literal["discrete", "continuous"] = "discrete"
    method: Literal["auto", "direct", "splitting"] = "auto"
    score: Literal["auto", "level"] | None = None

    @model_validator(mode="after")
    def _consistent(self):
        check_names("start", self.start)
        if self.budget is None and (self.trajectories is None) == (self.rtol is None):
            raise ValueError("give either trajectories or rtol, not both or none")
        if self.max_trajectories is not None and self.rtol is None:
            raise ValueError("max_trajectories is the budget of rtol, which is not given")
        if self.budget is not None and (self.trajectories is None or self.horizon is None or self.method != "direct"):
            raise ValueError("budget needs the trajectories of its pilot, a horizon, and method = 'direct'")
        if self.budget is not None and self.max_trajectories is not None:
            raise ValueError("give either max_trajectories, for each cell, or budget, for all of them")
        if self.max_steps is not None and self.horizon is not None:
            raise ValueError("max_steps is the budget of a watch without horizon, which is given")
        return self

    def times(self) -> np.ndarray:
        """The SDE times (60,) at which survival is reported, the last one exactly the horizon; the longest of several.

        Several horizons are among them; without one there are none.
        """
        horizons = [value for swept in self.swept if swept.key == "horizon" for value in swept.values]
        longest = max(horizons, default=self.horizon)
        if longest is None:
            return np.zeros(0)
        times = np.geomspace(longest / 200, longest, N_TIMES)
        times[-1] = longest
        return np.union1d(times, horizons) if horizons else times

    def own_axes(self):
        return {"start": len(self.start)}

    def coordinates(self):
        found, names = super().coordinates(), [start.name for start in self.start]
        words = {"units": "", "long_name": "minimum started in"}
        found |= {"start": ("start", names, words), "ratio": ratio(self, found)}
        if self.times().size:
            found["time"] = ("time", self.times(), TIME.attributes)
        return found

    def attributes(self):
        found: dict[str, Any] = {"step": self.step_words()}
        if not self.is_swept("monitoring"):
            found["monitoring"] = self.monitoring
        if self.horizon is not None and not self.is_swept("horizon"):
            found["horizon"] = self.horizon
        return found

    def key(self, index):
        return named_key("start", self.start[index["start"]].name, index)

    def work(self, index):
        values = self.values_at(index)
        steps = self.steps_at(index, values.get("horizon", self.horizon) or 1.0)
        return steps * values.get("trajectories", 1)

    def answers(self):
        found: dict[str, tuple[str, ...]] = {"mean_exit_time": (), "exit_rate": ()}
        return found if self.horizon is None else found | {"probability": (), "survival": ("time",)}

    def prepare(self, folder):
        from ...passage._question import make_effort

        self.check_published()
        shared = _Shared(folder)
        for one, is_new in self.distinct():
            surface = shared.surface(one)
            chain = one.chain_of(surface)
            if is_new:
                _check(one, surface, shared.starts(one))
            one.check_watch(chain, one.horizon, one.max_steps)
            with before_any_cell():
                make_effort(one.trajectories, None, one.rtol if one.budget is None else None, one.max_trajectories or 1)
        return shared

    @property
    def stops_alone(self):
        return True

    def longest(self, cell):
        return cell.work

    def run_cell(self, cell, shared):
        import jax.numpy as jnp

        one = self.of_cell(cell)
        start = shared.starts(one)[cell.index["start"]]
        result = ss.first_passage(
            one.chain_of(shared.surface(one)),
            jnp.asarray(start.point, float),
            ~start.region,
            start.avoid,
            one.horizon,
            trajectories=one.trajectories,
            rtol=one.rtol if one.budget is None else None,
            **given_of(one, "max_trajectories", "max_steps"),
            method=one.method,
            score=one.score,
            monitoring=one.monitoring,
            seed=cell.seed,
            confidence=self.confidence,
        )
        where = ", ".join([f"start {start.name}", *self.words_at(cell.index, LETTERS)])
        theory = shared.theory(one, cell.index["start"])
        if one.horizon is None:
            data = cell_dataset(result, cell.seed, where).drop_vars(_OF_A_WATCH, errors="ignore")
            theory = theory.drop_vars(["exit_linearised", "exit_exact"], errors="ignore")
        else:
            # the watch ends at a whole number of steps, which may lie a fraction of a step before the horizon asked for
            asked = one.times()
            times = np.minimum(asked, result.horizon)
            data = cell_dataset(result, cell.seed, where, along=("time",), data=result.to_dataset(times.tolist()))
            data = data.assign_coords(time=asked)
        data = beside(data, theory)
        if self.is_swept("horizon"):
            at_end = {f"{name}_at_horizon": data[name].isel(time=-1, drop=True) for name in _BY_TIME}
            data = data.assign(at_end).reindex(time=self.times())
        return self.judged(data, where)

    def columns(self):
        return [
            Column("start", "start"),
            *sweep_columns(self),
            Column(
                "T",
                "temperature",
                "temperature γβ/(2M), where βI is the covariance of one gradient; – for other noise",
                digits=3,
            ),
            *self._columns_of_a_watch(),
            Column("time\nsimulated", "mean_exit_time", "mean SDE time to leave", interval=True),
            Column(
                "time\nKramers",
                "mean_exit_time_eyring_kramers",
                "the same by Eyring–Kramers, to the saddle, for T far below the barrier",
            ),
            Column("time\nexact", "mean_exit_time_exact", "the same by the grid solver of the SDE"),
        ]

    def _columns_of_a_watch(self) -> list[Column]:
        if self.horizon is None:
            return []
        swept = self.is_swept("horizon")
        by = "by the horizon" if swept else f"by t = {self.horizon:g}"
        end, at = ("_at_horizon", {}) if swept else ("", {"time": -1})
        return [
            Column("P\nsimulated", "probability", f"probability to leave {by}", interval=True),
            Column(
                "P\nlinear",
                f"exit_linearised{end}",
                "the same by the SDE linearised about the start, for a loss that is quadratic up to the boundary",
                at=at,
            ),
            Column(
                "P\nexact", f"exit_exact{end}", "the same by the grid solver of the SDE, of the chain as dt → 0", at=at
            ),
        ]

    def heading(self, dataset):
        watched = {
            "continuous": "exit of the SDE, also between steps (continuous monitoring)",
            "discrete": "exit of the chain at its own steps (discrete monitoring)",
            "as swept": "exit of the chain at its own steps (discrete), or of the SDE (continuous)",
        }["as swept" if self.is_swept("monitoring") else self.monitoring]
        return [f"{self.chain_words()}; {watched}", *self.budget_lines(dataset)]

    def figures(self, dataset):
        from ... import plotting

        figures: dict[str, Any] = {}
        if self.horizon is None:
            theory = {"mean_exit_time_exact": "exact solver", "mean_exit_time_eyring_kramers": "Eyring–Kramers"}
            return {"mean_exit_times.png": plotting.sweep_figure(dataset, "mean_exit_time", theory, log=True)}
        if self.is_swept("noise.reshaped"):
            last = {f"exit_{name}": dataset[f"exit_{name}"].isel(time=-1) for name in ("exact", "linearised")}
            theory = {"exit_exact": "exact solver", "exit_linearised": "linearised theory"}
            figures["probability.png"] = plotting.sweep_figure(dataset.assign(last), "probability", theory)
        if not {"start", "learning_rate", "batch_size", "time"} <= set(dataset.dims):
            return figures
        for name, part in slices(dataset, ("start", "learning_rate", "batch_size", "time")):
            if self.is_swept("horizon"):
                end = float(part["horizon"])
                part = part.sel(time=part["time"] <= end).assign_attrs(horizon=end)
            if self.is_swept("monitoring"):
                part = part.assign_attrs(monitoring=str(part["monitoring"].values))
            figures[f"survival{name}.png"] = plotting.survival_curves(part)
            figures[f"phase_diagram{name}.png"] = plotting.phase_diagram(part)
        return figures


# what only a watch with a horizon has
_BY_TIME = ("exit_linearised", "exit_exact")
_OF_A_WATCH = [f"probability{end}" for end in ("", "_low", "_high")] + ["censored"]


class _Shared(Shared):
    """What cells share: surfaces, starts and theory, each made when it is first asked for."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self._starts: dict[Any, list[Start]] = {}
        self._theory: dict[Any, xr.Dataset] = {}

    def starts(self, one: EscapeStudy) -> "list[Start]":
        """The starts of a study of one cell."""
        from .. import _build

        key = one.model_dump_json(include={"landscape", "start"})
        if key not in self._starts:
            surface = self.surface(one).landscape
            self._starts[key] = [_build.start(spec, surface) for spec in one.start]
        return self._starts[key]

    def theory(self, one: EscapeStudy, number: int) -> "xr.Dataset":
        """Theory beside the start of that number in a study of one cell."""
        from ._escape_theory import theory

        # the SDE depends on γ and M only through γ/M: cells of one ratio share their theory
        ratio = float(f"{one.sweep.learning_rate / one.sweep.batch_size:.12g}")
        parts = one.model_dump_json(include={"landscape", "noise", "chain", "start", "horizon", "reference"})
        if (number, ratio, parts) not in self._theory:
            found = theory(one, self.surface(one), self.starts(one)[number], ratio)
            self._theory[number, ratio, parts] = found
        return self._theory[number, ratio, parts]


def _check(one: EscapeStudy, surface: Surface, starts: "list[Start]") -> None:
    """Raise what a cell would raise, before anything is written."""
    from ..._numerics import bound, of_each, with_slope

    # by programs: else JAX would compile each operation of a person's loss
    loss = bound(with_slope("loss"), surface.landscape)
    for start in starts:
        start.region.check(surface.landscape.dim)
        if not np.all(bound(of_each("contains"), start.region)(start.point[None])):
            raise StudyError(f"start '{start.name}' must lie inside its region, got {start.point.tolist()}")
        if not all(np.all(np.isfinite(np.asarray(each))) for each in loss(start.point)):
            raise StudyError(f"start '{start.name}' must have a finite loss and gradient, got {start.point.tolist()}")
    one.check_grid(surface, *(start.point for start in starts))
