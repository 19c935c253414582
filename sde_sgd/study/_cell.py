"""Cells of a study, the seeds of their random numbers, and what a pilot tells of them."""

from typing import Any, NamedTuple


class Cell(NamedTuple):
    """One point of a study's sweep, as data: it can be pickled and sent to another process.

    key: its name, that of its file too. index: its place along each axis of the sweep, by the axis's name.
    seed: of its random numbers, shared with no other cell. work: its size against the other cells, without unit.
    """

    key: str
    index: dict[str, int]
    seed: int
    work: float = 1.0


class Told(NamedTuple):
    """What a pilot tells of the cells of its study: arrays over the axes of the sweep, kept as JSON to the last bit.

    share: what each cell needs to know, such as how many trajectories its budget has for it.
    work: size of each cell against the others.
    """

    share: Any
    work: Any


def cell_seed(seed: int, number: int) -> int:
    """The seed of cell `number`: no two cells share random numbers, not even of studies with neighbouring seeds.

    Below 2⁵³, so that a dataset of floats holds it exactly.
    """
    return (seed << 20) + number
