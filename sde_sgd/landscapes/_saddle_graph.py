"""The saddle graph: which minima are neighbours, and the index-1 saddle and barrier between each two of them."""

import itertools
from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._errors import show
from ._base import AbstractLandscape
from ._critical_points import CriticalPoint, Float64Landscape, descend, same
from ._given_minima import check_minima
from ._string import find_saddle, minimum_energy_path

# two descents to one minimum end no further apart than this, relative to 1 or to its distance from 0
_SAME = 1e-4


class SaddleConnection(eqx.Module):
    """The way between two neighbouring minima.

    first, second: their numbers, the smaller one first. saddle: the highest point of the way, of index 1.
    barrier_from_first, barrier_from_second: the barrier from each of them, L(saddle) − L(minimum), above 0.
    """

    first: int
    second: int
    saddle: CriticalPoint
    barrier_from_first: float
    barrier_from_second: float


def saddle_graph(
    landscape: AbstractLandscape, minima: Any, *, pairs: Iterable[Any] | None = None
) -> list[SaddleConnection]:
    """The saddles between neighbouring minima, in the order of their numbers.

    landscape: L, up to a few hundred components.
    minima: CriticalPoints or arrays of shape (dim,), at least two, or a mapping from names to them.
    pairs: (i, j) of minima that are known to be neighbours; None tries all, and leaves out those whose minimum-energy
        path goes through a third one. One path is tried for a pair, that of `find_saddle`, near the straight line;
        other ways between the two are not found.

    Returns one SaddleConnection for each pair; losses and barriers are in units of L, locations in those of θ. The
    saddles are as precise as those of `find_saddle`. The work is that of a string for each pair.

    Raises ValueError as `check_minima` does, for pairs that are not two different numbers of minima, where a path goes
    through a minimum that is not in the list, and where `find_saddle` finds none, as at a degenerate point (a monkey
    saddle, where three minima meet in one).
    Source: the string method, as for `find_saddle`.
    """
    points = check_minima("minima", landscape, minima)
    if len(points) < 2:
        raise ValueError(f"minima must be at least two, got {len(points)}")
    if pairs is None:
        chosen = [
            pair for pair in itertools.combinations(range(len(points)), 2) if _neighbours(landscape, points, *pair)
        ]
    else:
        chosen = check_pairs("pairs", pairs, len(points))
    return [_pass(landscape, points, *pair) for pair in chosen]


def check_pairs(name: str, pairs: Any, count: int) -> list[tuple[int, int]]:
    """Each pair once, the smaller number first; ValueError, naming the argument, for what are no such pairs."""
    found = set()
    for pair in pairs if np.iterable(pairs) else [pairs]:
        numbers = np.asarray(pair)
        valid = numbers.shape == (2,) and numbers.dtype.kind in "iu" and numbers[0] != numbers[1]
        if not valid or numbers.min() < 0 or numbers.max() >= count:
            raise ValueError(f"{name} must be pairs of different numbers from 0 to {count - 1}, got {pair!r}")
        found.add((int(numbers.min()), int(numbers.max())))
    return sorted(found)


def _pass(landscape: AbstractLandscape, points: list[CriticalPoint], first: int, second: int) -> SaddleConnection:
    saddle = find_saddle(landscape, points[first], points[second])
    return SaddleConnection(first, second, saddle, saddle.loss - points[first].loss, saddle.loss - points[second].loss)


def _neighbours(landscape: AbstractLandscape, points: list[CriticalPoint], first: int, second: int) -> bool:
    """Whether the path between the two dips into no other minimum on its way."""
    path = minimum_energy_path(landscape, points[first], points[second])
    with jax.enable_x64(True):
        surface = Float64Landscape(landscape)
        losses = surface.values(path)[0]
        dips = 1 + np.flatnonzero((losses[1:-1] < losses[:-2]) & (losses[1:-1] < losses[2:]))
        for dip in dips:
            below = descend(surface, path[dip], f"the path from minima {first} to {second} at {show(path[dip])}")
            known = [number for number, point in enumerate(points) if same(point, below, _SAME)]
            if not known:
                raise ValueError(
                    f"minima must hold those between them, got none at {show(below.location)}, which the path from "
                    f"minima {first} to {second} goes through"
                )
            if known[0] not in (first, second):
                return False
    return True
