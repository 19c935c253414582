"""The dataset of a study: what a cell's result becomes, and all finished cells over the axes of the sweep."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

    from ._kind import AbstractStudy


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


def combine(study: "AbstractStudy", finished: Mapping[str, "xr.Dataset"]) -> "xr.Dataset":
    """The finished cells as one dataset over the sweep's axes; NaN, or "", where a cell is missing.

    study: whose axes, coordinates and attributes they are.
    finished: by cell key, what `AbstractStudy.run_cell` returned.
    """
    import xarray as xr

    axes = study.axes()
    shape = tuple(axes.values())
    variables: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, Any]]] = {}
    coordinates: dict[str, Any] = {}
    notes: set[str] = set()
    cells = [cell for cell in study.cells() if cell.key in finished]
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
    attributes = _agreed([finished[cell.key].attrs for cell in cells]) | study.attributes()
    attributes |= {name: getattr(study, name) for name in ("kind", "confidence", "seed")}
    attributes |= {"study": study.name, "cells": int(np.prod(shape)), "cells_finished": len(cells)}
    attributes["notes"] = "\n".join(sorted(notes))
    return xr.Dataset(described, coordinates | study.coordinates(), attributes)


def all_diverged(dataset: "xr.Dataset") -> list[dict[str, Any]]:
    """Where in the sweep every trajectory of a cell diverged: the coordinates of each such cell, by axis.

    dataset: of a study's cells, as `combine` makes it.
    """
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


_SEED = "seed of the cell's random numbers, to replay a trajectory"
_OF_A_RUN = {
    "trajectories": ("trajectories", "trajectories simulated"),
    "diverged": ("trajectories", "trajectories that became non-finite"),
    "censored": ("trajectories", "trajectories still inside at the horizon"),
    "path_steps": ("steps", "cost, in steps of the chain over all trajectories"),
}


def _blank(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array that says in every entry that nothing is known."""
    return np.full(shape, "", object) if dtype.kind in "UO" else np.full(shape, np.nan)


def _agreed(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """The entries that all have alike."""
    first, *others = attributes or [{}]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
