"""One runner that hands out units, and many workers that compute and write them: a discrete-event simulation."""

import heapq
from collections import deque
from dataclasses import dataclass

import numpy as np

# units that each worker has been handed and has not finished, as of `sde_sgd.study.running._executors.work`
AHEAD = 2
# units for each worker: enough for the beginning and the end of a study to count little
ROUNDS = 40
# standard deviation of the logarithm of a unit's time
SPREAD = 0.2


@dataclass(frozen=True)
class Costs:
    """Seconds. dispatch: of the runner, for each unit. travel: to a worker, and back. store: of the worker, a unit."""

    dispatch: float
    travel: float
    store: float


def makespan(
    costs: Costs, unit: float, workers: int, rounds: int = ROUNDS, spread: float = SPREAD, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """A study of `rounds` units of about `unit` seconds for each worker: seconds until each has written its last one.

    The runner does one thing at a time; a worker that has been handed its next unit begins it at once.
    Returns arrays of shape (workers,): these times, and the sum of each one's units' own times.
    """
    random = np.random.default_rng(seed)
    # each worker has units of its own, so that what is lost does not depend on who happens to get the largest
    works = unit * np.exp(spread * random.normal(size=(workers, rounds)) - spread**2 / 2)
    left = [deque(row) for row in works.tolist()]
    waiting: list[deque[float]] = [deque() for _ in range(workers)]
    free = [True] * workers
    # (time, kind, worker): 0, a unit arrives at a worker; 1, a worker is done
    events: list[tuple[float, int, int]] = []
    runner = 0.0

    def hand_out(worker: int, now: float) -> None:
        nonlocal runner
        if left[worker]:
            runner = max(runner, now) + costs.dispatch
            heapq.heappush(events, (runner + costs.travel, 0, worker))
            coming[worker].append(left[worker].popleft())

    coming: list[deque[float]] = [deque() for _ in range(workers)]
    for _ in range(AHEAD):
        for worker in range(workers):
            hand_out(worker, 0.0)
    ends = np.zeros(workers)
    while events:
        now, kind, worker = heapq.heappop(events)
        if kind == 0:
            waiting[worker].append(coming[worker].popleft())
        else:
            ends[worker], free[worker] = now, True
            hand_out(worker, now + costs.travel)
        if free[worker] and waiting[worker]:
            free[worker] = False
            heapq.heappush(events, (now + waiting[worker].popleft() + costs.store, 1, worker))
    return ends, works.sum(1)


def overhead(costs: Costs, unit: float, workers: int, rounds: int = ROUNDS) -> float:
    """Share of the workers' time, each one's up to its last unit, that does not go into units."""
    ends, works = makespan(costs, unit, workers, rounds)
    return float(1.0 - works.sum() / ends.sum())


def smallest_unit(costs: Costs, workers: int, allowed: float = 0.05, rounds: int = ROUNDS) -> float:
    """Seconds of the smallest units that keep the overhead at or below `allowed`, to 5 %."""
    low, high = 1e-4, 1e4
    while high / low > 1.05:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if overhead(costs, middle, workers, rounds) <= allowed else (middle, high)
    return high
