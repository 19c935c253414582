"""How a first passage is run: chain, monitor, substeps, random stream, devices, and the ledger of what was spent."""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..chains import AbstractChain
from ..engine import (
    AbstractMonitor,
    Ends,
    Ids,
    Renewals,
    SeedKey,
    StopCode,
    StopTimes,
    derived_key,
    run_population,
    run_renewing,
    run_until_stopped,
)

_UNLIMITED = 2**63


class BudgetSpent(Exception):
    """What is wanted next would take more trajectories than `max_trajectories` leaves."""


class Ledger:
    """What a call has spent.

    trajectories: how many it has started, pilots included. One that goes on, or that is run again with the same noise,
        is not started anew. path_steps: chain steps over all of them. climbed: those of splitting in
        the program that does all that it asks, the choice of levels apart.
    limit: most trajectories, or None.
    """

    def __init__(self, limit: int | None = None):
        self.limit, self.trajectories, self.path_steps, self.climbed = limit, 0, 0, 0

    @property
    def left(self) -> int:
        """Trajectories that may still start."""
        return (_UNLIMITED if self.limit is None else self.limit) - self.trajectories

    def half(self) -> contextlib.AbstractContextManager[None]:
        """Within it no more than half of what is left may start, so that as many are left for what follows."""
        return self.part(1 / 2)

    def part(self, share: float) -> contextlib.AbstractContextManager[None]:
        """Within it no more than this share of what is left may start."""
        if self.limit is None:
            return contextlib.nullcontext()
        return self.at_most(int((self.limit - self.trajectories) * share))

    @contextlib.contextmanager
    def at_most(self, trajectories: int) -> Iterator[None]:
        """Within it no more than so many may start, nor than are left."""
        limit = self.limit
        self.limit = self.trajectories + min(trajectories, self.left)
        try:
            yield
        finally:
            self.limit = limit

    def start(self, trajectories: int) -> None:
        """Count trajectories that are about to start; BudgetSpent where so many may not."""
        if trajectories > self.left:
            raise BudgetSpent
        self.trajectories += trajectories


class Execution(NamedTuple):
    """A question as it is run.

    chain, monitor: the question's own, or those around them that a method needs.
    starts: (m, state_dim) states, one for each trajectory in turn, from the first again after the last; of fewer
        trajectories, some from all along.
    steps: the horizon, or the budget of a trajectory where there is none (`open_ended`).
    time_step: SDE time of one step of `chain`. substeps: how many make one of the question's.
    watch_share: of the path-steps for which a settled law is watched on, those that this execution takes.
    patience: steps within which a law must settle, or None for as many as it takes.
    key: of the random numbers. seed: of the key, as the person gave it.
    chunk, devices: as the engine takes them. ledger: shared by all executions of a call.
    """

    chain: AbstractChain
    monitor: AbstractMonitor
    starts: Float[np.ndarray, "m state_dim"]
    steps: int
    open_ended: bool
    time_step: float
    key: SeedKey
    seed: int
    chunk: int | None
    devices: Any
    ledger: Ledger
    substeps: int = 1
    watch_share: float = 1.0
    patience: int | None = None

    def derived(self, purpose: int) -> "Execution":
        """The same with random numbers that serve this purpose alone."""
        return self._replace(key=derived_key(self.key, purpose))

    def states(self, trajectories: int) -> Float[np.ndarray, "n state_dim"]:
        """The start of each of so many trajectories."""
        if len(self.starts) == 1:
            return np.broadcast_to(self.starts, (trajectories, self.starts.shape[1]))
        given = len(self.starts)
        return self.starts[np.arange(trajectories) * max(given // trajectories, 1) % given]

    def theta(self, states: Float[np.ndarray, "n state_dim"]) -> Float[np.ndarray, "n dim"]:
        """θ of many states."""
        return states[:, : self.chain.dim]

    def run(self, ids: Ids) -> StopTimes:
        """New trajectories from the start until their passage or the last step; `ids` choose their noise."""
        self.ledger.start(len(ids))
        starts = self.states(len(ids))
        stops = run_until_stopped(self.chain, self.monitor, starts, ids, self.steps, self.key, self.chunk, self.devices)
        self.told(stops.code, stops.path_steps)
        return stops

    def go_on(self, monitor: AbstractMonitor, states, ids, clocks, budgets, renewable: bool = False) -> Ends:
        """Trajectories with a past, under a monitor that watches for the passage among other things.

        states, ids, clocks, budgets, renewable: (n, state_dim) and (n,), as in `engine.run_population`.

        Whoever starts new ones by it says so to the ledger.
        """
        arrays = (states, ids, clocks, budgets)
        ends = run_population(self.chain, monitor, *arrays, self.key, self.chunk, self.devices, renewable=renewable)
        self.told(ends.code, ends.path_steps)
        return ends

    def go_on_renewing(self, monitor: AbstractMonitor, states, ids, clocks, budgets) -> tuple[Ends, Renewals]:
        """The same of trajectories that go on, with new noise, where they cross a level: see `engine.run_renewing`.

        monitor, states, ids, clocks, budgets: as in `go_on`.
        """
        arrays = (states, ids, clocks, budgets)
        ends, renewals = run_renewing(self.chain, monitor, *arrays, self.key, self.chunk, self.devices)
        self.told(ends.code, ends.path_steps)
        return ends, renewals

    def told(self, codes: Int[np.ndarray, "..."], path_steps: int) -> None:
        """Take down what trajectories cost.

        codes: how they ended, a `StopCode` each. path_steps: steps computed for them. Raises ValueError where one came
        to lie in both sets.
        """
        self.ledger.path_steps += path_steps
        if np.any(codes == StopCode.IN_BOTH_SETS):
            raise ValueError("target and avoid must not overlap, got a trajectory that came to lie in both")
