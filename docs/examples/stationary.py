# %%
import numpy as np

import sde_sgd as ss
from sde_sgd import stationary

landscape = ss.landscapes.TwoWells(sharp_curvature=8.0, flat_curvature=2.0, barrier=0.5)
chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.3), dt=0.05)
sharp, flat = landscape.sharp_minimum, landscape.flat_minimum

# %% occupancy, Occupancy
found = ss.occupancy(
    chain, sharp, minima={"sharp": sharp, "flat": flat}, basins="nearest", times=[1.0, 20.0],
    trajectories=2048, seed=0,
)  # fmt: skip
isinstance(found, ss.Occupancy) and found.names  # → ('sharp', 'flat')
found.probability.value.shape  # → (2, 2)

# %% histogram, Histogram
density = ss.histogram(chain, sharp, bins=(-3.0, 4.0, 20), horizon=40.0, trajectories=256, seed=0)
isinstance(density, ss.Histogram) and density.density.value.shape  # → (20,)

# %% transitions, Transitions
rates = ss.transitions(
    ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.1), 0.05), {"sharp": sharp, "flat": flat}, rtol=0.3,
    method="direct", seed=0, progress=False,
)  # fmt: skip
isinstance(rates, ss.Transitions) and rates.relaxation_time.value > 0  # → True
rates.stationary.value.sum().round(6)  # → 1.0

# %% stationary_law, spectral_gap, transition_matrix
Q = np.array([[0.0, 3.0], [1.0, 0.0]])
stationary.stationary_law(Q)  # → [0.25 0.75]
stationary.spectral_gap(Q)  # → 4.0
stationary.transition_matrix(Q, 100.0)[0]  # → [0.25 0.75]

# %% BASINS, GradientFlowBasins, NearestBasins, SublevelBasins, RegionBasins
sorted(stationary.BASINS)  # → ['nearest', 'quench', 'sublevel']
left = ss.regions.HalfSpace(normal=[1.0], offset=0.0)
rules = [
    stationary.GradientFlowBasins(),
    stationary.NearestBasins(),
    stationary.SublevelBasins(0.4),
]
minima = ss.landscapes.find_minima(landscape, [sharp, flat])
[rule.of_minima(landscape, minima).count for rule in rules]  # → [2, 2, 2]
stationary.RegionBasins({"left": left, "right": ~left}).count  # → 2


# %% AbstractBasins
isinstance(rules[0], stationary.AbstractBasins)  # → True

# %% quench_to, Quench
quench = stationary.quench_to(landscape, minima)
isinstance(quench, stationary.Quench)  # → True

# %% UnassignedMinima
one = ss.occupancy(chain, sharp, minima=[sharp], times=[20.0], trajectories=256, seed=0)
isinstance(one.unassigned_minima, stationary.UnassignedMinima) and len(one.unassigned_minima.shares)  # → 1
one.status  # → incomplete
