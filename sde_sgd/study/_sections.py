"""Sections that study files of several kinds have, and the types of their keys."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .._errors import choose

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Confidence = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
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
