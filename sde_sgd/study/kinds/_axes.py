"""Axes of the sweeps as tables, notes and figures show them: letters and columns of γ, M, μ and T, γ/M, and slices."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._kind import AbstractStudy
from .._sections import Quantity
from ..reporting._text_table import Column

if TYPE_CHECKING:
    import xarray as xr

COLUMNS = {
    "width": Column("width", "width", "units of each hidden layer"),
    "learning_rate": Column("γ", "learning_rate", "learning rate: SDE time per iteration, t = γ·iterations"),
    "batch_size": Column("M", "batch_size", "batch size, in examples"),
    "momentum": Column("μ", "momentum", "momentum"),
    "temperature": Column("T", "temperature", "temperature, in units of the loss"),
}
# what notes call the keys of a sweep; their dimensions come last, in this order
LETTERS = {f"sweep.{name}": column.header for name, column in COLUMNS.items()}
LAST = tuple(LETTERS)
PER_EXAMPLE = Quantity("SDE time per iteration and example", "γ/M")
# figures of one study
_MOST_PARTS = 12


def sweep_columns(study: AbstractStudy) -> list[Column]:
    """Columns of the swept numbers, those of the section `sweep` last."""
    return [*study.swept_columns(), *(column for name, column in COLUMNS.items() if study.is_swept(f"sweep.{name}"))]


def named_key(axis: str, name: str, index: Mapping[str, int]) -> str:
    """Name of the cell at `index`: that of its place along `axis`, and the numbers of its other places."""
    return "-".join([name, *(f"{place:03d}" for each, place in index.items() if each != axis)])


def ratio(study: AbstractStudy, coordinates: dict[str, Any]) -> tuple[Any, Any, dict[str, str]]:
    """γ/M as a coordinate over the dimensions of sweep.learning_rate and sweep.batch_size, which may be zipped.

    coordinates: of the study, with those two.
    """
    rates, batches = (np.asarray(coordinates[name][1], float) for name in ("learning_rate", "batch_size"))
    along = tuple(study.dimension(f"sweep.{name}") for name in ("learning_rate", "batch_size"))
    if along[0] == along[1]:
        return along[:1], rates / batches, PER_EXAMPLE.attributes
    return along, rates[:, None] / batches, PER_EXAMPLE.attributes


def slices(dataset: "xr.Dataset", kept: Sequence[str], of: str = "probability") -> "Iterator[tuple[str, xr.Dataset]]":
    """The first parts of a dataset over the axes of its sweep that a figure lacks, with an ending for each one's name.

    kept: the dimensions that the figure has. of: a variable with all the axes of the sweep.
    """
    extra = [str(name) for name in dataset[of].dims if name not in kept]
    places = itertools.product(*(range(dataset.sizes[name]) for name in extra))
    for place in itertools.islice(places, _MOST_PARTS):
        index = dict(zip(extra, place, strict=True))
        part = dataset.isel(index)
        ending = "".join(f"-{name}-{place:03d}" for name, place in index.items())
        yield ending, part
