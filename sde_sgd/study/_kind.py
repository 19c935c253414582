"""Abstract base of a study kind: its sweep, its cells, how one is run, and how it is reported; and their registry."""

import abc
import itertools
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ._sections import Confidence, Name, Section, Seed
from ._text_table import Column

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


class Cell(NamedTuple):
    """One point of a study's sweep, as data: it can be pickled and sent to another process.

    key: its name, that of its file too. index: its place along each axis of the sweep, by the axis's name.
    seed: of its random numbers, shared with no other cell. work: its size against the other cells, without unit.
    """

    key: str
    index: dict[str, int]
    seed: int
    work: float = 1.0


def cell_seed(seed: int, number: int) -> int:
    """The seed of cell `number`: no two cells share random numbers, not even of studies with neighbouring seeds.

    Below 2⁵³, so that a dataset of floats holds it exactly.
    """
    return (seed << 20) + number


class AbstractStudy(Section, abc.ABC):
    """A study: the fields of its file, and what to do with them.

    A kind is one final class, with a field `kind: Literal["its name"]`, handed to `register`. Its fields are the keys
    of the study file; those below every kind has.

    name: what the study is called. description: a line for people, which changes nothing.
    seed: 0 … 2³² − 1, from which each cell gets its own. confidence: coverage of all intervals.
    counted: of a kind, what its variables `trajectories` and `diverged` count: one of them, and many.
    """

    counted: ClassVar[tuple[str, str]] = ("trajectory", "trajectories")

    kind: str
    name: Name
    description: str = ""
    seed: Seed = 0
    confidence: Confidence = 0.95

    @abc.abstractmethod
    def axes(self) -> dict[str, int]:
        """Name and length of each axis of the sweep. Cells are numbered, and seeded, with the last one fastest."""

    @abc.abstractmethod
    def coordinates(self) -> dict[str, tuple[Any, Any, dict[str, str]]]:
        """What stands along the axes: by name its dimensions, values, and attributes with `units` and `long_name`."""

    @abc.abstractmethod
    def run_cell(self, cell: Cell, shared: Any) -> "xr.Dataset":
        """The answer of one cell: a dataset without the sweep's axes, such as `cell_dataset` makes of a result.

        shared: what `prepare` returned. Attributes that all cells agree on become the study's; the lines of the
        attribute `notes` are collected.
        """

    @abc.abstractmethod
    def columns(self) -> list[Column]:
        """The table, column by column."""

    def prepare(self, folder: Path) -> Any:
        """What the cells share, made once in each process before any is run, and before anything is written.

        folder: that of the study file, for a person's own modules. Raises StudyError for what no cell could run with.
        """

    def code(self, folder: Path) -> str:
        """Source text of a person's own that decides the numbers, for the fingerprint; "" where there is none.

        folder: that of the study file.
        """
        return ""

    def key(self, index: dict[str, int]) -> str:
        """Name of the cell at `index`: letters, digits, '-', '_' and '.'."""
        return "-".join(f"{number:03d}" for number in index.values())

    def work(self, index: dict[str, int]) -> float:
        """Size of the cell at `index` against the others, for the progress bar's time left."""
        return 1.0

    def attributes(self) -> dict[str, Any]:
        """What the dataset says of the study as a whole, beside what it says of every study."""
        return {}

    def heading(self, dataset: "xr.Dataset") -> list[str]:
        """Lines above the table.

        dataset: of the finished cells, as `combine` makes it.
        """
        return []

    def verdicts(self, dataset: "xr.Dataset") -> list[str]:
        """Sentences below the table that say what the numbers show, and what they do not.

        dataset: of the finished cells, as `combine` makes it.
        """
        return []

    def figures(self, dataset: "xr.Dataset") -> dict[str, "Figure"]:
        """The figures by file name, drawn from the dataset alone."""
        return {}

    def cells(self) -> list[Cell]:
        """Every cell of the study, the last axis fastest."""
        axes = self.axes()
        cells = []
        for number, place in enumerate(itertools.product(*map(range, axes.values()))):
            index = dict(zip(axes, place, strict=True))
            cells.append(Cell(self.key(index), index, cell_seed(self.seed, number), self.work(index)))
        return cells


_registry: dict[str, type[AbstractStudy]] = {}

Kind = typing.TypeVar("Kind", bound=type[AbstractStudy])


def register(kind: Kind) -> Kind:
    """Make a study kind known by its name, so that study files may say `kind = "its name"`; returns the class.

    Raises ValueError where the class has no field `kind: Literal["its name"]`, or where the name is another's.
    """
    names = typing.get_args(kind.model_fields["kind"].annotation)
    if len(names) != 1 or not isinstance(names[0], str):
        raise ValueError(f'kind {kind.__name__} must have a field kind: Literal["its name"]')
    other = _registry.get(names[0], kind)
    # the same class again is one that a notebook defines anew
    if (other.__module__, other.__qualname__) != (kind.__module__, kind.__qualname__):
        raise ValueError(f"kind '{names[0]}' is the name of {other.__qualname__}, got {kind.__qualname__}")
    _registry[names[0]] = kind
    return kind


def kinds() -> dict[str, type[AbstractStudy]]:
    """The study kinds that are registered, by name."""
    return dict(_registry)
