"""Our own calls, as a user makes them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import sde_sgd as ss

from ._measure import OURS, Contender
from ._problems import DOUBLE_WELL, Problem

RADEMACHER = f"{OURS}, Rademacher"
ESCAPE = f"{OURS}, escape"
NONE_LEAVE = f"{OURS}, escape that never happens"
MOST_LEAVE = f"{OURS}, 99 % leave in the first tenth"

# parts of the engine that can be left out, and what leaves them out
PARTS: dict[str, dict[str, Any]] = {
    "lowering off": {"lowering": False},
    "packing off": {"packing": False},
    "one step a fusion": {"steps_fused": 1, "steps_fused_many": 1},
}

# cold enough that a trajectory at the bottom stays there
_COLD = Problem(DOUBLE_WELL.loss, DOUBLE_WELL.start, temperature=1e-5, dt=1e-3)
_EXIT = 0.8


def simulate(problem: Problem, trajectories: int, steps: int, increments: str = "gaussian") -> Contender:
    chain, start = problem.chain(increments), problem.point()
    family = OURS if increments == "gaussian" else RADEMACHER
    return Contender(
        family, lambda: ss.simulate(chain, start, steps=steps, trajectories=trajectories, seed=0), trajectories, steps
    )


def ablated(contender: Contender) -> list[Contender]:
    """The contender, and the same with each part of the engine left out in turn."""

    def without(changes: dict[str, Any]) -> Callable[[], np.ndarray | None]:
        def run():
            with ss.engine.tuned(**changes):
                return contender.run()

        return run

    others = [replace(contender, family=f"{OURS}, {part}", run=without(PARTS[part])) for part in PARTS]
    return [replace(contender, family=OURS), *others]


def escape_never(trajectories: int, steps: int) -> Contender:
    """Watches at every step a region that no trajectory leaves."""
    region = ss.regions.HalfSpace(normal=[1.0], offset=100.0)
    return _escape(ESCAPE, DOUBLE_WELL, DOUBLE_WELL.point(), region, trajectories, steps)


def escape_mostly(trajectories: int, steps: int) -> list[Contender]:
    """One region and horizon; in one run nobody leaves, in the other 99 % do, spread over the first tenth."""
    region = ss.regions.HalfSpace(normal=[1.0], offset=_EXIT)
    resting = np.full((trajectories, 1), -1.0, np.float32)
    return [
        _escape(NONE_LEAVE, _COLD, resting, region, trajectories, steps),
        _escape(MOST_LEAVE, _COLD, leaving_starts(trajectories, steps), region, trajectories, steps),
    ]


def leaving_starts(trajectories: int, steps: int) -> np.ndarray:
    """Starts (trajectories, 1) on the slope from 0 to 1, every hundredth at the bottom of the other well.

    Without noise x²/(1 − x²) grows as exp(8t), so that the time at which a start reaches the region's end is known.
    """
    quantile = (np.arange(trajectories) + 0.5) / trajectories
    # a little less than a tenth, to leave room for the noise
    leaves_at = 0.09 * steps * _COLD.dt * np.random.default_rng(0).permutation(quantile)
    odds = _EXIT**2 / (1 - _EXIT**2) * np.exp(-8 * leaves_at)
    starts = np.sqrt(odds / (1 + odds))
    starts[::100] = -1.0
    return starts[:, None].astype(np.float32)


def _escape(family, problem, start, region, trajectories, steps) -> Contender:
    chain = problem.chain()
    # what is timed is the watching: "auto" would take splitting for an escape that never happens
    options = {"horizon": steps * problem.dt, "trajectories": trajectories, "seed": 0, "method": "direct"}

    def run():
        passage = ss.escape(chain, start, region, **options)
        # the answer is there only when it can be read
        assert 0 <= float(passage.probability.value) <= 1

    return Contender(family, run, trajectories, steps)
