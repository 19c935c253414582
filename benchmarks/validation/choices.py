"""What each choice of a first passage changes: dt and monitoring, method and precision, noise, increments.

    python -m benchmarks.validation choices [SECTION …]

The double well L = (x² − 1)², from −1 to x ≥ 0, with exact values beside the measured ones: the table of
`docs/choose.md`. Seconds hold compilation, and are those of a machine that others may use.
"""

import time
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

from ._record import arguments_of, renewed, save, told

WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
LEFT = ss.regions.HalfSpace(normal=[1.0], offset=0.0)
START = np.array([-1.0], np.float32)
GRID, HORIZON = (-2.6, 2.6, 1200), 20.0


def exact(diffusion: Any, horizon: float = HORIZON) -> float:
    """P(x = 0 is reached by the horizon) of the diffusion, by the grid solver."""
    solver = ss.reference.FokkerPlanck(diffusion, grid=GRID)
    return float(solver.escape_probability(LEFT, START.astype(float), np.array([horizon]))[0])


def asked(chain: Any, horizon: float = HORIZON, **options: Any) -> dict[str, Any]:
    """What a call finds, and what it cost."""
    began = time.perf_counter()
    found = ss.escape(chain, START, LEFT, horizon, seed=0, progress=False, **options)
    value = found.probability
    return {
        "probability": float(value.value), "low": float(value.low), "high": float(value.high),
        "method": found.provenance.method, "path_steps": found.path_steps, "status": str(found.status),
        "seconds": time.perf_counter() - began,
    }  # fmt: skip


def steps() -> list[dict]:
    """The step, and whether exits between steps count: 262,144 trajectories each at T = 0.25."""
    diffusion = ss.LangevinSGD.at_temperature(WELL, 0.25)
    truth, made = exact(diffusion), []
    for dt in (0.1, 0.05, 0.02, 0.01, 0.005, 0.001):
        for monitoring in ("discrete", "continuous"):
            found = asked(ss.EulerMaruyama(diffusion, dt), trajectories=262_144, monitoring=monitoring, method="direct")
            made.append(told({"dt": dt, "monitoring": monitoring, "exact": truth, **found}))
    return made


def precision() -> list[dict]:
    """Cost of ±10 % and ±3 % by each method, as the probability falls; one step is dt = 0.01."""
    made = []
    for temperature, horizon in ((0.25, 20.0), (0.12, 20.0), (0.1, 10.0), (0.06, 10.0), (0.035, 10.0)):
        diffusion = ss.LangevinSGD.at_temperature(WELL, temperature)
        truth = exact(diffusion, horizon)
        for rtol in (0.1, 0.03):
            for method in ("direct", "splitting"):
                row = {"temperature": temperature, "horizon": horizon, "exact": truth, "rtol": rtol}
                if method == "direct" and truth < 1e-4:
                    continue
                chain = ss.EulerMaruyama(diffusion, 0.01)
                found = asked(chain, horizon, rtol=rtol, method=method, monitoring="continuous")
                made.append(told(row | found | {"method": method}))
    return made


def noise() -> list[dict]:
    """Noise of the same V = 8 at the minimum, exact: how its shape along the way changes mean times to the saddle."""
    shapes = {
        "constant": lambda x: jnp.sqrt(8.0) * jnp.ones((1, 1)),
        "0.1 + the curvature, where it is positive": lambda x: jnp.sqrt(
            0.8 + 7.2 * jnp.maximum((12 * x[0] ** 2 - 4) / 8, 0.0)
        ).reshape(1, 1),
        "grows with the loss, 8 (1 + L)": lambda x: jnp.sqrt(8 * (1 + (x[0] ** 2 - 1) ** 2)).reshape(1, 1),
    }
    made = []
    for batch_size in (1.0, 2.0, 4.0):
        for name, sigma in shapes.items():
            diffusion = ss.LangevinSGD(WELL, ss.noise.FromFunction(sigma), 0.05, batch_size)
            solver = ss.reference.FokkerPlanck(diffusion, grid=GRID)
            mean = float(solver.mean_exit_time(LEFT, start=START.astype(float)))
            made.append(told({"batch_size": batch_size, "noise": name, "mean_time": mean}))
    return made


def increments() -> list[dict]:
    """Signs in place of normal numbers: the same law where exits are usual, another where they are rare."""
    made = []
    for temperature in (0.25, 0.1, 0.06):
        for dt in (0.05, 0.01):
            diffusion = ss.LangevinSGD.at_temperature(WELL, temperature)
            for kind in ("gaussian", "rademacher"):
                chain = ss.EulerMaruyama(diffusion, dt, increments=kind)
                found = asked(chain, rtol=0.03)
                made.append(told({"temperature": temperature, "dt": dt, "increments": kind, **found}))
    return made


SECTIONS = {"steps": steps, "precision": precision, "noise": noise, "increments": increments}


def main(words: Sequence[str] | None = None) -> None:
    options = arguments_of("choices", __doc__, SECTIONS, words)
    what = "what dt, monitoring, method, precision, noise and increments change, on a double well"
    save(renewed(options.out, what, SECTIONS, options.sections), options.out)
