"""Streaming reductions: what is kept of trajectories, how it is laid out over lanes and devices, and the looks."""

import abc
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32

from ..chains import AbstractChain
from ._batched_step import as_leaves
from ._blocks import LANES
from ._compiled import Compiled
from ._devices import shard, shard_apply
from ._simulate import Part

# integer totals are moved to 64 bits on the host before one could pass 2³¹
_FULL = 2**30


class AbstractReduction(eqx.Module):
    """What is kept of many trajectories while they run: a carry that begins, takes in each look, and is merged.

    `init` and `update` are JAX functions of the lanes of one device: θ of n trajectories as (dim, n). Some lanes may be
    copies that only fill up a vector; `live` tells them. Each leaf of the carry is either

    - *one entry for each trajectory*: its last axis is the n lanes. Copies are dropped by themselves, and the entries
      of all devices and chunks are joined in the order of the trajectories. They are the same bits whatever the chunk
      and the devices, as long as a lane's entries do not look at other lanes and are made without products of matrices,
      which devices round in one way or another as the number of lanes has it.
    - *a total*: its shape does not depend on n. `update` must leave out lanes that are not `live`; totals of all
      devices and chunks are merged on the host, in the order of the trajectories. Totals of integers are exact, the
      same whatever the chunk and the devices: a total must not grow by more than `growth` a trajectory and look, so
      that it can be moved to 64 bits in time. Totals of floats depend on the chunk and the devices in their rounding.

    Which it is, is read off the shapes that `init` makes. Memory does not grow with the number of steps.
    """

    @property
    def growth(self) -> int:
        """Most that an entry of an integer total grows by for each trajectory at a look."""
        return 1

    @abc.abstractmethod
    def init(self, thetas: Float[Array, "dim n"]) -> Any:
        """The carry before the first look, any PyTree of arrays; totals must be what a merge leaves unchanged.

        thetas: θ at the start.
        """

    @abc.abstractmethod
    def update(self, carry: Any, thetas: Float[Array, "dim n"], live: Bool[Array, " n"], look: Int32[Array, ""]) -> Any:
        """The carry after a look, of the same shapes and dtypes.

        thetas: θ now; NaN or infinite in lanes that have diverged. live: lanes that are trajectories of their own.
        look: number of the look, the first is 0.
        """

    def merge(self, first: Any, second: Any) -> Any:
        """Totals of two groups of trajectories as those of both, NumPy arrays on the host; their sums by default.

        first, second: the totals, carries without the trajectories' axis.
        Entries of single trajectories are joined beforehand: here they are None.
        """
        return jax.tree.map(np.add, first, second)

    @abc.abstractmethod
    def result(self, carry: Any, times: Float[np.ndarray, " looks"]) -> Any:
        """The answer. carry: of all trajectories, NumPy arrays. times: SDE time of each look."""


class _Layout(eqx.Module):
    """How a carry is laid out: its structure, and of each leaf whether it has one entry for each trajectory."""

    structure: Any = eqx.field(static=True)
    own: tuple[bool, ...] = eqx.field(static=True)

    def pack(self, carry: Any) -> list[Array]:
        """Leaves whose last axis is cut among the devices: that of a total has length 1 on each."""
        leaves = jax.tree.leaves(carry)
        return [leaf if own else leaf[..., None] for leaf, own in zip(leaves, self.own, strict=True)]

    def unpack(self, leaves: Sequence[Any]) -> Any:
        """The carry of one device."""
        given = [leaf if own else leaf[..., 0] for leaf, own in zip(leaves, self.own, strict=True)]
        return self.carry(given)

    def carry(self, leaves: Sequence[Any]) -> Any:
        """The carry of these leaves, of which some may be None."""
        return jax.tree.unflatten(self.structure, leaves)


def _layout(reduction: AbstractReduction, chain: AbstractChain, dtype: Any) -> _Layout:
    """The layout of a reduction's carry, found without running it; ValueError where it has none."""
    narrow, wide = (_shapes(reduction, chain.dim, lanes, dtype) for lanes in (LANES, 2 * LANES))
    own = []
    for one, other in zip(jax.tree.leaves(narrow), jax.tree.leaves(wide), strict=True):
        grows = one.shape != other.shape
        if grows and (one.shape[:-1], one.shape[-1:]) != (other.shape[:-1], (LANES,)):
            raise ValueError(
                "reduction.init must return arrays whose last axis is the trajectories, or that do not depend on their "
                f"number, got shape {one.shape} for {LANES} trajectories and {other.shape} for {2 * LANES}"
            )
        own.append(grows)
    return _Layout(jax.tree.structure(narrow), tuple(own))


def _shapes(reduction: AbstractReduction, dim: int, lanes: int, dtype: Any) -> Any:
    thetas = jax.ShapeDtypeStruct((dim, lanes), dtype)
    live, look = jax.ShapeDtypeStruct((lanes,), bool), jax.ShapeDtypeStruct((), np.int32)
    method = "init"
    try:
        carry = jax.eval_shape(reduction.init, thetas)
        method = "update"
        after = jax.eval_shape(reduction.update, carry, thetas, live, look)
    except Exception as error:
        words = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"reduction.{method} must be made of JAX operations on arrays, for θ of shape {thetas.shape}, got one that "
            f"fails: {type(error).__name__}: {words}"
        ) from error
    told = [
        (jax.tree.structure(each), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(each)])
        for each in (carry, after)
    ]
    if told[0] != told[1]:
        raise ValueError(f"reduction.update must return a carry like that of init, {carry}, got {after}")
    return carry


