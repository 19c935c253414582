"""First passages: direct Monte Carlo, exit monitoring, one result type."""

from ._direct import escape as escape
from ._direct import first_passage as first_passage
from ._result import OUTCOMES as OUTCOMES
from ._result import FirstPassage as FirstPassage
