"""A well, and a force that is periodic in time, shared by the tests of time."""

import jax.numpy as jnp

import sde_sgd as ss
from sde_sgd.diffusions import ItoDiffusion

WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)


def pushed(period=None, dt=0.01):
    diffusion = ItoDiffusion(
        lambda x, t: -x + jnp.cos(2 * jnp.pi * t), lambda x, t: 0.01 * jnp.ones(1), 1, period=period
    )
    return ss.EulerMaruyama(diffusion, dt)
