"""Problems of the battery whose truth is an exact kernel: what decouples into lines, and what has a radius only."""

import functools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import Polynomial
from scipy.stats import binom

import sde_sgd as ss

from ._exact import Kernel, Truth, along_a_radius, independent, of_maps, on_a_line
from ._problem import Asked, Problem, padded, single, turned

EXACT = "exact kernel"
OU = (1.0, 0.5, 0.02)


def critical(scale: float, *points: float) -> Callable:
    """The loss whose derivative is scale·Π(x − point)."""
    coefficients = (scale * Polynomial.fromroots(points)).integ().coef.tolist()
    return lambda x: sum(c * x[0] ** n for n, c in enumerate(coefficients))


def slope(loss: Callable) -> Callable[[np.ndarray], np.ndarray]:
    """Its derivative at an array of points, in float64."""

    def values(points):
        with jax.enable_x64(True):
            return np.asarray(jax.vmap(jax.grad(loss))(jnp.asarray(points)[:, None])[:, 0])

    return values


def beyond(direction: np.ndarray, end: float, above: bool) -> Any:
    half = ss.regions.HalfSpace(direction, end)
    return ~half if above else half


def line(
    name: str, kinds: str, loss: Callable, temperature: float, dt: float, start: float, target: float, other: float, *,
    dim: int = 1, avoid: bool = False, steps: int | None = None, bridged: bool = False, covariance: float = 1.0,
) -> Problem:  # fmt: skip
    """A way along one direction of a landscape of `dim` dimensions, of which the Euler chain decouples.

    other: the far side, where the chain hardly ever is, or what is avoided. steps: of the horizon. covariance: of the
    gradient along the way where it is not that across, which is 1.
    """

    def ask() -> Asked:
        landscape, turn = padded(loss, 1, dim), turned(dim)
        diffusion: Any = ss.Langevin(landscape, temperature)
        if covariance != 1:
            shape = turn.T @ np.diag([covariance, *[1.0] * (dim - 1)]) @ turn
            diffusion = ss.LangevinSGD(landscape, ss.noise.ConstantCovariance(shape), dt, dt / (2 * temperature))
        return Asked(
            ss.EulerMaruyama(diffusion, dt), single(start * turn[0]), beyond(turn[0], target, target > other),
            beyond(turn[0], other, other > target) if avoid else None, None if steps is None else steps * dt,
            "continuous" if bridged else "discrete",
        )  # fmt: skip

    def truth() -> Truth:
        force, spread = slope(loss), np.sqrt(2 * temperature * covariance * dt)
        kernel = on_a_line(lambda x: x - dt * force(x), spread, start, target, other, 700, avoid=avoid, bridged=bridged)
        return of(kernel, dt, avoid, steps)

    return Problem(name, tuple(kinds.split()), dim, ask, truth)


def of(kernel: Kernel, dt: float, avoid: bool, steps: int | None) -> Truth:
    if steps is not None:
        return Truth(kernel.within(steps), 0.0, EXACT)
    chance, mean = kernel.ends()
    return Truth(chance if avoid else mean * dt, 0.0, EXACT)


def lines() -> list[Problem]:
    bowl, two = critical(1.0, 0.0), critical(4.0, -1.0, 0.0, 1.0)
    behind, milder = critical(6.0, -1.4, 0.0, 1.0, 2.3), critical(9.0, -1.2, 0.0, 1.0, 2.05)
    twice, trap = critical(1.0, -1.2, 0.0, 0.9, 1.7, 2.4, 3.15), critical(2.0, 0.0, 0.9, 2.1, 3.2, 4.2)
    fork, fords = critical(3.5, -1.2, 0.0, 1.0, 2.0, 3.5), critical(-2.0, -1.0, 0.0, 1.0, 2.1, 3.1)
    return [
        line("deep well behind", "behind", behind, 1.0, 0.001, 0.0, -1.4, 3.4, bridged=True),
        line("deep well behind, milder", "behind", milder, 1.0, 0.004, 0.0, -1.2, 3.4),
        line("two wells behind, the further the deeper", "behind", twice, 0.8, 0.004, 0.0, -1.2, 4.2),
        line("trap on the way", "between", trap, 0.3, 0.002, 0.0, 3.7, -1.2),
        line("Ornstein–Uhlenbeck, 5σ", "bowl", bowl, 0.5, 0.02, 0.0, 3.6, -6.0),
        line("double well, β = 10", "saddle", two, 0.1, 0.002, -1.0, 0.5, -2.3, bridged=True),
        line("Ornstein–Uhlenbeck, 9σ by a horizon", "bowl tiny", bowl, 0.5, 0.02, 0.0, 6.232, -6.0, steps=300),
        line("double well by a horizon", "saddle tiny", two, 0.04, 0.005, -1.0, 0.5, -2.2, steps=800),
        line("two rare sets of a bowl", "sets bowl", bowl, 0.5, 0.02, 0.0, 4.4, -3.3, avoid=True),
        line("two rare sets, from a hilltop", "sets between", fork, 0.3, 0.003, 0.0, 3.5, -1.2, avoid=True),
        line("two rare sets, two wells between", "sets between", fords, 0.3, 0.004, 0.0, 3.1, -1.0, avoid=True),
        line("double well by a horizon, 2-D", "saddle tiny", two, 0.06, 0.01, -1.0, 0.5, -2.2, dim=2, steps=400),
        line("deep well behind, 4-D", "behind", milder, 1.0, 0.004, 0.0, -1.2, 3.4, dim=4),
        line("deep well behind, 10-D", "behind", milder, 1.0, 0.004, 0.0, -1.2, 3.4, dim=10),
        line("deep well behind, 50-D", "behind", milder, 1.0, 0.004, 0.0, -1.2, 3.4, dim=50),
        line("double well, 50-D", "saddle", two, 0.1, 0.01, -1.0, 0.5, -2.3, dim=50),
        line("double well by a horizon, 50-D", "saddle tiny", two, 0.05, 0.01, -1.0, 0.5, -2.2, dim=50, steps=800),
        line("trap on the way, 10-D", "between", trap, 0.3, 0.004, 0.0, 3.7, -1.2, dim=10),
        line("two rare sets of a bowl, 10-D", "sets bowl", bowl, 0.5, 0.02, 0.0, 4.4, -3.3, dim=10, avoid=True),
        line(
            "noise that is strong across the way, 10-D", "anisotropic saddle", two, 0.4, 0.004, -1.0, 0.5, -2.3, dim=10,
            covariance=0.25,
        ),
        *plateaus(),
    ]  # fmt: skip


