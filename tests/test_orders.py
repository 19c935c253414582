"""Orders of convergence of Euler–Maruyama, weak and strong, and that its limit is the Itô equation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import comb
from statistical import Z, agrees, false_pass

import sde_sgd as ss
from sde_sgd.chains import AbstractChain


def geometric(mu, nu, dt, increments="gaussian"):
    """dX = μX dt + νX dW."""
    return ss.EulerMaruyama(ss.diffusions.ItoDiffusion(lambda x, t: mu * x, lambda x, t: nu * x, 1), dt, increments)


class HalfOrder(AbstractChain):
    """The broken twin: each step is off by dt^{3/2}, so it converges with order 1/2 only."""

    chain: AbstractChain

    @property
    def dim(self):
        return self.chain.dim

    @property
    def noise_dim(self):
        return self.chain.noise_dim

    @property
    def noise_kind(self):
        return self.chain.noise_kind

    @property
    def time_step(self) -> Any:
        return self.chain.time_step

    @property
    def landscape(self):
        return None

    def step(self, state, noise, step_index):
        return self.chain.step(state, noise, step_index) - self.time_step**1.5 * state


def slope_with_error(dts, errors, deviations):
    """Weighted least squares of log error on log dt: slope and its standard error."""
    relative = np.asarray(deviations) / np.abs(errors)
    x = np.log(dts)
    weights = relative**-2.0
    centred = x - np.average(x, weights=weights)
    spread = np.sum(weights * centred**2)
    return float(np.sum(weights * centred * np.log(np.abs(errors))) / spread), float(spread**-0.5)


MU, NU = -2.0, 0.2
STEPS = np.array([8, 16, 32, 64])


def weak_slope(wrap, seed):
    """Slope of |E X_T − e^{μT}| at T = 1 over four dt, from independent trajectories of the engine."""
    n, errors, deviations = 2**18, [], []
    for k, steps in enumerate(STEPS):
        chain = wrap(geometric(MU, NU, 1.0 / float(steps)))
        final = ss.simulate(chain, np.ones(1, np.float32), int(steps), n, seed=seed + k).astype(np.float64)
        errors.append(final.mean() - np.exp(MU))
        deviations.append(final.std() / np.sqrt(n))
    return slope_with_error(1.0 / STEPS, errors, deviations)


@pytest.mark.long
def test_weak_order_is_one():
    """Slope 1, with an interval of Z standard errors that lies within 1 ± 0.1.

    False-fail rate 6.3e-5: the slope of the exact means, 1.04 at these dt, plus Z standard errors is below 1.1, which
    is checked. Twin: order 1/2, false-pass rate below 1e-15.
    """
    exact = np.abs((1 + MU / STEPS) ** STEPS - np.exp(MU))
    slope, error = weak_slope(lambda chain: chain, 41)
    expected, _ = slope_with_error(1.0 / STEPS, exact, exact[-1] * np.ones(len(STEPS)))
    assert abs(slope - expected) <= Z * error + 0.01
    assert slope - Z * error > 0.9 and slope + Z * error < 1.1, (slope, error)
    broken, spread = weak_slope(HalfOrder, 45)
    assert broken + Z * spread < 0.9, (broken, spread)


def test_weak_order_without_any_sampling_error():
    """E X_T² over all 2^k sign paths of the ±1 chain: exact, equal to its closed form, slope 1 ± 0.1.

    The Gaussian chain has the same second moment, because one step is of degree 1 in its noise.
    """
    mu, nu = -0.5, 0.3
    exact = np.exp(2 * mu + nu**2)
    errors, dts = [], []
    with jax.enable_x64(True):
        for steps in (4, 8, 16):
            dt = 1.0 / steps
            chain = geometric(mu, nu, dt, "rademacher")
            signs = np.stack(np.meshgrid(*[[-1.0, 1.0]] * steps, indexing="ij")).reshape(steps, -1, 1)
            step = jax.vmap(chain.step, in_axes=(0, 0, None))

            def body(states, row, step=step):
                return step(states, row, jnp.uint32(0)), None

            states, _ = jax.lax.scan(body, jnp.ones((2**steps, 1), jnp.float64), jnp.asarray(signs))
            second = float(jnp.mean(states[:, 0] ** 2))
            np.testing.assert_allclose(second, ((1 + mu * dt) ** 2 + nu**2 * dt) ** steps, rtol=1e-12)
            errors.append(abs(second - exact))
            dts.append(dt)
    slopes = np.diff(np.log(errors)) / np.diff(np.log(dts))
    assert np.all(np.abs(slopes - 1) < 0.1), slopes


def test_rademacher_steps_have_the_law_of_a_walk():
    """The engine's signs: X_8 of dX = dW is binomial, nine frequencies, each within Z errors.

    False-fail rate 6.3e-5 for each. Twin: the Gaussian chain puts no mass on the lattice.
    """
    n, dt = 2**16, 0.25
    diffusion = ss.diffusions.ItoDiffusion(lambda x, t: 0 * x, lambda x, t: jnp.ones(1), 1)
    expected = comb(8, np.arange(9)) / 2**8
    lattice = (2 * np.arange(9) - 8) * np.sqrt(dt)

    def shares(increments):
        final = ss.simulate(ss.EulerMaruyama(diffusion, dt, increments), np.zeros(1, np.float32), 8, n, seed=49)
        return np.array([np.mean(np.isclose(final[:, 0], point, atol=1e-5)) for point in lattice])

    error = np.sqrt(expected * (1 - expected) / n)
    assert agrees(shares("rademacher"), expected, error)
    assert not agrees(shares("gaussian"), expected, error)


def test_the_limit_is_the_ito_equation():
    """E X_T = e^{μT} for multiplicative noise. Bias bound: that of the scheme, from its exact mean.

    False-fail rate 6.3e-5. Twin: the Stratonovich reading e^{(μ + ν²/2)T}, false-pass rate below 1e-15.
    """
    mu, nu, steps, n = 0.3, 0.5, 64, 2**16
    final = ss.simulate(geometric(mu, nu, 1 / steps), np.ones(1, np.float32), steps, n, seed=50).astype(np.float64)
    bias = abs((1 + mu / steps) ** steps - np.exp(mu))
    error = final.std() / np.sqrt(n)
    assert agrees(final.mean(), np.exp(mu), error, bias)
    stratonovich = np.exp(mu + nu**2 / 2)
    assert false_pass(stratonovich - np.exp(mu), error, bias) < 1e-15
    assert not agrees(final.mean(), stratonovich, error, bias)


FINE = 2**11
PATHS = 4_096


def brownian_increments(seed, steps):
    """Increments over equal steps of [0, 1], shape (steps, PATHS)."""
    return np.random.default_rng(seed).standard_normal((steps, PATHS)) / np.sqrt(steps)


def drive(chain, start, increments, steps):
    """End states of the chain's own `step`, its noise being the increments summed over each step, over √dt."""
    noise = increments.reshape(steps, -1, PATHS).sum(1) * np.sqrt(steps)

    @jax.jit
    def run(noise):
        def body(states, row):
            return jax.vmap(chain.step, in_axes=(0, 0, None))(states, row[:, None], jnp.uint32(0)), None

        return jax.lax.scan(body, jnp.full((PATHS, 1), start), noise)[0]

    return np.asarray(run(jnp.asarray(noise)))[:, 0]


