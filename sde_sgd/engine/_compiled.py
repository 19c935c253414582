"""Compiled programs: made once for what decides them, called with little ado, forgotten least recently used first."""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.sharding import Mesh

from ._tuning import Tuning, tuning_of

_MOST_PROGRAMS = 128


class Compiled:
    """A function of (shared, *arrays), compiled as the tuning of its devices says.

    fn: that function.
    shared: any PyTree; its arrays are traced, all else in it decides the program. A Tuning in it, or else the Mesh in
        it, says for which devices; without either it is all local ones.
    data_dependent_loop: whether it is made of a loop whose end is computed.
    most: how many programs are kept. Each new function of a person is a new program; those used longest ago go first.
    """

    def __init__(self, fn: Callable, data_dependent_loop: bool = False, most: int = _MOST_PROGRAMS):
        self._fn, self._data_dependent_loop, self._most = fn, data_dependent_loop, most
        self._programs: OrderedDict[Any, _Program] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many programs are kept now."""
        return len(self._programs)

    def forget(self) -> None:
        """Keep no program: the next call makes its own anew."""
        with self._lock:
            for program in self._programs.values():
                program.jitted.clear_cache()
            self._programs.clear()

    def prepare(self, shared: Any) -> Callable:
        """The function of the arrays alone: what `shared` decides is looked up once for many calls."""
        program, arrays = self._program(shared)
        return functools.partial(program, arrays)

    def memory(self, devices: int, shared: Any, *args: Any) -> int:
        """Bytes on all `devices` during a call with (shared, *args), but for `shared`, which is there before.

        As the compiler reports them, for one of the devices, and as `args` are.
        """
        program, arrays = self._program(shared)
        used: Any = program.jitted.lower(arrays, *args).compile().memory_analysis()
        given = sum(arg.nbytes for arg in args)
        return given + devices * (used.output_size_in_bytes + used.temp_size_in_bytes)

    def _program(self, shared: Any) -> tuple["_Program", list[Any]]:
        leaves, structure = jax.tree.flatten(shared)
        rest = tuple(_ARRAY if hasattr(leaf, "dtype") else leaf for leaf in leaves)
        key = structure, rest, _tuning_for(rest)
        with self._lock:
            if key not in self._programs:
                self._programs[key] = _Program(self._fn, *key, self._data_dependent_loop)
                if len(self._programs) > self._most:
                    self._programs.popitem(last=False)[1].jitted.clear_cache()
            self._programs.move_to_end(key)
            return self._programs[key], [leaf for leaf in leaves if hasattr(leaf, "dtype")]


class _Program:
    def __init__(self, fn: Callable, structure: Any, rest: tuple[Any, ...], tuning: Tuning, data_dependent_loop: bool):
        def flat(arrays, *args):
            left = iter(arrays)
            return fn(jax.tree.unflatten(structure, [next(left) if r is _ARRAY else r for r in rest]), *args)

        self.jitted: Any = jax.jit(flat, compiler_options=dict(known_options(tuning, data_dependent_loop)))
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


def _tuning_for(rest: tuple[Any, ...]) -> Tuning:
    given = next((leaf for leaf in rest if isinstance(leaf, Tuning)), None)
    return given or tuning_of(next((leaf for leaf in rest if isinstance(leaf, Mesh)), None))


def known_options(tuning: Tuning, data_dependent_loop: bool) -> Mapping[str, Any]:
    """Those compiler options of a tuning that this compiler knows."""
    options = dict(tuning.options) | (dict(tuning.loop_options) if data_dependent_loop else {})
    return {name: value for name, value in options.items() if _is_known(name, value)}


@functools.cache
def _is_known(name: str, value: Any) -> bool:
    # any backend reads the options of all
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except Exception:  # the type of the refusal is the compiler's own
        return False
    return True
