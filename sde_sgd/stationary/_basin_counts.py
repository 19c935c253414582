"""Streaming counts of trajectories in basins: at given times, and over the two halves of a window."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32

from ..engine import AbstractReduction
from ._basins import AbstractBasins, labels


class AtTimesCarry(NamedTuple):
    """counts: trajectories with each label at each look, a total.

    label, witness: of each trajectory at the last look, or the first at which it was in two basins.
    """

    counts: Int32[Array, "looks labels"]
    label: Int32[Array, " n"]
    witness: Float[Array, "dim n"]


class CountsAtTimes(AbstractReduction):
    """How many trajectories have each label at each look.

    rows: of the table of counts, at least as many as looks.
    """

    basins: AbstractBasins
    rows: int = eqx.field(static=True)

    @classmethod
    def of(cls, basins: AbstractBasins, looks: int) -> "CountsAtTimes":
        """A power of two of rows: so few sizes are so few programs."""
        return cls(basins, max(8, 1 << (looks - 1).bit_length()))

    def init(self, thetas):
        counts = jnp.zeros((self.rows, self.basins.count + 3), jnp.int32)
        return AtTimesCarry(counts, jnp.full(thetas.shape[1], -1, jnp.int32), jnp.zeros_like(thetas))

    def update(self, carry, thetas, live, look):
        found = labels(self.basins, thetas)
        which = jnp.arange(self.basins.count + 3, dtype=jnp.int32)[:, None]
        new = jnp.sum((found[None] == which) & live[None], axis=1, dtype=jnp.int32)
        overlapped = carry.label == self.basins.count + 1
        return AtTimesCarry(
            counts=carry.counts.at[look].add(new),
            label=jnp.where(overlapped, carry.label, found),
            witness=jnp.where(overlapped, carry.witness, thetas),
        )

    def result(self, carry, times):
        return carry


class WindowCarry(NamedTuple):
    """visits: looks in each basin and in none, in either half. distance: mean square distance from the start there.

    label: at the last look; basin: the last one that was entered, −1 for none yet; transitions: how often it changed.
    witness: θ at the last look, or the first that lay in two basins, whose label is then kept.
    """

    visits: Int32[Array, "2 basins n"]
    distance: Float[Array, "2 n"]
    label: Int32[Array, " n"]
    basin: Int32[Array, " n"]
    transitions: Int32[Array, " n"]
    witness: Float[Array, "dim n"]


class CountsInWindow(AbstractReduction):
    """In which basins each trajectory is over a window of twice `half` looks.

    origin: θ from which distances are measured.
    """

    basins: AbstractBasins
    origin: Float[np.ndarray, " dim"]
    half: Int[np.ndarray, ""]

    def init(self, thetas):
        lanes = thetas.shape[1]
        none = jnp.full(lanes, -1, jnp.int32)
        return WindowCarry(
            visits=jnp.zeros((2, self.basins.count + 1, lanes), jnp.int32),
            distance=jnp.zeros((2, lanes), thetas.dtype),
            label=none,
            basin=none,
            transitions=jnp.zeros(lanes, jnp.int32),
            witness=jnp.zeros_like(thetas),
        )

    def update(self, carry, thetas, live, look):
        count, half = self.basins.count, look // self.half
        overlapped = carry.label == count + 1
        label = jnp.where(overlapped, carry.label, labels(self.basins, thetas))
        seen = label[None] == jnp.arange(count + 1, dtype=jnp.int32)[:, None]
        # the mean up to now: a sum would outgrow float32
        square = jnp.sum((thetas - jnp.asarray(self.origin, thetas.dtype)[:, None]) ** 2, axis=0)
        mean, number = carry.distance[half], (look % self.half + 1).astype(thetas.dtype)
        basin = jnp.where(_is_basin(count, label), label, carry.basin)
        return WindowCarry(
            visits=carry.visits.at[half].add(seen.astype(jnp.int32)),
            distance=carry.distance.at[half].set(mean + (square - mean) / number),
            label=label,
            basin=basin,
            transitions=carry.transitions + ((basin != carry.basin) & (carry.basin >= 0)).astype(jnp.int32),
            witness=jnp.where(overlapped, carry.witness, thetas),
        )

    def result(self, carry, times):
        return carry


def _is_basin(count: int, label: Int32[Array, " n"]) -> Bool[Array, " n"]:
    """With one basin alone, to leave it is a transition too."""
    return label < count if count > 1 else label <= count
