"""The study file: what it may say, and one clear sentence where it says something else."""

import hashlib
import importlib.resources
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .._errors import choose
from ._errors import StudyError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Confidence = Annotated[float, Field(gt=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(BaseModel):
    """A thing chosen by `kind` with its parameters as the other keys; the builder checks their names."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class LandscapeSpec(Part):
    """A landscape of the zoo (`kind`, its parameters), or a person's own loss (`function = "module:name"`, `dim`)."""

    kind: str = "function"
    function: str | None = None
    dim: int | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {}) | ({} if self.dim is None else {"dim": self.dim})

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
        return self


class StartSpec(_Section):
    """One minimum to start in.

    point: coordinates, or the name of an attribute of the landscape such as "sharp_minimum".
    saddle: the same, for the saddle that bounds its well; needed for Eyring–Kramers.
    region: the set to leave; left out, the side of the saddle that the point lies on.
    """

    name: Name
    point: str | list[float]
    saddle: str | list[float] | None = None
    region: Part | None = None

    @model_validator(mode="after")
    def _bounded(self):
        if self.region is None and self.saddle is None:
            raise ValueError(f"start '{self.name}' must give a region or a saddle that bounds its well")
        return self


class SweepSpec(_Section):
    """Every learning rate γ is run with every batch size M."""

    learning_rate: Annotated[list[Positive], Field(min_length=1)]
    batch_size: Annotated[list[Positive], Field(min_length=1)]

    @field_validator("learning_rate", "batch_size")
    @classmethod
    def _increasing(cls, values):
        if len(set(values)) != len(values):
            raise ValueError(f"must not repeat a value, got {values}")
        return sorted(values)


class ReferenceSpec(_Section):
    """The grid of the exact solver: [low, high, cells] for one dimension, a list of two of these for two."""

    grid: list[float] | list[list[float]]

    @field_validator("grid")
    @classmethod
    def _axes(cls, grid):
        for axis in grid if grid and isinstance(grid[0], list) else [grid]:
            if len(axis) != 3 or not axis[0] < axis[1] or axis[2] < 8 or axis[2] != int(axis[2]):
                raise ValueError(f"must be [low, high, cells] with low < high and at least 8 cells, got {axis}")
        return grid


class _Study(_Section):
    name: Name
    description: str = ""
    seed: Seed = 0
    confidence: Confidence = 0.95


class EscapeStudy(_Study):
    """Escape from each start for every learning rate and batch size.

    horizon: SDE time watched.
    trajectories: for every cell; or rtol: run on until the interval of the escape probability is that tight, or
        max_trajectories are spent, which the report then says.
    substeps: Euler–Maruyama steps to one learning rate (dt = γ/substeps); or dt itself.
    monitoring: "discrete" is the exit of the chain, "continuous" that of the SDE.
    """

    kind: Literal["escape"]
    landscape: LandscapeSpec
    noise: Part
    sweep: SweepSpec
    start: Annotated[list[StartSpec], Field(min_length=1)]
    horizon: Positive
    trajectories: Count | None = None
    rtol: Positive | None = None
    max_trajectories: Count | None = None
    substeps: Count | None = None
    dt: Positive | None = None
    monitoring: Literal["discrete", "continuous"] = "discrete"
    reference: ReferenceSpec | None = None

    @model_validator(mode="after")
    def _consistent(self):
        names = [start.name for start in self.start]
        if len(set(names)) != len(names):
            raise ValueError(f"start names must differ, got {names}")
        if (self.trajectories is None) == (self.rtol is None):
            raise ValueError("give either trajectories or rtol, not both or none")
        if self.max_trajectories is not None and self.rtol is None:
            raise ValueError("max_trajectories is the budget of rtol, which is not given")
        if self.dt is not None and self.substeps is not None:
            raise ValueError("give either dt or substeps, not both")
        return self

    def time_step(self, learning_rate: float) -> float:
        """SDE time of one step of the chain at this learning rate."""
        return self.dt if self.dt is not None else learning_rate / (self.substeps or 1)


class DigitsStudy(_Study):
    """Real minibatch SGD on scikit-learn's digits, and the SDE with its per-example noise, leaving a sublevel set.

    examples: training examples used. hidden: units of the one hidden layer. network_seed: of the initial weights.
    penalty: weight decay, without which the loss has no minimum. threshold: c in {L < c·L(θ*)}.
    iterations: k, the number of SGD iterations watched. ratios: pairs [learning rate, batch size].
    """

    kind: Literal["digits"]
    examples: Annotated[int, Field(ge=1, le=1797, strict=True)] = 256
    hidden: Count = 16
    network_seed: Annotated[int, Field(ge=0, lt=2**32, strict=True)] = 0
    penalty: Positive = 1e-2
    threshold: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 2.0
    iterations: Count = 200
    ratios: Annotated[list[tuple[Positive, Count]], Field(min_length=1)]
    trajectories: Count = 256

    @field_validator("ratios")
    @classmethod
    def _distinct(cls, pairs):
        if len(set(pairs)) != len(pairs):
            raise ValueError(f"must not repeat a pair, got {pairs}")
        return sorted(pairs, key=lambda pair: (pair[0] / pair[1], pair[0]))


Study = EscapeStudy | DigitsStudy
KINDS: dict[str, type[EscapeStudy] | type[DigitsStudy]] = {"escape": EscapeStudy, "digits": DigitsStudy}


def packaged() -> dict[str, str]:
    """Name and one-line description of every study that is shipped with the package."""
    folder = importlib.resources.files("sde_sgd.study") / "packaged"
    entries = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    texts = {name.removesuffix(".toml"): (folder / name).read_text("utf-8") for name in entries}
    return {name: tomllib.loads(text).get("description", "") for name, text in texts.items()}


def read_source(source: str | Path) -> tuple[str, str, Path]:
    """Text, name and folder of a study given by the name of a packaged one or by the path of its file.

    Raises StudyError if it is neither; the message has the nearest packaged name.
    """
    path = Path(source)
    names = packaged()
    # a packaged study is called by its name from any folder, also from one where it has run before
    if str(source) in names:
        entry = importlib.resources.files("sde_sgd.study") / "packaged" / f"{source}.toml"
        return entry.read_text("utf-8"), str(source), Path.cwd()
    if path.is_file():
        try:
            return path.read_text("utf-8"), path.stem, path.resolve().parent
        except (UnicodeDecodeError, OSError) as error:
            raise StudyError(f"{path} cannot be read as text: {error}") from None
    if path.is_dir():
        raise StudyError(f"{path} is a folder, not a study file; to continue a study use: sde-sgd resume {path}")
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise StudyError(f"there is no study file {path}")
    raise StudyError(choose("study", source, names) + ", or the path of a study file")


def parse(text: str, name: str) -> Study:
    """The study that a TOML text describes.

    name: what the study is called if the text does not say, and how messages call the file.
    Raises StudyError with one sentence that names the key, the value given and what is allowed.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"study file {name} is not TOML: {error}") from None
    if "kind" not in table:
        raise StudyError(f"study file {name} has no kind; allowed: {', '.join(sorted(KINDS))}")
    if table["kind"] not in KINDS:
        raise StudyError(f"study file {name}: {choose('kind', table['kind'], KINDS)}")
    try:
        return KINDS[table["kind"]].model_validate({"name": name} | table)
    except ValidationError as error:
        raise StudyError(f"study file {name}: {_sentence(error, KINDS[table['kind']])}") from None


def fingerprint(study: Study, code: str = "") -> str:
    """Digest of everything that decides a study's numbers: the validated file and the person's own `code`."""
    content = study.model_dump(mode="json", exclude={"description"})
    return hashlib.sha256((json.dumps(content, sort_keys=True) + code).encode()).hexdigest()


def _sentence(error: ValidationError, model: type[BaseModel]) -> str:
    errors = error.errors(include_url=False)
    # an unknown key often explains a missing one, so it is told first
    first = min(errors, key=lambda item: item["type"] != "extra_forbidden")
    location = [part for part in first["loc"] if not (isinstance(part, str) and "[" in part)]
    key = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        section = ".".join(str(part) for part in location[:-1])
        where = f" in {section}" if section else ""
        return choose(f"key{where}", location[-1], _fields(model, location[:-1]))
    if first["type"] == "missing":
        return f"key {key} is missing"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_pattern_mismatch":
        message = "must be of letters, digits, '_', '-' and '.', and start with a letter or digit"
    message = message.replace("Input should be", "must be")
    if not key or (first["type"] == "value_error" and isinstance(first["input"], dict)):
        return message
    given = repr(first["input"])
    given = given if len(given) < 120 else given[:117] + "..."
    return f"{key}: {message}" + ("" if "got" in message else f", got {given}")


def _fields(model: type[BaseModel], location: list[Any]) -> list[str]:
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields[part].annotation
        model = next(item for item in _flatten(field) if isinstance(item, type) and issubclass(item, BaseModel))
    return list(model.model_fields)


def _flatten(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", None)
    return [annotation] if not arguments else [item for part in arguments for item in _flatten(part)]
