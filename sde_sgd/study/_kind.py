"""Abstract base of a study kind: its sweep, its cells, how one is run, and how it is reported; and their registry."""

import abc
import itertools
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from ._report import Column, text_table
from ._sections import Confidence, Name, Section, Seed

if TYPE_CHECKING:
    import pandas as pd
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

        dataset: what `combine` made of the finished cells.
        """
        return []

    def verdicts(self, dataset: "xr.Dataset") -> list[str]:
        """Sentences below the table that say what the numbers show, and what they do not.

        dataset: what `combine` made of the finished cells.
        """
        return []

    def figures(self, dataset: "xr.Dataset") -> dict[str, "Figure"]:
        """The figures by file name, drawn from the dataset alone: what `combine` made of the finished cells."""
        return {}

    def cells(self) -> list[Cell]:
        """Every cell of the study, the last axis fastest."""
        axes = self.axes()
        cells = []
        for number, place in enumerate(itertools.product(*map(range, axes.values()))):
            index = dict(zip(axes, place, strict=True))
            cells.append(Cell(self.key(index), index, cell_seed(self.seed, number), self.work(index)))
        return cells

    def combine(self, finished: Mapping[str, "xr.Dataset"]) -> "xr.Dataset":
        """The finished cells as one dataset over the sweep's axes; NaN, or "", where a cell is missing.

        finished: by cell key, what `run_cell` returned.
        """
        import xarray as xr

        axes = self.axes()
        shape = tuple(axes.values())
        variables: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, Any]]] = {}
        coordinates: dict[str, Any] = {}
        notes: set[str] = set()
        cells = [cell for cell in self.cells() if cell.key in finished]
        for cell in cells:
            data = finished[cell.key]
            coordinates |= {str(name): (entry.dims, entry.values, entry.attrs) for name, entry in data.coords.items()}
            notes |= {note for note in str(data.attrs.get("notes", "")).splitlines() if note}
            for name, entry in data.data_vars.items():
                if name not in variables:
                    dims = (*axes, *map(str, entry.dims))
                    variables[str(name)] = (dims, _blank(shape + entry.shape, entry.dtype), dict(entry.attrs))
                variables[str(name)][1][tuple(cell.index.values())] = entry.values
        described = {
            name: (dims, array.astype(str) if array.dtype == object else array, attrs)
            for name, (dims, array, attrs) in variables.items()
        }
        attributes = _agreed([finished[cell.key].attrs for cell in cells]) | self.attributes()
        attributes |= {name: getattr(self, name) for name in ("kind", "confidence", "seed")}
        attributes |= {"study": self.name, "cells": int(np.prod(shape)), "cells_finished": len(cells)}
        attributes["notes"] = "\n".join(sorted(notes))
        return xr.Dataset(described, coordinates | self.coordinates(), attributes)

    def rows(self, dataset: "xr.Dataset") -> "pd.DataFrame":
        """The table as data: one row for each of its lines, numbers unrounded, with a column for every bound.

        dataset: what `combine` made of the finished cells.
        """
        import xarray as xr

        parts, fixed = {}, set()
        for column in self._shown(dataset):
            fixed |= set(column.at)
            for suffix in ("", "_low", "_high") if column.interval else ("",):
                entry = dataset[column.variable + suffix].isel(column.at)
                parts[column.title + suffix.replace("_", " ")] = entry.reset_coords(drop=True).drop_attrs()
        axes = [name for name in self.axes() if name not in fixed]
        return xr.Dataset(parts).to_dataframe(dim_order=axes).reset_index().loc[:, list(parts)]

    def _shown(self, dataset: "xr.Dataset") -> list[Column]:
        """The columns, and one more where a cell's status has something to say."""
        columns = self.columns()
        fixed = {axis for column in columns for axis in column.at}
        if "status" not in dataset or fixed & set(dataset["status"].dims):
            return columns
        is_fine = set(dataset["status"].values.flat) <= {*_FINE, ""}
        return columns if is_fine else [*columns, Column("status", "status")]

    def report(self, dataset: "xr.Dataset") -> str:
        """The table as text, with what its columns mean above it and what is to be said of the cells below.

        dataset: what `combine` made of the finished cells.
        """
        columns = self._shown(dataset)
        lines = [
            f"study {self.name}: {_amounts(dataset, self.counted)}{self.confidence:.4g} confidence",
            *self.heading(dataset),
        ]
        lines += [f"  {column.title}: {column.meaning}" for column in columns if column.meaning]
        said = self.verdicts(dataset)
        closing = [*said, *([""] if said else []), *_closing(dataset, self.counted)]
        return "\n".join([*lines, "", text_table(columns, self.rows(dataset)), "", *closing])


