"""SVAG: stochastic variance-amplified gradient descent, between SGD and its diffusion."""

import math
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from .._errors import positive_integer
from ..landscapes import EmpiricalRisk
from ._batches import AbstractSGD, check_batches, drawn
from ._learning_rate import checked_rate
from ._sampling import AbstractSampling, ReshuffledEpochs, sampling_of


class SVAG(AbstractSGD):
    """x' = x − (γ/l)·∇[a₊L_{B₁}(x) + a₋L_{B₂}(x)], a± = (1 ± √(2l−1))/2, with two independent batches of M examples.

    A step lasts a time γ/l. It has mean −(γ/l)∇L and covariance γ²V/(Ml) with replacement (a₊² + a₋² = l), times
    (N−M)/(N−1) without: per time the same as SGD's for every l, so that l = 1 is MinibatchSGD, bit for bit, and its
    law tends to that of the diffusion LangevinSGD with PerExample noise as l grows. Where SVAG at large l agrees with
    SGD, so does the diffusion.

    risk, learning_rate, batch_size, replacement: as in MinibatchSGD, whose `sampling` it has, but for one number as γ
        (no schedule) and for no epochs, whose batches are not independent.
    l: a whole number of at least 1; a step costs two batches, one for l = 1. Fixed when the program is compiled.
    Source: Li, Malladi and Arora (2021, arXiv 2102.12470). Raises ValueError as MinibatchSGD does, and for an l below
    1, a schedule or epochs.
    """

    risk: EmpiricalRisk
    learning_rate: Float[Array, ""] | float
    batch_size: int = eqx.field(static=True)
    l: int = eqx.field(static=True)
    sampling: AbstractSampling

    def __init__(self, risk: Any, learning_rate: Any, batch_size: Any, l: Any, replacement: Any = True):
        self.sampling = sampling_of(replacement)
        if isinstance(self.sampling, ReshuffledEpochs):
            raise ValueError(
                "replacement must be True or False for SVAG, whose two batches are independent, got reshuffled epochs"
            )
        self.batch_size = check_batches(risk, batch_size, self.sampling)
        positive_integer("l", l)
        self.learning_rate, self.risk, self.l = checked_rate(learning_rate, schedules=False), risk, int(l)

    @property
    def time_step(self) -> Any:
        rate: Any = self.learning_rate
        return rate / self.l if self.l > 1 else rate

    @property
    def noise_dim(self) -> int:
        return self.sampling.words(self.batch_size) * (2 if self.l > 1 else 1)

    @property
    def amplitudes(self) -> tuple[float, float]:
        """a₊ and a₋."""
        root = math.sqrt(2 * self.l - 1)
        return (1 + root) / 2, (1 - root) / 2

    def batch_gradient(self, theta, indices, words):
        if self.l == 1:
            return super().batch_gradient(theta, indices, words)
        risk, (one, other) = self.risk, self.amplitudes
        more, _ = self.sampling.draw(theta[:0], words, risk.examples, self.batch_size)
        if self.batch_size < risk.examples:
            return jax.grad(lambda x: one * risk.batch_loss(x, indices) + other * risk.batch_loss(x, more))(theta)
        counts, counts_more = (drawn(each, risk.examples, theta.dtype) for each in (indices, more))
        weights = one * counts + other * counts_more
        return jax.grad(risk.weighted_loss)(theta, weights / self.batch_size)

    def move(self, own, gradient, step_index):
        rate = self.rate(step_index, own.dtype)
        return own - (rate / self.l if self.l > 1 else rate) * gradient

    def covariance(self, theta: Float[Array, " state_dim"], step_index: Any = 0) -> Float[Array, "dim dim"]:
        """Covariance of x after one step: γ²cV(x)/l, shape (dim, dim); l steps, a time γ, have SGD's γ²cV.

        theta, step_index, c: as in MinibatchSGD.
        """
        return super().covariance(theta, step_index) / self.l
