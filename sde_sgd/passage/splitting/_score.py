"""How far a trajectory has come: the score (reaction coordinate)."""

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._errors import ASKS_FOR_VALUES, OF_JAX
from ..._numerics import in_blocks, read_outside
from ...chains import AbstractChain
from ...engine import Compiled
from ...regions import AbstractRegion
from ...scores import GridScore, PathScore, WaysScore
from .._wrappers import theta_of

# states in one call of a score
_BLOCK = 2048
_NAMES = {type(None): "level", GridScore: "committor", WaysScore: "ways", PathScore: "path"}


class Score(eqx.Module):
    """A number that grows on the way to the target.

    fn: a function of θ, or of θ and the time t; None for the target's own level function, negated.
    dim: of θ; what memory a state has behind it is not seen.
    """

    target: AbstractRegion
    fn: Callable[..., Any] | None
    timed: bool = eqx.field(static=True)
    dim: int = eqx.field(static=True)
    time_step: Any

    @property
    def name(self) -> str:
        """What it is, in a word: "level" where it is the target's level function, "given" where it is the person's."""
        return self.fn.name if isinstance(self.fn, EitherScore) else _NAMES.get(type(self.fn), "given")

    def __call__(self, state: Float[Array, " components"], steps: Any) -> Array:
        """The score of a state that has taken so many steps."""
        theta = theta_of(state, self.dim)
        if self.fn is None:
            value = -self.target.level(theta)
        elif self.timed:
            value = self.fn(theta, steps * jnp.asarray(self.time_step, theta.dtype))
        else:
            value = self.fn(theta)
        return jnp.asarray(value, theta.dtype)


class EitherScore(eqx.Module):
    """One of two scores. Which is a number, so that what runs with one runs with the other in the same program.

    Each step computes both, and three programs fewer are compiled for a mean time.
    """

    one: Score
    other: Score
    by_other: Any

    @property
    def name(self) -> str:
        """That of the score which it is."""
        return (self.other if self.by_other else self.one).name

    def __call__(self, theta: Float[Array, " dim"]) -> Array:
        return jnp.where(self.by_other, self.other(theta, 0), self.one(theta, 0))


def score_of(chain: AbstractChain, target: AbstractRegion, fn: Any) -> Score:
    """The score that the call names; ValueError where it is no function of θ, or of θ and t, with one value."""
    if fn is None:
        return Score(target, None, False, chain.dim, chain.time_step)
    if not callable(fn):
        raise ValueError(f"score must be a function of θ, or of θ and t, 'level' or 'auto', got {fn!r}")
    try:
        timed = not _accepts_one(fn)
        score = Score(target, fn, timed, chain.dim, chain.time_step)
        theta, steps = jax.ShapeDtypeStruct((chain.dim,), jnp.zeros(0).dtype), jax.ShapeDtypeStruct((), jnp.uint32)
        program = jax.make_jaxpr(score)(theta, steps)
        (shape,) = (out.shape for out in program.out_avals)
    except ASKS_FOR_VALUES as error:
        raise ValueError(f"score {OF_JAX}") from error
    except Exception as error:
        raise ValueError(f"score cannot be evaluated for θ of shape ({chain.dim},): {error}") from error
    if shape != ():
        raise ValueError(f"score must return one number, got shape {shape}")
    outside = read_outside(program)
    if outside is not None:
        raise ValueError(f"score must not read outside its arrays, got {outside}")
    return score


def _accepts_one(fn: Callable) -> bool:
    try:
        inspect.signature(fn).bind(None)
    except TypeError:
        return False
    return True


def scores(score: Score, states: Float[np.ndarray, "n dim"], clocks: Any) -> Float[np.ndarray, " n"]:
    """The score of each state after as many steps as its clock says."""
    return in_blocks(_SCORES.prepare(score), _BLOCK, states, clocks.astype(np.uint32))


_SCORES = Compiled(lambda score, states, clocks: jax.vmap(score)(states, clocks))
