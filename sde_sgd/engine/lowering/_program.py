"""Component-wise lowering: a function of vectors becomes arithmetic on one array per component.

`jax.grad` of a vector loss is full of slices, pads and concatenations, which keep a compiler from fusing a step with
the noise that drives it. For a small dim the same function can be read as arithmetic on its components: it is traced
to a jaxpr, and every intermediate is kept as an array *of* per-trajectory arrays. Elementwise primitives then map over
those, data movement only renames them, reductions and small products unroll.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from ..._numerics import by_numpy
from ._components import (
    EXACT_SINE,
    GUARD,
    OPERATIONS,
    Component,
    ComponentArray,
    Operations,
    aligned,
    array_of,
    component_array,
    is_constant,
    is_small_constant,
    plain,
)
from ._derivatives import with_rule
from ._patches import is_plain, product_of_patches
from ._pieces import Pieces, arrays_of, in_pieces, short_joined, whole
from ._rules import ELEMENTWISE, MOVEMENTS, RULES, Unlowerable, elementwise

# so often a state is cut as the step gave it, until it is given as it was cut; mostly twice
_MOST_CUTS = 4
# entries of a known array up to which NumPy is asked
_FEW = 256
# primitives that only call what is written in their parameters
CALLS = frozenset(["jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"])


class Program:
    """A function of one trajectory's vectors, traced, with all that no trajectory decides computed beforehand.

    What depends neither on `arguments` nor on the step is evaluated once, when the program is made: a matrix square
    root, say, is not taken again in every step.
    """

    def __init__(self, fn: Callable, *arguments: jax.ShapeDtypeStruct):
        closed = jax.make_jaxpr(fn)(*arguments)
        self._jaxpr = closed.jaxpr
        self._env: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
        self._rest = []
        for equation in live(closed.jaxpr):
            if all(isinstance(v, Literal) or v in self._env for v in equation.invars):
                values = [_read(self._env, v) for v in equation.invars]
                self._env.update(zip(equation.outvars, _evaluate(equation, values), strict=True))
            else:
                self._rest.append(equation)

    def batched(self, *arguments: Any, patches: bool = False) -> list[Any]:
        """Outputs for one trajectory; meant to be mapped over trajectories by `jax.vmap`.

        A first argument that is a list is a vector in pieces, and then so is the first output, cut in the same way.
        patches: whether convolutions are products of patches (`product_of_patches`).
        """
        results = self._whole(arguments, patches)
        first = arguments[0]
        if isinstance(first, list):
            results[0] = Pieces(arrays_of(results[0])).cut([piece.size for piece in first])
        return [whole(result) for result in results]

    def pieces(self) -> list[int]:
        """Sizes of the pieces that a state, the first argument, is best kept in: those that the step makes the next of.

        Short neighbours are one.
        """
        shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in self._jaxpr.invars]
        sizes = [shapes[0].size]
        for _ in range(_MOST_CUTS):
            state = [jax.ShapeDtypeStruct((size,), shapes[0].dtype) for size in sizes]
            out = jax.eval_shape(lambda *given: arrays_of(self._whole(given, False)[0]), state, *shapes[1:])
            found = short_joined([array.size for array in out])
            if found == sizes:
                break
            sizes = found
        return sizes

    def _whole(self, arguments: Sequence[Any], patches: bool) -> list[Any]:
        given = [Pieces(argument) if isinstance(argument, list) else argument for argument in arguments]
        env = dict(self._env) | dict(zip(self._jaxpr.invars, given, strict=True))
        pieces = any(isinstance(argument, Pieces) for argument in given)
        return _run_whole(self._rest, env, self._jaxpr.outvars, patches, pieces)

    def components(
        self, *arguments: Any, guard: Any = None, exact_sine: bool = False, most: int | None = None
    ) -> list[list[Component]]:
        """Outputs as lists of components. Each argument is a list of per-trajectory arrays (n,), or one scalar.

        guard: a uint32 scalar that is 0 when the program runs and that the compiler does not know; with it, the same
            numbers come out of every loop that this is compiled into, to the last bit.
        exact_sine: whether float32 sine and cosine are left to the compiler, which on a CPU is several times slower.
        most: operations beyond which no reading is wanted.
        Raises Unlowerable where a primitive has no reading by components, or where there are more than `most`.
        """
        operations = None if most is None else Operations(most)
        tokens = GUARD.set(guard), EXACT_SINE.set(exact_sine), OPERATIONS.set(operations)
        try:
            return self._components(arguments)
        finally:
            GUARD.reset(tokens[0])
            EXACT_SINE.reset(tokens[1])
            OPERATIONS.reset(tokens[2])

    def _components(self, arguments: Sequence[Any]) -> list[list[Component]]:
        env = dict(self._env)
        for variable, argument in zip(self._jaxpr.invars, arguments, strict=True):
            env[variable] = ComponentArray(argument, (len(argument),)) if isinstance(argument, list) else argument
        for equation in self._rest:
            env.update(
                zip(equation.outvars, _evaluate(equation, [_read(env, v) for v in equation.invars]), strict=True)
            )
        return [
            [plain(component) for component in component_array(_read(env, v)).entries.reshape(-1)]
            for v in self._jaxpr.outvars
        ]


def _run_whole(
    equations: Sequence[Any], env: dict[Any, Any], outvars: Sequence[Any], patches: bool, pieces: bool
) -> list[Any]:
    """The values of `outvars`, every equation evaluated on whole arrays; with `pieces` on vectors in pieces too."""

    def value(variable: Any) -> Any:
        read = _read(env, variable)
        return read if isinstance(read, Pieces) else array_of(read)

    for equation in equations:
        values = [value(v) for v in equation.invars]
        inner = equation.params.get("jaxpr") if equation.primitive.name in CALLS else None
        if (patches or pieces) and isinstance(inner, ClosedJaxpr):
            known = dict(zip(inner.jaxpr.constvars, inner.consts, strict=True))
            called = known | dict(zip(inner.jaxpr.invars, values, strict=True))
            results = _run_whole(live(inner.jaxpr), called, inner.jaxpr.outvars, patches, pieces)
        else:
            results = (pieces and in_pieces(equation, values)) or _run_one(
                equation, [whole(each) for each in values], patches
            )
        env.update(zip(equation.outvars, results, strict=True))
    return [value(v) for v in outvars]


def _run_one(equation: Any, values: list[Any], patches: bool) -> list[Any]:
    if patches and equation.primitive.name == "conv_general_dilated" and is_plain(equation.params):
        return [product_of_patches(*values, equation.params)]
    return _bind(equation, values)


def holds(closed: ClosedJaxpr, primitive: str) -> bool:
    """Whether a program calls the primitive of that name, in what it calls too."""
    return any(
        equation.primitive.name == primitive
        or any(isinstance(each, ClosedJaxpr) and holds(each, primitive) for each in equation.params.values())
        for equation in closed.jaxpr.eqns
    )


def live(jaxpr) -> list[Any]:
    """The equations whose results are used, in order."""
    needed = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    kept = []
    for equation in reversed(jaxpr.eqns):
        if any(v in needed for v in equation.outvars):
            kept.append(equation)
            needed.update(v for v in equation.invars if not isinstance(v, Literal))
    return kept[::-1]


def _read(env: dict[Any, Any], variable: Any) -> Any:
    if not isinstance(variable, Literal):
        return env[variable]
    value: Any = variable.val
    aval: Any = variable.aval
    return np.asarray(value, aval.dtype) if np.ndim(value) == 0 else value


def _evaluate(equation, values: list[Any]) -> list[Any]:
    """The results of one equation: by components where an input is one, else as it stands."""
    name = equation.primitive.name
    if name in CALLS:
        return _inline(equation, values)
    movement = name in MOVEMENTS and all(is_small_constant(value) for value in values)
    if not movement and not any(isinstance(value, ComponentArray) for value in values):
        return _bind(equation, values)
    if all(is_constant(value) for value in values) and not movement:
        return _bind(equation, [array_of(value) for value in values])
    if name == "custom_jvp_call":
        return _custom_jvp(equation, values)
    if name in ELEMENTWISE:
        return [elementwise(equation, values)]
    if name in RULES:
        return RULES[name](equation, values)
    raise Unlowerable(f"'{name}' acts on whole vectors")


def _bind(equation, values: list[Any]) -> list[Any]:
    # within another trace, too, what is known stays known: an index that was computed is still one
    is_known = all(map(is_constant, values))
    # for an array of few entries a compiler takes far longer
    found = by_numpy(equation, values) if is_known and all(np.size(v) <= _FEW for v in values) else None
    if found is not None:
        return [found]
    with jax.ensure_compile_time_eval() if is_known else contextlib.nullcontext():
        results = equation.primitive.bind(*values, **equation.primitive.get_bind_params(equation.params))
    return list(results) if equation.primitive.multiple_results else [results]


def _run(closed: ClosedJaxpr, values: Sequence[Any]) -> list[Any]:
    """The results of a jaxpr; None for one that nothing uses."""
    jaxpr = closed.jaxpr
    env = dict(zip(jaxpr.constvars, closed.consts, strict=True)) | dict(zip(jaxpr.invars, values, strict=True))
    for equation in live(jaxpr):
        env.update(zip(equation.outvars, _evaluate(equation, [_read(env, v) for v in equation.invars]), strict=True))
    return [_read(env, v) for v in jaxpr.outvars]


def _inline(equation, values: list[Any]) -> list[Any]:
    """A call, evaluated inside."""
    inner = equation.params["jaxpr" if "jaxpr" in equation.params else "call_jaxpr"]
    return _run(inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, []), values)


def _custom_jvp(equation, values: list[Any]) -> list[Any]:
    """A function with a derivative rule of its own, evaluated inside; the rule stays with it."""
    shapes = [v.aval.shape for v in equation.invars]
    if any(not jnp.issubdtype(v.aval.dtype, jnp.floating) for v in (*equation.invars, *equation.outvars)):
        raise Unlowerable("a derivative rule for whole numbers")

    def flatten(parts):
        return [component for part in parts for component in component_array(part).entries.reshape(-1)]

    def regroup(components, shapes):
        ends = np.cumsum([int(np.prod(shape, initial=1)) for shape in shapes])
        return [
            ComponentArray(components[end - int(np.prod(shape, initial=1)) : end], shape)
            for shape, end in zip(shapes, ends, strict=True)
        ]

    def function(*components):
        # one operation of the step, whatever is within
        token = OPERATIONS.set(None)
        try:
            return inside(*components)
        finally:
            OPERATIONS.reset(token)

    def inside(*components):
        return aligned(flatten(_inline(equation, regroup(components, shapes))))

    def rule(primals, tangents):
        def both(*arguments):
            half = len(arguments) // 2
            return jax.jvp(lambda *xs: tuple(_bind(equation, list(xs))), arguments[:half], arguments[half:])

        avals = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in equation.invars]
        closed = jax.make_jaxpr(both)(*avals, *avals)
        out = _run(closed, regroup(primals, shapes) + regroup(tangents, shapes))
        half = len(out) // 2
        return aligned(flatten(out[:half])), aligned(flatten(out[half:]))

    return regroup(with_rule(function, rule, aligned(flatten(values))), [v.aval.shape for v in equation.outvars])
