"""Sampling of minibatches: with replacement, without, and in reshuffled epochs, from counters and keys alone."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, UInt32

from ._exact_words import numbers_of, words_of
from ._shuffle import shuffled

_MOST_BATCHES = 2**24
"""A float32 state counts no further."""


class AbstractSampling(eqx.Module):
    """Which M = `batch_size` of N = `examples` examples a step takes; every batch is uniform among those it may be.

    What an epoch needs to know of itself lies behind all else in a chain's memory (`place`), so that a trajectory goes
    on with its epoch wherever it is cut, replayed or branched.
    """

    @property
    def memory(self) -> int:
        """Numbers that it keeps in the state; they begin at 0."""
        return 0

    def check(self, examples: int, batch_size: int) -> None:
        """Raise ValueError where there is no batch of `batch_size` among so many `examples`."""

    @abc.abstractmethod
    def words(self, batch_size: int) -> int:
        """How many random words a step takes, for batches of `batch_size`."""

    @abc.abstractmethod
    def draw(
        self, place: Float[Array, " memory"], words: UInt32[Array, " words"], examples: int, batch_size: int
    ) -> tuple[Int32[Array, " batch_size"], Float[Array, " memory"]]:
        """Indices of a step's batch, (batch_size,), and what is kept for the next step.

        place: what was kept, (memory,). words: the step's, (words,). examples, batch_size: N and M.
        """

    @abc.abstractmethod
    def variance(self, examples: int, batch_size: int) -> float:
        """c, such that the mean of a batch of `batch_size` among so many `examples` has covariance cV; a number.

        V is the covariance of one example, with the divisor N.
        """


class WithReplacement(AbstractSampling):
    """M independent draws, each uniform on all examples, one word for each. Exact: c = 1/M."""

    def words(self, batch_size):
        return batch_size

    def draw(self, place, words, examples, batch_size):
        return words_to_indices(words, examples), place

    def variance(self, examples, batch_size):
        return 1 / batch_size


class _WithoutRepetition(AbstractSampling):
    """What samplings share that take no example twice within a batch."""

    def check(self, examples, batch_size):
        if batch_size > examples:
            raise ValueError(
                f"batch_size must be at most {examples}, the number of examples, where none is drawn twice, "
                f"got {batch_size}; take replacement=True for more"
            )

    def words(self, batch_size):
        """The two words of a shuffle's key."""
        return 2

    def variance(self, examples, batch_size):
        return (examples - batch_size) / (batch_size * max(examples - 1, 1))


class WithoutReplacement(_WithoutRepetition):
    """M different examples, all subsets alike, anew in each step: c = (N−M)/(M(N−1)).

    They are the first M of a keyed random order of all (`chains/_shuffle.py`); c is exact (Cochran 1977, theorem 2.2).
    """

    def draw(self, place, words, examples, batch_size):
        return shuffled((words[0], words[1]), jnp.arange(batch_size, dtype=jnp.uint32), examples), place


class ReshuffledEpochs(_WithoutRepetition):
    """Each epoch goes once through a new random order of the examples, M at a time (random reshuffling).

    An epoch has ⌊N/M⌋ steps. Where M does not divide N, the N mod M examples that the order leaves at its end are not
    used in that epoch; it leaves others the next time. So all batches are of one size, as where a data loader drops the
    incomplete one. A step seen by itself is as without replacement, c = (N−M)/(M(N−1)); steps of one epoch depend on
    each other, with covariance −V/(N−1) between the means of two batches. Exact, as two draws without replacement have
    it (Cochran 1977, theorem 2.2 with M = 2).

    In the memory it keeps how many steps of the epoch are done and the epoch's key of 64 bits, drawn at its first step:
    exact in float32 and float64, refused in less. Trajectories that begin together have their epochs together.
    """

    @property
    def memory(self) -> int:
        return 5

    def check(self, examples, batch_size):
        super().check(examples, batch_size)
        if examples // batch_size > _MOST_BATCHES:
            raise ValueError(
                f"batch_size must be at least {-(-examples // _MOST_BATCHES)} for epochs of at most 2**24 steps over "
                f"{examples} examples, got {batch_size}"
            )

    def draw(self, place, words, examples, batch_size):
        done = jax.lax.stop_gradient(place[0]).astype(jnp.int32).astype(jnp.uint32)
        key = jnp.where(done == 0, words, words_of(place[1:]))
        places = done * jnp.uint32(batch_size) + jnp.arange(batch_size, dtype=jnp.uint32)
        indices = shuffled((key[0], key[1]), places, examples)
        done = jnp.where(done + 1 >= examples // batch_size, jnp.uint32(0), done + 1)
        kept = [done.astype(jnp.int32).astype(place.dtype)[None], numbers_of(key, place.dtype)]
        return indices, jnp.concatenate(kept)


_SHORT: dict[Any, AbstractSampling] = {
    True: WithReplacement(),
    False: WithoutReplacement(),
    "epoch": ReshuffledEpochs(),
}


def sampling_of(replacement: Any) -> AbstractSampling:
    """The sampling that `replacement` means: True, False, "epoch" or a sampling itself; ValueError for others."""
    if isinstance(replacement, AbstractSampling):
        return replacement
    if not isinstance(replacement, bool | str) or replacement not in _SHORT:
        raise ValueError(
            "replacement must be True, False (no example twice in a batch), 'epoch' (reshuffled epochs) or a sampling "
            f"such as chains.ReshuffledEpochs(), got {replacement!r}"
        )
    return _SHORT[replacement]


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
