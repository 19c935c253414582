"""Problems of the battery on surfaces, alone or turned in more dimensions, by a refined grid; chains with memory."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

from ._exact import Truth, by_simulation, on_a_grid
from ._problem import Asked, Problem, Seen, padded, single, turned

Ball, HalfSpace = ss.regions.Ball, ss.regions.HalfSpace
THREE_HOLES = ss.landscapes.ThreeHole()
LEFT, RIGHT, TOP = (-1.048, -0.042), (1.048, -0.042), (0.0, 1.537)
HOLES_BOX = [(-2.4, 2.4), (-1.9, 2.8)]


def beside(x):
    """A well at 0, the target's at 2.4, and a deep one to the side of the way between them."""
    return bowls(x, ((0.0, 0.0, 1.0, 0.45), (2.4, 0.0, 1.2, 0.5), (0.0, 1.7, 1.7, 0.5)))


def past(x):
    """Wells in an arc: the start's, a deeper one past it on the other side, and the deepest further round."""
    return bowls(x, ((0.0, 0.0, 1.0, 0.4), (1.6, 0.0, 1.0, 0.45), (-1.5, 0.3, 1.3, 0.45), (-2.2, 1.6, 1.6, 0.45)))


def bowls(x, wells):
    dips = [depth * jnp.exp(-((x[0] - a) ** 2 + (x[1] - b) ** 2) / (2 * w**2)) for a, b, depth, w in wells]
    return 0.05 * (x[0] ** 2 + x[1] ** 2) - sum(dips)


def channels(x):
    """A ridge at 0 with a low narrow pass at 1 and a higher one at −1 that is three times as wide."""
    narrow = 0.75 * jnp.exp(-((x[1] - 1) ** 2) / (2 * 0.2**2))
    wide = 0.66 * jnp.exp(-((x[1] + 1) ** 2) / (2 * 0.6**2))
    ridge = 2.0 * jnp.exp(-(x[0] ** 2) / (2 * 0.3**2))
    return ridge * (1 - narrow - wide) + 0.4 * (x[0] ** 2 - 1.3**2) ** 2 / 1.3**2 + 0.1 * x[1] ** 4


def gate(x):
    """No barrier of loss at all: a neck eight times as narrow as the chambers that it joins."""
    return 0.05 * x[0] ** 4 + 0.5 * x[1] ** 2 * (1 + 60 * jnp.exp(-(x[0] ** 2) / (2 * 0.25**2)))


def ring(x, tilt):
    return 4 * (x[0] ** 2 + x[1] ** 2 - 1) ** 2 + tilt * x[0]


def surface(
    name: str, kinds: str, loss: Callable, temperature: float, dt: float, start: Any, target: Any, box: Any, cells: int,
    *, dim: int = 2, avoid: Any = None, error: float = 0.0,
) -> Problem:  # fmt: skip
    """Langevin dynamics on it, watched between steps too; in more dimensions turned, with bowls along the others.

    error: that of the steps where they are too small to matter much; else it is taken into account.
    """
    rows = turned(dim)[:2]

    def seen(region: Any) -> Any:
        return region if dim == 2 or region is None else Seen(region, rows)

    def ask() -> Asked:
        landscape = ss.landscapes.Landscape(loss, 2) if dim == 2 else padded(loss, 2, dim)
        point = np.asarray(start) if dim == 2 else np.asarray(start) @ rows
        chain = ss.EulerMaruyama(ss.Langevin(landscape, temperature), dt)
        return Asked(chain, single(point), seen(target), seen(avoid), None, "continuous")

    def truth() -> Truth:
        law = ss.Langevin(ss.landscapes.Landscape(loss, 2), temperature)
        return on_a_grid(law, None if error else dt, start, target, box, cells, avoid=avoid, error=error)

    return Problem(name, tuple(kinds.split()), dim, ask, truth)


