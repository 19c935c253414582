"""First passages: direct Monte Carlo, splitting for rare ones, exit monitoring."""

from ._direct import escape as escape
from ._direct import first_passage as first_passage
from ._result import OUTCOMES as OUTCOMES
from ._result import FirstPassage as FirstPassage
from ._split_result import SplitFirstPassage as SplitFirstPassage
