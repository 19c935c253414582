"""Numerically exact answers: Fokker–Planck and backward Kolmogorov on a grid, exact kernels of chains on the line."""

from .._exports import names_in as _names_in
from ._exact_chains import ChainExit as ChainExit
from ._exact_chains import ChainFork as ChainFork
from ._exact_chains import ChainLaw as ChainLaw
from ._exact_chains import ChainRates as ChainRates
from ._fokker_planck import FokkerPlanck as FokkerPlanck
from ._grid import Grid as Grid
from ._grid import GridFunction as GridFunction

__all__ = _names_in(vars())
