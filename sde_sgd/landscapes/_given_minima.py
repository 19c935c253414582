"""Minima that a person gives, checked to be minima."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from .._errors import point as point_of
from .._errors import show
from ._base import AbstractLandscape, check_landscape
from ._critical_points import CriticalPoint, Float64Landscape, descend

# minima that are nearer than this, relative to 1 or to their distance from 0, are one
_SAME = 1e-5


def check_minima(name: str, landscape: AbstractLandscape, given: Any) -> list[CriticalPoint]:
    """The minima at or near which the given points lie, in their order, as precise as `find_minima` has them.

    name: what the argument is called. landscape: whose minima they are.
    given: CriticalPoints or arrays of shape (dim,): a list of them, an array of shape (K, dim), or a mapping from
        names.
    Raises ValueError, naming the point, where it has the wrong shape, where the Hessian there has a negative or zero
    eigenvalue (a saddle, a maximum, a flat direction), where it leads down to no minimum, or to that of another.
    """
    check_landscape(landscape)
    pairs = given.items() if isinstance(given, Mapping) else enumerate(given if np.iterable(given) else [])
    found: list[CriticalPoint] = []
    names: list[str] = []
    with jax.enable_x64(True):
        surface = Float64Landscape(landscape)
        for key, point in pairs:
            names.append(f"{name}[{key!r}]")
            found.append(_checked(surface, names[-1], point, landscape.dim))
            for other, earlier in zip(names, found[:-1], strict=False):
                gap = np.linalg.norm(earlier.location - found[-1].location)
                if gap < _SAME * max(1.0, float(np.linalg.norm(earlier.location))):
                    raise ValueError(
                        f"{name} must be different, got {other} and {names[-1]} that lead down to the same one at "
                        f"{show(earlier.location)}"
                    )
    if not found:
        raise ValueError(f"{name} must be at least one minimum, a CriticalPoint or its location each, got {given!r}")
    return found


def _checked(surface: Float64Landscape, name: str, given: Any, dim: int) -> CriticalPoint:
    point = point_of(name, given, dim)
    hessian = surface.hessian(point)
    if np.all(np.isfinite(hessian)):
        eigenvalues = np.linalg.eigvalsh(hessian)
        # a flat direction is judged where the descent ends: rounding could make it a little negative here
        if eigenvalues[0] < -1e-6 * np.abs(eigenvalues).max():
            kind = "maximum" if eigenvalues[-1] < 0 else "saddle or a point near one"
            raise ValueError(
                f"{name} must be a minimum, got a {kind} at {show(point)}, where the Hessian has eigenvalues "
                f"{show(eigenvalues)}"
            )
    return descend(surface, point, f"{name} = {show(point)}")
