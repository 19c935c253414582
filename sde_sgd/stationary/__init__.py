"""Where SGD ends up: occupancy of basins at given times and in the long run, densities, and rates between minima."""

from .._exports import names_in as _names_in
from .._jumps import spectral_gap as spectral_gap
from .._jumps import stationary_law as stationary_law
from .._jumps import transition_matrix as transition_matrix
from ._basins import BASINS as BASINS
from ._basins import AbstractBasins as AbstractBasins
from ._basins import GradientFlowBasins as GradientFlowBasins
from ._basins import NearestBasins as NearestBasins
from ._basins import RegionBasins as RegionBasins
from ._basins import SublevelBasins as SublevelBasins
from ._density import Histogram as Histogram
from ._histogram import histogram as histogram
from ._occupancy import occupancy as occupancy
from ._occupancy_result import Occupancy as Occupancy
from ._quench import Quench as Quench
from ._quench import quench_to as quench_to
from ._rates import transitions as transitions
from ._transitions import Transitions as Transitions
from ._unassigned_minima import UnassignedMinima as UnassignedMinima

__all__ = _names_in(vars())
