"""Minibatch stochastic gradient descent itself, on a data set, drawn with replacement."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, UInt32

from .._errors import concrete, is_traced, positive, positive_integer
from ..landscapes import EmpiricalRisk
from ._base import AbstractChain, NoiseKind

_MOST_ITERATIONS = 2**31
"""Schedules are asked for signed 32-bit integers."""


class MinibatchSGD(AbstractChain):
    """x' = x − γ·(1/M) Σ_m ∇ℓ_{i_m}(x), with M examples i_m drawn uniformly and with replacement.

    One step has mean x − γ∇L(x) and covariance γ²V(x)/M, V the covariance of one example's gradient
    (`sde_sgd.noise.PerExample`). It is no approximation, and its exits are by nature discrete in time.

    risk: an EmpiricalRisk, whose examples are drawn.
    learning_rate: γ > 0, shape (), in SDE time per iteration; or an optax schedule of the iteration count with a
        positive value at 0. One iteration lasts a time γ (a schedule's value at 0), as in LangevinSGD.
    batch_size: M, a whole number of at least 1; it is fixed when the program is compiled.
    Raises ValueError for another landscape, a rate that is not as said, or a batch size that is no such number.
    """

    risk: EmpiricalRisk
    learning_rate: Float[Array, ""] | float | Callable[[Any], Any]
    batch_size: int = eqx.field(static=True)

    def __init__(self, risk: Any, learning_rate: Any, batch_size: Any):
        if not isinstance(risk, EmpiricalRisk):
            raise ValueError(f"risk must be an EmpiricalRisk, which has examples to draw, got {risk!r}")
        if callable(learning_rate):
            positive("learning_rate at iteration 0", learning_rate(0))
        else:
            traced = is_traced(learning_rate)
            if not traced and (concrete(learning_rate) is None or jnp.ndim(learning_rate) != 0):
                raise ValueError(f"learning_rate must be a single number above 0 or a schedule, got {learning_rate!r}")
            positive("learning_rate", learning_rate)
            learning_rate = float(learning_rate) if isinstance(learning_rate, int) else learning_rate
        positive_integer("batch_size", batch_size)
        self.risk = risk
        self.learning_rate = learning_rate
        self.batch_size = int(batch_size)

    @property
    def landscape(self) -> EmpiricalRisk:
        return self.risk

    @property
    def dim(self) -> int:
        return self.risk.dim

    @property
    def noise_dim(self) -> int:
        return self.batch_size

    @property
    def noise_kind(self) -> NoiseKind:
        return "words"

    @property
    def time_step(self) -> Any:
        return self.learning_rate(0) if callable(self.learning_rate) else self.learning_rate

    @property
    def changes_in_time(self) -> bool:
        return callable(self.learning_rate)

    @property
    def what_changes(self) -> str:
        return "a schedule for learning_rate"

    def last_step(self, dtype: Any) -> int:
        return _MOST_ITERATIONS

    def step(self, state, noise, step_index):
        indices = words_to_indices(noise, self.risk.examples)
        rate = self.learning_rate
        if callable(rate):
            # schedules subtract from their count, which an unsigned integer does not survive
            rate = rate(jnp.minimum(step_index, _MOST_ITERATIONS - 1).astype(jnp.int32))
        return state - jnp.asarray(rate, state.dtype) * self._gradient(state, indices)

    def _gradient(self, state, indices):
        if self.batch_size < self.risk.examples:
            return jax.grad(self.risk.batch_loss)(state, indices)
        # one pass over all examples, each weighted by how often it was drawn, costs no more than the batch itself
        counts = jnp.zeros(self.risk.examples, state.dtype).at[indices].add(1)
        return jax.grad(self.risk.weighted_loss)(state, counts / self.batch_size)


def words_to_indices(words: UInt32[Array, " batch"], examples: int) -> Int32[Array, " batch"]:
    """⌊word·N/2³²⌋, exact, for N = `examples` < 2³¹: uniform on 0 … N−1 to within 2⁻³² for each index.

    It is the high half of a 64-bit product put together from 16-bit halves, because JAX has no 64-bit integers by
    default.
    """
    half = jnp.uint32(0xFFFF)
    high, low = words >> 16, words & half
    examples_high, examples_low = jnp.uint32(examples >> 16), jnp.uint32(examples & 0xFFFF)
    cross, other = low * examples_high, high * examples_low
    carry = ((low * examples_low) >> 16) + (cross & half) + (other & half)
    return (high * examples_high + (cross >> 16) + (other >> 16) + (carry >> 16)).astype(jnp.int32)
