"""Symmetric matrices as covariances: whether one is, and its square root."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._errors import concrete


def positive_semidefinite(name: str, matrix: Array) -> None:
    """Raise ValueError unless a concrete matrix is square, finite, symmetric and positive semi-definite."""
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


def square_root(matrix, negative="clip"):
    """Symmetric square root; "clip" reads a negative eigenvalue as 0, "stop" lets it become NaN."""
    if matrix.shape == (1, 1):
        value = jnp.maximum(matrix, 0) if negative == "clip" else matrix
        return jnp.sqrt(value)
    values, vectors = jnp.linalg.eigh(matrix)
    values = jnp.maximum(values, 0) if negative == "clip" else values
    return (vectors * jnp.sqrt(values)) @ vectors.T


def root_at_each_step(matrix, negative="clip"):
    """The same of a matrix that is another one at each step: up to 2 × 2 in arithmetic alone, which lowers."""
    return _root_in_the_plane(matrix, negative) if matrix.shape == (2, 2) else square_root(matrix, negative)


def _root_in_the_plane(matrix, negative):
    """√A = √λ₂·I + (√λ₁ − √λ₂)/(λ₁ − λ₂)·(A − λ₂I), Newton's interpolation of the root at both eigenvalues.

    Higham (2008), Functions of Matrices, section 1.2.2. Has a derivative where λ₁ = λ₂ > 0, as the eigenvectors have
    not.
    """
    mean, half = (matrix[0, 0] + matrix[1, 1]) / 2, (matrix[0, 0] - matrix[1, 1]) / 2
    apart = _root(half**2 + matrix[0, 1] ** 2)
    smaller = mean - apart
    high, low = (jnp.sqrt(value) if negative == "stop" else _root(value) for value in (mean + apart, smaller))
    # the difference of two roots that are alike has no digits: it is that of the eigenvalues over the roots' sum
    slope = jnp.where(smaller < 0, high / _divisor(2 * apart), 1 / _divisor(high + low))
    eye = jnp.eye(2, dtype=matrix.dtype)
    return low * eye + slope * (matrix - smaller * eye)


def _root(value):
    """√x, and 0 with a derivative of 0 where x ≤ 0."""
    return jnp.where(value > 0, jnp.sqrt(_divisor(value)), 0)


def _divisor(value):
    """x where it is above 0, and 1 where what it divides is not taken."""
    return jnp.where(value > 0, value, 1)
