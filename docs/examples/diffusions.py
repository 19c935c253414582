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
any_of_them: diffusions.AbstractUnderdamped = heavy
any_of_them.mass, round(any_of_them.friction, 3)  # → (0.05, 0.1)

# %% AbstractDiffusion
one: diffusions.AbstractDiffusion = diffusion
one.noise_dim, one.drift_is_gradient, one.changes_in_time  # → (2, True, False)

# %% Iterations
# a time as whole iterations, exact where a float is not
scheduled.drift(theta, diffusions.Iterations(50)) / scheduled.drift(theta, diffusions.Iterations(0))  # → [0.5 0.5]

# %% AbstractClock, RunningTime
clock: diffusions.AbstractClock = diffusions.RunningTime()
clock.at(3, 0.05)  # → 0.15
ss.EulerMaruyama(diffusion).clock == clock  # → True

# %% WholeIterations
half_steps = ss.EulerMaruyama(scheduled, dt=0.05).clock  # two steps for each iteration of γ₀ = 0.1
half_steps == diffusions.WholeIterations(1, 2)  # → True
half_steps.at(5, 0.05).number  # → 2

# %% PeriodicTime
driven = diffusions.ItoDiffusion(lambda x, t: jnp.sin(2 * jnp.pi * t) - x, lambda x, t: jnp.eye(1), 1, period=1.0)
quarters = diffusions.PeriodicTime.of(period=1.0, dt=0.25)
quarters.at(5, 0.25)  # → 0.25
ss.EulerMaruyama(driven, dt=0.25).clock == quarters  # → True

# %% refuse_if_changing
try:
    diffusions.refuse_if_changing(scheduled, "mean times")
except ValueError as error:
    refused = str(error)
refused.startswith("mean times")  # → True
