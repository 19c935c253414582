"""First passages: direct Monte Carlo, splitting for rare ones, exit monitoring."""

from ._branches import Branch as Branch
from ._branches import Branches as Branches
from ._branches import branches as branches
from ._call import escape as escape
from ._call import first_passage as first_passage
from ._recycled import RecycledFirstPassage as RecycledFirstPassage
from ._result import OUTCOMES as OUTCOMES
from ._result import AbstractFirstPassage as AbstractFirstPassage
from ._result import FirstPassage as FirstPassage
from ._split_result import SplitFirstPassage as SplitFirstPassage
