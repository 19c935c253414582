"""What a chain is: one step of a discrete-time Markov process, driven by noise that the engine hands in."""

import abc
from typing import Any, Literal

import equinox as eqx
from jaxtyping import Array, Float, Integer

from ..landscapes import AbstractLandscape

NoiseKind = Literal["gaussian", "rademacher", "words"]


class AbstractChain(eqx.Module):
    """A Markov chain on R^dim.

    `step` is written for one trajectory; the engine maps it over many and draws the noise: per step and trajectory
    `noise_dim` independent standard normals ("gaussian"), signs ±1 ("rademacher") or uniform 32-bit words ("words").
    """

    dim: eqx.AbstractVar[int]
    noise_dim: eqx.AbstractVar[int]
    noise_kind: eqx.AbstractVar[NoiseKind]
    time_step: eqx.AbstractVar[Any]
    """SDE time of one step."""

    @property
    @abc.abstractmethod
    def landscape(self) -> AbstractLandscape | None:
        """The loss beneath, or None where there is none."""

    @abc.abstractmethod
    def step(self, state: Float[Array, " dim"], noise: Array, step_index: Integer[Array, ""]) -> Float[Array, " dim"]:
        """The state after step number `step_index` (the first is 0); noise has shape (noise_dim,)."""
