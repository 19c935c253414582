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
# # However rare
#
# At a large batch size SGD leaves a minimum once in 10⁶, 10¹² or 10¹⁸ units of time, and no simulation will wait for
# it. How long does it take, and which way does it go?

# %%
import os
import sys

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from numpy.polynomial import Polynomial

import sde_sgd as ss

# in the quick size intervals are wide
QUICK = "--quick" in sys.argv or bool(os.environ.get("SDE_SGD_QUICK"))
PRECISION = 0.9 if QUICK else 0.1

# %% [markdown]
# ## How it is found
#
# Multilevel splitting: of a few trajectories those that have come furthest, by a score, are continued many times over,
# and carry their share of the probability. Here is one small repetition on a loss with three holes, from the left one
# to the right one. The score rises along the level lines drawn in orange; thick paths arrive.

# %%
holes = ss.landscapes.ThreeHole()
LEFT, RIGHT = np.array([-1.048, -0.042]), np.array([1.048, -0.042])
score = ss.scores.path(holes, LEFT, np.array([0.0, 1.537]), RIGHT)
chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(holes, 0.15), dt=0.004)
target = ss.regions.Ball(RIGHT, 0.25)
tree = ss.passage.branches(chain, LEFT, target, horizon=8.0, trajectories=12 if QUICK else 24, score=score, seed=3)
print(f"{sum(each.successful for each in tree.branches)} of {len(tree.branches)} branches arrive")

# %%
bounds = ((-1.9, 1.9), (-0.9, 2.2))
axes = ss.plotting.paths(
    tree.branches, holes, bounds=bounds, values=[each.stage for each in tree.branches],
    thick=[each.successful for each in tree.branches],
)  # fmt: skip
x, y = np.meshgrid(np.linspace(*bounds[0], 240), np.linspace(*bounds[1], 200))
height = jnp.vectorize(score, signature="(d)->()")(jnp.asarray(np.stack([x, y], axis=-1)))
axes.contour(x, y, height, levels=tree.levels, colors="#c1440e", linewidths=0.6, alpha=0.6)
axes.add_patch(plt.Circle(RIGHT, 0.25, fill=False, color="black", lw=1.4))
axes.plot(*LEFT, "o", color="white", markeredgecolor="black")
axes.set_title("Splitting from the left hole to the right one\nthick: paths that arrive;  orange: levels of the score")
axes.figure.savefig("branching_paths.png", dpi=120)

# %% [markdown]
# ## Which way it goes
#
# There are two ways: straight over one saddle, or round over two that are lower. `explore` finds minima and saddles,
# `way_shares` which share of the passages goes over each.

# %%
exploration = ss.landscapes.explore(holes, LEFT, height=3.0)
number = 256 if QUICK else 16_384
shares = ss.passage.way_shares(chain, LEFT, ss.regions.Ball(RIGHT, 0.3), exploration, trajectories=number)
for way, share in zip(exploration.connections, shares, strict=True):
    print(f"over the saddle at loss {way.saddle.loss:.3f}, from {way.first} to {way.second}: {share}")
axes = exploration.plot(shares=shares)
axes.figure.savefig("ways.png", dpi=120)

# %% [markdown]
# Each way is as wide as its share of the passages: at this temperature most go round, the longer way.
#
# ## Where the time goes
#
# A shallow well at 0 has a low wall on the side of the target at −1.4. But what leaves it on the other side falls into
# a deep well at 2.3, once in a while, and stays. The mean time to the target is the time spent there: the call finds
# that well, measures the jumps between both and the target, and says where the time goes.

