"""First exit of the linearised diffusion along one direction: the event "has left by time t"."""

from typing import Any

import numpy as np

from ._evaluate import check_diffusion, critical_point
from ._linearised import _times

_NODES = 18  # half of the contour; its error is exp(−2π·18/3), about 4e-17
_ORDER = 20


def exit_probability(
    diffusion: Any, minimum: Any, distances: tuple[Any, Any], times: Any, *, direction: Any = None
) -> np.ndarray:
    """P(the linearised diffusion from θ* HAS LEFT the interval by time t): a first-passage probability.

    A trajectory that left and came back counts as having left; for being outside at time t see
    `outside_probability`. With Y = direction·(Θ − θ*), dY = −hY dt + √c dW from 0, h = the curvature along
    the direction and c = the noise along it, the event is that Y has reached −distances[0] or distances[1] by t,
    watched at all times (as `monitoring="continuous"` does). Exact for a quadratic loss with constant noise. It leaves
    out that the force falls to zero at a barrier: with the boundary at a saddle it does not replace `eyring_kramers`.

    diffusion: LangevinSGD or Langevin. minimum: array (dim,) or object with a `location`.
    distances: (left, right), each > 0, np.inf for no boundary on that side. times: scalar or any shape, SDE time, ≥ 0.
    direction: (dim,), the inward-to-outward normal of a slab or half-space, an eigenvector of the Hessian (only then Y
        is a diffusion by itself); may be left out in one dimension.
    Returns the shape of `times`, float64. Absolute error below 1e-10; where the rate of exit is small and t is not
    short against the relaxation time, the relative error is as small.
    Raises ValueError if the point is no critical point or the direction is no eigenvector.

    Method: u(y) = E exp(−sτ) solves (c/2)u'' − hyu' = su with u = 1 at the boundary. Its even and odd solutions are
    followed outward by Taylor steps for the complex s of a parabolic contour (Weideman and Trefethen 2007),
    which inverts the Laplace transform u/s.
    """
    check_diffusion(diffusion)
    left, right = _distances(distances)
    times = _times(times)
    here = critical_point(diffusion, "minimum", minimum, "any")
    normal = _direction(direction, here.hessian)
    curvature = float(normal @ here.hessian @ normal)
    noise = float(normal @ here.covariance @ normal)
    return _exit_by(curvature, noise, left, right, times.reshape(-1)).reshape(times.shape)


def _exit_by(h: float, c: float, left: float, right: float, times: np.ndarray) -> np.ndarray:
    """The probability for each of `times` (n_times,)."""
    probability = np.zeros(times.shape)
    near, far = min(left, right), max(left, right)
    if c <= 0 or np.isinf(near):
        return probability
    # Var Y_t is at most this; where the boundary lies beyond 37 of its square roots the probability underflows.
    spread = c * times if h >= 0 else c * np.expm1(np.minimum(-2 * h * times, 600.0)) / (-2 * h)
    some = near**2 < 1400 * spread
    if not np.any(some):
        return probability
    times, spread = times[some, None], spread[some, None]
    # The contour s = μ(iv + 1)², whose parameters balance discretisation against truncation.
    step = 3 / _NODES
    v = (np.arange(_NODES) + 0.5) * step
    mu = np.pi * _NODES / (12 * times)
    s = mu * (1j * v + 1) ** 2
    absorbed = 1.0
    if np.isinf(far):
        # No boundary on the far side: absorb with u = 0 where coming back from is out of the question.
        widest = float(np.max(spread))
        far = near + 9 * np.sqrt(widest if h == 0 else min(widest, c / abs(h)))
        absorbed = 0.0
    even_near, odd_near, log_near = _solutions(s, h, c, near)
    even_far, odd_far, log_far = _solutions(s, h, c, far)
    # u(0) = (O_far + absorbed·O_near)/(E_near·O_far + E_far·O_near), with the scales e^{log} taken out
    ratio = np.exp(np.maximum(log_near - log_far, -700.0))
    transform = (odd_far + absorbed * odd_near * ratio) / (even_near * odd_far + even_far * odd_near)
    transform = transform * np.exp(-np.minimum(log_near, 700.0))
    integrand = np.exp(s * times) * transform / s * 2 * mu * (1j * v + 1)
    probability[some] = np.clip(step / np.pi * np.sum(integrand.real, axis=1), 0.0, 1.0)
    return probability


def _solutions(s: np.ndarray, h: float, c: float, y: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Even and odd solutions of (c/2)u'' − hyu' = su at y > 0, both divided by e^{log}: (even, odd, log)."""
    growth = np.sqrt(2 * np.max(np.abs(s)) / c) + 2 * abs(h) * y / c + np.sqrt(2 * abs(h) / c)
    steps = int(np.ceil(growth * y)) + 1
    d = y / steps
    # the unknowns are u and d·u', one row for each of the two solutions
    u = np.stack([np.ones_like(s), np.zeros_like(s)])
    du = np.stack([np.zeros_like(s), np.full_like(s, d)])
    logarithm = np.zeros(s.shape)
    a = 2 * h * d * d / c
    b = 2 * s * d * d / c
    for index in range(steps):
        position = float(index)  # y / d at the start of the step
        older, newer = u, du
        total, slope = u + du, du.copy()
        for k in range(_ORDER):
            older, newer = newer, ((a * k + b) * older + a * position * (k + 1) * newer) / ((k + 2) * (k + 1))
            total = total + newer
            slope = slope + (k + 2) * newer
        scale = np.maximum(np.max(np.abs(total), axis=0), np.max(np.abs(slope), axis=0))
        u, du = total / scale, slope / scale
        logarithm = logarithm + np.log(scale)
    return u[0], u[1], logarithm


def _distances(distances: Any) -> tuple[float, float]:
    array = np.asarray(distances, np.float64)
    if array.shape != (2,) or not np.all(array > 0):
        raise ValueError(f"distances must be (left, right), each above 0 or np.inf, got {distances!r}")
    return float(array[0]), float(array[1])


def _direction(direction: Any, hessian: np.ndarray) -> np.ndarray:
    dim = hessian.shape[0]
    if direction is None:
        if dim != 1:
            raise ValueError(f"direction must be given, an eigenvector of the Hessian, for dim = {dim}, got None")
        return np.ones(1)
    normal = np.asarray(direction, np.float64)
    if normal.shape != (dim,) or not np.all(np.isfinite(normal)) or not np.any(normal):
        raise ValueError(f"direction must be a finite vector of shape ({dim},), not 0, got {direction!r}")
    normal = normal / np.linalg.norm(normal)
    image = hessian @ normal
    if np.linalg.norm(image - (normal @ image) * normal) > 1e-5 * np.max(np.abs(hessian)):
        raise ValueError(f"direction must be an eigenvector of the Hessian, got {direction!r}")
    return normal
