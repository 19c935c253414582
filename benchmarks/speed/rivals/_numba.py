"""Scalar loops compiled by numba, parallel over trajectories. Imported only where numba is installed."""

import numba
import numpy as np

from .._measure import Contender
from .._problems import DOUBLE_WELL

_RATE = np.float32(-4 * DOUBLE_WELL.dt)
_AMPLITUDE = np.float32(DOUBLE_WELL.amplitude)
_ONE = np.float32(1)


@numba.njit(parallel=True, fastmath=True)
def _global_state(trajectories, steps):
    """`np.random.normal`: a Mersenne twister for each thread."""
    out = np.empty(trajectories, np.float32)
    for i in numba.prange(trajectories):
        x = -_ONE
        for _ in range(steps):
            x += _RATE * x * (x * x - _ONE) + _AMPLITUDE * np.float32(np.random.normal())
        out[i] = x
    return out


@numba.njit(parallel=True, fastmath=True)
def _own_generators(generators, trajectories, steps):
    """NumPy's ziggurat, one generator for each thread."""
    threads = len(generators)
    out = np.empty(trajectories, np.float32)
    for thread in numba.prange(threads):
        generator = generators[thread]
        for i in range(thread * trajectories // threads, (thread + 1) * trajectories // threads):
            x = -_ONE
            for _ in range(steps):
                x += _RATE * x * (x * x - _ONE) + _AMPLITUDE * np.float32(generator.standard_normal())
            out[i] = x
    return out


def contenders(trajectories: int, steps: int) -> list[Contender]:
    seeds = np.random.SeedSequence(0).spawn(numba.get_num_threads())
    generators = tuple(np.random.Generator(np.random.SFC64(seed)) for seed in seeds)
    runs = {
        "np.random.normal": lambda: _global_state(trajectories, steps),
        "a ziggurat for each thread": lambda: _own_generators(generators, trajectories, steps),
    }
    return [Contender("numba", run, trajectories, steps, variant) for variant, run in runs.items()]
