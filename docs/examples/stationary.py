# %%
import jax.numpy as jnp
import numpy as np

import sde_sgd as ss
from sde_sgd import stationary

landscape = ss.landscapes.TwoWells(sharp_curvature=8.0, flat_curvature=2.0, barrier=0.5)
chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.3), dt=0.05)
sharp, flat = landscape.sharp_minimum, landscape.flat_minimum

# %% occupancy, Occupancy
occupied: ss.Occupancy = ss.occupancy(
    chain, sharp, minima={"sharp": sharp, "flat": flat}, basins="nearest", times=[1.0, 20.0],
    trajectories=2048, seed=0,
)  # fmt: skip
occupied.names, occupied.times  # → (('sharp', 'flat'), array([ 1., 20.]))
# a row for each time
occupied.probability.value.round(1)

# %% histogram, Histogram
density: ss.Histogram = ss.histogram(chain, sharp, bins=(-3.0, 4.0, 20), horizon=40.0, trajectories=256, seed=0)
(density.density.value * np.diff(density.edges[0])).sum().round(2)  # → 1.0

# %% transitions, Transitions
rates: ss.Transitions = ss.transitions(
    ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.1), 0.05), {"sharp": sharp, "flat": flat}, rtol=0.3,
    method="direct", seed=0, progress=False,
)  # fmt: skip
rates.relaxation_time
rates.stationary.value.sum().round(6)  # → 1.0

# %% stationary_law, spectral_gap, transition_matrix
Q = np.array([[0.0, 3.0], [1.0, 0.0]])
stationary.stationary_law(Q)  # → [0.25 0.75]
stationary.spectral_gap(Q)  # → 4.0
stationary.transition_matrix(Q, 100.0)[0]  # → [0.25 0.75]

# %% BASINS, GradientFlowBasins, NearestBasins, SublevelBasins, RegionBasins
sorted(stationary.BASINS)  # → ['nearest', 'quench', 'sublevel']
left = ss.regions.HalfSpace(normal=[1.0], offset=0.0)
rules = stationary.GradientFlowBasins(), stationary.NearestBasins(), stationary.SublevelBasins(0.4)
minima = ss.landscapes.find_minima(landscape, [sharp, flat])
[rule.of_minima(landscape, minima).count for rule in rules]  # → [2, 2, 2]
stationary.RegionBasins({"left": left, "right": ~left}).count  # → 2


# %% AbstractBasins
nearest: stationary.AbstractBasins = rules[1].of_minima(landscape, minima)
nearest.label(np.array([[-2.0, -1.0, 1.0, 2.0]], np.float32))

# %% quench_to, Quench
quench: stationary.Quench = stationary.quench_to(landscape, minima)
number, end = quench(jnp.array([[-0.5, 0.5]]))
number

# %% UnassignedMinima
one = ss.occupancy(chain, sharp, minima=[sharp], times=[20.0], trajectories=256, seed=0)
beside: stationary.UnassignedMinima = one.unassigned_minima
len(beside.shares), one.status  # → (1, <Status.INCOMPLETE: 'incomplete'>)
