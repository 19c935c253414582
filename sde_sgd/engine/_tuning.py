"""What was measured to be fast, one row for each kind of device."""

import functools
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Tuning(NamedTuple):
    """How the engine lays out its work.

    steps_fused: steps in one iteration of the compiled loop where a step has one component.
    fuses_many: whether one fusion may have many outputs at no extra cost; a CPU computes it once for each of them.
    steps_fused_many: steps in one iteration where it has several, each of which reads all others, so that a compiler
        which recomputes what it fuses does work that grows as a power of this.
    lanes: most trajectories in one call on one device. values: most numbers (trajectories × components) in one.
    branching_lanes: most in one call where runs are short and many and queue for lanes. queue_lanes: how many lanes.
    block_work: path-steps after which a block ends, so that Ctrl-C is heard.
    static_trips: whether the number of iterations is compiled in, for devices that else ask the host each time.
    sends: whether what lies on the host must be sent to the devices; then what is alike or in order is made there.
    options: of the compiler; one that this version of it does not know is left out. loop_options: further ones for
        loops whose end is computed.
    """

    steps_fused: int
    fuses_many: bool
    steps_fused_many: int
    lanes: int
    values: int
    branching_lanes: int
    queue_lanes: int
    block_work: int
    static_trips: bool
    sends: bool
    options: dict[str, Any]
    loop_options: dict[str, Any]


# CPU: measured on two x86-64 cores with AVX2; accelerators: on an H100 (benchmarks/results)
_TABLE = {
    "cpu": Tuning(
        steps_fused=8,
        fuses_many=False,
        steps_fused_many=1,
        lanes=65_536,
        values=131_072,
        branching_lanes=8_192,
        queue_lanes=128,
        block_work=2**26,
        static_trips=False,
        sends=False,
        # every chunk has a core of its own (`workers`)
        options={"xla_cpu_prefer_vector_width": 512, "xla_cpu_multi_thread_eigen": False},
        loop_options={},
    ),
}
_ACCELERATOR = Tuning(
    steps_fused=8,
    fuses_many=True,
    steps_fused_many=2,
    lanes=2**21,
    values=2**24,
    branching_lanes=2**16,
    queue_lanes=2**16,
    block_work=2**33,
    static_trips=True,
    sends=True,
    options={},
    # such a loop is then one graph on the device, which else asks the host after every iteration
    loop_options={
        "xla_gpu_enable_command_buffer": "FUSION,WHILE,CONDITIONAL",
        "xla_gpu_graph_min_graph_size": 1,
    },
)


def tuning() -> Tuning:
    """The row of JAX's default backend."""
    return _TABLE.get(jax.default_backend(), _ACCELERATOR)


class Compiled:
    """A function of (shared, *arrays), compiled as the backend's tuning says and called with little ado.

    shared: any PyTree; its arrays are traced, all else in it decides the program. ends_itself: whether it is made of
        a loop whose end is computed.
    """

    def __init__(self, fn: Callable, ends_itself: bool = False):
        self._fn, self._ends_itself = fn, ends_itself
        self._programs: dict[Any, _Program] = {}
        self._lock = threading.Lock()

    def prepare(self, shared: Any) -> Callable:
        """The function of the arrays alone: what `shared` decides is looked up once for many calls."""
        program, arrays = self._program(shared)
        return functools.partial(program, arrays)

    def memory(self, shared: Any, *args: Any) -> int:
        """Bytes on the devices during a call, as the compiler reports them."""
        program, arrays = self._program(shared)
        used: Any = program.jitted.lower(arrays, *args).compile().memory_analysis()
        return used.argument_size_in_bytes + used.output_size_in_bytes + used.temp_size_in_bytes

    def _program(self, shared: Any) -> tuple["_Program", list[Any]]:
        leaves, structure = jax.tree.flatten(shared)
        rest = tuple(_ARRAY if hasattr(leaf, "dtype") else leaf for leaf in leaves)
        with self._lock:
            if (structure, rest) not in self._programs:
                self._programs[structure, rest] = _Program(self._fn, structure, rest, self._ends_itself)
            return self._programs[structure, rest], [leaf for leaf in leaves if hasattr(leaf, "dtype")]


class _Program:
    def __init__(self, fn: Callable, structure: Any, rest: tuple[Any, ...], ends_itself: bool):
        def flat(arrays, *args):
            left = iter(arrays)
            return fn(jax.tree.unflatten(structure, [next(left) if r is _ARRAY else r for r in rest]), *args)

        self.jitted = jax.jit(flat, compiler_options=_known_options(ends_itself))
        self._ready: set[Any] = set()
        self._lock = threading.Lock()

    def __call__(self, arrays, *args):
        key = tuple((arg.shape, arg.dtype) for arg in (*arrays, *args))
        if key in self._ready:
            return self.jitted(arrays, *args)
        # two workers that need the same program wait for one to make it
        with self._lock:
            result = self.jitted(arrays, *args)
            self._ready.add(key)
        return result


_ARRAY = object()


def _known_options(ends_itself: bool) -> dict[str, Any]:
    row = tuning()
    options = row.options | (row.loop_options if ends_itself else {})
    return {name: value for name, value in options.items() if _is_known(jax.default_backend(), name, value)}


@functools.cache
def _is_known(backend: str, name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except Exception:  # the type of the refusal is the compiler's own
        return False
    return True
