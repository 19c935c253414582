"""Sections that study files of several kinds have, and the types of their keys."""

import math
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import ConfigDict, Field, field_validator, model_validator

from .._errors import choose
from .._quantities import WORDS
from ._strict import StrictModel

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Confidence = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
# of a grid: the equations of more do not fit a memory
_MOST_CELLS = 1_000_000


class Quantity(NamedTuple):
    """What a number is, as metadata of its field: units, and words for the axis of a figure, `long_name`."""

    units: str
    words: str

    @property
    def attributes(self) -> dict[str, str]:
        """As a variable of a dataset has them."""
        return {"units": self.units, "long_name": self.words}


LEARNING_RATE, BATCH_SIZE, MOMENTUM = (Quantity(each["units"], each["long_name"]) for each in WORDS.values())
TIME = Quantity("SDE time", "SDE time t = γ·iterations")
Rate = Annotated[Positive, LEARNING_RATE]
Batch = Annotated[Positive, BATCH_SIZE]


def check_names(what: str, entries: "list[Any]") -> list[str]:
    """The names of the entries of a list of sections. Raises ValueError where two are alike. what: they name."""
    names = [entry.name for entry in entries]
    if len(set(names)) != len(names):
        raise ValueError(f"{what} names must differ, got {names}")
    return names


class Section(StrictModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(StrictModel):
    """A thing chosen by `kind` with its parameters as the other keys; the builder checks their names.

    kind: the name of a class, whose parameters are the other keys.
    room: of the library, where that class is.
    """

    room: ClassVar[str] = ""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class DataSpec(Section):
    """Examples by the name of their data set in `sde_sgd.data`.

    name: of the data set. held_out, seed: as of that function; samples: too, of those that are made.
    features, scales, slope, noise: as of the functions gaussian and gaussian_moments. degree: of chebyshev.
    examples: how many of the training part are used.
    label_noise: share of the training labels that are another one, drawn once.
    """

    name: Literal["digits", "breast_cancer", "diabetes", "mnist1d", "gaussian", "gaussian_moments", "chebyshev"]
    held_out: Share | None = None
    seed: Seed | None = None
    samples: Count | None = None
    features: Count | None = None
    scales: list[Positive] | None = None
    slope: Annotated[Finite | None, Quantity("target", "slope of the targets")] = None
    noise: Annotated[Finite | None, Quantity("target", "deviation of the targets' noise")] = None
    degree: Count | None = None
    examples: Annotated[Count | None, Quantity("examples", "examples to train on")] = None
    label_noise: Annotated[Share, Quantity("1", "share of labels that are wrong")] = 0.0


class NetworkSpec(Section):
    """Hidden layers and their activation; or a function of a JAX key that makes a model, "module:name".

    hidden: widths, an empty list for a linear model.
    layers: how many, in place of widths, each as wide as the sweep says. activation: of hidden layers.
    bias: whether layers have constants beside their weights.
    function: of a JAX key that makes a model, "module:name", in place of layers; where the sweep has a width it takes a
        keyword `width`.
    """

    hidden: list[Count] | None = None
    layers: Annotated[Count | None, Quantity("layers", "hidden layers")] = None
    activation: Literal["tanh", "relu", "gelu", "sigmoid", "softplus", "identity"] = "tanh"
    bias: bool = True
    function: Annotated[str, Field(pattern=r"^[^:]+:[^:]+$")] | None = None

    @model_validator(mode="after")
    def _one_source(self):
        if self.function is not None and (self.hidden is not None or self.layers is not None):
            raise ValueError("network takes either a function or hidden layers, not both")
        if self.function is not None and not self.bias:
            raise ValueError("network.bias is of layers, and a function is given")
        return self


class LandscapeSpec(Part):
    """A landscape of the zoo (`kind`, its parameters), a person's own loss (`function`), or the risk of a network.

    kind: a class of `sde_sgd.landscapes`, whose parameters are the other keys; "EmpiricalRisk" for a network on data.
    function: "module:name" of a loss, a JAX function of θ. dim: its number of components, or that of a kind.
    data, network: the examples and the network of an EmpiricalRisk. loss: of one example.
    penalty: weight decay of an EmpiricalRisk. seed: of its initial weights, the point "initial".
    """

    room = "landscapes"

    kind: str = "function"
    function: str | None = None
    dim: int | None = None
    data: DataSpec | None = None
    network: NetworkSpec | None = None
    loss: Literal["cross_entropy", "squared_error"] = "cross_entropy"
    penalty: Annotated[float, Field(ge=0, allow_inf_nan=False), Quantity("1", "weight decay")] = 0.0
    seed: Seed = 0

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {}) | ({} if self.dim is None else {"dim": self.dim})

    @property
    def is_risk(self) -> bool:
        """Whether it is the risk of a network."""
        return self.kind == "EmpiricalRisk"

    @model_validator(mode="after")
    def _one_source(self):
        if (self.kind == "function") != (self.function is not None):
            raise ValueError("landscape takes either a kind of the zoo or function = 'module:name', not both or none")
        if self.function is not None:
            if self.function.count(":") != 1 or not all(self.function.split(":")):
                raise ValueError(f"landscape.function must read 'module:name', got '{self.function}'")
            if self.dim is None:
                raise ValueError("landscape.dim is missing: a function's number of parameters must be given")
            unknown = set(self.model_extra or {}) - {"parameters"}
            if unknown:
                raise ValueError(choose("key in landscape", min(unknown), ["function", "dim", "parameters"]))
        of_a_risk = ["data", "network", "loss", "penalty", "seed"]
        fields = type(self).model_fields
        given = [name for name in of_a_risk if getattr(self, name) != fields[name].default]
        if not self.is_risk and given:
            raise ValueError(f"landscape.{min(given)} is for kind EmpiricalRisk, got it for {self.kind}")
        if self.is_risk:
            network = self.network
            if self.data is None or network is None or (network.hidden is None and not network.function):
                raise ValueError(
                    "landscape of kind EmpiricalRisk needs landscape.data, and landscape.network with hidden layers "
                    "or a function"
                )
            if self.parameters:
                raise ValueError(choose("key in landscape of kind EmpiricalRisk", min(self.parameters), of_a_risk))
        return self


