"""NumPy: float32 in place, in blocks that stay in the cache, the fastest generator, a thread for each core."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..problem import DT, SADDLE, START, STEPS

WIDE = 65_536
_BLOCK = 8_192


def exits(temperature, size, seed):
    cores = len(os.sched_getaffinity(0))
    generators = [np.random.Generator(np.random.SFC64(each)) for each in np.random.SeedSequence(seed).spawn(cores)]
    with ThreadPoolExecutor(cores) as pool:
        while True:
            yield sum(pool.map(lambda generator: _leave(generator, size // cores, temperature), generators))


def _leave(generator, size, temperature):
    amplitude, dt = np.float32(np.sqrt(2 * temperature * DT)), np.float32(DT)
    count = 0
    for begin in range(0, size, _BLOCK):
        x = np.full(min(_BLOCK, size - begin), START, np.float32)
        best, (noise, slope, other) = x.copy(), np.empty((3, len(x)), np.float32)
        for _ in range(STEPS):
            generator.standard_normal(dtype=np.float32, out=noise)
            noise *= amplitude
            np.multiply(x, x, out=slope)
            slope -= 1
            slope *= dt
            np.multiply(x, 4, out=other)
            other -= 1
            slope *= other
            x -= slope
            x += noise
            np.maximum(best, x, out=best)
        count += np.count_nonzero(best >= SADDLE)
    return count
