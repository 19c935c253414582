"""Whether splitting runs on its devices from first to last, without the host between two runs, and by which loop."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Integer

from ...chains import AbstractChain
from ...engine import MAX_STEPS, AbstractMonitor, SeedKey, as_leaves, shard
from ...engine._devices import mesh_of
from ...engine._population import PopulationLoop, path_steps, population_loop
from .._execution import Execution


class OnDevices(NamedTuple):
    """What a program of several runs is made of.

    chain, monitor: with numbers as leaves; every run has the monitor with bounds of its own. loop: a run, while JAX
    traces. total: trajectories, on all devices.
    """

    chain: AbstractChain
    monitor: Any
    key: SeedKey
    mesh: Mesh
    loop: PopulationLoop
    total: int

    def cut(self, *arrays: Any) -> list[Any]:
        """Arrays on the devices, each with its part of the last axis."""
        return [shard(self.mesh, each) for each in arrays]

    def path_steps(self, steps: Integer[np.ndarray, "..."]) -> int:
        """What so many steps of each run cost, those after a stop in a block included."""
        return path_steps(steps, self.loop.block)


def on_devices(
    run: Execution, monitor: AbstractMonitor, trajectories: int, dtype: Any, last_id: int, parts: int = 1
) -> OnDevices | None:
    """What a program of several runs of so many trajectories is made of, or None where the host asks for each run.

    That is where the devices are the host itself, where not all trajectories fit one queue, where a device has no whole
    number of `parts`, and where ids below `last_id` or steps have more than 32 bits.
    """
    mesh = mesh_of(run.devices)
    if parts % mesh.size or max(run.steps, last_id) >= MAX_STEPS:
        return None
    chain, monitor = as_leaves(run.chain), as_leaves(monitor)
    loop = population_loop(chain, monitor, trajectories, dtype, run.chunk, mesh)
    return None if loop is None else OnDevices(chain, monitor, run.key, mesh, loop, trajectories)


def real(values: Any) -> np.ndarray:
    """In the precision of numbers on the devices."""
    return np.asarray(values).astype(jnp.result_type(float))
