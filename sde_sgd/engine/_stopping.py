"""Run trajectories until a monitor stops them: the step and the reason, nothing kept along the way."""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32

from ..chains import AbstractChain
from ._blocks import LANES, as_leaves, pad, split_trajectories
from ._integrate import batched_step, scan_steps
from ._noise import BRIDGE, Key, group_words
from ._normals import uniforms

DIVERGED = 1
"""Code of a trajectory whose state stopped being finite; a monitor's own codes are 2 … 7."""
_CODES = 8
# multiples of the steps that one hash serves
_BLOCKS = (64, 1_024)


class AbstractMonitor(eqx.Module):
    """Watches each step of one trajectory and says when to stop it."""

    uniforms: eqx.AbstractVar[int]
    """How many uniform random numbers it wants per step."""

    @abc.abstractmethod
    def code(
        self,
        before: Float[Array, " dim"],
        after: Float[Array, " dim"],
        step_index: Array,
        uniform: Float[Array, " uniforms"],
    ) -> Int32[Array, ""]:
        """0 to go on, 2 … 7 to stop after this step."""


class Stops(NamedTuple):
    """Per trajectory: step count at the stop (−1 while running at the end) and code (0 while running)."""

    step: Int[np.ndarray, " n"]
    code: Int[np.ndarray, " n"]
    path_steps: int


def run_until_stopped(
    chain: AbstractChain,
    monitor: AbstractMonitor,
    starts: Float[np.ndarray, "n dim"],
    ids: Int[np.ndarray, " n"],
    steps: int | None,
    key: Key,
    chunk: int | None = None,
    max_path_steps: int | None = None,
    on_block: Callable[[int], None] | None = None,
) -> Stops:
    """Run each trajectory until its monitor stops it, at most `steps` steps (None: until all have stopped).

    The host steps compiled blocks and drops stopped trajectories between them, so time goes to those that still run.
    Which trajectories run together changes nothing in their bits.
    max_path_steps: stop between blocks once so many (trajectory, step) pairs were run; what still runs has code 0.
    on_block: called with the number of path-steps of each block.
    """
    chain, monitor = as_leaves(chain), as_leaves(monitor)
    chunks = split_trajectories(ids, chain, chunk)
    stop_step = np.full(len(ids), -1, np.int64)
    stop_code = np.zeros(len(ids), np.int8)
    spent = 0
    for number in range(len(chunks.ids)):
        rows = np.arange(number * chunks.size, number * chunks.size + len(chunks.ids[number]))
        states = jnp.asarray(pad(starts[rows], chunks.size).T)
        words = jnp.asarray(pad(ids[rows], chunks.size).astype(np.uint32))
        stop = jnp.asarray(np.where(np.arange(chunks.size) < len(rows), 0, -1).astype(np.int32))
        first = 0
        while rows.size and (steps is None or first < steps):
            if max_path_steps is not None and spent >= max_path_steps:
                break
            length = _block_length(first, steps)
            states, stop = _block(chain, monitor, key, words, states, stop, jnp.uint32(first), length)
            packed = np.asarray(stop)[: len(rows)]
            new = packed > 0
            stop_step[rows[new]] = first + packed[new].astype(np.int64) // _CODES
            stop_code[rows[new]] = packed[new] % _CODES
            first += length
            spent += length * len(packed)
            if on_block is not None:
                on_block(length * len(packed))
            rows, states, words, stop = _compact(rows, states, words, stop)
    if steps is not None:
        # blocks may run a little past the end; what happened there was not asked for
        late = stop_step > steps
        stop_step[late], stop_code[late] = -1, 0
    return Stops(stop_step, stop_code, spent)


def _block_length(first: int, steps: int | None) -> int:
    """Short blocks at first, where many may leave, then longer ones; two lengths, so few programs."""
    remaining = _BLOCKS[-1] if steps is None else steps - first
    fitting = [length for length in _BLOCKS if length <= remaining and 8 * first >= length]
    return fitting[-1] if fitting else _BLOCKS[0]


def _compact(rows, states, words, stop):
    """Keep the running trajectories once they fit into an eighth of the arrays."""
    running = np.flatnonzero(np.asarray(stop)[: len(rows)] == 0)
    size = stop.shape[0]
    if running.size == 0:
        return rows[:0], states, words, stop
    smaller = size
    while smaller >= 8 * LANES and running.size <= smaller // 8:
        smaller = LANES * -(-(smaller // 8) // LANES)
    if smaller == size:
        # stopped ones stay in place, marked −1: already reported
        return rows, states, words, jnp.where(stop > 0, -1, stop)
    keep = jnp.asarray(pad(running, smaller))
    marks = np.where(np.arange(smaller) < running.size, 0, -1).astype(np.int32)
    return rows[running], states[:, keep], words[keep], jnp.asarray(marks)


@eqx.filter_jit
def _block(chain, monitor, key, ids, states: Float[Array, "dim n"], stop: Int32[Array, " n"], first, steps: int):
    """`stop` is 0 while running, −1 where stopped before, else (steps since `first`)·8 + code."""

    def body(carry, index, noise):
        states, stop = carry
        after = batched_step(chain, states, noise, index)
        finite: Bool[Array, " n"] = jnp.all(jnp.isfinite(after), axis=0)
        uniform = _uniforms(monitor, key, ids, index, states.dtype)
        code = jax.vmap(monitor.code, in_axes=(1, 1, None, 1))(states, after, index, uniform)
        code = jnp.where(finite, code, DIVERGED).astype(jnp.int32)
        running = stop == 0
        offset = (index - first).astype(jnp.int32) + 1
        stop = jnp.where(running & (code > 0), offset * _CODES + code, stop)
        return jnp.where(running & finite, after, states), stop

    return scan_steps(body, (states, stop), chain, key, ids, first, steps, states.dtype, aligned=True)


def _uniforms(monitor, key, ids, index, dtype):
    if monitor.uniforms == 0:
        return jnp.zeros((0, ids.shape[0]), dtype)
    words = group_words(key, ids, index, monitor.uniforms, BRIDGE)
    return uniforms(words[0], dtype)
