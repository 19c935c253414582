"""The exponent of a minimum-action path beside mean times: the grid solver's, and those that splitting finds.

    python -m benchmarks.validation minimum_action

In two dimensions, with noise like that of SGD. `slope` is (log τ₂ − log τ₁)/(M₂/γ − M₁/γ) from the row before to this
one, which tends to the action as M/γ grows; `ratio` is it over the action. Over a saddle it is there at once; out of a
ball, against the drift, τ is e^{V M/γ} times (M/γ)^{-1/2}, and the slope lacks half the slope of log(M/γ): 3 % here.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

from ._record import arguments_of, renewed, save, told

RATE = 0.05


class Problem(NamedTuple):
    """A loss and its noise, the way to compare, the grid, the M/γ at which the grid solver runs, and splitting."""

    landscape: Any
    noise: Any
    start: list[float]
    target: Any
    grid: list[tuple[float, float, int]]
    ratios: tuple[float, ...]
    split: tuple[float, ...]


def bent(x):
    return 0.4 + (x[0] ** 2 - 1) ** 2 + 2 * (x[1] - 0.5 * x[0]) ** 2


def problems() -> dict[str, Problem]:
    surface = ss.landscapes.Landscape(bent, dim=2)
    narrow = ss.landscapes.Landscape(lambda x: jnp.cosh(x[0]) + 2 * jnp.cosh(x[1]) + 0.6 * x[0] * x[1], dim=2)
    right, grid = ss.regions.HalfSpace([-1.0, 0.0], -0.5), [(-2.2, 1.2, 160), (-2.0, 1.6, 170)]
    return {
        "loss-proportional, over a saddle": Problem(
            surface, ss.noise.LossProportional(shape=[[1.0, 0.0], [0.0, 0.3]]), [-1.0, -0.5], right, grid,
            (4.0, 6.0, 9.0), (4.0, 6.0),
        ),
        "Hessian-proportional, out of a ball": Problem(
            narrow, ss.noise.HessianProportional(), [0.0, 0.0], ~ss.regions.Ball([0.0, 0.0], 1.5),
            [(-2.0, 2.0, 160), (-2.0, 2.0, 160)], (8.0, 12.0, 18.0), (8.0, 12.0),
        ),
    }  # fmt: skip


def rows() -> list[dict]:
    """A row for each M/γ of each problem."""
    made = []
    for name, case in problems().items():
        before: tuple[float, float] | None = None
        for ratio in case.ratios:
            diffusion = ss.LangevinSGD(case.landscape, case.noise, RATE, RATE * ratio)
            way = ss.theory.minimum_action(diffusion, case.start, case.target)
            grid = ss.reference.FokkerPlanck(diffusion, case.grid)
            log_time = math.log(grid.mean_passage_time(case.target, case.start))
            row = {
                "problem": name,
                "M_over_rate": ratio,
                "action": way.action,
                "error": way.error,
                "log_time": log_time,
            }
            if before is not None:
                row["slope"] = (log_time - before[1]) / (ratio - before[0])
                row["ratio"] = row["slope"] / way.action
            if ratio in case.split:
                row |= by_splitting(case, diffusion)
            before = ratio, log_time
            made.append(told(row))
    return made


def by_splitting(case: Problem, diffusion: Any) -> dict[str, Any]:
    """The mean time of the diffusion, as the grid solver's is: between steps of a fifth of the rate too."""
    chain = ss.EulerMaruyama(diffusion, RATE / 5)
    found = ss.first_passage(
        chain, np.asarray(case.start, np.float32), case.target, method="splitting", trajectories=16_384, seed=0,
        monitoring="continuous",
    )  # fmt: skip
    time = found.mean_exit_time
    interval = [math.log(time.low), math.log(time.high)]
    return {"log_time_split": math.log(time.value), "interval_split": interval, "status_split": str(found.status)}


SECTIONS = {"rows": rows}


def main(words: Sequence[str] | None = None) -> None:
    options = arguments_of("minimum_action", __doc__, SECTIONS, words)
    what = "exponents of minimum-action paths beside the slopes of log mean times"
    save(renewed(options.out, what, SECTIONS, options.sections), options.out)
