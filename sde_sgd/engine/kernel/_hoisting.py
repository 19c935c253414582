"""Hoisting: what no trajectory and no step decides is computed before a kernel begins, which takes it as scalars.

A kernel may not close over arrays, and knows the primitives of JAX only. So a function of tiles (one value for each
lane) is traced, calls and primitives of our own are replaced by what they compute, and equations that depend on no
argument are evaluated at once.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal

from ..lowering import BODIES, CALLS, Unlowerable, live


class Hoisted:
    """A function of tiles and scalars, in two parts: `values`, computed by now, and the rest, to be run in a kernel.

    values: scalars that the rest takes.
    """

    def __init__(self, fn: Callable, tile: tuple[int, ...], *arguments: Any):
        """fn: takes PyTrees like `arguments` (ShapeDtypeStructs). tile: the shape of what has a value for each lane.

        Raises Unlowerable where the rest would take an array that is no tile.
        """
        closed, shapes = jax.make_jaxpr(fn, return_shape=True)(*arguments)
        flat: Any = jax.make_jaxpr(lambda *given: _inlined(closed, given))(*closed.in_avals)
        self._structure = jax.tree.structure(shapes)
        self._inputs, self._outputs = flat.jaxpr.invars, flat.jaxpr.outvars
        known = dict(zip(flat.jaxpr.constvars, flat.consts, strict=True))
        self._rest = []
        for equation in live(flat.jaxpr):
            makes_tiles = any(variable.aval.shape == tile for variable in equation.outvars)
            if makes_tiles or not all(isinstance(v, Literal) or v in known for v in equation.invars):
                self._rest.append(equation)
            else:
                results = _bound(equation, [_value(known, v) for v in equation.invars])
                known.update(zip(equation.outvars, results, strict=True))
        wanted = (v for equation in self._rest for v in equation.invars)
        taken = [v for v in (*wanted, *self._outputs) if not isinstance(v, Literal) and v in known]
        self._taken = list(dict.fromkeys(taken))
        for variable in self._taken:
            if variable.aval.shape != ():
                raise Unlowerable(f"a step needs an array of shape {variable.aval.shape} that all trajectories share")
        self.values = [known[variable] for variable in self._taken]

    def __call__(self, values: Sequence[Any], *arguments: Any) -> Any:
        """The function's result, within a kernel. values: the `values`, as the kernel has read them."""
        env = dict(zip(self._taken, values, strict=True))
        env |= dict(zip(self._inputs, jax.tree.leaves(arguments), strict=True))
        for equation in self._rest:
            results = _bound(equation, [_value(env, v) for v in equation.invars])
            env.update(zip(equation.outvars, results, strict=True))
        return jax.tree.unflatten(self._structure, [_value(env, v) for v in self._outputs])


def _inlined(closed: ClosedJaxpr, arguments: Sequence[Any]) -> list[Any]:
    """The results of a jaxpr without calls and without primitives of our own."""
    env = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    env |= dict(zip(closed.jaxpr.invars, arguments, strict=True))
    for equation in live(closed.jaxpr):
        values = [_value(env, v) for v in equation.invars]
        env.update(zip(equation.outvars, _replaced(equation, values), strict=True))
    return [_value(env, v) for v in closed.jaxpr.outvars]


def _replaced(equation: Any, values: list[Any]) -> Sequence[Any]:
    primitive, parameters = equation.primitive, equation.params
    if primitive.name in CALLS:
        inner = parameters["jaxpr" if "jaxpr" in parameters else "call_jaxpr"]
        return _inlined(inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, []), values)
    if primitive in BODIES:
        return _inlined(jax.make_jaxpr(lambda *given: BODIES[primitive](*given, **parameters))(*values), values)
    if primitive.name in _SAME:
        return values
    if primitive.name in _PLAIN:
        return [_PLAIN[primitive.name](*values, **parameters)]
    return _bound(equation, values)


def _bound(equation: Any, values: Sequence[Any]) -> Sequence[Any]:
    results = equation.primitive.bind(*values, **equation.primitive.get_bind_params(equation.params))
    return results if equation.primitive.multiple_results else [results]


def _value(env: dict[Any, Any], variable: Any) -> Any:
    aval: Any = variable.aval
    return jnp.asarray(variable.val, aval.dtype) if isinstance(variable, Literal) else env[variable]


def _is_finite(x):
    return jax.lax.lt(jax.lax.abs(x), jnp.full_like(x, math.inf))


def _integer_pow(x, y: int):
    """By repeated squaring, in the order in which JAX writes it for XLA."""
    total, power = None, abs(y)
    while power:
        if power & 1:
            total = x if total is None else total * x
        power >>= 1
        if power:
            x = x * x
    total = jnp.ones_like(x) if total is None else total
    return 1 / total if y < 0 else total


def _select(which, *cases):
    """One choice for all lanes is written out for each of them."""
    if which.dtype == bool and which.shape != cases[0].shape:
        which = jax.lax.ne(jax.lax.broadcast(which.astype(jnp.int32), cases[0].shape), jnp.int32(0))
    return jax.lax.select_n(which, *cases)


# what compilers of kernels know no rule for, exactly by what they know
_SAME = frozenset(("copy", "copy_p", "stop_gradient", "optimization_barrier", "reshard", "mesh_cast", "pvary", "pcast"))
_PLAIN: dict[str, Callable] = {"is_finite": _is_finite, "integer_pow": _integer_pow, "select_n": _select}
