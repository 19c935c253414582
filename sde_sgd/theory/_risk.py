"""Excess risk: the stationary mean of the loss above its minimum, Tr(C)/4."""

from typing import Any

import numpy as np

from ._evaluate import check_diffusion, critical_point
from ._linearised import stationary_covariance


def excess_risk(diffusion: Any, minimum: Any) -> float:
    """Stationary mean of L(Θ) − L(θ*) in the well of a minimum, Tr(C)/4 = γ Tr(V(θ*))/(4M), in units of the loss.

    Exact for a quadratic loss and constant noise C, whatever H: HΣ + ΣH = C gives E[½θᵀHθ] = Tr(HΣ)/2 = Tr(C)/4.
    Otherwise the first order in γ/M; V is taken at θ*.

    diffusion: LangevinSGD or Langevin. minimum: array (dim,) or object with a `location`.
    Raises ValueError if the point is no critical point, or if noise acts along a direction of the Hessian
    without positive curvature, where there is no stationary law.
    """
    check_diffusion(diffusion)
    here = critical_point(diffusion, "minimum", minimum, "any")
    try:
        stationary_covariance(here.hessian, here.covariance)
    except ValueError as error:
        raise ValueError(f"minimum must have a stationary law around it, got {here.theta}, where {error}") from error
    return float(np.trace(here.covariance)) / 4
