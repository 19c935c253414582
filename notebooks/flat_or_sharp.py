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
# # Flat or sharp in the end
#
# Two minima, one flat and one sharp, equally deep. Where does SGD end up, does that depend on the batch size, and how
# long does it take?

# %%
import os
import sys

import matplotlib.pyplot as plt
import numpy as np

import sde_sgd as ss

# in the quick size there are two wells, few batch sizes, and wide intervals
QUICK = "--quick" in sys.argv or bool(os.environ.get("SDE_SGD_QUICK"))
PRECISION = 0.9 if QUICK else 0.1
BLUE, RED = "#1f5fa8", "#c1440e"


def sgd(landscape, ratio):
    """SGD's diffusion at M/γ = `ratio`, with isotropic noise of variance 1: T = γ/(2M)."""
    return ss.EulerMaruyama(ss.LangevinSGD(landscape, ss.noise.Isotropic(1.0), 0.1, 0.1 * ratio), dt=0.002)


# %% [markdown]
# ## The density, where it can be seen
#
# With isotropic noise the law of θ tends to exp(−L/T). Five wells in a plane, and noise strong enough that trajectories
# visit all of them: their time average, with the level lines of the equation solved on a grid, and the difference of
# both, in standard errors.

# %%
NUMBER = 2 if QUICK else 5
CENTERS = [[0.0, 0.0], [1.6, 0.0], [0.0, 1.6], [-1.6, 0.0], [0.0, -1.6]][:NUMBER]
DEPTHS, WIDTHS = [0.9, 1.25, 1.15, 1.3, 1.2][:NUMBER], [0.45, 0.5, 0.55, 0.4, 0.5][:NUMBER]
wells = ss.landscapes.GaussianWells(CENTERS, DEPTHS, WIDTHS, 0.3)
chain, half, bins = sgd(wells, 3.0), 2.4, 40 if QUICK else 80
found = ss.histogram(
    chain, [0.0, 0.0], bins=[(-half, half, bins)] * 2, horizon=20.0 if QUICK else 1_000.0,
    burn_in=2.0 if QUICK else 100.0, trajectories=256 if QUICK else 1_024, seed=1,
)  # fmt: skip
solver = ss.reference.FokkerPlanck(chain.diffusion, [(-2 * half, 2 * half, 4 * bins)] * 2)
exact = solver.stationary()[bins:-bins, bins:-bins].reshape(bins, 2, bins, 2).mean(axis=(1, 3))
error = np.where(found.standard_error > 0, found.standard_error, np.inf)
difference = (found.density.value - exact) / error
inside = np.abs(difference)[exact > 1e-3]
print(found)
print(f"{np.mean(inside < 1.96):.1%} of {inside.size} bins within 1.96 standard errors")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", sharey=True)
found.plot(left, theory=solver).set(xlabel="θ₀", ylabel="θ₁")
image = right.pcolormesh(*found.edges, difference.T, vmin=-5, vmax=5, cmap="RdBu", rasterized=True)
right.set(title="simulated − exact, in standard errors", xlabel="θ₀", facecolor="#d5d5d5")
figure.colorbar(image, ax=right)
figure.savefig("density.png", dpi=120)

# %% [markdown]
# ## The shares, where jumps are rare
#
# At larger batches nobody would wait for the average. `transitions` measures the rate of each jump between minima
# instead, by splitting where it is rare, and derives what follows: the share of time at each, and the time until the
# start is forgotten. Discs are as large as the shares, arrows carry the rates.

# %%
names = ["centre", "right", "top", "left", "bottom"][:NUMBER]
minima = {name: ss.landscapes.find_minima(wells, [near])[0] for name, near in zip(names, CENTERS, strict=True)}
network = ss.transitions(sgd(wells, 3.0 if QUICK else 5.0), minima, rtol=PRECISION, seed=3)
print(network)
axes = network.plot(landscape=wells)
axes.figure.savefig("network.png", dpi=120)

# %% [markdown]
# ## Sharp against flat
#
# Now two wells of equal depth, with curvatures 16 and 4 and a barrier of 1. Around each exp(−L/T) is nearly normal, so
# that the odds of the flat one are √(16/4) = 2 for every T: that is 2/3 of the time, whatever the batch size. The time
# that it takes is another matter: Eyring–Kramers' grows like exp(1/T).

