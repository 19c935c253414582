"""Abstract base of a claim: the studies it needs, what it finds in their datasets, its figure; and the registry."""

import abc
import enum
import importlib.resources
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ._judgement import Finding

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_HERE = Path(str(importlib.resources.files("sde_sgd.reproduction")))

Datasets = Mapping[str, "xr.Dataset"]


class Size(enum.Enum):
    """How much is run."""

    QUICK = "quick"
    """A few minutes for all claims on two cores; intervals are wide."""
    NORMAL = "normal"
    """Some ten minutes on two cores, six in two processes."""
    FULL = "full"
    """For an accelerator."""


class AbstractClaim(abc.ABC):
    """A claim of the abstract, and how it is judged. One final class in a file of its own, handed to `register`.

    number: its place in the report. title: a few words.
    words: the claim, after the abstract. question: what is measured, and beside what.
    studies: names of files in `studies/`, by whose datasets it is judged; another claim may name the same.
    """

    number: ClassVar[int]
    title: ClassVar[str]
    words: ClassVar[str]
    question: ClassVar[str]
    studies: ClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def findings(self, data: Datasets) -> list[Finding]:
        """What the claim says of the numbers. data: of each of `studies`, by name."""

    @abc.abstractmethod
    def figure(self, data: Datasets) -> "Figure":
        """The picture that answers the question. data: of each of `studies`, by name."""

    def remarks(self, data: Datasets) -> list[str]:
        """Sentences beside the verdict: what the numbers say and the claim does not. data: as of `findings`."""
        return []


_registry: dict[int, Any] = {}
Class = typing.TypeVar("Class", bound=type[AbstractClaim])


def register(claim: Class) -> Class:
    """Make a claim one of the reproduction; returns the class. Raises ValueError where its number is another's."""
    other = type(_registry.get(claim.number, claim()))
    if other.__qualname__ != claim.__qualname__:
        raise ValueError(f"claim {claim.number} is {other.__qualname__}, got {claim.__qualname__}")
    _registry[claim.number] = claim()
    return claim


def all_claims() -> list[AbstractClaim]:
    """The claims, by number."""
    return [_registry[number] for number in sorted(_registry)]


def study_file(name: str) -> Path:
    """Path of the file of a study of the reproduction."""
    return _HERE / "studies" / f"{name}.toml"


def setting(name: str, key: str) -> Any:
    """What the file of a study says under a dotted key, such as "noise.beta": what no size changes."""
    value: Any = tomllib.loads(study_file(name).read_text("utf-8"))
    for part in key.split("."):
        value = value[part]
    return value


def changes_of(name: str, size: Size) -> dict[str, Any] | None:
    """What is otherwise in a study at a size, by dotted key; None where it is run as its file has it."""
    if size is Size.NORMAL:
        return None
    return tomllib.loads((_HERE / "sizes.toml").read_text("utf-8"))[name][size.value]
