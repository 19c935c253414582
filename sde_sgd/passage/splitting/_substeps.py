"""An Euler–Maruyama chain in substeps along its Brownian path, so that splitting sees into a step."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ...chains import AbstractWrappedChain, EulerMaruyama
from ...engine import MAX_STEPS, AbstractMonitor
from .._execution import Execution
from .._wrappers import AbstractWrappedMonitor
from ._score import Score

FINEST = 6
"""Most halvings of a step."""


class SubsteppedEulerMaruyama(AbstractWrappedChain):
    """An Euler–Maruyama chain whose steps are taken in 2^`log2_substeps` parts, the Brownian path along the way.

    Memory: where the chain's step began, which decides drift and diffusion until it ends. At the ends of whole steps θ
    has the law of the chain, whatever their size.
    """

    chain: EulerMaruyama
    log2_substeps: Any

    @property
    def memory(self) -> int:
        return self.chain.dim

    @property
    def time_step(self) -> Any:
        return self.chain.time_step / 2**self.log2_substeps

    def last_step(self, dtype: Any) -> int:
        return self.chain.last_step(dtype) << FINEST

    def begin(self, theta):
        return jnp.concatenate([theta, theta])

    def step(self, state, noise, step_index):
        place, begun_at = jnp.split(state, 2)
        number = step_index >> self.log2_substeps
        part = (1 / jnp.left_shift(1, self.log2_substeps)).astype(state.dtype)
        still = self.chain.step(begun_at, jnp.zeros_like(noise), number)
        moved = self.chain.step(begun_at, noise, number)
        place = place + (still - begun_at) * part + (moved - still) * jnp.sqrt(part)
        return jnp.concatenate([place, jnp.where(_ends_step(step_index, self.log2_substeps), place, begun_at)])


class AtWholeSteps(AbstractWrappedMonitor):
    """A chain's monitor, asked where a step of that chain ends.

    dim: components of θ, behind which the state has the place where that step began.
    """

    monitor: AbstractMonitor
    log2_substeps: Any
    dim: int = eqx.field(static=True)

    def code(self, before, after, step_index, uniform):
        begun_at, place = before[self.dim : 2 * self.dim], after[: self.dim]
        code = self.monitor.code(begun_at, place, step_index >> self.log2_substeps, uniform)
        return jnp.where(_ends_step(step_index, self.log2_substeps), code, 0)


def can_have_substeps(run: Execution, log2_substeps: int) -> bool:
    """Whether the path within a step is a Brownian one, and its parts can be counted."""
    chain = run.chain
    gaussian = isinstance(chain, EulerMaruyama) and chain.increments == "gaussian"
    return gaussian and log2_substeps <= FINEST and run.steps << log2_substeps < MAX_STEPS


def with_substeps(run: Execution, score: Score, log2_substeps: int) -> tuple[Execution, Score]:
    """The same passage in 2^`log2_substeps` substeps a step; clocks and steps count substeps."""
    assert isinstance(run.chain, EulerMaruyama)
    word, time_step = np.uint32(log2_substeps), run.time_step / 2**log2_substeps
    finer = run._replace(
        chain=SubsteppedEulerMaruyama(run.chain, word),
        monitor=AtWholeSteps(run.monitor, word, run.chain.dim),
        starts=begun(run.starts),
        substeps=2**log2_substeps,
        steps=run.steps << log2_substeps,
        time_step=time_step,
    )
    return finer, eqx.tree_at(lambda score: score.time_step, score, time_step)


def begun(states: np.ndarray) -> np.ndarray:
    """States of an Euler–Maruyama chain, rows of θ, as those of its substeps where a step begins."""
    return np.tile(states, (1, 2))


def _ends_step(step_index, log2_substeps):
    return (step_index + 1) & (jnp.left_shift(jnp.uint32(1), log2_substeps) - 1) == 0
