"""Where SGD ends up: occupancy of basins at given times and in the long run, and rates between minima."""

from ._at_times import OccupancyAtTimes as OccupancyAtTimes
from ._density import Histogram as Histogram
from ._histogram import histogram as histogram
from ._jumps import spectral_gap as spectral_gap
from ._jumps import stationary_law as stationary_law
from ._jumps import transition_matrix as transition_matrix
from ._missed import Missed as Missed
from ._occupancy import occupancy as occupancy
from ._quench import Quench as Quench
from ._quench import quench_to as quench_to
from ._rates import transitions as transitions
from ._transitions import Transitions as Transitions
from ._weights import StationaryWeights as StationaryWeights
