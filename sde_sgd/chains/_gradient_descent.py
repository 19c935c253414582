"""Full-batch gradient descent, a chain without noise."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..landscapes import AbstractLandscape, check_landscape
from ._base import NoiseKind
from ._learning_rate import AbstractRateChain, LearningRate, checked_rate


class GradientDescent(AbstractRateChain):
    """x' = x − γ∇L(x): deterministic, so that trajectories differ by their starts alone.

    It is stable at a minimum where γ times the largest eigenvalue of the Hessian (the sharpness) is below 2; training
    of networks with all examples settles near that edge (Cohen and others 2021, arXiv 2103.00065).

    landscape: any; of an EmpiricalRisk each step takes all examples.
    learning_rate: γ > 0, shape (), or an optax schedule, as in MinibatchSGD; one iteration lasts a time γ.
    Raises ValueError for what is no landscape, or a rate that is not as said.
    """

    landscape: AbstractLandscape
    learning_rate: LearningRate

    def __init__(self, landscape: Any, learning_rate: Any):
        check_landscape(landscape)
        self.landscape, self.learning_rate = landscape, checked_rate(learning_rate)

    @property
    def dim(self) -> int:
        return self.landscape.dim

    @property
    def noise_dim(self) -> int:
        return 0

    @property
    def noise_kind(self) -> NoiseKind:
        return "words"

    def step(self, state, noise, step_index):
        return state - self.rate(step_index, state.dtype) * self.landscape.gradient(state)

    def covariance(self, theta: Float[Array, " state_dim"], step_index: Any = 0) -> Float[Array, "dim dim"]:
        """Covariance of x after one step: 0, shape (dim, dim), at every theta and for every step_index."""
        return jnp.zeros((self.dim, self.dim), theta.dtype)
