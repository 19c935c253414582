"""What is asked of a first passage, whatever method answers it."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..chains import AbstractChain
from ..engine import AbstractMonitor, Ends, Ids, SeedKey, Stops, derived_key, run_population, run_until_stopped
from ._monitor import BOTH
from ._score import Score


class Problem(NamedTuple):
    """A first passage to find.

    starts: (m, dim), one for each trajectory in turn, from the first again after the last; of fewer trajectories, some
        from all along.
    steps: the horizon, or the budget of a trajectory where there is none (`open_ended`).
    mean_time: there is neither a horizon nor a set to avoid: all arrive, and the question is when.
    seed: of `key`, as the person gave it. confidence: of the intervals. parts: those that a step is taken in.
    """

    chain: AbstractChain
    monitor: AbstractMonitor
    score: Score
    starts: Float[np.ndarray, "m dim"]
    steps: int
    open_ended: bool
    mean_time: bool
    avoids: bool
    time_step: float
    monitoring: str
    confidence: float
    seed: int
    key: SeedKey
    chunk: int | None
    devices: Any
    parts: int = 1

    def derived(self, number: int) -> "Problem":
        """The same with random numbers of its own."""
        return self._replace(key=derived_key(self.key, number))

    def states(self, trajectories: int) -> Float[np.ndarray, "n dim"]:
        """The start of each of so many trajectories."""
        if len(self.starts) == 1:
            return np.broadcast_to(self.starts, (trajectories, self.starts.shape[1]))
        given = len(self.starts)
        return self.starts[np.arange(trajectories) * max(given // trajectories, 1) % given]

    def joined(self, states: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n components"]:
        """States of the chain as those of its parts: where a path is, and where its step began."""
        return np.tile(states, (1, self.chain.dim // states.shape[1]))

    def run(self, ids: Ids) -> Stops:
        """Direct simulation of these trajectories."""
        starts = self.states(len(ids))
        stops = run_until_stopped(self.chain, self.monitor, starts, ids, self.steps, self.key, self.chunk, self.devices)
        _check_apart(stops.code)
        return stops

    def go_on(self, monitor: AbstractMonitor, states, ids, clocks, budgets) -> Ends:
        """Trajectories with a past, under a monitor that watches for the passage among other things."""
        arrays = (states, ids, clocks, budgets)
        ends = run_population(self.chain, monitor, *arrays, self.key, self.chunk, self.devices)
        _check_apart(ends.code)
        return ends

    @property
    def told(self) -> dict[str, Any]:
        """The fields of a result that the question decides."""
        return {
            "time_step": self.time_step,
            "within_step": 1.0 if self.monitoring == "discrete" else 0.5,
            "horizon": self.steps * self.time_step,
            "open_ended": self.open_ended,
            "monitoring": self.monitoring,
            "confidence": self.confidence,
            "seed": self.seed,
        }


def _check_apart(codes: np.ndarray) -> None:
    if np.any(codes == BOTH):
        raise ValueError("target and avoid must not overlap, got a trajectory that came to lie in both")
