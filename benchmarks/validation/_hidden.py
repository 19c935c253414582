"""Problems of the battery whose answer hangs on what hardly a trajectory tells of, and on steps as large as the motion.

Basins behind a pass much higher than the way to the target, where the noise is weak, or so wide that their motion takes
very long to settle; excursions far out where a loss hardly confines; a start that does not wait for the law to settle.
"""

import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

from ._exact import Truth, by_quadrature, on_a_line
from ._problem import Asked, Problem, single
from ._problems import EXACT, critical, line, slope


def rise(x):
    return 0.5 * (1 + jnp.tanh(x / 2))


def cold(x):
    """A bowl at 0, and behind a pass at −4.2 a well that is 11 higher."""
    wall = 11 * rise(-4 * (x[0] + 4)) + 4 * jnp.exp(-2 * (x[0] + 4.2) ** 2)
    return wall + 0.5 * x[0] ** 2 * rise(4 * (x[0] + 2.5)) + 0.25 * (x[0] + 7) ** 2 * rise(-2 * (x[0] + 6))


def soft(x):
    """A bowl at 0, and behind a pass at −5 a well that is 4 deeper and a hundred times as wide."""
    behind = (5e-5 * (x[0] + 12) ** 2 - 4) * rise(-2 * (x[0] + 7))
    return behind + 12 * jnp.exp(-((x[0] + 5) ** 2) / 2) + x[0] ** 2 / 2 * rise(4 * (x[0] + 2))


def weak_noise() -> Problem:
    """The noise's variance falls from 2 to a tenth of that behind the pass, as does the temperature from 1."""
    dt, start, target, lowest = 0.01, 0.0, 5.1, -9.5

    def variance(x):
        return 2 - 1.8 * rise(-10 * (x + 4.2))

    def ask() -> Asked:
        landscape = ss.landscapes.Landscape(cold, dim=1)
        noise = ss.noise.FromFunction(lambda x: jnp.sqrt(variance(x)))
        chain = ss.EulerMaruyama(ss.LangevinSGD(landscape, noise, learning_rate=dt, batch_size=dt), dt)
        return Asked(chain, single([start]), ss.regions.HalfSpace([-1.0], -target))

    def truth() -> Truth:
        force = slope(cold)

        def spread(x):
            return np.sqrt((2 - 0.9 * (1 + np.tanh(-5 * (x + 4.2)))) * dt)

        kernel = on_a_line(lambda x: x - dt * force(x), spread, start, target, lowest, 900)
        return Truth(kernel.ends()[1] * dt, 0.0, EXACT)

    return Problem("well behind where the noise is weak", ("behind", "multiplicative"), 1, ask, truth)


def by_the_diffusion(name: str, kinds: str, loss, dt: float, target: float, lowest: float, error: float) -> Problem:
    """From 0 at a temperature of 1. error: what the steps do at most, as they are small."""

    def ask() -> Asked:
        chain = ss.EulerMaruyama(ss.Langevin(ss.landscapes.Landscape(loss, dim=1), 1.0), dt)
        return Asked(chain, single([0.0]), ss.regions.HalfSpace([-1.0], -target), monitoring="continuous")

    return Problem(
        name, tuple(kinds.split()), 1, ask,
        lambda: Truth(by_quadrature(loss, 1.0, 0.0, target, lowest), error, "quadrature"),
    )  # fmt: skip


def hidden() -> list[Problem]:
    high, bowl = critical(-3.495145631, -3.6, -2.0, 0.0, 1.0), critical(1.0, 0.0)
    return [
        line("well behind a high pass", "behind high", high, 1.0, 2e-4, 0.0, 1.0, -4.6, bridged=True),
        line("well behind a high pass, 4-D", "behind high", high, 1.0, 2e-4, 0.0, 1.0, -4.6, bridged=True, dim=4),
        weak_noise(),
        by_the_diffusion("wide well behind", "behind soft", soft, 0.02, 5.1, -800.0, 0.03),
        by_the_diffusion(
            "loss that hardly confines", "far", lambda x: 0.65 * jnp.log1p(x[0] ** 2), 0.01, 10.0, -1e9, 0.03
        ),
        line("bowl, from a slope", "bowl near", bowl, 1.0, 0.02, 3.2, 3.5, -7.0),
        line("bowl in steps as long as its motion", "bowl large", bowl, 0.5, 0.6, 0.0, 3.6, -6.0),
        line("bowl in steps that overshoot", "bowl large", bowl, 0.5, 1.5, 0.0, 5.5, -9.0),
    ]
