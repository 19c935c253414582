"""The numerical ground floor: leaves as floats and as float64, arrays as arguments of programs, times in steps."""

import functools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

_MOST_PROGRAMS = 256
# points evaluated together
_POINTS = 16
# index arrays of more entries are not looked at
_MOST_INDICES = 2**16


def as_real(value: Any) -> Any:
    """A whole number as a float, which is a leaf that can be swept without compiling again; all else as it is."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def as_float64(tree: Any) -> Any:
    """`tree` with every real floating leaf as a float64 NumPy array, float32 numbers taken as they are.

    Python floats become arrays too, so that one compiled program serves every value of a parameter; other arrays
    become NumPy arrays of their own dtype, and all else is left alone. The result is meant for `bound`, inside
    `jax.enable_x64(True)`.
    """
    return jax.tree.map(_as_float64, tree)


def _as_float64(leaf: Any) -> Any:
    if type(leaf) is float:
        return np.asarray(leaf, np.float64)
    if not _is_array(leaf) or jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return leaf
    array = np.asarray(leaf)
    return array.astype(np.float64, copy=False) if jnp.issubdtype(leaf.dtype, jnp.floating) else array


def bound(function: Callable[..., Any], tree: Any) -> Callable[..., Any]:
    """`function(tree, ·)` compiled, with the arrays of `tree` as arguments and all else in it compiled in.

    One program serves all trees of one structure, and no data set becomes a constant of it. function: of a module,
    not made anew for each call, since programs are kept by function and structure; the 256 used last are.
    """
    arrays, structure, rest = arrays_and_rest(tree)
    return functools.partial(_program(function, structure, rest), arrays)


def arrays_and_rest(tree: Any) -> tuple[list[Any], Any, tuple[Any, ...]]:
    """The arrays of a tree, its structure, and its other leaves with None in the place of each array.

    None is no leaf of a PyTree, so it can mark a place.
    """
    leaves, structure = jax.tree.flatten(tree)
    rest = tuple(None if _is_array(leaf) else leaf for leaf in leaves)
    return [leaf for leaf in leaves if _is_array(leaf)], structure, rest


@functools.lru_cache(maxsize=_MOST_PROGRAMS)
def _program(function: Callable[..., Any], structure: Any, rest: tuple[Any, ...]) -> Callable[..., Any]:
    def of_arrays(arrays, *args):
        left = iter(arrays)
        return function(jax.tree.unflatten(structure, [next(left) if leaf is None else leaf for leaf in rest]), *args)

    return jax.jit(of_arrays)


@functools.cache
def of_each(name: str) -> Callable[[Any, Any], Any]:
    """For `bound`: (tree, θs of shape (n, dim)) → `tree.name(θ)` of each."""
    return lambda tree, thetas: jax.vmap(lambda theta: jnp.asarray(getattr(tree, name)(theta)))(thetas)


def of_points(name: str, tree: Any, points: Any) -> np.ndarray:
    """`tree.name(θ)` at each of n points, (n, dim), in float64, by one program for any number of them.

    Outside of a program JAX would compile each of its operations, and again for each n.
    """
    with jax.enable_x64(True):
        return in_blocks(bound(of_each(name), as_float64(tree)), _POINTS, np.asarray(points, np.float64))


def contained(region: Any, points: Any) -> np.ndarray:
    """Whether a set, an object with `contains` of one point, contains each of n points, (n, dim), as `of_points`."""
    if isinstance(region, eqx.Module):
        return of_points("contains", region, points)
    # what is no PyTree need not be JAX
    return np.array([bool(region.contains(jnp.asarray(point))) for point in points])


@functools.cache
def with_slope(name: str) -> Callable[[Any, Any], Any]:
    """For `bound`: (tree, θ of shape (dim,)) → `tree.name(θ)` and its gradient."""
    return lambda tree, theta: jax.value_and_grad(getattr(tree, name))(theta)


def in_blocks(call: Callable[..., Any], size: int, *arrays: np.ndarray) -> Any:
    """call(*arrays) of n rows each, `size` of them at a time, so that one shape is compiled whatever n is.

    call: works row by row; gives a PyTree of arrays. The last block is filled up, with zeros where there are no rows.
    """
    parts = []
    for first in range(0, max(len(arrays[0]), 1), size):
        block = (np.resize(each[first : first + size], (size, *each.shape[1:])) for each in arrays)
        parts.append(call(*block))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(arrays[0])], *parts)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | np.generic)


def steps_until(time: float, time_step: float) -> int:
    """Whole steps of `time_step` that fit into `time`, both SDE times.

    A time meant as a whole number of steps is one in floating point too.
    """
    return math.floor(time / time_step * (1 + 1e-6))


def read_outside(program: Any) -> str | None:
    """How a traced program (of `jax.make_jaxpr`) reads outside an array, in words; None where it does not.

    Only indices that are known when the program is traced are looked at, those of x[3] say, outside of loops and
    branches; and only reads that JAX would clamp, or fill with NaN, unasked.
    """
    try:
        return _read_outside(program.jaxpr, {}, program.consts, [None] * len(program.jaxpr.invars))[0]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        # a release of JAX that names a parameter otherwise takes the check away, not the person's run
        return None


def _read_outside(jaxpr: Any, known: dict[Any, np.ndarray], consts: Any, given: Any) -> tuple[str | None, list[Any]]:
    """The same with what is known of its arguments, and what is known of its results."""

    def value(atom: Any) -> np.ndarray | None:
        if hasattr(atom, "val"):
            return np.asarray(atom.val)
        return known.get(atom)

    def learn(variable: Any, array: Any) -> None:
        if array is not None and np.size(array) <= _MOST_INDICES and np.asarray(array).dtype.kind in "biu":
            known[variable] = np.asarray(array)

    for variable, array in (*zip(jaxpr.constvars, consts, strict=True), *zip(jaxpr.invars, given, strict=True)):
        learn(variable, None if isinstance(array, Tracer) else array)
    for equation in jaxpr.eqns:
        inputs = [value(atom) for atom in equation.invars]
        outside = _reads(equation, inputs)
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        results: list[Any] = []
        if outside is None and equation.primitive.name in _CALLS and hasattr(inner, "consts"):
            outside, results = _read_outside(inner.jaxpr, {}, inner.consts, inputs)
        elif all(each is not None for each in inputs):
            results = [by_numpy(equation, inputs)]
        if outside is not None:
            return outside, []
        for variable, array in zip(equation.outvars, results, strict=False):
            learn(variable, array)
    return None, [value(atom) for atom in jaxpr.outvars]


def by_numpy(equation: Any, values: list[Any]) -> np.ndarray | None:
    """What a simple equation makes of known values, as JAX would; None for any other, which JAX has to compile."""
    rule = _BY_NUMPY.get(equation.primitive.name)
    if rule is None:
        return None
    # words wrap around, and what is not finite stays so, without a word
    with np.errstate(all="ignore"):
        return np.asarray(rule(equation.params, *map(np.asarray, values)), equation.outvars[0].aval.dtype)


_CALLS = ("jit", "pjit", "closed_call", "core_call", "remat", "checkpoint", "custom_jvp_call", "custom_vjp_call")
# that of which JAX makes a written index, where a negative one counts from the end, and a derivative by an entry
_BY_NUMPY: dict[str, Callable[..., Any]] = {
    "eq": lambda params, one, other: np.equal(one, other),
    "lt": lambda params, one, other: np.less(one, other),
    "add": lambda params, one, other: np.add(one, other),
    "sub": lambda params, one, other: np.subtract(one, other),
    "mul": lambda params, one, other: np.multiply(one, other),
    "select_n": lambda params, which, *cases: np.choose(which.astype(int), cases),
    "convert_element_type": lambda params, one: one.astype(params["new_dtype"]),
    "broadcast_in_dim": lambda params, one, *_: _broadcast(one, params["shape"], params["broadcast_dimensions"]),
    "concatenate": lambda params, *parts: np.concatenate(parts, axis=params["dimension"]),
    "iota": lambda params: _broadcast(
        np.arange(params["shape"][params["dimension"]]), params["shape"], (params["dimension"],)
    ),
    "reshape": lambda params, one, *_: one.reshape(params["new_sizes"]),
    "squeeze": lambda params, one: np.squeeze(one, axis=params["dimensions"]),
}


def _broadcast(array: np.ndarray, shape: tuple[int, ...], dimensions: tuple[int, ...]) -> np.ndarray:
    aligned = [1] * len(shape)
    for size, dimension in zip(array.shape, dimensions, strict=True):
        aligned[dimension] = size
    return np.broadcast_to(array.reshape(aligned), shape)


def _reads(equation: Any, inputs: list[np.ndarray | None]) -> str | None:
    """What one equation reads outside its first operand, in words."""
    shape, params = getattr(equation.invars[0].aval, "shape", ()) if equation.invars else (), equation.params
    if equation.primitive.name == "dynamic_slice":
        starts = [(axis, index) for axis, index in enumerate(inputs[1:]) if index is not None]
        sizes = params["slice_sizes"]
    elif equation.primitive.name == "gather" and inputs[1] is not None and not _asked_for(params):
        indexed = params["dimension_numbers"].start_index_map
        starts = [(axis, inputs[1][..., place]) for place, axis in enumerate(indexed)]
        sizes = params["slice_sizes"]
    else:
        return None
    for axis, index in starts:
        bad = np.ravel(index)[(np.ravel(index) < 0) | (np.ravel(index) > shape[axis] - sizes[axis])]
        if bad.size:
            # a negative index has been counted from the end before
            number = int(bad[0]) if bad[0] >= 0 else int(bad[0]) - shape[axis]
            return f"index {number} on an axis of {shape[axis]}"
    return None


def _asked_for(params: Any) -> bool:
    """Whether the person said what an index outside should give."""
    name, fill = str(params["mode"]).upper(), params.get("fill_value")
    return "CLIP" in name or ("FILL" in name and fill is not None and not np.isnan(fill))
