"""Runs any chain for many trajectories: lowering, chunks, early stopping, compaction, queues, sharding over devices.

Knows chains, not diffusions and not SGD. `docs/engine.md` says how it is laid out and why.
"""

from .._exports import names_in as _names_in
from ..random import SeedKey as SeedKey
from ..random import derived_key as derived_key
from ..random import seed_key as seed_key
from ..random import seed_number as seed_number
from ._batched_step import as_leaves as as_leaves
from ._blocks import LANES as LANES
from ._blocks import Ids as Ids
from ._blocks import steps_until as steps_until
from ._compiled import Compiled as Compiled
from ._devices import shard as shard
from ._devices import shard_apply as shard_apply
from ._integrate import MAX_STEPS as MAX_STEPS
from ._integrate import block_unit as block_unit
from ._integrate import integrate as integrate
from ._observation_times import observation_steps as observation_steps
from ._plan import Plan as Plan
from ._plan import plan as plan
from ._population import Ends as Ends
from ._population import Renewals as Renewals
from ._population import run_population as run_population
from ._population import run_renewing as run_renewing
from ._reduce import Reduced as Reduced
from ._reduce import reduce as reduce
from ._reduce import trajectories_of as trajectories_of
from ._reductions import AbstractReduction as AbstractReduction
from ._simulate import Part as Part
from ._simulate import observe as observe
from ._simulate import resolve_ids as resolve_ids
from ._simulate import simulate as simulate
from ._start import check_chain as check_chain
from ._start import check_first_step as check_first_step
from ._start import refuse_transformations as refuse_transformations
from ._start import start_states as start_states
from ._stop_codes import DIVERGED as DIVERGED
from ._stop_codes import StopCode as StopCode
from ._stopping import StopTimes as StopTimes
from ._stopping import run_until_stopped as run_until_stopped
from ._tuning import ACCELERATOR as ACCELERATOR
from ._tuning import CPU as CPU
from ._tuning import Tuning as Tuning
from ._tuning import tuned as tuned
from ._tuning import tuning_of as tuning_of
from ._watch import AbstractMonitor as AbstractMonitor

__all__ = _names_in(vars())
