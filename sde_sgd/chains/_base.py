"""What a chain is: one step of a discrete-time Markov process on (θ, memory), driven by noise from the engine."""

import abc
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from ..landscapes import AbstractLandscape
from ..random import AbstractIncrements

NoiseKind = Literal["gaussian", "rademacher", "words"] | AbstractIncrements
"""The short name of a kind of increments, or such a kind itself (`sde_sgd.random.AbstractIncrements`)."""


class AbstractChain(eqx.Module):
    """A Markov chain whose state is θ in R^dim with `memory` components behind it, one flat vector.

    Memory is whatever the next step needs beside θ: a velocity, an optimiser's moments, a running maximum. Landscapes,
    regions, scores, basins, minima and observables see θ only; `chains.WholeState(chain)` is the same chain with all of
    its state as θ, for who asks about the memory too.

    `step` is written for one trajectory; the engine maps it over many and draws the noise: per step and trajectory
    `noise_dim` independent standard normals ("gaussian"), signs ±1 ("rademacher"), uniform 32-bit words ("words"), or
    the draws of a person's own kind of increments.
    """

    dim: eqx.AbstractVar[int]
    """Components of θ."""
    noise_dim: eqx.AbstractVar[int]
    noise_kind: eqx.AbstractVar[NoiseKind]
    time_step: eqx.AbstractVar[Any]
    """SDE time of one step."""
    landscape: eqx.AbstractVar[AbstractLandscape | None]
    """The loss beneath, or None where there is none."""

    @abc.abstractmethod
    def step(
        self, state: Float[Array, " state_dim"], noise: Array, step_index: Integer[Array, ""]
    ) -> Float[Array, " state_dim"]:
        """The state after step number `step_index` (the first is 0); noise has shape (noise_dim,)."""

    @property
    def memory(self) -> int:
        """Components of the state behind θ; none unless a chain says so."""
        return 0

    @property
    def state_dim(self) -> int:
        """Components of the whole state, dim + memory."""
        return self.dim + self.memory

    def begin(self, theta: Float[Array, " dim"]) -> Float[Array, " state_dim"]:
        """The state of a trajectory that begins at θ: its memory is 0 unless a chain says otherwise."""
        return jnp.concatenate([theta, jnp.zeros(self.memory, theta.dtype)]) if self.memory else theta

    def theta(self, state: Float[Array, " state_dim"]) -> Float[Array, " dim"]:
        """θ of a state."""
        return state[: self.dim] if self.memory else state
