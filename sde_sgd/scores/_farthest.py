"""The largest of several scores: for several targets, each with a score that leads there."""

import functools
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class Farthest(eqx.Module):
    """By definition the largest of several scores, in one unit. scores: one or more functions of θ (dim,)."""

    scores: tuple[Any, ...]

    def __call__(self, theta: Float[Array, " dim"]) -> Array:
        """The largest value at θ of shape (dim,)."""
        return functools.reduce(jnp.maximum, [score(theta) for score in self.scores])
