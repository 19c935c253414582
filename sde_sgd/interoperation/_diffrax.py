"""Stochastic differential equations as diffrax terms: a drift, and a noise amplitude with its Brownian path."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..diffusions import AbstractDiffusion, AbstractUnderdamped


def to_diffrax(diffusion: Any, path: Any = None, *, key: Any = None) -> Any:
    """The equation as `diffrax.MultiTerm(ODETerm, ControlTerm)`: its drift, and its amplitude times dW.

    diffusion: any diffusion, or an underdamped equation, of which y is (θ, u) one behind the other, (2 dim,), with the
        velocity u, as its chain has it. Else y is θ, (dim,).
    path: W of shape (noise_dim,), as diffrax takes it for a control: a `diffrax.VirtualBrownianTree`, an
        `UnsafeBrownianPath`, or a path of your own, such as the engine's own random numbers. A trajectory needs a path
        of its own: call this inside the function that `jax.vmap` maps over keys.
    key: a JAX key, in place of `path`, of a `diffrax.UnsafeBrownianPath`, which is for steps of constant length; by
        default `jax.random.key(0)`.
    Times are SDE times, as in our chains. The equation is meant in the sense of Itô: `diffrax.Euler` and `ItoMilstein`
    solve it. Solvers in the sense of Stratonovich (`Heun`, `EulerHeun`, …) solve it where the amplitude does not depend
    on the state, and for underdamped equations. Euler asks for σ(θ)ξ alone; a solver that needs the matrix σ(θ) makes
    it, (dim, noise_dim).
    diffrax adds its steps up in floating point. Schedules of `LangevinSGD` are asked for whole iterations: give the
    times of the steps by `diffrax.StepTo`, or a sum may fall short of the iteration that is meant.
    Raises ImportError without diffrax, of the extra `diffrax`; ValueError for what is no such equation (give
    `chain.diffusion` for a chain on one), a path of another shape, or a path and a key.
    """
    drift, noise, name = _coefficients(diffusion)
    try:
        from ._terms import brownian_path, terms
    except ImportError as error:
        raise ImportError("to_diffrax needs diffrax, of the extra `diffrax`: pip install diffrax") from error
    if path is None:
        path = brownian_path(diffusion.noise_dim, _key_of(key))
    elif key is not None:
        raise ValueError("give either path or key, got both")
    return terms(drift, noise, diffusion.noise_dim, path, name)


def _key_of(key: Any) -> Any:
    """A JAX key, that of 0 for None; ValueError for what is none."""
    if key is None:
        return jax.random.key(0)
    try:
        jax.eval_shape(jax.random.bits, key)
    except (TypeError, ValueError) as error:
        raise ValueError(f"key must be a JAX key, such as jax.random.key(0), got {key!r}") from error
    return key


def _coefficients(diffusion: Any) -> tuple[Callable, Callable, str]:
    """b(y, t), and B(y, t)ξ as a function of y, t and ξ, of a state y; and what the equation is called."""
    if isinstance(diffusion, AbstractUnderdamped):
        return _underdamped_drift(diffusion), _underdamped_noise(diffusion), type(diffusion).__name__
    if isinstance(diffusion, AbstractDiffusion):
        return diffusion.drift, diffusion.diffuse, type(diffusion).__name__
    inner = getattr(diffusion, "diffusion", None)
    on_one = isinstance(inner, AbstractDiffusion | AbstractUnderdamped)
    hint = ", a chain on one: give its `.diffusion`" if on_one else ""
    raise ValueError(
        "diffusion must be a diffusion or an underdamped equation, such as LangevinSGD(...), got "
        f"{type(diffusion).__name__}{hint}"
    )


def _underdamped_drift(equation: AbstractUnderdamped) -> Callable:
    def drift(state, time):
        theta, velocity = jnp.split(state, 2)
        mass, friction = (jnp.asarray(each, state.dtype) for each in (equation.mass, equation.friction))
        return jnp.concatenate([velocity, -(friction * velocity + equation.landscape.gradient(theta)) / mass])

    return drift


def _underdamped_noise(equation: AbstractUnderdamped) -> Callable:
    def noise(state, time, xi):
        theta, _ = jnp.split(state, 2)

        def kicked(xi):
            return equation.noisy_gradient(theta, jnp.ones((), state.dtype), xi)

        # linear in ξ: its derivative is B without the gradient, and without the rounding of a difference
        kick = jax.jvp(kicked, (jnp.zeros_like(xi),), (xi,))[1]
        return jnp.concatenate([jnp.zeros_like(theta), kick / jnp.asarray(equation.mass, state.dtype)])

    return noise
