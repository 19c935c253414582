"""Adaptive multilevel splitting in NumPy, a whole population at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from .._measure import Contender

NUMPY_SPLITTING = "NumPy, adaptive multilevel splitting"


def _normal(generator: np.random.Generator, out: np.ndarray) -> None:
    generator.standard_normal(dtype=np.float32, out=out)


@dataclass(frozen=True)
class Event:
    """A state above `level` within `steps` of x' = mean(x) + amplitude·ξ from `start`.

    mean(x, out): writes the mean of the states after x, (n,) float32, to out.
    draw(generator, out): fills out, (n,) float32, with ξ.
    """

    mean: Callable[[np.ndarray, np.ndarray], object]
    amplitude: float
    start: float
    level: float
    steps: int
    draw: Callable[[np.random.Generator, np.ndarray], None] = _normal


def numpy_splitting(event: Event, trajectories: int) -> list[Contender]:
    """Independent populations of so many trajectories in all; a run returns their estimates.

    A quarter dies in a round: with an eighth the rounds are too many, with a half the estimates spread too far.
    """
    sizes = dict.fromkeys((trajectories // 8, trajectories // 4))
    found = []
    for size, threads in [(size, threads) for size in sizes for threads in (1, 2)]:
        seeds = np.random.SeedSequence([size, threads])

        def run(size=size, threads=threads, seeds=seeds):
            # spawning goes on from run to run: no two are alike
            return _populations(event, size, seeds.spawn(trajectories // size), threads)

        text = f"populations of {size:,}, " + ("one thread" if threads == 1 else f"{threads} threads")
        found.append(Contender(NUMPY_SPLITTING, run, trajectories, event.steps, text))
    return found


def _populations(event: Event, size: int, seeds: list[np.random.SeedSequence], threads: int) -> np.ndarray:
    generators = [np.random.Generator(np.random.SFC64(seed)) for seed in seeds]
    with ThreadPoolExecutor(threads) as pool:
        return np.array(list(pool.map(lambda each: adaptive_splitting(event, size, size // 4, each), generators)))


def adaptive_splitting(event: Event, size: int, kill: int, generator: np.random.Generator) -> float:
    """The event's probability estimated by one population of `size`.

    Bréhier, Gazeau, Goudenège, Lelièvre and Rousset, Annals of Applied Probability 26, 3559 (2016): in each round the
    `kill` trajectories that came least far die, with all that tie with the last of them, and as many branches of the
    others start, each at its parent's first state strictly above that height. Where all die the estimate is 0.
    """
    first = np.full((event.steps + 1, size), event.start, np.float32)
    _run(event, first, np.zeros(size, np.intp), generator)
    paths, best, weight = np.ascontiguousarray(first.T), first.max(axis=0), 1.0
    while True:
        height = np.partition(best, kill - 1)[kill - 1]
        if height > event.level:
            return weight * float(np.mean(best > event.level))
        dies = _dies(best, height, kill)
        dead, alive = np.flatnonzero(dies), np.flatnonzero(~dies)
        if not len(alive):
            return 0.0
        weight *= len(alive) / size
        branches, since = _branches(paths, generator.choice(alive, len(dead)), height)
        _run(event, branches, since, generator)
        paths[dead] = np.ascontiguousarray(branches.T)
        best[dead] = branches.max(axis=0)


def _dies(best: np.ndarray, height: float, kill: int) -> np.ndarray:
    """All at `height`, be they more than `kill`."""
    return best <= height


def _branches(paths: np.ndarray, parents: np.ndarray, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Copies of the parents' paths, (steps + 1, n), and their first steps above `height`, earliest first."""
    since = np.argmax(paths[parents] > height, axis=1)
    order = np.argsort(since)
    return np.ascontiguousarray(paths[parents[order]].T), since[order]


def _run(event: Event, paths: np.ndarray, since: np.ndarray, generator: np.random.Generator) -> None:
    """Draws paths (steps + 1, n) anew after their steps `since`, which ascend.

    Trajectories lie side by side, those that run at a step first: all of it works on contiguous numbers.
    """
    running = np.searchsorted(since, np.arange(event.steps), side="right")
    noise, amplitude = np.empty(paths.shape[1], np.float32), np.float32(event.amplitude)
    for step in range(int(since[0]), event.steps):
        n = running[step]
        z, following = noise[:n], paths[step + 1, :n]
        event.draw(generator, z)
        z *= amplitude
        event.mean(paths[step, :n], following)
        following += z
