"""The finished cells of a folder that have no number, and why, by what is on the disk; nothing is computed for it."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .._dataset import all_diverged
from .._kind import AbstractStudy
from ..reporting._report import where, without_number
from ..store._store import Store

if TYPE_CHECKING:
    import xarray as xr

# cells that are named
_NAMED = 4


class Question:
    """Whether cells of a unit may be without a number, by as few variables as tell it: those of all units are read.

    study: that the units are of. names: of the variables.
    """

    def __init__(self, study: AbstractStudy):
        self._estimates = _estimates(study)
        self.names = {"diverged", "trajectories", *self._estimates}

    def may_lack(self, numbers: Mapping[str, np.ndarray | None]) -> bool:
        """False where no cell is without one; xarray is not loaded for it. numbers: as `Store.read` has them."""
        ran, diverged = numbers.get("trajectories"), numbers.get("diverged")
        # of several cells the most that diverged of any, and the fewest that were run
        if ran is not None and diverged is not None and _largest(diverged) >= -_largest(-ran):
            return True
        shown = [numbers.get(name) for name in self._estimates]
        return any(values is not None and bool(np.isnan(values).any()) for values in shown)


def numberless(store: Store, study: AbstractStudy, keys: Collection[str]) -> dict[str, str]:
    """By the finished cell in words, why it has no number. keys: of the units that are looked at."""
    question = Question(study)
    lacking = {key for key, _, numbers in store.read(question.names, keys) if question.may_lack(numbers)}
    return reasons(store, study, lacking) if lacking else {}


def reasons(store: Store, study: AbstractStudy, keys: Collection[str]) -> dict[str, str]:
    """As `numberless`, by all that tells of it. keys: of the units that may lack one."""
    bounds = {name + end for name in _estimates(study) for end in ("_low", "_high")}
    dataset = store.dataset(Question(study).names | bounds | {"probability", "status"}, keys)
    if "status" not in dataset:
        return {}
    lost = {where(place): f"every {study.counted[0]} diverged" for place in all_diverged(dataset)}
    others = {where(place): f"its status is {_status(dataset, place)}" for place in without_number(study, dataset)}
    return others | lost


def in_words(lacking: Mapping[str, str]) -> str:
    """Such as "no number of 2 cells (row 1, place = 2: every trajectory diverged; …)"; "" where none lacks one."""
    if not lacking:
        return ""
    named = [f"{place}: {why}" for place, why in list(lacking.items())[:_NAMED]]
    more = [f"and {len(lacking) - _NAMED} more"] * (len(lacking) > _NAMED)
    return f"no number of {'a cell' if len(lacking) == 1 else f'{len(lacking)} cells'} ({'; '.join([*named, *more])})"


def _estimates(study: AbstractStudy) -> list[str]:
    """Variables that the table shows with their intervals."""
    return [column.variable for column in study.columns() if column.interval]


def _largest(values: np.ndarray) -> float:
    """Of the numbers that are known."""
    return float(np.fmax.reduce(np.ravel(values), initial=-np.inf))


def _status(dataset: "xr.Dataset", place: dict[str, Any]) -> str:
    entry = dataset["status"]
    for dim, label in place.items():
        entry = entry.sel({dim: label}) if dim in dataset.coords else entry.isel({dim: int(label)})
    return ", ".join(sorted(set(map(str, entry.values.flat))))
