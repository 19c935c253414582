"""Runs any chain for many trajectories. Knows chains, not diffusions and not SGD."""

from ._blocks import LANES as LANES
from ._blocks import check_first_step as check_first_step
from ._blocks import start_states as start_states
from ._blocks import steps_until as steps_until
from ._devices import place as place
from ._devices import spread as spread
from ._integrate import MAX_STEPS as MAX_STEPS
from ._integrate import block_unit as block_unit
from ._integrate import integrate as integrate
from ._lanes import as_leaves as as_leaves
from ._noise import SeedKey as SeedKey
from ._noise import derived_key as derived_key
from ._noise import seed_key as seed_key
from ._plan import Plan as Plan
from ._plan import plan as plan
from ._population import Ends as Ends
from ._population import run_population as run_population
from ._simulate import Part as Part
from ._simulate import follow as follow
from ._simulate import resolve_ids as resolve_ids
from ._simulate import simulate as simulate
from ._stopping import Stops as Stops
from ._stopping import run_until_stopped as run_until_stopped
from ._tuning import Compiled as Compiled
from ._watch import DIVERGED as DIVERGED
from ._watch import AbstractMonitor as AbstractMonitor
