"""A chain's step for a batch of trajectories: lowered to components where that can be, else mapped by `jax.vmap`."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..chains import AbstractChain
from ..random import increments_of
from ._tuning import Tuning
from .lowering import ComponentArray, Program, Unlowerable, holds

_PROBE = 8

Batch = Any
"""States of many trajectories: a list of one array (n,) for each component, or of one (n, size) for each piece of a
vector that is long, or one array, (dim, n) or (n, dim)."""


class BatchedStep:
    """How the engine reads a chain.

    componentwise: whether the step was lowered to arithmetic on components.
    reason: why not, in words, or None. operations: array operations in one lowered step.
    guard: see `Program.components`.
    """

    def __init__(self, chain: AbstractChain, dtype: Any, tuning: Tuning, guard: Any = None):
        self.chain, self.dtype, self.tuning, self.guard = chain, dtype, tuning, guard
        self._noise_dtype = increments_of(chain.noise_kind).dtype(dtype)
        self._mapped: Callable = chain.step
        self.operations, self.reason = 0, None
        self._most = tuning.most_operations
        try:
            self._read()
        except Unlowerable as obstacle:
            self.reason = str(obstacle)
        except Exception as error:
            # a JAX release that names a primitive's parameter otherwise must cost speed only; what is wrong with the
            # step itself is raised once more where it is mapped
            self.reason = f"the lowering failed: {type(error).__name__}: {error}"
        self._pieces = self._cut() if self.axis == 0 else None

    @property
    def componentwise(self) -> bool:
        return self.reason is None

    @property
    def axis(self) -> int:
        """Which axis of one array of states counts trajectories. Components have an array each, stacked on axis 0."""
        return 0 if not self.componentwise and self.tuning.has_rows(self.chain) else 1

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

    def enter(self, states: Float[Array, "dim n"]) -> Batch:
        if self.componentwise:
            return list(states)
        if self._pieces is not None:
            return jnp.split(states.T, np.cumsum(self._pieces)[:-1], axis=1)
        return states.T if self.axis == 0 else states

    def leave(self, batch: Batch) -> Float[Array, "dim n"]:
        if self.componentwise:
            return jnp.stack(batch)
        return self._whole(batch).T if self.axis == 0 else batch

    def finite(self, batch: Batch) -> Bool[Array, "..."]:
        """Which of the states are finite."""
        if self.componentwise:
            return functools.reduce(operator.and_, map(jnp.isfinite, batch))
        parts = [batch] if self._pieces is None else batch
        return functools.reduce(operator.and_, [jnp.all(jnp.isfinite(part), axis=1 - self.axis) for part in parts])

    def choose(self, which: Bool[Array, " n"], these: Batch, others: Batch) -> Batch:
        """`these` states where `which` says so, else the others."""
        which = which[:, None] if self.axis == 0 else which
        return jax.tree.map(lambda this, other: jnp.where(which, this, other), these, others)

    def step(self, batch: Batch, noise: Any, index) -> Batch:
        """States after step number `index`, one for all or (n,); noise as states, by components or (noise_dim, n)."""
        if self.componentwise:
            components = self._components(self.program, batch, noise, _per_trajectory(index), most=self._most)
            return self._settle(components, batch[0])
        axes = (self.axis, 1, 0 if jnp.ndim(index) else None)
        return jax.vmap(self._mapped, in_axes=axes, out_axes=self.axis)(batch, noise, index)

    def code(self, fn: Callable, before: Batch, after: Batch, index, uniform: list[Array]) -> Array:
        """`fn` of each trajectory's (before, after, index, uniform), shape (n,)."""
        if self.componentwise:
            try:
                return self.lowered_code(fn, before, after, index, uniform)
            except Exception:  # as for a step: what is wrong with `fn` itself is raised below
                before, after = jnp.stack(before), jnp.stack(after)
        before, after = self._whole(before), self._whole(after)
        stacked = jnp.stack(uniform) if uniform else jnp.zeros((0, before.shape[self.axis]), self.dtype)
        axes = (self.axis, self.axis, 0 if jnp.ndim(index) else None, 1)
        return jax.vmap(fn, in_axes=axes)(before, after, index, stacked)

    def lowered_code(self, fn: Callable, before: Batch, after: Batch, index, uniform: list[Array]) -> Array:
        """The same of a lowered step; raises Unlowerable where `fn` cannot be read by components."""
        state = jax.ShapeDtypeStruct((self.chain.state_dim,), self.dtype)
        draws = jax.ShapeDtypeStruct((len(uniform),), self.dtype)
        program = Program(fn, state, state, jax.ShapeDtypeStruct((), jnp.uint32), draws)
        code = self._components(program, before, after, _per_trajectory(index), uniform)[0]
        return jnp.broadcast_to(jnp.asarray(code), after[0].shape)

    def _components(self, program: Program, *arguments: Any, most: int | None = None) -> list[Any]:
        exact_sine = self.tuning.multi_output_fusion
        return program.components(*arguments, guard=self.guard, exact_sine=exact_sine, most=most)[0]

    def _whole(self, batch: Batch) -> Array:
        """The states of a step that is not lowered as one array."""
        return jnp.concatenate(batch, axis=1) if self._pieces is not None else batch

    def _cut(self) -> list[int] | None:
        """Sizes of the pieces of a state in rows; None for a step that has none."""
        try:
            sizes = self.program.pieces()
        except Exception:  # as where a step cannot be read: it costs speed only
            return None
        return sizes if len(sizes) > 1 else None

    def _settle(self, components: list[Any], like: Array) -> list[Array]:
        """Every component as an array of the states' shape and dtype, also one that all trajectories share."""
        return [jnp.broadcast_to(jnp.asarray(each, self.dtype), like.shape) for each in components]

    def _read(self) -> None:
        """Trace the step and try to lower it; raises where that cannot be."""
        chain, tuning = self.chain, self.tuning
        self.program = Program(
            chain.step,
            jax.ShapeDtypeStruct((chain.state_dim,), self.dtype),
            jax.ShapeDtypeStruct((chain.noise_dim,), self._noise_dtype),
            jax.ShapeDtypeStruct((), jnp.uint32),
        )
        self._mapped = lambda *arguments: self.program.batched(*arguments, patches=self.tuning.patches)[0]
        if not tuning.lowering:
            raise Unlowerable("the tuning says so")
        most = max(chain.state_dim, chain.noise_dim)
        if most > tuning.most_components:
            raise Unlowerable(f"{most} components are more than {tuning.most_components}")
        batch = [jax.ShapeDtypeStruct((_PROBE,), self.dtype)] * chain.state_dim
        noise = [jax.ShapeDtypeStruct((_PROBE,), self._noise_dtype)] * chain.noise_dim
        jaxpr = jax.make_jaxpr(self.step)(batch, noise, jax.ShapeDtypeStruct((), jnp.uint32))
        if len(jaxpr.eqns) > tuning.most_operations:
            raise Unlowerable(f"a step has {len(jaxpr.eqns)} operations, more than {tuning.most_operations}")
        # what this trace has counted is not counted anew, where constants may be other arrays
        self.operations, self._most = len(jaxpr.eqns), None


def convolves(chain: AbstractChain) -> bool:
    """Whether a step holds a convolution."""
    real = jnp.zeros(0).dtype
    noise = jax.ShapeDtypeStruct((chain.noise_dim,), increments_of(chain.noise_kind).dtype(real))
    state = jax.ShapeDtypeStruct((chain.state_dim,), real)
    return holds(jax.make_jaxpr(chain.step)(state, noise, jax.ShapeDtypeStruct((), jnp.uint32)), "conv_general_dilated")


def _per_trajectory(scalar: Any) -> Any:
    """A scalar that differs between trajectories, (n,), as the lowering wants it."""
    return ComponentArray([scalar], ()) if jnp.ndim(scalar) else scalar


def as_leaves(tree):
    """The tree with Python floats made arrays, so that another value of them is not another program."""
    leaves, structure = jax.tree.flatten(tree)
    if not any(type(leaf) is float for leaf in leaves):
        return tree
    dtype = jax.dtypes.canonicalize_dtype(float)
    return jax.tree.unflatten(structure, [np.asarray(x, dtype) if type(x) is float else x for x in leaves])
