"""The equations: dX = −∇V dt + √(2T) dW, from one start point, by steps of dt."""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

import sde_sgd as ss


@dataclass(frozen=True)
class Problem:
    """loss: as a user writes it, of a vector of shape (dim,)."""

    loss: Callable
    start: tuple[float, ...]
    temperature: float
    dt: float

    @property
    def dim(self) -> int:
        return len(self.start)

    @property
    def amplitude(self) -> float:
        """Standard deviation of the noise of one step."""
        return float(np.sqrt(2 * self.temperature * self.dt))

    def chain(self, increments: str = "gaussian") -> ss.EulerMaruyama:
        landscape = ss.landscapes.Landscape(self.loss, dim=self.dim)
        return ss.EulerMaruyama(
            ss.LangevinSGD.at_temperature(landscape, self.temperature), self.dt, increments=increments
        )

    def point(self) -> np.ndarray:
        return np.array(self.start, np.float32)


def double_well_slope(x):
    """V' of the double well, for rivals who write the derivative by hand."""
    return 4 * x * (x * x - 1)


def _muller_brown(x):
    """Müller and Brown, Theoretica Chimica Acta 53, 75 (1979)."""
    dx = x[0] - jnp.array([1.0, 0.0, -0.5, -1.0])
    dy = x[1] - jnp.array([0.0, 0.5, 1.5, 1.0])
    exponent = (
        jnp.array([-1.0, -1.0, -6.5, 0.7]) * dx**2
        + jnp.array([0.0, 0.0, 11.0, 0.6]) * dx * dy
        + jnp.array([-10.0, -10.0, -6.5, 0.7]) * dy**2
    )
    return jnp.sum(jnp.array([-200.0, -100.0, -170.0, 15.0]) * jnp.exp(exponent))


def _coupled(x):
    return jnp.sum((x**2 - 1) ** 2) + 0.3 * jnp.sum(jnp.sin(x[1:] * x[:-1]))


DOUBLE_WELL = Problem(lambda x: (x[0] ** 2 - 1) ** 2, (-1.0,), temperature=0.1, dt=1e-3)
MULLER_BROWN = Problem(_muller_brown, (-0.558, 1.442), temperature=10.0, dt=1e-5)
COUPLED_4 = Problem(_coupled, (1.0, -1.0) * 2, temperature=0.1, dt=1e-3)
COUPLED_16 = Problem(_coupled, (1.0, -1.0) * 8, temperature=0.1, dt=1e-3)
QUADRATIC_100 = Problem(lambda x: 0.5 * jnp.sum(x**2), (1.0,) * 100, temperature=0.1, dt=1e-2)


def geometric(steps: int) -> tuple[ss.EulerMaruyama, np.ndarray]:
    """Chain and start of DiffEqGPU.jl's benchmark: dX = 1.5 X dt + 0.01 X dW, d = 3, up to time 1."""
    diffusion = ss.diffusions.ItoDiffusion(lambda x, t: 1.5 * x, lambda x, t: 0.01 * x, dim=3)
    return ss.EulerMaruyama(diffusion, dt=1 / steps), np.full(3, 0.1, np.float32)
