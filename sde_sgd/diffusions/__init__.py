"""Stochastic differential equations: drift and noise amplitude."""

from ._base import AbstractDiffusion as AbstractDiffusion
from ._ito import ItoDiffusion as ItoDiffusion
from ._langevin import Langevin as Langevin
from ._sgd import LangevinSGD as LangevinSGD
