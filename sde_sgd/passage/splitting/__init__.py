"""Multilevel splitting: scores, levels, repetitions, substeps, and mean times by excursions (Hill relation)."""

from ._branches import Branch as Branch
from ._branches import Branches as Branches
from ._branches import branches as branches
from ._method import SettledRate as SettledRate
from ._method import Splitting as Splitting
from ._method import check_score as check_score
from ._sample import SplittingSample as SplittingSample
from ._steady_state import SteadyStateSample as SteadyStateSample
from ._two_sets import TwoSetsSample as TwoSetsSample
from ._way_shares import way_shares as way_shares
from .basins import JumpProcessSample as JumpProcessSample
