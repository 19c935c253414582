"""One runner that hands out units, and many workers that compute and write them: a discrete-event simulation."""

import heapq
from collections import deque
from dataclasses import dataclass

import numpy as np

# units that each worker has been handed and has not finished, as of `sde_sgd.study._executors.work`
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


def makespan(costs: Costs, unit: float, workers: int, rounds: int = ROUNDS, spread: float = SPREAD, seed: int = 0):
    """Seconds until the last of `rounds`·`workers` units of `unit` seconds each is written, and the work in them.

    The runner does one thing at a time; a worker that has been handed its next unit begins it at once.
    Returns two numbers: the wall time, and the sum of the units' own times.
    """
    total = rounds * workers
    random = np.random.default_rng(seed)
    works = (unit * np.exp(spread * random.normal(size=total) - spread**2 / 2)).tolist()
    handed, runner = 0, 0.0
    waiting: list[deque[float]] = [deque() for _ in range(workers)]
    free = [True] * workers
    # (time, kind, worker): 0, a unit arrives at a worker; 1, a worker is done
    events: list[tuple[float, int, int]] = []

    def hand_out(worker: int, now: float) -> None:
        nonlocal handed, runner
        if handed < total:
            runner = max(runner, now) + costs.dispatch
            heapq.heappush(events, (runner + costs.travel, 0, worker))
            coming[worker].append(works[handed])
            handed += 1

    coming: list[deque[float]] = [deque() for _ in range(workers)]
    for _ in range(AHEAD):
        for worker in range(workers):
            hand_out(worker, 0.0)
    end = 0.0
    while events:
        now, kind, worker = heapq.heappop(events)
        if kind == 0:
            waiting[worker].append(coming[worker].popleft())
        else:
            end, free[worker] = now, True
            hand_out(worker, now + costs.travel)
        if free[worker] and waiting[worker]:
            free[worker] = False
            heapq.heappush(events, (now + waiting[worker].popleft() + costs.store, 1, worker))
    return end, sum(works)


def overhead(costs: Costs, unit: float, workers: int, rounds: int = ROUNDS) -> float:
    """Share of the workers' time that does not go into units, from the first unit to the last one of a long study.

    The end, when some workers have nothing left, is that of the units and not of the costs: the same study without
    costs is subtracted.
    """
    wall, work = makespan(costs, unit, workers, rounds)
    ideal, _ = makespan(Costs(0.0, 0.0, 0.0), unit, workers, rounds)
    return 1.0 - ideal / wall if work else 0.0


def smallest_unit(costs: Costs, workers: int, allowed: float = 0.05, rounds: int = ROUNDS) -> float:
    """Seconds of the smallest units that keep the overhead at or below `allowed`, to 5 %."""
    low, high = 1e-4, 1e4
    while high / low > 1.05:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if overhead(costs, middle, workers, rounds) <= allowed else (middle, high)
    return high
