"""Chunks of trajectories that fit memory, padded to whole vector widths; starts and ids sharded over devices."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, UInt32

from .._errors import positive_integer
from .._numerics import steps_until as steps_until
from ..chains import AbstractChain
from ._batched_step import convolves
from ._devices import shard, shard_arange, shard_broadcast, workers
from ._integrate import MAX_STEPS
from ._tuning import Tuning

# every device's part of a chunk is a multiple of this, so that the compiler makes the same vector code for every chunk
# size and a trajectory replayed alone has the bits it had among thousands
LANES = 64
_CHUNK_BYTES = 2**28
# fewer numbers than this are moved no faster in two parts
_WORTH_A_WORKER = 512


Ids = Int[np.ndarray, " n"] | range
"""Trajectory ids; a range takes no memory, and need not be sent."""


class Chunks(NamedTuple):
    """`ids` cut into chunks of at most `size`, to be filled up with copies of the last id that are then dropped."""

    size: int
    ids: Sequence[Ids]


def default_chunk(chain: AbstractChain, trajectories: int, mesh: Mesh, tuning: Tuning) -> int:
    """Most trajectories in one compiled call: what is fast, fits memory and leaves a part for every worker."""
    dim = chain.state_dim
    fitting = max(LANES, _CHUNK_BYTES // (4 * (8 * dim + 4 * chain.noise_dim)))
    fast = min(tuning.trajectories, max(4_096, tuning.numbers // dim), fitting)
    share = math.ceil(trajectories / (mesh.size * workers(mesh)))
    return mesh.size * min(fast, max(share, _WORTH_A_WORKER // dim, 1))


def smallest_width(chain: AbstractChain, mesh: Mesh) -> int:
    """The smallest chunk: a part of it would be moved no faster, and would only cost another program."""
    return LANES * mesh.size * math.ceil(_WORTH_A_WORKER / chain.state_dim / LANES)


def split_trajectories(
    ids: Ids, chain: AbstractChain, chunk: int | None, mesh: Mesh, tuning: Tuning, whole: bool = False
) -> Chunks:
    """Equal chunks; of whole vector widths on every device, unless the states are rows and need none.

    whole: whether they have to be of whole widths all the same.
    """
    if tuning.has_rows(chain) and not whole:
        return _cut(ids, _rows(len(ids), chain, chunk, mesh, tuning))
    if chunk is None:
        chunk = default_chunk(chain, len(ids), mesh, tuning)
    else:
        positive_integer("chunk", chunk)
    unit = LANES * mesh.size
    number = math.ceil(len(ids) / chunk)
    return _cut(ids, unit * math.ceil(math.ceil(len(ids) / number) / unit))


def _rows(number: int, chain: AbstractChain, chunk: int | None, mesh: Mesh, tuning: Tuning) -> int:
    """How many trajectories in a chunk whose states are rows: an even share of those for each worker, or `chunk`."""
    if chunk is not None:
        positive_integer("chunk", chunk)
        return mesh.size * math.ceil(chunk / mesh.size)
    fast = 1 if tuning.patches and convolves(chain) else max(1, tuning.row_numbers // chain.state_dim)
    parts = mesh.size * workers(mesh)
    return mesh.size * math.ceil(number / (parts * math.ceil(number / (parts * fast))))


def split_branching(ids: np.ndarray, chain: AbstractChain, chunk: int | None, mesh: Mesh, tuning: Tuning) -> Chunks:
    """Chunks of one size for all runs of a chain, so that they share their programs; a part for every worker."""
    if chunk is None:
        chunk = default_chunk(chain, tuning.queued_trajectories * mesh.size * workers(mesh), mesh, tuning)
    else:
        positive_integer("chunk", chunk)
    size = LANES * mesh.size * math.ceil(chunk / LANES / mesh.size)
    parts = min(workers(mesh), math.ceil(len(ids) / smallest_width(chain, mesh)))
    return Chunks(size, np.array_split(ids, max(1, parts, math.ceil(len(ids) / size))))


def _cut(ids: Ids, size: int) -> Chunks:
    return Chunks(size, [ids[start : start + size] for start in range(0, len(ids), size)])


def pad(rows: np.ndarray, size: int) -> np.ndarray:
    """Rows filled up to `size` with copies of the last."""
    return np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)]) if len(rows) < size else rows


def place_states(mesh: Mesh, starts: Float[np.ndarray, "n dim"], size: int) -> Float[Array, "dim size"]:
    """Starts on the devices, filled up with copies of the last."""
    if starts.strides[0] == 0:
        # one for all is written out there
        return shard_broadcast(mesh, starts[0], size)
    return shard(mesh, pad(starts, size).T)


def place_ids(mesh: Mesh, ids: Ids, size: int, tuning: Tuning) -> UInt32[Array, " size"]:
    """Ids on the devices, filled up with copies of the last."""
    if not isinstance(ids, range):
        return shard(mesh, pad(ids, size).astype(np.uint32))
    if tuning.has_own_memory:
        return shard_arange(mesh, ids[0], ids[-1], size)
    return _ids_in_order(mesh, ids[0], ids[-1], size)


# the ids of the chunks used last: sending them takes longer than a short run
@functools.lru_cache(maxsize=64)
def _ids_in_order(mesh: Mesh, first: int, last: int, size: int) -> UInt32[Array, " size"]:
    return shard(mesh, np.minimum(first + np.arange(size), last).astype(np.uint32))


def check_steps(name: str, steps) -> int:
    positive_integer(name, steps)
    if steps > MAX_STEPS:
        raise ValueError(f"{name} must be at most 2**32, got {steps}")
    return int(steps)
