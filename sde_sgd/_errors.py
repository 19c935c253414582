"""Checks of arguments: one sentence that names the argument, what was given and what is allowed."""

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._numerics import read_outside, steps_until

P = ParamSpec("P")
R = TypeVar("R")

ASKS_FOR_VALUES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
# how alike a name must be to one that is known, for it to be what was meant: of seven letters two may be others
_NEAR = 0.6
OF_JAX = (
    "must be made of JAX operations, such as those of jax.numpy, got one that asks for the values of its arguments: by "
    "NumPy, float() or a Python branch, for which jax.numpy and jnp.where stand in"
)
"""The end of the sentence about a person's function that raised one of `ASKS_FOR_VALUES`."""


def positive(name: str, value: Any) -> None:
    """Raise ValueError unless every entry of a concrete `value` is a finite number above zero.

    A traced value (inside jit or vmap) passes: its entries are not known when the program is built.
    """
    if is_traced(value):
        return
    array = concrete(value)
    if array is None or array.dtype == bool or not np.all(np.isfinite(array)) or not np.all(array > 0):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def positive_number(name: str, value: Any) -> None:
    """Raise ValueError unless `value` is one number, which is finite and above zero where it is concrete."""
    positive(name, value)
    if np.shape(value) != ():
        raise ValueError(f"{name} must be a single number, got shape {np.shape(value)}")


def number(name: str, value: Any) -> None:
    """Raise ValueError unless `value` is one number, which is finite where it is concrete."""
    if is_traced(value) and value.shape == ():
        return
    array = concrete(value)
    if array is None or array.shape != () or not np.isfinite(array):
        raise ValueError(f"{name} must be a finite number, got {value!r}")


def momentum_number(value: Any) -> None:
    """Raise ValueError unless the `momentum` given is one number from 0 to below 1, where it is known."""
    if is_traced(value) and value.shape == ():
        return
    array = concrete(value)
    if array is None or array.shape != () or array.dtype == bool or not 0 <= array < 1:
        raise ValueError(f"momentum must be a single number of at least 0 and below 1, got {value!r}")


def real_array(name: str, value: Any) -> jax.Array:
    """`value` as a floating-point array; ValueError where it is no array of real numbers."""
    if not is_traced(value) and concrete(value) is None:
        raise ValueError(f"{name} must be an array of numbers, got {value!r}")
    array = jnp.asarray(value)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.result_type(float))


def numbers(name: str, value: Any) -> np.ndarray:
    """`value` as a new float64 array of its shape; ValueError where it holds anything but real numbers."""
    array = concrete(value)
    if array is None:
        raise ValueError(f"{name} must be real numbers, got {value!r}")
    return np.array(array, np.float64)


def shape_of(name: str, function: Any, *arguments: Any) -> tuple[int, ...]:
    """Shape of what a person's `function` returns, found by tracing it once, without running it.

    arguments: arrays or jax.ShapeDtypeStructs, such as a point of shape (dim,).
    Raises ValueError where it cannot be called so, asks for the values of its arguments (NumPy calls, Python
    branches), reads outside an array by an index that is known when it is traced (JAX would clamp it silently), or
    does not return one array of real numbers.
    """
    if not callable(function):
        raise ValueError(f"{name} must be a function, got {function!r}")
    try:
        program, out = jax.make_jaxpr(function, return_shape=True)(*arguments)
    except ASKS_FOR_VALUES as error:
        raise ValueError(f"{name} {OF_JAX}") from error
    except Exception as error:
        shapes = ", ".join(str(argument.shape) for argument in arguments)
        raise ValueError(f"{name} cannot be evaluated for shape {shapes}: {error}") from error
    outside = read_outside(program)
    if outside is not None:
        raise ValueError(f"{name} must not read outside its arrays, got {outside}")
    if not hasattr(out, "shape") or not jnp.issubdtype(out.dtype, jnp.floating):
        raise ValueError(f"{name} must return an array of real numbers, got {out}")
    return out.shape


