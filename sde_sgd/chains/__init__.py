"""Discrete-time Markov chains that the engine runs."""

from .._exports import names_in as _names_in
from ..diffusions import refuse_if_changing as refuse_if_changing
from ._base import AbstractChain as AbstractChain
from ._base import NoiseKind as NoiseKind
from ._base import refuse_late as refuse_late
from ._euler import AbstractEuler as AbstractEuler
from ._euler_maruyama import EulerMaruyama as EulerMaruyama
from ._levy_euler import LevyEuler as LevyEuler
from ._minibatch_sgd import MinibatchSGD as MinibatchSGD
from ._underdamped import Underdamped as Underdamped
from ._whole_state import WholeState as WholeState

__all__ = _names_in(vars())
