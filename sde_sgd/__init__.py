"""How likely is SGD to leave a minimum, when, and where does it go?

Names load when they are first used, so that the command line answers before JAX is imported.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import chains as chains
    from . import diffusions as diffusions
    from . import engine as engine
    from . import landscapes as landscapes
    from . import noise as noise
    from . import passage as passage
    from . import plotting as plotting
    from . import reference as reference
    from . import regions as regions
    from . import scores as scores
    from . import stationary as stationary
    from . import statistics as statistics
    from . import study as study
    from . import theory as theory
    from .chains import EulerMaruyama as EulerMaruyama
    from .chains import MinibatchSGD as MinibatchSGD
    from .diffusions import Langevin as Langevin
    from .diffusions import LangevinSGD as LangevinSGD
    from .engine import AbstractReduction as AbstractReduction
    from .engine import integrate as integrate
    from .engine import plan as plan
    from .engine import reduce as reduce
    from .engine import simulate as simulate
    from .landscapes import EmpiricalRisk as EmpiricalRisk
    from .passage import FirstPassage as FirstPassage
    from .passage import escape as escape
    from .passage import first_passage as first_passage
    from .stationary import Histogram as Histogram
    from .stationary import Occupancy as Occupancy
    from .stationary import Transitions as Transitions
    from .stationary import histogram as histogram
    from .stationary import occupancy as occupancy
    from .stationary import transitions as transitions
    from .statistics import Estimate as Estimate

__version__ = "0.1.0"

_HOMES = {
    "EulerMaruyama": "chains",
    "MinibatchSGD": "chains",
    "Langevin": "diffusions",
    "LangevinSGD": "diffusions",
    "AbstractReduction": "engine",
    "integrate": "engine",
    "plan": "engine",
    "reduce": "engine",
    "simulate": "engine",
    "FirstPassage": "passage",
    "escape": "passage",
    "first_passage": "passage",
    "EmpiricalRisk": "landscapes",
    "Histogram": "stationary",
    "Occupancy": "stationary",
    "histogram": "stationary",
    "Transitions": "stationary",
    "occupancy": "stationary",
    "transitions": "stationary",
    "Estimate": "statistics",
}
_ROOMS = (
    "chains",
    "diffusions",
    "engine",
    "landscapes",
    "noise",
    "passage",
    "plotting",
    "reference",
    "regions",
    "scores",
    "stationary",
    "statistics",
    "study",
    "theory",
)
__all__ = [*_HOMES, *_ROOMS]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    if name in _HOMES:
        value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
        # the next look-up finds it without coming here
        globals()[name] = value
        return value
    raise AttributeError(f"module 'sde_sgd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
