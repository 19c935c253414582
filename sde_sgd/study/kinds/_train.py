"""Study kind `train`: networks on real data over learning rate × batch size × momentum × width, and what they find."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from ..._quantities import TO_A_LOSS
from .._errors import StudyError
from .._kind import AbstractStudy, register
from .._sections import DataSpec, Name, NetworkSpec, Quantity
from ..reporting._text_table import Column
from ._axes import LAST, LETTERS, ratio, slices, sweep_columns
from ._budget import AbstractBudgetStudy, over
from ._train_sections import CurveSpec, StopSpec, TrainingSweep

if TYPE_CHECKING:
    import xarray as xr


@register
class TrainStudy(AbstractBudgetStudy):
    """Networks trained on real data for every reading of "equal", width, learning rate, batch size and momentum.

    Source: Keskar and others 2017 for batch sizes, Greydanus and Kobak 2024 (arXiv 2011.14439) for widths, Cohen and
    others 2021 (arXiv 2103.00065) for the edge of stability.

    kind: "train". data: the examples. network: its layers. loss: of one example.
    penalty: weight λ of (λ/2)‖θ‖² (weight decay).
    sweep: learning rates, batch sizes, momenta, widths. networks: in each cell; the k-th begins alike in all.
    sampling: as of `ss.train`. stop: when networks end, once or several times: with equal epochs, steps or loss.
    measures: names of `training.MEASURES`, of each network where it ended.
    question: what figure and verdicts are about: "batch", measures against M at equal γ; "ratio", against γ/M;
        "width", the double descent; "edge", sharpness times γ/2 over steps, the edge of stability.
    reference: curves of others beside it, of the question "width".
    budget: path-steps of the whole study, of which a pilot has a quarter of the `networks` in each cell, and eight at
        least. All cells are then run anew, with as many as make the widest interval of the first measure's mean,
        against its value, as narrow as may be, but at most `networks`; with rtol, no more than that takes.
    rtol: relative half-width asked of the first measure's mean.
    """

    share = "networks"
    least = 2
    counted: ClassVar[tuple[str, str]] = ("network", "networks")
    last = LAST
    always = ("sweep.learning_rate", "sweep.batch_size")
    alone = (*AbstractStudy.alone, "networks", "measures", "question", "loss", "budget", "rtol")

    kind: Literal["train"] = "train"
    data: DataSpec
    network: NetworkSpec = NetworkSpec()
    loss: Literal["cross_entropy", "squared_error"] = "cross_entropy"
    penalty: Annotated[float, Field(ge=0, allow_inf_nan=False), Quantity("1", "weight decay")] = 0.0
    sweep: TrainingSweep
    networks: Annotated[int, Field(ge=2, strict=True)] = 64
    sampling: Literal["epoch", "replacement", "without"] = "epoch"
    stop: Annotated[list[StopSpec], Field(min_length=1)]
    measures: list[Name] = Field(default=["train_loss", "held_out_loss", "sharpness"], min_length=1)
    question: Literal["batch", "ratio", "width", "edge"] = "batch"
    reference: list[CurveSpec] = Field(default=[])
    rtol: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None

    @classmethod
    def spelt_out(cls, table):
        table = super().spelt_out(table)
        return table | {"stop": [table["stop"]]} if isinstance(table.get("stop"), dict) else table

    @model_validator(mode="after")
    def _consistent(self):
        labels = [stop.label for stop in self.stop]
        if len(set(labels)) != len(labels):
            raise ValueError(f"stop must not say the same twice, got {labels}")
        if len(set(self.measures)) != len(self.measures):
            raise ValueError(f"measures must not repeat one, got {self.measures}")
        if self.network.function is None and (self.network.hidden is None) == (self.sweep.width is None):
            raise ValueError("give either network.hidden or sweep.width, not both or none")
        if self.network.layers is not None and self.sweep.width is None:
            raise ValueError("network.layers is how many layers have the width of the sweep, which has none")
        if self.question == "width" and self.sweep.width is None:
            raise ValueError("the question 'width' needs sweep.width")
        if self.question == "edge" and "sharpness" not in self.measures:
            raise ValueError(f"the question 'edge' needs the measure sharpness, got {self.measures}")
        return self

    def interval(self):
        return self.measures[0], {}

    @property
    def most(self):
        return self.networks

    def of_the_pilot(self):
        # curvatures, which are dear, are measured where it is the first that is asked for
        return {
            "networks": min(self.networks, max(_PILOT, self.networks // 4)),
            "measures": self.measures[:1],
            "question": "batch",
        }

    def costs(self, pilot):
        # where networks end at a loss they differ in their steps
        longest = over(self, pilot["steps_high"])
        return np.where(np.isfinite(longest), longest, over(self, pilot["path_steps"]) / self.number)

    def own_axes(self):
        return {"reading": len(self.stop)}

    def coordinates(self):
        found = super().coordinates()
        return found | {
            "reading": ("reading", self._readings(), {"units": "", "long_name": "what is equal"}),
            "to_a_loss": ("reading", [stop.loss is not None for stop in self.stop], TO_A_LOSS),
            "network": ("network", np.arange(self.networks), {"units": "1", "long_name": "number of the network"}),
            "ratio": ratio(self, found),
        }

    def _readings(self) -> list[str]:
        """What the stops are called; of one that is swept, not by its number."""
        swept = [self.is_swept(f"stop.{place}") for place in range(len(self.stop))]
        return [
            (stop.name or "as swept") if is_swept else stop.label
            for stop, is_swept in zip(self.stop, swept, strict=True)
        ]

    def attributes(self):
        curves: dict[str, Any] = {}
        for curve in self.reference:
            curves[f"reference_{curve.measure}"] = [[*map(float, curve.width)], [*map(float, curve.value)]]
            curves["reference_label"] = curve.label
        measured = {"measures": ",".join(self.measures), "question": self.question}
        measured |= {} if self.is_swept("sampling") else {"sampling": self.sampling}
        return measured | curves

    def work(self, index):
        values = self.values_at(index)
        size, width = values["sweep.batch_size"], values.get("sweep.width", 1)
        steps = self.stop[index["reading"]].steps_of(self.data.examples or 1_000, size)
        # a step has an overhead, as large as some examples
        return steps * (size + 16) * width

    def code(self, folder):
        from .._build import code_named

        return code_named(self.network.function, folder)

    def answers(self):
        names = (*self.measures, "steps")
        over = dict.fromkeys((f"{name}{end}" for name in names for end in _QUANTILES), ())
        return dict.fromkeys(names, ()) | over | {f"{name}_of_each": ("network",) for name in names}

    def prepare(self, folder):
        """Returns a function from studies of one cell to their risk and starts, of which it keeps some."""
        from .. import _networks

        self.check_number()
        _networks.check_measures(self.measures, ss.training.MEASURES)
        self.check_published()

        @functools.lru_cache(maxsize=16)
        def made(data: str, network: str, width: int | None, loss: str, penalty: float, seed: int) -> _Ensemble:
            spec = NetworkSpec.model_validate_json(network)
            hidden = [width] * (spec.layers or 1) if width else spec.hidden or []
            found = examples(data)
            return _ensemble(self.networks, seed, _networks.risk(spec, hidden, found, loss, penalty, folder))

        @functools.lru_cache(maxsize=16)
        def examples(data: str) -> Any:
            return _networks.examples(DataSpec.model_validate_json(data))

        def ensemble(one: TrainStudy) -> _Ensemble:
            data, network = (
                one.data.model_dump_json(exclude_unset=True),
                one.network.model_dump_json(exclude_unset=True),
            )
            # those of a pilot begin elsewhere
            return made(data, network, one.sweep.width, one.loss, one.penalty, one.seed)

        # what a network cannot be is said before anything is written
        for one in self.along_axes():
            number, size = len(examples(one.data.model_dump_json(exclude_unset=True)).targets), one.sweep.batch_size
            if one.sampling != "replacement" and size > number:
                raise StudyError(
                    f"sweep.batch_size must be at most the {number} examples without replacement, got {size}"
                )
        found = ensemble(self.at(dict.fromkeys(self.axes(), 0))).risk
        if found.held_out is None and any(name.startswith("held_out") for name in self.measures):
            raise StudyError(f"measures of what is held out need data.held_out above 0, got {self.measures}")
        if self.loss != "cross_entropy" and any(name.endswith("accuracy") for name in self.measures):
            raise StudyError(f"measures of accuracy need a data set whose targets are labels, got {self.measures}")
        return ensemble

    def run_cell(self, cell, shared):
        one = self.of_cell(cell)
        stop, ensemble = one.stop[cell.index["reading"]], shared(one)
        trained = ss.train(
            ensemble.risk,
            networks=one.networks,
            learning_rate=one.sweep.learning_rate,
            batch_size=one.sweep.batch_size,
            momentum=one.sweep.momentum,
            sampling=one.sampling,
            stop=stop.rule(),
            start=ensemble.starts[: one.networks],
            seed=cell.seed,
        )
        where = ", ".join([stop.label, *self.words_at(cell.index, LETTERS)])
        return self.judged(_cell_dataset(self, trained, cell.seed, where), where)

    def columns(self):
        columns = [Column("at equal", "reading"), *sweep_columns(self)]
        columns.append(Column("lost", "diverged", "networks that diverged: left out of all that follows", digits=6))
        if any(stop.loss is not None for stop in self.stop):
            columns.append(
                Column("late", "late", "networks that did not come to the loss: steps and verdicts leave them out")
            )
            columns.append(Column("steps", "steps", "mean over networks", interval=True))
        for name in self.measures:
            header = name.replace("held_out", "test").replace("_", "\n")
            columns.append(Column(header, name, f"{ss.training.MEASURES[name].words}, mean over networks", True))
        return columns

    def heading(self, dataset):
        attributes = dataset.attrs
        examples = f": {attributes['examples']:g} examples to train on" if "examples" in attributes else ""
        parts = [f"{self.data.name}{examples}"]
        for words, key, value in (
            ("label noise", "data.label_noise", self.data.label_noise), ("penalty", "penalty", self.penalty)
        ):  # fmt: skip
            parts += [f"{words} {value:g}"] if value and not self.is_swept(key) else []
        sampling = "as swept" if self.is_swept("sampling") else self.sampling
        lines = [f"{', '.join(parts)}; batches by sampling = {sampling}; starts differ between networks"]
        return [*lines, *self.budget_lines(dataset)]

    def verdicts(self, dataset):
        return ss.training.verdicts(dataset)

    def figures(self, dataset):
        from ... import plotting

        draw = {
            "batch": plotting.batch_figure,
            "ratio": plotting.trade_off_figure,
            "width": plotting.width_figure,
            "edge": plotting.edge_figure,
        }[self.question]
        kept = ("steps", "epochs") if self.question == "edge" else ()
        kept += ("reading", "width", "learning_rate", "batch_size", "momentum", "network")
        parts = slices(dataset, kept, of="train_loss" if "train_loss" in dataset else self.measures[0])
        return {f"{self.question}{name}.png": draw(part) for name, part in parts}


# endings of the quartiles over networks
_QUANTILES = tuple(f"_quantile_{share}" for share in (0.25, 0.5, 0.75))
# networks in each cell of a pilot, at least
_PILOT = 8


class _Ensemble(NamedTuple):
    risk: "ss.EmpiricalRisk"
    starts: np.ndarray


def _ensemble(networks: int, seed: int, made: "tuple[ss.EmpiricalRisk, Callable[[Any], Any]]") -> _Ensemble:
    import jax

    risk, make = made
    keys = jax.random.split(jax.random.key(seed), networks)
    return _Ensemble(risk, np.stack([np.asarray(risk.flatten(make(key))) for key in keys]))


def _cell_dataset(study: TrainStudy, trained: "ss.Training", seed: int, where: str) -> "xr.Dataset":
    """Laws over networks, and the numbers of each network beside them, as `…_of_each`."""
    data = ss.training.laws_and_networks(trained, study.measures, study.confidence)
    data = data.drop_vars(list(data.coords))
    if trained.networks < study.networks:
        # those that the budget has no room for
        data = data.pad(network=(0, study.networks - trained.networks), keep_attrs=True)
    counts = {
        "path_steps": (trained.steps.sum(), "steps", "cost, in steps over all networks"),
        "cell_seed": (seed, "1", "seed of the cell's random numbers, to replay a network"),
    }
    for name, (value, units, words) in counts.items():
        data[name] = ((), float(value), {"units": units, "long_name": words})
    data["status"] = ((), str(trained.status), {"units": "", "long_name": "whether what was asked for was done"})
    found = [str(trained.verdict)] if trained.reasons else []
    notes = [f"{where}: {note}" for note in [*found, *data.attrs["unknown"].splitlines()]]
    data.attrs = {"notes": "\n".join(notes), "examples": trained.risk.examples}
    return data
