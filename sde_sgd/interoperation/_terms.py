"""The terms themselves. Imported only where diffrax is installed."""

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp


class NoiseTerm(diffrax.ControlTerm):
    """B(y, t) dW, which multiplies without making the matrix where a solver asks for the product alone.

    vector_field: of (y, t, ξ), the vector B(y, t)ξ, (dim,). control: W, (noise_dim,).
    """

    noise_dim: int = eqx.field(static=True)

    def __init__(self, vector_field: Callable, control: Any, noise_dim: int):
        super().__init__(vector_field, control)
        self.noise_dim = noise_dim

    def vf(self, t, y, args):
        """B(y, t), (dim, noise_dim), column by column."""
        columns = jnp.eye(self.noise_dim, dtype=y.dtype)
        return jax.vmap(lambda xi: self.vector_field(y, t, xi), out_axes=1)(columns)

    def vf_prod(self, t, y, args, control):
        return self.vector_field(y, t, control)


def brownian_path(noise_dim: int, key: Any) -> diffrax.UnsafeBrownianPath:
    """A path for steps of constant length, of shape (noise_dim,)."""
    return diffrax.UnsafeBrownianPath(shape=(noise_dim,), key=key)


def terms(drift: Callable, noise: Callable, noise_dim: int, path: Any, name: str) -> diffrax.MultiTerm:
    """drift: of (y, t). noise: of (y, t, ξ). name: of the equation, for the sentence about another path."""
    if not (callable(path) or hasattr(path, "evaluate")):
        raise ValueError(f"path must be a path as diffrax takes it, such as diffrax.VirtualBrownianTree, got {path!r}")
    term = NoiseTerm(noise, path, noise_dim)
    found = _shape(term)
    if found != (noise_dim,):
        raise ValueError(f"path must have shape ({noise_dim},), the noise_dim of {name}, got {found}")
    return diffrax.MultiTerm(diffrax.ODETerm(lambda t, y, args: drift(y, t)), term)


def _shape(term: diffrax.ControlTerm) -> Any:
    """Of an increment of the path, without making one; the path's own words where it gives no array."""
    real = jax.ShapeDtypeStruct((), jnp.result_type(float))
    increment = eqx.filter_eval_shape(term.contr, real, real)
    return getattr(increment, "shape", increment)
