"""Stochastic differential equations: drift, noise amplitude, and what is known about them."""

from .._exports import names_in as _names_in
from ._base import AbstractDiffusion as AbstractDiffusion
from ._base import refuse_if_changing as refuse_if_changing
from ._clock import AbstractClock as AbstractClock
from ._clock import Iterations as Iterations
from ._clock import PeriodicTime as PeriodicTime
from ._clock import RunningTime as RunningTime
from ._clock import WholeIterations as WholeIterations
from ._ito import ItoDiffusion as ItoDiffusion
from ._langevin import Langevin as Langevin
from ._momentum_sgd import LangevinMomentumSGD as LangevinMomentumSGD
from ._sgd import LangevinSGD as LangevinSGD
from ._underdamped import AbstractUnderdamped as AbstractUnderdamped
from ._underdamped import UnderdampedLangevin as UnderdampedLangevin

__all__ = _names_in(vars())
