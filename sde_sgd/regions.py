"""Sets as level functions, inside where φ(θ) < 0: balls, half-spaces, ellipsoids, sublevel sets; ~, & and | of them."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Scalar

from ._errors import concrete, is_traced, number, positive_number
from .landscapes import AbstractLandscape, check_landscape

__all__ = ["AbstractRegion", "Ball", "Ellipsoid", "HalfSpace", "Sublevel"]


def _float64(value: Any) -> Any:
    """Float64 until it meets a state, so that a set is as precise as the arithmetic it is used in."""
    array = None if isinstance(value, jax.Array) else concrete(value)
    return value if array is None else np.asarray(array, np.float64)


class AbstractRegion(eqx.Module):
    """A set {θ: φ(θ) < 0} of R^dim. `~R` is the complement, `R & S` the intersection, `R | S` the union.

    A final class implements `level`, and `check` where its dimension is known. The level of `~R` is −φ, that of `R & S`
    the larger of the two, that of `R | S` the smaller one. A point on the boundary belongs to the complement: of R and
    ~R exactly one contains it.
    """

    @abc.abstractmethod
    def level(self, theta: Float[Array, " dim"]) -> Scalar:
        """φ(θ) of one point of shape (dim,): negative inside, zero on the boundary, differentiable near it."""

    def contains(self, theta: Float[Array, " dim"]) -> Bool[Array, ""]:
        """Whether one point θ of shape (dim,) is inside."""
        return self.level(theta) < 0

    def check(self, dim: int) -> None:
        """Raise ValueError where the set does not live in R^dim."""

    def __invert__(self) -> "AbstractRegion":
        return _Complement(self)

    def __and__(self, other: "AbstractRegion") -> "AbstractRegion":
        return _Intersection(_region(self), _region(other))

    def __or__(self, other: "AbstractRegion") -> "AbstractRegion":
        return _Union(_region(self), _region(other))


class HalfSpace(AbstractRegion):
    """{θ: normal·θ < offset}, by definition.

    normal: (dim,), not zero; need not have length 1. offset: in units of normal·θ, 0 by default.
    Raises ValueError for a normal that is zero, not finite or of another shape, or an offset that is no number.
    """

    normal: Float[Array | np.ndarray, " dim"] = eqx.field(converter=_float64)
    offset: Float[Array, ""] | float = 0.0

    def __check_init__(self):
        _vector("normal", self.normal)
        array = concrete(self.normal)
        if array is not None and not np.any(array):
            raise ValueError(f"normal must not be zero, got {array}")
        number("offset", self.offset)

    def level(self, theta):
        return jnp.sum(jnp.asarray(self.normal, theta.dtype) * theta) - self.offset

    def check(self, dim):
        _dimension("normal", self.normal, dim)


class Ball(AbstractRegion):
    """{θ: ‖θ − center‖ < radius}, by definition.

    center: (dim,). radius: above 0, in units of θ.
    Raises ValueError for a center that is not finite or of another shape, or a radius that is not above 0.
    """

    center: Float[Array | np.ndarray, " dim"] = eqx.field(converter=_float64)
    radius: Float[Array, ""] | float

    def __check_init__(self):
        _vector("center", self.center)
        positive_number("radius", self.radius)

    def level(self, theta):
        return _norm(theta - jnp.asarray(self.center, theta.dtype)) - self.radius

    def check(self, dim):
        _dimension("center", self.center, dim)


class Ellipsoid(AbstractRegion):
    """{θ: (θ − center)ᵀ matrix (θ − center) < 1}, by definition.

    center: (dim,). matrix: (dim, dim), symmetric and positive definite, in units of θ⁻²: its eigenvectors are the axes,
        of half-lengths 1/√eigenvalue. `Ellipsoid.from_factor` takes a factor instead.
    factor: (dim, dim), a matrix F with FᵀF = matrix; the level function is |F(θ − center)| − 1. That of a given matrix
        is its symmetric square root.

    Raises ValueError for a center or matrix that is not finite or of another shape, and for a matrix that is not
    symmetric (to 1e-6 of its largest entry) or not positive definite; numbers that JAX traces are not checked.
    """

    center: Float[Array | np.ndarray, " dim"]
    factor: Float[Array | np.ndarray, "dim dim"]

    def __init__(self, center: Any, matrix: Any):
        known = concrete(matrix)
        if known is None and not is_traced(matrix):
            raise ValueError(f"matrix must be an array of numbers, got {matrix!r}")
        factor = jnp.linalg.cholesky(matrix).T if known is None else _square_root(np.asarray(known, np.float64))
        self.center, self.factor = _ellipsoid(center, "matrix", factor)

    @classmethod
    def from_factor(cls, center: Any, factor: Any) -> "Ellipsoid":
        """{θ: |factor·(θ − center)| < 1}, with an invertible factor of shape (dim, dim), in units of θ⁻¹.

        Raises ValueError for a factor that is not finite, of another shape, or singular.
        """
        known = concrete(factor)
        if known is None and not is_traced(factor):
            raise ValueError(f"factor must be an array of numbers, got {factor!r}")
        center, factor = _ellipsoid(center, "factor", _float64(factor))
        known = concrete(factor)
        if known is not None and not (np.all(np.isfinite(known)) and np.linalg.matrix_rank(known) == len(known)):
            raise ValueError(f"factor must be finite and invertible, got {known}")
        made = cls(center, np.eye(factor.shape[0]))
        return eqx.tree_at(lambda region: region.factor, made, factor)

    def level(self, theta):
        center, factor = (jnp.asarray(array, theta.dtype) for array in (self.center, self.factor))
        return _norm(factor @ (theta - center)) - 1

    def check(self, dim):
        _dimension("center", self.center, dim)


def _ellipsoid(center: Any, name: str, factor: Any) -> tuple[Any, Any]:
    """Both with their shapes checked."""
    center = _float64(center)
    _vector("center", center)
    if factor.shape != (center.shape[0],) * 2:
        raise ValueError(f"{name} must have shape {(center.shape[0],) * 2}, got shape {factor.shape}")
    return center, factor


def _square_root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root; ValueError unless the matrix is symmetric and positive definite."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.all(np.isfinite(matrix)):
        raise ValueError(f"matrix must be finite and of shape (dim, dim), got {matrix}")
    if np.max(np.abs(matrix - matrix.T)) > 1e-6 * np.max(np.abs(matrix)):
        raise ValueError(f"matrix must be symmetric, got {matrix}")
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    if not values[0] > 0:
        raise ValueError(f"matrix must be positive definite, got smallest eigenvalue {values[0]:.6g}")
    return (vectors * np.sqrt(values)) @ vectors.T


def _norm(vector: Float[Array, " dim"]) -> Scalar:
    square = jnp.sum(vector**2)
    # it has no gradient at 0; 0 there serves, since no step starts near both a center and the edge around it
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


class Sublevel(AbstractRegion):
    """{θ: L(θ) < value}, by definition all connected components of it.

    landscape: L. value: in units of the loss.
    Raises ValueError for what is no landscape, or a value that is no finite number.
    """

    landscape: AbstractLandscape
    value: Float[Array, ""] | float

    def __check_init__(self):
        check_landscape(self.landscape)
        number("value", self.value)

    def level(self, theta):
        return self.landscape.loss(theta) - self.value

    def check(self, dim):
        if self.landscape.dim != dim:
            raise ValueError(f"region must live in dim = {dim}, got a Sublevel of a landscape of {self.landscape.dim}")


class _Complement(AbstractRegion):
    region: AbstractRegion

    def level(self, theta):
        return -self.region.level(theta)

    def contains(self, theta):
        # not −φ < 0: the boundary belongs to exactly one of a set and its complement
        return ~self.region.contains(theta)

    def check(self, dim):
        self.region.check(dim)

    def __invert__(self):
        return self.region


class _Intersection(AbstractRegion):
    first: AbstractRegion
    second: AbstractRegion

    def level(self, theta):
        return jnp.maximum(self.first.level(theta), self.second.level(theta))

    def contains(self, theta):
        return self.first.contains(theta) & self.second.contains(theta)

    def check(self, dim):
        self.first.check(dim)
        self.second.check(dim)


class _Union(AbstractRegion):
    first: AbstractRegion
    second: AbstractRegion

    def level(self, theta):
        return jnp.minimum(self.first.level(theta), self.second.level(theta))

    def contains(self, theta):
        return self.first.contains(theta) | self.second.contains(theta)

    def check(self, dim):
        self.first.check(dim)
        self.second.check(dim)


def _region(value: Any) -> AbstractRegion:
    if not isinstance(value, AbstractRegion):
        raise ValueError(f"a region combines with another region, got {value!r}")
    return value


def _vector(name: str, value) -> None:
    array = concrete(value)
    if array is None and not is_traced(value):
        raise ValueError(f"{name} must be an array of numbers, got {value!r}")
    if value.ndim != 1 or value.size == 0:
        raise ValueError(f"{name} must have shape (dim,), got shape {value.shape}")
    if array is not None and not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {array}")


def _dimension(name: str, value, dim: int) -> None:
    if value.shape != (dim,):
        raise ValueError(f"region must live in dim = {dim}, got a {name} of shape {value.shape}")
