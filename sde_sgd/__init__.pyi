# The public names of sde_sgd: a line here is all that a new one takes. `lazy_loader` reads this file at run time, type
# checkers and editors read it as a stub.

from . import chains as chains
from . import data as data
from . import diffusions as diffusions
from . import engine as engine
from . import interoperation as interoperation
from . import landscapes as landscapes
from . import noise as noise
from . import passage as passage
from . import plotting as plotting
from . import random as random
from . import reference as reference
from . import regions as regions
from . import reproduction as reproduction
from . import results as results
from . import scores as scores
from . import stationary as stationary
from . import statistics as statistics
from . import study as study
from . import theory as theory
from . import training as training
from ._program_cache import keep_programs as keep_programs
from .chains import EulerMaruyama as EulerMaruyama
from .chains import MinibatchSGD as MinibatchSGD
from .diffusions import Langevin as Langevin
from .diffusions import LangevinSGD as LangevinSGD
from .engine import AbstractReduction as AbstractReduction
from .engine import integrate as integrate
from .engine import plan as plan
from .engine import reduce as reduce
from .engine import simulate as simulate
from .interoperation import to_diffrax as to_diffrax
from .interoperation import to_samples as to_samples
from .landscapes import EmpiricalRisk as EmpiricalRisk
from .passage import FirstPassage as FirstPassage
from .passage import escape as escape
from .passage import first_passage as first_passage
from .results import Status as Status
from .stationary import Histogram as Histogram
from .stationary import Occupancy as Occupancy
from .stationary import Transitions as Transitions
from .stationary import histogram as histogram
from .stationary import occupancy as occupancy
from .stationary import transitions as transitions
from .statistics import Estimate as Estimate
from .training import Comparison as Comparison
from .training import Training as Training
from .training import compare as compare
from .training import train as train

__version__: str
