"""One budget for a study: what each cell gets after a pilot, so that the widest interval is as narrow as may be."""

import abc
import math
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from pydantic import PrivateAttr, model_validator

# its rooms load when they are first used: `sde-sgd status` needs none of them
import sde_sgd as ss

from .._cell import Cell, Told
from .._errors import StudyError
from .._kind import AbstractStudy
from .._sections import Positive

if TYPE_CHECKING:
    import xarray as xr

Study = typing.TypeVar("Study", bound="AbstractBudgetStudy")

# standard errors of what a pilot has seen, for bounds on what it cannot know
_ERRORS = 2.0
# no two studies share random numbers, whose seeds differ
_OTHER_SEED = 2**31


class AbstractBudgetStudy(AbstractStudy):
    """A study that may have one budget for all of its cells.

    budget: path-steps of the whole study, the pilot's included. After a pilot of every cell, which counts for its cost
        alone, all cells are run anew, each as often as makes the widest interval as narrow as may be.

    share: of a kind, the key whose number the budget decides for each cell. target: the key of the half-width at which
    a cell is precise enough. is_relative: whether that is against the value. least: of the number, for an interval.
    """

    share: ClassVar[str] = "trajectories"
    target: ClassVar[str] = "rtol"
    is_relative: ClassVar[bool] = True
    least: ClassVar[int] = 1

    budget: Positive | None = None
    _told: Callable[[], Told] | None = PrivateAttr(default=None)

    @classmethod
    def spelt_out(cls, table):
        given = table.get(cls.share)
        if table.get("budget") is not None and isinstance(given, list | dict):
            raise ValueError(f"{cls.share} must be one value where a budget decides those of each cell, got {given}")
        return super().spelt_out(table)

    @model_validator(mode="after")
    def _has_a_budget(self):
        if self.budget is None and self.asked_for is not None and not self.stops_alone:
            raise ValueError(f"{self.target} is what a budget is spent for, which is not given")
        return self

    @property
    def asked_for(self) -> float | None:
        """The half-width at which a cell is precise enough; None where no half-width is."""
        return getattr(self, self.target)

    @property
    def stops_alone(self) -> bool:
        """Whether the kind keeps to its target without a budget."""
        return False

    def check_number(self) -> None:
        """Raise StudyError where there are more in a cell than the engine has ids for."""
        from ...engine import resolve_ids

        try:
            resolve_ids(getattr(self, self.share), None)
        except ValueError as error:
            raise StudyError(str(error).replace("trajectories", self.share)) from None

    @abc.abstractmethod
    def interval(self) -> tuple[str, Mapping[str, int]]:
        """Which variable's interval is to be narrow, and where along its own dimensions; along others the widest is."""

    def of_the_pilot(self) -> dict[str, Any]:
        """Keys that are others in the pilot."""
        return {}

    def costs(self, pilot: "xr.Dataset") -> Float[np.ndarray, "..."]:
        """Path-steps of one more in each cell, at most, as far as the pilot tells; over the axes of the sweep."""
        return over(self, pilot["path_steps"]) / self.number

    def spreads(self, pilot: "xr.Dataset") -> Float[np.ndarray, "..."]:
        """Squared half-width of each cell's widest interval times their number; 0 where more tell nothing.

        pilot: its finished dataset.
        """
        found = self.number * self.widths(pilot) ** 2
        return np.where(np.isfinite(found), found, 0.0)

    def scatter(self, pilot: "xr.Dataset") -> Float[np.ndarray, "..."]:
        """Relative variance of a squared half-width times the number that it is by: 2, as of a normal's variance.

        pilot: its finished dataset.
        """
        return np.full(tuple(self.axes().values()), 2.0)

    @property
    def number(self) -> int:
        """How many the pilot has in each cell."""
        return self.of_the_pilot().get(self.share, getattr(self, self.share))

    @property
    def most(self) -> float:
        """How many a cell has room for."""
        return math.inf

    def widths(self, data: "xr.Dataset") -> Float[np.ndarray, "..."]:
        """Half-width of the widest interval of each cell, as the target is given. data: a study's, or a cell's."""
        name, place = self.interval()
        known = {axis: at for axis, at in place.items() if axis in data[name].dims}
        value, low, high = (data[name + end].isel(known) for end in ("", "_low", "_high"))
        with np.errstate(all="ignore"):
            return widest(self, (high - low) / 2 / (abs(value) if self.is_relative else 1.0))

    def pilot(self):
        if self.budget is None:
            return None
        table = {key: value for key, value in self._table.items() if key not in ("budget", self.target)}
        others = {"name": f"{self.name}-pilot", "seed": self.seed ^ _OTHER_SEED}
        return type(self).model_validate(table | others | self.of_the_pilot())

    def told_by(self, pilot):
        assert self.budget is not None
        spread, steps = self.spreads(pilot), over(self, pilot["path_steps"])
        enough = np.full(spread.shape, float(self.most))
        if self.asked_for is not None:
            wanted = np.maximum(spread / self.asked_for**2, self.least)
            # neither the pilot's widths nor those to come are as expected
            error = np.sqrt(self.scatter(pilot) * (1 / self.number + 1 / wanted))
            enough = np.minimum(enough, np.ceil(wanted * (1 + _ERRORS * error)))
        found = allocation(spread, self.costs(pilot), enough, self.budget, steps, self.least)
        return Told(found, found * steps / self.number)

    def informed(self, shared, told):
        self._told = told
        return shared

    def of_cell(self: Study, cell: Cell) -> Study:
        """The study of one cell, as `at`, with the number that its budget leaves to it where there is one."""
        one = self.at(cell.index)
        if self.budget is None:
            return one
        assert self._told is not None
        given = self._told().share[tuple(cell.index[axis] for axis in self.axes())]
        return one.model_copy(update={self.share: type(getattr(one, self.share))(given)})

    def judged(self, data: "xr.Dataset", where: str) -> "xr.Dataset":
        """A cell's dataset, which says so where the budget ended before the cell was precise enough.

        where: the cell in words.
        """
        if self.budget is None or self.asked_for is None:
            return data
        width = float(self.widths(data))
        # what is not known the status says
        if math.isnan(width) or width <= self.asked_for:
            return data
        about = "its value" if self.is_relative else data[self.interval()[0]].attrs.get("units", "1")
        told = f"an interval is {width:.2g} of {about} to either side, asked for {self.asked_for:g}"
        if data["status"].item() in (ss.results.Status.COMPLETE, ss.results.Status.CONVERGED):
            data = data.assign(status=((), str(ss.results.Status.BUDGET_SPENT), data["status"].attrs))
        return data.assign_attrs(
            notes="\n".join(filter(None, [data.attrs.get("notes"), f"{where}: budget spent: {told}"]))
        )

    def budget_lines(self, dataset: "xr.Dataset") -> list[str]:
        """For above the table: what was spent, and for what."""
        if self.budget is None:
            return []
        spent = float(dataset["path_steps"].sum())
        enough = "" if self.asked_for is None else f", up to {self.target} = {self.asked_for:g}"
        return [
            f"budget: {self.budget:g} path-steps, of which the cells took {spent:.3g} and the pilot the others; "
            f"{self.share} where the intervals would be widest{enough}"
        ]


