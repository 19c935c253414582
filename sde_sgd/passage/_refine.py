"""Looking into a step: a coarse chain as one of finer steps, so that splitting can take it part by part."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..chains import EulerMaruyama
from ..engine import MAX_STEPS, AbstractMonitor
from ._around import AbstractAround, AbstractBeside
from ._problem import Problem

FINEST = 6
"""Most halvings of a step."""


class Refined(AbstractAround):
    """An Euler–Maruyama chain whose steps are taken in 2^`shift` parts, the Brownian path along the way.

    State: where the path is, and where the chain's step began, which decides drift and diffusion until it ends. At
    the ends of whole steps it has the law of the chain, whatever their size.
    """

    chain: EulerMaruyama
    shift: Any

    @property
    def dim(self) -> int:
        return 2 * self.chain.dim

    @property
    def time_step(self) -> Any:
        return self.chain.time_step / 2**self.shift

    def step(self, state, noise, step_index):
        place, begin = jnp.split(state, 2)
        number, part = step_index >> self.shift, (1 / jnp.left_shift(1, self.shift)).astype(state.dtype)
        still = self.chain.step(begin, jnp.zeros_like(noise), number)
        moved = self.chain.step(begin, noise, number)
        place = place + (still - begin) * part + (moved - still) * jnp.sqrt(part)
        return jnp.concatenate([place, jnp.where(_ends_step(step_index, self.shift), place, begin)])


class AtWholeSteps(AbstractBeside):
    """A chain's monitor, asked where a step of that chain ends."""

    monitor: AbstractMonitor
    shift: Any

    def code(self, before, after, step_index, uniform):
        (_, begin), (place, _) = jnp.split(before, 2), jnp.split(after, 2)
        code = self.monitor.code(begin, place, step_index >> self.shift, uniform)
        return jnp.where(_ends_step(step_index, self.shift), code, 0)


def can_be_refined(problem: Problem, shift: int) -> bool:
    """Whether the path within a step is a Brownian one, and its parts can be counted."""
    chain = problem.chain
    gaussian = isinstance(chain, EulerMaruyama) and chain.increments == "gaussian"
    return gaussian and shift <= FINEST and problem.steps << shift < MAX_STEPS


def refined(problem: Problem, shift: int) -> Problem:
    """The same passage, in steps of 2^`shift` parts; clocks and steps count parts."""
    assert isinstance(problem.chain, EulerMaruyama)
    word = np.uint32(shift)
    return problem._replace(
        chain=Refined(problem.chain, word),
        monitor=AtWholeSteps(problem.monitor, word),
        score=eqx.tree_at(lambda score: score.time_step, problem.score, problem.time_step / 2**shift),
        starts=np.tile(problem.starts, (1, 2)),
        parts=2**shift,
        steps=problem.steps << shift,
        time_step=problem.time_step / 2**shift,
    )


def _ends_step(step_index, shift):
    return (step_index + 1) & (jnp.left_shift(jnp.uint32(1), shift) - 1) == 0
