"""Lowering rules: how each primitive of a jaxpr acts on arrays of components."""

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._components import (
    EXACT_SINE,
    Component,
    ComponentArray,
    ScaledComponent,
    Unlowerable,
    add,
    aligned,
    array_of,
    component_array,
    count,
    divide,
    is_constant,
    is_product,
    is_zero,
    multiply,
    negate,
    parts_of,
    plain,
    raw,
    scaled,
)
from ._sine import cos32, sin32


def elementwise(equation, values: list[Any]) -> ComponentArray:
    """An elementwise primitive over components."""
    grids = np.broadcast_arrays(*(component_array(value).entries for value in values))
    shape = grids[0].shape
    exact = next((kind for kind in (np.float32, np.float64) if equation.outvars[0].aval.dtype == kind), None)

    entries = (_entry(equation, exact, [grid[index] for grid in grids]) for index in np.ndindex(shape))
    return ComponentArray(list(entries), shape)


def _entry(equation, exact: type | None, parts: list[Component]) -> Component:
    """One entry of an elementwise primitive. exact: the floating type in which products are kept apart, or None."""
    name = equation.primitive.name
    if exact and name in _ARITHMETIC:
        return _ARITHMETIC[name](*parts)
    count(*(parts_of(part).component for part in parts))
    if exact and name in ("integer_pow", "square"):
        component, factor, _ = parts_of(parts[0])
        power = equation.primitive.bind(*aligned([component]), **equation.params)
        return scaled(power, factor ** equation.params.get("y", 2), True)
    if exact and (name == "pow" or (name in _DROPPED and is_product(parts[0]))):
        return scaled(equation.primitive.bind(*aligned(parts), **equation.params), 1.0, True)
    if name in _FASTER and exact is np.float32 and np.ndim(parts_of(parts[0]).component) and not EXACT_SINE.get():
        return _FASTER[name](plain(parts[0]))
    return equation.primitive.bind(*aligned(parts), **equation.params)


def _total(components: Sequence[Component], combine: Callable) -> Component:
    return functools.reduce(combine, components)


def _reduce(combine: Callable):
    def rule(equation, values):
        entries = component_array(values[0]).entries
        axes = equation.params["axes"]
        kept = [axis for axis in range(entries.ndim) if axis not in axes]
        rows = entries.transpose(*kept, *axes).reshape(*(entries.shape[axis] for axis in kept), -1)
        if rows.shape[-1] == 0:
            raise Unlowerable("a reduction of nothing")
        shape = rows.shape[:-1]
        return [ComponentArray([_total(list(rows[index]), combine) for index in np.ndindex(shape)], shape)]

    return rule


def _dot_general(equation, values):
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    dtype = equation.outvars[0].aval.dtype
    left, left_shape = _rows(component_array(values[0]).entries, left_batch, left_sum)
    right, right_shape = _rows(component_array(values[1]).entries, right_batch, right_sum)
    components = [
        _total([_product(x, y, dtype) for x, y in zip(row, other, strict=True)], add)
        for rows, others in zip(left, right, strict=True)
        for row in rows
        for other in others
    ]
    batch = tuple(component_array(values[0]).entries.shape[axis] for axis in left_batch)
    return [ComponentArray(components, (*batch, *left_shape, *right_shape))]


def _rows(entries: np.ndarray, batch, summed) -> tuple[np.ndarray, tuple[int, ...]]:
    """Entries as (batch, free, summed), and the shape of the free axes."""
    free = [axis for axis in range(entries.ndim) if axis not in (*batch, *summed)]
    sizes = [int(np.prod([entries.shape[axis] for axis in axes], initial=1)) for axes in (batch, free, summed)]
    return entries.transpose(*batch, *free, *summed).reshape(sizes), tuple(entries.shape[axis] for axis in free)


def _product(x: Component, y: Component, dtype) -> Component:
    if is_zero(x) or is_zero(y):
        return dtype.type(0)
    return multiply(*(part if isinstance(part, ScaledComponent) else part.astype(dtype) for part in (x, y)))


