"""Eyring–Kramers rates between several minima."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from ..landscapes import SaddleConnection
from ._kramers import eyring_kramers


def rate_matrix(
    diffusion: Any, minima: Sequence[Any], saddles: Sequence[Any]
) -> Float64[np.ndarray, "n_minima n_minima"]:
    """Rates of the jumps between minima at low temperature, one over `eyring_kramers` for each way over a saddle.

    diffusion, minima: as for `eyring_kramers`. saddles: what `landscapes.saddle_graph` finds; those between the same
        two minima add up.
    Returns rates per SDE time, (n_minima, n_minima), entry (i, j) from i to j; 0 on the diagonal and where no saddle
    leads. Its relative error is that of `eyring_kramers`, and the stationary law of the jumps is `gibbs_weights`.
    Raises ValueError as `eyring_kramers` does, and for a saddle between minima that are not given.
    Source: Bovier, Eckhoff, Gayrard and Klein 2004, as for `eyring_kramers`.
    """
    rates = np.zeros((len(minima), len(minima)))
    for way in saddles:
        if not isinstance(way, SaddleConnection) or way.second >= len(minima):
            raise ValueError(
                f"saddles must be SaddleConnections of saddle_graph between the {len(minima)} minima, got a "
                f"{type(way).__name__}"
            )
        for start, end in ((way.first, way.second), (way.second, way.first)):
            rates[start, end] += 1 / eyring_kramers(diffusion, minima[start], way.saddle)
    return rates
