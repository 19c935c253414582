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
# # Your own loss
#
# You have a loss as a formula. Which minima does it have, and how long does SGD take from the narrow one to the wide
# one?

# %%
import os
import sys

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import sde_sgd as ss

QUICK = "--quick" in sys.argv or bool(os.environ.get("SDE_SGD_QUICK"))

# %% [markdown]
# Write it with `jax.numpy`, as a function of one point of shape `(dim,)`. Derivatives are taken for you. Two valleys
# lie on a parabola; the walls of the left one are steeper.


# %%
def loss(x):
    stiffness = 5 - 3 * jnp.tanh(3 * x[0])
    return (x[0] ** 2 - 1) ** 2 + stiffness * (x[1] - x[0] ** 2 / 2) ** 2


landscape = ss.landscapes.Landscape(loss, dim=2)

# %% [markdown]
# What is not as it should be is said in a sentence, before anything runs. Three usual mistakes:

# %%
MISTAKES = {
    "a loss that returns a vector": lambda: ss.landscapes.find_minima(
        ss.landscapes.Landscape(lambda x: x**2, dim=2), np.zeros(2)
    ),
    "a start with three components": lambda: ss.landscapes.find_minima(landscape, np.zeros((1, 3))),
    "a batch size of 0": lambda: ss.LangevinSGD(landscape, ss.noise.Isotropic(1.0), learning_rate=0.1, batch_size=0),
}
for name, mistake in MISTAKES.items():
    try:
        mistake()
    except ValueError as error:
        print(f"{name}: {error}")

# %% [markdown]
# Minima are found by descents from points that you name, here from three, and the saddle between two of them by a
# string that relaxes onto the lowest way. `eigenvalues` of the Hessian say how sharp each is.

# %%
found = ss.landscapes.find_minima(landscape, np.array([[-1.2, 0.0], [0.3, 0.5], [1.5, 1.0]]))
narrow, wide = sorted(found, key=lambda minimum: minimum.location[0])
saddle = ss.landscapes.find_saddle(landscape, narrow, wide)
for name, point in {"narrow": narrow, "wide": wide, "saddle": saddle}.items():
    print(f"{name:<7} at {point.location.round(4)}, loss {point.loss:.4f}, eigenvalues {point.eigenvalues.round(3)}")

# %% [markdown]
# The target is a ball about the wide minimum. Twelve trajectories, all begun in the narrow one, show how SGD moves
# about: it looks around in its valley for long, and crosses in no time.

# %%
diffusion = ss.LangevinSGD(landscape, ss.noise.Isotropic(20.0), learning_rate=0.1, batch_size=4)
chain = ss.EulerMaruyama(diffusion, dt=0.002)
target = ss.regions.Ball(wide.location, 0.3)
points = {"minima": {"narrow": narrow, "wide": wide}, "saddles": saddle, "regions": {"target": target}}
bounds = ((-1.9, 1.9), (-0.9, 2.1))
paths = ss.simulate(chain, narrow.location, steps=5_000, save_every=25, trajectories=12, seed=1)
figure, (left, right) = plt.subplots(1, 2, figsize=(12.0, 4.4), layout="compressed")
ss.plotting.landscape(landscape, left, bounds=bounds, **points)
ss.plotting.paths(paths, landscape, right, bounds=bounds)
figure.savefig("your_own_loss.png", dpi=120)

# %% [markdown]
# How long until SGD is there? `first_passage` without a horizon runs until the mean time is known as well as you ask.
# Beside it two predictions, of which neither simulates: Eyring–Kramers from the Hessians at minimum and saddle, and the
# equation of the mean time solved on a grid in the plane.

# %%
precision = {"rtol": 0.3 if QUICK else 0.05, "monitoring": "continuous"}
passage = ss.first_passage(chain, narrow.location, target, seed=2, **precision)
kramers = ss.theory.eyring_kramers(diffusion, narrow, saddle)
number = 120 if QUICK else 300
solver = ss.reference.FokkerPlanck(diffusion, grid=[(-2.4, 2.4, number), (-1.6, 3.4, number)])
exact = solver.mean_passage_time(target, start=narrow.location)
print(passage)
print(f"solved on a grid of {number} × {number}: {exact:.4g}")
print(f"Eyring–Kramers: {kramers:.4g}")

# %% [markdown]
# And back? The walls of the wide valley are further apart, so that the way out is found less often: by the root of the
# ratio of the Hessians' determinants.

# %%
back = ss.first_passage(chain, wide.location, ss.regions.Ball(narrow.location, 0.3), seed=3, **precision)
ratio = np.sqrt(np.prod(narrow.eigenvalues) / np.prod(wide.eigenvalues))
print(f"mean time from wide to narrow {back.mean_exit_time}")
print(f"over that from narrow to wide {float(back.mean_exit_time) / float(passage.mean_exit_time):.3g}")
print(f"√(det H_narrow / det H_wide)  {ratio:.3g}")

# %% [markdown]
# The picture that answers: the share of trajectories that has not come to the wide minimum yet. Dashed, the exponential
# of the mean time that the grid has, and of that by Eyring–Kramers.

# %%
axes = passage.plot(theory={"exp(−t/τ), solved on a grid": exact, "exp(−t/τ), Eyring–Kramers": kramers})
axes.figure.savefig("first_passage_of_your_own.png", dpi=120)
