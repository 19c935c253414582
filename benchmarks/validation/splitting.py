"""Splitting against exact values: precision, coverage, cost, dimension.

    python -m benchmarks.validation splitting [SECTION …]

`kernel`: Euler–Maruyama of dx = −x dt + dW from 0 with dt = 0.02, its passage above a level within time 6, against the
chain's transition kernel iterated exactly. Every run asks for a relative half-width of 10 %, with a seed of its own;
seconds are those after compilation, their median over the runs. `mean_times`: no horizon, 5 %, exits between the steps
seen too, against an independent quadrature of the diffusion. `dimensions`: a double well along one direction of a
landscape of many dimensions, which leaves the passage that of one; and a plane with two ways, against the grid solver.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import sde_sgd as ss
from sde_sgd.reference import ChainExit

from .._paths import FIGURES
from ._record import arguments_of, renewed, save, told

DT, STEPS, RTOL = 0.02, 300, 0.1
# passages of probability 1e-3, 1e-4, 1e-6, 1e-9, 1e-12, 1e-16, 1e-20 and 1e-25, and runs of each
LEVELS, RUNS = (2.92, 3.301, 3.949, 4.753, 5.437, 6.232, 6.937, 7.727), 200
# those between which the growth of the cost is fitted
LEAST, MOST = 0.9e-20, 1.1e-4
QUADRATIC = ss.landscapes.Landscape(lambda x: 0.5 * x[0] ** 2, dim=1)
CHAIN = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(QUADRATIC, 0.5), DT)
DOUBLE_WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
# mean times of the diffusion: OU from 0 to a·σ∞, and the double well from −1 to 0.5
MEAN_TIMES = {
    "Ornstein–Uhlenbeck, 4σ": (QUADRATIC, 0.5, 0.002, 0.0, 4 / math.sqrt(2), 2018.3924),
    "Ornstein–Uhlenbeck, 5σ": (QUADRATIC, 0.5, 0.002, 0.0, 5 / math.sqrt(2), 140741.0005),
    "Ornstein–Uhlenbeck, 6σ": (QUADRATIC, 0.5, 0.001, 0.0, 6 / math.sqrt(2), 28267502.87),
    "double well, β = 8": (DOUBLE_WELL, 1 / 8, 0.002, -1.0, 0.5, 3480.2147),
    "double well, β = 10": (DOUBLE_WELL, 1 / 10, 0.002, -1.0, 0.5, 25473.947),
    "double well, β = 12": (DOUBLE_WELL, 1 / 12, 0.002, -1.0, 0.5, 186972.48),
}


def below(level: float) -> Any:
    return ss.regions.HalfSpace([1.0], level)


def exact(level: float) -> float:
    chain = ChainExit(lambda x: x * (1 - DT), math.sqrt(DT), 0.0, level, -6.0, nodes=500)
    return float(chain.exits(STEPS)[-1])


def run(level: float, seed: int, rtol: float = RTOL):
    start = np.zeros(1, np.float32)
    return ss.escape(CHAIN, start, below(level), DT * STEPS, rtol=rtol, seed=seed, method="splitting")


def timed(call: Callable, runs: int) -> tuple[list, list[float]]:
    """What `runs` seeds give, and the seconds of each, compilation apart."""
    call(2**32)
    found, seconds = [], []
    for seed in range(runs):
        begin = time.perf_counter()
        found.append(call(seed))
        seconds.append(time.perf_counter() - begin)
    return found, seconds


def on_kernel(level: float, runs: int = RUNS) -> dict:
    truth = exact(level)
    found, seconds = timed(lambda seed: run(level, seed), runs)
    values = np.array([float(each.probability.value) for each in found])
    return {
        "level": level,
        "exact": truth,
        "runs": runs,
        "mean_over_exact": float(values.mean() / truth),
        "standard_error": float(values.std(ddof=1) / math.sqrt(runs) / truth),
        "covered": int(sum(bool(each.probability.contains(truth)) for each in found)),
        "relative_half_width": float(np.median([each.probability.relative_half_width for each in found])),
        "levels": float(np.mean([len(each.levels) for each in found])),
        "path_steps": float(np.mean([each.path_steps for each in found])),
        "speed_up": float(np.median([each.speed_up for each in found])),
        "seconds": float(np.median(seconds)),
        "seconds_at_most": max(seconds),
    }


def one(name: str, truth: float, found: Any, estimate: Any, seconds: float) -> dict:
    return {
        "case": name,
        "exact": truth,
        "over_exact": [float(getattr(estimate, end)) / truth for end in ("value", "low", "high")],
        "inside": bool(estimate.contains(truth)),
        "levels": len(found.levels),
        "path_steps": found.path_steps,
        "seconds": seconds,
        "result": found.result,
    }


def mean_time(name: str) -> dict:
    landscape, temperature, dt, start, level, truth = MEAN_TIMES[name]
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, temperature), dt)
    begin = time.perf_counter()
    found = ss.escape(
        chain, np.array([start], np.float32), below(level), rtol=0.05, seed=1, monitoring="continuous",
        method="splitting",
    )  # fmt: skip
    return one(name, truth, found, found.mean_exit_time, time.perf_counter() - begin)


def in_dimension(dim: int, temperature: float = 0.05, dt: float = 0.01, steps: int = 800) -> dict:
    """A double well along one direction, quadratic wells of stiffness 1 to 4 along those at right angles to it.

    None of them is an axis: every component of the state takes part in the passage.
    """
    stiffness = np.linspace(1, 4, max(dim - 1, 1))[: dim - 1]
    turn = np.linalg.qr(np.random.default_rng(dim).standard_normal((dim, dim)))[0].astype(np.float32)

    def loss(x):
        along = jnp.asarray(turn, x.dtype) @ x
        return (along[0] ** 2 - 1) ** 2 + 0.5 * jnp.sum(jnp.asarray(stiffness, x.dtype) * along[1:] ** 2)

    landscape = ss.landscapes.Landscape(loss, dim)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, temperature), dt)
    kernel = ChainExit(lambda x: x - dt * 4 * x * (x**2 - 1), math.sqrt(2 * temperature * dt), -1.0, 0.5, -2.2)
    truth = float(kernel.exits(steps)[-1])

    def call(seed):
        region = ss.regions.HalfSpace(turn[0], 0.5)
        return ss.escape(chain, -turn[0], region, steps * dt, rtol=RTOL, seed=seed, method="splitting")

    (found,), (seconds,) = timed(call, 1)
    return one(f"{dim} dimensions", truth, found, found.probability, seconds)


def two_ways(temperature: float = 0.15, dt: float = 0.002) -> dict:
    """Three holes in a plane: mean time from the left one to either of the others, each by a way of its own."""
    landscape = ss.landscapes.ThreeHole()
    diffusion = ss.LangevinSGD.at_temperature(landscape, temperature)
    left, right, top = np.array([-1.048, -0.042]), np.array([1.048, -0.042]), np.array([0.0, 1.537])
    target = ss.regions.Ball(right, 0.3) | ss.regions.Ball(top, 0.3)
    solver = ss.reference.FokkerPlanck(diffusion, [(-2.2, 2.2, 160), (-1.6, 2.6, 160)])
    truth = float(solver.mean_passage_time(target, left))
    begin = time.perf_counter()
    found = ss.first_passage(
        ss.EulerMaruyama(diffusion, dt), left.astype(np.float32), target, rtol=0.1, seed=1, monitoring="continuous",
        method="splitting",
    )  # fmt: skip
    return one("three holes, two ways", truth, found, found.mean_exit_time, time.perf_counter() - begin)


def draw(record: dict, path: Path) -> None:
    """Path-steps for a half-width of 10 % against −ln p, beside those of direct simulation."""
    log_p = -np.log([row["exact"] for row in record["kernel"]])
    steps = np.array([row["path_steps"] for row in record["kernel"]])
    figure, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    axis.loglog(log_p, steps, "o", color="#1f5fa8", label="splitting")
    power = record["cost_grows_like_log_p_to"]
    middle = len(log_p) // 2
    for slope, style in ((power, "-"), (2.0, ":")):
        line = steps[middle] * (log_p / log_p[middle]) ** slope
        axis.loglog(log_p, line, style, color="black", lw=1, label=f"(−ln p)^{slope:.3g}")
    # 1.96² (1 − p)/p trajectories for that half-width
    axis.loglog(log_p, 1.96**2 / RTOL**2 * np.exp(log_p) * STEPS, "--", color="#c1440e", label="direct simulation")
    axis.set(xlabel="−ln p", ylabel="path-steps", ylim=(1e5, 1e14), title=f"p to ±10 %, {STEPS} steps a trajectory")
    axis.legend()
    figure.savefig(path, dpi=120)


SECTIONS: dict[str, Callable[[], list[dict]]] = {
    "kernel": lambda: [told(on_kernel(level)) for level in LEVELS],
    "mean_times": lambda: [told(mean_time(name)) for name in MEAN_TIMES],
    "dimensions": lambda: [*(told(in_dimension(dim)) for dim in (1, 2, 10, 50)), told(two_ways())],
}


def main(words: Sequence[str] | None = None) -> None:
    """Run the sections named, or all, put them into the record, each with its date, and draw the figure of the cost."""
    options = arguments_of("splitting", __doc__, SECTIONS, words)
    record = renewed(options.out, "splitting against exact values", SECTIONS, options.sections)
    fitted = [row for row in record.get("kernel", []) if LEAST <= row["exact"] <= MOST]
    logs = [(math.log(-math.log(row["exact"])), math.log(row["path_steps"])) for row in fitted]
    if len(logs) > 1:
        record["cost_grows_like_log_p_to"] = float(np.polyfit(*zip(*logs, strict=True), 1)[0])
        draw(record, FIGURES / "splitting_cost.png")
    save(record, options.out)