def plateaus() -> list[Problem]:
    def wall(x):
        return 0.05 * jnp.exp(-4 * (x[0] + 1))

    def well(x):
        return 0.8 * (1 - jnp.exp(-(x[0] ** 2) / (2 * 0.35**2))) + wall(x)

    def hill(x):
        return 1.2 * jnp.exp(-((x[0] - 7) ** 2) / (2 * 0.5**2)) + wall(x)

    return [
        line("long plateau behind a well", "plateau", well, 0.1, 0.01, 0.0, 7.0, -2.4),
        line("long plateau before a hill", "plateau tiny", hill, 0.1, 0.01, 0.0, 7.5, -2.4, steps=4_000),
        line("long plateau behind a well, 4-D", "plateau", well, 0.1, 0.01, 0.0, 7.0, -2.4, dim=4),
    ]


def side_by_side(name: str, heights: list[float], temperature: float, steps: int | None) -> Problem:
    """A well in each of several directions, each with its own barrier: out of whichever comes first."""
    dim, dt, settle = len(heights), 0.005, 4_000
    turn = turned(dim)

    def loss(x):
        along = jnp.asarray(turn, x.dtype) @ x
        # wells at 0 and 2 and a barrier of that height between them
        return jnp.sum(jnp.asarray(heights, x.dtype) * along**2 * (along - 2) ** 2)

    def ask() -> Asked:
        chain = ss.EulerMaruyama(ss.Langevin(ss.landscapes.Landscape(loss, dim), temperature), dt)
        target = functools.reduce(lambda one, other: one | other, (beyond(way, 1.2, True) for way in turn))
        return Asked(chain, single(np.zeros(dim)), target, horizon=None if steps is None else steps * dt)

    def truth() -> Truth:
        kernels = [
            on_a_line(
                lambda x, height=height: x - dt * 4 * height * x * (x - 1) * (x - 2),
                np.sqrt(2 * temperature * dt),
                0.0,
                1.2,
                -1.0,
            )
            for height in heights
        ]
        if steps is None:
            return Truth(independent(kernels, settle) * dt, 0.0, EXACT)
        stays = sum(np.log1p(-kernel.within(steps)) for kernel in kernels)
        return Truth(float(-np.expm1(stays)), 0.0, EXACT)

    return Problem(name, ("channels",) if steps is None else ("channels", "tiny"), dim, ask, truth)


def heavy_line(name: str, target: float, strength: float, steps: int | None, of_loss: bool) -> Problem:
    """dx = −x dt + √(strength·(1 + x²)) dW, whose law has a power for its tail."""
    dt = 0.01

    def ask() -> Asked:
        diffusion: Any = ss.diffusions.ItoDiffusion(
            lambda x, t: -x, lambda x, t: jnp.sqrt(strength * (1 + x**2)), dim=1
        )
        if of_loss:
            landscape = ss.landscapes.Landscape(lambda x: 0.5 * (1 + x[0] ** 2), dim=1)
            diffusion = ss.LangevinSGD(landscape, ss.noise.LossProportional(2 * strength / dt), dt, 1.0)
        chain = ss.EulerMaruyama(diffusion, dt)
        return Asked(
            chain, single([0.0]), beyond(np.array([1.0]), target, True), horizon=None if steps is None else steps * dt
        )

    def truth() -> Truth:
        kernel = on_a_line(
            lambda x: x * (1 - dt), lambda x: np.sqrt(strength * (1 + x**2) * dt), 0.0, target, -3e3, 900,
            stretched=True,
        )  # fmt: skip
        return of(kernel, dt, False, steps)

    return Problem(name, ("heavy-tailed", "multiplicative") + (() if steps is None else ("tiny",)), 1, ask, truth)


