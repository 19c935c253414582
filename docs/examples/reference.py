# %%
import numpy as np

import sde_sgd as ss
from sde_sgd import reference

well = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
diffusion = ss.LangevinSGD.at_temperature(well, 0.25)
left = ss.regions.HalfSpace([1.0], 0.0)

# %% FokkerPlanck
solver = reference.FokkerPlanck(diffusion, grid=(-2.2, 2.2, 400))
solver.mean_exit_time(left, start=np.array([-1.0]))  # → 33.9457
solver.escape_probability(left, np.array([-1.0]), np.array([20.0]))[0]  # → 0.4427
solver.spectral_gap()  # → 0.0298

# %% Grid, GridFunction
grid = reference.Grid(-2.2, 2.2, 400)
times: reference.GridFunction = reference.FokkerPlanck(diffusion, grid).mean_exit_time(left)
times(np.array([-1.0]))  # → 33.9457

# %% ChainExit
step = lambda x: x - 0.05 * 4 * x * (x**2 - 1)  # SGD's own step at γ = 0.05
deviation = np.sqrt(2 * 0.25 * 0.05)
leaving = reference.ChainExit(step, deviation, start=-1.0, target=0.0, lowest=-3.0)
leaving.exits(400)[-1]  # → 0.3972

# %% ChainFork
fork = reference.ChainFork(step, deviation, start=-1.0, low=-1.5, high=0.0)
fork.probability()

# %% ChainLaw
law = reference.ChainLaw(step, deviation, cuts=[-3.0, 0.0, 3.0])
law.stationary()  # → [0.5 0.5]

# %% ChainRates
cores = [ss.regions.Ellipsoid([-1.0], [[16.0]]), ss.regions.Ellipsoid([1.0], [[16.0]])]
rates, time = reference.ChainRates(diffusion, 0.01, cores).rates(0)
rates[1]  # → 0.0147