def cell_dataset(
    result: Any, seed: int, where: str, along: Sequence[str] = (), data: "xr.Dataset | None" = None
) -> "xr.Dataset":
    """A result's own dataset as that of a cell.

    seed: of the cell, kept as `cell_seed` to replay a trajectory.
    where: the cell in words, for the note that tells of a result that is not complete.
    along: dimensions that are kept, such as time; what lies along others, such as the trajectories, is left out.
    data: the result's dataset, `result.to_dataset()` by default.
    Beside the result's variables it has `status`, `trajectories`, `diverged` and `path_steps`, and `censored` where
    the result has it.
    """
    own: xr.Dataset = result.to_dataset() if data is None else data
    data = own.drop_dims(set(own.dims) - set(along)).drop_attrs(deep=False)
    for name, (units, text) in _OF_A_RUN.items():
        if hasattr(result, name):
            data[name] = ((), float(getattr(result, name)), {"units": units, "long_name": text})
    data["cell_seed"] = ((), float(seed), {"units": "1", "long_name": _SEED})
    data["status"] = ((), str(result.status), {"units": "", "long_name": "whether what was asked for was done"})
    return data.assign_attrs(notes=f"{where}: {result.result}" if result.reasons else "")


# statuses of a result without findings
_FINE = ("complete", "converged")
_SEED = "seed of the cell's random numbers, to replay a trajectory"
_OF_A_RUN = {
    "trajectories": ("trajectories", "trajectories simulated"),
    "diverged": ("trajectories", "trajectories that became non-finite"),
    "censored": ("trajectories", "trajectories still inside at the horizon"),
    "path_steps": ("steps", "cost, in steps of the chain over all trajectories"),
}

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


def all_diverged(dataset: "xr.Dataset") -> list[dict[str, Any]]:
    """Where in the sweep every trajectory of a cell diverged: the coordinates of each such cell, by axis."""
    if "diverged" not in dataset:
        return []
    lost = dataset["diverged"] >= dataset["trajectories"]
    if "probability" in dataset:
        # splitting starts trajectories anew on the way: then more may diverge than have started, and yet not all
        unknown = dataset["probability"].isnull()
        lost = lost & unknown.all([dim for dim in unknown.dims if dim not in lost.dims])
    # what a result has along axes of its own belongs to one cell
    lost = lost.all([dim for dim in lost.dims if dim not in dataset["trajectories"].dims])
    labels = [dataset[dim].values if dim in dataset.coords else np.arange(dataset.sizes[dim]) for dim in lost.dims]
    return [
        {dim: values[place] for dim, values, place in zip(map(str, lost.dims), labels, places, strict=True)}
        for places in np.argwhere(lost.values)
    ]


def _blank(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array that says in every entry that nothing is known."""
    return np.full(shape, "", object) if dtype.kind in "UO" else np.full(shape, np.nan)


def _agreed(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """The entries that all have alike."""
    first, *others = attributes or [{}]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _amounts(dataset: "xr.Dataset", counted: tuple[str, str]) -> str:
    counts = dataset["trajectories"].values if "trajectories" in dataset else np.array([])
    counts = counts[np.isfinite(counts)]
    if not counts.size:
        return ""
    low, high = int(counts.min()), int(counts.max())
    return f"{low} {counted[1]} a cell, " if low == high else f"{low} to {high} {counted[1]} a cell, "


def _closing(dataset: "xr.Dataset", counted: tuple[str, str]) -> list[str]:
    attributes, lines = dataset.attrs, []
    if "diverged" in dataset:
        lines.append(f"diverged {counted[1]}: {int(np.nansum(dataset['diverged'].values))}")
    for place in all_diverged(dataset):
        where = ", ".join(
            f"{name} = {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in place.items()
        )
        lines.append(f"every {counted[0]} diverged: {where}")
    if attributes["cells_finished"] < attributes["cells"]:
        lines.append(f"not finished: {attributes['cells_finished']} of {attributes['cells']} cells")
    if attributes["notes"]:
        lines.append("notes (a – in the table is what could not be had):")
        lines += [f"  {note}" for note in attributes["notes"].splitlines()]
    return lines
