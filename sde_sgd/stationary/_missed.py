"""Where the states go that belong to none of the minima given."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ..engine import LANES
from ._basins import ENDS, AbstractBasins, Flow

# a larger share of all states than this is worth a warning
ALLOWED = 0.05
_MOST = 8


class Missed(NamedTuple):
    """Ends of the gradient flow that are no given minimum, and the share of all trajectories there, largest first."""

    locations: Float[np.ndarray, "m dim"]
    shares: Float[np.ndarray, " m"]

    def __str__(self) -> str:
        parts = [
            f"{np.array2string(where, precision=4, suppress_small=True, separator=', ', threshold=6)} ({share:.1%})"
            for where, share in zip(self.locations, self.shares, strict=True)
        ]
        return ", ".join(parts)


def missed_by(basins: AbstractBasins, states: Float[np.ndarray, "n dim"], chosen: Bool[np.ndarray, " n"]) -> Missed:
    """Where the flow of the chosen states ends; nothing for basins that know no flow."""
    dim = states.shape[1]
    if not isinstance(basins, Flow) or not chosen.any():
        return Missed(np.zeros((0, dim)), np.zeros(0))
    points = states[chosen]
    padded = np.resize(points, (LANES * -(-len(points) // LANES), dim))
    ends = np.asarray(ENDS.prepare(basins.quench)(padded.T)[1], np.float64).T[: len(points)]
    near = 0.1 * float(np.min(basins.quench.traps))
    found = []
    while len(ends) and len(found) < _MOST:
        same = np.linalg.norm(ends - ends[0], axis=1) <= near
        found.append((ends[0], np.sum(same) / len(states)))
        ends = ends[~same]
    found.sort(key=lambda pair: -pair[1])
    return Missed(np.array([where for where, _ in found]), np.array([share for _, share in found]))
