"""What a score is worth: path-steps of splitting to 10 % precision, on problems where the way to the target bends.

    python -m benchmarks.validation scores

Every score of a problem runs with the same effort; the spread of the repetitions times the steps that they took says
how many steps a 95 % interval of relative half-width 10 % would take. `ratio` is that of the level function over it:
above 1 is cheaper than that. The pilot that chooses the levels is part of the cost of a run, not of this.
"""

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

from ._record import arguments_of, renewed, save, told

REPETITIONS, SIZE, RUNS, RTOL = 32, 256, 3, 0.1


class Problem(NamedTuple):
    """A passage from `start` to `target` within `horizon`, and the scores to compare."""

    landscape: Any
    temperature: float
    dt: float
    start: np.ndarray
    target: Any
    horizon: float
    scores: dict[str, Any]


def problem(landscape, temperature, dt, start, goal, target, horizon, grid=None) -> Problem:
    diffusion = ss.LangevinSGD.at_temperature(landscape, temperature)
    scores: dict[str, Any] = {
        "level": "level",
        "automatic": "auto",
        "loss": landscape.loss,
        "-|θ - goal|": lambda theta: -jnp.sqrt(jnp.sum((theta - jnp.asarray(goal, theta.dtype)) ** 2)),
        "path": ss.scores.path(landscape, start, goal),
    }
    if grid is not None:
        scores["committor"] = ss.scores.committor(diffusion, target, grid, horizon=horizon)
    return Problem(landscape, temperature, dt, np.asarray(start, np.float32), target, horizon, scores)


def bent(theta):
    """A double well along coordinate 0 in a valley that bows out along the nine others."""
    side = 0.5 * jnp.where(jnp.arange(9) % 2 == 0, 1.0, -1.0)
    return (theta[0] ** 2 - 1) ** 2 + 4 * jnp.sum((theta[1:] - side * (1 - theta[0] ** 2)) ** 2)


def problems() -> dict[str, Problem]:
    zoo, ball = ss.landscapes, ss.regions.Ball
    well = zoo.Landscape(lambda theta: (theta[0] ** 2 - 1) ** 2, dim=1)
    left, right = np.array([-1.04805, -0.04209]), np.array([1.04805, -0.04209])
    high, low = np.array([-0.55822, 1.44173]), np.array([0.62350, 0.02804])
    one, other = -np.eye(10)[0], np.eye(10)[0]
    return {
        "double well, 1-D": problem(
            well, 0.06, 0.01, np.array([-1.0]), np.array([1.0]), ball(np.array([1.0]), 0.4), 8.0, (-2, 2, 100)
        ),
        "three holes, two ways, 2-D": problem(
            zoo.ThreeHole(), 0.15, 0.01, left, right, ball(right, 0.3), 8.0, [(-2, 2, 80), (-1.2, 2.4, 80)]
        ),
        "Müller–Brown, 2-D": problem(
            zoo.MullerBrown(0.01), 0.06, 0.01, high, low, ball(low, 0.15), 8.0, [(-1.6, 1.2, 80), (-0.4, 2.1, 80)]
        ),
        "bent valley, 10-D": problem(zoo.Landscape(bent, dim=10), 0.06, 0.01, one, other, ball(other, 0.7), 8.0),
    }


def measure(case: Problem, score: Any) -> dict:
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(case.landscape, case.temperature), case.dt)
    values, steps, levels, seconds = [], [], [], []
    for seed in range(RUNS):
        begin = time.perf_counter()
        fp = ss.first_passage(
            chain, case.start, case.target, horizon=case.horizon, trajectories=REPETITIONS * SIZE,
            method=ss.passage.Splitting(score, REPETITIONS), seed=seed,
        )  # fmt: skip
        seconds.append(time.perf_counter() - begin)
        values.append(fp.level_probability[:, -1])
        steps.append(fp.path_steps)
        levels.append(len(fp.levels))
    found = np.concatenate(values)
    mean, spread = float(found.mean()), float(found.std(ddof=1))
    repetitions = (1.96 * spread / (mean * RTOL)) ** 2 if mean else math.inf
    # the pilot is 2,048 trajectories over the same levels, most of them twice
    share = SIZE * REPETITIONS / (SIZE * REPETITIONS + 2 * 2_048)
    return {
        "probability": mean,
        "standard_error": spread / math.sqrt(len(found)),
        "relative_spread": spread / mean if mean else math.inf,
        "levels": float(np.mean(levels)),
        "steps_to_precision": repetitions * float(np.mean(steps)) * share / REPETITIONS,
        "seconds": min(seconds),
    }


def rows() -> list[dict]:
    """A row for each score of each problem."""
    made = []
    for name, case in problems().items():
        found = {label: measure(case, score) for label, score in case.scores.items()}
        for label, row in found.items():
            ratio = found["level"]["steps_to_precision"] / row["steps_to_precision"]
            values = {**row, "ratio": ratio}
            # what was never seen has no cost: null in the record
            finite = {key: value if math.isfinite(value) else None for key, value in values.items()}
            made.append(told({"problem": name, "score": label, **finite}))
    return made


SECTIONS = {"rows": rows}


def main(words: Sequence[str] | None = None) -> None:
    options = arguments_of("scores", __doc__, SECTIONS, words)
    what = "path-steps of splitting to 10 % precision with several scores"
    save(renewed(options.out, what, SECTIONS, options.sections), options.out)
