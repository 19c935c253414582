"""How the host cuts a run: trajectories into chunks that fit memory, steps into compiled blocks."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, UInt32

from .._errors import positive_integer
from .._numerics import steps_until as steps_until
from ..chains import AbstractChain
from ._devices import count_from, repeat, shard, workers
from ._integrate import MAX_STEPS
from ._lanes import as_leaves
from ._tuning import Compiled, tuning

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


def default_chunk(chain: AbstractChain, trajectories: int, mesh: Mesh) -> int:
    """Most trajectories in one compiled call: what is fast, fits memory and leaves a part for every worker."""
    measured = tuning()
    per_trajectory = 4 * (8 * chain.state_dim + 4 * chain.noise_dim)
    fitting = max(LANES, _CHUNK_BYTES // per_trajectory)
    lanes = min(measured.lanes, max(4_096, measured.values // chain.state_dim), fitting)
    share = math.ceil(trajectories / (mesh.size * workers(mesh)))
    return mesh.size * min(lanes, max(share, _WORTH_A_WORKER // chain.state_dim, 1))


def narrowest(chain: AbstractChain, mesh: Mesh) -> int:
    """Lanes of which a part would be moved no faster: to let lanes go further would only cost another program."""
    return LANES * mesh.size * math.ceil(_WORTH_A_WORKER / chain.state_dim / LANES)


def split_trajectories(ids: Ids, chain: AbstractChain, chunk: int | None, mesh: Mesh) -> Chunks:
    """Equal chunks of whole vector widths on every device."""
    if chunk is None:
        chunk = default_chunk(chain, len(ids), mesh)
    else:
        positive_integer("chunk", chunk)
    unit = LANES * mesh.size
    number = math.ceil(len(ids) / chunk)
    return _cut(ids, unit * math.ceil(math.ceil(len(ids) / number) / unit))


def split_branching(ids: np.ndarray, chain: AbstractChain, chunk: int | None, mesh: Mesh) -> Chunks:
    """Chunks of one size for all runs of a chain, so that they share their programs; a part for every worker."""
    if chunk is None:
        chunk = default_chunk(chain, tuning().branching_lanes * mesh.size * workers(mesh), mesh)
    else:
        positive_integer("chunk", chunk)
    size = LANES * mesh.size * math.ceil(chunk / LANES / mesh.size)
    parts = min(workers(mesh), math.ceil(len(ids) / narrowest(chain, mesh)))
    return Chunks(size, np.array_split(ids, max(1, parts, math.ceil(len(ids) / size))))


def _cut(ids: Ids, size: int) -> Chunks:
    return Chunks(size, [ids[start : start + size] for start in range(0, len(ids), size)])


def pad(rows: np.ndarray, size: int) -> np.ndarray:
    """Rows filled up to `size` with copies of the last."""
    return np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)]) if len(rows) < size else rows


def place_states(mesh: Mesh, starts: Float[np.ndarray, "n dim"], size: int) -> Float[Array, "dim size"]:
    """Starts on the devices, filled up with copies of the last."""
    if tuning().sends and starts.strides[0] == 0:
        return repeat(mesh, starts[0], size)
    return shard(mesh, pad(starts, size).T)


def place_ids(mesh: Mesh, ids: Ids, size: int) -> UInt32[Array, " size"]:
    """Ids on the devices, filled up with copies of the last."""
    if isinstance(ids, range) and tuning().sends:
        return count_from(mesh, ids[0], ids[-1], size)
    numbers = np.arange(ids.start, ids.stop) if isinstance(ids, range) else ids
    return shard(mesh, pad(numbers, size).astype(np.uint32))


def check_steps(name: str, steps) -> int:
    positive_integer(name, steps)
    if steps > MAX_STEPS:
        raise ValueError(f"{name} must be at most 2**32, got {steps}")
    return int(steps)


def start_states(start, chain: AbstractChain, trajectories: int) -> Float[np.ndarray, "n state_dim"]:
    """States of the chain at the start, in the floating dtype of `start`, else JAX's default.

    start: θ of shape (dim,) for every trajectory, or (trajectories, dim); its memory is as the chain begins it. Of a
        chain with memory also whole states, (state_dim,) or (trajectories, state_dim), which are taken as they are.
    Raises ValueError on another shape or a value that is not finite.
    """
    dim = chain.dim
    given = np.dtype(getattr(start, "dtype", float))
    dtype = np.dtype(jax.dtypes.canonicalize_dtype(given if given.kind == "f" else float))
    try:
        array = np.asarray(start, dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(f"start must be an array of shape ({dim},), got {start!r}") from error
    whole = array.shape in ((chain.state_dim,), (trajectories, chain.state_dim))
    if not whole and array.shape not in ((dim,), (trajectories, dim)):
        raise ValueError(f"start must have shape ({dim},) or ({trajectories}, {dim}), got {array.shape}")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"start must be finite, got {start!r}")
    if not whole:
        # one start for all stays one, seen many times
        begun = chain.begin(jnp.asarray(array)) if array.ndim == 1 else jax.vmap(chain.begin)(jnp.asarray(array))
        array = np.asarray(begun)
    return np.broadcast_to(array, (trajectories, chain.state_dim))


def check_first_step(chain: AbstractChain, start: Float[np.ndarray, "n state_dim"]) -> None:
    """Raise ValueError where the loss at `start`, or the chain's first step from there without noise, is not finite."""
    after, loss = _FIRST_STEP.prepare(as_leaves(chain))(start[0])
    if loss is not None and not np.isfinite(loss):
        raise ValueError(f"start must have a finite loss, got a loss of {loss} at {start[0]}")
    if not np.all(np.isfinite(after)):
        raise ValueError(f"start must have a finite gradient and noise, got a first step to {after} from {start[0]}")


def _first_step(chain: AbstractChain, state: Float[Array, " state_dim"]):
    dtype = jnp.uint32 if chain.noise_kind == "words" else state.dtype
    after = chain.step(state, jnp.zeros(chain.noise_dim, dtype), jnp.uint32(0))
    return after, None if chain.landscape is None else chain.landscape.loss(chain.theta(state))


_FIRST_STEP = Compiled(_first_step)
