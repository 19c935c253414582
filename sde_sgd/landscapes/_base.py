"""What a loss landscape is: a scalar function of a vector, with derivatives by automatic differentiation."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from .._errors import positive_integer, shape_of


class AbstractLandscape(eqx.Module):
    """A loss L: R^dim → R.

    A final class implements `loss` and holds `dim`; everything numeric it holds is a PyTree leaf, so a
    sweep over landscape parameters is one compiled program.
    """

    dim: eqx.AbstractVar[int]

    @abc.abstractmethod
    def loss(self, theta: Float[Array, " dim"]) -> Scalar:
        """L(θ) of one point θ of shape (dim,)."""

    def __call__(self, theta: Float[Array, " dim"]) -> Scalar:
        return self.loss(theta)

    def gradient(self, theta: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """∇L(θ), shape (dim,)."""
        return jax.grad(self.loss)(theta)

    def hessian(self, theta: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
        """∇²L(θ), shape (dim, dim)."""
        return jax.hessian(self.loss)(theta)


def check_landscape(landscape: Any) -> None:
    """Raise ValueError unless `landscape` is one."""
    if not isinstance(landscape, AbstractLandscape):
        raise ValueError(f"landscape must be a landscape, such as Landscape(fn, dim), got {landscape!r}")


class Landscape(AbstractLandscape):
    """A user's own loss: any JAX function of a vector.

    fn: maps (dim,) to a scalar; with `parameters` given, maps (dim,) and that PyTree to a scalar.
    dim: number of components of θ.
    parameters: PyTree whose arrays can be swept (`jax.vmap`, `eqx.tree_at`) without compiling again.

    Raises ValueError if `fn` does not return a scalar for a vector of `dim` components.
    """

    fn: Callable[..., Scalar]
    dim: int = eqx.field(static=True)
    parameters: Any = None

    def __check_init__(self):
        if not callable(self.fn):
            raise ValueError(f"fn must be a function of a vector, got {self.fn!r}")
        positive_integer("dim", self.dim)
        point = jax.ShapeDtypeStruct((self.dim,), jnp.zeros(0).dtype)
        shape = shape_of(f"fn, for dim = {self.dim},", self.loss, point)
        if shape != ():
            raise ValueError(f"fn must return a scalar for a vector of shape ({self.dim},), got shape {shape}")

    def loss(self, theta: Float[Array, " dim"]) -> Scalar:
        return self.fn(theta) if self.parameters is None else self.fn(theta, self.parameters)
