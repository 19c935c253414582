"""Study kind `compare`: chains on the risk of a network, looked at at the same SDE times, and told apart or not."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._errors import StudyError, before_any_cell
from .._kind import AbstractStudy, register
from .._sections import ChainSpec, Count, LandscapeSpec, Name, NoiseSpec, Positive, Quantity, SweepSpec, check_names
from ..reporting._text_table import Column
from ._axes import LAST, LETTERS, slices, sweep_columns
from ._budget import AbstractBudgetStudy
from ._dynamics import surfaces

if TYPE_CHECKING:
    import xarray as xr

# looks where only the end is given, as of `ss.compare`
_LOOKS = 8


class NamedChainSpec(ChainSpec):
    """A chain of the comparison, by name.

    name: what the study calls it. noise: of an SDE; by default that of the examples, PerExample.
    substeps: steps of an SDE to one learning rate; with one its Euler–Maruyama step is SGD with Gaussian noise.
    kind, increments, sampling, momentum, nesterov, l, deviation: as of any chain.
    """

    name: Name
    noise: NoiseSpec | None = None
    substeps: Count | None = None

    @model_validator(mode="after")
    def _of_an_sde(self):
        if not self.is_sde and (self.noise is not None or self.substeps is not None):
            raise ValueError(f"chain '{self.name}' is no SDE, which noise and substeps are for, got {self.kind}")
        return self


@register
class CompareStudy(AbstractBudgetStudy):
    """Chains from one start for the same SDE time, and which of them differ from the first.

    Source: as of `compare`, which has the tests; Li, Malladi and Arora 2021 (arXiv 2102.12470) ask so by SVAG.

    kind: "compare". landscape: of kind "EmpiricalRisk". sweep: learning rate and batch size of all chains.
    chain: at least two, the first of which the others are compared with.
    start: "initial", the weights of the landscape's seed, or "minimum", where descent from there ends.
    time: SDE time of the end, with 8 looks on the way; or times: of the looks, which are whole steps of every chain.
    times: rising SDE times. networks: of each chain, in every cell.
    measures: names of `training.MEASURES`, seen at every look. permutations: of the labels, for the p-values.
    budget: path-steps of the whole study, the pilot's included, of which each cell has `networks`. All cells are then
        run anew, with as many as make the widest interval of the first measure's mean, of any chain at the end and
        against its value, as narrow as may be; with rtol, no more than that takes. rtol: relative half-width asked.
    """

    share = "networks"
    least = 2

    counted: ClassVar[tuple[str, str]] = ("network", "networks")
    last = LAST
    alone = (*AbstractStudy.alone, "times", "measures", "budget", "rtol")

    kind: Literal["compare"] = "compare"
    landscape: LandscapeSpec
    sweep: SweepSpec
    chain: Annotated[list[NamedChainSpec], Field(min_length=2)]
    start: Literal["initial", "minimum"] = "initial"
    time: Annotated[Positive | None, Quantity("SDE time", "end of the comparison")] = None
    times: Annotated[list[Positive], Field(min_length=1)] | None = None
    networks: Annotated[int, Field(ge=2, strict=True), Quantity("networks", "networks of each chain")] = 256
    measures: Annotated[list[Name], Field(min_length=1)] = Field(default=["loss"])
    permutations: Count = 1_999
    rtol: Positive | None = None

    @model_validator(mode="after")
    def _consistent(self):
        if not self.landscape.is_risk:
            raise ValueError(f"landscape must be of kind EmpiricalRisk to be compared on, got {self.landscape.kind}")
        check_names("chain", self.chain)
        if (self.time is None) == (self.times is None):
            raise ValueError("give either time or times, not both or none")
        return self

    @property
    def looks(self) -> int:
        """How many looks there are on the way, at most."""
        return _LOOKS if self.times is None else len(self.times)

    def interval(self):
        return self.measures[0], {"look": -1}

    def coordinates(self):
        number = {"units": "1", "long_name": "number of the look"}
        return super().coordinates() | {"look": ("look", np.arange(1.0, self.looks + 1), number)}

    def attributes(self):
        return {"measures": ",".join(self.measures)}

    def asked(self, index):
        return (*super().asked(index), self.values_at(index).get("sweep.batch_size"))

    def code(self, folder):
        from .. import _build

        return _build.code_of(self.landscape, folder)

    def answers(self):
        found = dict.fromkeys((*self.measures, "steps"), ("chain", "look"))
        told = dict.fromkeys(("law_distance", "p_look", "p_pointwise"), ("other", "look", "statistic"))
        return found | told | {"loss_theory": ("look",), "p_value": ("other",), "smallest_shift": ("other",)}

    def prepare(self, folder):
        from ...training._compare import looks_of
        from .. import _networks

        _networks.check_measures(self.measures, ss.training.MEASURES)
        self.check_published()
        shared = _Shared(folder)
        for one in self.along_axes():
            one.check_number()
            with before_any_cell():
                looks_of(shared.chains(one), one.time, one.times)
        return shared

    def run_cell(self, cell, shared):
        one = self.of_cell(cell)
        ends: dict[str, Any] = {"time": one.time} if one.times is None else {"times": one.times}
        result = ss.compare(
            shared.risk(one),
            shared.start(one),
            chains=shared.chains(one),
            **ends,
            networks=one.networks,
            measures=self.measures,
            permutations=one.permutations,
            seed=cell.seed,
            confidence=self.confidence,
        )
        where = ", ".join(self.words_at(cell.index, LETTERS)) or self.name
        return self.judged(_cell_dataset(result, cell.seed, where, self.looks), where)

    def columns(self):
        columns = sweep_columns(self)
        measure, names = self.measures[0], [each.name for each in self.chain]
        header = measure.replace("_", " ")
        for place, name in enumerate(names):
            at = {"chain": place, "look": -1}
            columns.append(Column(f"{header}\n{name}", measure, f"mean {header} of {name} at the end", True, at))
        for place, name in enumerate(names[1:]):
            at = {"other": place}
            words = f"p-value of {name} against {names[0]}, one budget for all looks and measures"
            columns.append(Column(f"p\n{name}", "p_value", words, at=at, digits=2))
            words = f"shift of the {header} of {name} that would have been seen with probability 80 %"
            columns.append(Column(f"shift\n{name}", "smallest_shift", words, at=at, digits=2))
        return columns

    def heading(self, dataset):
        spec = self.landscape.data
        assert spec is not None
        number = f"{self.networks} networks of each" if self.budget is None else "as many networks of each"
        return [f"{spec.name}; all chains from {self.start}, {number}", *self.budget_lines(dataset)]

    def verdicts(self, dataset):
        words, said = dataset["sentence"], []
        for place in np.ndindex(words.shape):
            index = dict(zip(map(str, words.dims), place, strict=True))
            if words.values[place]:
                where = ", ".join(self.words_at(index, LETTERS))
                said.append(f"{where}: {words.values[place]}" if where else str(words.values[place]))
        return said

    def figures(self, dataset):
        from ... import plotting

        kept, figures = ("chain", "look", "other", "statistic"), {}
        for name, part in slices(dataset, kept, of=self.measures[0]):
            part = part.dropna("look", subset=["look_time"])
            if part.sizes["look"]:
                part = part.assign_coords(time=part["look_time"]).swap_dims(look="time")
                figures[f"comparison{name}.png"] = plotting.comparison(
                    part.drop_vars("diverged").rename(diverged_of_each="diverged")
                )
        return figures


class _Shared:
    """What cells share: risks and where they begin, each made when it is first asked for."""

    def __init__(self, folder: Path):
        self._surface_of = surfaces(folder)
        self._starts: dict[str, Any] = {}

    def risk(self, one: CompareStudy) -> "ss.EmpiricalRisk":
        """The risk of a study of one cell."""
        risk: Any = self._surface_of(one.landscape, None).landscape
        return risk

    def start(self, one: CompareStudy) -> Any:
        """θ of shape (dim,), or None for the risk's own."""
        from .. import _build

        if one.start == "initial":
            return None
        key = one.landscape.model_dump_json()
        if key not in self._starts:
            self._starts[key] = _build.point_of("start", one.start, self.risk(one))
        return self._starts[key]

    def chains(self, one: CompareStudy) -> dict[str, Any]:
        """The chains of a study of one cell, by name. Raises StudyError where they do not fit the risk."""
        from .. import _build, _chains

        risk, rate, found = self.risk(one), one.sweep.learning_rate, {}
        for spec in one.chain:
            noise = None
            if spec.is_sde:
                noise = ss.noise.PerExample() if spec.noise is None else _build.noise_model(spec.noise)
            dt = rate / (spec.substeps or 1) if spec.is_sde else None
            try:
                found[spec.name] = _chains.chain(spec, risk, noise, one.sweep, dt)
            except ValueError as error:
                raise StudyError(f"chain '{spec.name}': {_build.one_line(error)}") from None
        return found


