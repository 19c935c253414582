"""Cells of a study, and the seeds of their random numbers."""

from typing import NamedTuple


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
