"""Ten losses and more that a kernel is made of, with starts, shared by the tests of its bits and of its lowering."""

import jax.numpy as jnp
import numpy as np

import sde_sgd as ss


def coupled(x):
    return jnp.sum((x**2 - 1) ** 2) + 0.3 * jnp.sum(jnp.sin(x[1:] * x[:-1]))


def regression():
    generator = np.random.default_rng(7)
    data = (jnp.asarray(generator.normal(size=shape), jnp.float32) for shape in ((12, 2), (12,)))
    return ss.EmpiricalRisk(jnp.zeros(2), lambda w, x, y: (w @ x - y) ** 2 / 2, *data)


def _own(loss, dim):
    return ss.landscapes.Landscape(loss, dim)


# a landscape, a start, a temperature and dt
LOSSES = {
    "double well": (_own(lambda x: (x[0] ** 2 - 1) ** 2, 1), [-1.0], 0.3, 0.02),
    "Müller–Brown": (ss.landscapes.MullerBrown(), [-0.558, 1.442], 10.0, 1e-5),
    "quadratic": (ss.landscapes.Quadratic([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 3.0]]), [0.1] * 3, 0.3, 0.02),
    "coupled 4": (_own(coupled, 4), [-1.0] * 4, 0.3, 0.02),
    "coupled 16": (_own(coupled, 16), [-1.0] * 16, 0.3, 0.02),
    "tanh": (_own(lambda x: jnp.sum(jnp.tanh(x - 0.3) ** 2), 2), [-1.0] * 2, 0.3, 0.02),
    "exp": (_own(lambda x: jnp.sum(jnp.exp(x) - x), 2), [-1.0] * 2, 0.3, 0.02),
    "log": (_own(lambda x: jnp.sum(jnp.log(1 + x**2)), 2), [-1.0] * 2, 0.3, 0.02),
    "sine": (_own(lambda x: jnp.sum(jnp.cos(3 * x)) + 0.1 * jnp.sum(x**2), 1), [-1.0], 0.3, 0.02),
    "power": (_own(lambda x: jnp.sum(x**6 / 6 - x**3) + jnp.sum(jnp.abs(x) ** 2.5), 2), [-1.0] * 2, 0.1, 0.01),
    "data": (regression(), [-1.0] * 2, 0.3, 0.02),
}


def chain_of(name, increments="gaussian"):
    landscape, _, temperature, dt = LOSSES[name]
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, temperature), dt, increments)


def start_of(name, dtype=np.float32):
    return np.asarray(LOSSES[name][1], dtype)
