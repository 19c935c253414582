"""Sharpness of a point: largest eigenvalues and trace of the Hessian, dense and in float64."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float64

from .._errors import point, positive_integer
from ._base import AbstractLandscape, check_landscape
from ._critical_points import Float64Landscape

_MOST_COMPONENTS = 1_000


def sharpness(landscape: AbstractLandscape, theta: Any, k: int = 5) -> Float64[np.ndarray, " k"]:
    """The k largest eigenvalues of ∇²L(θ), largest first.

    landscape: any. theta: (dim,), or an object with a `location`; a minimum or any other point.
    k: how many; all of them where dim is smaller.
    Returns float64 numbers of shape (min(k, dim),), in units of loss per θ². Gradient descent with a learning rate
    above 2 over the first one is unstable there.

    The Hessian is dense and its numbers float64, with the landscape's own float32 numbers taken as they are; so this
    is for up to 1,000 components, and refuses more.
    Raises ValueError for θ of another shape, k below 1, more than 1,000 components, or a Hessian that is not finite.
    """
    positive_integer("k", k)
    return np.linalg.eigvalsh(_dense(landscape, theta, "sharpness"))[::-1][:k].copy()


def trace(landscape: AbstractLandscape, theta: Any) -> float:
    """tr ∇²L(θ), the sum of the Hessian's eigenvalues, in units of loss per θ².

    landscape: any. theta: (dim,), or an object with a `location`; a minimum or any other point.
    For up to 1,000 components, as `sharpness`, and raises ValueError as it does.
    """
    return float(np.trace(_dense(landscape, theta, "trace")))


def _dense(landscape: AbstractLandscape, theta: Any, what: str) -> Float64[np.ndarray, "dim dim"]:
    check_landscape(landscape)
    if landscape.dim > _MOST_COMPONENTS:
        raise ValueError(
            f"landscape must have at most {_MOST_COMPONENTS} components for {what}, which makes the whole Hessian, got "
            f"dim = {landscape.dim}"
        )
    at = point("theta", theta, landscape.dim)
    with jax.enable_x64(True):
        hessian = Float64Landscape(landscape).hessian(at)
    if not np.all(np.isfinite(hessian)):
        raise ValueError(f"theta must have a finite Hessian, got one that is not at {at}")
    return hessian
