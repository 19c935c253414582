# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # First escape
#
# SGD sits in a minimum, and its gradients are noisy. How likely is it to leave within a given time, and how long does
# it take on average?

# %%
import os
import sys

import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

# --quick, or SDE_SGD_QUICK=1 for a notebook, runs fewer trajectories
QUICK = "--quick" in sys.argv or bool(os.environ.get("SDE_SGD_QUICK"))

# %% [markdown]
# A loss is any JAX function of a vector. This one has two minima, at −1 and 1, with a barrier of height 1 at 0.
#
# SGD with learning rate γ and batches of M examples becomes the diffusion dΘ = −∇L dt + √(γ/M) σ dW, where σσᵀ is the
# covariance of one example's gradient, here 40. Time is t = γ·(iterations). What decides is the temperature
# T = γ·40/(2M), beside the barrier.

# %%
landscape = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)  # any JAX function of a vector
diffusion = ss.LangevinSGD(landscape, ss.noise.Isotropic(40.0), learning_rate=0.05, batch_size=4)
chain = ss.EulerMaruyama(diffusion, dt=0.001)
left = ss.regions.HalfSpace(normal=[1.0], offset=0.0)
print("temperature   ", float(diffusion.temperature))

# %% [markdown]
# One call simulates. `left` is the side of the barrier on which trajectories begin, and `monitoring="continuous"`
# counts what crosses between two steps too, as the diffusion does.

# %%
passage = ss.escape(
    chain, start=jnp.array([-1.0]), region=left, horizon=20.0, trajectories=2_048 if QUICK else 16_384, seed=0,
    monitoring="continuous",
)  # fmt: skip
print(passage)

# %% [markdown]
# What the numbers should be: on a line the Fokker–Planck equation is solved to many digits. Eyring and Kramers' formula
# needs the loss at two points alone, and holds for T → 0; at a barrier of 4T it is still off.

# %%
exact = ss.reference.FokkerPlanck(diffusion, grid=(-2.5, 2.5, 1000))
time = exact.mean_exit_time(left, start=np.array([-1.0]))
kramers = ss.theory.eyring_kramers(diffusion, np.array([-1.0]), np.array([0.0]), to="saddle")
print("exact P(exit) ", exact.escape_probability(left, np.array([-1.0]), np.array([20.0]))[0])
print("exact time    ", time)
print(f"Eyring–Kramers {kramers:.4g}, {kramers / time - 1:+.1%} of the exact time")

# %% [markdown]
# The same question for other batch sizes: twice the batch is half the temperature, and the mean time grows like
# exp(1/T). A time that is beyond the horizon is known all the same, from how many have left.

# %%
for size in (2, 4, 8):
    colder = ss.LangevinSGD(landscape, ss.noise.Isotropic(40.0), learning_rate=0.05, batch_size=size)
    found = ss.escape(
        ss.EulerMaruyama(colder, dt=0.001), jnp.array([-1.0]), left, horizon=20.0, seed=1, monitoring="continuous",
        trajectories=2_048 if QUICK else 16_384,
    )  # fmt: skip
    expected = ss.reference.FokkerPlanck(colder, grid=(-2.5, 2.5, 1000)).mean_exit_time(left, np.array([-1.0]))
    print(f"M = {size}: mean time {found.mean_exit_time}, exact {expected:.4g}")

# %% [markdown]
# The picture that answers: the share of trajectories that is still in the left well, with its interval as a band, and
# the exact solution dashed. It falls like an exponential with the mean time in its title, and both lines are one.

# %%
axes = passage.plot(theory={"exact solver": lambda t: 1 - exact.escape_probability(left, np.array([-1.0]), t)})
axes.figure.savefig("first_example.png", dpi=120)
