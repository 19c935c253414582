"""Runs studies: units here, in processes, on clusters, in arrays of jobs; their progress; looks from outside."""

from ..._exports import names_in as _names_in
from ._look import Plan as Plan
from ._look import Progress as Progress
from ._look import export as export
from ._look import plan as plan
from ._look import redraw as redraw
from ._look import report_html as report_html
from ._look import status as status
from ._outcome import Outcome as Outcome
from ._run import init as init
from ._run import resume as resume
from ._run import run as run
from ._run import worker as worker

__all__ = _names_in(vars())