def radial(
    name: str, kinds: str, dim: int, pull: Callable, strength: Callable, diffusion: Callable[[], Any], dt: float,
    start: float, radius: float, lowest: float, steps: int | None = None,
) -> Problem:  # fmt: skip
    """Out of a ball, where the drift is −pull(r)·x/r and the noise of variance strength(r) a time in each direction."""

    def ask() -> Asked:
        point, horizon = start * turned(dim)[0], None if steps is None else steps * dt
        target = ~ss.regions.Ball(np.zeros(dim), radius)
        return Asked(ss.EulerMaruyama(diffusion(), dt), single(point), target, horizon=horizon)

    def truth() -> Truth:
        kernel = along_a_radius(
            lambda r: r - dt * pull(r), lambda r: np.sqrt(strength(r) * dt), dim, start, radius, lowest
        )
        return of(kernel, dt, False, steps)

    return Problem(name, tuple(kinds.split()), dim, ask, truth)


def balls() -> list[Problem]:
    def bowl(dim):
        return lambda: ss.Langevin(ss.landscapes.Quadratic(np.ones(dim)), 0.5)

    def hat():
        return ss.Langevin(ss.landscapes.Landscape(lambda x: (jnp.sum(x**2) - 1) ** 2, dim=2), 0.25)

    def heavy():
        landscape = ss.landscapes.Landscape(lambda x: 0.5 * (1 + jnp.sum(x**2)), dim=10)
        return ss.LangevinSGD(landscape, ss.noise.LossProportional(2 * 0.1 / 0.02), 0.02, 1.0)

    def one(r):
        return 1.0 + 0 * r

    return [
        radial("ball in 50-D", "ball", 50, lambda r: r, one, bowl(50), 0.02, 0.0, 7.6, 0.1),
        radial("ball in 50-D by a horizon", "ball tiny", 50, lambda r: r, one, bowl(50), 0.02, 0.0, 8.2, 0.1, 300),
        radial("ball in 10-D", "ball", 10, lambda r: r, one, bowl(10), 0.02, 1.0, 4.8, 0.0),
        radial(
            "ring, outwards", "ring", 2, lambda r: 4 * r * (r**2 - 1), lambda r: 0.5 + 0 * r, hat, 0.005, 1.0, 1.75, 0.0
        ),
        radial(
            "ball in 10-D, noise that grows with the loss", "heavy-tailed multiplicative ball", 10, lambda r: r,
            lambda r: 0.1 * (1 + r**2), heavy, 0.02, 0.0, 8.0, 0.0,
        ),
    ]  # fmt: skip


class Weight(eqx.Module):
    """A model that is one number."""

    value: Any


def minibatches(
    name: str, kinds: str, slope: Callable, loss: Callable, rate: float, batch: int, start: float, target: float,
    lowest: float, steps: int | None,
) -> Problem:  # fmt: skip
    """SGD itself, in steps as large as it takes them, on two examples that pull by ±1 on top of a slope."""

    def ask() -> Asked:
        risk = ss.EmpiricalRisk(
            Weight(jnp.zeros(1)), lambda model, x, y: loss(model.value[0]) + y * model.value[0], np.zeros((2, 1)),
            np.array([-1.0, 1.0], np.float32),
        )  # fmt: skip
        horizon = None if steps is None else steps * rate
        return Asked(
            ss.MinibatchSGD(risk, rate, batch), single([start]), beyond(np.ones(1), target, True), horizon=horizon
        )

    def truth() -> Truth:
        pulls, chances = np.linspace(-1, 1, batch + 1), binom.pmf(np.arange(batch + 1), batch, 0.5)
        maps = [lambda x, pull=pull: x - rate * (slope(x) + pull) for pull in pulls]
        values = [of_maps(maps, chances, start, target, lowest, steps, points) for points in (10_001, 20_001)]
        unit = rate if steps is None else 1.0
        return Truth(values[1] * unit, abs(math.log(values[1] / values[0])), EXACT)

    return Problem(name, tuple(kinds.split()), 1, ask, truth)


def large_steps() -> list[Problem]:
    return [
        minibatches(
            "SGD in large steps by a horizon", "minibatches ball tiny", lambda x: x, lambda x: 0.5 * x**2, 0.4, 8, 0.0,
            0.83, -1.0, 64,
        ),
        minibatches(
            "SGD in large steps over a saddle", "minibatches saddle", lambda x: 0.6 * (x**3 - x),
            lambda x: 0.15 * (x**2 - 1) ** 2, 0.1, 4, -1.0, 0.5, -2.2, None,
        ),
    ]  # fmt: skip


def exact() -> list[Problem]:
    return [
        *lines(),
        side_by_side("four ways of different width, 4-D", [1.0, 1.1, 1.2, 1.4], 0.1, None),
        side_by_side("ten ways by a horizon, 10-D", np.linspace(1, 1.6, 10).tolist(), 0.07, 1_000),
        heavy_line("heavy tails", 40.0, 0.5, None, False),
        heavy_line("heavy tails by a horizon", 7.0, 0.2, 500, True),
        *balls(),
        *large_steps(),
    ]
