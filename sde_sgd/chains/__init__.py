"""Discrete-time Markov chains that the engine runs."""

from ._base import AbstractChain as AbstractChain
from ._base import NoiseKind as NoiseKind
from ._euler_maruyama import EulerMaruyama as EulerMaruyama
from ._minibatch_sgd import MinibatchSGD as MinibatchSGD
from ._whole_state import WholeState as WholeState
