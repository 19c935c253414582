"""Time of a step from its number by integer arithmetic: running time, time modulo a period, whole iterations."""

import abc
from fractions import Fraction
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt32

from .._errors import concrete

ALL_STEPS = 2**32
"""Steps are counted by unsigned 32-bit integers."""
# a rounded ratio passes for p/q up to this p·q times its relative error: a ratio that is not meant as one seldom does
_CERTAIN = 0.005
# a step that lasts more iterations than this is no approximation of them
_LONGEST_STEP = 256
_EPS = np.finfo(np.float64).eps


class Iterations(eqx.Module):
    """A time given as a whole number of SGD iterations, exact where a floating-point time is not.

    number: iterations done before, at least 0 and below 2³²; a Python integer or an integer array of shape ().
    """

    number: Any

    @property
    def count(self) -> Int[Array, ""]:
        """The number as a schedule wants it: signed, because schedules subtract from it.

        With JAX's 64-bit types on it has 64 bits, and so has what a schedule makes of it; else it ends at 2³¹ − 1.
        """
        if _has_64_bits():
            return jnp.asarray(self.number, jnp.int64)
        return jnp.minimum(self.number, 2**31 - 1).astype(jnp.int32)


class AbstractClock(eqx.Module):
    """How the number of a chain's step becomes the time that a diffusion's coefficients are asked for."""

    @abc.abstractmethod
    def at(self, step_index: UInt32[Array, ""], dt: Array) -> Any:
        """The time at which step number `step_index` begins, as the diffusion takes it.

        dt: SDE time of a step, shape (), in the states' dtype.
        """

    @abc.abstractmethod
    def last_step(self, dtype: Any) -> int:
        """Number of steps from 0 on that have a right time in states of `dtype`, at most 2³²."""

    def fits(self, dt: Any, base: Any) -> bool:
        """Whether it is the clock of steps of `dt`, up to rounding; base: the period, or SDE time of an iteration."""
        return True


class RunningTime(AbstractClock):
    """t = k·dt in the dtype of the states.

    Valid while times of neighbouring steps stay apart: rounded, 2²³ steps in float32, and more than 2³² in float64.
    """

    def at(self, step_index, dt):
        return step_index * dt

    def last_step(self, dtype):
        return min(ALL_STEPS, _whole_numbers(dtype))


class PeriodicTime(AbstractClock):
    """t = k·dt modulo a period of steps/parts times dt. Exact for every k: the state's dtype only rounds the phase.

    steps, parts: whole numbers without a common factor.
    """

    steps: int = eqx.field(static=True)
    parts: int = eqx.field(static=True)

    @staticmethod
    def of(period: Any, dt: Any) -> "PeriodicTime":
        """The clock for steps of `dt` and a period, both in SDE time.

        Raises ValueError where the period is not a rational number of steps with small terms, or not known.
        """
        terms = _ratio(period, dt)
        if terms is None:
            raise ValueError(
                f"dt must divide the period into a whole number of steps, or a ratio of two small whole numbers, and "
                f"both must be known when the program is built, got period = {period!r} and dt = {dt!r}"
            )
        return PeriodicTime(*terms)

    def at(self, step_index, dt):
        steps = jnp.uint32(self.steps)
        place = jax.lax.rem(jnp.asarray(step_index, jnp.uint32), steps)
        if self.parts > 1:
            place, dt = jax.lax.rem(place * jnp.uint32(self.parts), steps), dt / self.parts
        return place * dt

    def last_step(self, dtype):
        return ALL_STEPS if self.steps <= _whole_numbers(dtype) else _whole_numbers(dtype)

    def fits(self, dt, base):
        return _is_ratio(base, dt, self.steps, self.parts)


