"""Abstract base of a study kind: its sweep, its cells, how one is run, and how it is reported; and their registry."""

import abc
import itertools
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr, model_serializer, model_validator

from . import _key_types, _sweep, _tables
from ._cell import Cell, Told, cell_seed
from ._errors import StudyError
from ._published import PublishedSpec, check, sentence
from ._sections import Confidence, Name, Section, Seed
from .reporting._text_table import Column

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


Study = typing.TypeVar("Study", bound="AbstractStudy")


class AbstractStudy(Section, abc.ABC):
    """A study: the fields of its file, and what to do with them.

    A kind is one final class, with a field `kind: Literal["its name"]`, handed to `register`. Its fields are the keys
    of the study file; those below every kind has. A number among them, however deep, may be given as several: a list,
    `{each = [4, 8]}`, or `{from = 1e-3, to = 1e-1, number = 7, spacing = "log"}`. It becomes a dimension of the study,
    and `run_cell` asks `at` for a study in which it has its one value.

    name: what the study is called. description: a line for people, which changes nothing.
    seed: 0 … 2³² − 1, from which each cell gets its own. confidence: coverage of all intervals.
    zip: groups of swept keys that go together along one dimension, such as [["sweep.learning_rate", "horizon"]].
    published: values of others, each compared with ours in a sentence below the table.
    counted: of a kind, what its variables `trajectories` and `diverged` count: one of them, and many.
    last: of a kind, dotted keys whose dimensions come after all others, in this order. always: those that are a
        dimension even where they have one value. alone: keys that are not swept.
    without_budget: of a kind that has no key `budget`, why.
    """

    counted: ClassVar[tuple[str, str]] = ("trajectory", "trajectories")
    last: ClassVar[tuple[str, ...]] = ()
    always: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[tuple[str, ...]] = ("seed", "confidence")
    without_budget: ClassVar[str] = ""

    kind: str
    name: Name
    description: str = ""
    seed: Seed = 0
    confidence: Confidence = 0.95
    zip: list[list[str]] = Field(default=[])
    published: list[PublishedSpec] = Field(default=[])
    _table: dict[str, Any] = PrivateAttr(default_factory=dict)
    _axes: tuple[_sweep.Axis, ...] = PrivateAttr(default=())

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, given: Any, handler: Any) -> Any:
        """Swept keys are taken out, each value is checked in its place, and the first ones make the fields."""
        if not isinstance(given, Mapping):
            return handler(given)
        kind = typing.get_args(cls.model_fields["kind"].annotation)
        names = dict.fromkeys(("kind", "name"), kind[0]) if len(kind) == 1 else {}
        table = names | cls.spelt_out(_tables.plain(given))
        if "budget" in table and cls.without_budget:
            raise ValueError(f"budget is not for a study of kind {kind[0]}: {cls.without_budget}")
        axes = _sweep.axes_of(cls, table, cls.last, cls.always, cls.alone)
        if not axes:
            study = handler(table)
        else:
            first = {swept.path: swept.values[0] for axis in axes for swept in axis.keys}
            base = _tables.replaced(table, first) | {"zip": []}
            for axis in axes:
                for place in range(1, axis.size):
                    one = {swept.path: swept.values[place] for swept in axis.keys}
                    cls.model_validate(_tables.replaced(base, one))
            study = handler(base | {"zip": table.get("zip", [])})
        study._table, study._axes = table, axes
        return study

    @model_serializer(mode="wrap")
    def _write(self, handler: Any) -> dict[str, Any]:
        """The fields, swept ones with all their values."""
        data = handler(self)
        for swept in self.swept:
            if swept.path[0] in data:
                values = list(swept.values) if swept.is_number else {"each": list(swept.values)}
                data = _tables.replaced(data, {swept.path: values})
        return data

    @classmethod
    def spelt_out(cls, table: dict[str, Any]) -> dict[str, Any]:
        """The table of a study file in which what may be written shorter is as the fields have it."""
        return table

    def text(self) -> str:
        """The study as a study file, in TOML; `parse` makes an equal study of it."""
        from ._toml import written

        return written(self._table)

    def at(self: Study, index: Mapping[str, int]) -> Study:
        """The study of one cell: the same one, in which every swept key has the value that it has at `index`.

        index: of a `Cell`. Raises ValueError where values that are each allowed do not go together.
        """
        if not self._axes:
            return self
        changes = {swept.path: swept.values[index[axis.name]] for axis in self._axes for swept in axis.keys}
        return self.model_validate(_tables.replaced(self._table, changes) | {"zip": []})

    def values_at(self, index: Mapping[str, int]) -> dict[str, Any]:
        """The values of the swept keys, by dotted key, at the `index` of a cell."""
        return {swept.key: swept.values[index[axis.name]] for axis in self._axes for swept in axis.keys}

    def along_axes(self: Study) -> Iterator[Study]:
        """Studies of one cell each that between them have every value of every swept key: what `prepare` may check.

        One dimension moves at a time, so that there are as many as the dimensions have values, not as many as cells.
        """
        first = dict.fromkeys(self.axes(), 0)
        yield self.at(first)
        for axis in self._axes:
            for place in range(1, axis.size):
                yield self.at(first | {axis.name: place})

    @property
    def swept(self) -> list[_sweep.Swept]:
        """The keys that take several values, or that always make a dimension."""
        return [swept for axis in self._axes for swept in axis.keys]

    def is_swept(self, key: str) -> bool:
        """Whether the dotted `key`, or one below it, takes several values."""
        return any(f"{swept.key}.".startswith(f"{key}.") for swept in self.swept)

    def dimension(self, key: str) -> str:
        """The name of the dimension along which the dotted `key` is swept. Raises KeyError where it is not."""
        return {swept.key: axis.name for axis in self._axes for swept in axis.keys}[key]

    def own_axes(self) -> dict[str, int]:
        """Name and length of the dimensions that are no swept numbers, such as the starts of a study."""
        return {}

    def axes(self) -> dict[str, int]:
        """Name and length of each axis of the sweep. Cells are numbered, and seeded, with the last one fastest.

        First the swept keys, then the kind's own axes, then the keys that the kind says come last.
        """
        behind = [axis for axis in self._axes if any(swept.key in self.last for swept in axis.keys)]
        before = [axis for axis in self._axes if axis not in behind]
        sizes = {axis.name: axis.size for axis in before} | self.own_axes()
        return sizes | {axis.name: axis.size for axis in behind} or {"cell": 1}

    def coordinates(self) -> dict[str, tuple[Any, Any, dict[str, str]]]:
        """What stands along the axes: by name its dimensions, values, and attributes with `units` and `long_name`."""
        found: dict[str, tuple[Any, Any, dict[str, str]]] = {}
        for axis in self._axes:
            for swept in axis.keys:
                about = _key_types.quantity(type(self), self._table, swept.path)
                name = axis.name if len(axis.keys) == 1 else str(swept.path[-1])
                found[name] = (axis.name, swept.along(), about.attributes)
        number = {"units": "1", "long_name": "number of the cell"}
        return found or ({} if self.own_axes() else {"cell": ("cell", [0.0], number)})

    @abc.abstractmethod
    def run_cell(self, cell: Cell, shared: Any) -> "xr.Dataset":
        """The answer of one cell: a dataset without the sweep's axes, such as `cell_dataset` makes of a result.

        shared: what `prepare` returned. Attributes that all cells agree on become the study's; the lines of the
        attribute `notes` are collected. Raises ValueError, StudyError among them, for a cell that cannot be run.
        """

    @abc.abstractmethod
    def columns(self) -> list[Column]:
        """The table, column by column."""

    def prepare(self, folder: Path) -> Any:
        """What the cells share, made once in each process before any is run, and before anything is written.

        folder: that of the study file, for a person's own modules. Raises StudyError for what no cell could run with.
        """

    def answers(self) -> dict[str, tuple[str, ...]]:
        """Variables of the dataset with their dimensions beside those of the sweep, of which values may be published.

        A kind that names none has its `published` compared when there are numbers.
        """
        return {}

    def check_published(self) -> None:
        """Raise StudyError where a published value is of what the dataset will not have; a kind's `prepare` asks."""
        own = self.answers()
        # what the table shows has an interval, or is a theory's
        dims = {dim for each in own.values() for dim in each}
        own = {column.variable: tuple(dims) for column in self.columns()} | own
        variables = {name: [*self.axes(), *each] for name, each in own.items()}
        labels = {name: values for name, (along, values, _) in self.coordinates().items() if along == name}
        for number, spec in enumerate(self.published if self.answers() else []):
            try:
                check(spec, variables, labels)
            except ValueError as error:
                raise StudyError(f"published.{number}: {error}") from None

    def pilot(self) -> "AbstractStudy | None":
        """A study over the same cells that is run before this one, and tells how its budget is spent; None by default.

        Its cells are run with what `prepare` of this one returns.
        """

    def told_by(self, pilot: "xr.Dataset") -> Told:
        """What the cells are told of a pilot, kept beside it for all processes; a kind that has one says it.

        pilot: its finished dataset. Raises StudyError for a kind without.
        """
        raise StudyError(f"kind '{self.kind}' tells its cells nothing of a pilot")

    def informed(self, shared: Any, told: Callable[[], Told]) -> Any:
        """What the cells share where there is a pilot. shared: as `prepare` returned it. told: as `told_by` did."""
        return shared

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

    def sentences(self, dataset: "xr.Dataset") -> list[str]:
        """All sentences below the table: the kind's `verdicts`, and one for each published value.

        dataset: of the finished cells, as `combine` makes it.
        """
        return [*self.verdicts(dataset), *(sentence(each, dataset, self.confidence) for each in self.published)]

    def figures(self, dataset: "xr.Dataset") -> dict[str, "Figure"]:
        """The figures by file name, drawn from the dataset alone."""
        return {}

    def words_at(self, index: Mapping[str, int], letters: Mapping[str, str] = types.MappingProxyType({})) -> list[str]:
        """The swept numbers of the cell at `index`, such as "γ = 0.1", for its notes.

        letters: what dotted keys are called, by default their last part; these come last, in this order.
        """
        values = self.values_at(index)
        found = []
        for key in [*(key for key in values if key not in letters), *(key for key in letters if key in values)]:
            value = values[key]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            found.append(f"{letters.get(key, key.split('.')[-1])} = {f'{value:g}' if number else value}")
        return found

    def swept_columns(self) -> list[Column]:
        """A column of the table for each swept key, but those that the kind says come last."""
        names = [(axis.name, swept) for axis in self._axes for swept in axis.keys if swept.key not in self.last]
        about = [(name, each, _key_types.quantity(type(self), self._table, each.path)) for name, each in names]
        zipped = {axis.name for axis in self._axes if len(axis.keys) > 1}
        return [
            Column(str(each.path[-1]), str(each.path[-1]) if name in zipped else name, words.words)
            for name, each, words in about
        ]

    def asked(self, index: Mapping[str, int]) -> tuple[Any, ...]:
        """What of the cell at `index` is built into its programs: cells of one question share them.

        Swept numbers that are floats are arguments of a compiled program; whole numbers and words are built into it.
        """
        own = tuple(place for name, place in index.items() if name in self.own_axes())
        return (*own, *(repr(value) for value in self.values_at(index).values() if not isinstance(value, float)))

    def programs(self) -> int:
        """How many questions the study asks, each of which is compiled once in a process."""
        return len({self.asked(cell.index) for cell in self.cells()})

    def check_axes(self) -> None:
        """Raise StudyError for a swept key that the kind leaves out of its axes, and for no cells or too many."""
        axes = self.axes()
        sizes = " × ".join(f"{length} {name}" for name, length in axes.items())
        if not all(length >= 1 for length in axes.values()):
            raise StudyError(f"every axis of a study must have at least 1 place, got {sizes}")
        if math.prod(axes.values()) > _sweep.MOST_CELLS:
            raise StudyError(f"a study must have at most {_sweep.MOST_CELLS} cells, got {sizes}")
        for axis in self._axes:
            if axis.name not in axes:
                raise StudyError(f"{axis.keys[0].key} must be one value in a study of kind {self.kind}, got several")

    def cells(self) -> list[Cell]:
        """Every cell, the last axis fastest. Raises StudyError for a swept key that the kind leaves out of its axes."""
        self.check_axes()
        axes, cells = self.axes(), []
        for number, place in enumerate(itertools.product(*map(range, axes.values()))):
            index = dict(zip(axes, place, strict=True))
            cells.append(Cell(self.key(index), index, cell_seed(self.seed, number), self.work(index)))
        return cells