def positive_integer(name: str, value: Any) -> None:
    """Raise ValueError unless `value` is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def fraction(name: str, value: Any) -> None:
    """Raise ValueError unless 0 < value < 1, for one number."""
    array = concrete(value)
    if array is None or array.shape != () or array.dtype == bool or not 0 < array < 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1, got {value!r}")


def tolerance(name: str, value: Any) -> None:
    """Raise ValueError unless `value` is one number above 0 and below 1: what a relative tolerance can be."""
    array = concrete(value)
    if array is None or array.shape != () or array.dtype == bool or not 0 < array < 1:
        raise ValueError(f"{name} must be a finite number above 0 and below 1, got {value!r}")


def whole_steps(name: str, time: Any, time_step: float, most: int) -> int:
    """Whole steps of `time_step` in the SDE time `time`, as `steps_until` counts them.

    Raises ValueError unless it is one finite number above 0, and of at least one and at most `most` steps.
    """
    array = concrete(time)
    if array is None or array.dtype == bool or array.shape != () or not np.isfinite(array) or array <= 0:
        raise ValueError(f"{name} must be a positive number of SDE time, got {time!r}")
    steps = steps_until(float(array), time_step)
    if steps < 1:
        raise ValueError(f"{name} must be at least one step dt = {time_step:.6g}, got {time!r}")
    if steps > most:
        limit = f"2**{most.bit_length() - 1}" if most & (most - 1) == 0 else f"{most}"
        raise ValueError(f"{name} must be at most {limit} steps of dt = {time_step:.6g}, got {steps} steps")
    return steps


def point(name: str, value: Any, dim: int) -> np.ndarray:
    """`value`, an array of shape (dim,) or an object with such a `location`, as a new float64 array.

    Raises ValueError where it is no array of real numbers, has another shape, or is not finite.
    """
    given = getattr(value, "location", value)
    array = concrete(given)
    if array is None:
        raise ValueError(f"{name} must be real numbers of shape ({dim},), got {given!r}")
    if array.shape != (dim,):
        raise ValueError(f"{name} must have shape ({dim},), got shape {array.shape}")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {show(array)}")
    return np.array(array, np.float64)


def points(name: str, value: Any, dim: int) -> np.ndarray:
    """`value`, an array of shape (n, dim) with n ≥ 1, or (dim,) for one point, as a new float64 array (n, dim).

    Raises ValueError, naming the first point at fault, as `point` does.
    """
    array = concrete(value)
    if array is None:
        raise ValueError(f"{name} must be real numbers of shape (n, {dim}) or ({dim},), got {value!r}")
    if array.ndim not in (1, 2) or array.shape[-1] != dim or array.size == 0:
        raise ValueError(f"{name} must be of shape (n, {dim}) or ({dim},), got shape {array.shape}")
    array = np.array(array, np.float64).reshape(-1, dim)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {show(array[~np.isfinite(array).all(axis=1)][0])}")
    return array


def show(values: Any) -> str:
    """Numbers for a message: six digits, and the middle left out of long arrays."""
    return np.array2string(np.asarray(values), precision=6, separator=", ", threshold=8)


def is_traced(value: Any) -> bool:
    """Whether JAX is tracing `value`: its entries are not known while the program is built."""
    return isinstance(value, Tracer | jax.ShapeDtypeStruct)


def concrete(value: Any) -> np.ndarray | None:
    """`value` as a NumPy array, or None where it is traced by JAX or not an array at all."""
    if is_traced(value):
        return None
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return array if array.dtype.kind in "biuf" else None


def choose(what: str, given: object, allowed: Iterable[str]) -> str:
    """The sentence for an unknown name: what was given, the nearest valid name, and all that is allowed."""
    names = sorted(allowed)
    lowered = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(given).lower(), list(lowered), n=1, cutoff=_NEAR)
    hint = f"; did you mean '{lowered[close[0]]}'?" if close else ";"
    return f"unknown {what} '{given}'{hint} allowed: {', '.join(names) if names else 'none'}"


def nearest(given: object, allowed: Iterable[str]) -> str:
    """The end of a sentence about a name that is not `allowed`: the one that may be meant, where one is near."""
    close = difflib.get_close_matches(given.lower(), list(allowed), n=1, cutoff=_NEAR) if isinstance(given, str) else []
    return f"; did you mean {close[0]!r}?" if close else ""


def names_options(call: Callable[P, R]) -> Callable[P, R]:
    """A call that names the nearest option where one is misspelt; its signature stays visible."""
    known = [name for name, each in inspect.signature(call).parameters.items() if each.kind is not each.VAR_KEYWORD]

    @functools.wraps(call)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                raise ValueError(choose("option", name, known))
        return call(*args, **kwargs)

    return checked
