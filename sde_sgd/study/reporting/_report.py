"""What a study says of its numbers: rows of its table, and the whole as text with what is to be said of the cells."""

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._precision import FINE, UNKNOWN, is_wide, quality
from .._dataset import all_diverged
from ._text_table import WIDE_MARK, WIDTH, Column, text_table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from .._kind import AbstractStudy

# cells that are named one by one
_NAMED = 8


def rows(study: "AbstractStudy", dataset: "xr.Dataset") -> "pd.DataFrame":
    """The table as data: one row for each of its lines, numbers unrounded, with a column for every bound.

    study: the one that was run. dataset: of its cells, as `combine` makes it.
    """
    import xarray as xr

    parts, fixed = {}, set()
    for column in shown_columns(study, dataset):
        fixed |= set(column.at)
        for suffix in ("", "_low", "_high") if column.interval else ("",):
            entry = dataset[column.variable + suffix].isel(column.at)
            parts[column.title + suffix.replace("_", " ")] = entry.reset_coords(drop=True).drop_attrs()
    axes = [name for name in study.axes() if name not in fixed]
    return xr.Dataset(parts).to_dataframe(dim_order=axes).reset_index().loc[:, list(parts)]


def shown_columns(study: "AbstractStudy", dataset: "xr.Dataset") -> list[Column]:
    """The columns, and one more where a cell's status has something to say."""
    columns = study.columns()
    fixed = {axis for column in columns for axis in column.at}
    if "status" not in dataset or fixed & set(dataset["status"].dims):
        return columns
    is_fine = set(dataset["status"].values.flat) <= {*FINE, ""}
    return columns if is_fine else [*columns, Column("status", "status")]


def report(study: "AbstractStudy", dataset: "xr.Dataset", wide: bool = False) -> str:
    """The table as text, with what its columns mean above it and what is to be said of the cells below.

    study: the one that was run. dataset: of its cells, as `combine` makes it. wide: one line for each row, however
    long; otherwise lines have at most 100 characters, and a wider table has its last columns below the first.
    """
    columns, width = shown_columns(study, dataset), None if wide else WIDTH
    lines = [f"study {study.name}: {amounts(dataset, study.counted)}{study.confidence:.4g} confidence"]
    for line in study.heading(dataset):
        lines += _folded(line, width, "  ")
    for column in columns:
        if column.meaning:
            lines += _folded(f"  {column.title}: {column.meaning}", width, "  ")
    said, table = study.sentences(dataset), rows(study, dataset)
    closing = [*said, *([""] if said else []), *closing_lines(study, dataset)]
    below = [folded for line in closing for folded in _folded(line, width, "  ")]
    return "\n".join([*lines, "", text_table(columns, table, width), "", *below])


def _folded(line: str, width: int | None, indent: str) -> list[str]:
    """A line on several, the others indented as the first and `indent` further; words are never cut."""
    if width is None or len(line) <= width:
        return [line]
    indent += " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def amounts(dataset: "xr.Dataset", counted: tuple[str, str]) -> str:
    """How many trajectories, or what else a kind counts, a cell has, for the first line; "" where nobody knows."""
    counts = dataset["trajectories"].values if "trajectories" in dataset else np.array([])
    counts = counts[np.isfinite(counts)]
    if not counts.size:
        return ""
    low, high = int(counts.min()), int(counts.max())
    return f"{low} {counted[1]} a cell, " if low == high else f"{low} to {high} {counted[1]} a cell, "


def closing_lines(study: "AbstractStudy", dataset: "xr.Dataset") -> list[str]:
    """What is to be said of the cells below the table: diverged, without a number, not precise, not run; their notes.

    dataset: what `combine` made of the finished cells.
    """
    attributes, lines, counted = dataset.attrs, [], study.counted
    if "diverged" in dataset:
        lines.append(f"diverged {counted[1]}: {int(np.nansum(dataset['diverged'].values))}")
    lost = all_diverged(dataset)
    lines += [f"every {counted[0]} diverged: {where(place)}" for place in lost]
    first = next((column for column in study.columns() if column.interval and column.variable in dataset), None)
    nameless = [place for place in _lacks(study, dataset, first) if place not in lost] if first else []
    lines += [f"no number of {first.title}: {where(place)}" for place in nameless[:_NAMED] if first]
    if len(nameless) > _NAMED:
        lines.append(f"… and of {len(nameless) - _NAMED} more cells")
    wide, known = wide_intervals(study, dataset)
    if wide:
        lines.append(f"not precise: {wide} of {known} intervals, marked {WIDE_MARK}, are wider than their value")
    if attributes["cells_finished"] < attributes["cells"]:
        lines.append(f"not finished: {attributes['cells_finished']} of {attributes['cells']} cells")
    if attributes["notes"]:
        lines.append("notes (a – in the table is what could not be had):")
        lines += [f"  {note}" for note in attributes["notes"].splitlines()]
    return lines


def where(place: dict[str, Any]) -> str:
    """A cell in words, by its coordinates."""
    return ", ".join(
        f"{name} = {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in place.items()
    )


def without_number(study: "AbstractStudy", dataset: "xr.Dataset") -> list[dict[str, Any]]:
    """The cells that were run and have no value of any of the table's estimates: their coordinates, by axis."""
    estimates = [column for column in study.columns() if column.interval and column.variable in dataset]
    if not estimates:
        return []
    lacking = [_lacks(study, dataset, column) for column in estimates]
    return [place for place in lacking[0] if all(place in others for others in lacking[1:])]


def _lacks(study: "AbstractStudy", dataset: "xr.Dataset", column: Column) -> list[dict[str, Any]]:
    """The cells that were run and have no value in a column."""
    unknown = (quality(dataset, column.variable) == UNKNOWN).isel(column.at)
    axes = [str(dim) for dim in unknown.dims if dim in study.axes()]
    unknown = unknown.any([dim for dim in unknown.dims if dim not in axes])
    labels = [dataset[dim].values if dim in dataset.coords else np.arange(dataset.sizes[dim]) for dim in axes]
    return [
        {dim: values[place] for dim, values, place in zip(axes, labels, places, strict=True)}
        for places in np.argwhere(unknown.values)
    ]


def wide_intervals(study: "AbstractStudy", dataset: "xr.Dataset") -> tuple[int, int]:
    """How many of the table's intervals are wider than their value, and how many there are."""
    table, wide, known = rows(study, dataset), 0, 0
    for column in study.columns():
        if column.interval:
            numbers = [np.asarray(table[column.title + end], float) for end in ("", " low", " high")]
            wide += int(is_wide(*numbers).sum())
            known += int((~np.isnan(numbers).all(axis=0)).sum())
    return wide, known