def _cell_dataset(result: "ss.training.Comparison", seed: int, where: str, looks: int) -> "xr.Dataset":
    """The comparison's own dataset over looks, whose times may differ from cell to cell; the last look comes last."""
    data = result.to_dataset().drop_attrs(deep=False).rename(diverged="diverged_of_each")
    data["look_time"] = ("time", data["time"].values, data["time"].attrs)
    numbers = np.arange(looks - data.sizes["time"] + 1.0, looks + 1)
    data = data.drop_vars("time").rename(time="look").assign_coords(look=numbers)
    data = data.reindex(look=np.arange(1.0, looks + 1))
    for name in ("chain", "other", "statistic"):
        data[name].attrs["units"] = ""
    lost = int(result.diverged[:, -1].sum())
    counts = {
        "trajectories": (result.networks * len(result.names), "networks", "networks of all chains"),
        "diverged": (lost, "networks", "networks of all chains that are not finite at the end"),
        "path_steps": (result.networks * int(result.steps[:, -1].sum()), "steps", "cost, in steps over all networks"),
        "cell_seed": (seed, "1", "seed of the cell's random numbers, to replay a network"),
    }
    for name, (value, units, words) in counts.items():
        data[name] = ((), float(value), {"units": units, "long_name": words})
    data["status"] = ((), str(result.status), {"units": "", "long_name": "whether what was asked for was done"})
    data["sentence"] = ((), result.sentence, {"units": "", "long_name": "which chains were told from the first"})
    notes = [f"{where}: {result.result}"] if result.reasons else []
    notes += [f"{where}: no theory: {result.without_theory}"] if result.without_theory else []
    return data.assign_attrs(notes="\n".join(notes))
