"""Jumps between basins: core sets, and the law, the times and the intervals of the jump process that they make."""

from ._core_sets import core_sets as core_sets
from ._core_sets import room as room
from ._delta_method import delta_method as delta_method
from ._delta_method import from_log_odds as from_log_odds
from ._delta_method import log_odds as log_odds
from ._delta_method import unseen as unseen
from ._process import spectral_gap as spectral_gap
from ._process import stationary_law as stationary_law
from ._process import times_before as times_before
from ._process import transition_matrix as transition_matrix
from ._slow_basins import log_weight as log_weight
from ._slow_basins import slow_groups as slow_groups
from ._slow_basins import slowest_exchange as slowest_exchange