class NoiseSpec(Part):
    """A model of the gradient noise.

    kind: a class of `sde_sgd.noise`, whose parameters are the other keys.
    reshaped: another shape at the same trace: "isotropic", "diagonal", along the "hessian", or all of it along the
        "leading" eigenvector of the covariance or of the Hessian ("leading hessian"); "full" is the model's own.
    """

    room = "noise"

    reshaped: Annotated[
        Literal["full", "isotropic", "diagonal", "hessian", "leading", "leading hessian"],
        Quantity("", "shape of the noise"),
    ] = "full"


class RegionSpec(Part):
    """A set of θ.

    kind: a class of `sde_sgd.regions`, whose parameters are the other keys. A Sublevel is one of the study's landscape.
    above: height of a start's Sublevel over the loss there, in place of its value. multiple: of that loss, likewise.
    """

    room = "regions"

    above: Annotated[Finite | None, Quantity("loss", "height above the loss at the start")] = None
    multiple: Annotated[Finite | None, Quantity("1", "multiple of the loss at the start")] = None

    @model_validator(mode="after")
    def _of_a_level(self):
        if (self.above is not None or self.multiple is not None) and self.kind != "Sublevel":
            raise ValueError(f"above and multiple are of a Sublevel, got them for {self.kind}")
        if self.above is not None and self.multiple is not None:
            raise ValueError("region takes either above or multiple, not both")
        return self


class ChainSpec(Section):
    """The chain that is run: how one step is made.

    kind: a class of `sde_sgd.chains`: "EulerMaruyama" and "Underdamped" discretise the SDE; the others are SGD itself
        and its kin, on an EmpiricalRisk. increments: of EulerMaruyama.
    sampling: how SGD draws its batches: with "replacement", "without", or reshuffled every "epoch".
    momentum: μ of MomentumSGD and Underdamped. nesterov: of MomentumSGD. l: of SVAG.
    deviation: of the label noise of LabelNoiseSGD, in units of the targets.
    """

    kind: Literal[
        "EulerMaruyama", "Underdamped", "MinibatchSGD", "MomentumSGD", "SVAG", "LabelNoiseSGD", "GradientDescent"
    ] = "EulerMaruyama"
    increments: Literal["gaussian", "rademacher"] | None = None
    sampling: Literal["replacement", "without", "epoch"] | None = None
    momentum: Annotated[Share | None, MOMENTUM] = None
    nesterov: bool | None = None
    l: Annotated[Count | None, Quantity("1", "l of SVAG")] = None
    deviation: Annotated[float | None, Field(ge=0), Quantity("target", "deviation of the label noise")] = None

    @property
    def draws_batches(self) -> bool:
        """Whether a step takes the gradient of some examples, whose number is built into its program."""
        return self.kind in ("MinibatchSGD", "MomentumSGD", "SVAG", "LabelNoiseSGD")

    @property
    def is_sde(self) -> bool:
        """Whether it discretises an SDE, so that it has a noise model and a dt."""
        return self.kind in ("EulerMaruyama", "Underdamped")

    @model_validator(mode="after")
    def _fitting(self):
        allowed = {
            "EulerMaruyama": {"increments"}, "Underdamped": {"momentum"}, "MinibatchSGD": {"sampling"},
            "MomentumSGD": {"sampling", "momentum", "nesterov"}, "SVAG": {"sampling", "l"},
            "LabelNoiseSGD": {"sampling", "deviation"}, "GradientDescent": set(),
        }[self.kind]  # fmt: skip
        given = {name for name in set(ChainSpec.model_fields) - {"kind"} if getattr(self, name) is not None}
        if given - allowed:
            name = min(given - allowed)
            takes = ", ".join(sorted(allowed)) or "nothing"
            raise ValueError(f"chain.{name} is not for {self.kind}, which takes {takes}, got {getattr(self, name)!r}")
        needed = {"Underdamped": "momentum", "MomentumSGD": "momentum", "SVAG": "l", "LabelNoiseSGD": "deviation"}
        lacks = needed.get(self.kind)
        if lacks is not None and getattr(self, lacks) is None:
            raise ValueError(f"chain.{lacks} is missing: {self.kind} needs it")
        return self


