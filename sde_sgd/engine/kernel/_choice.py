"""Which kind of kernel a block of steps can be on the devices of a run, or why none: lowered once, to see."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ...chains import AbstractChain
from .._tuning import Tuning
from .._watch import AbstractMonitor
from ..lowering import Unlowerable
from ._block import advance, watched
from ._routes import TPU, AbstractRoute, Interpreted, MosaicGPU, Triton

# of a warp group, or of a row of a TPU's tile
_LANES = 128
# a TPU's tile has eight rows
_TPU_LANES = 8 * _LANES


class Choice(NamedTuple):
    """route: from a body to a kernel, or None. reason: why there is none, in words."""

    route: AbstractRoute | None
    reason: str | None = None

    def __str__(self) -> str:
        if self.route is None:
            return f"no kernel, because {self.reason}"
        return f"one kernel a block of steps ({self.route.name}), {self.route.lanes} trajectories in a program of it"


def choose(
    chain: AbstractChain,
    monitor: AbstractMonitor | None,
    dtype: Any,
    mesh: Mesh,
    tuning: Tuning,
    past: bool = False,
) -> Choice:
    """The first kind of kernel that lowers; none where the tuning has kernels off.

    chain, monitor: with numbers as leaves. dtype: of the states. past: whether trajectories have clocks and budgets.
    """
    if not tuning.kernel:
        return Choice(None, "the tuning has them off")
    leaves, structure = jax.tree.flatten((chain, monitor))
    arrays = tuple((leaf.shape, jnp.dtype(leaf.dtype)) for leaf in leaves if hasattr(leaf, "dtype"))
    rest = tuple(_ARRAY if hasattr(leaf, "dtype") else leaf for leaf in leaves)
    device = mesh.devices.flat[0]
    where = device.platform, str(getattr(device, "compute_capability", ""))
    precise = bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]
    return _chosen(structure, arrays, rest, jnp.dtype(dtype), where, tuning, past, precise)


_ARRAY = object()


@functools.lru_cache(maxsize=128)
def _chosen(structure, arrays, rest, dtype, where, tuning, past, precise) -> Choice:
    del precise  # a part of the key only
    reasons = []
    for route in _routes(*where, tuning.kernel_lanes):
        try:
            _lower(route, structure, arrays, rest, dtype, where[0], tuning, past)
            return Choice(route)
        except Unlowerable as obstacle:
            return Choice(None, str(obstacle))
        except Exception as error:  # what a compiler of kernels refuses has no type of its own
            words = (str(error).splitlines() or [""])[0].split(" for lowering semantics")[0]
            reasons.append(f"{route.name}: {type(error).__name__}: {words}")
    return Choice(None, "; ".join(reasons) or f"there is none for devices of platform {where[0]!r}")


def _routes(platform: str, capability: str, lanes: int) -> list[AbstractRoute]:
    """In order of preference."""
    if platform == "cpu":
        return [Interpreted(lanes)]
    if platform == "tpu":
        return [TPU(-(-lanes // _TPU_LANES) * _TPU_LANES)]
    if platform in ("gpu", "cuda"):
        newer = capability.split(".")[0].isdigit() and int(capability.split(".")[0]) >= 9
        return [MosaicGPU(lanes), Triton(lanes)] if newer else [Triton(lanes)]
    return []


def _lower(route, structure, arrays, rest, dtype, platform, tuning: Tuning, past: bool) -> None:
    """Trace a kernel of few steps, and on an accelerator compile it; raises where that cannot be."""
    steps = min(tuning.kernel_steps, 2)
    tuning = tuning.but(kernel_steps=steps)

    def run(leaves, key, guard, states, ids, stop, counts):
        given = iter(leaves)
        chain, monitor = jax.tree.unflatten(structure, [next(given) if each is _ARRAY else each for each in rest])
        if monitor is None:
            return advance(route, chain, states, key, ids, jnp.uint32(0), jnp.int32(64), False, guard, tuning)
        shared = (chain, monitor, key, *((counts, counts) if past else (jnp.uint32(0),) * 2), guard)
        own = (counts, counts) if past else ()
        return watched(route, shared, stop, jnp.int32(64), states, tuning, ids, *own)

    def like(kind, *shape):
        return jax.ShapeDtypeStruct(shape, kind)

    chain, monitor = jax.tree.unflatten(structure, rest)
    del monitor
    word, width = like(jnp.uint32), route.lanes
    counts = like(jnp.uint32, width)
    leaves = [like(kind, *shape) for shape, kind in arrays]
    states, stop = like(dtype, chain.state_dim, width), like(jnp.int32, width)
    traced = jax.jit(run).trace(leaves, (word, word), word, states, counts, stop, counts)
    if platform != "cpu":
        traced.lower().compile()
