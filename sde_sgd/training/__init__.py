"""Ensembles of networks over a grid of learning rates, batch sizes and momenta: trained side by side, then measured."""

from .._exports import names_in as _names_in
from ._escape_from import escape_from as escape_from
from ._escape_result import TrainedEscape as TrainedEscape
from ._measures import MEASURES as MEASURES
from ._measures import Measure as Measure
from ._result import Training as Training
from ._stop import AbstractStop as AbstractStop
from ._stop import Epochs as Epochs
from ._stop import Loss as Loss
from ._stop import Steps as Steps
from ._train import train as train

__all__ = _names_in(vars())
