"""Numerically exact answers in one and two dimensions, to hold simulations and theory against."""

from ._fokker_planck import FokkerPlanck as FokkerPlanck
from ._grid import Grid as Grid
from ._grid import GridFunction as GridFunction