class AbstractWatchStudy(AbstractBudgetStudy):
    """A study of exits within a watch, which may have one budget: what a pilot tells goes by the binomial law.

    of_a_time: of a kind, whether the interval of the mean time is to be narrow, in place of the probability's.
    """

    of_a_time: ClassVar[bool] = False

    @abc.abstractmethod
    def longest(self, cell: Cell) -> float:
        """Path-steps of one that is watched to the end. cell: of the study."""

    def interval(self):
        return "mean_exit_time" if self.of_a_time else "probability", {}

    def spreads(self, pilot):
        """z²(1 − p)/p; of the mean time z²/p, since times of exits are as spread as they are long.

        0 where every one diverged.
        """
        p = self._rarest(pilot)
        square = ss.statistics.normal_width(self.confidence) ** 2
        return np.where(np.isnan(p), 0.0, square * (1.0 if self.of_a_time else 1 - p) / p)

    def scatter(self, pilot):
        """That of (1 − p)/p, or of 1/p."""
        p = np.nan_to_num(self._rarest(pilot), nan=0.5)
        return (1 - p) / p if self.of_a_time else 1 / (p * (1 - p))

    def costs(self, pilot):
        steps = over(self, pilot["path_steps"])
        longest = np.reshape([float(self.longest(cell)) for cell in self.cells()], steps.shape)
        return cost_of_a_watch(steps, self.number, longest)

    def _rarest(self, pilot: "xr.Dataset") -> Float[np.ndarray, "..."]:
        """(k + ½)/(n + 1) where k of n have left in the pilot, so that none there is not never.

        Where a cell has several probabilities it is that of the rarest.
        """
        found = pilot["probability"]
        share = over(self, found.min([axis for axis in found.dims if axis not in self.axes()]))
        return (share * self.number + 0.5) / (self.number + 1)


