"""Loss, derivatives and noise of a diffusion at a point, in float64 whatever the precision it was built in."""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..diffusions import AbstractDiffusion, refuse_if_changing

# A point counts as a critical point when the quadratic model of the loss has one within this distance of it,
# relative to 1 + ‖θ‖: far above the error of a minimiser in float32, far below the distance between minima.
_NEAR = 1e-3
# Curvature below this fraction of the largest is read as zero.
_FLAT = 1e-9


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
        heat = _double(diffusion).gibbs_temperature
        if heat is None:
            raise ValueError(
                f"temperature is that of a Gibbs law exp(−L/T), which isotropic constant noise has, got "
                f"{type(diffusion).__name__} whose stationary law is not known to be one"
            )
        return float(heat)


def evaluate(diffusion: Any, theta: np.ndarray) -> Local:
    """Loss, gradient, Hessian and noise covariance at θ of shape (dim,), computed in float64."""
    theta = np.asarray(theta, np.float64)
    with jax.enable_x64(True):
        loss, gradient, hessian, covariance = _derivatives(_double(diffusion), jnp.asarray(theta))
        values = [np.asarray(value, np.float64) for value in (loss, gradient, hessian, covariance)]
    if not all(np.all(np.isfinite(value)) for value in values):
        raise ValueError(f"diffusion must have finite loss, derivatives and noise at {theta}, got {values}")
    loss, gradient, hessian, covariance = values
    return Local(theta, float(loss), gradient, (hessian + hessian.T) / 2, (covariance + covariance.T) / 2)


def point(name: str, value: Any, dim: int) -> np.ndarray:
    """`value`, an array (dim,) or an object with a `location`, as float64. Raises ValueError for anything else."""
    given = getattr(value, "location", value)
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of shape ({dim},), got {value!r}") from error
    if array.shape != (dim,) or not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be a finite array of shape ({dim},), got {array}")
    return array


def critical_point(diffusion: Any, name: str, value: Any, kind: Literal["minimum", "saddle", "any"]) -> Local:
    """The diffusion at the critical point that `value` lies at, moved onto it by Newton's method.

    kind: "minimum" asks for a positive definite Hessian, "saddle" for exactly one negative eigenvalue and no
        zero one; "any" takes every critical point, also a degenerate one.
    Raises ValueError that names what was found instead.
    """
    here = evaluate(diffusion, point(name, value, diffusion.dim))
    given = here.theta
    for _ in range(6):
        step = _newton_step(here)
        if step is None or np.linalg.norm(here.theta + step - given) > _NEAR * (1 + np.linalg.norm(given)):
            raise ValueError(
                f"{name} must lie at a critical point of the loss, got {given}, where the gradient has norm "
                f"{np.linalg.norm(here.gradient):.6g}"
            )
        if np.linalg.norm(step) <= 1e-14 * (1 + np.linalg.norm(given)):
            break
        here = evaluate(diffusion, here.theta + step)
    curvatures = here.curvatures
    flat = _FLAT * np.max(np.abs(curvatures))
    negative, zero = int(np.sum(curvatures < -flat)), int(np.sum(np.abs(curvatures) <= flat))
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
    return here


def _newton_step(here: Local) -> np.ndarray | None:
    """Step to the critical point of the quadratic model; None where the gradient points along a flat direction."""
    values, vectors = np.linalg.eigh(here.hessian)
    components = vectors.T @ here.gradient
    largest = np.max(np.abs(values))
    flat = np.abs(values) <= _FLAT * largest
    if np.any(np.abs(components[flat]) > 1e-6 * max(largest, 1e-6)):
        return None
    return -vectors @ np.where(flat, 0.0, components / np.where(flat, 1.0, values))


def _double(tree: Any) -> Any:
    """Every floating leaf as a float64 array; numbers too, so that a sweep over them compiles once."""
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, jnp.float64) if isinstance(leaf, float) or _is_real_array(leaf) else leaf,
        tree,
    )


def _is_real_array(leaf: Any) -> bool:
    return eqx.is_inexact_array_like(leaf) and not jnp.iscomplexobj(leaf) and hasattr(leaf, "dtype")


@eqx.filter_jit
def _derivatives(diffusion: Any, theta: Any) -> Any:
    landscape = diffusion.landscape
    return (
        landscape.loss(theta),
        landscape.gradient(theta),
        landscape.hessian(theta),
        diffusion.covariance(theta, jnp.zeros((), theta.dtype)),
    )
