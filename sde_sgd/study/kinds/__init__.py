"""Kinds of study, one file each: what its file may say, its cells, how one is run, its table and figures."""

from ..._exports import names_in as _names_in
from ._digits import DigitsStudy as DigitsStudy
from ._escape import EscapeStudy as EscapeStudy
from ._train import TrainStudy as TrainStudy

__all__ = _names_in(vars())
