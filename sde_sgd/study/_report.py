"""What a study says of its numbers: rows of its table, and the whole as text with what is to be said of the cells."""

from typing import TYPE_CHECKING

import numpy as np

from ._dataset import all_diverged
from ._text_table import Column, text_table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from ._kind import AbstractStudy

# statuses of a result without findings
_FINE = ("complete", "converged")


def rows(study: "AbstractStudy", dataset: "xr.Dataset") -> "pd.DataFrame":
    """The table as data: one row for each of its lines, numbers unrounded, with a column for every bound.

    study: the one that was run. dataset: of its cells, as `combine` makes it.
    """
    import xarray as xr

    parts, fixed = {}, set()
    for column in _shown(study, dataset):
        fixed |= set(column.at)
        for suffix in ("", "_low", "_high") if column.interval else ("",):
            entry = dataset[column.variable + suffix].isel(column.at)
            parts[column.title + suffix.replace("_", " ")] = entry.reset_coords(drop=True).drop_attrs()
    axes = [name for name in study.axes() if name not in fixed]
    return xr.Dataset(parts).to_dataframe(dim_order=axes).reset_index().loc[:, list(parts)]


def _shown(study: "AbstractStudy", dataset: "xr.Dataset") -> list[Column]:
    """The columns, and one more where a cell's status has something to say."""
    columns = study.columns()
    fixed = {axis for column in columns for axis in column.at}
    if "status" not in dataset or fixed & set(dataset["status"].dims):
        return columns
    is_fine = set(dataset["status"].values.flat) <= {*_FINE, ""}
    return columns if is_fine else [*columns, Column("status", "status")]


def report(study: "AbstractStudy", dataset: "xr.Dataset") -> str:
    """The table as text, with what its columns mean above it and what is to be said of the cells below.

    study: the one that was run. dataset: of its cells, as `combine` makes it.
    """
    columns = _shown(study, dataset)
    lines = [
        f"study {study.name}: {_amounts(dataset, study.counted)}{study.confidence:.4g} confidence",
        *study.heading(dataset),
    ]
    lines += [f"  {column.title}: {column.meaning}" for column in columns if column.meaning]
    said = study.verdicts(dataset)
    closing = [*said, *([""] if said else []), *_closing(dataset, study.counted)]
    return "\n".join([*lines, "", text_table(columns, rows(study, dataset)), "", *closing])


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
