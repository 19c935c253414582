"""Units of work: runs of neighbouring cells that are claimed, computed and written together."""

import math
from typing import TYPE_CHECKING, NamedTuple

from ._errors import StudyError
from ._kind import Cell

if TYPE_CHECKING:
    from ._kind import AbstractStudy


class Unit(NamedTuple):
    """Consecutive cells along the last axis of a sweep: the piece of a study that one process computes and writes.

    key: that of its cell, or "first..last" where it has several. cells: in the order of the axis.
    """

    key: str
    cells: tuple[Cell, ...]

    @property
    def work(self) -> float:
        """Size against the other units, without unit."""
        return math.fsum(cell.work for cell in self.cells)


def units(study: "AbstractStudy", cells_per_unit: int = 1) -> list[Unit]:
    """All units of a study, in the order of its cells; a unit never goes round the end of the last axis.

    cells_per_unit: at most so many cells in each, >= 1. The last one along the axis has what is left.
    Raises StudyError for another number, and as `AbstractStudy.cells`.
    """
    check_units(study, cells_per_unit)
    cells = study.cells()
    row = next(reversed(study.axes().values()), 1)
    return [
        _unit(tuple(cells[first + begin : first + min(begin + cells_per_unit, row)]))
        for first in range(0, len(cells), row)
        for begin in range(0, row, cells_per_unit)
    ]


def check_units(study: "AbstractStudy", cells_per_unit: int) -> None:
    """Raise as `units` does, at no cost for each cell."""
    if isinstance(cells_per_unit, bool) or not isinstance(cells_per_unit, int) or cells_per_unit < 1:
        raise StudyError(f"cells_per_unit must be a whole number of at least 1, got {cells_per_unit!r}")
    study.check_axes()


def _unit(cells: tuple[Cell, ...]) -> Unit:
    first, last = cells[0].key, cells[-1].key
    return Unit(first if len(cells) == 1 else f"{first}..{last}", cells)
