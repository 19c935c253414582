"""Kinds of study, one file each: what its file may say, its cells, how one is run, its table and figures."""

from ..._exports import names_in as _names_in
from ._compare import CompareStudy as CompareStudy
from ._digits import DigitsStudy as DigitsStudy
from ._escape import EscapeStudy as EscapeStudy
from ._occupancy import OccupancyStudy as OccupancyStudy
from ._train import TrainStudy as TrainStudy
from ._trained_escape import TrainedEscapeStudy as TrainedEscapeStudy
from ._transitions import TransitionsStudy as TransitionsStudy

__all__ = _names_in(vars())
