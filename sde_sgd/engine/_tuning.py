"""Tuning: what was measured to be fast, one row for each kind of device, chosen from the devices of the run."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import jax
from jax.sharding import Mesh

from ..chains import AbstractChain


@dataclasses.dataclass(frozen=True)
class Tuning:
    """How the engine lays out its work.

    steps_fused: most steps in one iteration of the compiled loop where a step has one component. steps_fused_unwatched:
        most where nothing looks at them; steps_fused_bridged: most where trajectories queue and are looked at between
        two steps as well.
    multi_output_fusion: whether one fusion may have many outputs at no extra cost; a CPU computes it once for each.
    steps_fused_many: steps in one iteration where it has several components, each of which reads all others, so that a
        compiler which recomputes what it fuses does work that grows as a power of this.
    trajectories: most in one call on one device. numbers: most numbers (trajectories × components) in one.
    queued_trajectories: most in one call where runs are short and many and queue for the columns of one loop.
    queue_width: how many columns.
    block_work: path-steps after which a block ends, so that Ctrl-C is heard. queue_work: steps times components after
        which a call on a queue ends, for the same reason.
    static_trips: whether the number of iterations is compiled in, for devices that else ask the host each time.
    static_block: steps in one program of a monitored block where it is.
    has_own_memory: whether what lies on the host must be sent to the devices; then what is alike or in order is made
        there.
    options: of the compiler; one that this version of it does not know is left out. loop_options: further ones for
        loops whose end is computed.
    lowering, packing: whether steps are read by components, and whether two arrays may travel as one; off only to
        measure what they are worth.
    least_row: components from which on states that are longer than their noise (networks) lie in rows, (n, dim), and a
        chunk may be of any width; None for never. row_numbers: most numbers in such a chunk.
    patches: whether convolutions are made as products of patches; then a chunk is one trajectory, whose layers fit a
        core's own memory.
    kernel: whether a block of steps is one kernel, where one can be made of it (`engine/kernel`); off until it has been
        measured. kernel_lanes: trajectories in one program of it, 128 times a power of two. kernel_steps: steps in one
        iteration of its loop where a step has one component, a power of two up to 64. kernel_stretch: steps after which
        a program that watches asks whether any of its trajectories still runs.
    most_components, most_operations: beyond these a compiler takes long, matrix products are faster, and a step is not
        read by components.
    """

    steps_fused: int = 8
    steps_fused_unwatched: int = 8
    steps_fused_bridged: int = 8
    multi_output_fusion: bool = False
    steps_fused_many: int = 1
    trajectories: int = 65_536
    numbers: int = 131_072
    queued_trajectories: int = 8_192
    queue_width: int = 128
    block_work: int = 2**26
    queue_work: int = 2**27
    static_trips: bool = False
    static_block: int = 256
    has_own_memory: bool = False
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    loop_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    lowering: bool = True
    packing: bool = True
    most_components: int = 32
    most_operations: int = 4_096
    least_row: int | None = None
    row_numbers: int = 2**20
    patches: bool = False
    kernel: bool = False
    kernel_lanes: int = 256
    kernel_steps: int = 8
    kernel_stretch: int = 64

    @functools.cached_property
    def _hash(self) -> int:
        values = (getattr(self, field.name) for field in dataclasses.fields(self))
        return hash(tuple(frozenset(v.items()) if isinstance(v, Mapping) else v for v in values))

    def __hash__(self) -> int:
        # made once: every call of a compiled program asks for it
        return self._hash

    def has_rows(self, chain: AbstractChain) -> bool:
        """Whether states of `chain` lie one after another, (n, dim): they are long, and longer than a step's noise."""
        return self.least_row is not None and chain.state_dim >= max(self.least_row, chain.noise_dim + 1)

    def steps_in_kernel(self, chain: AbstractChain) -> int:
        """Steps in one iteration of a kernel's loop: fewer with more components, whose hashes overlap already.

        chain: that the kernel runs.
        """
        components = max(chain.state_dim, chain.noise_dim, 1)
        return max(min(2, self.kernel_steps), self.kernel_steps >> (components - 1).bit_length())

    def but(self, **changes: Any) -> "Tuning":
        """The same with some fields changed; changes: field=value."""
        return dataclasses.replace(self, **changes)


CPU = Tuning(
    # every chunk has a core of its own (`workers`)
    options=MappingProxyType({"xla_cpu_prefer_vector_width": 512, "xla_cpu_multi_thread_eigen": False}),
    # the more, the longer a compiler takes, and the fewer of a step's numbers stay in registers
    steps_fused_unwatched=4,
    steps_fused_bridged=2,
    least_row=128,
    patches=True,
)
"""Measured on two x86-64 cores with AVX2 and AVX-512."""
ACCELERATOR = Tuning(
    multi_output_fusion=True,
    steps_fused_many=2,
    trajectories=2**21,
    numbers=2**24,
    queued_trajectories=2**16,
    queue_width=2**16,
    block_work=2**33,
    static_trips=True,
    has_own_memory=True,
    # such a loop is then one graph on the device, which else asks the host after every iteration
    loop_options=MappingProxyType(
        {"xla_gpu_enable_command_buffer": "FUSION,WHILE,CONDITIONAL", "xla_gpu_graph_min_graph_size": 1}
    ),
)
"""Measured on an H100 (`benchmarks/results`)."""
_BY_PLATFORM = {"cpu": CPU}
_CHANGE: ContextVar[tuple[Tuning | None, dict[str, Any]]] = ContextVar("tuning", default=(None, {}))


def tuning_of(devices: Mesh | Sequence[Any] | None = None) -> Tuning:
    """The row for the devices of a run, a mesh or a list, None for all local ones; or what `tuned` says."""
    row, changes = _CHANGE.get()
    if row is None:
        each = devices.devices.flat if isinstance(devices, Mesh) else devices or jax.local_devices()
        row = _BY_PLATFORM.get(next(iter(each)).platform, ACCELERATOR)
    return row.but(**changes) if changes else row


def given_or_of(tuning: Any, devices: Mesh) -> Tuning:
    """The tuning that a call was given, or where that is None the one of its devices.

    Raises ValueError for anything else.
    """
    if not isinstance(tuning, Tuning | None):
        raise ValueError(
            f"tuning must be an engine.Tuning, such as engine.CPU.but(steps_fused=4), or None, got {tuning!r}"
        )
    return tuning or tuning_of(devices)


@contextlib.contextmanager
def tuned(row: Tuning | None = None, **changes: Any) -> Iterator[None]:
    """Runs that begin in this block take another row, or some fields of it otherwise, whatever their devices.

    row: by default that of the devices. changes: field=value, of `Tuning`.

    `with engine.tuned(lowering=False): ss.escape(…)` measures what a part is worth; `steps_fused=1,
    steps_fused_many=1` is one step a fusion, `packing=False` an array for each thing that is carried.
    """
    token = _CHANGE.set((row, changes))
    try:
        yield
    finally:
        _CHANGE.reset(token)
