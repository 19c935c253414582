"""Discrete-time Markov chains that the engine runs."""

from .._exports import names_in as _names_in
from ..diffusions import refuse_if_changing as refuse_if_changing
from ._base import AbstractChain as AbstractChain
from ._base import NoiseKind as NoiseKind
from ._base import refuse_late as refuse_late
from ._batches import AbstractBatchChain as AbstractBatchChain
from ._batches import AbstractSGD as AbstractSGD
from ._euler import AbstractEuler as AbstractEuler
from ._euler_maruyama import EulerMaruyama as EulerMaruyama
from ._gradient_descent import GradientDescent as GradientDescent
from ._label_noise_sgd import LabelNoiseSGD as LabelNoiseSGD
from ._learning_rate import AbstractRateChain as AbstractRateChain
from ._levy_euler import LevyEuler as LevyEuler
from ._minibatch_sgd import MinibatchSGD as MinibatchSGD
from ._momentum_sgd import MomentumSGD as MomentumSGD
from ._optimizer import Optimizer as Optimizer
from ._sampling import AbstractSampling as AbstractSampling
from ._sampling import ReshuffledEpochs as ReshuffledEpochs
from ._sampling import WithoutReplacement as WithoutReplacement
from ._sampling import WithReplacement as WithReplacement
from ._svag import SVAG as SVAG
from ._underdamped import Underdamped as Underdamped
from ._varying import Varying as Varying
from ._whole_state import WholeState as WholeState
from ._wrapped import AbstractWrappedChain as AbstractWrappedChain

__all__ = _names_in(vars())
