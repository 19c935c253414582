"""What is counted on the devices between looks, one column for each trajectory."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int32

from ..engine import Compiled, shard, shard_apply
from ._basins import labels


class Tally(NamedTuple):
    """visits: looks in each basin and elsewhere, in either half. distance: mean square distance from the start there.

    label: at the last look; basin: the last one that was entered, −1 for none yet; transitions: how often it changed.
    witness: the state at the last look, or the first that lay in two basins, whose label is then kept.
    """

    visits: Int32[Array, "2 basins n"]
    distance: Float[Array, "2 n"]
    label: Int32[Array, " n"]
    basin: Int32[Array, " n"]
    transitions: Int32[Array, " n"]
    witness: Float[Array, "dim n"]


def empty_tally(mesh: Mesh, count: int, states: Float[Array, "dim n"]) -> Tally:
    """The tally before the first look."""
    lanes = states.shape[1]
    none = np.full(lanes, -1, np.int32)
    arrays = (
        np.zeros((2, count + 1, lanes), np.int32),
        np.zeros((2, lanes), states.dtype),
        none,
        none,
        np.zeros(lanes, np.int32),
        np.zeros(states.shape, states.dtype),
    )
    return Tally(*(shard(mesh, array) for array in arrays))


def _tally(shared, states, *args):
    basins, origin, mesh = shared
    *tally, half, number = args
    return shard_apply(mesh, _look, (basins, origin, half, number), states, *tally)


def _look(shared, states, *tally) -> Tally:
    basins, origin, half, number = shared
    old = Tally(*tally)
    overlapped = old.label == basins.count + 1
    label = jnp.where(overlapped, old.label, labels(basins, states))
    seen = label[None] == jnp.arange(basins.count + 1, dtype=jnp.int32)[:, None]
    # the mean up to now: a sum would outgrow float32
    square = jnp.sum((states - jnp.asarray(origin, states.dtype)[:, None]) ** 2, axis=0)
    mean = old.distance[half]
    basin = jnp.where(_is_basin(basins.count, label), label, old.basin)
    return Tally(
        visits=old.visits.at[half].add(seen.astype(jnp.int32)),
        distance=old.distance.at[half].set(mean + (square - mean) / number.astype(states.dtype)),
        label=label,
        basin=basin,
        transitions=old.transitions + ((basin != old.basin) & (old.basin >= 0)).astype(jnp.int32),
        witness=jnp.where(overlapped, old.witness, states),
    )


def _is_basin(count: int, label: Int32[Array, " n"]) -> Bool[Array, " n"]:
    """With one basin alone, to leave it is a transition too."""
    return label < count if count > 1 else label <= count


TALLY = Compiled(_tally)
"""A look. shared: (basins, origin, mesh); then states, the tally's arrays, the half, the look's number in it from 1."""
