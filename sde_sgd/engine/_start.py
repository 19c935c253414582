"""Checks of the start, made before a run: its shape, and the chain's first step from it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._errors import is_traced
from ..chains import AbstractChain
from ..random import Words, increments_of
from ._batched_step import as_leaves
from ._compiled import Compiled


def check_chain(chain: Any) -> None:
    """Raise ValueError where it is no chain."""
    if not isinstance(chain, AbstractChain):
        raise ValueError(f"chain must be a chain, such as EulerMaruyama(diffusion, dt), got {chain!r}")


def refuse_half(name: str, dtype: np.dtype) -> None:
    """Raise ValueError for floating point of less than 32 bits. name: of the argument."""
    if jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize < 4:
        raise ValueError(f"{name} must be float32 or float64, got {dtype}, in which small steps are lost")


def start_states(start, chain: AbstractChain, trajectories: int) -> Float[np.ndarray, "n state_dim"]:
    """States of the chain at the start, in the floating dtype of `start`, else JAX's default.

    start: θ of shape (dim,) for every trajectory, or (trajectories, dim); its memory is as the chain begins it. Of a
        chain with memory also whole states, (state_dim,) or (trajectories, state_dim), which are taken as they are.
    Raises ValueError for what is no chain, on another shape or a value that is not a finite real number, in half
    precision, and inside jit, vmap or grad.
    """
    check_chain(chain)
    refuse_transformations(start, chain)
    dim = chain.dim
    given = np.dtype(getattr(start, "dtype", float))
    refuse_half("start", given)
    dtype = np.dtype(jax.dtypes.canonicalize_dtype(given if given.kind == "f" else float))
    if given.kind == "c" or np.iscomplexobj(start):
        raise ValueError(f"start must be real, got complex numbers: {start!r}")
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


def refuse_transformations(given, chain: AbstractChain, name: str = "start") -> None:
    """Raise ValueError inside jit, vmap or grad, and where jit is disabled.

    given: the argument called `name`. chain: of the run.
    """
    # inside jit what is computed is traced, whatever the arguments are
    if any(is_traced(leaf) for leaf in [_probe(np.float32(0)), *jax.tree.leaves((given, chain))]):
        raise ValueError(
            f"{name} and the chain must be known numbers, got ones that JAX traces: a run is made of compiled programs "
            "and cannot itself stand inside jit, vmap or grad; there, use sde_sgd.integrate"
        )
    if jax.config.jax_disable_jit:  # pyright: ignore[reportAttributeAccessIssue]
        raise ValueError(
            "jax.disable_jit() must be off for a run, which is made of compiled programs, got it switched on; to look "
            "inside one step, call chain.step(state, noise, step_index)"
        )


# compiled: to look up an operation by itself takes several times as long
_probe = jax.jit(jnp.negative)


def check_first_step(chain: AbstractChain, start: Float[np.ndarray, "n state_dim"]) -> None:
    """Raise ValueError where a run from `start` cannot mean anything.

    That is: the loss there, or the chain's first step from there without noise, is not finite; or every first step
    rounds back to where it began, because dt is too small for the dtype.
    """
    found = np.asarray(_FIRST_STEP.prepare(as_leaves(chain))(start[0]))
    dim = start.shape[1]
    still, moved, loss = found[:dim], found[dim:-1], found[-1]
    if not np.isfinite(loss):
        raise ValueError(f"start must have a finite loss, got a loss of {loss} at {start[0]}")
    if not np.all(np.isfinite(still)):
        raise ValueError(f"start must have a finite gradient and noise, got a first step to {still} from {start[0]}")
    rests = np.array_equal(moved, still) and np.array_equal(still, start[0])
    if rests and _has_noise(chain, start[0]):
        raise ValueError(
            f"dt must be large enough for a step to change the state, got {chain.time_step}: in {start.dtype} a first "
            f"step from {start[0]}, with noise of one standard deviation or without, rounds back to where it began"
        )


def _first_step(chain: AbstractChain, state: Float[Array, " state_dim"]) -> Float[Array, " numbers"]:
    """The state after a first step without noise and after one with noise of 1 in every component, and the loss.

    In one array, so that the device is waited for once: NaN where there is no such noise, 0 where there is no loss.
    """
    increments = increments_of(chain.noise_kind)
    rest = jnp.zeros(chain.noise_dim, increments.dtype(state.dtype))
    parts = [chain.step(state, rest, jnp.uint32(0)), jnp.full_like(state, jnp.nan), jnp.zeros((), state.dtype)]
    if chain.noise_dim and not isinstance(increments, Words):
        parts[1] = chain.step(state, jnp.ones_like(rest), jnp.uint32(0))
    if chain.landscape is not None:
        parts[2] = chain.landscape.loss(chain.theta(state))
    dtype = functools.reduce(jnp.promote_types, (part.dtype for part in parts))
    return jnp.concatenate([jnp.ravel(part).astype(dtype) for part in parts])


def _has_noise(chain: AbstractChain, state: Float[np.ndarray, " state_dim"]) -> bool:
    """Whether the derivative of a step with respect to its noise is not 0: else it rests there by right."""

    def step(size):
        return chain.step(jnp.asarray(state), size * jnp.ones(chain.noise_dim, state.dtype), jnp.uint32(0))

    one = jnp.ones((), state.dtype)
    return bool(jnp.any(jax.jvp(step, (0 * one,), (one,))[1] != 0))


_FIRST_STEP = Compiled(_first_step)
