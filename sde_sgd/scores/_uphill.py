"""Whether a target can be entered uphill, lower than over any saddle: least losses on it (sequential programs)."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from .._numerics import as_float64, bound, of_points, with_slope
from ..landscapes import Exploration, find_minima
from ..landscapes._critical_points import Float64Landscape
from ..regions import AbstractRegion

# rays from the minimum, and distances on each, each so many times the last
_RAYS, _LOOKS, _FARTHER = 16, 160, 1.08
# entrances that are followed down, the lowest first
_FOLLOWED = 4
# an entrance must be lower than this, in parts of the lowest saddle's height, to count
_LOWER = 0.95


def entrance_below(explored: Exploration, target: AbstractRegion, barrier: float) -> float | None:
    """Loss above minimum 0 of the lowest place found where the target begins uphill, if below the barrier; else None.

    explored: of the landscape from the start. barrier: of the lowest way over saddles to the target, above minimum 0.
    Rays from minimum 0, along its softest directions and at random, tell where the target begins; from there the loss
    falls within the target to its least. Where it still rises inwards there, and its descent outwards comes to a
    minimum that is reached below the barrier, that is such a place.
    """
    landscape, first = explored.landscape, explored.minima[0]
    with jax.enable_x64(True):
        loss, level = (bound(with_slope(n), as_float64(t)) for n, t in (("loss", landscape), ("level", target)))
        lowest = None
        for entry in _entries(landscape, first.location, target):
            place = _least(loss, level, entry)
            height = float(loss(place)[0]) - first.loss
            if not height < _LOWER * barrier or (lowest is not None and height >= lowest):
                continue
            if _is_uphill(loss, level, place) and _lies_below(explored, place, barrier):
                lowest = height
    return lowest


def _entries(landscape: Any, start: Float[np.ndarray, " dim"], target: AbstractRegion) -> list[np.ndarray]:
    """Points where rays first enter the target, those with the lowest rays first."""
    dim = len(start)
    _, vectors = np.linalg.eigh(Float64Landscape(landscape).hessian(start))
    random = np.random.default_rng(0).standard_normal((_RAYS, dim))
    rays = np.concatenate([vectors.T[: _RAYS // 4], random / np.linalg.norm(random, axis=1)[:, None]])
    rays = np.concatenate([rays, -rays])
    away = 1e-3 * (1 + float(np.linalg.norm(start))) * _FARTHER ** np.arange(_LOOKS)
    points = start + rays[:, None] * away[:, None]
    inside, losses = (
        of_points(name, tree, points.reshape(-1, dim)).reshape(points.shape[:2])
        for name, tree in (("contains", target), ("loss", landscape))
    )
    found = []
    for ray, within, values in zip(points, inside, losses, strict=True):
        if within.any():
            number = int(np.argmax(within))
            highest = float(np.max(values[: number + 1]))
            if np.isfinite(highest):
                found.append((highest, number, ray[number]))
    return [point for *_, point in sorted(found, key=lambda each: each[:2])[:_FOLLOWED]]


def _least(loss: Any, level: Any, entry: Float[np.ndarray, " dim"]) -> Float[np.ndarray, " dim"]:
    """Where the loss is least in the target around an entrance, or the entrance itself where that is not found."""
    within = {
        "type": "ineq",
        "fun": lambda x: -float(level(x)[0]),
        "jac": lambda x: -np.asarray(level(x)[1]),
    }
    found = minimize(
        lambda x: tuple(map(np.asarray, loss(x))), entry, jac=True, method="SLSQP", constraints=[within],
        options={"maxiter": 60},
    ).x  # fmt: skip
    good = np.all(np.isfinite(found)) and float(level(found)[0]) < 1e-6
    return found if good and float(loss(found)[0]) < float(loss(entry)[0]) else entry


def _is_uphill(loss: Any, level: Any, place: Float[np.ndarray, " dim"]) -> bool:
    """Whether the loss rises into the target: there its gradient points against the level's."""
    slope, outwards = (np.asarray(each(place)[1]) for each in (loss, level))
    # far away, where a loss falls without end in the target, norms overflow, and no infinite one is uphill
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(slope @ outwards < -1e-3 * np.linalg.norm(slope) * np.linalg.norm(outwards))


def _lies_below(explored: Exploration, place: Float[np.ndarray, " dim"], barrier: float) -> bool:
    """Whether the descent from a place comes to a minimum that is reached below the barrier."""
    try:
        (below,) = find_minima(explored.landscape, [place])
    except ValueError:
        return False
    number = explored.number_of(below)
    return number is not None and float(explored.passes[number]) - explored.minima[0].loss < barrier
