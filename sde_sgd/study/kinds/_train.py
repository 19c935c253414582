"""Study kind `train`: networks on real data over learning rate × batch size × momentum × width, and what they find."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, field_validator, model_validator

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._errors import StudyError
from .._kind import AbstractStudy, register
from .._sections import Count, Name, Positive, Section
from .._text_table import Column

if TYPE_CHECKING:
    import xarray as xr

Share = Annotated[float, Field(ge=0, lt=1)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[list[Count], Field(min_length=1)]


class DataSpec(Section):
    """Examples by the name of their data set in `sde_sgd.data`.

    held_out, seed: as of that function; samples: too, of mnist1d. examples: how many of the training part are used.
    label_noise: share of the training labels that are another one, drawn once.
    """

    name: Literal["digits", "breast_cancer", "diabetes", "mnist1d"]
    held_out: Share | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32, strict=True)] | None = None
    samples: Count | None = None
    examples: Count | None = None
    label_noise: Share = 0.0


class NetworkSpec(Section):
    """Hidden layers and their activation; or a function of a JAX key that makes a model, "module:name".

    hidden: widths, an empty list for a linear model; or layers: how many, each as wide as the sweep says, in which case
    the function takes a keyword `width`.
    """

    hidden: list[Count] | None = None
    layers: Count | None = None
    activation: Literal["tanh", "relu", "gelu", "sigmoid", "softplus"] = "tanh"
    function: Annotated[str, Field(pattern=r"^[^:]+:[^:]+$")] | None = None

    @model_validator(mode="after")
    def _one_source(self):
        if self.function is not None and (self.hidden is not None or self.layers is not None):
            raise ValueError("network takes either a function or hidden layers, not both")
        return self


class StopSpec(Section):
    """When networks end: after epochs, after steps, or at a loss (within most_epochs); name: what tables call it."""

    name: str = ""
    epochs: Positive | None = None
    steps: Count | None = None
    loss: Positive | None = None
    most_epochs: Positive | None = None

    @model_validator(mode="after")
    def _one_rule(self):
        if sum(each is not None for each in (self.epochs, self.steps, self.loss)) != 1:
            raise ValueError("stop takes one of epochs, steps and loss")
        if self.most_epochs is not None and self.loss is None:
            raise ValueError("most_epochs is the budget of a loss, which is not given")
        return self

    @property
    def label(self) -> str:
        """Its name, or the rule in words."""
        return self.name or self.rule().label

    def rule(self) -> "ss.training.AbstractStop":
        """As `ss.train` takes it."""
        if self.epochs is not None:
            return ss.training.Epochs(self.epochs)
        if self.steps is not None:
            return ss.training.Steps(self.steps)
        return ss.training.Loss(self.loss, most=ss.training.Epochs(self.most_epochs or 1_000))

    def steps_of(self, examples: int, batch: int) -> float:
        """About how many steps that is, for the progress bar."""
        return float(self.steps or (self.epochs or self.most_epochs or 100) * max(examples / batch, 1))


class TrainingSweep(Section):
    """Every learning rate γ with every batch size M, momentum μ and width; a list is a dimension."""

    learning_rate: Annotated[list[Positive], Field(min_length=1)]
    batch_size: Annotated[list[Count], Field(min_length=1)]
    momentum: Momentum | Annotated[list[Momentum], Field(min_length=1)] = 0.0
    width: Width | None = None

    @field_validator("learning_rate", "batch_size", "momentum", "width")
    @classmethod
    def _increasing(cls, values):
        if not isinstance(values, list):
            return values
        if len(set(values)) != len(values):
            raise ValueError(f"must not repeat a value, got {values}")
        return sorted(values)


class CurveSpec(Section):
    """Numbers of others to stand in the figure, which no verdict uses: of a measure, at some widths."""

    measure: str
    width: Annotated[list[Positive], Field(min_length=1)]
    value: Annotated[list[float], Field(min_length=1)]
    label: str

    @model_validator(mode="after")
    def _of_one_length(self):
        if len(self.width) != len(self.value):
            raise ValueError(f"reference must have one value for each of its {len(self.width)} widths")
        return self


@register
class TrainStudy(AbstractStudy):
    """Networks trained on real data for every reading of "equal", width, learning rate, batch size and momentum.

    data: the examples. network: its layers. loss: of one example. penalty: weight λ of (λ/2)‖θ‖² (weight decay).
    sweep: learning rates, batch sizes, momenta, widths. networks: in each cell; the k-th begins alike in all.
    sampling: as of `ss.train`. stop: when networks end, once or several times: with equal epochs, steps or loss.
    measures: names of `training.MEASURES`, of each network where it ended.
    question: what figure and verdicts are about: "batch", measures against M at equal γ; "ratio", against γ/M;
        "width", the double descent. reference: curves of others beside it, of the question "width".
    """

    counted: ClassVar[tuple[str, str]] = ("network", "networks")

    kind: Literal["train"]
    data: DataSpec
    network: NetworkSpec = NetworkSpec()
    loss: Literal["cross_entropy", "squared_error"] = "cross_entropy"
    penalty: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    sweep: TrainingSweep
    networks: Annotated[int, Field(ge=2, strict=True)] = 64
    sampling: Literal["epoch", "replacement", "without"] = "epoch"
    stop: Annotated[list[StopSpec], Field(min_length=1)]
    measures: list[Name] = Field(default=["train_loss", "held_out_loss", "sharpness"], min_length=1)
    question: Literal["batch", "ratio", "width"] = "batch"
    reference: list[CurveSpec] = Field(default=[])

    @field_validator("stop", mode="before")
    @classmethod
    def _several(cls, value):
        return [value] if isinstance(value, dict) else value

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
        return self

    def axes(self):
        return {"reading": len(self.stop)} | {name: len(values) for name, (values, *_) in self._swept().items()}

    def coordinates(self):
        swept = {
            name: (name, np.asarray(values, float), {"units": units, "long_name": words})
            for name, (values, units, words) in self._swept().items()
        }
        ratio = np.asarray(self.sweep.learning_rate)[:, None] / np.asarray(self.sweep.batch_size, float)
        per_example = {"units": "SDE time per iteration and example", "long_name": "γ/M"}
        return {
            "reading": ("reading", [stop.label for stop in self.stop], {"units": "", "long_name": "what is equal"}),
            **swept,
            "network": ("network", np.arange(self.networks), {"units": "1", "long_name": "number of the network"}),
            "ratio": (("learning_rate", "batch_size"), ratio, per_example),
        }

    def attributes(self):
        curves: dict[str, Any] = {}
        for curve in self.reference:
            curves[f"reference_{curve.measure}"] = [[*map(float, curve.width)], [*map(float, curve.value)]]
            curves["reference_label"] = curve.label
        measured = {"measures": ",".join(self.measures), "question": self.question}
        return measured | {"readings_of_a_loss": ",".join(s.label for s in self.stop if s.loss is not None)} | curves

    def work(self, index):
        values = self._at(index)
        size = values["batch_size"]
        steps = self.stop[index["reading"]].steps_of(self.data.examples or 1_000, size)
        # a step has an overhead, as large as some examples
        return steps * (size + 16) * (values["width"] or 1)

    def code(self, folder):
        if self.network.function is None:
            return ""
        from .._build import code_named

        return code_named(self.network.function, folder)

    def prepare(self, folder):
        """Returns the risks by width, with the starts; each is made when it is first asked for."""
        from .. import _networks

        _networks.check_measures(self.measures, ss.training.MEASURES)
        found = _networks.examples(self.data)
        largest = max(self.sweep.batch_size)
        if self.sampling != "replacement" and largest > len(found.targets):
            raise StudyError(
                f"sweep.batch_size must be at most the {len(found.targets)} examples without replacement, got {largest}"
            )

        @functools.cache
        def ensemble(width):
            hidden = [width] * (self.network.layers or 1) if width else self.network.hidden or []
            return _ensemble(self, _networks.risk(self.network, hidden, found, self.loss, self.penalty, folder))

        # what a network cannot be is said before anything is written
        ensemble(self.sweep.width[0] if self.sweep.width else 0)
        if found.held_out is None and any(name.startswith("held_out") for name in self.measures):
            raise StudyError(f"measures of what is held out need data.held_out above 0, got {self.measures}")
        if self.loss != "cross_entropy" and any(name.endswith("accuracy") for name in self.measures):
            raise StudyError(f"measures of accuracy need a data set whose targets are labels, got {self.measures}")
        return ensemble

    def run_cell(self, cell, shared):
        values, stop = self._at(cell.index), self.stop[cell.index["reading"]]
        ensemble = shared(values["width"])
        trained = ss.train(
            ensemble.risk,
            networks=self.networks,
            learning_rate=values["learning_rate"],
            batch_size=values["batch_size"],
            momentum=values["momentum"],
            sampling=self.sampling,
            stop=stop.rule(),
            start=ensemble.starts,
            seed=cell.seed,
        )
        named = {"learning_rate": "γ", "batch_size": "M", "momentum": "μ", "width": "width"}
        swept = [f"{named[name]} = {values[name]:g}" for name in self._swept()]
        return _cell_dataset(self, trained, cell.seed, ", ".join([stop.label, *swept]))

    def columns(self):
        swept = {
            "width": Column("width", "width", "units of each hidden layer"),
            "learning_rate": Column("γ", "learning_rate", "learning rate: SDE time per iteration"),
            "batch_size": Column("M", "batch_size", "batch size, in examples"),
            "momentum": Column("μ", "momentum", "momentum"),
        }
        columns = [Column("at equal", "reading"), *(column for name, column in swept.items() if name in self._swept())]
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
        parts = [f"{self.data.name}: {attributes['examples']:g} examples to train on"]
        parts += [f"label noise {self.data.label_noise:g}"] if self.data.label_noise else []
        parts += [f"penalty {self.penalty:g}"] if self.penalty else []
        return [f"{', '.join(parts)}; batches by sampling = {self.sampling}; starts differ between networks"]

    def verdicts(self, dataset):
        return ss.training.verdicts(dataset)

    def figures(self, dataset):
        from ... import plotting

        draw = {
            "batch": plotting.batch_figure,
            "ratio": plotting.trade_off_figure,
            "width": plotting.width_figure,
        }[self.question]
        return {f"{self.question}.png": draw(dataset)}

    def _swept(self) -> dict[str, tuple[list[Any], str, str]]:
        """Values, units and words along each axis but the reading."""
        sweep = self.sweep
        swept: dict[str, tuple[Any, str, str]] = {
            "width": (sweep.width, "units", "width of the hidden layers"),
            "learning_rate": (sweep.learning_rate, "SDE time per iteration", "learning rate γ"),
            "batch_size": (sweep.batch_size, "examples", "batch size M"),
            "momentum": (sweep.momentum, "1", "momentum μ"),
        }
        return {name: entry for name, entry in swept.items() if isinstance(entry[0], list)}

    def _at(self, index: dict[str, int]) -> dict[str, Any]:
        """The numbers of a cell; width 0 where it is not swept."""
        values: dict[str, Any] = {"width": 0, "momentum": self.sweep.momentum}
        return values | {name: entry[0][index[name]] for name, entry in self._swept().items()}


class _Ensemble(NamedTuple):
    risk: "ss.EmpiricalRisk"
    starts: np.ndarray


def _ensemble(study: TrainStudy, made: "tuple[ss.EmpiricalRisk, Callable[[Any], Any]]") -> _Ensemble:
    import jax

    risk, make = made
    keys = jax.random.split(jax.random.key(study.seed), study.networks)
    return _Ensemble(risk, np.stack([np.asarray(risk.flatten(make(key))) for key in keys]))


def _cell_dataset(study: TrainStudy, trained: "ss.Training", seed: int, where: str) -> "xr.Dataset":
    """Laws over networks, and the numbers of each network beside them, as `…_of_each`."""
    data = ss.training.laws_and_networks(trained, study.measures, study.confidence)
    data = data.drop_vars(list(data.coords))
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
