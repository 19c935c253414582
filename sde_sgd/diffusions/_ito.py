"""Itô diffusion with a person's own drift and amplitude functions."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._errors import concrete, positive_integer, positive_number, shape_of
from ._base import AbstractDiffusion
from ._clock import AbstractClock, PeriodicTime, RunningTime

# parts of a period at which a stated one is tried
_PHASES = (0.137, 0.4142, 0.871)
_SAME = 1e-3


class ItoDiffusion(AbstractDiffusion):
    """dX = b(X, t) dt + B(X, t) dW, in the sense of Itô (Kloeden and Platen 1992, chapter 4), with your own b and B.

    drift: b, a JAX function of X (dim,) and t () that returns (dim,), in units of X per SDE time.
    amplitude: B, a JAX function of X (dim,) and t () that returns (dim, m), or (dim,) for a diagonal B, in units of X
        per √(SDE time).
    dim: number of components, at least 1.
    period: SDE time > 0 after which both coefficients repeat, where they do. A chain then asks for them at t modulo the
        period, exact after any number of steps; its dt must divide the period into a whole number of steps, or a ratio
        of two small whole numbers. Without a period t = k·dt in the dtype of the states: in float32 a run beyond step
        2²³ is refused, from which on neighbouring times could not be told apart; in float64 none is.
    Raises ValueError if a coefficient returns another shape, or has another value a period later.
    """

    drift_fn: Callable[..., Array]
    """`drift` as it was given."""
    amplitude_fn: Callable[..., Array]
    """`amplitude` as it was given."""
    dim: int = eqx.field(static=True)
    period: Float[Array, ""] | np.ndarray | float | None

    def __init__(self, drift: Any, amplitude: Any, dim: Any, *, period: Any = None):
        positive_integer("dim", dim)
        self.drift_fn, self.amplitude_fn = drift, amplitude
        self.dim, self.period = int(dim), period
        if _shape("drift", drift, dim) != (dim,):
            raise ValueError(f"drift must return shape ({dim},) for dim = {dim}, got {_shape('drift', drift, dim)}")
        factor = _shape("amplitude", amplitude, dim)
        if len(factor) not in (1, 2) or factor[0] != dim:
            raise ValueError(f"amplitude must return shape ({dim},) or ({dim}, m), got {factor}")
        if period is not None:
            positive_number("period", period)
            _check_period("drift", drift, dim, period)
            _check_period("amplitude", amplitude, dim, period)

    @property
    def noise_dim(self) -> int:
        return _shape("amplitude", self.amplitude_fn, self.dim)[-1]

    @property
    def landscape(self) -> None:
        return None

    @property
    def base_time(self) -> Any:
        return self.period

    def clock(self, dt: Any) -> AbstractClock:
        return RunningTime() if self.period is None else PeriodicTime.of(self.period, dt)

    def drift(self, theta, time):
        return self.drift_fn(theta, time)

    def diffuse(self, theta, time, xi):
        factor = self.amplitude_fn(theta, time)
        return factor * xi if factor.ndim == 1 else factor @ xi

    def covariance(self, theta, time):
        factor = self.amplitude_fn(theta, time)
        return jnp.diag(factor**2) if factor.ndim == 1 else factor @ factor.T

    def increment(self, theta, time, dt, xi):
        return self.drift(theta, time) * dt + self.diffuse(theta, time, xi) * jnp.sqrt(dt)


def _shape(name: str, function: Any, dim: int) -> tuple[int, ...]:
    real = jnp.zeros(0).dtype
    return shape_of(name, function, jax.ShapeDtypeStruct((dim,), real), jax.ShapeDtypeStruct((), real))


def _check_period(name: str, function: Callable[..., Array], dim: int, period: Any) -> None:
    """Raise ValueError where the function, tried at three times, is another one a period later."""
    length = concrete(period)
    if length is None:
        return
    theta = jnp.asarray(np.random.default_rng(0).normal(size=dim), jnp.zeros(0).dtype)
    for phase in _PHASES:
        first, later = (concrete(function(theta, jnp.asarray(phase * length + turn * length))) for turn in (0.0, 1.0))
        if first is None or later is None:
            return
        scale = 1 + np.max(np.abs(first), initial=0, where=np.isfinite(first))
        if not np.allclose(first, later, rtol=0, atol=_SAME * scale, equal_nan=True):
            raise ValueError(
                f"{name} must repeat after period = {float(length):.6g}, got {first} at t = {phase * length:.6g} and "
                f"{later} a period later"
            )
