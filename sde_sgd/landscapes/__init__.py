"""Loss landscapes: a user's own function, an analytic zoo, empirical risk of a model on data."""

from .._exports import names_in as _names_in
from ._alignment import alignment as alignment
from ._alignment import noise_trace as noise_trace
from ._alignment import simple_noise_scale as simple_noise_scale
from ._along import Line as Line
from ._along import along as along
from ._base import AbstractLandscape as AbstractLandscape
from ._base import Landscape as Landscape
from ._base import check_landscape as check_landscape
from ._critical_points import CriticalPoint as CriticalPoint
from ._critical_points import find_minima as find_minima
from ._curvature import sharpness as sharpness
from ._curvature import trace as trace
from ._eigenpairs import Eigenpairs as Eigenpairs
from ._eigenpairs import eigenpairs as eigenpairs
from ._empirical_risk import EmpiricalRisk as EmpiricalRisk
from ._exploration import DegeneratePoint as DegeneratePoint
from ._exploration import Exploration as Exploration
from ._exploration import SaddleExit as SaddleExit
from ._explore import explore as explore
from ._given_minima import check_minima as check_minima
from ._losses import cross_entropies as cross_entropies
from ._losses import cross_entropy as cross_entropy
from ._losses import squared_error as squared_error
from ._losses import squared_errors as squared_errors
from ._polish import Polished as Polished
from ._polish import polish as polish
from ._saddle_graph import SaddleConnection as SaddleConnection
from ._saddle_graph import saddle_graph as saddle_graph
from ._string import find_saddle as find_saddle
from ._string import minimum_energy_path as minimum_energy_path
from ._two_wells import TwoWells as TwoWells
from ._ways import Way as Way
from ._zoo import DoubleWell as DoubleWell
from ._zoo import GaussianWells as GaussianWells
from ._zoo import MullerBrown as MullerBrown
from ._zoo import Quadratic as Quadratic
from ._zoo import Rastrigin as Rastrigin
from ._zoo import StyblinskiTang as StyblinskiTang
from ._zoo import ThreeHole as ThreeHole

__all__ = _names_in(vars())
