"""First passages: direct Monte Carlo, multilevel splitting for rare ones, monitoring on the grid or between its points.

`escape` and `first_passage` ask; a method answers: `Direct`, `Splitting`, `Automatic`, or your own `AbstractMethod`
with a name in `METHODS`. All answer with a `FirstPassage`, whose `evidence` is what the method saw.
"""

from .._exports import names_in as _names_in
from ._automatic import Automatic as Automatic
from ._call import escape as escape
from ._call import first_passage as first_passage
from ._direct import Direct as Direct
from ._direct_sample import OUTCOMES as OUTCOMES
from ._direct_sample import DirectSample as DirectSample
from ._evidence import AbstractEvidence as AbstractEvidence
from ._execution import Execution as Execution
from ._method import METHODS as METHODS
from ._method import AbstractMethod as AbstractMethod
from ._method import Answer as Answer
from ._question import Effort as Effort
from ._question import Question as Question
from ._question import Watch as Watch
from ._result import FirstPassage as FirstPassage
from .splitting import Branch as Branch
from .splitting import Branches as Branches
from .splitting import JumpProcessSample as JumpProcessSample
from .splitting import SettledRate as SettledRate
from .splitting import Splitting as Splitting
from .splitting import SplittingSample as SplittingSample
from .splitting import SteadyStateSample as SteadyStateSample
from .splitting import TwoSetsSample as TwoSetsSample
from .splitting import branches as branches
from .splitting import way_shares as way_shares

__all__ = _names_in(vars())
