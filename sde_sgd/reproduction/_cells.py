"""Numbers of a dataset as flat estimates, with where each is and what its cell says."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._quantities import SIGNS
from ..statistics import Estimate

if TYPE_CHECKING:
    import xarray as xr


class Cells(NamedTuple):
    """Numbers of several cells.

    estimates: (n,), with their intervals. where: of each, in words, such as "M = 8". status: what its cell says of it.
    predicted: (n,), what is predicted of each, or None.
    """

    estimates: Estimate
    where: list[str]
    status: list[str]
    predicted: Any = None

    def mapped(self, change: Callable[[Estimate], Estimate], predicted: Any = None) -> "Cells":
        """The same cells with other numbers, `change` of these. predicted: (n,), of the new ones."""
        return self._replace(estimates=change(self.estimates), predicted=predicted)

    def at(self, places: Any) -> "Cells":
        """Some of the cells. places: whole numbers."""
        chosen = [int(place) for place in places]
        return Cells(
            self.estimates[chosen],
            [self.where[place] for place in chosen],
            [self.status[place] for place in chosen],
            None if self.predicted is None else np.asarray(self.predicted)[chosen],
        )

    def called(self, words: str) -> "Cells":
        """The same cells, with `words` before where each is."""
        return self._replace(where=[f"{words}, {place}" for place in self.where])


def cells(data: "xr.Dataset", name: str, beside: str | None = None, at: Mapping[str, Any] | None = None) -> Cells:
    """A variable with its bounds, over every cell.

    beside: the variable that predicts it. at: positions along dimensions, such as {"time": -1}.
    """
    import xarray as xr

    part = data.isel(at or {})
    chosen = [name, f"{name}_low", f"{name}_high", *([beside] if beside else []), "status"]
    columns = xr.broadcast(*(part[each] for each in chosen))
    value, low, high, *rest = (each.values.ravel() for each in columns)
    where = words(columns[0])
    return Cells(
        Estimate(value, low, high, float(data.attrs["confidence"])),
        where,
        [str(each) for each in rest[-1]],
        rest[0] if beside else None,
    )


def words(variable: "xr.DataArray") -> list[str]:
    """Where each entry of a variable is, by the coordinates of those of its dimensions that are longer than one."""
    found = []
    for place in np.ndindex(variable.shape):
        parts = []
        for dim, number in zip(variable.dims, place, strict=True):
            for coordinate in variable.coords.values():
                # how long it was watched is zipped with M, and says nothing more
                if coordinate.dims == (dim,) and variable.sizes[dim] > 1 and coordinate.name != "horizon":
                    parts.append(_named(str(coordinate.name), coordinate.values[number]))
        found.append(", ".join(parts) or "the one cell")
    return found


def _named(name: str, value: Any) -> str:
    return value if isinstance(value, str) else f"{SIGNS.get(name, name)} = {value:g}"


def joined(*parts: Cells) -> Cells:
    """Cells of several studies as one list, without predictions where one has none."""
    estimates = [part.estimates for part in parts]
    ends = (np.concatenate([getattr(each, end) for each in estimates]) for end in ("value", "low", "high"))
    predicted = None if any(part.predicted is None for part in parts) else np.concatenate([p.predicted for p in parts])
    return Cells(
        Estimate(*ends, estimates[0].confidence),
        [each for part in parts for each in part.where],
        [each for part in parts for each in part.status],
        predicted,
    )
