# %%
import jax.numpy as jnp
import optax

import sde_sgd as ss
from sde_sgd import diffusions

bowl = ss.landscapes.Quadratic([1.0, 4.0])
theta = jnp.array([1.0, 1.0])

# %% LangevinSGD
diffusion = ss.LangevinSGD(bowl, ss.noise.Isotropic(40.0), learning_rate=0.05, batch_size=4)
diffusion.temperature  # → 0.25
diffusion.drift(theta, 0.0)  # → [-1. -4.]
diffusion.covariance(theta, 0.0)  # → [[0.5 0. ] [0.  0.5]]
scheduled = ss.LangevinSGD(bowl, ss.noise.Isotropic(40.0), optax.cosine_decay_schedule(0.1, 100), 4)
scheduled.changes_in_time  # → True

# %% Langevin
ss.Langevin(bowl, temperature=0.1).covariance(theta, 0.0)  # → [[0.2 0. ] [0.  0.2]]

# %% ItoDiffusion
turning = diffusions.ItoDiffusion(lambda x, t: jnp.array([-x[1], x[0]]), lambda x, t: jnp.eye(2), 2)
turning.drift(theta, 0.0)  # → [-1.  1.]

# %% LangevinMomentumSGD
heavy = diffusions.LangevinMomentumSGD(bowl, ss.noise.Isotropic(40.0), 0.05, 4, momentum=0.9)
heavy.temperature  # → 2.5

# %% UnderdampedLangevin
diffusions.UnderdampedLangevin(bowl, temperature=0.1, friction=2.0).temperature  # → 0.1

# %% AbstractUnderdamped
isinstance(heavy, diffusions.AbstractUnderdamped)  # → True


# %% AbstractDiffusion
isinstance(diffusion, diffusions.AbstractDiffusion)  # → True

# %% Iterations
# a time as whole iterations, exact where a float is not
scheduled.drift(theta, diffusions.Iterations(50)) / scheduled.drift(theta, diffusions.Iterations(0))  # → [0.5 0.5]

# %% AbstractClock, RunningTime
clock = ss.EulerMaruyama(diffusion).clock
isinstance(clock, diffusions.AbstractClock) and isinstance(clock, diffusions.RunningTime)  # → True

# %% WholeIterations
half_steps = ss.EulerMaruyama(scheduled, dt=0.05).clock  # two steps for each iteration of γ₀ = 0.1
isinstance(half_steps, diffusions.WholeIterations) and (half_steps.iterations, half_steps.steps)  # → (1, 2)

# %% PeriodicTime
driven = diffusions.ItoDiffusion(lambda x, t: jnp.sin(2 * jnp.pi * t) - x, lambda x, t: jnp.eye(1), 1, period=1.0)
isinstance(ss.EulerMaruyama(driven, dt=0.25).clock, diffusions.PeriodicTime)  # → True

# %% refuse_if_changing
try:
    diffusions.refuse_if_changing(scheduled, "mean times")
except ValueError as error:
    refused = str(error)
refused.startswith("mean times")  # → True
