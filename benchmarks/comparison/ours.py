"""This library: the default call."""

import jax.numpy as jnp

import sde_sgd as ss

from .problem import DT, HORIZON, SADDLE, START


def loss(x):
    return x[0] ** 4 - x[0] ** 3 / 3 - 2 * x[0] ** 2 + x[0]


def probability(temperature, precision, seed):
    landscape = ss.landscapes.Landscape(loss, dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, temperature), DT)
    region = ss.regions.HalfSpace([1.0], SADDLE)
    return ss.escape(chain, jnp.array([START]), region, HORIZON, rtol=precision, seed=seed)