class WholeIterations(AbstractClock):
    """⌊k·iterations/steps⌋, the SGD iterations that are complete when step k begins. Exact for every k.

    iterations, steps: so many iterations last as long as so many steps; whole numbers without a common factor.
    """

    iterations: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    @staticmethod
    def of(dt: Any, learning_rate: Any) -> "WholeIterations":
        """The clock for steps of `dt`, in SDE time, where an iteration lasts γ; dt = None means γ itself.

        Raises ValueError where dt/γ is not a ratio of two small whole numbers, or not known.
        """
        if dt is None:
            return WholeIterations(1, 1)
        terms = _ratio(dt, learning_rate)
        if terms is None or terms[0] > _LONGEST_STEP * terms[1]:
            raise ValueError(
                f"dt must be None (one iteration a step), or a ratio of two small whole numbers times the "
                f"learning_rate at iteration 0, known when the program is built, because the diffusion's schedules are "
                f"asked for whole iterations, got dt = {dt!r} with learning_rate = {learning_rate!r}"
            )
        return WholeIterations(*terms)

    def at(self, step_index, dt):
        if self.steps == self.iterations == 1:
            return Iterations(step_index)
        index, iterations, steps = (
            jnp.asarray(step_index, jnp.uint32),
            np.uint32(self.iterations),
            jnp.uint32(self.steps),
        )
        # in this order no product passes 2³²
        whole, rest = jax.lax.div(index, steps), jax.lax.rem(index, steps)
        return Iterations(whole * iterations + jax.lax.div(rest * iterations, steps))

    def last_step(self, dtype):
        iterations = ALL_STEPS if _has_64_bits() else 2**31
        return min(ALL_STEPS, iterations * self.steps // self.iterations)

    def fits(self, dt, base):
        return _is_ratio(dt, base, self.iterations, self.steps)


def whole_iterations(time: Any, learning_rate: Any) -> Int[Array, ""]:
    """Iterations complete at a time: those of `Iterations`, else ⌊t/γ⌋, where a t meant as a multiple of γ is one."""
    if isinstance(time, Iterations):
        return time.count
    ratio = jnp.asarray(time / learning_rate)
    nearest = jnp.round(ratio)
    close = jnp.abs(ratio - nearest) <= 4 * jnp.finfo(ratio.dtype).eps * jnp.maximum(nearest, 1)
    return Iterations(jnp.where(close, nearest, jnp.floor(ratio)).astype(jnp.int32)).count


def _has_64_bits() -> bool:
    return jnp.result_type(int).itemsize == 8


def _whole_numbers(dtype: Any) -> int:
    """Below it k·dt tells whole k apart."""
    return 2 ** int(jnp.finfo(dtype).nmant)


def _ratio(numerator: Any, denominator: Any) -> tuple[int, int] | None:
    """The terms of a ratio that two rounded numbers stand for; None where there are none, or they are not known."""
    parts = [part for part in map(concrete, (numerator, denominator)) if part is not None and part.shape == ()]
    if len(parts) < 2:
        return None
    error: float = 4 * max(float(np.finfo(part.dtype).eps if part.dtype.kind == "f" else _EPS) for part in parts)
    exact = Fraction(float(parts[0])) / Fraction(float(parts[1]))
    for p, q in _convergents(exact):
        if abs(Fraction(p, q) / exact - 1) <= error:
            # neighbours of 1/n are n times further apart than those of other ratios with terms as large
            certain = max(p, q) * error <= 0.5 if min(p, q) == 1 else p * q * error <= _CERTAIN
            return (p, q) if certain and p * q < 2**32 else None
    return None


def _convergents(value: Fraction):
    """p/q of the continued fraction, each nearer than any other with so small a q."""
    (p, q), (next_p, next_q) = (0, 1), (1, 0)
    while True:
        whole = value.numerator // value.denominator
        (p, q), (next_p, next_q) = (next_p, next_q), (whole * next_p + p, whole * next_q + q)
        if next_p > 0:
            yield next_p, next_q
        if value == whole:
            return
        value = 1 / (value - whole)


def _is_ratio(numerator: Any, denominator: Any, p: int, q: int) -> bool:
    """Whether the numbers stand in this ratio, up to rounding; what is not known may."""
    parts = [part for part in map(concrete, (numerator, denominator)) if part is not None]
    return len(parts) < 2 or bool(np.all(np.abs(parts[0] * q / (parts[1] * p) - 1) < 1e-5))
