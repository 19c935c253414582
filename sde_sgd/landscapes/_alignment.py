"""The Hessian and the gradient noise together: their alignment, the trace of the noise, and the simple noise scale."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import points
from ..statistics import Estimate, student_width
from ._base import AbstractLandscape, check_landscape
from ._curvature import check_probes, dense_hessians, is_dense, keys_of, mean_with_interval, signs_of, trace_samples
from ._empirical_risk import EmpiricalRisk
from ._hessian_products import AtPoints, product_at


def alignment(
    landscape: AbstractLandscape,
    theta: Any,
    noise: Any = None,
    *,
    method: str = "auto",
    probes: int = 256,
    confidence: float = 0.95,
    seed: int = 0,
) -> Any:
    """Tr(HV)/(Tr H · Tr V/dim): how much more gradient noise there is along sharp directions than if it were isotropic.

    1 for isotropic noise, by definition; dim where all of it lies in the one direction that is curved.
    landscape: any. theta: (dim,), an object with a `location`, or (n, dim). noise: a noise model, V its
        covariance; None for that of one example's gradient of an EmpiricalRisk, all examples counted.
    method: "dense": exact; "products": from σξ of `probes` random vectors ξ of signs, as an Estimate whose interval is
        by linearisation, valid while it is narrow beside the value. "auto": as in `sharpness`.
    probes: random vectors of each point, at least 2. confidence: of the interval. seed: of the vectors.
    Raises ValueError as `sharpness` does, and without noise for what is no EmpiricalRisk.
    Source: Zhu, Wu, Yu, Wu and Ma 2019.
    """
    given, thetas = _checked(landscape, theta, noise, probes, confidence)
    if is_dense(landscape, theta, None, method):
        hessians = dense_hessians(landscape, thetas)
        with jax.enable_x64(True):
            covariances = AtPoints(landscape, thetas, noise)(_covariance, vectors=landscape.dim)
        both = np.sum(hessians * covariances, axis=(1, 2))
        traces = [np.trace(each, axis1=1, axis2=2) for each in (hessians, covariances)]
        found = both * landscape.dim / (traces[0] * traces[1])
        return float(found[0]) if np.ndim(given) == 1 else found
    exact, samples = trace_samples(landscape, thetas, None, max(probes // 4, 2), seed)
    of_hessian = mean_with_interval(exact[:, None] + samples, confidence)
    curved, squares = _noise_samples(landscape, thetas, noise, probes, seed)
    value = landscape.dim * curved.mean(1) / (of_hessian.value * squares.mean(1))
    left = curved / curved.mean(1, keepdims=True) - squares / squares.mean(1, keepdims=True)
    quantile = student_width(confidence, probes - 1)
    half = quantile * left.std(axis=1, ddof=1) / np.sqrt(probes)
    half = np.abs(value) * np.hypot(half, (of_hessian.high - of_hessian.low) / (2 * np.abs(of_hessian.value)))
    found = Estimate(value, value - half, value + half, confidence)
    return found if np.ndim(given) == 2 else found[0]


def simple_noise_scale(
    landscape: AbstractLandscape,
    theta: Any,
    noise: Any = None,
    *,
    method: str = "auto",
    probes: int = 256,
    confidence: float = 0.95,
    seed: int = 0,
) -> Any:
    """Tr V/‖∇L‖²: the batch size at which noise and gradient of a minibatch are equally large.

    landscape: any. theta: (dim,), an object with a `location`, or (n, dim). noise: a noise model, V its
        covariance; None for that of one example's gradient of an EmpiricalRisk, by definition: then exact whatever the
        method, one example after another.
    method: "dense", from the whole of V; "products": from σξ of `probes` random vectors ξ of signs, an Estimate with
        Student's interval. "auto": as in `sharpness`.
    probes: random vectors of each point, at least 2. confidence: of the interval. seed: of the vectors.
    Returns a float for one point or (n,) for n, infinite where the gradient vanishes; or an Estimate of that shape.
    Raises ValueError as `alignment` does.
    Source: McCandlish, Kaplan, Amodei and the OpenAI Dota team 2018.
    """
    given, thetas = _checked(landscape, theta, noise, probes, confidence)
    with jax.enable_x64(True):
        at = AtPoints(landscape, thetas, noise)
        gradients = at(_square_of_gradient)
        if noise is None:
            traces = at(_trace_of_examples)
        elif is_dense(landscape, theta, None, method):
            traces = np.trace(at(_covariance, vectors=landscape.dim), axis1=1, axis2=2)
        else:
            traces = mean_with_interval(_noise_samples(landscape, thetas, noise, probes, seed)[1], confidence)
    with np.errstate(divide="ignore"):
        if isinstance(traces, Estimate):
            ends = (traces.value / gradients, traces.low / gradients, traces.high / gradients)
            found = Estimate(*ends, confidence)
            return found if np.ndim(given) == 2 else found[0]
        found = traces / gradients
    return float(found[0]) if np.ndim(given) == 1 else found


def noise_trace(risk: Any, theta: Any) -> Any:
    """Tr V: the mean of ‖∇ℓ_n − ∇L‖² over the examples, by definition; exact, one example after another, in float64.

    risk: an EmpiricalRisk; V is the covariance of one example's gradient. theta: (dim,), an object with a `location`,
        or (n, dim).
    Returns a float for one point or (n,) for n, in units of loss² per θ². Minibatches of M make γ Tr V/(4M) of excess
    loss around a minimum, to first order (`theory.excess_risk`).
    Raises ValueError for what is no EmpiricalRisk, or θ of another shape.
    """
    if not isinstance(risk, EmpiricalRisk):
        raise ValueError(f"risk must be an EmpiricalRisk, which has examples, got {type(risk).__name__}")
    given = getattr(theta, "location", theta)
    with jax.enable_x64(True):
        found = AtPoints(risk, points("theta", given, risk.dim), None)(_trace_of_examples)
    return float(found[0]) if np.ndim(given) == 1 else found


def _checked(landscape: Any, theta: Any, noise: Any, probes: Any, confidence: Any) -> tuple[Any, np.ndarray]:
    check_landscape(landscape)
    check_probes(probes, confidence)
    if noise is None and not isinstance(landscape, EmpiricalRisk):
        raise ValueError(
            f"noise must be given unless the landscape is an EmpiricalRisk, got {type(landscape).__name__}"
        )
    if noise is not None and not (hasattr(noise, "covariance") and hasattr(noise, "check")):
        raise ValueError(f"noise must be a noise model, such as those of sde_sgd.noise, got {noise!r}")
    if noise is not None:
        noise.check(landscape)
    given = getattr(theta, "location", theta)
    return given, points("theta", given, landscape.dim)


def _noise_samples(landscape, thetas, noise, probes, seed) -> tuple[np.ndarray, np.ndarray]:
    """sᵀHs and sᵀs of samples s = σξ, (n, probes) each."""
    with jax.enable_x64(True):
        # other signs than those of the trace
        each = (keys_of(seed, 1, len(thetas)),)
        return AtPoints(landscape, thetas, noise)(_along_noise, np.zeros((probes, 0)), each=each, vectors=3 * probes)


def _along_noise(landscape, noise, theta, words, empty):
    """Of as many samples as `empty`, (probes, 0), is long."""
    normals = landscape.examples if noise is None else noise.noise_dim(landscape)
    product = product_at(landscape, theta, None)

    def one(xi):
        if noise is None:
            sample = jax.grad(landscape.weighted_loss)(theta, landscape.noise_weights(xi))
        else:
            sample = noise.apply(landscape, theta, xi)
        return sample @ product(sample), sample @ sample

    return jax.vmap(one)(signs_of(words, len(empty), normals))


def _covariance(landscape, noise, theta):
    return landscape.gradient_covariance(theta) if noise is None else noise.covariance(landscape, theta)


def _trace_of_examples(landscape, noise, theta):
    """The mean of ‖∇ℓ_n − ∇L‖² over the examples, a few of them at once."""
    mean = landscape.gradient(theta)

    def square(index):
        return jnp.sum((jax.grad(landscape.batch_loss)(theta, index[None]) - mean) ** 2)

    return jnp.mean(jax.lax.map(square, jnp.arange(landscape.examples), batch_size=min(64, landscape.examples)))


def _square_of_gradient(landscape, noise, theta):
    return jnp.sum(landscape.gradient(theta) ** 2)
