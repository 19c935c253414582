"""Studies: a file that says what to sweep, the runner, the store on disk and the table."""

from ._errors import StudyError as StudyError
from ._run import Outcome as Outcome
from ._run import Status as Status
from ._run import redraw as redraw
from ._run import resume as resume
from ._run import run as run
from ._run import status as status
from ._spec import DigitsStudy as DigitsStudy
from ._spec import EscapeStudy as EscapeStudy
from ._spec import packaged as packaged
from ._spec import parse as parse
from ._store import Store as Store
