"""Where a loss hardly confines: points far out on rays along which it rises no faster than a logarithm."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from .._numerics import contained, of_points
from ._base import AbstractLandscape

# rays along both ways of each axis, of so many components at most, and in so many directions at random
_AXES, _RANDOM = 16, 32
# looked at so often in each doubling of the distance, from so many halvings of it up to so many doublings; and how many
# doublings tell how fast the loss rises
_EACH, _NEARER, _FARTHER, _OCTAVES = 4, 8, 4, 6


# points so far out that no float holds them tell nothing
@np.errstate(all="ignore")
def far_out(
    landscape: AbstractLandscape,
    start: Float[np.ndarray, " dim"],
    temperature: float,
    distance: float,
    height: float,
    ends: tuple[Any, ...] = (),
) -> Float[np.ndarray, "m dim"]:
    """On each ray from the start on which the loss rises slowly, the farthest point that it does not keep anyone from.

    Slowly is by less than (dim + 2) T ln 2 for each doubling of the distance: a Bessel process with the drift −c T/r
    comes back after times of a power law of index 1 + (c − dim)/2, which up to 2 has no variance, and
    exp(−L/T) decorrelates so slowly that its averages have no standard error (Revuz and Yor, Continuous Martingales and
    Brownian Motion, 1999, chapter XI). Where the loss rises fast beyond a point, that keeps everyone, and it is left
    out.

    distance: where the rays are looked at first; points are at least as far out and at most 16 times. height: by which
    the loss, on the way there, may exceed the lowest that is seen nearer than that. ends: sets with `contains`; a ray
    that comes upon one goes no further, and so is not far out.
    """
    rays = _rays(len(start))
    fast = (len(start) + 2) * temperature * math.log(2) * _OCTAVES
    first, last = (of_points("loss", landscape, start + radius * rays) for radius in (distance, distance * 2**_OCTAVES))
    # a loss that is not a number out there tells nothing
    rays = rays[last - first <= fast]
    if not len(rays):
        return np.empty((0, len(start)))
    radii = distance * 2.0 ** (np.arange(-_NEARER * _EACH, _FARTHER * _EACH + 1) / _EACH)
    along = start + radii[:, None] * rays[:, None, :]
    points = along.reshape(-1, len(start))
    losses = of_points("loss", landscape, points).reshape(along.shape[:2])
    met = np.zeros(losses.shape, bool)
    for end in ends:
        met |= contained(end, points).reshape(met.shape)
    lowest = min(float(of_points("loss", landscape, start[None])[0]), float(np.nanmin(losses[:, radii <= distance])))
    free = np.logical_and.accumulate(losses <= lowest + height, axis=1)
    number = np.count_nonzero(free, axis=1) - 1
    # where the loss rises fast beyond, it is that which keeps them
    beyond = losses[np.arange(len(rays))[:, None], np.minimum(number[:, None] + np.arange(_EACH + 1), len(radii) - 1)]
    slow = np.max(beyond, axis=1) - beyond[:, 0] <= fast / _OCTAVES
    kept = (radii[number] >= distance) & (number >= 0) & slow & ~np.any(met, axis=1)
    return along[kept, number[kept]]


def _rays(dim: int) -> Float[np.ndarray, "rays dim"]:
    """Directions, of length 1: on the line two."""
    axes = np.eye(dim) if dim <= _AXES else np.empty((0, dim))
    some = np.random.default_rng(0).standard_normal((_RANDOM if dim > 1 else 0, dim))
    return np.concatenate([axes, -axes, some / np.linalg.norm(some, axis=1, keepdims=True)])
