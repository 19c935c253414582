"""What chains share whose steps draw minibatches: examples, sampling, the batch's gradient, the noise of a step."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, UInt32

from .._errors import positive_integer
from ..landscapes import EmpiricalRisk
from ._base import AbstractChain, NoiseKind
from ._learning_rate import AbstractRateChain
from ._sampling import AbstractSampling


class AbstractBatchChain(AbstractChain):
    """A chain whose step draws M examples and moves by the mean of their gradients.

    Its state is θ, the memory of its own (`own_memory`: a velocity, moments), and what the sampling keeps. A final
    class says how a gradient moves θ and its own memory (`move`).
    """

    risk: eqx.AbstractVar[EmpiricalRisk]
    """The loss, whose examples are drawn."""
    batch_size: eqx.AbstractVar[int]
    """M."""
    sampling: eqx.AbstractVar[AbstractSampling]
    """Which examples a step takes."""

    @abc.abstractmethod
    def move(
        self, own: Float[Array, " own_dim"], gradient: Float[Array, " dim"], step_index: Any
    ) -> Float[Array, " own_dim"]:
        """θ and own memory, (dim + own_memory,), after step number `step_index` with that `gradient`, (dim,).

        own: the same before the step.
        """

    @property
    def landscape(self) -> EmpiricalRisk:
        return self.risk

    @property
    def dim(self) -> int:
        return self.risk.dim

    @property
    def own_memory(self) -> int:
        """Components of the memory that are not the sampling's."""
        return 0

    @property
    def memory(self) -> int:
        return self.own_memory + self.sampling.memory

    @property
    def noise_dim(self) -> int:
        return self.sampling.words(self.batch_size)

    @property
    def noise_kind(self) -> NoiseKind:
        return "words"

    def step(self, state, noise, step_index):
        own, place = self.parts(state)
        words = self.sampling.words(self.batch_size)
        indices, place = self.sampling.draw(place, noise[:words], self.risk.examples, self.batch_size)
        gradient = self.batch_gradient(self.theta(state), indices, noise[words:])
        return self.join(self.move(own, gradient, step_index), place)

    def parts(
        self, state: Float[Array, " state_dim"]
    ) -> tuple[Float[Array, " own_dim"], Float[Array, " sampling_memory"]]:
        """θ with own memory, (dim + own_memory,), and what the sampling keeps of a `state` (state_dim,)."""
        own = self.dim + self.own_memory
        return (state[:own], state[own:]) if self.sampling.memory else (state, state[:0])

    def join(
        self, own: Float[Array, " own_dim"], place: Float[Array, " sampling_memory"]
    ) -> Float[Array, " state_dim"]:
        """The state, (state_dim,), of θ with own memory (`own`) and what the sampling keeps (`place`)."""
        return jnp.concatenate([own, place]) if self.sampling.memory else own

    def batch_gradient(
        self, theta: Float[Array, " dim"], indices: Int32[Array, " batch_size"], words: UInt32[Array, " more"]
    ) -> Float[Array, " dim"]:
        """Mean gradient at θ, (dim,), of the examples `indices`, (batch_size,).

        words: the step's random words that the sampling has not taken, (noise_dim − those,).
        """
        return mean_gradient(self.risk, theta, indices)

    def gradient_covariance(self, theta: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
        """Covariance of a step's batch gradient at θ (dim,), shape (dim, dim): cV(θ), c of the sampling.

        V is the covariance of one example's gradient (`sde_sgd.noise.PerExample`), for which all N gradients are held
        at once; c is 1/M with replacement, (N−M)/(M(N−1)) without and in epochs.
        """
        spread = self.sampling.variance(self.risk.examples, self.batch_size)
        return jnp.asarray(spread, theta.dtype) * self.risk.gradient_covariance(theta)


class AbstractSGD(AbstractBatchChain, AbstractRateChain):
    """A chain of minibatches that is SGD with a learning rate, or like it."""

    def covariance(self, theta: Float[Array, " state_dim"], step_index: Any = 0) -> Float[Array, "dim dim"]:
        """Covariance of θ after one step from `theta`, or from a whole state: (dim, dim), γ²cV(θ).

        c is 1/M with replacement, (N−M)/(M(N−1)) without and, not knowing what the epoch has shown, in epochs. V is
        the covariance of one example's gradient. step_index: number of the step, which a schedule asks for.
        """
        theta = self.theta(theta)
        return self.rate(step_index, theta.dtype) ** 2 * self.gradient_covariance(theta)


def mean_gradient(
    risk: EmpiricalRisk, theta: Float[Array, " dim"], indices: Int32[Array, " batch"]
) -> Float[Array, " dim"]:
    """Mean of the gradients at θ (dim,) of the examples `indices` (batch,) of `risk`, which may repeat: (dim,)."""
    if len(indices) < risk.examples:
        return jax.grad(risk.batch_loss)(theta, indices)
    # one pass over all examples, each weighted by how often it was drawn, costs no more than the batch itself
    return jax.grad(risk.weighted_loss)(theta, drawn(indices, risk.examples, theta.dtype) / len(indices))


def drawn(indices: Int32[Array, " batch"], examples: int, dtype: Any) -> Float[Array, " examples"]:
    """How often each of so many `examples` is among `indices`, as numbers of `dtype`, shape (examples,)."""
    return jnp.zeros(examples, dtype).at[indices].add(1)


def check_batches(risk: Any, batch_size: Any, sampling: AbstractSampling) -> int:
    """M as a Python integer.

    Raises ValueError where `risk` has no examples to draw, `batch_size` is no whole number of at least 1, or the
    `sampling` has no such batch.
    """
    if not isinstance(risk, EmpiricalRisk):
        raise ValueError(f"risk must be an EmpiricalRisk, which has examples to draw, got {risk!r}")
    positive_integer("batch_size", batch_size)
    sampling.check(risk.examples, int(batch_size))
    return int(batch_size)
