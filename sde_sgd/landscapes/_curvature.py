"""Measures of curvature: sharpness and trace of a Hessian, whole or by the arrays of a model, at one point or many."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from .._errors import fraction, point, points, positive_integer, show
from .._errors import tolerance as tolerance_of
from ..random import seed_number
from ..statistics import Estimate, student_mean
from ._base import AbstractLandscape, check_landscape
from ._critical_points import Float64Landscape
from ._eigenpairs import eigenpairs
from ._empirical_risk import EmpiricalRisk
from ._hessian_products import AtPoints, places, product_at

# components up to which the whole Hessian is made: at one point, and at each of many
_DENSE, _DENSE_OF_MANY = 1_000, 100
_ROUNDING = 1e-10


def sharpness(
    landscape: AbstractLandscape,
    theta: Any,
    k: int = 5,
    *,
    by_leaf: bool = False,
    method: str = "auto",
    tolerance: float = 1e-6,
    seed: int = 0,
) -> Float64[np.ndarray, "... k"] | dict[str, Float64[np.ndarray, "... k"]]:
    """The k largest eigenvalues of ∇²L(θ), largest first.

    landscape: any; of an EmpiricalRisk all examples count. theta: (dim,), an object with a `location`, or (n, dim) for
        the parameters of n networks; a minimum or any other point.
    k: how many; all of them where dim is smaller. by_leaf: of the diagonal block of each array of a risk's model, in a
        dict by the array's name.
    method: "dense", the whole Hessian; "products" of it with vectors, by Lanczos' method (`eigenpairs`); or "auto":
        dense for up to 1,000 components, 100 where there are many points, else by products.
    tolerance: residuals ‖Hv − λv‖ that Lanczos' method may leave, over the largest eigenvalue. seed: of its vectors.
    Returns float64 numbers of shape (min(k, dim),) or (n, min(k, dim)), in units of loss per θ². Gradient descent with
    a learning rate above 2 over the first one is unstable there (Cohen and others 2021, arXiv 2103.00065).

    The numbers are float64, with the landscape's own float32 numbers taken as they are.
    Raises ValueError for θ of another shape, k below 1, a Hessian that is not finite, or leaves of what is no
    EmpiricalRisk; RuntimeError, naming the point, where residuals stay larger than asked for.
    """
    positive_integer("k", k)
    tolerance_of("tolerance", tolerance)
    check_landscape(landscape)

    def of_part(part: slice | None) -> np.ndarray:
        if is_dense(landscape, theta, part, method):
            blocks = dense_hessians(landscape, theta, part)
            return np.linalg.eigvalsh(blocks)[..., ::-1][..., :k].copy()
        found = eigenpairs(landscape, theta, k, part=part, tolerance=tolerance, seed=seed)
        if not np.all(found.converged):
            number = int(np.argmin(np.atleast_2d(found.converged).all(axis=1)))
            left = float(np.max(found.residuals / found.scale[..., None]))
            raise RuntimeError(
                f"the eigenvalues of theta[{number}] were to be found to {tolerance:.3g} of the largest, and are to "
                f"{left:.3g}: ask for fewer, or for a larger tolerance"
            )
        return found.values

    return _of_parts(landscape, of_part, by_leaf)


def trace(
    landscape: AbstractLandscape,
    theta: Any,
    *,
    by_leaf: bool = False,
    method: str = "auto",
    probes: int = 64,
    confidence: float = 0.95,
    seed: int = 0,
) -> Any:
    """tr ∇²L(θ), the sum of the Hessian's eigenvalues, in units of loss per θ²; exact, or an Estimate.

    landscape: any; of an EmpiricalRisk all examples count. theta: (dim,), an object with a `location`, or (n, dim) for
        the parameters of n networks; a minimum or any other point.
    by_leaf: of the diagonal block of each array of a risk's model, in a dict by the array's name.
    method: "dense": a float for one point, an array of shape (n,) for n. "products": the exact trace on what half as
        many products as probes span, and the mean of vᵀHv over `probes` random vectors v of signs beside it (Hutch++);
        an Estimate of shape () or (n,), with Student's interval for that mean. "auto": as in `sharpness`.
    probes: random vectors of each point, at least 2. confidence: of the interval. seed: of the vectors.
    Raises ValueError as `sharpness` does, and for probes or a confidence that are not as said.
    Source: Hutchinson 1990; Meyer, Musco, Musco and Woodruff 2021.
    """
    check_landscape(landscape)
    check_probes(probes, confidence)

    def of_part(part: slice | None) -> Any:
        given = getattr(theta, "location", theta)
        if is_dense(landscape, theta, part, method):
            found = np.trace(dense_hessians(landscape, theta, part), axis1=-2, axis2=-1)
            return float(found) if np.ndim(given) == 1 else found
        exact, samples = trace_samples(landscape, given, part, probes, seed)
        found = mean_with_interval(exact[:, None] + samples, confidence)
        return found if np.ndim(given) == 2 else found[0]

    return _of_parts(landscape, of_part, by_leaf)


def _of_parts(landscape: AbstractLandscape, measure: Any, by_leaf: bool) -> Any:
    if not by_leaf:
        return measure(None)
    if not isinstance(landscape, EmpiricalRisk):
        raise ValueError(f"by_leaf needs the model of an EmpiricalRisk, got {type(landscape).__name__}")
    return {name: measure(part) for name, part in landscape.leaves.items()}


def is_dense(landscape: AbstractLandscape, theta: Any, part: slice | None, method: str) -> bool:
    if method not in ("auto", "dense", "products"):
        raise ValueError(f"method must be 'auto', 'dense' or 'products', got {method!r}")
    if method == "auto":
        size = landscape.dim if part is None else part.stop - part.start
        return size <= (_DENSE if np.ndim(getattr(theta, "location", theta)) < 2 else _DENSE_OF_MANY)
    return method == "dense"


def dense_hessians(landscape: AbstractLandscape, theta: Any, part: slice | None = None) -> Float64[np.ndarray, "..."]:
    """The Hessian, or its block of a part of θ, at one point, (size, size), or many, (n, size, size)."""
    given = getattr(theta, "location", theta)
    with jax.enable_x64(True):
        if np.ndim(given) < 2 and part is None:
            at = point("theta", theta, landscape.dim)
            found = Float64Landscape(landscape).hessian(at)
        else:
            thetas = points("theta", given, landscape.dim)
            size = landscape.dim if part is None else part.stop - part.start
            found = AtPoints(landscape, thetas)(_block, places(part), np.eye(size), vectors=2 * size)
            found = (found + np.swapaxes(found, 1, 2)) / 2
            found = found if np.ndim(given) == 2 else found[0]
    if not np.all(np.isfinite(found)):
        raise ValueError(f"theta must have a finite Hessian, got one that is not at {show(given)}")
    return found


def check_probes(probes: Any, confidence: Any) -> None:
    positive_integer("probes", probes)
    if probes < 2:
        raise ValueError(f"probes must be at least 2, for an interval, got {probes}")
    fraction("confidence", confidence)


def mean_with_interval(samples: np.ndarray, confidence: float) -> Estimate:
    """Means of samples (n, probes), with Student's interval, and what rounding may do where all samples are one."""
    found = student_mean(samples, confidence)
    rounding = _ROUNDING * np.abs(found.value)
    return Estimate(found.value, found.low - rounding, found.high + rounding, confidence)


