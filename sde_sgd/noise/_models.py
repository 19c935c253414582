"""Gradient-noise models: σ(θ)ξ and V(θ) = σσᵀ, the covariance of one example's gradient.

A minibatch of M examples (with replacement) has gradient covariance V/M. Every model is written against a
landscape, which the diffusion passes in; a model that does not need it ignores it.
"""

import abc
from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._errors import concrete, positive_number, real_array, shape_of
from ..landscapes import AbstractLandscape


class AbstractNoise(eqx.Module):
    """Noise of one example's gradient at θ: mean 0, covariance V(θ) = σ(θ)σ(θ)ᵀ, in units of squared gradient.

    Its methods are given the `landscape` that a diffusion stands on, and θ of shape (dim,).
    """

    @property
    def is_constant(self) -> bool:
        """Whether V is the same at every θ, whatever the landscape; False where that is not known."""
        return False

    @property
    def isotropic_variance(self) -> Any:
        """β where V = βI at every θ, shape (), in units of squared gradient; else None, also where it is not known."""
        return None

    def noise_dim(self, landscape: AbstractLandscape) -> int:
        """Number of independent standard normals that σ acts on; `landscape.dim` unless a model says otherwise."""
        return landscape.dim

    @abc.abstractmethod
    def apply(
        self, landscape: AbstractLandscape, theta: Float[Array, " dim"], xi: Float[Array, " noise_dim"]
    ) -> Float[Array, " dim"]:
        """σ(θ)ξ on this `landscape`, shape (dim,), in units of the gradient; ξ has shape (noise_dim,)."""

    @abc.abstractmethod
    def covariance(self, landscape: AbstractLandscape, theta: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
        """V(θ) = σσᵀ on this `landscape`, shape (dim, dim), in units of squared gradient."""

    def noisy_gradient(
        self,
        landscape: AbstractLandscape,
        theta: Float[Array, " dim"],
        amplitude: Array | float,
        xi: Float[Array, " noise_dim"],
    ) -> Float[Array, " dim"]:
        """∇L(θ) + amplitude·σ(θ)ξ with the loss L of `landscape`, shape (dim,); amplitude: a number.

        A model that has a cheaper joint form writes it in its place.
        """
        return landscape.gradient(theta) + amplitude * self.apply(landscape, theta, xi)

    def check(self, landscape: AbstractLandscape) -> None:
        """Raise ValueError where this model cannot act on this landscape."""


class Isotropic(AbstractNoise):
    """V = βI. With it SGD has a temperature: T = γβ/(2M).

    beta: variance of each gradient component of one example, > 0, shape (), in units of squared gradient.
    Raises ValueError for a beta that is not a finite number above 0.
    """

    beta: Float[Array, ""] | float

    def __check_init__(self):
        positive_number("beta", self.beta)

    @property
    def is_constant(self) -> bool:
        return True

    @property
    def isotropic_variance(self) -> Any:
        return self.beta

    def apply(self, landscape, theta, xi):
        return jnp.sqrt(jnp.asarray(self.beta, theta.dtype)) * xi

    def covariance(self, landscape, theta):
        return jnp.asarray(self.beta, theta.dtype) * jnp.eye(landscape.dim, dtype=theta.dtype)


class Diagonal(AbstractNoise):
    """V = diag(v), constant.

    variances: v, (dim,), each ≥ 0, in units of squared gradient.
    Raises ValueError for another shape, or variances that are negative or not finite.
    """

    variances: Float[Array, " dim"] = eqx.field(converter=lambda value: real_array("variances", value))

    def __check_init__(self):
        array = concrete(self.variances)
        if self.variances.ndim != 1:
            raise ValueError(f"variances must have shape (dim,), got shape {self.variances.shape}")
        if array is not None and not (np.all(np.isfinite(array)) and np.all(array >= 0)):
            raise ValueError(f"variances must be finite and at least 0, got {array}")

    @property
    def is_constant(self) -> bool:
        return True

    def check(self, landscape):
        if self.variances.shape != (landscape.dim,):
            raise ValueError(
                f"variances must have shape ({landscape.dim},), the landscape's dim, got {self.variances.shape}"
            )

    def apply(self, landscape, theta, xi):
        return jnp.sqrt(self.variances.astype(theta.dtype)) * xi

    def covariance(self, landscape, theta):
        return jnp.diag(self.variances.astype(theta.dtype))


class ConstantCovariance(AbstractNoise):
    """V = C, constant.

    matrix: C, (dim, dim), symmetric and positive semi-definite, in units of squared gradient; it may be singular.
    Raises ValueError for another shape, or a matrix that is not symmetric, finite and positive semi-definite.
    """

    matrix: Float[Array, "dim dim"] = eqx.field(converter=lambda value: real_array("matrix", value))

    def __check_init__(self):
        _positive_semidefinite("matrix", self.matrix)

    @property
    def is_constant(self) -> bool:
        return True

    def check(self, landscape):
        if self.matrix.shape != (landscape.dim, landscape.dim):
            raise ValueError(
                f"matrix must have shape ({landscape.dim}, {landscape.dim}), the landscape's dim, "
                f"got {self.matrix.shape}"
            )

    def apply(self, landscape, theta, xi):
        return _square_root(self.matrix.astype(theta.dtype)) @ xi

    def covariance(self, landscape, theta):
        return self.matrix.astype(theta.dtype)


class HessianProportional(AbstractNoise):
    """V(θ) = scale·∇²L(θ), the covariance that a well-specified likelihood has near its minimum.

    There the Fisher information is both. Far from a minimum, or where the model is wrong, it is an assumption.

    scale: factor > 0, shape (), in units of the loss.
    negative: what to do with a negative curvature direction, where ∇²L is no covariance. "stop" makes σ NaN, so
        a trajectory that gets there is counted as diverged; "clip" puts no noise along it.
    Raises ValueError for a scale that is not a finite number above 0, or another word.
    """

    scale: Float[Array, ""] | float = 1.0
    negative: Literal["stop", "clip"] = eqx.field(static=True, default="stop")

    def __check_init__(self):
        positive_number("scale", self.scale)
        if self.negative not in ("stop", "clip"):
            raise ValueError(f"negative must be 'stop' or 'clip', got {self.negative!r}")

    def apply(self, landscape, theta, xi):
        return _square_root(self._hessian(landscape, theta), self.negative) @ xi

    def covariance(self, landscape, theta):
        root = _square_root(self._hessian(landscape, theta), self.negative)
        return root @ root.T

    def _hessian(self, landscape, theta):
        return jnp.asarray(self.scale, theta.dtype) * landscape.hessian(theta)


class LossProportional(AbstractNoise):
    """V(θ) = scale·L(θ)·S with S the identity or the constant matrix `shape` (the Hessian at a minimum, say).

    Mori, Ziyin, Liu and Ueda (2022, arXiv 2105.09557) derive it for the squared loss: V = 2 L(θ) H near a
    minimum. L must be at least 0 wherever a trajectory goes; below 0 σ is NaN and the trajectory counts as diverged.

    scale: factor > 0, shape (); scale·S is in units of squared gradient per loss.
    shape: S, (dim, dim), symmetric and positive semi-definite, or None for the identity.
    Raises ValueError for a scale that is not a finite number above 0, or a matrix that is not as said.
    """

    scale: Float[Array, ""] | float = 1.0
    shape: Float[Array, "dim dim"] | None = eqx.field(
        default=None, converter=lambda value: None if value is None else real_array("shape", value)
    )

    def __check_init__(self):
        positive_number("scale", self.scale)
        if self.shape is not None:
            _positive_semidefinite("shape", self.shape)

    def check(self, landscape):
        if self.shape is not None and self.shape.shape != (landscape.dim, landscape.dim):
            raise ValueError(
                f"shape must be None or a matrix of shape ({landscape.dim}, {landscape.dim}), got {self.shape.shape}"
            )

    def apply(self, landscape, theta, xi):
        amplitude = jnp.sqrt(jnp.asarray(self.scale, theta.dtype) * landscape.loss(theta))
        return amplitude * (xi if self.shape is None else _square_root(self.shape.astype(theta.dtype)) @ xi)

    def covariance(self, landscape, theta):
        shape = jnp.eye(landscape.dim) if self.shape is None else self.shape
        return jnp.asarray(self.scale, theta.dtype) * landscape.loss(theta) * shape.astype(theta.dtype)


class FromFunction(AbstractNoise):
    """V = σσᵀ with a person's own σ(θ).

    sigma: a JAX function of θ (dim,) that returns a factor σ of shape (dim, m), or a vector (dim,) that stands for a
        diagonal σ, in units of the gradient.
    Raises ValueError where it cannot be called so, or returns another shape.
    """

    sigma: Callable[[Float[Array, " dim"]], Array]

    def noise_dim(self, landscape):
        shape = self._shape(landscape)
        return shape[-1]

    def check(self, landscape):
        shape = self._shape(landscape)
        if len(shape) not in (1, 2) or shape[0] != landscape.dim:
            raise ValueError(
                f"sigma must return shape ({landscape.dim},) or ({landscape.dim}, m) for dim = {landscape.dim}, "
                f"got {shape}"
            )

    def apply(self, landscape, theta, xi):
        sigma = self.sigma(theta)
        return sigma * xi if sigma.ndim == 1 else sigma @ xi

    def covariance(self, landscape, theta):
        sigma = self.sigma(theta)
        return jnp.diag(sigma**2) if sigma.ndim == 1 else sigma @ sigma.T

    def _shape(self, landscape):
        return shape_of("sigma", self.sigma, jax.ShapeDtypeStruct((landscape.dim,), jnp.zeros(0).dtype))


def _positive_semidefinite(name, matrix):
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} must be a square matrix (dim, dim), got shape {matrix.shape}")
    array = concrete(matrix)
    if array is None:
        return
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {array}")
    array = array.astype(np.float64)
    scale = max(float(np.max(np.abs(array))), np.finfo(np.float32).tiny)
    # a matrix given in float32 is symmetric and semi-definite only to that precision
    tolerance = 16 * array.shape[0] * float(np.finfo(matrix.dtype).eps) * scale
    if np.max(np.abs(array - array.T)) > tolerance:
        raise ValueError(f"{name} must be symmetric, got {array}")
    smallest = float(np.linalg.eigvalsh(array)[0])
    if smallest < -tolerance:
        raise ValueError(f"{name} must be positive semi-definite, got smallest eigenvalue {smallest:.6g}")


def _square_root(matrix, negative="clip"):
    """Symmetric square root; "clip" reads a negative eigenvalue as 0, "stop" lets it become NaN."""
    if matrix.shape == (1, 1):
        value = jnp.maximum(matrix, 0) if negative == "clip" else matrix
        return jnp.sqrt(value)
    values, vectors = jnp.linalg.eigh(matrix)
    values = jnp.maximum(values, 0) if negative == "clip" else values
    return (vectors * jnp.sqrt(values)) @ vectors.T
