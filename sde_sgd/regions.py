"""Sets as level functions: inside is where φ(θ) < 0."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Scalar

from ._errors import concrete, is_traced, number, positive_number
from .landscapes import AbstractLandscape, check_landscape

__all__ = ["AbstractRegion", "Ball", "HalfSpace", "Sublevel"]


def _float64(value: Any) -> Any:
    """Float64 until it meets a state, so that a set is as precise as the arithmetic it is used in."""
    array = None if isinstance(value, jax.Array) else concrete(value)
    return value if array is None else np.asarray(array, np.float64)


class AbstractRegion(eqx.Module):
    """A set {θ: φ(θ) < 0}. `~R` is the complement, `R & S` the intersection, `R | S` the union."""

    @abc.abstractmethod
    def level(self, theta: Float[Array, " dim"]) -> Scalar:
        """φ(θ): negative inside, zero on the boundary, differentiable near it."""

    def contains(self, theta: Float[Array, " dim"]) -> Bool[Array, ""]:
        """Whether θ is inside."""
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
    """{θ: normal·θ < offset}.

    normal: (dim,), not zero; need not have length 1.
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
    """{θ: ‖θ − center‖ < radius}.

    center: (dim,). radius: > 0.
    """

    center: Float[Array | np.ndarray, " dim"] = eqx.field(converter=_float64)
    radius: Float[Array, ""] | float

    def __check_init__(self):
        _vector("center", self.center)
        positive_number("radius", self.radius)

    def level(self, theta):
        square = jnp.sum((theta - jnp.asarray(self.center, theta.dtype)) ** 2)
        # the distance has no gradient at the center; 0 there serves, since no step starts near both center and edge
        distance = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
        return distance - self.radius

    def check(self, dim):
        _dimension("center", self.center, dim)


class Sublevel(AbstractRegion):
    """{θ: L(θ) < value}, all components of it."""

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
