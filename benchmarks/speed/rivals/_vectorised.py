"""NumPy."""

import numpy as np

from .._measure import Contender
from .._problems import DOUBLE_WELL


def numpy_vectorised(trajectories: int, steps: int) -> list[Contender]:
    """Float32 ziggurat by the fastest bit generator, everything in place, in blocks that stay in the cache."""
    return [
        Contender("NumPy", lambda block=block: _run(trajectories, steps, block), trajectories, steps, name)
        for name, block in (("all at once", trajectories), ("blocks of 4,096", min(4_096, trajectories)))
    ]


def _run(trajectories: int, steps: int, block: int):
    generator = np.random.Generator(np.random.SFC64(0))
    states = np.full(trajectories, -1.0, np.float32)
    noise, slope = np.empty((2, block), np.float32)
    rate, amplitude = np.float32(-4 * DOUBLE_WELL.dt), np.float32(DOUBLE_WELL.amplitude)
    for begin in range(0, trajectories, block):
        x = states[begin : begin + block]
        z, s = noise[: len(x)], slope[: len(x)]
        for _ in range(steps):
            generator.standard_normal(dtype=np.float32, out=z)
            z *= amplitude
            np.multiply(x, x, out=s)
            s -= 1
            s *= x
            s *= rate
            x += s
            x += z
    return states