STRONG_STEPS = (16, 32, 64, 128)


def driven(make, start, increments):
    """End states in each number of steps, (4, PATHS)."""
    with jax.enable_x64(True):
        return np.stack([drive(make(1.0 / steps), start, increments, steps) for steps in STRONG_STEPS])


def strong_slope(ends, reference):
    """Slope of the root mean square error over dt, and its standard error by the jackknife over 32 groups of paths."""
    squares, x = (ends - reference) ** 2, -np.log(np.asarray(STRONG_STEPS, np.float64))

    def slope(squares):
        return np.polyfit(x, 0.5 * np.log(squares.mean(axis=1)), 1)[0]

    parts = squares.reshape(len(x), 32, -1)
    left_out = [slope(np.delete(parts, k, axis=1).reshape(len(x), -1)) for k in range(32)]
    return slope(squares), float(np.sqrt(31 / 32 * np.sum((left_out - np.mean(left_out)) ** 2)))


def test_strong_order_is_one_half_with_multiplicative_noise():
    """Coupled to the exact x₀ exp((μ − ν²/2)T + νW_T); slope 0.5, its interval of Z errors within ± 0.1.

    False-fail rate 6.3e-5. Twins: the Stratonovich solution (slope 0) and increments that are not shared (slope 0).
    """
    mu, nu = 0.1, 0.4
    increments = brownian_increments(51, 2**9)
    exact = np.exp(mu - nu**2 / 2 + nu * increments.sum(0))
    ends = driven(lambda dt: geometric(mu, nu, dt), 1.0, increments)
    slope, error = strong_slope(ends, exact)
    assert abs(slope - 0.5) < 0.1 and Z * error < 0.1, (slope, error)
    stratonovich = exact * np.exp(nu**2 / 2)
    for reference in (stratonovich, np.roll(exact, 1)):
        broken, _ = strong_slope(ends, reference)
        assert abs(broken - 0.5) > 0.2


def test_strong_order_is_one_with_additive_noise():
    """A double well at constant noise against the same path in 2048 steps; slope 1 ± 0.1. False-fail rate 6.3e-5.

    The reference's own error is 1/16 of the finest one, which moves the slope by 0.02. Twins: the state-dependent noise
    of the test above (slope 1/2), and a step that is off by dt^{3/2} (slope 1/2).
    """
    increments = brownian_increments(52, FINE)
    landscape = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 / 4, dim=1)

    def chain(dt):
        return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.2), dt)

    with jax.enable_x64(True):
        fine = drive(chain(1.0 / FINE), -0.5, increments, FINE)
    slope, error = strong_slope(driven(chain, -0.5, increments), fine)
    assert abs(slope - 1) < 0.1 and Z * error < 0.1, (slope, error)
    broken, spread = strong_slope(driven(lambda dt: HalfOrder(chain(dt)), -0.5, increments), fine)
    assert broken + Z * spread < 0.9, broken
