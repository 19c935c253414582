"""Cells: an array whose entries are per-trajectory arrays, and arithmetic on them."""

import operator
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._derivatives import elementwise_primitive

Cell = Any
"""One component: a NumPy scalar, a JAX scalar that all trajectories share, an array (n,), or one of them Scaled."""


# a zero that the compiler does not know, see `guarded`
GUARD: ContextVar[Any] = ContextVar("guard", default=None)


class Cells:
    """An array whose entries are cells."""

    def __init__(self, cells: Sequence[Cell], shape: tuple[int, ...]):
        # one by one: NumPy would take a list of arrays for the rows of one
        flat = np.empty(len(cells), object)
        for number, cell in enumerate(cells):
            flat[number] = cell
        self.entries = flat.reshape(shape)


def is_constant(value: Any) -> bool:
    """Whether the value is known while the program is built."""
    if isinstance(value, Cells):
        return all(isinstance(cell, np.generic) for cell in value.entries.reshape(-1))
    return isinstance(value, np.ndarray | np.generic) or (
        isinstance(value, jax.Array) and not isinstance(value, Tracer)
    )


def is_small_constant(value: Any) -> bool:
    return isinstance(value, Cells | np.ndarray | np.generic) and is_constant(value) and np.size(raw(value)) <= 256


def raw(value: Any) -> Any:
    return value.entries if isinstance(value, Cells) else value


def cells_of(value: Any) -> Cells:
    if isinstance(value, Cells):
        return value
    shape = np.shape(value)
    if is_constant(value):
        value = np.asarray(value)
        return Cells([value[index] for index in np.ndindex(shape)], shape)
    return Cells([value[index] for index in np.ndindex(shape)] if shape else [value], shape)


def array_of(value: Any) -> Any:
    """An array of cells that all trajectories share as an ordinary array."""
    if not isinstance(value, Cells):
        return value
    flat = list(value.entries.reshape(-1))
    array = np.asarray(flat) if is_constant(value) else jnp.stack(aligned(flat))
    return array.reshape(value.entries.shape)


def aligned(cells: Sequence[Cell]) -> list[Cell]:
    """The cells with one shape: what all trajectories share is repeated where it meets what they do not."""
    cells = [plain(cell) for cell in cells]
    length = next((cell.shape for cell in cells if np.ndim(cell)), ())
    if not length:
        return [jnp.asarray(cell) for cell in cells]
    return [cell if np.ndim(cell) else jax.lax.broadcast(jnp.asarray(cell), length) for cell in cells]


class Scaled(NamedTuple):
    """cell·factor, with a power of two or its negative for the factor: carrying it along rounds nothing.

    A gradient is full of such factors. Pulled out to the end they meet the step's dt, which no trajectory decides.
    product: whether the cell itself is one.
    """

    cell: Cell
    factor: float
    product: bool


def parts_of(cell: Cell) -> Scaled:
    return cell if isinstance(cell, Scaled) else Scaled(cell, 1.0, False)


def plain(cell: Cell) -> Cell:
    base, factor, _ = parts_of(cell)
    if abs(factor) == 1:
        return base if factor == 1 else -base
    return base * base.dtype.type(factor)


def scaled(cell: Cell, factor: float, product: bool = False) -> Cell:
    if isinstance(cell, np.generic) or not np.ndim(cell) or not 2**-64 <= abs(factor) <= 2**64:
        # what all trajectories share takes the factor at once, outside of their loop; so does one that could overflow
        cell, factor, product = plain(Scaled(cell, factor, product)), 1.0, product or factor != 1
    return Scaled(cell, factor, product) if factor != 1 or product else cell


def is_power_of_two(cell: Cell) -> bool:
    known = isinstance(cell, np.floating) and np.isfinite(cell) and cell != 0
    return bool(known and abs(np.frexp(cell)[0]) == 0.5)


def is_zero(cell: Cell) -> bool:
    return bool(isinstance(cell, np.generic) and cell == 0)


def negate(x: Cell) -> Cell:
    cell, factor, product = parts_of(x)
    return scaled(cell, -factor, product)


def add(x: Cell, y: Cell) -> Cell:
    # gradients of slices add padding; a compiler may not drop x + 0, which turns −0 to 0, and this may
    if is_zero(x) or is_zero(y):
        return y if is_zero(x) else x
    (a, f, a_product), (b, g, b_product) = parts_of(x), parts_of(y)
    if abs(f) == abs(g):
        b = guarded(b) if a_product and b_product else b
        return scaled((operator.add if f == g else operator.sub)(*aligned([a, b])), f)
    a, b = aligned([x, y])
    return a + (guarded(b) if (a_product or f != 1) and (b_product or g != 1) else b)


def guarded(cell: Cell) -> Cell:
    """The same number, by an operation that a compiler cannot look through.

    Of a sum of two products it may contract either one into a fused multiply-add, and rounds as it chose, so that the
    same step had other bits in another loop. Of one product and a number that hides being one it has no choice.
    """
    guard = GUARD.get()
    if guard is None or isinstance(cell, np.generic) or cell.dtype not in (jnp.float32, jnp.float64):
        return cell
    return _HIDDEN.bind(cell, guard)


def _through_bits(cell: Cell, guard: Any) -> Cell:
    word = jnp.uint32 if cell.dtype == jnp.float32 else jnp.uint64
    bits = jax.lax.bitcast_convert_type(cell, word) ^ guard.astype(word)
    return jax.lax.bitcast_convert_type(bits, cell.dtype)


# bits have no derivative, the number has
_HIDDEN = elementwise_primitive("hidden", _through_bits, lambda tangent, cell, guard: tangent, None)


def multiply(x: Cell, y: Cell) -> Cell:
    (a, f, a_product), (b, g, b_product) = parts_of(x), parts_of(y)
    if is_zero(a) or is_zero(b):
        # also of what is not finite: a state that is not is found by itself
        return a if is_zero(a) else b
    if is_power_of_two(a):
        return scaled(b, f * g * float(a), b_product)
    if is_power_of_two(b):
        return scaled(a, f * g * float(b), a_product)
    if not np.ndim(a) or not np.ndim(b):
        # the factor goes to the one that all trajectories share
        shared, other = (a, b) if not np.ndim(a) else (b, a)
        return scaled(operator.mul(*aligned([plain(Scaled(shared, f * g, False)), other])), 1.0, True)
    return scaled(operator.mul(*aligned([a, b])), f * g, True)


def divide(x: Cell, y: Cell) -> Cell:
    (a, f, a_product), (b, g, _) = parts_of(x), parts_of(y)
    if is_power_of_two(b):
        return scaled(a, f / g / float(b), a_product)
    return scaled(operator.truediv(*aligned([a, b])), f / g)
