"""Minibatch SGD with label noise: fresh Gaussian noise on the targets in every step."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._errors import concrete, is_traced
from .._numerics import as_real
from ..landscapes import EmpiricalRisk
from ..random import normals32
from ._batches import AbstractSGD, check_batches
from ._learning_rate import LearningRate, checked_rate
from ._sampling import AbstractSampling, sampling_of


class LabelNoiseSGD(AbstractSGD):
    """x' = x − γ·(1/M) Σ_m ∇ℓ(x; input i_m, target i_m + σξ_m), with standard normals ξ_m drawn anew in each step.

    For losses whose gradient is affine in the target (squared error) the mean step is SGD's, and the covariance
    γ²(cV + σ²G/M), G = (1/N) Σ_n ∂_y∇ℓ_n (∂_y∇ℓ_n)ᵀ, the mean square of how the gradient of an example answers to its
    target; it does not vanish where all examples are fitted, and drives the chain along their valley towards a small
    Tr ∇²L (Blanc and others 2020; Damian, Ma and Lee 2021). Each number of a target has its own ξ, and an example that
    is drawn twice in a batch has two of them.

    risk, learning_rate, batch_size, replacement: as in MinibatchSGD, whose `sampling` it has.
    deviation: σ ≥ 0, shape (), in units of the targets, which are real numbers.
    Raises ValueError as MinibatchSGD does, and for a deviation below 0 or targets that are no real numbers.
    """

    risk: EmpiricalRisk
    learning_rate: LearningRate
    batch_size: int = eqx.field(static=True)
    deviation: Float[Array, ""] | float
    sampling: AbstractSampling

    def __init__(self, risk: Any, learning_rate: Any, batch_size: Any, deviation: Any, replacement: Any = True):
        self.sampling = sampling_of(replacement)
        self.batch_size = check_batches(risk, batch_size, self.sampling)
        if not jnp.issubdtype(risk.targets.dtype, jnp.floating):
            raise ValueError(f"risk must have real targets for noise on them, got targets of {risk.targets.dtype}")
        check_deviation(deviation)
        self.learning_rate, self.risk, self.deviation = checked_rate(learning_rate), risk, as_real(deviation)

    @property
    def noise_dim(self) -> int:
        # a pair of words makes a pair of normals
        return self.sampling.words(self.batch_size) + 2 * -(-self._normals // 2)

    @property
    def _normals(self) -> int:
        """How many a step takes."""
        return self.batch_size * int(np.prod(self.risk.targets.shape[1:]))

    def batch_gradient(self, theta, indices, words):
        inputs, targets = self.risk.inputs[indices], self.risk.targets[indices].astype(theta.dtype)
        xi = jnp.concatenate(normals32(*jnp.split(words, 2)))[: self._normals].astype(theta.dtype)
        targets = targets + jnp.asarray(self.deviation, theta.dtype) * xi.reshape(targets.shape)
        batch = eqx.tree_at(lambda risk: (risk.inputs, risk.targets), self.risk, (inputs, targets))
        return batch.gradient(theta)

    def move(self, own, gradient, step_index):
        return own - self.rate(step_index, own.dtype) * gradient

    def gradient_covariance(self, theta):
        """Covariance of a step's batch gradient at θ (dim,): cV + σ²G/M, shape (dim, dim), as of the class.

        Exact where the gradient is affine in the target, else to order σ²; N·dim numbers for each number of a target.
        """
        risk = self.risk

        def losses(targets):
            moved = eqx.tree_at(lambda one: one.targets, risk, targets)
            return jax.jacrev(moved.per_example_losses)(theta)

        targets = risk.targets.astype(theta.dtype)
        answers = []
        for number in range(int(np.prod(targets.shape[1:]))):
            direction = jnp.zeros((risk.examples, targets[0].size), theta.dtype).at[:, number].set(1)
            answers.append(jax.jvp(losses, (targets,), (direction.reshape(targets.shape),))[1])
        spread = sum(each.T @ each for each in answers) / (risk.examples * self.batch_size)
        return super().gradient_covariance(theta) + jnp.asarray(self.deviation, theta.dtype) ** 2 * spread


def check_deviation(deviation: Any) -> None:
    """Raise ValueError unless `deviation` is one finite number of at least 0, where it is known."""
    if is_traced(deviation):
        return
    array = concrete(deviation)
    if array is None or array.shape != () or array.dtype == bool or not np.isfinite(array) or array < 0:
        raise ValueError(f"deviation must be a finite number of at least 0, got {deviation!r}")
