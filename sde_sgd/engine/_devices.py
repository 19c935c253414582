"""Sharding over devices and worker threads over cores: the trajectory axis is cut, all else is on every device."""

import functools
import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

_AXIS = "trajectories"


def mesh_of(devices: Sequence[Any] | None) -> Mesh:
    """The devices to run on: all local ones unless some are named."""
    # one device, or a number of them, is no list
    given = list(devices) if isinstance(devices, Sequence) else []
    chosen = jax.local_devices() if devices is None else given
    if not chosen or not all(isinstance(device, jax.Device) for device in chosen):
        raise ValueError(f"devices must be a list of devices such as jax.devices(), or None for all, got {devices!r}")
    if len(set(chosen)) != len(chosen):
        raise ValueError(f"devices must be different, got {devices!r}")
    return _mesh(tuple(chosen))


@functools.lru_cache(maxsize=64)
def _mesh(devices: tuple[Any, ...]) -> Mesh:
    return Mesh(np.array(devices), (_AXIS,))


def shard(mesh: Mesh, array: Any) -> jax.Array:
    """An array on the devices of `mesh`, its last axis cut; its shape stays."""
    return jax.device_put(array, _cut_last(mesh, np.ndim(array)))


def shard_broadcast(mesh: Mesh, column: np.ndarray, width: int) -> jax.Array:
    """(dim, width) on the devices, each column the one that is given: only that is sent."""
    return _made_there(mesh, _repeated, 2, width)(column)


def shard_arange(mesh: Mesh, first: int, last: int, width: int) -> jax.Array:
    """first, first + 1, … last, last, … as (width,) unsigned words, made on the devices."""
    return _made_there(mesh, _counted, 1, width)(np.uint32(first), np.uint32(last))


def _repeated(column, width: int):
    return jnp.broadcast_to(column[:, None], (len(column), width))


def _counted(first, last, width: int):
    return first + jnp.minimum(jnp.arange(width, dtype=jnp.uint32), last - first)


@functools.lru_cache(maxsize=64)
def _made_there(mesh: Mesh, make: Callable, axes: int, width: int) -> Callable:
    return jax.jit(functools.partial(make, width=width), out_shardings=_cut_last(mesh, axes))


def _cut_last(mesh: Mesh, axes: int) -> Sharding:
    if mesh.size == 1:
        return SingleDeviceSharding(mesh.devices.flat[0])
    return NamedSharding(mesh, PartitionSpec(*(None,) * (axes - 1), _AXIS))


def shard_apply(mesh: Mesh, fn: Callable, shared: Any, *cut: Any) -> Any:
    """fn(shared, *cut) on every device of `mesh` with its part of `cut`, along the last axes; so are the results.

    The devices never wait for each other. `shared` may hold any PyTree.
    """
    if mesh.size == 1:
        return fn(shared, *cut)
    arrays, rest = eqx.partition(shared, eqx.is_array)

    def part(arrays, *cut):
        return fn(eqx.combine(arrays, rest), *cut)

    def last(tree):
        return jax.tree.map(lambda leaf: PartitionSpec(*(None,) * (leaf.ndim - 1), _AXIS), tree)

    results = jax.eval_shape(part, arrays, *cut)
    return jax.shard_map(
        part, mesh=mesh, in_specs=(PartitionSpec(), *map(last, cut)), out_specs=last(results), check_vma=False
    )(arrays, *cut)


def workers(mesh: Mesh) -> int:
    """How many chunks to run at a time: one for each core of a lone CPU device, else one.

    A core that has a chunk of its own never waits for the others; sharing each loop among the cores, as a compiler
    does, costs more the shorter the loop.
    """
    if mesh.size > 1 or mesh.devices.flat[0].platform != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_chunks(work: Callable[[int, threading.Event], None], chunks: int, at_once: int) -> None:
    """work(number, halted) for every chunk from a queue, by so many threads (see `workers`).

    It should end early once `halted` is set, by Ctrl-C or a failure.
    """
    halted = threading.Event()
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(chunks):
        waiting.put(number)

    helpers = min(at_once, chunks) - 1
    if helpers == 0:
        _drain(work, waiting, halted)
        return
    settings = _thread_settings()
    drain = functools.partial(_drain, work, waiting, halted)
    others = [_pool(helpers).submit(settings, drain) for _ in range(helpers)]
    try:
        drain()
    finally:
        # also after Ctrl-C: `halted` ends them within a block
        wait(others)
    for other in others:
        other.result()


def _drain(work: Callable[[int, threading.Event], None], waiting: "queue.SimpleQueue[int]", halted: threading.Event):
    """Work off what waits, until nothing does."""
    try:
        while not halted.is_set():
            work(waiting.get_nowait(), halted)
    except queue.Empty:
        pass
    except BaseException:
        halted.set()
        raise


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that stay: to start them takes as long as a short run."""
    return ThreadPoolExecutor(threads, thread_name_prefix="sde_sgd")


def _thread_settings() -> Callable[[Callable[[], None]], None]:
    """The settings of JAX that hold for this thread, to run something under them in another."""
    config: Any = jax.config
    precise, products = config.jax_enable_x64, config.jax_default_matmul_precision

    def under(fn: Callable[[], None]) -> None:
        with jax.enable_x64(precise), jax.default_matmul_precision(products):
            fn()

    return under
