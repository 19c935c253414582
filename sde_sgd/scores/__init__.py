"""Ready-made scores for splitting: numbers that grow on the way to the target, to pass as `score=`."""

from .._exports import names_in as _names_in
from ._automatic import Choice as Choice
from ._automatic import automatic as automatic
from ._automatic import choose as choose
from ._committor import GridScore as GridScore
from ._committor import committor as committor
from ._farthest import Farthest as Farthest
from ._path import PathScore as PathScore
from ._path import along as along
from ._path import path as path
from ._ways import WaysScore as WaysScore
from ._ways import ways as ways

__all__ = _names_in(vars())
