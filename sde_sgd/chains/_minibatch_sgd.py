"""Minibatch stochastic gradient descent itself, on a data set."""

from typing import Any

import equinox as eqx

from ..landscapes import EmpiricalRisk
from ._batches import AbstractSGD, check_batches
from ._learning_rate import LearningRate, checked_rate
from ._sampling import AbstractSampling, sampling_of


class MinibatchSGD(AbstractSGD):
    """x' = x − γ·(1/M) Σ_m ∇ℓ_{i_m}(x), with M examples i_m drawn uniformly: SGD itself.

    One step has mean x − γ∇L(x) and covariance γ²V(x)/M where it draws with replacement, γ²V(x)/M·(N−M)/(N−1) without,
    V the covariance of one example's gradient (`sde_sgd.noise.PerExample`); a step of a reshuffled epoch, seen by
    itself, is as one without (Cochran 1977, theorem 2.2). It is no approximation, and its exits are by nature discrete
    in time. Source: Robbins and Monro 1951.

    risk: an EmpiricalRisk, whose examples are drawn.
    learning_rate: γ > 0, shape (), in SDE time per iteration; or an optax schedule of the iteration count with a
        positive value at 0. One iteration lasts a time γ (a schedule's value at 0), as in LangevinSGD.
    batch_size: M, a whole number of at least 1; it is fixed when the program is compiled.
    replacement: True; False, for M different examples in every step; "epoch", for reshuffled epochs, in which each
        example is taken once before any is again (where M does not divide N the last N mod M are dropped); or a
        `sampling` itself (`chains.WithReplacement()`, `WithoutReplacement()`, `ReshuffledEpochs()`).
    Raises ValueError for another landscape, a rate that is not as said, a batch size that is no such number or above N
    without replacement, or what is no sampling.
    """

    risk: EmpiricalRisk
    learning_rate: LearningRate
    batch_size: int = eqx.field(static=True)
    sampling: AbstractSampling

    def __init__(self, risk: Any, learning_rate: Any, batch_size: Any, replacement: Any = True):
        self.sampling = sampling_of(replacement)
        self.batch_size = check_batches(risk, batch_size, self.sampling)
        self.learning_rate = checked_rate(learning_rate)
        self.risk = risk

    def move(self, own, gradient, step_index):
        return own - self.rate(step_index, own.dtype) * gradient
