"""The question that all contenders answer."""

import functools

import numpy as np

import sde_sgd as ss  # its rooms load when they are first used: rivals need none

START, SADDLE, DT, STEPS = -1.0, 0.25, 0.01, 1_000
HORIZON = DT * STEPS
PRECISION = 0.05
"""Relative half-width of the 95 % interval."""
TEMPERATURES = {"0.1": 0.355, "1e-3": 0.185, "1e-6": 0.1075}
"""T by about how likely the escape is."""


def slope(x):
    """V'(x) of V = x⁴ − x³/3 − 2x² + x: minima at −1 (curvature 10) and 1 (curvature 6), the saddle at 1/4."""
    return (x * x - 1) * (4 * x - 1)


@functools.cache
def exact(temperature: float, *, dt: float = DT, loudness: float = 1.0) -> float:
    """P(seen at or beyond the saddle by HORIZON) of the chain of steps dt, its noise multiplied by `loudness`."""
    deviation = loudness * np.sqrt(2 * temperature * dt)
    kernel = ss.reference.ChainExit(lambda x: x - dt * slope(x), deviation, START, SADDLE, lowest=-2.6)
    return float(kernel.exits(round(HORIZON / dt))[-1])


def needed(probability: float) -> int:
    """Independent trajectories that the precision takes."""
    return int(np.ceil((1 - probability) / probability * (1.959964 / PRECISION) ** 2))
