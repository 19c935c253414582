"""Ensembles of networks: trained side by side over a grid, then measured; SGD beside its SDE, and out of minima."""

from .._exports import names_in as _names_in
from ._compare import compare as compare
from ._comparison import Comparison as Comparison
from ._dataset import law_over_networks as law_over_networks
from ._dataset import laws_and_networks as laws_and_networks
from ._escape_from import escape_from as escape_from
from ._escape_result import TrainedEscape as TrainedEscape
from ._measures import MEASURES as MEASURES
from ._measures import Measure as Measure
from ._plan import TrainingPlan as TrainingPlan
from ._plan import plan as plan
from ._result import Training as Training
from ._stability import stability as stability
from ._stop import AbstractStop as AbstractStop
from ._stop import Epochs as Epochs
from ._stop import Loss as Loss
from ._stop import Steps as Steps
from ._train import train as train
from ._trends import verdicts as verdicts

__all__ = _names_in(vars())
