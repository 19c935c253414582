"""Shares of minima over time where the rates of the jumps between them change, as under a learning rate that falls."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float64

from .._errors import numbers, positive_integer
from .._jumps import transition_matrix


def rate_equation(
    rates: Callable[[float], Any], start: Any, times: Any, pieces: int = 500
) -> Float64[np.ndarray, "n_times n_minima"]:
    """Solution of dp/dt = p Q(t), the master equation of jumps between minima: p at each of some times.

    rates: a function of the SDE time that gives the rates of the jumps then, (n_minima, n_minima), at least 0, entry
        (i, j) from i to j, in 1 / SDE time, such as `rate_matrix` makes of the diffusion of that time.
    start: (n_minima,), probabilities at time 0, whose sum is 1. times: rising SDE times above 0, (n_times,).
    pieces: of the time between two looks, in each of which the rates are those of its middle (exponential midpoint
        rule): the error falls with the square of their length. Probabilities stay between 0 and 1.
    Valid where the walk forgets its way into a minimum long before it leaves it: rates far below the curvatures, and a
    change of the rates that is slow against these.
    Raises ValueError for probabilities, times or rates that are not as said.
    Source: the master equation is standard (van Kampen 1981, chapter V); Magnus's midpoint rule of order 2.
    """
    positive_integer("pieces", pieces)
    if not callable(rates):
        raise ValueError(f"rates must be a function of the SDE time, got {rates!r}")
    law, looks = numbers("start", start), np.atleast_1d(numbers("times", times))
    if law.ndim != 1 or not np.all(law >= 0) or not np.isclose(law.sum(), 1):
        raise ValueError(f"start must be probabilities of shape (n_minima,) whose sum is 1, got {start!r}")
    if looks.ndim != 1 or not np.all(np.isfinite(looks)) or not np.all(np.diff(looks, prepend=0) > 0):
        raise ValueError(f"times must be finite, above 0 and rising, got {times!r}")
    found, before = [], 0.0
    for look in looks:
        length = (look - before) / pieces
        for piece in range(pieces):
            now = _checked(rates(before + (piece + 0.5) * length), len(law))
            # rates that have all died away have no unit to be scaled by
            law = law @ transition_matrix(now, length) if now.any() else law
        before = look
        found.append(law)
    return np.stack(found)


def _checked(rates: Any, count: int) -> np.ndarray:
    array = numbers("rates", rates)
    if array.shape != (count, count) or not np.all(np.isfinite(array)) or not np.all(array >= 0):
        raise ValueError(f"rates must be finite, at least 0 and of shape ({count}, {count}), got {array.tolist()}")
    return array