def _move(indices: Callable):
    """A primitive that only moves entries: apply it to their numbers."""

    def rule(equation, values):
        arrays = [component_array(value).entries for value in values]
        ends = np.cumsum([array.size for array in arrays])
        numbers = [
            np.arange(end - array.size, end).reshape(array.shape) for array, end in zip(arrays, ends, strict=True)
        ]
        pool = np.concatenate([array.reshape(-1) for array in arrays])
        moved = indices(numbers, equation.params)
        moved = moved if isinstance(moved, list) else [moved]
        return [_take(pool, part) for part in moved]

    return rule


def _broadcast_in_dim(numbers, parameters):
    shape, along = parameters["shape"], parameters["broadcast_dimensions"]
    expanded = np.ones(len(shape), int)
    expanded[list(along)] = numbers[0].shape
    return np.broadcast_to(numbers[0].reshape(expanded), shape)


def _slice(numbers, parameters):
    strides = parameters["strides"] or (1,) * numbers[0].ndim
    bounds = zip(parameters["start_indices"], parameters["limit_indices"], strides, strict=True)
    return numbers[0][tuple(slice(*bound) for bound in bounds)]


def _pad(numbers, parameters):
    array, filling = numbers
    for axis, (low, high, interior) in enumerate(parameters["padding_config"]):
        size = array.shape[axis]
        wide = np.full(
            [*array.shape[:axis], max(size + interior * (size - 1), 0), *array.shape[axis + 1 :]], filling[()]
        )
        wide[(slice(None),) * axis + (slice(None, None, interior + 1),)] = array
        crop = slice(max(-low, 0), wide.shape[axis] - max(-high, 0))
        wide = wide[(slice(None),) * axis + (crop,)]
        edges = [(0, 0)] * array.ndim
        edges[axis] = (max(low, 0), max(high, 0))
        array = np.pad(wide, edges, constant_values=filling[()])
    return array


def _reshape(numbers, parameters):
    if parameters.get("dimensions") is not None:
        raise Unlowerable("a reshape that permutes")
    return numbers[0].reshape(parameters["new_sizes"])


def _split(numbers, parameters):
    return np.split(numbers[0], np.cumsum(parameters["sizes"])[:-1], parameters["axis"])


def _known(equation, values: list[Any]) -> list[np.ndarray]:
    if not all(is_constant(value) for value in values):
        raise Unlowerable(f"'{equation.primitive.name}' at a place that only the run decides")
    return [np.asarray(array_of(value)) for value in values]


def _index(equation, values):
    """gather and dynamic_slice: entries only move to known places; a number of a table that all share is looked up."""
    shape = equation.outvars[0].aval.shape
    # rows of a data set are left to networks' programs
    single = shape == () or (equation.primitive.name == "dynamic_slice" and math.prod(shape) == 1)
    if single and not isinstance(values[0], ComponentArray):
        return [ComponentArray([_looked_up(equation, *values).reshape(-1)], shape)]
    places = _known(equation, values[1:])
    entries = component_array(values[0]).entries
    with jax.ensure_compile_time_eval():
        numbers = jnp.arange(entries.size, dtype=jnp.int32).reshape(entries.shape)
        moved = np.asarray(equation.primitive.bind(numbers, *map(jnp.asarray, places), **equation.params))
    if np.any((moved < 0) | (moved >= entries.size)):
        raise Unlowerable(f"'{equation.primitive.name}' outside the vector")
    return [_take(entries.reshape(-1), moved)]


def _looked_up(equation, table: Any, *places: Any) -> Component:
    """One number of a table that all trajectories share, at a place of each one's own."""
    shapes = [component_array(place).entries.shape for place in places]
    flat = aligned([each for place in places for each in component_array(place).entries.reshape(-1)])
    count(*flat)

    def one(*numbers):
        left = iter(numbers)
        whole = [jnp.stack([next(left) for _ in range(math.prod(shape))]).reshape(shape) for shape in shapes]
        return equation.primitive.bind(table, *whole, **equation.params)

    return jax.vmap(one)(*flat)


def _take(pool: np.ndarray, numbers: np.ndarray) -> ComponentArray:
    return ComponentArray([pool[number] for number in numbers.reshape(-1)], numbers.shape)


