"""The dataset of a study: what a cell's result becomes, and all finished cells over the axes of the sweep."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._errors import StudyError

if TYPE_CHECKING:
    import xarray as xr

    from ._kind import AbstractStudy

# attributes of `status`, which every cell has
STATUS = {"units": "", "long_name": "whether what was asked for was done"}
# dimensions, values and attributes of a variable
Described = tuple[tuple[str, ...], np.ndarray, dict[str, Any]]


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
        # of some results only the provenance says what they cost
        said = getattr(result, name, getattr(getattr(result, "provenance", None), name, None))
        if said is not None:
            data[name] = ((), float(said), {"units": units, "long_name": text})
    data["cell_seed"] = ((), float(seed), {"units": "1", "long_name": _SEED})
    data["status"] = ((), str(result.status), STATUS)
    return data.assign_attrs(notes=f"{where}: {result.result}" if result.reasons else "")


def combine(study: "AbstractStudy", finished: Mapping[str, "xr.Dataset"]) -> "xr.Dataset":
    """The finished cells as one dataset over the sweep's axes; NaN, or "", where a cell is missing.

    study: whose axes, coordinates and attributes they are.
    finished: by cell key, what `AbstractStudy.run_cell` returned.
    Raises StudyError where cells do not fit together, such as those with other times along a dimension of their own.
    """
    axes = study.axes()
    shape = tuple(axes.values())
    variables: dict[str, Described] = {}
    coordinates: dict[str, Described] = {}
    cells = [cell for cell in study.cells() if cell.key in finished]
    attributes = []
    for cell in cells:
        data = kept(study, finished[cell.key])
        attributes.append(data.attrs)
        for name, entry in data.coords.items():
            _, values, _ = coordinates.setdefault(str(name), _described(entry))
            agree(str(name), values, entry.values)
        for name, entry in data.data_vars.items():
            if name not in variables:
                dims = (*axes, *map(str, entry.dims))
                variables[str(name)] = (dims, blank(shape + entry.shape, entry.dtype), dict(entry.attrs))
            dims, array, _ = variables[str(name)]
            fit(str(name), (entry.dims, entry.shape), (dims[len(axes) :], array.shape[len(axes) :]))
            array[tuple(cell.index.values())] = entry.values
    return whole(study, variables, coordinates, attributes)


def kept(study: "AbstractStudy", data: "xr.Dataset") -> "xr.Dataset":
    """A cell's dataset as it is kept, whichever its kind.

    data: what `AbstractStudy.run_cell` returned. Its coordinates are those that count along its own dimensions, and
    are the same for all cells; others that it has become variables, and those that the study has are left out. It has
    a `status`, last: "finished" where the kind says none. Attributes are as JSON holds them.
    Raises StudyError for a `status` that is not one text.
    """
    data = data.drop_vars(set(study.coordinates()) & set(data.variables))
    data = data.reset_coords(sorted(str(name) for name in data.coords if name not in data.dims))
    status = data.get("status")
    if status is not None and (status.ndim or status.dtype.kind not in "UOT"):
        raise StudyError(f"status of a cell must be one text, got dimensions {status.dims} and type {status.dtype}")
    data = data.drop_vars("status", errors="ignore")
    data["status"] = ((), "finished" if status is None else str(status.item()), STATUS)
    data.attrs = plain(data.attrs)
    return data


def whole(
    study: "AbstractStudy",
    variables: Mapping[str, Described],
    coordinates: Mapping[str, Described],
    attributes: Sequence[dict[str, Any]],
) -> "xr.Dataset":
    """The dataset of a study.

    variables: over the sweep's axes and their own. coordinates: those that cells brought, which the study's own
    replace. attributes: of each finished cell, in the order of the cells; those on which all agree are the study's,
    and the lines of `notes` are collected.
    """
    import xarray as xr

    described = {
        name: (dims, array.astype(str) if array.dtype.kind in "OT" else array, attrs)
        for name, (dims, array, attrs) in variables.items()
    }
    return xr.Dataset(described, dict(coordinates) | study.coordinates(), attributes_of(study, attributes))


def attributes_of(study: "AbstractStudy", cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Attributes of a study's dataset. cells: the attributes of each finished cell, in the order of the cells."""
    notes = {note for attributes in cells for note in str(attributes.get("notes", "")).splitlines() if note}
    found = _agreed(cells) | study.attributes()
    found |= {name: getattr(study, name) for name in ("kind", "confidence", "seed")}
    found |= {"study": study.name, "cells": math.prod(study.axes().values()), "cells_finished": len(cells)}
    return found | {"notes": "\n".join(sorted(notes))}


def blank(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array that says in every entry that nothing is known. dtype: of what is to stand in it."""
    if dtype.kind in "UOT":
        return np.full(shape, "", object)
    return np.full(shape, np.nan, np.complex128 if dtype.kind == "c" else np.float64)


def fit(name: str, found: tuple[Any, ...], known: tuple[Any, ...]) -> None:
    """Raise StudyError where a cell's variable is not shaped as that of the cells before it.

    found, known: dimensions and their sizes.
    """
    if found != known:
        raise StudyError(
            f"variable '{name}' of a cell must have the dimensions that it has in the cells before it, "
            f"got {_sizes(*found)}, before {_sizes(*known)}"
        )


def agree(name: str, known: np.ndarray, found: np.ndarray) -> None:
    """Raise StudyError where cells disagree, by more than rounding, about what stands along one of their dimensions."""
    if known.shape == found.shape:
        if known.dtype.kind in "iufc" and found.dtype.kind in "iufc":
            same = np.allclose(known, found, equal_nan=True)
        else:
            same = np.array_equal(known.astype(str), found.astype(str))
        if same:
            return
    raise StudyError(
        f"coordinate '{name}' of a cell must be that of the cells before it, got {_few(found)}, before {_few(known)}; "
        "what differs from cell to cell is a variable"
    )


def is_complete(dataset: "xr.Dataset") -> bool:
    """Whether all cells of a study are finished. dataset: as `combine` makes it."""
    return dataset.attrs["cells_finished"] == dataset.attrs["cells"]


def all_diverged(dataset: "xr.Dataset") -> list[dict[str, Any]]:
    """Where in the sweep every trajectory of a cell diverged: the coordinates of each such cell, by axis.

    dataset: of a study's cells, as `combine` makes it.
    """
    if "diverged" not in dataset or "trajectories" not in dataset:
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


def _described(entry: "xr.DataArray") -> Described:
    return tuple(map(str, entry.dims)), entry.values, dict(entry.attrs)


def _sizes(dims: Sequence[str], shape: Sequence[int]) -> str:
    return "(" + ", ".join(f"{name}: {size}" for name, size in zip(dims, shape, strict=True)) + ")"


def _few(values: np.ndarray) -> str:
    text = ", ".join(map(str, values.ravel()[:3].tolist()))
    return f"{values.size} values: {text}" + (", …" if values.size > 3 else "")


def _agreed(attributes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The entries that all have alike."""
    first, *others = attributes or [{}]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def plain(value: Any) -> Any:
    """An attribute as JSON can hold it: NumPy's numbers and arrays as Python's, what is unknown as text."""
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
