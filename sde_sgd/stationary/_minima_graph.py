"""The graph of minima and the saddles between them, and whether a jump process on it makes sense."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.sparse.csgraph import connected_components

from .._jumps import room
from .._numerics import bound, of_each
from ..chains import AbstractChain
from ..landscapes import AbstractLandscape, CriticalPoint, SaddleConnection, check_minima, saddle_graph
from ..landscapes._saddle_graph import check_pairs
from ._basins import names_of
from ._unassigned_minima import at

# how far out the loss must rise, in distances between the minima, and in how many directions that is tried
_FAR, _DIRECTIONS = (10.0, 20.0), 64


class MinimaGraph(NamedTuple):
    """names, points: of the minima. neighbours: of each. barriers: (K,) the lowest one out of each, as cores need it.

    slowest: (K,) time of the slowest linear relaxation at each minimum and at the saddles out of it. top: loss of the
    highest saddle between two neighbours.
    """

    landscape: AbstractLandscape
    names: tuple[str, ...]
    points: list[CriticalPoint]
    neighbours: list[list[int]]
    barriers: Float[np.ndarray, " K"]
    slowest: Float[np.ndarray, " K"]
    top: float


def minima_graph(chain: AbstractChain, minima: Any, neighbours: Iterable[Any] | None) -> MinimaGraph:
    """What the call describes; ValueError where jumps between these minima have no stationary law."""
    landscape = chain.landscape
    if landscape is None:
        raise ValueError("minima need a chain with a landscape, got one without")
    points = check_minima("minima", landscape, minima)
    if len(points) < 2:
        raise ValueError(f"minima must be at least two, got {len(points)}: with one there are no transitions")
    names = names_of(minima, points)
    _check_confining(landscape, points)
    pairs = None if neighbours is None else check_pairs("neighbours", neighbours, len(points))
    passes = saddle_graph(landscape, points, pairs=pairs)
    joined, barriers, slowest = _neighbours(passes, names), _barriers(passes, points), _slowest(passes, points)
    return MinimaGraph(landscape, names, points, joined, barriers, slowest, max(way.saddle.loss for way in passes))


def _neighbours(passes: list[SaddleConnection], names: tuple[str, ...]) -> list[list[int]]:
    count = len(names)
    joined = np.zeros((count, count), bool)
    for way in passes:
        joined[way.first, way.second] = joined[way.second, way.first] = True
    parts, part = connected_components(joined, directed=False)
    if parts > 1:
        cut = names[int(np.argmax(part != part[0]))]
        raise ValueError(f"neighbours must lead from every minimum to every other, got none from {names[0]} to {cut}")
    return [[int(end) for end in np.flatnonzero(row)] for row in joined]


def _barriers(passes: list[SaddleConnection], points: list[CriticalPoint]) -> Float[np.ndarray, " K"]:
    lowest = np.full(len(points), np.inf)
    for way in passes:
        for end, barrier in ((way.first, way.barrier_from_first), (way.second, way.barrier_from_second)):
            lowest[end] = min(lowest[end], room(points[end], barrier, way.saddle.location))
    return lowest


def _slowest(passes: list[SaddleConnection], points: list[CriticalPoint]) -> Float[np.ndarray, " K"]:
    times = np.array([1 / point.eigenvalues[0] for point in points])
    for way in passes:
        for end in (way.first, way.second):
            times[end] = max(times[end], 1 / -way.saddle.eigenvalues[0])
    return times


def _check_confining(landscape: AbstractLandscape, points: list[CriticalPoint]) -> None:
    """Raise ValueError where the loss does not go on rising far away from the minima, along some ray that is tried."""
    locations = np.stack([point.location for point in points])
    center = locations.mean(axis=0)
    spread = 2 * float(np.linalg.norm(locations - center, axis=1).max())
    axes = np.eye(landscape.dim)[: _DIRECTIONS // 2]
    others = np.random.default_rng(0).standard_normal((_DIRECTIONS, landscape.dim))
    rays = np.concatenate([axes, -axes, others / np.linalg.norm(others, axis=1, keepdims=True)])
    with jax.enable_x64(True):
        loss = bound(of_each("loss"), landscape)
        near, far = (np.asarray(loss(jnp.asarray(center + scale * spread * rays)), np.float64) for scale in _FAR)
    falling = np.isfinite(near) & (far <= near)
    if np.any(falling):
        ray = rays[int(np.argmax(falling))]
        raise ValueError(
            f"landscape must rise far away from the minima in every direction, got one that does not along {at(ray)}: "
            "where it is not confining there is no stationary law"
        )
