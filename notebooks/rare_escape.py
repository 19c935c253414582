"""Escapes too rare to be waited for: how splitting finds them, and their rate over 15 decades.

Draws `branching_paths.png` and `arrhenius.png` into the current folder; takes some minutes on two cores. With `--quick`
it runs in seconds, with a few batch sizes and wide intervals.
"""

import sys

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import sde_sgd as ss

QUICK = "--quick" in sys.argv
BATCH_SIZES = (0.2, 0.75) if QUICK else (0.2, 0.35, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
PRECISION = 0.5 if QUICK else 0.1


def branching_paths() -> None:
    """One small repetition of splitting on a loss with three holes, over its contours and the levels of the score."""
    landscape = ss.landscapes.ThreeHole()
    left, right = np.array([-1.048, -0.042]), np.array([1.048, -0.042])
    score = ss.scores.path(landscape, left, np.array([0.0, 1.537]), right)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.15), dt=0.004)
    target = ss.regions.Ball(right, 0.25)
    tree = ss.passage.branches(chain, left, target, horizon=8.0, trajectories=24, score=score, seed=3)

    axis = ss.plotting.paths(
        tree.branches, landscape, bounds=((-1.9, 1.9), (-0.9, 2.2)), values=[each.stage for each in tree.branches],
        thick=[each.successful for each in tree.branches],
    )  # fmt: skip
    x, y = np.meshgrid(np.linspace(-1.9, 1.9, 240), np.linspace(-0.9, 2.2, 200))
    height = jnp.vectorize(score, signature="(d)->()")(jnp.asarray(np.stack([x, y], axis=-1)))
    axis.contour(x, y, height, levels=tree.levels, colors="#c1440e", linewidths=0.6, alpha=0.6)
    axis.add_patch(plt.Circle(right, 0.25, fill=False, color="black", lw=1.4))
    axis.plot(*left, "o", color="white", markeredgecolor="black")
    axis.set_title(
        "Splitting from the left hole to the right one\nthick: paths that arrive;  orange: levels of the score"
    )
    axis.figure.savefig("branching_paths.png", dpi=120)


def arrhenius() -> None:
    """Rate of leaving a well against M/γ: simulated, exactly solved, Eyring–Kramers."""
    landscape = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
    minimum, saddle = np.array([-1.0]), np.array([0.0])
    left = ss.regions.HalfSpace([1.0], 0.0)
    gamma, beta = 0.1, 1.0
    print(f"{'M/γ':>8} {'method':>10} {'rate':>12} {'interval':>26} {'exact':>12} {'Eyring–Kramers':>15}")
    rows = []
    for batch in BATCH_SIZES:
        diffusion = ss.LangevinSGD(landscape, ss.noise.Isotropic(beta), learning_rate=gamma, batch_size=batch)
        chain = ss.EulerMaruyama(diffusion, dt=0.002)
        found = ss.escape(chain, minimum, left, rtol=PRECISION, monitoring="continuous", seed=1)
        time = found.mean_exit_time
        exact = ss.reference.FokkerPlanck(diffusion, (-2.2, 2.2, 2000)).mean_exit_time(left, minimum)
        kramers = ss.theory.eyring_kramers(diffusion, minimum, saddle, to="saddle")
        rows.append([batch / gamma, 1 / time.value, 1 / time.high, 1 / time.low, 1 / exact, 1 / kramers])
        print(
            f"{rows[-1][0]:8.1f} {found.method:>10} {rows[-1][1]:12.4g} [{rows[-1][2]:11.4g}, {rows[-1][3]:11.4g}] "
            f"{rows[-1][4]:12.4g} {rows[-1][5]:15.4g}"
        )
    ratio, rate, low, high, exact, kramers = np.array(rows).T
    figure, (top, below) = plt.subplots(
        2, 1, figsize=(6.4, 5.6), sharex=True, height_ratios=(3, 1.3), layout="constrained"
    )
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


if __name__ == "__main__":
    branching_paths()
    arrhenius()
