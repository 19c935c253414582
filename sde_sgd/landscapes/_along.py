"""The line between two points: the loss along it, and of a risk what is measured on the examples held out."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float64

from .._errors import concrete, point, show
from ._base import AbstractLandscape, check_landscape
from ._empirical_risk import EmpiricalRisk
from ._hessian_products import AtPoints


class Line(eqx.Module):
    """What there is along (1 − α) a + α b, float64 arrays of shape (n,), one entry for each α.

    alphas: α; a is at 0 and b at 1. loss: L there, penalty included.
    held_out_loss: of an EmpiricalRisk with examples held out, their mean loss without the penalty; else None.
    accuracy, held_out_accuracy: of an EmpiricalRisk of a classifier, shares; else None.
    """

    alphas: Float64[np.ndarray, " n"]
    loss: Float64[np.ndarray, " n"]
    held_out_loss: Float64[np.ndarray, " n"] | None = None
    accuracy: Float64[np.ndarray, " n"] | None = None
    held_out_accuracy: Float64[np.ndarray, " n"] | None = None


def along(landscape: AbstractLandscape, a: Any, b: Any, alphas: Any = None) -> Line:
    """The loss along the line through two points, say the minima that small and large batches found.

    landscape: any. a, b: (dim,) each, or objects with a `location`. alphas: (n,) places α on (1 − α) a + α b; by
    default 61 from −1 to 2. Arithmetic is in float64.
    Raises ValueError for points of another shape, one point twice, or alphas that are no finite numbers.
    Source: Goodfellow, Vinyals and Saxe 2015; Keskar et al. 2017.
    """
    check_landscape(landscape)
    first, last = point("a", a, landscape.dim), point("b", b, landscape.dim)
    places = np.linspace(-1, 2, 61) if alphas is None else concrete(alphas)
    if places is None or places.ndim != 1 or places.size == 0 or not np.all(np.isfinite(places)):
        raise ValueError(f"alphas must be finite numbers of shape (n,), got {alphas!r}")
    if np.array_equal(first, last):
        raise ValueError(f"a and b must be two points, got {show(first)} twice")
    places = np.asarray(places, np.float64)
    thetas = np.outer(1 - places, first) + np.outer(places, last)
    with jax.enable_x64(True):
        found = AtPoints(landscape, thetas)(_measures)
    loss, *rest = found
    wide = [None if each is None else np.asarray(each, np.float64) for each in rest]
    return Line(places, np.asarray(loss, np.float64), *wide)


def _measures(landscape, theta):
    if not isinstance(landscape, EmpiricalRisk):
        return landscape.loss(theta), None, None, None
    is_held_out, classifies = landscape.held_out is not None, landscape.classifies
    return (
        landscape.loss(theta),
        landscape.held_out_loss(theta) if is_held_out else None,
        landscape.accuracy(theta) if classifies else None,
        landscape.held_out_accuracy(theta) if is_held_out and classifies else None,
    )
