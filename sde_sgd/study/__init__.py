"""Parameter studies: a file that says what to sweep, kinds of study, the runner, the store on disk and the table."""

from .._exports import names_in as _names_in
from . import kinds as kinds
from ._dataset import all_diverged as all_diverged
from ._dataset import cell_dataset as cell_dataset
from ._dataset import combine as combine
from ._errors import StudyError as StudyError
from ._file import packaged as packaged
from ._file import packaged_text as packaged_text
from ._file import parse as parse
from ._file import read_changes as read_changes
from ._kind import AbstractStudy as AbstractStudy
from ._kind import Cell as Cell
from ._kind import Told as Told
from ._kind import register as register
from .kinds import CompareStudy as CompareStudy
from .kinds import DigitsStudy as DigitsStudy
from .kinds import EscapeStudy as EscapeStudy
from .kinds import OccupancyStudy as OccupancyStudy
from .kinds import TrainedEscapeStudy as TrainedEscapeStudy
from .kinds import TrainStudy as TrainStudy
from .kinds import TransitionsStudy as TransitionsStudy
from .reporting import Column as Column
from .reporting import report as report
from .reporting import rows as rows
from .running import Outcome as Outcome
from .running import Plan as Plan
from .running import Progress as Progress
from .running import export as export
from .running import init as init
from .running import plan as plan
from .running import redraw as redraw
from .running import report_html as report_html
from .running import resume as resume
from .running import run as run
from .running import status as status
from .running import worker as worker
from .store import Store as Store

__all__ = _names_in(vars())
