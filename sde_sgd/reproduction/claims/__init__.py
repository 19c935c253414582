"""The claims, one a file; a new one is named here."""

from ._agreement import Agreement as Agreement
from ._escape_times import EscapeTimes as EscapeTimes
from ._exponential import Exponential as Exponential
from ._faster import Faster as Faster
from ._generalise import Generalise as Generalise
from ._momentum import Momentum as Momentum
from ._stationary import Stationary as Stationary
