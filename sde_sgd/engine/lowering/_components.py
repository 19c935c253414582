"""Struct-of-arrays layout: an array whose entries are one array (n,) per component, and arithmetic on them."""

import operator
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._derivatives import elementwise_primitive

Component = Any
"""A NumPy scalar, a JAX scalar that all trajectories share, an array (n,), or a ScaledComponent of one of them."""


# a zero that the compiler does not know, see `contraction_barrier`
GUARD: ContextVar[Any] = ContextVar("guard", default=None)
# whether sine and cosine are left to the compiler, see `_sine`
EXACT_SINE: ContextVar[bool] = ContextVar("exact_sine", default=False)


class Operations:
    """How many operations a reading may have, and how many are left of them."""

    def __init__(self, most: int):
        self.most = self.left = most


# None for any number
OPERATIONS: ContextVar[Operations | None] = ContextVar("operations", default=None)


class Unlowerable(Exception):
    """Why a function cannot be read component by component, in words."""


class ComponentArray:
    """An array whose entries are components."""

    def __init__(self, components: Sequence[Component], shape: tuple[int, ...]):
        # one by one: NumPy would take a list of arrays for the rows of one
        flat = np.empty(len(components), object)
        for number, component in enumerate(components):
            flat[number] = component
        self.entries = flat.reshape(shape)


def is_constant(value: Any) -> bool:
    """Whether the value is known while the program is built."""
    if isinstance(value, ComponentArray):
        return all(isinstance(component, np.generic) for component in value.entries.reshape(-1))
    return isinstance(value, np.ndarray | np.generic) or (
        isinstance(value, jax.Array) and not isinstance(value, Tracer)
    )


def is_small_constant(value: Any) -> bool:
    return (
        isinstance(value, ComponentArray | np.ndarray | np.generic)
        and is_constant(value)
        and np.size(raw(value)) <= 256
    )


def raw(value: Any) -> Any:
    return value.entries if isinstance(value, ComponentArray) else value


def component_array(value: Any) -> ComponentArray:
    if isinstance(value, ComponentArray):
        return value
    shape = np.shape(value)
    if is_constant(value):
        value = np.asarray(value)
        return ComponentArray([value[index] for index in np.ndindex(shape)], shape)
    return ComponentArray([value[index] for index in np.ndindex(shape)] if shape else [value], shape)


def array_of(value: Any) -> Any:
    """An array of components that all trajectories share as an ordinary array."""
    if not isinstance(value, ComponentArray):
        return value
    flat = list(value.entries.reshape(-1))
    array = np.asarray(flat) if is_constant(value) else jnp.stack(aligned(flat))
    return array.reshape(value.entries.shape)


def aligned(components: Sequence[Component]) -> list[Component]:
    """The components with one shape: what all trajectories share is repeated where it meets what they do not."""
    components = [plain(component) for component in components]
    length = next((component.shape for component in components if np.ndim(component)), ())
    if not length:
        return [jnp.asarray(component) for component in components]
    return [
        component if np.ndim(component) else jax.lax.broadcast(jnp.asarray(component), length)
        for component in components
    ]


class ScaledComponent(NamedTuple):
    """component·factor, with a power of two or its negative for the factor: carrying it along rounds nothing.

    A gradient is full of such factors. Pulled out to the end they meet the step's dt, which no trajectory decides.
    product: whether the component itself is one.
    """

    component: Component
    factor: float
    product: bool


def parts_of(component: Component) -> ScaledComponent:
    return component if isinstance(component, ScaledComponent) else ScaledComponent(component, 1.0, False)


def plain(component: Component) -> Component:
    base, factor, _ = parts_of(component)
    if abs(factor) == 1:
        return base if factor == 1 else -base
    return base * base.dtype.type(factor)


