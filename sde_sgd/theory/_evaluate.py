"""Loss, derivatives and noise of a diffusion at a point, in float64 whatever the precision it was built in."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import point as point_of
from .._numerics import as_float64, bound
from ..diffusions import AbstractDiffusion, refuse_if_changing
from ..landscapes._critical_points import Float64Landscape, newton

# A point counts as a critical point when Newton's method finds one within this distance of it, relative to 1 + ‖θ‖:
# far above the error of a minimiser in float32, far below the distance between minima. What gradient may be left
# there, relative to the largest curvature, leaves room for losses that round to float32 inside.
_NEAR = 1e-3
_LEFT = 1e-6


class Local(NamedTuple):
    """A diffusion at one point, float64: θ (dim,), L, ∇L (dim,), ∇²L (dim, dim), C = a(θ) (dim, dim)."""

    theta: np.ndarray
    loss: float
    gradient: np.ndarray
    hessian: np.ndarray
    covariance: np.ndarray

    @property
    def curvatures(self) -> np.ndarray:
        """Eigenvalues of ∇²L, ascending, shape (dim,)."""
        return np.linalg.eigvalsh(self.hessian)


def check_diffusion(diffusion: Any) -> None:
    """Raise ValueError unless `diffusion` is dΘ = −∇L dt + B(Θ) dW with coefficients that do not depend on time."""
    if not isinstance(diffusion, AbstractDiffusion) or diffusion.landscape is None:
        raise ValueError(
            f"diffusion must be a LangevinSGD or a Langevin diffusion, whose drift is −∇L, got "
            f"{type(diffusion).__name__}"
        )
    refuse_if_changing(diffusion, "closed forms", "simulate it with a horizon")
    if diffusion.landscape.dim != diffusion.dim:
        raise ValueError(
            f"diffusion must have a loss of all that it moves, as −∇L is its drift, got {type(diffusion).__name__} of "
            f"{diffusion.dim} components with a loss of {diffusion.landscape.dim}"
        )
    if not diffusion.drift_is_gradient:
        raise ValueError(f"diffusion must have the drift −∇L (of order 1), got {type(diffusion).__name__} with another")


def temperature(diffusion: Any) -> float:
    """The diffusion's temperature as a float. Raises ValueError where it has none."""
    check_diffusion(diffusion)
    with jax.enable_x64(True):
        heat = as_float64(diffusion).gibbs_temperature
        if heat is None:
            raise ValueError(
                f"diffusion must have a temperature, as with Isotropic noise only, got {type(diffusion).__name__} "
                "whose stationary law is not known to be exp(−L/T)"
            )
        return float(heat)


def evaluate(diffusion: Any, theta: np.ndarray) -> Local:
    """Loss, gradient, Hessian and noise covariance at θ of shape (dim,), computed in float64."""
    theta = np.asarray(theta, np.float64)
    with jax.enable_x64(True):
        loss, gradient, hessian, covariance = bound(_derivatives, as_float64(diffusion))(jnp.asarray(theta))
        values = [np.asarray(value, np.float64) for value in (loss, gradient, hessian, covariance)]
    if not all(np.all(np.isfinite(value)) for value in values):
        raise ValueError(f"diffusion must have finite loss, derivatives and noise at {theta}, got {values}")
    loss, gradient, hessian, covariance = values
    return Local(theta, float(loss), gradient, (hessian + hessian.T) / 2, (covariance + covariance.T) / 2)


def critical_point(diffusion: Any, name: str, value: Any, kind: Literal["minimum", "saddle", "any"]) -> Local:
    """The diffusion at the critical point that `value` lies at, moved onto it by Newton's method.

    kind: "minimum" asks for a positive definite Hessian, "saddle" for exactly one negative eigenvalue and no
        zero one; "any" takes every critical point, also a degenerate one.
    Raises ValueError that names what was found instead.
    """
    given = point_of(name, value, diffusion.dim)
    # what is not finite here is named
    here = evaluate(diffusion, given)
    with jax.enable_x64(True):
        found, _ = newton(Float64Landscape(diffusion.landscape), given)
    moved = np.linalg.norm(found.location - given)
    if moved > _NEAR * (1 + np.linalg.norm(given)) or (
        found.gradient_norm > _LEFT * max(float(np.abs(found.eigenvalues).max()), _LEFT)
    ):
        raise ValueError(
            f"{name} must lie at a critical point of the loss, got {given}, where the gradient has norm "
            f"{np.linalg.norm(here.gradient):.6g}"
        )
    negative, zero = found.index, found.flat_directions
    if kind == "minimum" and (negative or zero):
        raise ValueError(
            f"{name} must be a minimum with a positive definite Hessian, got {given}, where it has {negative} "
            f"negative and {zero} zero eigenvalues"
        )
    if kind == "saddle" and (negative != 1 or zero):
        raise ValueError(
            f"{name} must be a saddle whose Hessian has exactly one negative and no zero eigenvalue, got {given}, "
            f"where it has {negative} negative and {zero} zero eigenvalues"
        )
    return evaluate(diffusion, found.location) if moved else here


def _derivatives(diffusion: Any, theta: Any) -> Any:
    landscape = diffusion.landscape
    return (
        landscape.loss(theta),
        landscape.gradient(theta),
        landscape.hessian(theta),
        diffusion.covariance(theta, jnp.zeros((), theta.dtype)),
    )
