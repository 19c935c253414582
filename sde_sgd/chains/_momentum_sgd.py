"""Minibatch SGD with momentum: the heavy ball, or Nesterov's."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import momentum_number
from .._numerics import as_real
from ..landscapes import EmpiricalRisk
from ._batches import AbstractSGD, check_batches
from ._learning_rate import LearningRate, checked_rate
from ._sampling import AbstractSampling, sampling_of


class MomentumSGD(AbstractSGD):
    """v' = μv + g, θ' = θ − γv', with g the mean gradient of M examples: momentum as PyTorch and optax have it.

    With Nesterov's θ' = θ − γ(g + μv'). The memory is the velocity v, in units of the gradient; it begins at 0. In
    the other convention, v' = μv − γg and θ' = θ + v', the velocity is −γ times this one, and θ is the same as long as
    γ does not change. Given v, one step of θ has covariance γ²V/M with replacement and γ²V/M·(N−M)/(N−1) without, and
    (1+μ)² times as much with Nesterov's; over many steps it moves as SGD with γ/(1−μ).

    risk, learning_rate, batch_size, replacement: as in MinibatchSGD, whose `sampling` it has; time counts γ for each
        iteration.
    momentum: μ, at least 0 and below 1, shape ().
    nesterov: whether the gradient is followed beside the velocity that it made.
    Source: Sutskever, Martens, Dahl and Hinton (2013). Raises ValueError as MinibatchSGD does, and for a momentum
    outside [0, 1) or a `nesterov` that is neither True nor False.
    """

    risk: EmpiricalRisk
    learning_rate: LearningRate
    batch_size: int = eqx.field(static=True)
    momentum: Float[Array, ""] | float
    nesterov: bool = eqx.field(static=True)
    sampling: AbstractSampling

    def __init__(
        self,
        risk: Any,
        learning_rate: Any,
        batch_size: Any,
        momentum: Any,
        nesterov: Any = False,
        replacement: Any = True,
    ):
        self.sampling = sampling_of(replacement)
        self.batch_size = check_batches(risk, batch_size, self.sampling)
        self.learning_rate = checked_rate(learning_rate)
        momentum_number(momentum)
        if not isinstance(nesterov, bool):
            raise ValueError(f"nesterov must be True or False, got {nesterov!r}")
        self.risk, self.momentum, self.nesterov = risk, as_real(momentum), nesterov

    @property
    def own_memory(self) -> int:
        """The velocity."""
        return self.dim

    def move(self, own, gradient, step_index):
        theta, velocity = jnp.split(own, 2)
        momentum, rate = jnp.asarray(self.momentum, own.dtype), self.rate(step_index, own.dtype)
        velocity = momentum * velocity + gradient
        followed = gradient + momentum * velocity if self.nesterov else velocity
        return jnp.concatenate([theta - rate * followed, velocity])

    def covariance(self, theta: Float[Array, " state_dim"], step_index: Any = 0) -> Float[Array, "dim dim"]:
        """Covariance of θ after one step, given the velocity: γ²cV(θ), (1+μ)² times that with Nesterov's; (dim, dim).

        theta, step_index, c: as in MinibatchSGD. The velocity after the step has covariance cV(θ), and moves θ on for
        about 1/(1−μ) steps: the sum of what one gradient does to θ has covariance γ²cV/(1−μ)².
        """
        gain = 1 + jnp.asarray(self.momentum, theta.dtype) if self.nesterov else 1
        return gain**2 * super().covariance(theta, step_index)