# %%
two = ss.landscapes.TwoWells(sharp_curvature=16.0, flat_curvature=4.0, barrier=1.0)
minima = {"sharp": two.sharp_minimum, "flat": two.flat_minimum}
jumps, rows = {}, []
for ratio in (1.5, 2.5) if QUICK else (4.0, 7.0, 10.0, 13.0, 16.0, 19.0):
    chain = sgd(two, ratio)
    found = jumps[ratio] = ss.transitions(chain, minima, rtol=PRECISION, seed=5)
    exact = 1 / ss.reference.FokkerPlanck(chain.diffusion, (-3.0, 4.0, 2_000)).spectral_gap()
    kramers = 1 / ss.theory.spectral_gap(chain.diffusion, two.sharp_minimum, two.saddle, two.flat_minimum)
    slow = found.relaxation_time
    rows.append([ratio, slow.value, slow.low, slow.high, exact, kramers])
    print(f"M/γ = {ratio:g}: share of the flat one {found.stationary[1]}, relaxation time {slow}, exact {exact:.4g}")

# %%
ratio, value, low, high, exact, kramers = np.array(rows, np.float64).T
figure, (top, below) = plt.subplots(2, 1, figsize=(6.4, 5.6), sharex=True, height_ratios=(3, 1.3), layout="constrained")
top.semilogy(ratio, kramers, "--", color=RED, label="Eyring–Kramers")
top.semilogy(ratio, exact, color="black", lw=1, label="exact solver")
top.semilogy(ratio, value, "o", color=BLUE, label="from simulated rates")
top.set(ylabel="relaxation time", title="Two wells, barrier 1: the time to the stationary law")
top.legend()
below.errorbar(ratio, value / exact, [(value - low) / exact, (high - value) / exact], fmt="o", color=BLUE)
below.plot(ratio, kramers / exact, "--", color=RED)
below.axhline(1, color="black", lw=1)
below.set(xlabel="M/γ", ylabel="over the exact one", ylim=(0.75, 1.3))
figure.savefig("relaxation.png", dpi=120)

# %% [markdown]
# The picture that answers: the probability to be in the flat well, begun in the sharp one, for batch sizes from small
# to large. Where jumps are frequent trajectories are counted; where they are rare the rates say it that were measured
# above. Every curve ends near the same share, and each step to a larger batch moves it to the right: flat in the end,
# at any batch size, but the end may be far.

# %%
figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
ratios = (1.25, 2.5) if QUICK else (1.25, 1.67, 2.5, 4.0, 7.0, 10.0)
for color, ratio in zip(plt.get_cmap("viridis")(np.linspace(0, 0.9, len(ratios))), ratios, strict=True):
    if ratio in jumps:
        times = np.geomspace(1e-2, 10, 60) * float(jumps[ratio].relaxation_time.value)
        estimate, label = jumps[ratio].occupancy(times), f"M/γ = {ratio:g}, from rates"
    else:
        times = np.geomspace(0.3, 10 if QUICK else 1_000 if ratio == 2.5 else 300, 20)
        found = ss.occupancy(
            sgd(two, ratio), two.sharp_minimum, minima=minima, basins="nearest", times=times,
            trajectories=1_024 if QUICK else 4_096, seed=4,
        )  # fmt: skip
        estimate, label, times = found.probability, f"M/γ = {ratio:g}, simulated", found.times
    value, low, high = (each[:, 1] for each in (estimate.value, estimate.low, estimate.high))
    axes.semilogx(times, value, color=color, label=label)
    axes.fill_between(times, low, high, color=color, alpha=0.3, lw=0)
    print(f"M/γ = {ratio:g}: {value[-1]:.3f} [{low[-1]:.3f}, {high[-1]:.3f}] at t = {times[-1]:.4g}")
axes.axhline(2 / 3, color="black", lw=1, ls="--", label="√det H_sharp against √det H_flat")
axes.set(xlabel="SDE time t", ylabel="P(flat at t)", ylim=(0, 1))
axes.set_title("The larger γ/M, the sooner; the same in the end")
axes.legend(fontsize=8, ncols=3, loc="upper left")
figure.savefig("flat_at_t.png", dpi=120)
