"""Eyring–Kramers: mean transition times and the spectral gap at low temperature."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ..diffusions import AbstractUnderdamped, Langevin
from ._evaluate import Local, check_diffusion, critical_point, evaluate

# Parameters given in float32 satisfy the condition of reversibility only to that precision.
_REVERSIBLE = 1e-5


def eyring_kramers(diffusion: Any, minimum: Any, saddle: Any, *, to: Literal["well", "saddle"] = "well") -> float:
    """Mean time from a minimum over a saddle, (2π/|λ₋|) √(|det H_s|/det H_m) exp((L_s − L_m)/T), in SDE time.

    With `to="well"` it is the mean time to a small ball in the other well; with `to="saddle"` the mean time to the
    separatrix through the saddle, which is half of it, since a trajectory there returns as often as it goes on.
    It is the limit of low temperature, with a relative error of order T·log(1/T): at a barrier of 2T to 12T it is off
    by several per cent. Valid where `saddle` is the lowest pass out of `minimum`; if there are several passes of
    that height their rates add up.

    Anisotropic noise of constant covariance C is allowed where the diffusion is reversible: with D = C/2,
    ∇L = D∇Φ for a potential Φ, which needs D∇²L symmetric everywhere. Then (L_s − L_m)/T becomes Φ_s − Φ_m, and
    the prefactor is unchanged, because det Φ'' = det H/det D at both points and −DΦ''_s = −H_s is the drift's
    linearisation at the saddle, with rate |λ₋|. Both conditions are checked at points on and around the
    segment from the minimum to the saddle, not everywhere.

    With a velocity (`LangevinMomentumSGD` with isotropic noise, `UnderdampedLangevin`) |λ₋| becomes the rate at which
    the saddle is left, λ₊ = (√(ζ² + 4m|λ₋|) − ζ)/(2m) with mass m and friction ζ, and T is its own temperature: for
    SGD with momentum m = γ, ζ = 1 − μ. Valid where the friction is not so weak that the energy hardly changes on the
    way over the saddle and back: ζ·(action of that way) well above T.

    diffusion: LangevinSGD, Langevin, LangevinMomentumSGD or UnderdampedLangevin.
    minimum, saddle: arrays (dim,) or objects with a `location`; each is moved onto the critical point that it lies at.
    Returns a float, inf where it exceeds float64.
    Raises ValueError if the points are not a minimum (Hessian positive definite) and a saddle (one negative
    eigenvalue) with the saddle higher, if the noise varies or does not reach every direction, or if the diffusion is
    not reversible; for to="saddle" of one with a velocity, whose separatrix is no set of θ alone.
    Source: Bovier, Eckhoff, Gayrard and Klein 2004 (isotropic noise); Kramers 1940 and Langer 1969 (with a velocity).
    """
    if to not in ("well", "saddle"):
        raise ValueError(f"to must be 'well' or 'saddle', got {to!r}")
    if to == "saddle" and isinstance(diffusion, AbstractUnderdamped):
        raise ValueError("to must be 'well' for a diffusion with a velocity, which decides too on which side it ends")
    logarithm = _log_time(diffusion, minimum, saddle)
    with np.errstate(over="ignore"):
        time = float(np.exp(logarithm))
    return time if to == "well" else time / 2


def spectral_gap(diffusion: Any, minimum_a: Any, saddle: Any, minimum_b: Any) -> float:
    """Smallest non-zero relaxation rate of a landscape with two minima, k_AB + k_BA, per unit of SDE time.

    k_AB is one over the Eyring–Kramers time from A to B. Valid at low temperature, with a relative error of order
    T·log(1/T), for two wells joined by one lowest saddle. The diffusion, the points and the errors are those of
    `eyring_kramers`. The relaxation time is one over the gap.

    diffusion, saddle: as for `eyring_kramers`. minimum_a, minimum_b: the minima on both sides of the saddle, arrays
        (dim,) or objects with a `location`.
    """
    return float(
        np.exp(-_log_time(diffusion, minimum_a, saddle, name="minimum_a"))
        + np.exp(-_log_time(diffusion, minimum_b, saddle, name="minimum_b"))
    )


def _log_time(diffusion: Any, minimum: Any, saddle: Any, name: str = "minimum") -> float:
    growth = _overdamped_growth
    if isinstance(diffusion, AbstractUnderdamped):
        diffusion, growth = _without_velocity(diffusion)
    check_diffusion(diffusion)
    low = critical_point(diffusion, name, minimum, "minimum")
    high = critical_point(diffusion, "saddle", saddle, "saddle")
    barrier = _potential_difference(diffusion, low, high)
    if barrier <= 0:
        raise ValueError(f"saddle must lie above {name}, got a potential difference of {barrier:.6g}")
    curvatures = high.curvatures
    determinants = (np.sum(np.log(np.abs(curvatures))) - np.sum(np.log(low.curvatures))) / 2
    return float(np.log(2 * np.pi / growth(-curvatures[0])) + determinants + barrier)


def _overdamped_growth(curvature: float) -> float:
    """Rate at which a trajectory leaves a saddle of curvature −∂²L/∂x² along its way."""
    return curvature


def _without_velocity(diffusion: AbstractUnderdamped) -> tuple[Langevin, Callable[[float], float]]:
    """The overdamped diffusion of the same Gibbs law, and the rate at which a saddle is left with the velocity."""
    heat = diffusion.gibbs_temperature
    if heat is None:
        raise ValueError(
            f"diffusion must have a temperature for an Eyring–Kramers time with a velocity, got "
            f"{type(diffusion).__name__} with noise whose stationary law is not known"
        )
    mass, friction = float(diffusion.mass), float(diffusion.friction)

    def growth(curvature: float) -> float:
        # (√(ζ² + 4mκ) − ζ)/(2m) without the difference of nearly equal numbers at strong friction
        return 2 * curvature / (np.sqrt(friction**2 + 4 * mass * curvature) + friction)

    return Langevin(diffusion.landscape, heat), growth


def _potential_difference(diffusion: Any, low: Local, high: Local) -> float:
    """Φ_s − Φ_m = ∫ D⁻¹∇L along the segment; raises ValueError unless C is constant and D∇²L symmetric."""
    noise = low.covariance
    scale = np.max(np.abs(noise))
    smallest = np.linalg.eigvalsh(noise)[0]
    if smallest <= _REVERSIBLE * scale:
        raise ValueError(
            "diffusion must have noise in every direction for an Eyring–Kramers time, got a covariance with smallest "
            f"eigenvalue {smallest:.6g} and largest entry {scale:.6g}"
        )
    for theta in _points_between(low.theta, high.theta):
        here = evaluate(diffusion, theta)
        if np.max(np.abs(here.covariance - noise)) > _REVERSIBLE * scale:
            raise ValueError(
                f"diffusion must have constant noise covariance for an Eyring–Kramers time, got noise that differs "
                f"between {low.theta} and {theta}"
            )
        product = noise @ here.hessian
        if np.max(np.abs(product - product.T)) > _REVERSIBLE * scale * np.max(np.abs(here.hessian)):
            raise ValueError(
                "diffusion must be reversible for an Eyring–Kramers time (C∇²L symmetric everywhere), got anisotropic "
                f"noise C with C∇²L not symmetric at {theta}"
            )
    temperature = np.trace(noise) / (2 * noise.shape[0])
    if np.array_equal(noise, noise[0, 0] * np.eye(noise.shape[0])):
        return (high.loss - low.loss) / temperature
    step = high.theta - low.theta
    force = np.linalg.solve(noise / 2, step)

    def integral(nodes: int) -> float:
        positions, weights = np.polynomial.legendre.leggauss(nodes)
        gradients = [evaluate(diffusion, low.theta + (p + 1) / 2 * step).gradient for p in positions]
        return float(weights @ (np.array(gradients) @ force)) / 2

    value, nodes = integral(8), 8
    while nodes < 256:
        nodes *= 2
        previous, value = value, integral(nodes)
        if abs(value - previous) <= 1e-10 * (1 + abs(value)):
            break
    return value


def _points_between(start: np.ndarray, end: np.ndarray) -> list[np.ndarray]:
    """Both ends, and points on and off the segment: what varies only off the segment must be seen too."""
    rng = np.random.default_rng(0)
    length = np.linalg.norm(end - start)
    points = [start, end]
    for fraction in np.linspace(0.1, 0.9, 5):
        on = start + fraction * (end - start)
        direction = rng.normal(size=start.shape)
        points += [on, on + 0.3 * length * direction / np.linalg.norm(direction)]
    return points