_registry: dict[str, type[AbstractStudy]] = {}

Kind = typing.TypeVar("Kind", bound=type[AbstractStudy])


def register(kind: Kind) -> Kind:
    """Make a study kind known by its name, so that study files may say `kind = "its name"`; returns the class.

    Raises ValueError where the class has no field `kind: Literal["its name"]`, where the name is another's, or where it
    has a pilot and no `told_by`.
    """
    name = name_of(kind)
    other = _registry.get(name, kind)
    # the same class again is one that a notebook defines anew
    if (other.__module__, other.__qualname__) != (kind.__module__, kind.__qualname__):
        raise ValueError(f"kind '{name}' is the name of {other.__qualname__}, got {kind.__qualname__}")
    if kind.pilot is not AbstractStudy.pilot and kind.told_by is AbstractStudy.told_by:
        raise ValueError(f"kind '{name}' has a pilot, and must have told_by, which says what that tells the cells")
    _registry[name] = kind
    return kind


def name_of(kind: type[AbstractStudy]) -> str:
    """The name of a kind, which its field says. Raises ValueError where it has no field `kind: Literal["its name"]`."""
    names = typing.get_args(kind.model_fields["kind"].annotation)
    if len(names) != 1 or not isinstance(names[0], str):
        raise ValueError(f'kind {kind.__name__} must have a field kind: Literal["its name"]')
    return names[0]


def kinds() -> dict[str, type[AbstractStudy]]:
    """The study kinds that are registered, by name."""
    return dict(_registry)
