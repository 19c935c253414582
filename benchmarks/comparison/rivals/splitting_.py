"""NumPy: adaptive multilevel splitting, a population to a thread, until the mean of the populations is known."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import stats

from ...speed.rivals._splitting import Event, adaptive_splitting
from ..problem import DT, SADDLE, START, STEPS, slope

_SIZE, _LEAST = 2_048, 16


def probability(temperature, precision, seed):
    """The mean of independent populations, at least 16, and its 95 % interval by Student's t."""

    def mean(x, out):
        np.subtract(x, np.float32(DT) * slope(x), out=out)

    event = Event(mean, np.sqrt(2 * temperature * DT), START, SADDLE, STEPS)
    cores, seeds, found = len(os.sched_getaffinity(0)), np.random.SeedSequence(seed), []
    with ThreadPoolExecutor(cores) as pool:
        while True:
            generators = [np.random.Generator(np.random.SFC64(each)) for each in seeds.spawn(cores)]
            found += pool.map(lambda each: adaptive_splitting(event, _SIZE, _SIZE // 4, each), generators)
            if len(found) >= _LEAST:
                half = stats.t.ppf(0.975, len(found) - 1) * stats.sem(found)
                value = float(np.mean(found))
                if half <= precision * value:
                    return value, value - half, value + half
