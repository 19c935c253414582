"""Where SGD ends up: occupancy of basins at given times and in the long run."""

from ._at_times import OccupancyAtTimes as OccupancyAtTimes
from ._density import Histogram as Histogram
from ._histogram import histogram as histogram
from ._missed import Missed as Missed
from ._occupancy import occupancy as occupancy
from ._quench import Quench as Quench
from ._quench import quench_to as quench_to
from ._weights import StationaryWeights as StationaryWeights
