"""Mean loss over time by the linearised theory: an Ornstein–Uhlenbeck process about the minimum near a start."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._numerics import as_float64, bound
from ..chains import AbstractChain
from ..landscapes import EmpiricalRisk
from ..landscapes._critical_points import Float64Landscape
from ..theory import covariance_at

# components up to which the whole Hessian is made, and numbers in the gradients of all examples
_MOST, _MOST_GRADIENTS = 1_000, 2**26
# what is left of the gradient after one Newton step where the loss is quadratic
_QUADRATIC = 0.01
_FLAT = 1e-9


def linearised_loss(
    risk: EmpiricalRisk, chain: AbstractChain, start: Float[np.ndarray, " dim"], times: Float[np.ndarray, " looks"]
) -> tuple[Float[np.ndarray, " looks"] | None, str]:
    """E L(Θ_t) of dY = −HY dt + √C dW about the minimum that Newton's step leads to; or None, and why there is none.

    C is the covariance of one step of the chain there over its time. In the eigenbasis of H
    E L = L* + ½Σ_i h_i y_i² e^(−2h_i t) + ½Tr(HΣ_t), y the start seen from the minimum and Σ_t as of `covariance_at`.
    """
    why = _refusal(risk, chain)
    if why:
        return None, why
    with jax.enable_x64(True):
        surface = Float64Landscape(risk)
        at = np.asarray(start, np.float64)
        gradient, hessian = surface.value(at)[1], surface.hessian(at)
        curvatures, vectors = np.linalg.eigh(hessian)
        top = float(np.abs(curvatures).max())
        if not np.isfinite(top) or curvatures[0] < -1e-6 * top:
            return None, f"the start is near no minimum: the Hessian there has an eigenvalue of {curvatures[0]:.3g}"
        usable = curvatures > _FLAT * top
        curvatures = np.where(usable, curvatures, 0.0)
        away = np.where(usable, vectors.T @ gradient / np.where(usable, curvatures, 1.0), 0.0)
        minimum = at - vectors @ away
        loss, left = surface.value(minimum)
        if not np.linalg.norm(left) <= max(_QUADRATIC * float(np.linalg.norm(gradient)), 1e-9 * top):
            return None, "the start is near no minimum: one step of Newton's method does not end at one"
        covariance = np.asarray(bound(_covariance, as_float64(chain))(jnp.asarray(minimum)), np.float64)
    # what is flat, or is curved downwards by rounding, is neither pulled back nor costs anything
    flattened = (vectors * curvatures) @ vectors.T
    spread = covariance_at(flattened, covariance / float(np.asarray(chain.time_step)), times)
    decay = np.exp(-2 * curvatures * times[:, None])
    excess = np.sum(curvatures * away**2 * decay, axis=1) + np.einsum("ij,tji->t", flattened, spread)
    return loss + excess / 2, ""


def _refusal(risk: EmpiricalRisk, chain: Any) -> str:
    """Why there is no such theory of the chain; empty where there may be."""
    if not hasattr(chain, "covariance") or chain.landscape is None:
        return "the first chain does not state the covariance of its step, or has no loss"
    if chain.memory or chain.changes_in_time:
        return "the first chain has a memory or changes in time, and so its steps are not alike and independent"
    if risk.dim > _MOST or risk.examples * risk.dim > _MOST_GRADIENTS:
        return f"{risk.dim} components with {risk.examples} examples are too many for the Hessian and the covariance"
    return ""


def _covariance(chain: Any, theta: Any) -> Any:
    return chain.covariance(theta)
