"""The geometric action of Freidlin and Wentzell along a curve, and curves of least action by descent, in float64."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize

from .._numerics import bound

# quasi-Newton steps before the images are spaced again, how often that is done
_STEPS, _MEMORY = 40, 20
# Newton steps that take a free end back onto the target's boundary
_ONTO = 3
# what a search sees where there is no action, over the action it began with
_CEILING = 10.0
# how round the edge of |b| at a point of rest is, over the mean
_ROUNDED = 1e-4
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)


class Problem(NamedTuple):
    """What curves are compared by: a diffusion, what is added to its covariance, and the region that they end on.

    diffusion, target: with float64 leaves; target None where the end is a given point. floor: a number, in the units
    of the covariance a.
    """

    diffusion: Any
    floor: Any
    target: Any


class Curve(NamedTuple):
    """Images (images, dim), and what part of the action the last round of descent won and a next one would."""

    images: np.ndarray
    gain: float


class Along(NamedTuple):
    """Over each of the pieces between images (pieces,): ∫|φ'|ₐ|b|ₐ ds, and the action, that less ∫⟨φ', b⟩ₐ ds."""

    climb: np.ndarray
    action: np.ndarray


def along(problem: Problem, images: Float64[np.ndarray, "images dim"]) -> Along:
    """Both integrals over the cubic spline through the images, by four Gauss points on each piece.

    A curve's action is never below the least one, and is off by the square of the curve's own error.
    """
    arc = _arc(images)
    curve = CubicSpline(arc, images)
    widths = np.diff(arc)
    positions = arc[:-1, None] + (_NODES + 1) / 2 * widths[:, None]
    weights = _WEIGHTS / 2 * widths[:, None]
    with jax.enable_x64(True):
        points, velocities = (jnp.asarray(curve(positions, order).reshape(-1, images.shape[1])) for order in (0, 1))
        climb, action = (np.asarray(each) for each in bound(_densities, problem)(points, velocities))
    return Along(*(np.sum(each.reshape(positions.shape) * weights, axis=1) for each in (climb, action)))


def covariances(problem: Problem, points: Float[np.ndarray, "n dim"]) -> Float64[np.ndarray, "n dim dim"]:
    """a at each of `points`, with what is added to it."""
    with jax.enable_x64(True):
        return np.asarray(bound(_covariances, problem)(jnp.asarray(points)))


def relaxed(problem: Problem, images: Float64[np.ndarray, "images dim"], tolerance: float, rounds: int) -> Curve:
    """The curve of least action near the one through `images`, with as many, as `spaced` spaces them.

    Each image moves across the curve only, within the plane normal to it, so that the action, which does not see how
    a curve is parametrised, has one minimum; then they are spaced again. tolerance: it has come to rest where one such
    round wins no more than this part of the action. rounds: how many there may be.
    """
    images, gain = spaced(images, len(images)), 0.0
    if images.shape[1] == 1:
        return Curve(images, gain)
    shapes = _shapes(len(images), free=problem.target is not None)
    start = np.zeros((shapes.shape[1], images.shape[1]))
    for _ in range(rounds):
        there, gain = _descended(problem, images, start, shapes * _arc(images)[-1])
        images = spaced(there, len(there))
        if not gain > tolerance:
            break
    return Curve(images, gain)


def _descended(problem: Problem, images: np.ndarray, start: np.ndarray, shapes: np.ndarray) -> tuple[Any, float]:
    """The images after some quasi-Newton steps, and what part of the action these won and a next one would still win.

    A search that could not move is judged by the slope that is left.
    """
    across = _across(problem, images)
    with jax.enable_x64(True):
        frame = tuple(map(jnp.asarray, (images, across, shapes)))
        objective = bound(_action_and_slope, problem)
        unit = max(float(objective(jnp.asarray(start), *frame)[0]), 1e-300)

        def value(flat):
            action, slope = (np.asarray(each) for each in objective(jnp.asarray(flat).reshape(start.shape), *frame))
            # where there is no action the search turns back
            finite = np.isfinite(action) and np.all(np.isfinite(slope))
            return (float(action) / unit, slope.ravel() / unit) if finite else (_CEILING, np.zeros(start.size))

        options = {"maxiter": _STEPS, "maxcor": _MEMORY, "ftol": 1e-13, "gtol": 1e-12}
        found = minimize(value, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        there = np.asarray(bound(_displaced, problem)(jnp.asarray(found.x).reshape(start.shape), *frame))
    return there, 1 - float(found.fun) + float(found.jac @ (found.hess_inv @ found.jac)) / 2


def spaced(images: Float[np.ndarray, "n dim"], number: int) -> Float64[np.ndarray, "number dim"]:
    """So many points along the broken line through `images`, both ends kept, and closer the nearer they are to an end.

    The spacing falls with the root of the distance: a way may leave a point of rest, or come to it, in a spiral that
    turns ever faster.
    """
    arc = _arc(images)
    places = arc[-1] * (1 - np.cos(np.linspace(0, np.pi, number))) / 2
    return np.stack([np.interp(places, arc, column) for column in images.T], axis=1)


def _arc(images: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(images, axis=0), axis=1))])


def _shapes(images: int, free: bool) -> np.ndarray:
    """Sines that vanish at the first image and, unless it is free, at the last; (images, images − 2 or − 1).

    Each is as tall as its wave is long: the action's curvature in these directions is then about the same for all.
    """
    last = images - 1
    waves = np.arange(1, images)[: None if free else -1] - (0.5 if free else 0.0)
    shapes = np.sin(math.pi * np.arange(images)[:, None] * waves / last) / waves
    shapes[0] = 0
    if not free:
        shapes[-1] = 0
    return shapes


def _across(problem: Problem, images: np.ndarray) -> np.ndarray:
    """Unit vectors (images, dim) along which no image moves: the curve's tangents, and the normal of the boundary."""
    tangents = np.gradient(images, axis=0)
    if problem.target is not None:
        with jax.enable_x64(True):
            tangents[-1] = np.asarray(bound(_normal, problem)(jnp.asarray(images[-1])))
    return tangents / np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-300)


