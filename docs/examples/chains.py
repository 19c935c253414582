# %%
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import sde_sgd as ss
from sde_sgd import chains

bowl = ss.landscapes.Quadratic([1.0, 4.0])
inputs = np.random.default_rng(0).normal(size=(32, 2))
line = eqx.nn.Linear(2, "scalar", use_bias=False, key=jax.random.key(0))
risk = ss.EmpiricalRisk(line, ss.landscapes.squared_error, inputs, inputs @ [1.0, -1.0] + 0.5 * inputs[:, 0] ** 2)
theta = jnp.array([1.0, 1.0])

# %% EulerMaruyama
diffusion = ss.LangevinSGD(bowl, ss.noise.Isotropic(40.0), learning_rate=0.05, batch_size=4)
ss.EulerMaruyama(diffusion).time_step  # → 0.05
chain = ss.EulerMaruyama(diffusion, dt=0.01)
ss.simulate(chain, theta, steps=8, trajectories=64, seed=0).shape  # → (64, 2)

# %% AbstractEuler, LevyEuler
heavy_tails: chains.AbstractEuler = chains.LevyEuler(diffusion, alpha=1.5, dt=0.01)
heavy_tails.time_step  # → 0.01

# %% MinibatchSGD
sgd = ss.MinibatchSGD(risk, learning_rate=0.1, batch_size=8)
np.allclose(sgd.covariance(theta), 0.1**2 / 8 * risk.gradient_covariance(theta))  # → True

# %% AbstractSampling, WithReplacement, WithoutReplacement, ReshuffledEpochs
samplings: list[chains.AbstractSampling] = [
    chains.WithReplacement(), chains.WithoutReplacement(), chains.ReshuffledEpochs(),
]  # fmt: skip
# of the mean gradient's covariance, over V: 1/M, and (N − M)/(M(N − 1))
[round(each.variance(32, 8), 4) for each in samplings]  # → [0.125, 0.0968, 0.0968]
ss.MinibatchSGD(risk, 0.1, 8, replacement="epoch").sampling == samplings[2]  # → True

# %% MomentumSGD
momentum = chains.MomentumSGD(risk, 0.1, 8, momentum=0.9)
momentum.dim, momentum.memory  # → (2, 2)

# %% Optimizer
adam = chains.Optimizer(risk, optax.adam(1e-2), batch_size=8)
adam.time_step  # → 1.0
# beside θ, of two components: its two moments, and the number of steps in two halves
adam.dim, adam.memory  # → (2, 6)

# %% SVAG
svag = chains.SVAG(risk, 0.1, 8, l=4)
svag.time_step  # → 0.025
round(sum(map(float, svag.amplitudes)), 6)  # → 1.0

# %% LabelNoiseSGD
noisy = chains.LabelNoiseSGD(risk, 0.1, 8, deviation=0.5)
bool(jnp.trace(noisy.gradient_covariance(theta)) > jnp.trace(sgd.gradient_covariance(theta)))  # → True

# %% GradientDescent
descent = chains.GradientDescent(bowl, learning_rate=0.1)
ss.simulate(descent, theta, steps=1, trajectories=1, seed=0)  # → [[0.9 0.6]]

# %% Underdamped
underdamped = chains.Underdamped(ss.diffusions.UnderdampedLangevin(bowl, 0.1, friction=2.0), dt=0.05)
underdamped.memory  # → 2

# %% Varying
one = chains.Varying(ss.MinibatchSGD(risk, 0.1, 8), "learning_rate")
starts = one.states(theta, {"learning_rate": np.array([0.01, 0.1])})
ss.simulate(one, starts, steps=4, trajectories=2, seed=0).shape  # → (2, 2)

# %% WholeState
seen = chains.WholeState(momentum)
seen.dim  # → 4

# %% AbstractWrappedChain, AbstractBatchChain, AbstractSGD, AbstractRateChain
kinds = chains.AbstractWrappedChain, chains.AbstractBatchChain, chains.AbstractSGD, chains.AbstractRateChain
# of SGD, and of what shows the whole state of another chain
[isinstance(sgd, kind) for kind in kinds]  # → [False, True, True, True]
[isinstance(seen, kind) for kind in kinds]  # → [True, False, False, False]


# %% AbstractChain, NoiseKind
class Walk(chains.AbstractChain):
    """A chain of your own: components, what drives a step, and the step of one trajectory."""

    dim: int = eqx.field(static=True, default=1)
    noise_dim: int = eqx.field(static=True, default=1)
    noise_kind: chains.NoiseKind = eqx.field(static=True, default="rademacher")
    time_step: float = 1.0
    landscape: None = None

    def step(self, state, noise, step_index):
        return state + noise


places = ss.simulate(Walk(), jnp.zeros(1), steps=16, trajectories=4096, seed=0)
sorted({int(each) % 2 for each in places[:, 0]})  # → [0]

# %% refuse_if_changing, refuse_late
chains.refuse_if_changing(chain, "mean times")  # nothing: this one does not change in time
chains.refuse_late(chain, steps=1_000, dtype=jnp.float32)