def _thetas(chain: AbstractChain | None, states: Float[Array, "state_dim n"]) -> Float[Array, "dim n"]:
    return states if chain is None else jax.vmap(chain.theta, 1, 1)(states)


def _init(shared, states):
    reduction, layout, chain, mesh = shared

    def begin(shared, states):
        reduction, chain = shared
        return layout.pack(reduction.init(_thetas(chain, states)))

    return shard_apply(mesh, begin, (reduction, chain), states)


def _update(shared, states, live, look, *leaves):
    reduction, layout, chain, mesh = shared

    def take(shared, states, live, *leaves):
        reduction, chain, look = shared
        return layout.pack(reduction.update(layout.unpack(leaves), _thetas(chain, states), live, look))

    return shard_apply(mesh, take, (reduction, chain, look), states, live, *leaves)


INIT = Compiled(_init)
UPDATE = Compiled(_update)
"""A look. shared: (reduction, layout, chain, mesh); then states, which lanes are live, its number, and the leaves."""


class _Carry(NamedTuple):
    """states: at the last look. leaves: on the devices. fresh: the totals among them as they were at first, else None.

    moved: totals that have been moved to the host, None where there are none yet.
    """

    live: Bool[Array, " n"]
    states: Float[Array, "state_dim n"]
    leaves: list[Array]
    fresh: list[Array | None]
    moved: Any


class Looks:
    """Takes looks at the parts of a run, side by side, and merges what they leave in the order of the trajectories."""

    def __init__(self, reduction: AbstractReduction, chain: AbstractChain, dtype: Any):
        self._reduction = as_leaves(reduction)
        self._layout = _layout(self._reduction, chain, dtype)
        # a state without memory is θ
        self._chain = as_leaves(chain) if chain.memory else None
        self._parts: dict[int, tuple[Any, Any]] = {}
        self.diverged: list[int] = []

    def visit(self, part: Part, number: int, states: Any, carry: _Carry | None) -> _Carry:
        shared = (self._reduction, self._layout, self._chain, part.mesh)
        if carry is None:
            live = shard(part.mesh, np.arange(states.shape[1]) < part.used)
            leaves = list(INIT.prepare(shared)(states))
            return _Carry(live, states, leaves, self._of_kind(leaves, own=False), None)
        leaves = list(UPDATE.prepare(shared)(states, carry.live, np.int32(number - 1), *carry.leaves))
        carry = carry._replace(states=states, leaves=leaves)
        full = max(1, _FULL // (states.shape[1] * self._reduction.growth))
        return self._emptied(part, carry) if number % full == 0 and self._counts(leaves) else carry

    def finish(self, part: Part, carry: _Carry) -> None:
        own = [
            None if leaf is None else np.asarray(leaf)[..., : part.used]
            for leaf in self._of_kind(carry.leaves, own=True)
        ]
        totals = self._emptied(part, carry).moved
        finite = np.asarray(jnp.all(jnp.isfinite(carry.states), axis=0))[: part.used]
        self._parts[part.rows.start] = (self._layout.carry(own), totals)
        self.diverged.append(int(np.sum(~finite)))

    def carry(self) -> Any:
        """The carry of all trajectories, on the host."""
        own, totals = zip(*(self._parts[start] for start in sorted(self._parts)), strict=True)
        joined = jax.tree.map(lambda *each: np.concatenate(each, axis=-1), *own)
        return eqx.combine(joined, self._merged(totals))

    def _emptied(self, part: Part, carry: _Carry) -> _Carry:
        """The carry with its totals as they were at first, after they were moved to the host."""
        totals = [leaf if leaf is None else _wide(np.asarray(leaf)) for leaf in self._of_kind(carry.leaves, own=False)]
        devices = range(part.mesh.size)
        found = [self._layout.carry([total if total is None else total[..., at] for total in totals]) for at in devices]
        leaves = [leaf if fresh is None else fresh for leaf, fresh in zip(carry.leaves, carry.fresh, strict=True)]
        before = [] if carry.moved is None else [carry.moved]
        return carry._replace(leaves=leaves, moved=self._merged([*before, *found]))

    def _merged(self, totals: Sequence[Any]) -> Any:
        return totals[0] if all(self._layout.own) else functools.reduce(self._reduction.merge, totals)

    def _of_kind(self, leaves: list[Array], own: bool) -> list[Any]:
        """The leaves with one entry for each trajectory, or the totals; None in place of the others."""
        return [leaf if each == own else None for leaf, each in zip(leaves, self._layout.own, strict=True)]

    def _counts(self, leaves: list[Array]) -> bool:
        totals = (leaf for leaf in self._of_kind(leaves, own=False) if leaf is not None)
        return any(np.issubdtype(leaf.dtype, np.integer) for leaf in totals)


def _wide(array: np.ndarray) -> np.ndarray:
    """In 64 bits, where it is a number."""
    kinds = {"i": np.int64, "u": np.int64, "f": np.float64}
    return array.astype(kinds.get(array.dtype.kind, array.dtype))
