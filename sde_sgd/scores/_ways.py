"""Progress along the nearest of several minimum-energy paths, by what each has left to climb: for any dimension."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Scalar

from .._errors import positive_integer, positive_number
from .._numerics import of_points
from ..landscapes import AbstractLandscape, Way
from ._path import PathScore, width_of

# what is left to the last point once the climbs are done, in parts of the climb of the lowest way
_BEYOND = 0.1
# a point that is nearer to another way than this, in spacings, is on that way too
_SAME = 0.5


class WaysScore(eqx.Module):
    """The height of the nearest point on any of several ways, smoothed as a PathScore is.

    points: of all ways, with their heights. number: how many ways. Source: as of `ways`.
    """

    points: PathScore
    number: int = eqx.field(static=True)

    def __call__(self, theta: Float[Array, " dim"]) -> Scalar:
        """The score of θ of shape (dim,), in θ's precision, differentiable."""
        return self.points(theta)


def ways(landscape: AbstractLandscape, *found: Any, images: int = 17, width: float | None = None) -> WaysScore:
    """What the loss has still to climb on the nearest of several ways to the target, negated, in units of L.

    `ways(landscape, *explore(landscape, start).ways(target))` follows all that an exploration found.

    landscape: L. found: one or more, with one beginning.
    images: points of the shortest way; the others have theirs as far apart, so that the cost of a score grows with the
        length of all ways. width: as for `path`, by default from that spacing.

    At the beginning the score is minus the climb of the way that climbs least, and no point of any way is below that;
    at the end of each it is a tenth of that climb above 0, a rise that is shared out over all that the way descends.
    So two states of one score, on whatever ways, have about the same chance to arrive, e^(−climb/T) at a temperature T:
    that is what splitting needs to follow a low narrow way and a high wide one together, as its copies then stay
    shared out between them as the passages are. A point that several ways pass has the height of the best of them.
    States are taken to be where the nearest way is.

    Raises ValueError for no way, ways of another dimension, fewer than 3 images, a width that is not above 0, or where
    the loss is not finite or nowhere climbs on a way.

    Source: that the log of the committor is the optimal score: Bréhier, Lelièvre and Rousset, ESAIM: Probability and
    Statistics 19, 361 (2015); the path variable: as for `path`.
    """
    positive_integer("images", images)
    if images < 3:
        raise ValueError(f"images must be at least 3, got {images}")
    if width is not None:
        positive_number("width", width)
    fine = [_points(landscape, number, way) for number, way in enumerate(found)]
    if not fine:
        raise ValueError("ways must be one or more, got none")
    rises = [_rises(landscape, number, points) for number, points in enumerate(fine)]
    least = min(float(climbs[-1]) for climbs, _ in rises)
    heights = [np.maximum(_heights(*each, _BEYOND * least), -least) for each in rises]
    lengths = [_arc(points) for points in fine]
    spacing = min(float(arc[-1]) for arc in lengths) / (images - 1)
    kept_points, kept_heights = [np.zeros((0, landscape.dim))], [np.zeros(0)]
    for number, (way, arc) in enumerate(zip(found, lengths, strict=True)):
        count = max(round(float(arc[-1]) / spacing) + 1, 3)
        places = way.path(count)
        values = np.interp(np.linspace(0.0, arc[-1], count), arc, heights[number])
        for other, other_points in enumerate(fine):
            near, gap = _nearest_of(other_points, places)
            shared = gap < _SAME * spacing
            values = np.where(shared, np.maximum(values, heights[other][near]), values)
            if other < number:
                places, values = places[~shared], values[~shared]
        kept_points.append(places)
        kept_heights.append(values)
    joined = PathScore(
        np.concatenate(kept_points), np.concatenate(kept_heights), width_of(spacing) if width is None else float(width)
    )
    return WaysScore(joined, len(fine))


def _points(landscape: AbstractLandscape, number: int, way: Any) -> Float[np.ndarray, "n dim"]:
    if not isinstance(way, Way):
        raise ValueError(f"ways[{number}] must be one of Exploration.ways, got {way!r}")
    if len(way.points) < 2 or way.points.shape[1] != landscape.dim:
        shape = way.points.shape
        raise ValueError(
            f"ways[{number}] must have two points or more, of {landscape.dim} components, got shape {shape}"
        )
    return way.points


def _rises(landscape: AbstractLandscape, number: int, points: Float[np.ndarray, "n dim"]) -> tuple[Any, Any]:
    """What the loss has climbed up to each point of a way, and what it has descended."""
    losses = of_points("loss", landscape, points)
    if not np.all(np.isfinite(losses)):
        raise ValueError(f"ways[{number}] must have a finite loss all along, got {losses[~np.isfinite(losses)][0]}")
    climbs, falls = (
        np.concatenate([[0.0], np.cumsum(np.maximum(sign * np.diff(losses), 0.0))]) for sign in (1.0, -1.0)
    )
    if not climbs[-1] > 0:
        raise ValueError(f"ways[{number}] must climb somewhere, got one that descends all along")
    return climbs, falls


def _heights(climbs: np.ndarray, falls: np.ndarray, beyond: float) -> Float[np.ndarray, " n"]:
    """Minus what is left to climb, and a rise shared out over the descents, or the points where there are none."""
    shares = falls / falls[-1] if falls[-1] > 0 else np.linspace(0.0, 1.0, len(falls))
    return climbs - climbs[-1] + beyond * shares


def _arc(points: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def _nearest_of(points: Float[np.ndarray, "n dim"], places: Float[np.ndarray, "m dim"]) -> tuple[Any, Any]:
    """For each place the number of the nearest point, and how far it is."""
    gaps = np.linalg.norm(places[:, None] - points, axis=2)
    return gaps.argmin(axis=1), gaps.min(axis=1)
