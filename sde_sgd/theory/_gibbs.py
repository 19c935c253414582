"""Gibbs weights of minima by Laplace's method: where a diffusion with a temperature spends its time in the end."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._evaluate import critical_point, temperature


def gibbs_weights(diffusion: Any, minima: Sequence[Any]) -> np.ndarray:
    """Share of the stationary law exp(−L/T) around each minimum, w_i ∝ exp(−L_i/T)/√det H_i (Laplace's method).

    The relative error is of order T: the loss is read as quadratic around each minimum, so √T must be small against
    the width of every well. The weights are shares among the minima given.

    diffusion: LangevinSGD with Isotropic noise, or Langevin. minima: at least one array (dim,) or object with a
        `location`, each a minimum with a positive definite Hessian.
    Returns (n_minima,), float64, summing to 1.
    Raises ValueError if the diffusion has no temperature (other noise, schedules, order 2) or a point is no minimum.
    Source: Laplace's method; Risken, The Fokker–Planck Equation (1989), for the law exp(−L/T).
    """
    heat = temperature(diffusion)
    if not np.iterable(minima) or len(minima) == 0:
        raise ValueError(f"minima must be a list of at least one minimum, got {minima!r}")
    logarithms = []
    for index, minimum in enumerate(minima):
        here = critical_point(diffusion, f"minima[{index}]", minimum, "minimum")
        logarithms.append(-here.loss / heat - np.sum(np.log(here.curvatures)) / 2)
    weights = np.exp(np.array(logarithms) - np.max(logarithms))
    return weights / np.sum(weights)
