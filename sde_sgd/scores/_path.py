"""Progress along a minimum-energy path, measured by what the loss climbs and descends: a score for any dimension."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from .._errors import numbers, positive_integer, positive_number
from .._numerics import of_points
from ..landscapes import AbstractLandscape, minimum_energy_path


class PathScore(eqx.Module):
    """Mean of `heights` over points, each weighted by exp(−|θ − point|²/width²).

    points: (images, dim), in order along a path. heights: (images,), rising. width: of a weight, in units of θ.
    Source: as of `path`.
    """

    points: Float[Array | np.ndarray, "images dim"]
    heights: Float[Array | np.ndarray, " images"]
    width: Float[Array, ""] | float

    def __call__(self, theta: Float[Array, " dim"]) -> Scalar:
        """The score of θ of shape (dim,), in θ's precision, differentiable."""
        if theta.shape != self.points.shape[1:]:
            raise ValueError(f"theta must have shape {self.points.shape[1:]}, got shape {theta.shape}")
        points, heights, width = (jnp.asarray(each, theta.dtype) for each in (self.points, self.heights, self.width))
        # |θ − p|² less what is the same for all points, with nothing large left in the difference
        middle = jnp.mean(points, axis=0)
        offsets = points - middle
        exponents = (2 * (offsets @ (theta - middle)) - jnp.sum(offsets**2, axis=1)) / width**2
        weights = jnp.exp(exponents - jnp.max(exponents))
        return jnp.sum(weights * heights) / jnp.sum(weights)


def path(landscape: AbstractLandscape, *minima: Any, images: int = 17, width: float | None = None) -> PathScore:
    """How much the loss has climbed and descended on the way from the first minimum to the last, Σ|ΔL|.

    landscape: L, twice differentiable.
    minima: two or more, CriticalPoints or arrays of shape (dim,): a path goes through them in turn, each time over
        the saddle that `find_saddle` finds.
    images: points along the whole path; the cost of a score grows with images × dim.
    width: how far apart along the path two states must be to count as different, in units of θ; by default 2/3 of the
        spacing of the points, where neighbours weigh a tenth. A larger one smooths the path's corners.

    The score is 0 at the first minimum, the barrier at the saddle, and goes on rising as the loss falls beyond it, to
    the sum of all climbs and descents at the last minimum; at both ends within what one width makes of it. Across the
    path it is constant near it. It tells nothing of other ways to the target: states on them count as the nearest
    points of this one. A path that comes back to within a few widths of itself has no such order.
    Needs dense Hessians to find the path: for up to a few hundred components.

    Raises ValueError where `minimum_energy_path` does, or for a width that is not above 0.

    Source: the path variable is that of Branduardi, Gervasio and Parrinello, J. Chem. Phys. 126, 054103 (2007).
    """
    points = minimum_energy_path(landscape, *minima, images=images)
    losses = of_points("loss", landscape, points)
    heights = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(losses)))])
    return _score(points, heights, width)


def along(points: Any, heights: Any = None, *, images: int = 17, width: float | None = None) -> PathScore:
    """How far along a path of one's own: for motion whose drift is no gradient, say, a minimum-action path.

    `along(way.path, way.climb)` of `way = theory.minimum_action(...)` is what `path` is where the drift is −∇L.

    points: (n, dim), at least 2, in order. heights: (n,), not falling, in any unit; the length along the path by
        default. Both are taken at `images` points evenly spaced along the broken line. images, width: as for `path`.

    Raises ValueError for points or heights of another shape, that are not finite, for points that coincide, heights
    that fall, fewer than 3 images, or a width that is not above 0. Source: as of `path`.
    """
    path = numbers("points", points)
    if path.ndim != 2 or len(path) < 2 or not np.all(np.isfinite(path)):
        raise ValueError(f"points must be finite, of shape (images, dim) with two or more, got shape {path.shape}")
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    if not np.all(lengths > 0):
        raise ValueError(
            f"points must differ from one to the next, got the same one twice at {path[np.argmin(lengths)]}"
        )
    values = np.concatenate([[0.0], np.cumsum(lengths)]) if heights is None else numbers("heights", heights)
    if values.shape != path.shape[:1] or not np.all(np.isfinite(values)) or np.any(np.diff(values) < 0):
        raise ValueError(f"heights must be finite, not falling, of shape ({len(path)},), got {values}")
    positive_integer("images", images)
    if images < 3:
        raise ValueError(f"images must be at least 3, got {images}")
    arc = np.concatenate([[0.0], np.cumsum(lengths)])
    even = np.linspace(0.0, arc[-1], images)
    return _score(
        np.stack([np.interp(even, arc, column) for column in path.T], axis=1), np.interp(even, arc, values), width
    )


def width_of(spacing: float) -> float:
    """The width at which points that are so far apart weigh a tenth at one another."""
    return spacing / math.sqrt(2.3)


def _score(points: np.ndarray, heights: np.ndarray, width: float | None) -> PathScore:
    spacing = float(np.linalg.norm(np.diff(points, axis=0), axis=1).mean())
    scale = width_of(spacing) if width is None else width
    positive_number("width", scale)
    return PathScore(points, heights, float(scale))
