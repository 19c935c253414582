"""The diffusion linearised at a minimum: dY = −HY dt + √C dW, an Ornstein–Uhlenbeck process from 0."""

from typing import Any

import numpy as np

from .._errors import numbers, positive_number
from ._evaluate import check_diffusion, critical_point
from ._weighted_chi2 import weighted_chi2_tail

# The tolerance of a matrix given in float32.
_SYMMETRIC = 1e-5


def outside_probability(diffusion: Any, minimum: Any, radius: Any, times: Any) -> np.ndarray:
    """P(‖Θ_t − θ*‖ ≥ radius): the linearised diffusion from θ* is OUTSIDE the ball at time t.

    This is not the probability to have left the ball by time t, which is larger: a trajectory that left and came
    back counts there and not here. For that event see `exit_probability`.

    Θ_t − θ* is normal with covariance Σ_t (`covariance_at`, H = ∇²L(θ*), C = (γ/M)V(θ*)), so the squared distance is
    a weighted sum of χ²₁ with the eigenvalues of Σ_t as weights (`weighted_chi2_tail`). Exact for a quadratic loss
    with constant noise; otherwise valid while the ball stays where the loss is nearly quadratic.

    diffusion: LangevinSGD or Langevin. minimum: array (dim,) or object with a `location`; its Hessian may be
        indefinite or singular, the noise may be singular. radius: > 0. times: scalar or any shape, SDE time, ≥ 0.
    Returns the shape of `times`, float64; absolute error below 1e-10, small relative error in the upper tail.
    Raises ValueError if the point is no critical point.
    """
    check_diffusion(diffusion)
    positive_number("radius", radius)
    radius = float(radius)
    times = _times(times)
    here = critical_point(diffusion, "minimum", minimum, "any")
    covariances = covariance_at(here.hessian, here.covariance, times.reshape(-1))
    values = [weighted_chi2_tail(np.maximum(np.linalg.eigvalsh(sigma), 0.0), radius**2) for sigma in covariances]
    return np.array(values, np.float64).reshape(times.shape)


def covariance_at(hessian: Any, covariance: Any, times: Any) -> np.ndarray:
    """Σ_t = ∫₀ᵗ e^{−Hs} C e^{−Hs} ds: covariance at time t of dY = −HY dt + √C dW from a fixed start.

    In the eigenbasis of H, Σ_ij = C_ij (1 − e^{−(h_i+h_j)t})/(h_i+h_j), and C_ij t where h_i + h_j = 0.

    hessian: H (dim, dim), any symmetric matrix. covariance: C (dim, dim), symmetric positive semi-definite, per unit
        of SDE time; it need not commute with H. times: scalar or any shape, SDE time, ≥ 0.
    Returns times.shape + (dim, dim), float64.
    Raises ValueError if a matrix is not as said, or if Σ_t overflows along a direction of negative curvature.
    Exact; the law of an Ornstein–Uhlenbeck process (Gardiner, Stochastic Methods, 2009, section 4.5.6).
    """
    values, vectors, rotated = _eigenbasis(hessian, covariance)
    times = _times(times)
    rates = values[:, None] + values[None, :]
    zero = rates == 0
    with np.errstate(over="ignore", invalid="ignore"):
        elapsed = times[..., None, None]
        factor = np.where(zero, elapsed, -np.expm1(-rates * elapsed) / np.where(zero, 1.0, rates))
        inside = np.where(rotated == 0, 0.0, rotated * factor)
        result = vectors @ inside @ vectors.T
    if not np.all(np.isfinite(result)):
        raise ValueError(
            f"times must be small enough for the covariance along a direction of negative curvature, got "
            f"{np.max(times):.6g} with smallest eigenvalue {values[0]:.6g}"
        )
    return (result + np.swapaxes(result, -1, -2)) / 2


def stationary_covariance(hessian: Any, covariance: Any) -> np.ndarray:
    """Σ with HΣ + ΣH = C: the limit of `covariance_at` at long times.

    hessian: H (dim, dim), symmetric. covariance: C (dim, dim), symmetric positive semi-definite.
    Returns (dim, dim), float64. Along a direction without positive curvature and without noise Σ is 0.
    Raises ValueError if noise acts along a direction without positive curvature: the variance grows for ever.
    Exact; the continuous Lyapunov equation (Gardiner, Stochastic Methods, 2009, section 4.5.6).
    """
    values, vectors, rotated = _eigenbasis(hessian, covariance)
    unstable = values <= 1e-12 * np.max(np.abs(values))
    loudness = np.diag(rotated)
    if np.any(loudness[unstable] > 1e-12 * max(float(np.max(loudness)), 0.0)):
        raise ValueError(
            "hessian must be positive definite wherever there is noise, got smallest eigenvalue "
            f"{values[0]:.6g} with noise along its direction"
        )
    dead = unstable[:, None] | unstable[None, :]
    result = vectors @ np.where(dead, 0.0, rotated / np.where(dead, 1.0, values[:, None] + values)) @ vectors.T
    return (result + result.T) / 2


def _eigenbasis(hessian: Any, covariance: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of H, and C in that basis."""
    hessian = _symmetric("hessian", hessian)
    covariance = _symmetric("covariance", covariance)
    if hessian.shape != covariance.shape:
        raise ValueError(f"covariance must have the shape of hessian, {hessian.shape}, got shape {covariance.shape}")
    smallest = np.linalg.eigvalsh(covariance)[0]
    if smallest < -_SYMMETRIC * np.max(np.abs(covariance)):
        raise ValueError(f"covariance must be positive semi-definite, got smallest eigenvalue {smallest:.6g}")
    values, vectors = np.linalg.eigh(hessian)
    return values, vectors, vectors.T @ covariance @ vectors


def _symmetric(name: str, value: Any) -> np.ndarray:
    matrix = numbers(name, value)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"{name} must be a square matrix (dim, dim), got shape {matrix.shape}")
    if not np.all(np.isfinite(matrix)):
        raise ValueError(f"{name} must be finite, got {matrix}")
    if np.max(np.abs(matrix - matrix.T)) > _SYMMETRIC * np.max(np.abs(matrix)):
        raise ValueError(f"{name} must be symmetric, got {matrix}")
    return (matrix + matrix.T) / 2


def _times(times: Any) -> np.ndarray:
    array = numbers("times", times)
    if not np.all(np.isfinite(array)) or np.any(array < 0):
        raise ValueError(f"times must be finite and at least 0, got {times!r}")
    return array
