"""What a run will be, before it is run."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from .._errors import names_options
from .._quantities import bytes_in_words, time_in_words
from ..chains import AbstractChain
from ..results import describe
from ._batched_step import BatchedStep, as_leaves
from ._blocks import check_steps, split_trajectories
from ._devices import mesh_of, workers
from ._simulate import block_memory, resolve_ids, simulate
from ._start import check_first_step, start_states
from ._tuning import Tuning, given_or_of
from .kernel import choose

# a probe that takes less says little
_PROBE_SECONDS = 0.1
_FIRST_PROBE, _LONGEST_PROBE = 64, 2**20


class Plan(NamedTuple):
    """devices: what it runs on, in words. lowering: how a step is compiled. trajectories, steps: as asked for.

    kernel: whether a block of steps is one kernel, or would be, see `Tuning.kernel`; and where there is none, why.
    chunk: trajectories in one compiled call, chunks: how many such calls side by side or in turn, at_once: how many
    of them run side by side, one for each core of a CPU.
    memory: bytes on the devices while it runs, as the compiler reports them; what the chain holds, data say, is there
    before. result: bytes of the final states on the host. peak: what a run adds to the process on a CPU, both together;
    measured, it is within 25 % of that from some 500 MB on; the first time a compiler takes 20 to 160 MB besides.
    compile_seconds: what the first call takes longer; measured. seconds: the rest, from a probe of this chain.
    """

    devices: str
    lowering: str
    trajectories: int
    steps: int
    chunk: int
    chunks: int
    at_once: int
    memory: int
    result: int
    compile_seconds: float
    seconds: float
    kernel: str

    @property
    def peak(self) -> int:
        return self.memory + self.result

    def __str__(self) -> str:
        rate = self.trajectories * self.steps / self.seconds
        held, kept = bytes_in_words(self.memory), bytes_in_words(self.result)
        taken, compiling = time_in_words(self.seconds), time_in_words(self.compile_seconds)
        return "\n".join(
            [
                f"devices   {self.devices}",
                f"step      {self.lowering}",
                f"kernel    {self.kernel}",
                f"chunks    {self.chunks} of {self.chunk:,} trajectories, {min(self.at_once, self.chunks)} at once",
                f"memory    {held} while it runs, {kept} for the final states",
                f"time      {taken} for {self.trajectories:,} trajectories × {self.steps:,} steps "
                f"({rate:.3g} path-steps/s), after {compiling} to compile",
            ]
        )


@names_options
def plan(
    chain: AbstractChain,
    start: Any,
    steps: int,
    trajectories: int,
    *,
    chunk: int | None = None,
    devices: Sequence[Any] | None = None,
    tuning: Tuning | None = None,
) -> Plan:
    """Devices, chunks, memory and expected time of `simulate` with these arguments; a first passage costs about as much
    per step that is really taken.

    chain, start, steps, trajectories, chunk, devices, tuning: as in `simulate`.
    It compiles the program and runs a probe of about 0.1 s, from which the time is extrapolated.
    Raises ValueError as `simulate` does.
    """
    steps = check_steps("steps", steps)
    ids = resolve_ids(trajectories, None)
    starts = start_states(start, chain, len(ids))
    check_first_step(chain, starts)
    mesh = mesh_of(devices)
    tuning = given_or_of(tuning, mesh)
    chunks = split_trajectories(ids, chain, chunk, mesh, tuning)
    at_once = workers(mesh)
    probed = min(len(ids), chunks.size * at_once)

    def run(steps: int) -> float:
        begin = time.perf_counter()
        simulate(
            chain, starts[:probed], steps, probed, chunk=chunks.size, devices=devices, progress=False, tuning=tuning
        )
        return time.perf_counter() - begin

    length = min(steps, _FIRST_PROBE)
    first, taken = run(length), run(length)
    compiling = max(first - taken, 0.0)
    while taken < _PROBE_SECONDS and length < min(steps, _LONGEST_PROBE):
        length = min(steps, _LONGEST_PROBE, 4 * length)
        taken = run(length)
    return Plan(
        devices=describe(list(mesh.devices.flat)),
        lowering=BatchedStep(as_leaves(chain), starts.dtype, tuning).lowering,
        trajectories=len(ids),
        steps=steps,
        chunk=chunks.size,
        chunks=len(chunks.ids),
        at_once=at_once,
        memory=min(at_once, len(chunks.ids)) * block_memory(chain, chunks.size, starts.dtype, mesh, tuning),
        result=len(ids) * chain.dim * np.dtype(starts.dtype).itemsize,
        compile_seconds=compiling,
        seconds=taken * len(ids) * steps / (probed * length),
        kernel=_kernel(as_leaves(chain), starts.dtype, mesh, tuning),
    )


def _kernel(chain: AbstractChain, dtype: Any, mesh: Mesh, tuning: Tuning) -> str:
    choice = choose(chain, None, dtype, mesh, tuning.but(kernel=True))
    return str(choice) if tuning.kernel else f"off; with Tuning(kernel=True): {choice}"
