"""numba: compiled loops, a thread and a ziggurat for each core; a trajectory ends when it is out."""

import numba
import numpy as np

from ..problem import DT, SADDLE, START, STEPS

WIDE = 65_536


def exits(temperature, size, seed):
    threads = numba.get_num_threads()
    streams = np.random.SeedSequence(seed).spawn(threads)
    generators = tuple(np.random.Generator(np.random.SFC64(stream)) for stream in streams)
    while True:
        yield int(_leave(generators, size // threads, np.float32(np.sqrt(2 * temperature * DT))))


@numba.njit(parallel=True, fastmath=True)
def _leave(generators, size, amplitude):
    count = 0
    dt, one, four, saddle = np.float32(DT), np.float32(1), np.float32(4), np.float32(SADDLE)
    for thread in numba.prange(len(generators)):
        generator = generators[thread]
        for _ in range(size):
            x = np.float32(START)
            for _ in range(STEPS):
                x += amplitude * np.float32(generator.standard_normal()) - dt * (x * x - one) * (four * x - one)
                if x >= saddle:
                    count += 1
                    break
    return count
