"""What a chain is: one step of a discrete-time Markov process on (θ, memory), driven by noise from the engine."""

import abc
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from .._dependence import depends_on
from ..landscapes import AbstractLandscape
from ..random import AbstractIncrements, increments_of

NoiseKind = Literal["gaussian", "rademacher", "words"] | AbstractIncrements
"""The short name of a kind of increments, or such a kind itself (`sde_sgd.random.AbstractIncrements`)."""

# steps are counted by unsigned 32-bit integers
_ALL_STEPS = 2**32


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
    """What drives a step: "gaussian", "rademacher" or "words"."""
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
    def gibbs_temperature(self) -> Any:
        """T, in units of L, shape (), where the law in the end is known to be exp(−L/T) for small steps; else None."""
        return None

    @property
    def changes_in_time(self) -> bool:
        """Whether the law of a step depends on its number: read off the traced `step`, by its data flow.

        False is certain; True may be too careful, as where a step calls the host.
        """
        real = jnp.zeros(0).dtype
        state = jax.ShapeDtypeStruct((self.state_dim,), real)
        noise = jax.ShapeDtypeStruct((self.noise_dim,), increments_of(self.noise_kind).dtype(real))
        return depends_on(self.step, state, noise, jax.ShapeDtypeStruct((), jnp.uint32), on=2)

    @property
    def what_changes(self) -> str:
        """In words: what of it changes in time, where something does."""
        return "a step that depends on its number"

    def last_step(self, dtype: Any) -> int:
        """How many steps from number 0 on have a right time, or iteration, in states of `dtype`; at most 2³².

        It matters only where something changes in time.
        """
        return _ALL_STEPS

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


def refuse_late(chain: AbstractChain, steps: int, dtype: Any, name: str = "steps") -> None:
    """Raise ValueError where a run that ends with step number `steps` asks for times that the chain does not know.

    dtype: of the states. name: of the argument that the number of steps comes from.
    """
    # asked of the class: a method of an equinox module is a module, and to make one takes as long as all the rest
    last = type(chain).last_step(chain, dtype)
    if steps > last and chain.changes_in_time:
        precise = "" if chain.last_step(jnp.float64) <= last else "; state a period (ItoDiffusion), or start in float64"
        raise ValueError(
            f"{name} must end by step {last} for coefficients that change in time, because {jnp.dtype(dtype).name} "
            f"states know no later time exactly, got {steps}{precise}"
        )