def allocation(
    spread: Float[np.ndarray, "..."],
    each: Float[np.ndarray, "..."],
    enough: Float[np.ndarray, "..."],
    budget: float,
    path_steps: Float[np.ndarray, "..."],
    least: int = 1,
) -> Int[np.ndarray, "..."]:
    """How many each cell gets after a pilot, by definition with equal expected widths of all intervals.

    spread: squared half-width of a cell's interval for one. each: path-steps of one. enough: most that a cell is given,
    at least `least`. budget: path-steps of the study, of which the pilot took `path_steps`.
    The number of a cell goes as its spread, between `least` and `enough`, and what all cost is at most what is left of
    the budget: any other numbers at that cost have a wider widest interval. No sum depends on the order of its terms,
    so that every machine finds the same numbers. Raises StudyError where the budget has less than `least` for a cell.
    """
    left = budget - math.fsum(path_steps.ravel())
    given = (spread, enough, least)
    smallest = _cost(_counts(0.0, *given), each)
    if smallest > left:
        raise StudyError(
            f"budget must be at least {budget - left + smallest:.4g} path-steps, for the pilot and {least} more in "
            f"each cell, got {budget:.4g}"
        )
    low, high = 0.0, 1.0
    while _cost(_counts(high, *given), each) <= left and high < 1e18:
        low, high = high, 2 * high
    # until there is no number between the two
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _cost(_counts(middle, *given), each) <= left else (low, middle)
    return _counts(low, *given).astype(np.int64)


def _counts(share: float, spread: np.ndarray, enough: np.ndarray, least: int) -> np.ndarray:
    """Whole numbers in proportion to the spread, between `least` and `enough`."""
    return np.clip(np.floor(share * spread), least, enough)


def _cost(counts: np.ndarray, each: np.ndarray) -> float:
    return math.fsum((counts * each).ravel())


def over(study: AbstractStudy, values: "xr.DataArray") -> Float[np.ndarray, "..."]:
    """A variable over the axes of a study and no others. values: of a study's dataset, or of a cell's."""
    return values.transpose(*(axis for axis in study.axes() if axis in values.dims)).values.astype(float)


def widest(study: AbstractStudy, values: "xr.DataArray") -> Float[np.ndarray, "..."]:
    """The largest along the dimensions that are not the study's; NaN where none is known."""
    return over(study, values.max([axis for axis in values.dims if axis not in study.axes()]))


def cost_of_a_watch(
    path_steps: Float[np.ndarray, "..."], number: int, longest: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """Mean steps of a trajectory that stops early, at most: two standard errors above what `number` of them took.

    longest: steps of the watch. The variance is at most (longest − mean)·mean (Bhatia and Davis 2000).
    """
    mean = path_steps / number
    return mean + _ERRORS * np.sqrt(np.maximum(longest - mean, 0.0) * mean / number)