def _scatter_add(equation, values):
    """Scattered additions at known places: a sum of updates for each entry."""
    places = _known(equation, values[1:2])[0]
    entries, updates = component_array(values[0]).entries, component_array(values[2]).entries.reshape(-1)
    dtype = equation.outvars[0].aval.dtype
    with jax.ensure_compile_time_eval():
        units = jnp.eye(updates.size, dtype=dtype).reshape(-1, *np.shape(raw(values[2])))
        nothing = jnp.zeros(entries.shape, dtype)
        place = jnp.asarray(places)
        landed = np.asarray(
            jax.vmap(lambda unit: equation.primitive.bind(nothing, place, unit, **equation.params))(units)
        )
    components = [
        _total([entries[index], *updates[np.flatnonzero(landed[(slice(None), *index)])]], add)
        for index in np.ndindex(entries.shape)
    ]
    return [ComponentArray(components, entries.shape)]


def _unchanged(equation, values):
    return [component_array(value) for value in values]


# what a compiler drops sooner or later, as in |x·x|, and finds the product behind it; to a power of 2.0 it makes one
_DROPPED = frozenset(("copy", "copy_p", "stop_gradient", "convert_element_type", "reduce_precision", "abs"))
_FASTER: dict[str, Callable] = {"sin": sin32, "cos": cos32}
_ARITHMETIC: dict[str, Callable] = {
    "add": add,
    "add_any": add,
    "sub": lambda x, y: add(x, negate(y)),
    "neg": negate,
    "mul": multiply,
    "div": divide,
}


# fmt: off
ELEMENTWISE = frozenset((
    "add", "add_any", "sub", "mul", "div", "rem", "neg", "abs", "sign", "pow", "integer_pow", "square", "sqrt",
    "rsqrt", "cbrt", "exp", "exp2", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan",
    "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "logistic", "erf", "erfc", "erf_inv", "lgamma",
    "digamma", "max", "min", "floor", "ceil", "round", "nextafter", "is_finite", "eq", "ne", "lt", "le", "gt",
    "ge", "and", "or", "xor", "not", "select_n", "clamp", "convert_element_type", "reduce_precision", "copy",
    "copy_p", "stop_gradient", "real", "imag", "shift_left", "shift_right_logical", "shift_right_arithmetic",
    "one_minus_square",
))
# fmt: on
MOVEMENTS: dict[str, Callable] = {
    "broadcast_in_dim": _broadcast_in_dim,
    "reshape": _reshape,
    "squeeze": lambda numbers, parameters: np.squeeze(numbers[0], tuple(parameters["dimensions"])),
    "expand_dims": lambda numbers, parameters: np.expand_dims(numbers[0], tuple(parameters["dimensions"])),
    "transpose": lambda numbers, parameters: numbers[0].transpose(parameters["permutation"]),
    "rev": lambda numbers, parameters: np.flip(numbers[0], parameters["dimensions"]),
    "slice": _slice,
    "pad": _pad,
    "split": _split,
    "stack": lambda numbers, parameters: np.stack(numbers, parameters["axis"]),
    "unstack": lambda numbers, parameters: [np.asarray(n) for n in np.moveaxis(numbers[0], parameters["axis"], 0)],
    "tile": lambda numbers, parameters: np.tile(numbers[0], parameters["reps"]),
    "concatenate": lambda numbers, parameters: np.concatenate(numbers, parameters["dimension"]),
}
RULES: dict[str, Callable] = (
    {name: _move(indices) for name, indices in MOVEMENTS.items()}
    | {
        "reduce_sum": _reduce(add),
        "reduce_prod": _reduce(multiply),
        "reduce_max": _reduce(lambda x, y: jax.lax.max(*aligned([x, y]))),
        "reduce_min": _reduce(lambda x, y: jax.lax.min(*aligned([x, y]))),
        "reduce_and": _reduce(lambda x, y: operator.and_(*aligned([x, y]))),
        "reduce_or": _reduce(lambda x, y: operator.or_(*aligned([x, y]))),
        "dot_general": _dot_general,
        "gather": _index,
        "dynamic_slice": _index,
        "scatter-add": _scatter_add,
    }
    | {
        name: _unchanged
        # what says where numbers lie, and when they are computed: where a loop is sharded over devices, a `reshard`
        # stands behind the derivative of a product
        for name in ("optimization_barrier", "reshard", "mesh_cast", "sharding_constraint", "pvary", "pcast")
    }
)
