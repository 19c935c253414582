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