class StartSpec(Section):
    """One minimum to start in.

    name: what the study calls it.
    point: coordinates, or the name of an attribute of the landscape such as "sharp_minimum"; of an EmpiricalRisk,
        "initial", or "minimum" for where descent from there ends.
    saddle: the same, for the saddle that bounds its well; needed for Eyring–Kramers.
    region: the set to leave; left out, the side of the saddle that the point lies on.
    target: the set to reach, in place of leaving one. avoid: the set that must not be entered before it.
    """

    name: Name
    point: str | list[float]
    saddle: str | list[float] | None = None
    region: RegionSpec | None = None
    target: RegionSpec | None = None
    avoid: RegionSpec | None = None

    @model_validator(mode="after")
    def _bounded(self):
        if self.target is not None and self.region is not None:
            raise ValueError(f"start '{self.name}' must give a region to leave or a target to reach, not both")
        if self.avoid is not None and self.target is None:
            raise ValueError(f"start '{self.name}' must give a target beside what to avoid")
        if self.region is None and self.saddle is None and self.target is None:
            raise ValueError(f"start '{self.name}' must give a region or a saddle that bounds its well")
        return self


class PointSpec(Section):
    """A point of θ with a name, such as a minimum or a start.

    name: what the study calls it. point: coordinates, or the name that the landscape has for it, as of a start.
    """

    name: Name
    point: str | list[float]


class SweepSpec(Section):
    """Every learning rate γ is run with every batch size M.

    learning_rate: γ, SDE time per iteration. batch_size: M, in examples.
    """

    learning_rate: Rate
    batch_size: Batch


class ScheduleSpec(Section):
    """How the learning rate falls from that of the sweep, by a schedule of optax.

    kind: "exponential" is γ·factor^(k/iterations) at iteration k, "cosine" and "linear" fall to factor·γ over the
        iterations and stay there: optax's exponential_decay, cosine_decay_schedule and linear_schedule.
    iterations: of SGD; one lasts the learning rate at the beginning in SDE time. factor: by which the rate falls in
        them, at least 0 (above 0 for "exponential") and below 1.
    """

    kind: Literal["exponential", "cosine", "linear"]
    iterations: Annotated[Count, Quantity("iterations", "iterations of the schedule")]
    factor: Annotated[Share, Quantity("1", "factor by which the learning rate falls")]

    @model_validator(mode="after")
    def _above_zero(self):
        if self.kind == "exponential" and self.factor == 0:
            raise ValueError("schedule.factor of kind exponential must be above 0, got 0")
        return self


class DynamicsSpec(Section):
    """The strength of the noise: a learning rate γ and a batch size M, or a temperature.

    learning_rate: γ, SDE time per iteration. batch_size: M, in examples.
    temperature: T of dX = −∇L dt + √(2T) dW, in units of the loss, in place of both and of a noise model.
    """

    learning_rate: Annotated[Positive | None, LEARNING_RATE] = None
    batch_size: Annotated[Positive | None, BATCH_SIZE] = None
    temperature: Annotated[Positive | None, Quantity("loss", "temperature T")] = None

    @model_validator(mode="after")
    def _one_way(self):
        both = self.learning_rate is not None and self.batch_size is not None
        if both == (self.temperature is not None) or (self.learning_rate is None) != (self.batch_size is None):
            raise ValueError("sweep must give learning_rate and batch_size, or temperature")
        return self


class ReferenceSpec(Section):
    """The grid of the exact solver.

    grid: [low, high, cells] for one dimension, a list of two of these for two.
    """

    grid: list[Finite] | list[list[Finite]]

    @field_validator("grid")
    @classmethod
    def _axes(cls, grid):
        axes = grid if grid and isinstance(grid[0], list) else [grid]
        for axis in axes:
            if len(axis) != 3 or not axis[0] < axis[1] or axis[2] < 8 or axis[2] != int(axis[2]):
                raise ValueError(f"must be [low, high, cells] with low < high and at least 8 cells, got {axis}")
        cells = math.prod(axis[2] for axis in axes)
        if cells > _MOST_CELLS:
            raise ValueError(f"must have at most {_MOST_CELLS} cells, of all axes together, got {cells:g}")
        return grid