# %%
slope = 6 * Polynomial.fromroots([-1.4, 0, 1, 2.3])
coefficients = slope.integ().coef.tolist()
trap = ss.landscapes.Landscape(lambda x: sum(c * x[0] ** n for n, c in enumerate(coefficients)), dim=1)
stays = ss.first_passage(
    ss.EulerMaruyama(ss.Langevin(trap, 1.0), dt=0.001), np.array([0.0]), ss.regions.HalfSpace([1.0], -1.4),
    rtol=PRECISION, monitoring="continuous",
)  # fmt: skip
solver = ss.reference.FokkerPlanck(ss.Langevin(trap, 1.0), (-2.4, 3.4, 4_000))
print(stays)
print(f"exact mean time {solver.mean_passage_time(ss.regions.HalfSpace([1.0], -1.4), np.array([0.0])):.4g}")
figure = ss.plotting.time_in_basins(stays.to_dataset())
figure.savefig("hidden_basins.png", dpi=120)

# %% [markdown]
# ## How long it takes
#
# A double well with barrier 1 and isotropic noise of variance 1, at one learning rate and ever larger batches.
# `method="auto"`, the default, looks with a small pilot, simulates directly where escapes are frequent, and splits
# where they are rare. Beside each mean time the exact one, and Eyring–Kramers' formula.

# %%
double_well = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
minimum, saddle, well = np.array([-1.0]), np.array([0.0]), ss.regions.HalfSpace([1.0], 0.0)
LEARNING_RATE = 0.1
print(f"{'M/γ':>6} {'method':>10} {'rate':>10} {'interval':>24} {'exact':>10} {'Eyring–Kramers':>15}")
rows = []
for size in (0.2, 0.5) if QUICK else (0.2, 0.35, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0):
    diffusion = ss.LangevinSGD(double_well, ss.noise.Isotropic(1.0), LEARNING_RATE, size)
    passage = ss.escape(
        ss.EulerMaruyama(diffusion, dt=0.002), minimum, well, rtol=PRECISION, monitoring="continuous", seed=1
    )
    time = passage.mean_exit_time
    exact = ss.reference.FokkerPlanck(diffusion, (-2.2, 2.2, 2000)).mean_exit_time(well, minimum)
    kramers = ss.theory.eyring_kramers(diffusion, minimum, saddle, to="saddle")
    rows.append([size / LEARNING_RATE, 1 / time.value, 1 / time.high, 1 / time.low, 1 / exact, 1 / kramers])
    ratio, rate, low, high = rows[-1][:4]
    print(f"{ratio:6.1f} {passage.method:>10} {rate:10.4g} {f'[{low:.4g}, {high:.4g}]':>24} {1 / exact:10.4g} "
          f"{1 / kramers:15.4g}")  # fmt: skip
ratio, rate, low, high, exact, kramers = np.array(rows, np.float64).T
inside = np.mean((low <= exact) & (exact <= high))
print(f"over {np.log10(rate.max() / rate.min()):.1f} decades; the exact rate is in {inside:.0%} of the intervals")

# %% [markdown]
# The picture that answers: on a logarithmic axis the rate falls on a straight line in M/γ, whose slope is the barrier,
# and simulation has it as well where it is tiny as where it is not. Below, over the exact rate: the intervals of the
# simulation do not widen, while Eyring–Kramers comes near from one side as the noise falls.

# %%
figure, (top, below) = plt.subplots(2, 1, figsize=(6.4, 5.6), sharex=True, height_ratios=(3, 1.3), layout="constrained")
top.semilogy(ratio, kramers, "--", color="#c1440e", label="Eyring–Kramers")
top.semilogy(ratio, exact, color="black", lw=1, label="exact solver")
top.semilogy(ratio, rate, "o", color="#1f5fa8", label="simulated (direct, then splitting)")
top.set(ylabel="rate of leaving the well, per SDE time", title="Double well, barrier 1, β = 1")
top.legend()
below.errorbar(ratio, rate / exact, [(rate - low) / exact, (high - rate) / exact], fmt="o", color="#1f5fa8")
below.plot(ratio, kramers / exact, "--", color="#c1440e")
below.axhline(1, color="black", lw=1)
below.set(xlabel="M/γ", ylabel="over the exact one", ylim=(0.75, 1.3))
figure.savefig("arrhenius.png", dpi=120)
