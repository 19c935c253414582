"""What a call costs where hardly anything is computed: its fixed cost."""

from typing import Any

import numpy as np

import sde_sgd as ss

from ._measure import seconds_of
from ._problems import DOUBLE_WELL
from ._report import significant, verdict

_WANTED = 5e-4
_STEPS, _RUNS, _QUICK_RUNS = 2, 200, 5


def run_call(trajectories: int, quick: bool) -> dict[str, Any]:
    """A row: the median time of a call, compiled before, whose states stay on the device, and the shortest."""
    chain, start = DOUBLE_WELL.chain(), DOUBLE_WELL.point()

    def run() -> None:
        ss.simulate(chain, start, _STEPS, trajectories, seed=0, to="device", progress=False).block_until_ready()

    run()
    times = [seconds_of(run) for _ in range(_QUICK_RUNS if quick else _RUNS)]
    seconds = float(np.median(times))
    # tiny runs say nothing about the target
    met = None if quick else seconds <= _WANTED
    print(
        f"\na call of {trajectories:,} trajectories × {_STEPS} steps: {1e3 * seconds:.3g} ms {verdict(met)}", flush=True
    )
    return {
        "name": "call",
        "text": "a call, hardly anything computed",
        "trajectories": trajectories,
        "steps": _STEPS,
        "seconds": significant(seconds),
        "least_seconds": significant(min(times)),
        "wanted": _WANTED,
        "met": met,
    }
