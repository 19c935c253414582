"""One budget for a study: how many trajectories each cell gets, so that its widest interval is as narrow as may be."""

import math

import numpy as np
from jaxtyping import Float, Int

from .._errors import StudyError

# halvings of the logarithm of what all share: to the last bit of a float
_HALVINGS = 200


def allocation(
    probability: Float[np.ndarray, "..."],
    trajectories: Float[np.ndarray, "..."],
    path_steps: Float[np.ndarray, "..."],
    budget: float,
) -> Int[np.ndarray, "..."]:
    """Trajectories of each cell after a pilot, by definition with equal expected relative widths of all intervals.

    probability, trajectories, path_steps: of the pilot, by cell. budget: path-steps of the study, the pilot's included.
    n of a cell goes as (1 − p)/p, the squared relative error of one trajectory, with p = (exits + ½)/(trajectories + 1)
    so that a cell without an exit has a finite one; a cell of which every trajectory diverged gets one. The cost that
    is expected of all is at most what is left of the budget. No sum depends on the order of its terms, so that every
    machine finds the same numbers. Raises StudyError where the budget has less than one trajectory for each cell.
    """
    shape = np.shape(probability)
    seen, of, steps = (np.ravel(each).astype(float) for each in (probability, trajectories, path_steps))
    chance = (seen * of + 0.5) / (of + 1)
    spread, each = np.where(np.isnan(chance), 0.0, (1 - chance) / chance), steps / of
    left = budget - math.fsum(steps)

    def counts(share: float) -> np.ndarray:
        return np.maximum(1.0, np.floor(share * spread))

    def cost(share: float) -> float:
        return math.fsum(counts(share) * each)

    if cost(0.0) > left:
        raise StudyError(
            f"budget must be at least {math.fsum(steps) + cost(0.0):.4g} path-steps, for the pilot and one trajectory "
            f"more in each cell, got {budget:.4g}"
        )
    low, high = 0.0, 1.0
    while cost(high) <= left and high < 1e18:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) <= left else (low, middle)
    return counts(low).astype(np.int64).reshape(shape)
