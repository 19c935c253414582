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
from ._html import report_html as report_html
from ._kind import AbstractStudy as AbstractStudy
from ._kind import Cell as Cell
from ._kind import register as register
from ._look import Plan as Plan
from ._look import Progress as Progress
from ._look import export as export
from ._look import plan as plan
from ._look import redraw as redraw
from ._look import status as status
from ._outcome import Outcome as Outcome
from ._report import report as report
from ._report import rows as rows
from ._run import init as init
from ._run import resume as resume
from ._run import run as run
from ._run import worker as worker
from ._store import Store as Store
from ._text_table import Column as Column
from .kinds import CompareStudy as CompareStudy
from .kinds import DigitsStudy as DigitsStudy
from .kinds import EscapeStudy as EscapeStudy
from .kinds import OccupancyStudy as OccupancyStudy
from .kinds import TrainStudy as TrainStudy
from .kinds import TransitionsStudy as TransitionsStudy

__all__ = _names_in(vars())
