# %%
import numpy as np

import sde_sgd as ss
from sde_sgd import theory

well = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
diffusion = ss.LangevinSGD.at_temperature(well, 0.25)
left, top, right = np.array([-1.0]), np.array([0.0]), np.array([1.0])

# %% eyring_kramers
theory.eyring_kramers(diffusion, left, top)  # → 60.6433

# %% spectral_gap
theory.spectral_gap(diffusion, left, top, right)  # → 0.03298

# %% rate_matrix
minima = ss.landscapes.find_minima(well, [left, right])
rates = theory.rate_matrix(diffusion, minima, ss.landscapes.saddle_graph(well, minima))
rates[0, 1]  # → 0.01649

# %% rate_equation
# as a temperature falls, rates are a function of the time; here they stay
theory.rate_equation(lambda time: rates, start=[1.0, 0.0], times=[30.0])[0, 1]  # → 0.314

# %% gibbs_weights
theory.gibbs_weights(diffusion, minima)  # → [0.5 0.5]

# %% poincare_bound
theory.poincare_bound(gap=0.033, share=0.5, times=100.0)  # → 0.0184

# %% covariance_at, stationary_covariance
theory.covariance_at(np.diag([1.0, 4.0]), np.eye(2), 0.5)[0, 0]  # → 0.3161
theory.stationary_covariance(np.diag([1.0, 4.0]), np.eye(2))  # → [[0.5   0.   ] [0.    0.125]]

# %% outside_probability, exit_probability
theory.outside_probability(diffusion, left, 0.5, 1.0)  # → 0.00468
theory.exit_probability(diffusion, left, (0.5, 0.5), 1.0)  # → 0.238

# %% excess_risk
theory.excess_risk(diffusion, left)  # → 0.125

# %% exit_exponent
theory.exit_exponent(diffusion, left, height=1.0)  # → 4.0

# %% weighted_chi2_tail
theory.weighted_chi2_tail([1.0], 3.841)  # → 0.05

# %% minimum_action, MinimumAction
plane = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + 2 * x[1] ** 2, dim=2)
way = theory.minimum_action(ss.LangevinSGD.at_temperature(plane, 0.1), [-1.0, 0.0], [0.0, 0.0])
isinstance(way, theory.MinimumAction) and round(way.action, 2)  # → 2.0
