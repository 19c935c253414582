# %%
import tempfile

import equinox as eqx
import jax
import numpy as np

import sde_sgd as ss
from sde_sgd import plotting, study

plane = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + 2 * x[1] ** 2, dim=2)
well = ss.landscapes.TwoWells(sharp_curvature=8.0, flat_curvature=2.0, barrier=0.5)
chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(well, 0.3), dt=0.05)
minima = ss.landscapes.find_minima(well, [well.sharp_minimum, well.flat_minimum])
start = minima[0].location.astype(np.float32)


def small(name, **changes):
    """The dataset of a packaged study, made smaller."""
    changes = {key.replace("__", "."): value for key, value in changes.items()}
    return study.run(name, tempfile.mkdtemp() + "/study", changes=changes, progress=False).dataset


# %% landscape
axes = plotting.landscape(plane, minima=[[-1.0, 0.0], [1.0, 0.0]], saddles=[[0.0, 0.0]])
axes.figure.savefig(tempfile.mkdtemp() + "/landscape.png")

# %% paths
walks = ss.simulate(chain, start, steps=64, trajectories=8, seed=0, save_every=4)
lines = plotting.paths(walks, well, times=0.2 * np.arange(17))

# %% survival
left = ss.regions.HalfSpace([1.0], 0.0)
found = ss.escape(chain, start, left, 10.0, trajectories=512, seed=0)
curve = plotting.survival(found.to_dataset())  # the same as found.plot()

# %% occupancy
places = ss.occupancy(chain, start, minima=minima, basins="nearest", times=[1.0, 5.0], trajectories=256, seed=0)
shares = plotting.occupancy(places.to_dataset(), theory=ss.theory.gibbs_weights(chain.diffusion, minima))

# %% histogram
density = ss.histogram(chain, start, bins=(-3.0, 4.0, 20), horizon=20.0, trajectories=128, seed=0)
steps = plotting.histogram(density.to_dataset(), theory=chain.diffusion)

# %% transitions
cold = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(well, 0.1), dt=0.05)
rates = ss.transitions(cold, minima, rtol=0.3, method="direct", seed=0, progress=False)
discs = plotting.transitions(rates.to_dataset(), landscape=well)

# %% reduced
values = np.array([[0.1], [0.2], [0.3]])
looks = plotting.reduced(values, times=np.array([1.0, 2.0, 3.0]), trajectories=100)

# %% landscape_map
explored = ss.landscapes.explore(plane, [-1.0, 0.0], height=2.0, max_searches=64, progress=False)
map_ = plotting.landscape_map(explored.to_dataset())  # a figure, as all below

# %% minimum_action_path
way = ss.theory.minimum_action(ss.LangevinSGD.at_temperature(plane, 0.1), [-1.0, 0.0], [0.0, 0.0], images=17)
action = plotting.minimum_action_path(way.to_dataset())

# %% time_in_basins
# a shallow well between falls into a deep one on the far side first
wells = ss.landscapes.GaussianWells([[-2.0], [0.0]], depths=[1.6, 1.0], widths=0.5, confinement=0.05)
inner = min(ss.landscapes.find_minima(wells, [[-2.0], [0.0]]), key=lambda point: abs(point.location[0]))
slow = ss.first_passage(
    ss.EulerMaruyama(ss.LangevinSGD.at_temperature(wells, 0.13), 0.05), inner.location.astype(np.float32),
    ss.regions.HalfSpace([-1.0], -1.2), trajectories=512, seed=0, method="splitting", progress=False,
)  # fmt: skip
bars = plotting.time_in_basins(slow.to_dataset())

# %% survival_curves, phase_diagram, sweep_figure
few = {"sweep__learning_rate": [0.036, 0.054], "sweep__batch_size": [8, 12], "reference__grid": [-1.6, 2.4, 100]}
sweep = small("escape", trajectories=256, horizon=5.0, dt=0.012, **few)
curves = plotting.survival_curves(sweep)
diagram = plotting.phase_diagram(sweep)
against = plotting.sweep_figure(sweep, "probability", {})

# %% digits_figure
pair = small("digits", hidden=4, examples=64, trajectories=16, iterations=20, ratios=[[0.5, 8]])
digits = plotting.digits_figure(pair)

# %% batch_figure, trade_off_figure, training_law, edge_figure
inputs = np.random.default_rng(0).normal(size=(48, 2))
targets = inputs @ [1.0, -1.0] + inputs[:, 0] ** 2
line = eqx.nn.Linear(2, "scalar", use_bias=False, key=jax.random.key(0))
held_out = inputs[32:], targets[32:]
regression = ss.EmpiricalRisk(line, ss.landscapes.squared_error, inputs[:32], targets[:32], held_out=held_out)
trained = ss.train(
    regression, networks=4, learning_rate=[0.1, 0.2], batch_size=[4, 8], stop=ss.training.Epochs(2), progress=False
)
measured = trained.to_dataset("sharpness", "held_out_loss", "train_loss", "noise_trace")
batch = plotting.batch_figure(measured)
trade = plotting.trade_off_figure(measured)
law = plotting.training_law(measured)
edge = plotting.edge_figure(measured)

# %% width_figure
few = {"sweep__width": [2, 4], "sweep__batch_size": [50], "data__samples": 200}
widths = small("mnist1d", networks=2, stop=[{"epochs": 2}], **few)
descent = plotting.width_figure(widths)

# %% comparison
chains = {"SGD": ss.MinibatchSGD(regression, 0.1, 8), "larger": ss.MinibatchSGD(regression, 0.2, 8)}
compared = ss.compare(regression, chains=chains, time=1.0, networks=32, permutations=99, progress=False)
panels = plotting.comparison(compared.to_dataset())

# %% escape_times
minimum = ss.landscapes.polish(regression, regression.initial)
times = ss.training.escape_from(
    regression, minimum, learning_rate=0.1, batch_size=[4, 8], height=0.05, iterations=100, trajectories=64,
    processes=["sgd"], progress=False,
)  # fmt: skip
ratios = plotting.escape_times(times.to_dataset())
