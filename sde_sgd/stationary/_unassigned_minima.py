"""Minima that were not given, to which the gradient flow of θ in no basin leads."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

# a larger share of all trajectories than this in no basin is worth a warning
ALLOWED = 0.05
_MOST = 8


class UnassignedMinima(NamedTuple):
    """Ends of the gradient flow that are no given minimum.

    locations: (m, dim). shares: (m,) of all trajectories that end there, largest first.
    """

    locations: Float[np.ndarray, "m dim"]
    shares: Float[np.ndarray, " m"]

    def __str__(self) -> str:
        return ", ".join(f"{at(where)} ({share:.1%})" for where, share in zip(self.locations, self.shares, strict=True))


def cluster_ends(ends: Float[np.ndarray, "k dim"], radius: float, trajectories: int) -> UnassignedMinima:
    """Ends that are nearer than `radius` to one another as one; at most eight of them."""
    found = []
    left = ends
    while len(left) and len(found) < _MOST:
        same = np.linalg.norm(left - left[0], axis=1) <= radius
        found.append((left[0], np.sum(same) / trajectories))
        left = left[~same]
    if not found:
        return UnassignedMinima(np.zeros((0, ends.shape[1])), np.zeros(0))
    found.sort(key=lambda pair: -pair[1])
    return UnassignedMinima(np.array([where for where, _ in found]), np.array([share for _, share in found]))


def at(point: np.ndarray) -> str:
    """A location in a sentence."""
    return np.array2string(np.asarray(point), precision=4, suppress_small=True, separator=", ", threshold=6)
