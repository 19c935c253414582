"""Second derivatives through `integrate` against differences of gradients, for all that has a rule of its own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parameters import quick

import sde_sgd as ss
from sde_sgd.engine.lowering import _components

N, STEPS = 8, 12
# a program that runs once
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@jax.custom_jvp
def root(x):
    """A square root whose own code has no derivative: only its rule has."""
    return jax.lax.stop_gradient(jnp.sqrt(x))


root.defjvps(lambda tangent, value, x: 0.5 * tangent / value)


def soft_extreme(x, p):
    return jax.nn.logsumexp(p[1] * x**2) + jnp.logaddexp(x[0], p[1] * x[1])


# each of two components and two parameters, together all that has a rule beyond JAX's own: what is hidden from a
# compiler (sums of products), sine and cosine in float32, and functions with a custom rule, JAX's and a person's
LOSSES = {
    "sums of products": lambda x, p: p[0] * x[0] ** 2 * x[1] ** 2 + p[1] * (x[0] * x[1] - x[0] ** 3 * x[1]),
    "sine": lambda x, p: jnp.sum(jnp.sin(3 * p[1] * x)) + p[0] * x[0] * x[1],
    "cosine": lambda x, p: jnp.cos(p[1] * x[0] * x[1]) + jnp.sum(x**4) * p[0],
    "sine of a sine": lambda x, p: jnp.sin(jnp.sin(p[1] * x[0]) * x[1]) + jnp.cos(p[0] * x[1]) ** 2,
    "softplus": lambda x, p: jnp.sum(jax.nn.softplus(p[1] * x) * x) + p[0] * x[0] ** 4,
    "relu": lambda x, p: jnp.sum(jax.nn.relu(p[1] * x + 3) ** 3) + p[0] * jnp.sum(jax.nn.relu6(x) * x**2),
    "silu and gelu": lambda x, p: jnp.sum(jax.nn.silu(p[1] * x) * p[0] + jax.nn.gelu(x * p[1])),
    "logsumexp": lambda x, p: soft_extreme(x, p) + p[0] * jax.nn.softmax(x)[0],
    "a person's rule": lambda x, p: root(p[1] + x[0] ** 2 * x[1] ** 2) * p[0] + jnp.sum(root(1 + x**2)),
    "a rule and a sine": lambda x, p: root(2 + jnp.sin(p[1] * x[0])) * jnp.cos(x[1]) + p[0] * x[0] ** 2 * x[1] ** 2,
}


@pytest.fixture(params=quick([np.float32, np.float64], np.float64), ids=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param is np.float64):
        yield request.param


def mean_square(loss, parameters, dtype):
    """E|x|² after a few steps at temperature p[0], from starts of every sign; (value as a function of parameters)."""
    landscape = ss.landscapes.Landscape(loss, 2, parameters)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, parameters[0]), 0.05)
    starts = jnp.asarray(np.random.default_rng(3).uniform(-1, 1, (N, 2)), dtype)
    return jnp.mean(ss.integrate(chain, starts, 0, STEPS, 5, np.arange(N)) ** 2)


def hessians(fn, at, step):
    """By reverse over reverse and by forward over reverse (`jax.hessian`); and by differences of gradients."""

    @functools.partial(jax.jit, compiler_options=QUICK)
    def all_of_them(at):
        units = step * jnp.eye(len(at), dtype=at.dtype)
        gradients = jax.vmap(jax.grad(fn))(jnp.concatenate([at + units, at - units]))
        return [jax.jacrev(jax.jacrev(fn))(at), jax.hessian(fn)(at)], gradients

    exact, gradients = all_of_them(at)
    ahead, behind = np.split(np.asarray(gradients), 2)
    return exact, (ahead - behind) / (2 * step)


@pytest.mark.parametrize("name", quick(LOSSES, "sums of products"))
def test_hessians_are_differences_of_gradients(name, dtype):
    at = jnp.array([0.3, 0.7], dtype)
    step, tolerance = (3e-3, 5e-3) if dtype is np.float32 else (1e-4, 1e-6)
    exact, differences = hessians(lambda p: mean_square(LOSSES[name], p, dtype), at, step)
    size = np.max(np.abs(differences))
    assert size > 1e-2
    for hessian in exact:
        np.testing.assert_allclose(hessian, differences, rtol=0, atol=tolerance * size)


@pytest.mark.long
def test_a_rule_that_is_lost_would_be_seen(monkeypatch, double_precision):
    """Twin: the same function as `jax.custom_jvp`, whose rule a scan drops when it is differentiated twice."""

    @jax.custom_jvp
    def hidden(cell, guard):
        return _components._through_bits(cell, guard)

    hidden.defjvps(lambda tangent, _, cell, guard: tangent, None)
    monkeypatch.setattr(_components, "_HIDDEN", type("Twin", (), {"bind": staticmethod(hidden)}))

    # a function of its own: what was compiled for another is remembered
    def loss(x, p):
        return LOSSES["sums of products"](x, p)

    exact, differences = hessians(lambda p: mean_square(loss, p, np.float64), jnp.array([0.3, 0.7]), 1e-4)
    assert np.max(np.abs(exact[0] - differences)) > 1e-2 * np.max(np.abs(differences))


@pytest.mark.long
def test_a_double_wells_second_derivative():
    """CASES A3: the mean after 64 steps, twice differentiated with respect to the temperature."""
    landscape = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)

    def mean(temperature):
        chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, temperature), 0.01)
        return ss.integrate(chain, jnp.ones((4, 1)), 0, 64, 5, np.arange(4)).mean()

    assert jax.hessian(mean)(0.3) == pytest.approx(-0.2231, abs=3e-4)


@pytest.mark.long
def test_geometric_brownian_motion_has_an_exact_second_derivative(dtype):
    """x_n = Π(1 + μ dt + σ ξ_k √dt): ∂²x_n/∂σ² = x_n((Σ a_k)² − Σ a_k²), a_k = ξ_k √dt/(1 + μ dt + σ ξ_k √dt)."""
    dt, steps, mu, ids = 0.01, 50, 0.1, np.arange(16)

    def chain(sigma):
        return ss.EulerMaruyama(ss.diffusions.ItoDiffusion(lambda x, t: mu * x, lambda x, t: sigma * x, 1), dt)

    def final(sigma):
        return ss.integrate(chain(sigma), jnp.ones((16, 1), dtype), 0, steps, 5, ids)[:, 0]

    sigma = 0.8
    noise_alone = ss.EulerMaruyama(ss.diffusions.ItoDiffusion(lambda x, t: 0 * x, lambda x, t: 1 + 0 * x, 1), dt)
    walk = [np.zeros((16, 1), dtype)]
    for k in range(steps):
        walk.append(np.asarray(ss.integrate(noise_alone, jnp.asarray(walk[-1]), k, 1, 5, ids)))
    xi = np.diff(np.float64(walk), axis=0)[:, :, 0]
    a = xi / (1 + mu * dt + sigma * xi)
    product = np.prod(1 + mu * dt + sigma * xi, axis=0)
    exact = np.mean(product * (a.sum(0) ** 2 - (a**2).sum(0)))
    for hessian in (jax.hessian, lambda fn: jax.jacrev(jax.jacrev(fn))):
        assert hessian(lambda s: jnp.mean(final(s)))(sigma) == pytest.approx(
            exact, rel=2e-5 if dtype is np.float32 else 1e-9
        )
