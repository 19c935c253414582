"""A chain's step for many trajectories at once: by components where that can be, else mapped over trajectories."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..chains import AbstractChain
from .lowering import Cells, Program, Unlowerable

# beyond these a compiler takes long and matrix products are faster
_MOST_COMPONENTS = 32
_MOST_OPERATIONS = 4_096
_PROBE = 8

Lane = Any
"""States of many trajectories: a list of one array (n,) for each component, or one array (dim, n)."""


class Lanes:
    """How the engine reads a chain.

    componentwise: whether the step was lowered to arithmetic on components.
    reason: why not, in words, or None. operations: array operations in one lowered step.
    guard: see `Program.components`.
    """

    def __init__(self, chain: AbstractChain, dtype: Any, guard: Any = None):
        self.chain = chain
        self.dtype = dtype
        self.guard = guard
        noise_dtype = jnp.uint32 if chain.noise_kind == "words" else dtype
        self.program = Program(
            chain.step,
            jax.ShapeDtypeStruct((chain.state_dim,), dtype),
            jax.ShapeDtypeStruct((chain.noise_dim,), noise_dtype),
            jax.ShapeDtypeStruct((), jnp.uint32),
        )
        try:
            self.operations, self.reason = self._probe(noise_dtype), None
        except Unlowerable as obstacle:
            self.operations, self.reason = 0, str(obstacle)

    @property
    def componentwise(self) -> bool:
        return self.reason is None

    @property
    def single(self) -> bool:
        """Whether a step has one component and one noise: then everything fuses into one loop."""
        return self.componentwise and self.chain.state_dim == self.chain.noise_dim == 1

    @property
    def lowering(self) -> str:
        """In words: how a step is compiled."""
        if self.componentwise:
            return f"component-wise, {self.operations} operations a step"
        return f"batched, because {self.reason}"

    def enter(self, states: Float[Array, "dim n"]) -> Lane:
        return list(states) if self.componentwise else states

    def leave(self, lane: Lane) -> Float[Array, "dim n"]:
        return jnp.stack(lane) if self.componentwise else lane

    def step(self, lane: Lane, noise: Any, index) -> Lane:
        """States after step number `index`, one for all or (n,); noise as states, by components or (noise_dim, n)."""
        if self.componentwise:
            return self._settle(self.program.components(lane, noise, _per_lane(index), guard=self.guard)[0], lane[0])
        axes = (1, 1, 0 if jnp.ndim(index) else None)
        return jax.vmap(self.program.batched, in_axes=axes, out_axes=1)(lane, noise, index)[0]

    def code(self, fn: Callable, before: Lane, after: Lane, index, uniform: list[Array]) -> Array:
        """`fn` of each trajectory's (before, after, index, uniform), shape (n,)."""
        if self.componentwise:
            try:
                return self._lowered_code(fn, before, after, index, uniform)
            except Unlowerable:
                before, after = jnp.stack(before), jnp.stack(after)
        stacked = jnp.stack(uniform) if uniform else jnp.zeros((0, before.shape[1]), self.dtype)
        return jax.vmap(fn, in_axes=(1, 1, 0 if jnp.ndim(index) else None, 1))(before, after, index, stacked)

    def _lowered_code(self, fn, before, after, index, uniform):
        state = jax.ShapeDtypeStruct((self.chain.state_dim,), self.dtype)
        draws = jax.ShapeDtypeStruct((len(uniform),), self.dtype)
        program = Program(fn, state, state, jax.ShapeDtypeStruct((), jnp.uint32), draws)
        code = program.components(before, after, _per_lane(index), uniform, guard=self.guard)[0][0]
        return jnp.broadcast_to(jnp.asarray(code), after[0].shape)

    def _settle(self, cells: list[Any], like: Array) -> list[Array]:
        """Every component as an array of the states' shape and dtype, also one that all trajectories share."""
        return [jnp.broadcast_to(jnp.asarray(cell, self.dtype), like.shape) for cell in cells]

    def _probe(self, noise_dtype) -> int:
        chain = self.chain
        if max(chain.state_dim, chain.noise_dim) > _MOST_COMPONENTS:
            most = max(chain.state_dim, chain.noise_dim)
            raise Unlowerable(f"{most} components are more than {_MOST_COMPONENTS}")

        def trial(lane, noise, index):
            return self.step(lane, noise, index)

        self.reason = None
        lane = [jax.ShapeDtypeStruct((_PROBE,), self.dtype)] * chain.state_dim
        noise = [jax.ShapeDtypeStruct((_PROBE,), noise_dtype)] * chain.noise_dim
        jaxpr = jax.make_jaxpr(trial)(lane, noise, jax.ShapeDtypeStruct((), jnp.uint32))
        if len(jaxpr.eqns) > _MOST_OPERATIONS:
            raise Unlowerable(f"a step has {len(jaxpr.eqns)} operations, more than {_MOST_OPERATIONS}")
        return len(jaxpr.eqns)


def _per_lane(scalar: Any) -> Any:
    """A scalar that differs between trajectories, (n,), as the lowering wants it."""
    return Cells([scalar], ()) if jnp.ndim(scalar) else scalar


def as_leaves(tree):
    """The tree with Python floats made arrays, so that another value of them is not another program."""
    dtype = jax.dtypes.canonicalize_dtype(float)
    return jax.tree.map(lambda leaf: np.asarray(leaf, dtype) if type(leaf) is float else leaf, tree)
