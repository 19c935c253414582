"""Kinks of a landscape: where its gradient jumps, as that of a network of ReLUs does; descent by gradient sampling."""

from typing import NamedTuple

import numpy as np
import scipy.optimize

from ._critical_points import Float64Landscape

# around a point, over max(1, |θ|): where a descent looks first, and where a kink is known to lie
_FIRST_RADIUS, _LAST_RADIUS = 1e-3, 1e-8
_MOST_GRADIENTS, _MOST_STEPS = 128, 1_000
# a mean of gradients that is so much shorter than they are counts as 0
_STILL = 1e-7


def gradient_jumps(surface: Float64Landscape, at: np.ndarray, curvature: float, generator: np.random.Generator) -> bool:
    """Whether the gradient near `at` differs by far more than a Hessian of the size `curvature` lets it."""
    radius = _LAST_RADIUS * max(1.0, float(np.linalg.norm(at)))
    gradients = _gradients_around(surface, at, radius, generator)
    jump = float(np.linalg.norm(gradients - gradients[0], axis=1).max())
    rounding = 1e-12 * max(1.0, float(np.linalg.norm(gradients[0])), curvature)
    return jump > 1e3 * curvature * radius + rounding


class KinkSearch(NamedTuple):
    """Where gradient sampling ends."""

    location: np.ndarray
    loss: float
    shortest: float
    """Length of the shortest mean of the gradients around it."""
    longest: float
    """Length of the longest of them."""
    is_still: bool
    """Whether the former counts as 0 as near to the location as was looked."""


def to_a_kink(
    surface: Float64Landscape, at: np.ndarray, curvature: float, generator: np.random.Generator
) -> KinkSearch:
    """Down from `at` by gradient sampling, until no mean of the gradients around leads down, or for 1,000 steps.

    Valid as an answer where at most about 60 kinks meet. Source: Burke, Lewis and Overton 2005.
    """
    unit = max(1.0, float(np.linalg.norm(at)))
    radius, loss, shortest, longest = _FIRST_RADIUS * unit, surface.value(at)[0], np.inf, np.inf
    for _ in range(_MOST_STEPS):
        gradients = _gradients_around(surface, at, radius, generator)
        direction = shortest_mean(gradients)
        shortest = float(np.linalg.norm(direction))
        longest = float(np.linalg.norm(gradients, axis=1).max())
        is_still = shortest <= 10 * curvature * radius + _STILL * longest
        following = None if is_still else _step(surface, at, loss, direction, curvature)
        if following is not None:
            at, loss = following
        elif radius <= _LAST_RADIUS * unit:
            return KinkSearch(at, loss, shortest, longest, is_still)
        else:
            radius = max(radius / 10, _LAST_RADIUS * unit)
    return KinkSearch(at, loss, shortest, longest, False)


def shortest_mean(gradients: np.ndarray) -> np.ndarray:
    """The shortest vector in the convex hull of the rows, (m, dim): 0 where no direction leads down to first order."""
    size = float(np.linalg.norm(gradients, axis=1).max())
    if size == 0:
        return np.zeros(gradients.shape[1])
    # of nonnegative weights w the best of |Gᵀw|² + (Σw − 1)² is, but for a factor, the one of the shortest mean
    triangle = np.linalg.qr((gradients / size).T, mode="r")
    system = np.vstack([triangle, np.ones(len(gradients))])
    weights = scipy.optimize.nnls(system, np.append(np.zeros(len(triangle)), 1.0))[0]
    return gradients.T @ (weights / weights.sum())


def _step(surface, at, loss, direction, curvature):
    """A point lower along −direction, with its loss; None where none of some is low enough."""
    sizes = (4.0 / max(curvature, 1e-3)) * 0.5 ** np.arange(40)
    places = at - sizes[:, None] * direction
    losses = np.nan_to_num(surface.values(places)[0], nan=np.inf)
    lower = losses < loss - 1e-4 * sizes * float(direction @ direction)
    if not lower.any():
        return None
    best = int(np.argmin(np.where(lower, losses, np.inf)))
    return places[best], float(losses[best])


def _gradients_around(surface, at, radius, generator):
    """Gradients at a point and at random points within `radius` of it."""
    count = min(2 * len(at) + 1, _MOST_GRADIENTS)
    offsets = generator.normal(size=(count, len(at)))
    offsets *= generator.random((count, 1)) ** (1 / len(at)) / np.linalg.norm(offsets, axis=1, keepdims=True)
    return surface.values(np.vstack([at, at + radius * offsets]))[1]
