"""Rare passages over hidden basins: what exploration says of the surroundings, and the jumps between slow basins."""

from ._jump_sample import JumpProcessSample as JumpProcessSample
from ._looking import hardly_entered as hardly_entered
from ._mean_time import mean_time as mean_time
from ._network import Part as Part
from ._over_slow_basins import over_slow_basins as over_slow_basins
from ._surroundings import Surroundings as Surroundings
