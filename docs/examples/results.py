# %%
import numpy as np

import sde_sgd as ss
from sde_sgd.results import AbstractResult, Provenance, Status, Verdict

# %% Status
Status.UNEVEN  # → uneven
Status.COMPLETE.meaning[:27]  # → what was asked for was done

# %% Verdict
verdict = Verdict().also(Status.BUDGET_SPENT, "the searches were used up")
verdict.status, verdict.reasons  # → (<Status.BUDGET_SPENT: 'budget spent'>, ('the searches were used up',))

# %% AbstractResult, Provenance
chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.Quadratic([1.0]), 0.5), 0.05)
found = ss.escape(chain, np.zeros(1), ss.regions.Ball([0.0], 1.0), horizon=1.0, trajectories=1024, seed=0)
result: AbstractResult = found
result.status, result.result  # → (<Status.COMPLETE: 'complete'>, 'complete')
how: Provenance = result.provenance
how.seed, how.method
