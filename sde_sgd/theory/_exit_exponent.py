"""Exit of the linearised diffusion from a sublevel set at low noise: the exponent of its mean time."""

from typing import Any

import numpy as np

from .._errors import positive_number
from ._evaluate import check_diffusion, critical_point
from ._linearised import stationary_covariance


def exit_exponent(diffusion: Any, minimum: Any, height: Any) -> float:
    """What log E τ tends to, to leave {½(θ − θ*)ᵀH(θ − θ*) < height}, as the noise falls: a number without unit.

    The linearised diffusion dY = −HY dt + √C dW costs ½yᵀΣ⁻¹y to bring to y, HΣ + ΣH = C (its quasi-potential, exact
    for every C), and least on the edge of the set in the direction of the largest eigenvalue of H^½ΣH^½:
    height/λ_max(H^½ΣH^½). With isotropic noise that is height/T. As C is γV/M it grows like M/γ, and its slope is the
    one of log E τ against M/γ that simulations tend to; at finite noise theirs is below it, for the prefactor falls.

    diffusion: LangevinSGD or Langevin. minimum: array (dim,) or object with a `location`. height: above L(θ*), > 0, in
        units of the loss.
    Raises ValueError if the point is no minimum, or nothing drives the diffusion there.
    Source: Freidlin and Wentzell 2012, chapter 4. Valid for a set so small that the loss is nearly quadratic in it.
    """
    check_diffusion(diffusion)
    positive_number("height", height)
    here = critical_point(diffusion, "minimum", minimum, "minimum")
    values, vectors = np.linalg.eigh(here.hessian)
    root = (vectors * np.sqrt(values)) @ vectors.T
    spread = root @ stationary_covariance(here.hessian, here.covariance) @ root
    largest = float(np.linalg.eigvalsh(spread)[-1])
    if not largest > 0:
        raise ValueError("diffusion must have noise at the minimum for an exit from it, got a covariance of 0")
    return float(height) / largest