def scaled(component: Component, factor: float, product: bool = False) -> Component:
    if isinstance(component, np.generic) or not np.ndim(component) or not 2**-64 <= abs(factor) <= 2**64:
        # what all trajectories share takes the factor at once, outside of their loop; so does one that could overflow
        component, factor, product = plain(ScaledComponent(component, factor, False)), 1.0, product or abs(factor) != 1
    return ScaledComponent(component, factor, product) if factor != 1 or product else component


def is_product(component: Component) -> bool:
    """Whether it is a product as an ordinary number, where its factor is one of two."""
    _, factor, product = parts_of(component)
    return product or abs(factor) != 1


def is_power_of_two(component: Component) -> bool:
    known = isinstance(component, np.floating) and np.isfinite(component) and component != 0
    return bool(known and abs(np.frexp(component)[0]) == 0.5)


def is_zero(component: Component) -> bool:
    return bool(isinstance(component, np.generic) and component == 0)


def negate(x: Component) -> Component:
    component, factor, product = parts_of(x)
    return scaled(component, -factor, product)


def add(x: Component, y: Component) -> Component:
    # gradients of slices add padding; a compiler may not drop x + 0, which turns −0 to 0, and this may
    if is_zero(x) or is_zero(y):
        return y if is_zero(x) else x
    (a, f, a_product), (b, g, b_product) = parts_of(x), parts_of(y)
    count(a, b)
    if abs(f) == abs(g):
        b = contraction_barrier(b) if a_product and b_product else b
        return scaled((operator.add if f == g else operator.sub)(*aligned([a, b])), f)
    a, b = aligned([x, y])
    return a + (contraction_barrier(b) if (a_product or f != 1) and (b_product or g != 1) else b)


def contraction_barrier(component: Component) -> Component:
    """The same number, by an operation that a compiler cannot look through.

    Of a sum of two products it may contract either one into a fused multiply-add, and rounds as it chose, so that the
    same step had other bits in another loop. Of one product and a number that hides being one it has no choice.
    """
    guard = GUARD.get()
    if guard is None or isinstance(component, np.generic) or component.dtype not in (jnp.float32, jnp.float64):
        return component
    return _HIDDEN.bind(component, guard)


def _through_bits(component: Component, guard: Any) -> Component:
    word = jnp.uint32 if component.dtype == jnp.float32 else jnp.uint64
    bits = jax.lax.bitcast_convert_type(component, word) ^ guard.astype(word)
    return jax.lax.bitcast_convert_type(bits, component.dtype)


# bits have no derivative, the number has
_HIDDEN = elementwise_primitive("hidden", _through_bits, lambda tangent, component, guard: tangent, None)


def multiply(x: Component, y: Component) -> Component:
    (a, f, a_product), (b, g, b_product) = parts_of(x), parts_of(y)
    if is_zero(a) or is_zero(b):
        # also of what is not finite: a state that is not is found by itself
        return a if is_zero(a) else b
    if is_power_of_two(a):
        return scaled(b, f * g * float(a), b_product)
    if is_power_of_two(b):
        return scaled(a, f * g * float(b), a_product)
    count(a, b)
    if not np.ndim(a) or not np.ndim(b):
        # the factor goes to the one that all trajectories share
        shared, other = (a, b) if not np.ndim(a) else (b, a)
        return scaled(operator.mul(*aligned([plain(ScaledComponent(shared, f * g, False)), other])), 1.0, True)
    return scaled(operator.mul(*aligned([a, b])), f * g, True)


def count(*parts: Component) -> None:
    """Count one operation; raises Unlowerable beyond those allowed: a long program takes seconds to read to its end."""
    allowed = OPERATIONS.get()
    if allowed is not None and any(isinstance(part, Tracer) for part in parts):
        allowed.left -= 1
        if allowed.left < 0:
            raise Unlowerable(f"a step has more than {allowed.most} operations")


def divide(x: Component, y: Component) -> Component:
    (a, f, a_product), (b, g, _) = parts_of(x), parts_of(y)
    if is_power_of_two(b):
        return scaled(a, f / g / float(b), a_product)
    count(a, b)
    return scaled(operator.truediv(*aligned([a, b])), f / g)