def trace_samples(landscape, theta, part, probes, seed) -> tuple[np.ndarray, np.ndarray]:
    """The trace on the span of a few products, (n,), and vᵀHv of probes beside it, (n, probes)."""
    thetas = points("theta", theta, landscape.dim)
    size = landscape.dim if part is None else part.stop - part.start
    first = min(probes // 2, size)
    with jax.enable_x64(True):
        empty = np.zeros((first, probes, 0))
        found = AtPoints(landscape, thetas)(
            _beside_a_sketch, places(part), empty, each=(keys_of(seed, 0, len(thetas)),), vectors=3 * (first + probes)
        )
    if not all(np.all(np.isfinite(each)) for each in found):
        raise ValueError(f"theta must have a finite Hessian, got one that is not at {show(theta)}")
    return found


def keys_of(seed: int, stream: int, count: int) -> np.ndarray:
    """For each point the words of a key of its own, (count, 2), a function of the seed, the stream and its number.

    With signs in common all points would have one error, which no mean over them loses and no spread shows.
    """
    key = jax.random.fold_in(jax.random.key(seed_number(seed)), stream)
    others = jax.vmap(lambda number: jax.random.fold_in(key, number))(jnp.arange(1, count))
    # the first has the key itself: one point alone has the signs that it had before there were many
    return np.concatenate([np.asarray(jax.random.key_data(each)).reshape(-1, 2) for each in (key, others)])


def signs_of(words: Any, count: int, size: int) -> Any:
    """Random vectors of ±1, (count, size), of the words of a key; made where they are used, a point at a time."""
    from matfree import stochtrace

    return stochtrace.sampler_signs(jnp.zeros(size), num=count)(jax.random.wrap_key_data(words))


def _beside_a_sketch(landscape, theta, words, part, empty):
    """The trace by a sketch and probes beside it, as many as `empty`, (sketch, probes, 0), is long."""
    from matfree import stochtrace

    first, count = empty.shape[:2]
    signs = signs_of(words, first + count, landscape.dim if part is None else len(part))
    sketch, probes = signs[:first], signs[first:]
    product = product_at(landscape, theta, part)
    basis = jnp.linalg.qr(jax.vmap(product)(sketch).T)[0]
    exact = jnp.sum(basis * jax.vmap(product, 1, 1)(basis))

    def beside(vector):
        return vector - basis @ (basis.T @ vector)

    sample = stochtrace.monte_carlo_trace()
    return exact, jax.vmap(lambda probe: sample(lambda vector: beside(product(beside(vector))), probe))(probes)


def _block(landscape, theta, part, identity):
    return jax.vmap(product_at(landscape, theta, part))(identity)
