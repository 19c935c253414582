# %%
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

# %% Landscape
well = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + 2 * x[1] ** 2, dim=2)
well.loss(jnp.array([0.0, 0.0]))  # → 1.0
well.hessian(jnp.array([1.0, 0.0]))  # → [[8. 0.] [0. 4.]]


# %% AbstractLandscape
class Bowl(ss.landscapes.AbstractLandscape):
    """A landscape of your own whose numbers are leaves, so that a sweep over them compiles once."""

    stiffness: float = 3.0

    @property
    def dim(self):
        return 2

    def loss(self, theta):
        return 0.5 * self.stiffness * jnp.sum(theta**2)


Bowl().gradient(jnp.array([1.0, 2.0]))  # → [3. 6.]

# %% check_landscape
ss.landscapes.check_landscape(Bowl())  # ValueError for what is none

# %% Quadratic, DoubleWell, TwoWells, GaussianWells, MullerBrown, Rastrigin, StyblinskiTang, ThreeHole
wells = ss.landscapes.TwoWells(sharp_curvature=16.0, flat_curvature=4.0, barrier=1.0)
zoo = [
    ss.landscapes.Quadratic([1.0, 4.0]),
    ss.landscapes.DoubleWell(curvature=1.0, dim=2),
    wells,
    ss.landscapes.GaussianWells(centers=[[-1.0, 0.0], [1.0, 0.0]], depths=[1.0, 2.0]),
    ss.landscapes.MullerBrown(),
    ss.landscapes.Rastrigin(dim=2),
    ss.landscapes.StyblinskiTang(dim=2),
    ss.landscapes.ThreeHole(),
]
[each.dim for each in zoo]  # → [2, 2, 1, 2, 2, 2, 2, 2]

# %% find_minima, CriticalPoint
minima = ss.landscapes.find_minima(well, [[-0.8, 0.3], [0.7, -0.2]])
lowest: ss.landscapes.CriticalPoint = minima[0]
abs(lowest.location).round(6), lowest.eigenvalues.round(6), lowest.index  # → (array([1., 0.]), array([4., 8.]), 0)

# %% check_minima
len(ss.landscapes.check_minima("minima", well, [[-1.0, 0.0], [1.0, 0.0]]))  # → 2

# %% find_saddle
saddle = ss.landscapes.find_saddle(well, *minima)
saddle.index  # → 1
round(saddle.loss, 6)  # → 1.0

# %% minimum_energy_path
path = ss.landscapes.minimum_energy_path(well, *minima, images=9)
path.shape  # → (9, 2)

# %% saddle_graph, SaddleConnection
graph: list[ss.landscapes.SaddleConnection] = ss.landscapes.saddle_graph(well, minima)
[(way.first, way.second, round(way.barrier_from_first, 6)) for way in graph]  # → [(0, 1, 1.0)]

# %% explore, Exploration, Way
found: ss.landscapes.Exploration = ss.landscapes.explore(well, [-1.0, 0.0], height=2.0, max_searches=64, progress=False)
found.status, len(found.minima)  # → (<Status.COMPLETE: 'complete'>, 2)
ways: tuple[ss.landscapes.Way, ...] = found.ways(ss.regions.Ball([1.0, 0.0], 0.2))
[round(way.barrier, 6) for way in ways]  # → [1.0]

# %% SaddleExit
slide = ss.landscapes.Landscape(lambda x: x[0] ** 2 / 2 - x[0] ** 3 / 3 + x[1] ** 2, dim=2)
down = ss.landscapes.explore(slide, [0.0, 0.0], height=1.0, max_searches=64, progress=False)
out: ss.landscapes.SaddleExit = down.exits[0]
round(out.barrier, 6), out.leads_to
down.status  # → incomplete

# %% DegeneratePoint
# critical points over which ways may lead that the graph does not have: here there are none
degenerate: tuple[ss.landscapes.DegeneratePoint, ...] = found.degenerate
len(degenerate)  # → 0

# %% polish, Polished
at: ss.landscapes.Polished = ss.landscapes.polish(well, [0.8, 0.1])
at.kind, at.location.round(6)  # → ('minimum', array([1., 0.]))

# %% sharpness
ss.landscapes.sharpness(well, np.array([1.0, 0.0]), k=2)  # → [8. 4.]

# %% eigenpairs, Eigenpairs
pairs: ss.landscapes.Eigenpairs = ss.landscapes.eigenpairs(well, np.array([1.0, 0.0]), k=1, which="smallest")
pairs.values.round(4)  # → [4.]

# %% trace
ss.landscapes.trace(well, np.array([1.0, 0.0]))  # → 12.0

# %% along, Line
line: ss.landscapes.Line = ss.landscapes.along(
    well, np.array([-1.0, 0.0]), np.array([1.0, 0.0]), alphas=[0.0, 0.5, 1.0]
)
line.loss  # → [0. 1. 0.]

# %% EmpiricalRisk
inputs = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [2.0, 1.0]])
targets = np.array([1.0, 0.0, 1.0, 2.5])
model = eqx.nn.Linear(2, "scalar", use_bias=False, key=jax.random.key(0))
risk = ss.EmpiricalRisk(model, ss.landscapes.squared_error, inputs, targets)
risk.examples, risk.dim  # → (4, 2)
theta = jnp.array([1.0, 0.0])
risk.per_example_losses(theta)  # → [0.    0.    0.    0.125]

# %% squared_error, squared_errors, cross_entropy, cross_entropies
scores = lambda x: jnp.stack([x[0], -x[0]])
ss.landscapes.squared_error(lambda x: 2 * x[0], jnp.array([1.0]), 1.0)  # → 0.5
ss.landscapes.cross_entropy(scores, jnp.array([0.0]), 1)  # → 0.6931


class Matrix(eqx.Module):
    """Its weights times one input, or times many, one in each row."""

    weights: jax.Array

    def __call__(self, x):
        return x @ self.weights


labels, classes, number = np.array([0, 1, 2, 0]), Matrix(jnp.ones((2, 3))), Matrix(jnp.ones(2))
one = ss.EmpiricalRisk(classes, ss.landscapes.cross_entropy, inputs, labels)
many = ss.EmpiricalRisk(classes, ss.landscapes.cross_entropies, inputs, labels, batched=True)
np.allclose(one.loss(one.initial), many.loss(many.initial))  # → True
one = ss.EmpiricalRisk(number, ss.landscapes.squared_error, inputs, targets)
many = ss.EmpiricalRisk(number, ss.landscapes.squared_errors, inputs, targets, batched=True)
np.allclose(one.loss(one.initial), many.loss(many.initial))  # → True

# %% noise_trace
round(float(ss.landscapes.noise_trace(risk, theta)), 6) == round(
    float(jnp.trace(risk.gradient_covariance(theta))), 6
)  # → True

# %% simple_noise_scale
noise_scale = ss.landscapes.simple_noise_scale(risk, theta)
gradient = risk.gradient(theta)
np.isclose(noise_scale, jnp.trace(risk.gradient_covariance(theta)) / (gradient @ gradient))  # → True

# %% alignment
ss.landscapes.alignment(ss.landscapes.Quadratic([1.0, 4.0]), [0.0, 0.0], ss.noise.Isotropic(1.0))  # → 1.0
