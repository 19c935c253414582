"""Study kind `trained_escape`: SGD, its SDE and theory leave minima that training found, over γ and M."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._dataset import STATUS
from .._errors import StudyError
from .._kind import AbstractStudy, register
from .._sections import Count, LandscapeSpec, Name, Positive, Quantity, check_names
from ..reporting._text_table import Column
from ._axes import LAST, LETTERS, named_key, ratio, slices, sweep_columns
from ._budget import AbstractWatchStudy
from ._trained_escape_sections import HeightSpec, SgdSweep, TrainedStartSpec, TrainingSpec

if TYPE_CHECKING:
    import xarray as xr

    from ._trained_minima import TrainedMinimum

_PROCESSES = ("sgd", "sde", "linear")
_HEADERS = {"sgd": "SGD", "sde": "SDE", "linear": "linear"}
_LONG = {"sgd": "of minibatch SGD", "sde": "of its SDE", "linear": "of the SDE linearised at the minimum"}
# of the linearised diffusion's stationary law, which `HeightSpec` knows too
_EXCESS = "γTr(V)/(4M), excess loss that the noise keeps up at the minimum"


@register
class TrainedEscapeStudy(AbstractWatchStudy):
    """When SGD, its SDE, and the SDE linearised there, leave minima that training found, over γ and M.

    Source: as of `escape_from`.

    kind: "trained_escape". landscape: of kind "EmpiricalRisk". training: of the networks.
    start: the minima that training with each batch size found. height: of the set that is left, above the minimum.
    sweep: learning rates and batch sizes of the escapes. processes: "sgd", "sde" and "linear", as of
        `ss.training.escape_from`.
    iterations: most that are watched; beyond, mean times are extrapolated by the hazard. horizon: SDE time in place of
        them, by which the table then says how probable it is to have left.
    trajectories: of each process in every cell. method: "direct", or "auto" and "splitting" for exits that are rare.
    leave_saddles: whether to go on, downhill, where what training found lies above a saddle.
    measures: names of `training.MEASURES`, of each minimum.
    budget: path-steps of the whole study, the pilot's included, of which each process has `trajectories` in each cell.
        All cells are then run anew, with as many as make the widest interval of a mean time, against its value, as
        narrow as may be; with rtol, no more than that takes. rtol: relative half-width asked of the mean times.
    """

    of_a_time = True

    counted: ClassVar[tuple[str, str]] = ("trajectory", "trajectories")
    last = LAST
    always = ("sweep.learning_rate", "sweep.batch_size")
    alone = (*AbstractStudy.alone, "processes", "measures", "training.networks", "budget", "rtol")

    kind: Literal["trained_escape"] = "trained_escape"
    landscape: LandscapeSpec
    training: TrainingSpec
    start: Annotated[list[TrainedStartSpec], Field(min_length=1)]
    height: HeightSpec
    sweep: SgdSweep
    processes: Annotated[list[Literal["sgd", "sde", "linear"]], Field(min_length=1)] = Field(default=[*_PROCESSES])
    iterations: Annotated[Count | None, Quantity("iterations", "iterations watched")] = None
    horizon: Annotated[Positive | None, Quantity("SDE time", "horizon")] = None
    trajectories: Annotated[Count, Quantity("trajectories", "trajectories of each process")] = 1_024
    method: Literal["direct", "auto", "splitting"] = "direct"
    leave_saddles: bool = True
    measures: list[Name] = Field(default=["loss", "sharpness"])
    rtol: Positive | None = None

    @model_validator(mode="after")
    def _consistent(self):
        if not self.landscape.is_risk:
            raise ValueError(f"landscape must be of kind EmpiricalRisk to be trained on, got {self.landscape.kind}")
        check_names("start", self.start)
        if len({start.take == "all" for start in self.start}) > 1:
            raise ValueError("start.take must be 'all' for every start or for none: it makes a dimension of the study")
        if len(set(self.processes)) < len(self.processes):
            raise ValueError(f"processes must not repeat one, got {self.processes}")
        if self.budget is not None and self.method != "direct":
            raise ValueError(f"budget needs method = 'direct', got '{self.method}'")
        if (self.iterations is None) == (self.horizon is None):
            raise ValueError("give either iterations or horizon, not both or none")
        if self.horizon is not None and self.horizon < self.sweep.learning_rate:
            raise ValueError(
                f"horizon must be at least one iteration, γ = {self.sweep.learning_rate:g}, got {self.horizon:g}"
            )
        return self

    @property
    def takes_all(self) -> bool:
        """Whether every network is left, along the dimension `network`."""
        return self.start[0].take == "all"

    @property
    def watched(self) -> int:
        """Iterations watched, of a study of one cell: whole ones that the horizon has room for."""
        if self.iterations is not None:
            return self.iterations
        assert self.horizon is not None
        return int(self.horizon / self.sweep.learning_rate * (1 + 1e-9))

    def longest(self, cell):
        return len(self.processes) * self.at(cell.index).watched

    def own_axes(self):
        return {"start": len(self.start)} | ({"network": self.training.networks} if self.takes_all else {})

    def coordinates(self):
        found, names = super().coordinates(), [start.name for start in self.start]
        found |= {
            "start": ("start", names, {"units": "", "long_name": "minimum that training found"}),
            "process": ("process", self.processes, {"units": "", "long_name": "SGD, its SDE, or that linearised"}),
            "ratio": ratio(self, found),
        }
        if self.takes_all:
            words = {"units": "1", "long_name": "number of the network"}
            found["network"] = ("network", np.arange(self.training.networks), words)
        return found

    def attributes(self):
        return {"measures": ",".join(self.measures)}

    def key(self, index):
        return named_key("start", self.start[index["start"]].name, index)

    def asked(self, index):
        # batches of SGD are built into its program
        batch = self.values_at(index)["sweep.batch_size"] if "sgd" in self.processes else None
        return (*super().asked({name: at for name, at in index.items() if name not in self.own_axes()}), batch)

    def code(self, folder):
        from .. import _build

        return _build.code_of(self.landscape, folder)

    def answers(self):
        alone = dict.fromkeys((*self.measures, "noise_trace", "height", "excess", "limit"), ())
        return alone | {"mean_exit_time": ("process",), "probability": ("process",)}

    def prepare(self, folder):
        from .. import _networks
        from ._trained_minima import TrainedMinima

        _networks.check_measures([*self.measures, *(start.by for start in self.start)], ss.training.MEASURES)
        self.check_published()
        shared = TrainedMinima(folder)
        for one in self.along_axes():
            one.check_number()
            risk = shared.risk(one)
            for start in one.start:
                names = [*one.measures, start.by]
                if risk.held_out is None and any(name.startswith("held_out") for name in names):
                    raise StudyError(f"measures of what is held out need landscape.data.held_out above 0, got {names}")
                if one.training.sampling != "replacement" and start.batch_size > risk.examples:
                    raise StudyError(
                        f"batch_size of start '{start.name}' must be at most the {risk.examples} examples without "
                        f"replacement, got {start.batch_size}"
                    )
        return shared

    def run_cell(self, cell, shared):
        one = self.of_cell(cell)
        spec, number = one.start[cell.index["start"]], cell.index.get("network")
        numbered = [] if number is None else [f"network {number}"]
        where = ", ".join([f"start {spec.name}", *numbered, *self.words_at(cell.index, LETTERS)])
        trained = shared.trained(one, spec)
        notes = [f"start {spec.name}: training: {trained.verdict}"] if trained.reasons else []
        minimum = found = None
        try:
            minimum = shared.minimum(one, spec, number)
            found = ss.training.escape_from(
                shared.risk(one),
                minimum.point,
                learning_rate=one.sweep.learning_rate,
                batch_size=one.sweep.batch_size,
                height=one.height.at(minimum.measure("noise_trace")),
                processes=one.processes,
                iterations=one.watched,
                trajectories=one.trajectories,
                leave_saddles=one.leave_saddles,
                method=one.method,
                seed=cell.seed,
                confidence=self.confidence,
            )
            notes += [f"{where}: {found.result}"] if found.reasons else []
        except StudyError:
            raise
        except ValueError as error:
            notes.append(f"{where}: {' '.join(str(error).split())}")
        data, unknown = _cell_dataset(one, shared.risk(one).dim, minimum, found, cell.seed)
        notes += [f"start {spec.name}: {each}" for each in unknown]
        return self.judged(data.assign_attrs(notes="\n".join(notes)), where)

    def columns(self):
        networks = [Column("network", "network")] if self.takes_all else []
        columns = [Column("start", "start"), *networks, *sweep_columns(self)]
        columns += [
            Column(name.replace("_", " "), name, f"{ss.training.MEASURES[name].words}, at the minimum")
            for name in self.measures
        ]
        columns.append(Column("height", "height", "of the set's edge above the minimum, in units of the loss"))
        columns.append(Column("excess", "excess", _EXCESS))
        for place, name in enumerate(self.processes):
            if self.horizon is not None or self.is_swept("horizon"):
                words = f"probability to have left by the horizon, {_LONG[name]}"
                columns.append(Column(f"P\n{_HEADERS[name]}", "probability", words, True, {"process": place}))
        for place, name in enumerate(self.processes):
            words = f"mean SDE time to leave, {_LONG[name]}"
            columns.append(Column(f"time\n{_HEADERS[name]}", "mean_exit_time", words, True, {"process": place}))
        return columns

    def heading(self, dataset):
        spec, training = self.landscape.data, self.training
        assert spec is not None
        how = " each" if training.networks > 1 else ""
        found = ", ".join(f"{each.name} with M = {each.batch_size}" for each in self.start)
        line = f"{spec.name}; minima found by training {training.networks} network(s){how}: {found}"
        return [line, *self.budget_lines(dataset)]

    def verdicts(self, dataset):
        from ._trained_escape_laws import said

        lines = []
        for where, part in self._parts(dataset):
            lines += [f"{where}{line}" for line in said(part, self.processes, self.confidence)]
        return lines

    def figures(self, dataset):
        from ... import plotting
        from ._trained_escape_laws import with_laws

        parts = slices(dataset, self._kept(), of="mean_exit_time")
        made = ((name, with_laws(part, self.confidence)) for name, part in parts)
        return {f"times{name}.png": plotting.escape_times(part) for name, part in made}

    def _kept(self) -> list[str]:
        """Dimensions of what is told together: the minima, and the cells and processes of each."""
        return ["start", "process", "parameter", *dict.fromkeys(map(self.dimension, self.always))]

    def _parts(self, dataset: "xr.Dataset") -> "Iterator[tuple[str, xr.Dataset]]":
        """What is told together, with words for where in the sweep it is."""
        for _, part in slices(dataset, self._kept(), of="mean_exit_time"):
            at = [name for name in dataset["mean_exit_time"].dims if name not in self._kept()]
            words = [f"{name} = {part[name].item()}" for name in map(str, at)]
            yield f"{', '.join(words)}: " if words else "", part


def _cell_dataset(
    one: TrainedEscapeStudy, dim: int, minimum: "TrainedMinimum | None", found: Any, seed: int
) -> "tuple[xr.Dataset, list[str]]":
    """The minimum, and the times of each process over `process`; NaN for what there is not; and why it is not known.

    found: a TrainedEscape of one cell, or None.
    """
    import xarray as xr

    has = [] if found is None else [one.processes.index(name) for name in found.processes]

    def of_each(values: Any) -> np.ndarray:
        whole = np.full(len(one.processes), np.nan)
        whole[has] = np.ravel(values)
        return whole

    data = xr.Dataset()
    for name, (of, units, words) in _ESTIMATES.items():
        for end, part in zip(ss.statistics.BOUNDS, ("value", "low", "high"), strict=True):
            values = of_each([] if found is None else getattr(getattr(found, of), part))
            attributes = {"units": units, "long_name": words + ss.statistics.BOUNDS[end]}
            data[name + end] = ("process", values, attributes)
    lost = of_each([] if found is None else found.diverged)
    data["diverged_of_each"] = ("process", lost, {"units": "trajectories", "long_name": "became non-finite"})
    point = np.full(dim, np.nan) if minimum is None else minimum.point.location
    data["minimum"] = ("parameter", point, {"units": "θ", "long_name": "parameters at the minimum"})
    measures, unknown = _measures([*one.measures, "noise_trace"], minimum)
    trace = measures["noise_trace"][0]
    numbers = measures | {
        "height": (one.height.at(trace), "loss", "height of the set's edge above the minimum"),
        "excess": (one.sweep.learning_rate * trace / (4 * one.sweep.batch_size), "loss", _EXCESS),
        "limit": (np.nan if found is None else found.limit, "γ/M", "slope of log mean time at low noise, linearised"),
        "iterations": (one.watched, "iterations", "iterations watched"),
        "trajectories": (len(has) * one.trajectories, "trajectories", "trajectories of all processes"),
        # of what was not run none: it is not said to have diverged
        "diverged": (
            np.nan if found is None else np.nansum(lost),
            "trajectories",
            "trajectories that became non-finite",
        ),
        "path_steps": (0 if found is None else found.provenance.path_steps, "steps", "cost, in steps over all"),
        "cell_seed": (seed, "1", "seed of the cell's random numbers, to replay a trajectory"),
    }
    for name, (value, units, words) in numbers.items():
        data[name] = ((), float(value), {"units": units, "long_name": words})
    kind = "" if minimum is None else minimum.point.kind
    data["point"] = ((), kind, {"units": "", "long_name": "kind of the point that descent ended at"})
    status = ss.Status.INCOMPLETE if found is None else found.status
    data["status"] = ((), str(status), STATUS)
    return data, unknown


def _measures(
    names: list[str], minimum: "TrainedMinimum | None"
) -> tuple[dict[str, tuple[float, str, str]], list[str]]:
    """Value, units and words of each measure at a minimum; and why some of them are not known."""
    found, unknown = {}, []
    for name in names:
        about, value = ss.training.MEASURES[name], np.nan
        try:
            value = np.nan if minimum is None else minimum.measure(name)
        except ValueError as error:
            unknown.append(f"{name} is not known: {' '.join(str(error).split())}")
        found[name] = (value, about.units, f"{about.words}, at the minimum")
    return found, unknown


# by variable: what a TrainedEscape calls it, its unit and words
_ESTIMATES = {
    "mean_exit_time": ("mean_time", "SDE time", "mean time to leave"),
    "probability": ("probability", "1", "probability to have left in the iterations watched"),
}
