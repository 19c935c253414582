"""Core sets (milestones): an ellipsoid around each minimum, whose entrance tells that a transition is complete."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar

from .._errors import positive_number
from ..landscapes import CriticalPoint
from ..regions import Ellipsoid

# height of a core's edge above its minimum, in the lowest barrier out of it
_HEIGHT = 0.25
# temperatures that a barrier has at least where basins are slow to leave, and how much of a core's height the quadratic
# part of a typical state across the ways out may take
_TEMPERATURES, _ACROSS = 8.0, 0.25


def room(point: CriticalPoint, barrier: float, way_out: Float[np.ndarray, " dim"]) -> float:
    """A barrier for a minimum's core: the one out of it, or the loss's quadratic part at the way out if that is less.

    It is less where the loss rises faster than its quadratic part: a core of the barrier alone might hold the pass.
    """
    away = way_out - point.location
    return min(float(barrier), float(away @ point.hessian @ away) / 2)


def core_sets(
    minima: list[CriticalPoint],
    barriers: Float[np.ndarray, " K"],
    radius: Any,
    names: tuple[str, ...],
    towards: tuple[Float[np.ndarray, "_ dim"], ...] | None = None,
) -> tuple[Ellipsoid, ...]:
    """A core around each minimum.

    barriers: lowest one out of each minimum, as `room` says. radius: of balls, in θ; None for the ellipsoids on which
        the quadratic part of the loss is a quarter of that barrier. towards: of each minimum, points where ways lead
        out of it: along all other directions the ellipsoid is then so long that those of a typical state, whose
        quadratic part is half a temperature each, do not keep it from entering. A barrier is taken as eight
        temperatures at least. Who gives them can give no radius.
    Raises ValueError where two of them overlap.
    """
    if radius is not None:
        positive_number("radius", radius)
    cores = []
    for place, (point, barrier) in enumerate(zip(minima, barriers, strict=True)):
        values, vectors = np.linalg.eigh(point.hessian)
        axes = np.sqrt(values / (2 * _HEIGHT * barrier)) if radius is None else np.full(len(values), 1 / float(radius))
        factor = (vectors * axes) @ vectors.T
        if towards is not None:
            factor = _loosened(factor, towards[place] - point.location)
        cores.append(Ellipsoid.from_factor(np.array(point.location), factor))
    for second in range(len(cores)):
        for first in range(second):
            if not _apart(cores[first], cores[second]):
                advice = ": give a smaller radius=" if towards is None else ""
                raise ValueError(
                    f"cores must not overlap, got those of {names[first]} and {names[second]} that do{advice}"
                )
    return tuple(cores)


def _loosened(factor: Float[np.ndarray, "dim dim"], ways: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "dim dim"]:
    """The factor, smaller along the directions that no way leads along."""
    dim = len(factor)
    across = dim - np.linalg.matrix_rank(ways)
    typical = across / 2 / (_TEMPERATURES * _HEIGHT)
    if typical <= _ACROSS:
        return factor
    along, sizes, _ = np.linalg.svd((ways @ factor.T).T, full_matrices=False)
    along = along[:, sizes > 1e-9 * sizes.max()]
    kept = along @ along.T
    return (kept + np.sqrt(_ACROSS / typical) * (np.eye(dim) - kept)) @ factor


def _apart(first: Ellipsoid, second: Ellipsoid) -> bool:
    """Whether two ellipsoids have no point in common.

    Source: that they have none where K(s) > 1 for some s: Gilitschenski and Hanebeck, FUSION 2012, 396.
    """
    shift = np.asarray(second.center) - np.asarray(first.center)
    shapes = [np.linalg.inv(np.asarray(core.factor) @ np.asarray(core.factor)) for core in (first, second)]

    def gap(share: float) -> float:
        return float(shift @ np.linalg.solve(shapes[0] / (1 - share) + shapes[1] / share, shift))

    found: Any = minimize_scalar(lambda share: -gap(share), bounds=(1e-6, 1 - 1e-6), method="bounded")
    return bool(-found.fun > 1)