def _normal(problem: Problem, point: Any) -> Any:
    return jax.grad(problem.target.level)(point)


def _covariance(problem: Problem, point: Any) -> Any:
    """a(θ), plus the floor, symmetric."""
    matrix = problem.diffusion.covariance(point, jnp.zeros((), point.dtype))
    return (matrix + matrix.T) / 2 + problem.floor * jnp.eye(point.shape[0], dtype=point.dtype)


def _covariances(problem: Problem, points: Any) -> Any:
    return jax.vmap(lambda point: _covariance(problem, point))(points)


def _densities(problem: Problem, points: Any, velocities: Any) -> Any:
    """|φ'|ₐ|b|ₐ, and the same less ⟨φ', b⟩ₐ, where ⟨u, v⟩ₐ = uᵀa⁻¹v; NaN where a is not positive definite."""

    def at(point, velocity):
        drift = problem.diffusion.drift(point, jnp.zeros((), point.dtype))
        factor = jnp.linalg.cholesky(_covariance(problem, point))
        both = jax.scipy.linalg.solve_triangular(factor, jnp.stack([velocity, drift], axis=1), lower=True)
        climb = _norm(both[:, 0]) * _norm(both[:, 1])
        return climb, climb - both[:, 0] @ both[:, 1]

    return jax.vmap(at)(points, velocities)


def _norm(vector: Any) -> Any:
    """Its derivative at 0, as at a point of rest, is 0 and not NaN."""
    square = jnp.sum(vector**2)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def _displaced(problem: Problem, sizes: Any, images: Any, across: Any, shapes: Any) -> Any:
    moves = shapes @ sizes
    moves = moves - jnp.sum(moves * across, axis=1, keepdims=True) * across
    moved = images + moves
    return moved if problem.target is None else moved.at[-1].set(onto(problem, moved[-1]))


def onto(problem: Problem, point: Any) -> Any:
    """The point of the target's boundary next to `point`, by Newton's method along the level's gradient."""
    for _ in range(_ONTO):
        level, slope = jax.value_and_grad(problem.target.level)(point)
        point = point - level * slope / jnp.sum(slope**2)
    return point


def _action(problem: Problem, sizes: Any, images: Any, across: Any, shapes: Any) -> Any:
    """Of the broken line, by the midpoint of each piece."""
    moved = _displaced(problem, sizes, images, across, shapes)
    climb, action = _densities(problem, (moved[1:] + moved[:-1]) / 2, jnp.diff(moved, axis=0))
    edge = _ROUNDED * jax.lax.stop_gradient(jnp.mean(climb))
    # |b| has an edge at a point of rest on the way, where a search along a line would end
    return jnp.sum(action - climb + jnp.sqrt(climb**2 + edge**2))


def _action_and_slope(problem: Problem, *arguments: Any) -> Any:
    return jax.value_and_grad(_action, argnums=1)(problem, *arguments)
