"""Where SGD ends up, and after how long: densities, the network of minima, P(flat at t), relaxation times.

Draws `density.png`, `network.png`, `flat_at_t.png` and `relaxation.png` into the current folder; takes some ten minutes
on two cores. β = 1 throughout, so that T = γ/(2M). With `--quick` it runs with two wells, short horizons, few
batch sizes, small ones, and wide intervals.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

import sde_sgd as ss

QUICK = "--quick" in sys.argv
PRECISION = 0.5 if QUICK else 0.1
# a network of two wells has two rates to measure, that of five has eight
NUMBER = 2 if QUICK else 5
CENTERS = [[0.0, 0.0], [1.6, 0.0], [0.0, 1.6], [-1.6, 0.0], [0.0, -1.6]][:NUMBER]
DEPTHS, WIDTHS = [0.9, 1.25, 1.15, 1.3, 1.2][:NUMBER], [0.45, 0.5, 0.55, 0.4, 0.5][:NUMBER]
FIVE = ss.landscapes.GaussianWells(CENTERS, DEPTHS, WIDTHS, 0.3)
WELLS = ss.landscapes.TwoWells(sharp_curvature=16.0, flat_curvature=4.0, barrier=1.0)
BLUE, RED = "#1f5fa8", "#c1440e"


def chain(landscape, ratio: float, dt: float = 0.002):
    """SGD's diffusion at M/γ = `ratio`."""
    return ss.EulerMaruyama(ss.LangevinSGD(landscape, ss.noise.Isotropic(1.0), 0.1, 0.1 * ratio), dt)


def density() -> None:
    """Five wells: time average of 1,024 trajectories with the grid solver's level lines, and their difference."""
    sgd, half, number = chain(FIVE, 3.0), 2.4, 80
    found = ss.histogram(
        sgd,
        [0.0, 0.0],
        bins=[(-half, half, number)] * 2,
        horizon=20.0 if QUICK else 1_000.0,
        burn_in=2.0 if QUICK else 100.0,
        trajectories=1_024,
        seed=1,
    )
    solver = ss.reference.FokkerPlanck(sgd.diffusion, [(-2 * half, 2 * half, 4 * number)] * 2)
    exact = solver.stationary()[number:-number, number:-number].reshape(number, 2, number, 2).mean(axis=(1, 3))
    error = np.where(found.standard_error > 0, found.standard_error, np.inf)
    difference = (found.density.value - exact) / error
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", sharey=True)
    found.plot(left, theory=solver).set(xlabel="θ₀", ylabel="θ₁")
    image = right.pcolormesh(*found.edges, difference.T, vmin=-5, vmax=5, cmap="RdBu", rasterized=True)
    right.set(title="simulated − exact, in standard errors", xlabel="θ₀", facecolor="#d5d5d5")
    figure.colorbar(image, ax=right)
    figure.savefig("density.png", dpi=120)
    inside = np.abs(difference)[exact > 1e-3]
    print(f"density: {np.mean(inside < 1.96):.1%} of {inside.size} bins within 1.96 standard errors")


def network() -> None:
    """Five minima over the contours; on the arrows the rates of the jumps, the discs as large as the shares."""
    names = ["centre", "right", "top", "left", "bottom"]
    minima = {name: ss.landscapes.find_minima(FIVE, [near])[0] for name, near in zip(names, CENTERS, strict=False)}
    ratio = 3.0 if QUICK else 6.25
    found = ss.transitions(chain(FIVE, ratio), minima, rtol=PRECISION, seed=3)
    found.plot(landscape=FIVE).figure.savefig("network.png", dpi=120)
    print("network:", found.result, "gap", found.spectral_gap)


def flat_at_t() -> None:
    """P(in the flat well at t), started in the sharp one, for several batch sizes."""
    minima = {"sharp": WELLS.sharp_minimum, "flat": WELLS.flat_minimum}
    figure, axis = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    ratios = (1.25, 5.0) if QUICK else (1.25, 1.67, 2.5, 5.0, 10.0)
    for color, ratio in zip(plt.get_cmap("viridis")(np.linspace(0, 0.9, len(ratios))), ratios, strict=True):
        if ratio < 5:
            times = np.geomspace(0.3, 10 if QUICK else 3_000 if ratio == 2.5 else 300, 20)
            found = ss.occupancy(
                chain(WELLS, ratio), WELLS.sharp_minimum, minima=minima, basins="nearest", times=times,
                trajectories=4_096, seed=4,
            )  # fmt: skip
            estimate, label = found.probability, f"M/γ = {ratio:g}, simulated"
            times = found.times
        else:
            jumps = ss.transitions(chain(WELLS, ratio), minima, rtol=PRECISION, seed=4)
            times = np.geomspace(1e-2, 10, 60) * float(jumps.relaxation_time.value)
            estimate, label = jumps.occupancy(times), f"M/γ = {ratio:g}, from rates"
        flat = [each[:, 1] for each in (estimate.value, estimate.low, estimate.high)]
        axis.semilogx(times, flat[0], color=color, label=label)
        axis.fill_between(times, *flat[1:], color=color, alpha=0.3, lw=0)
        print(f"flat at t: M/γ = {ratio:g}: {flat[0][-1]:.3f} [{flat[1][-1]:.3f}, {flat[2][-1]:.3f}] in the end")
    axis.axhline(2 / 3, color="black", lw=1, ls="--", label="√det H_sharp against √det H_flat")
    axis.set(
        xlabel="SDE time t", ylabel="P(flat at t)", ylim=(0, 1), title="The larger γ/M, the sooner; the same in the end"
    )
    axis.legend(fontsize=8)
    figure.savefig("flat_at_t.png", dpi=120)


def relaxation() -> None:
    """Relaxation time against M/γ: from rates, exactly solved, Eyring–Kramers."""
    minima = {"sharp": WELLS.sharp_minimum, "flat": WELLS.flat_minimum}
    rows = []
    for ratio in (4.0, 7.0) if QUICK else (4.0, 7.0, 10.0, 13.0, 16.0, 19.0):
        sgd = chain(WELLS, ratio)
        found = ss.transitions(sgd, minima, rtol=PRECISION, seed=5)
        exact = 1 / ss.reference.FokkerPlanck(sgd.diffusion, (-3.0, 4.0, 2_000)).spectral_gap()
        kramers = 1 / ss.theory.spectral_gap(sgd.diffusion, WELLS.sharp_minimum, WELLS.saddle, WELLS.flat_minimum)
        slow = found.relaxation_time
        rows.append([ratio, slow.value, slow.low, slow.high, exact, kramers])
        print(f"relaxation: M/γ = {ratio:g}: {slow.value:.4g} [{slow.low:.4g}, {slow.high:.4g}], exact {exact:.4g}")
    ratio, value, low, high, exact, kramers = np.array(rows, np.float64).T
    figure, (top, below) = plt.subplots(
        2, 1, figsize=(6.4, 5.6), sharex=True, height_ratios=(3, 1.3), layout="constrained"
    )
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


if __name__ == "__main__":
    density()
    network()
    flat_at_t()
    relaxation()
