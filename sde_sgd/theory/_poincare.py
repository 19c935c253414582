"""Poincaré bound: the total variation distance to the stationary law that a spectral gap still allows."""

from typing import Any

import numpy as np
from jaxtyping import Float64

from .._errors import numbers, positive


def poincare_bound(gap: Any, share: Any, times: Any) -> Float64[np.ndarray, "*shape"]:
    """Most total variation distance between the law at t and the stationary one: ½ √(1/share − 1) exp(−gap·t).

    The χ² distance of a reversible process dies out at twice its spectral gap at least, the reciprocal of the Poincaré
    constant, and bounds the total variation distance: ½ √χ². At first it is 1/share − 1.

    gap: rate above 0, of `FokkerPlanck.spectral_gap`, `theory.spectral_gap` or `Transitions.spectral_gap`.
    share: stationary probability of the set in which trajectories start with the stationary law held to it: a basin
        that has settled, or one minimum of a jump process.
    times: in SDE time, at least 0; the three broadcast.
    Returns float64 numbers of at most 1. Valid for reversible noise, such as isotropic one, only.
    Source: Bakry, Gentil and Ledoux, Analysis and Geometry of Markov Diffusion Operators (2014), section 4.2; Diaconis
    and Stroock, Ann. Appl. Probab. 1, 36 (1991), proposition 3.
    Raises ValueError for a gap that is not above 0, a share not between 0 and 1, or a negative time.
    """
    positive("gap", gap)
    share, times = numbers("share", share), numbers("times", times)
    if not np.all((share > 0) & (share < 1)):
        raise ValueError(f"share must lie strictly between 0 and 1, got {share}")
    if not np.all(times >= 0):
        raise ValueError(f"times must be at least 0, got {times}")
    bound = np.sqrt(1 / share - 1) / 2 * np.exp(-np.asarray(gap, np.float64) * times)
    return np.asarray(np.minimum(bound, 1.0), np.float64)
