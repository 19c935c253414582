"""Loss landscapes: a user's own function, an analytic zoo, empirical risk of a model on data."""

from ._base import AbstractLandscape as AbstractLandscape
from ._base import Landscape as Landscape
from ._critical_points import CriticalPoint as CriticalPoint
from ._critical_points import find_minima as find_minima
from ._critical_points import find_saddle as find_saddle
from ._empirical_risk import EmpiricalRisk as EmpiricalRisk
from ._given_minima import check_minima as check_minima
from ._two_wells import TwoWells as TwoWells
from ._zoo import GaussianWells as GaussianWells
from ._zoo import MullerBrown as MullerBrown
from ._zoo import Quadratic as Quadratic
from ._zoo import Rastrigin as Rastrigin
from ._zoo import StyblinskiTang as StyblinskiTang
from ._zoo import ThreeHole as ThreeHole