def surfaces() -> list[Problem]:
    holes, right = THREE_HOLES.loss, Ball(RIGHT, 0.3)
    mueller, there = ss.landscapes.MullerBrown(0.01).loss, Ball((0.6235, 0.0280), 0.15)
    mueller_box, wide = [(-1.7, 1.3), (-0.6, 2.2)], [(-2.6, 2.6), (-3.0, 3.0)]
    bowl_box, arc_box = [(-2.2, 4.4), (-2.2, 3.8)], [(-4.2, 3.4), (-2.4, 3.6)]
    other, ring_box = Ball((1.0, 0.0), 0.3), [(-1.8, 1.8), (-1.8, 1.8)]
    return [
        *(
            surface(
                f"three holes, T = {temperature}", "channels", holes, temperature, 0.004, LEFT, right, HOLES_BOX, 160
            )
            for temperature in (0.25, 0.2, 0.12)
        ),
        surface("three holes, 4-D", "channels", holes, 0.2, 0.004, LEFT, right, HOLES_BOX, 160, dim=4),
        surface("three holes, 10-D", "channels", holes, 0.25, 0.004, LEFT, right, HOLES_BOX, 160, dim=10),
        surface(
            "two rare sets of three holes", "sets channels", holes, 0.15, 0.004, LEFT, right, HOLES_BOX, 160,
            avoid=Ball(TOP, 0.3),
        ),
        surface("deep well beside", "beside", beside, 0.1, 0.01, (0.0, 0.0), Ball((2.4, 0.0), 0.3), bowl_box, 160),
        surface(
            "deep well beside, 4-D", "beside", beside, 0.1, 0.01, (0.0, 0.0), Ball((2.4, 0.0), 0.3), bowl_box, 160,
            dim=4,
        ),
        surface("wells in an arc", "behind", past, 0.1, 0.01, (0.0, 0.0), Ball((1.6, 0.0), 0.3), arc_box, 160),
        surface("two passes, one wide", "channels entropic", channels, 0.12, 0.002, (-1.3, 0.5),
                HalfSpace((-1.0, 0.0), -0.7), wide, 200),
        surface("two passes, one wide, 10-D", "channels entropic", channels, 0.12, 0.002, (-1.3, 0.5),
                HalfSpace((-1.0, 0.0), -0.7), wide, 200, dim=10),
        surface("narrow gate", "entropic", gate, 0.3, 0.0005, (-1.5, 0.0), HalfSpace((-1.0, 0.0), -0.8),
                [(-3.4, 1.0), (-2.4, 2.4)], 200, error=0.01),
        surface("ring, to the other side", "ring channels", lambda x: ring(x, 0.5), 0.08, 0.004, (-1.0, 0.0), other,
                ring_box, 160),
        surface("ring without a tilt", "ring plateau", lambda x: ring(x, 0.0), 0.05, 0.004, (-1.0, 0.0), other,
                ring_box, 160),
        surface("Müller–Brown", "between", mueller, 0.06, 0.002, (-0.5582, 1.4417), there, mueller_box, 200),
    ]  # fmt: skip


def sgd_like() -> list[Problem]:
    """SGD's own noise, small steps, and the diffusion's passage; what the steps still do is in the truth's error."""

    def bent(x):
        return 0.4 + (x[0] ** 2 - 1) ** 2 + 2 * (x[1] - 0.5 * x[0]) ** 2

    def narrow(x):
        return jnp.cosh(x[0]) + 2 * jnp.cosh(x[1]) + 0.6 * x[0] * x[1]

    def problem(name, kinds, loss, noise, over, start, target, box) -> Problem:
        rate = 0.05
        diffusion = ss.LangevinSGD(ss.landscapes.Landscape(loss, 2), noise, rate, rate * over)

        def ask() -> Asked:
            return Asked(ss.EulerMaruyama(diffusion, rate / 20), single(start), target, monitoring="continuous")

        return Problem(
            name, tuple(kinds.split()), 2, ask,
            lambda: on_a_grid(diffusion, None, start, target, box, 240, error=0.02),
        )  # fmt: skip

    return [
        problem(
            "noise like the loss, over a saddle", "anisotropic multiplicative saddle", bent,
            ss.noise.LossProportional(shape=[[1.0, 0.0], [0.0, 0.3]]), 6.0, (-1.0, -0.5),
            HalfSpace((-1.0, 0.0), -0.5), [(-2.2, 1.2), (-2.0, 1.6)],
        ),
        problem(
            "noise like the Hessian, out of a ball", "anisotropic multiplicative ball", narrow,
            ss.noise.HessianProportional(), 12.0, (0.0, 0.0), ~Ball((0.0, 0.0), 1.5), [(-2.0, 2.0), (-2.0, 2.0)],
        ),
    ]  # fmt: skip


def simulated() -> list[Problem]:
    """What only a direct simulation of many trajectories tells."""
    well = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)

    def tilted(x):
        return bowls(x, ((0.0, 0.0, 1.0, 0.45), (1.8, 0.0, 1.2, 0.5), (0.0, 1.7, 1.2, 0.5)))

    def problem(name, kinds, dim, ask, trajectories) -> Problem:
        return Problem(name, tuple(kinds.split()), dim, ask, lambda: by_simulation(ask(), trajectories, ask().of_time))

    def ball_of(chain, start, target, horizon=None) -> Callable[[], Asked]:
        return lambda: Asked(chain, single(start), target, horizon=horizon)

    right, four = HalfSpace((-1.0,), -0.5), padded(tilted, 2, 4)
    # the points with θ₂ = 0 of the turned frame
    hidden = Seen(Ball((1.8, 0.0), 0.35), turned(4)[:2])

    def heavy_ball(landscape, variance) -> Any:
        noise = ss.noise.Isotropic(variance)
        return ss.chains.Underdamped(ss.diffusions.LangevinMomentumSGD(landscape, noise, 0.05, 1.0, 0.8))

    cold = ss.chains.Underdamped(ss.diffusions.UnderdampedLangevin(well, 0.11, 1.0), 0.05)
    return [
        problem("heavy ball", "momentum saddle", 1, ball_of(heavy_ball(well, 0.656), [-1.0], right), 4_096),
        problem("underdamped, by a horizon", "momentum saddle", 1, ball_of(cold, [-1.0], right, 10.0), 2**24),
        problem("heavy ball with a well beside, 4-D", "momentum beside", 4,
                ball_of(heavy_ball(four, 0.5184), np.zeros(4), hidden), 4_096),
    ]  # fmt: skip


def on_surfaces() -> list[Problem]:
    return [*surfaces(), *sgd_like(), *simulated()]
