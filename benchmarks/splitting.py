"""Splitting against the exactly iterated kernel of a discrete chain: precision, coverage, cost.

    python -m benchmarks.splitting benchmarks/results/splitting.json

The chain is Euler–Maruyama of dx = −x dt + dW from 0 with dt = 0.02, its passage above a level within time 6. Every run
asks for a relative half-width of 10 %, with a seed of its own; seconds are those after compilation.
"""

import json
import math
import platform
import sys
import time

import jax
import numpy as np

import sde_sgd as ss
from tests.statistical import ExitOfChain

DT, STEPS, RTOL = 0.02, 300, 0.1
# P from 4e-3 down to 1e-25, and runs of each
LEVELS = {3.0: 400, 4.0: 200, 5.0: 200, 6.0: 40, 7.0: 10, 7.8: 5}
LANDSCAPE = ss.landscapes.Landscape(lambda x: 0.5 * x[0] ** 2, dim=1)
CHAIN = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(LANDSCAPE, 0.5), DT)


def exact(level: float) -> float:
    chain = ExitOfChain(lambda x: x * (1 - DT), math.sqrt(DT), 0.0, level, -6.0, nodes=500)
    return float(chain.exits(STEPS)[-1])


def run(level: float, seed: int, rtol: float = RTOL):
    region = ss.regions.HalfSpace(np.array([1.0]), level)
    return ss.escape(CHAIN, np.zeros(1, np.float32), region, DT * STEPS, rtol=rtol, seed=seed, method="splitting")


def measure(level: float, runs: int) -> dict:
    truth = exact(level)
    run(level, 2**32)  # compiles
    begin = time.perf_counter()
    found = [run(level, seed) for seed in range(runs)]
    seconds = (time.perf_counter() - begin) / runs
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
        "seconds": seconds,
    }


def main(path: str) -> None:
    rows = []
    for level, runs in LEVELS.items():
        rows.append(measure(level, runs))
        print(json.dumps(rows[-1]), flush=True)
    logs = [(math.log(-math.log(row["exact"])), math.log(row["path_steps"])) for row in rows[1:]]
    slope = float(np.polyfit(*zip(*logs, strict=True), 1)[0])
    record = {
        "what": "splitting to 10 %, OU chain, against its exact kernel",
        "date": time.strftime("%Y-%m-%d"),
        "versions": {"jax": jax.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "device": f"{jax.devices()[0].device_kind}, {platform.machine()}",
        "cost_grows_like_log_p_to": slope,
        "rows": rows,
    }
    with open(path, "w") as file:
        json.dump(record, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
