"""Symmetric α-stable increments and the chain that they drive: characteristic functions, a law, exits by its kernel."""

import inspect
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parameters import quick
from scipy import stats
from scipy.interpolate import CubicSpline
from scipy.special import gamma
from statistical import agrees, binomial_error

import sde_sgd as ss
from sde_sgd.chains import LevyEuler
from sde_sgd.passage.splitting._substeps import can_have_substeps
from sde_sgd.random import Stable

REST = ss.diffusions.ItoDiffusion(lambda x, t: 0 * x, lambda x, t: 1 + 0 * x, 1)
NUMBER = 65_536
FREQUENCIES = np.array([0.2, 0.7, 1.5, 3.0])


def same_law(x, alpha, scale):
    """Whether E cos(sx) is exp(−(scale·s)^α) at four frequencies."""
    x = np.asarray(x, np.float64)
    exact, twice = (np.exp(-(np.abs(scale * s) ** alpha)) for s in (FREQUENCIES, 2 * FREQUENCIES))
    error = np.sqrt(((1 + twice) / 2 - exact**2) / x.size)
    found = np.array([np.mean(np.cos(s * x)) for s in FREQUENCIES])
    return agrees(found, exact, error), agrees([np.mean(np.sin(s * x)) for s in FREQUENCIES], 0, x.size**-0.5)


@pytest.mark.parametrize("alpha", quick([0.7, 1.0, 1.3, 1.7, 2.0], 0.7, 1.0, 2.0))
def test_characteristic_function_of_a_step(alpha):
    """Of two steps of dt = 1/2 from 0 at B = 1, whose sum has scale 1. Twins: 6 % wider, √dt instead of dt^(1/α)."""
    x = ss.simulate(LevyEuler(REST, alpha, 0.5), np.zeros(1), 2, NUMBER, seed=5)[:, 0]
    assert same_law(x, alpha, 1.0) == (True, True)
    assert not same_law(1.06 * x, alpha, 1.0)[0]
    if alpha < 2:
        assert not same_law(0.5 ** (1 / 2 - 1 / alpha) * x, alpha, 1.0)[0]
    law = {1.0: stats.cauchy(), 2.0: stats.norm(scale=np.sqrt(2))}.get(alpha)
    if law is not None:
        assert stats.kstest(x, law.cdf).pvalue > 1e-5 > stats.kstest(1.05 * x, law.cdf).pvalue


def in_float64(w0, w1, alpha):
    gap = (w1 % 2**31 + 0.5) * np.pi / 2**32
    angle, waited = np.pi / 2 - gap, -np.log((w0 + 0.5) / 2**32)
    size = np.sin(alpha * angle) / np.sin(gap) ** (1 / alpha)
    return np.where(w1 >= 2**31, -size, size) * (np.cos((1 - alpha) * angle) / waited) ** ((1 - alpha) / alpha)


@pytest.mark.parametrize("alpha", [0.5, 0.9, 1.0, 1.5, 2.0])
def test_draws_are_the_formula_in_float32(alpha):
    """Of Chambers, Mallows and Stuck, in float64 with the same words; and the ends of the tail."""
    words = np.random.default_rng(2).integers(0, 2**32, (4, 100_000), dtype=np.uint32)
    words[1, :3] = words[3, :3] = [0, 2**31, 2**31 - 1]
    first, second = Stable(alpha, 2.0).draw(tuple(map(jnp.asarray, words[:2])), tuple(map(jnp.asarray, words[2:])))
    for found, (w0, w1) in ((first, words[:2]), (second, words[2:])):
        exact, found = 2 * in_float64(w0.astype(np.float64), w1.astype(np.float64), alpha), np.float64(found)
        off = np.abs(found - exact) / (1 + np.abs(exact))
        assert np.all(np.isfinite(found)) and np.sqrt(np.mean(off**2)) < 3e-4 and np.quantile(off, 0.999) < 2e-5
        # twin: the index next to it
        other = 2 * in_float64(w0.astype(np.float64), w1.astype(np.float64), alpha - 1e-3)
        assert np.quantile(np.abs(other - exact), 0.9) > 1e-4
        assert found[0] > 0 > found[1]
    # of the shape of those before, whose operations are compiled
    first, last = (jnp.full(words.shape[1], word, jnp.uint32) for word in (0, 2**32 - 1))
    np.testing.assert_allclose(Stable(1.0).draw((last, first), (first, first)), 2**33 / np.pi, rtol=1e-5)
    assert np.all(np.isfinite(Stable(alpha).draw((last, first), (last, last))))


@pytest.mark.long
@pytest.mark.parametrize("alpha", [1.3, 2.0])
def test_a_linear_drift_has_the_stable_law_of_the_sum(alpha):
    """dX = −X dt + s dL: of n steps the scale is s(h Σ (1 − h)^(αk))^(1/α), towards s α^(−1/α). Twin: 4 % off."""
    s, h, steps = 0.8, 0.1, 60
    chain = LevyEuler(ss.Langevin(ss.landscapes.Quadratic([1.0]), s**2 / 2), alpha, h)
    x = ss.simulate(chain, np.zeros(1), steps, NUMBER, seed=7)[:, 0]
    scale = s * (h * np.sum((1 - h) ** (alpha * np.arange(steps)))) ** (1 / alpha)
    assert same_law(x, alpha, scale) == (True, True)
    assert not same_law(x, alpha, 1.04 * scale)[0]
    fine = 1e-5
    assert (fine / (1 - (1 - fine) ** alpha)) ** (1 / alpha) == pytest.approx(alpha ** (-1 / alpha), rel=1e-4)


def exits(alpha, s, h, width, steps, density):
    """P(|x| ≥ width within `steps` from 0) and the mean number of steps to it, of x' = (1 − h)x + s h^(1/α) ξ.

    By Nyström's method: the kernel on 301 Gauss–Legendre nodes.
    """
    nodes, weights = np.polynomial.legendre.leggauss(301)
    nodes, weights, size = nodes * width, weights * width, s * h ** (1 / alpha)
    kernel = density(np.abs(nodes - (1 - h) * nodes[:, None]) / size) / size * weights
    middle = nodes.size // 2
    stays = np.linalg.matrix_power(kernel, steps).sum(axis=1)[middle]
    return 1 - stays, np.linalg.solve(np.eye(nodes.size) - kernel, np.ones(nodes.size))[middle]


def density_of(alpha):
    """The stable density on [0, 120], by the trapezium rule on its characteristic function."""
    points, k = np.linspace(0, 120, 3_001), np.linspace(0, 12, 4_001)
    wave = np.exp(-(k**alpha)) * np.where((k == 0) | (k == 12), 0.5, 1.0) * k[1] / np.pi
    return CubicSpline(points, [wave @ np.cos(point * k) for point in points])


def test_exits_are_those_of_the_kernel_and_grow_like_the_width_to_alpha():
    """From harmonic wells of half-width 1 and 2 at low noise; α = 1.5. Twin: the kernel of α = 1.6.

    The mean exit time tends to that of one jump over the rim, 1/(2Γ(α) sin(πα/2)/π·(s/a)^α), as the noise falls
    (Imkeller and Pavlyukevich 2006).
    """
    alpha, h = 1.5, 0.2
    density, other = density_of(alpha), density_of(1.6)
    well = ss.landscapes.Quadratic([1.0])
    for width, horizon in ((1.0, 10.0), (2.0, 28.0)):
        steps = round(horizon / h)
        exact, twin = exits(alpha, 0.15, h, width, steps, density)[0], exits(1.6, 0.15, h, width, steps, other)[0]
        chain, ball = LevyEuler(ss.Langevin(well, 0.15**2 / 2), alpha, h), ss.regions.Ball([0.0], width)
        found = ss.escape(chain, [0.0], ball, horizon, trajectories=4_096, seed=9, method="direct").probability.value
        error = binomial_error(exact, 4_096)
        assert agrees(found, exact, error) and not agrees(found, twin, error)
    times = np.array([[h * exits(alpha, s, h, width, 1, density)[1] for width in (1.0, 2.0)] for s in (0.15, 0.1)])
    rates = 2 * gamma(alpha) * np.sin(np.pi * alpha / 2) / np.pi * np.array([0.15, 0.1]) ** alpha
    assert np.all(np.abs(times[:, 1] * rates / 2**alpha - 1) < [0.04, 0.02])
    growth = np.abs(times[:, 1] / times[:, 0] / 2**alpha - 1)
    assert growth[1] < growth[0] < 0.06 and growth[1] < 0.03


@pytest.mark.long
def test_bits_do_not_depend_on_chunk_devices_or_replay():
    well = ss.landscapes.Landscape(lambda x: jnp.sum((x**2 - 1) ** 2 / (1 + x**2)), 2)
    chain = LevyEuler(ss.LangevinSGD.at_temperature(well, 0.1), 1.5, 0.01)
    options = {"start": -np.ones(2, np.float32), "steps": 100, "seed": 3}
    whole = ss.simulate(chain, trajectories=200, **options)
    assert np.array_equal(whole, ss.simulate(chain, trajectories=200, chunk=64, **options))
    assert np.array_equal(whole, ss.simulate(chain, trajectories=200, devices=jax.devices()[:1], **options))
    assert np.array_equal(whole[[7, 150]], ss.simulate(chain, trajectory_ids=[7, 150], **options))
    assert np.ptp(whole[:, 0]) > 2


def test_a_schedule_is_asked_for_its_iterations(double_precision):
    """The drift and the amplitude of step k are those of iteration k."""
    surface = ss.landscapes.Quadratic([2.0])
    diffusion = ss.LangevinSGD(surface, ss.noise.Isotropic(4.0), lambda count: 0.1 / (1 + count), batch_size=1)
    chain = LevyEuler(diffusion, 1.5, 0.1)
    assert chain.changes_in_time and "learning_rate" in chain.what_changes
    moved = chain.step(jnp.array([1.0]), jnp.array([0.3]), jnp.uint32(4))
    np.testing.assert_allclose(moved, 1 + 0.2 * (-2.0 * 0.1 + np.sqrt(0.4) * 0.3 * 0.1 ** (2 / 3)), rtol=1e-9)


def test_what_has_no_variance_is_refused_where_it_needs_one():
    chain, substeps = LevyEuler(REST, 1.5, 0.1), inspect.unwrap(can_have_substeps)
    with pytest.raises(ValueError, match=r"increments must have mean 0 and variance 1 .* chains.LevyEuler"):
        ss.EulerMaruyama(REST, 0.1, Stable(1.5))
    with pytest.raises(ValueError, match=r"needs an EulerMaruyama chain .* got LevyEuler with Stable"):
        ss.escape(chain, [0.0], ss.regions.Ball([0.0], 1.0), 1.0, trajectories=8, monitoring="continuous")
    assert not substeps(types.SimpleNamespace(chain=chain, steps=10), 1)
    assert substeps(types.SimpleNamespace(chain=ss.EulerMaruyama(REST, 0.1), steps=10), 1)
    with pytest.raises(ValueError, match=r"alpha must be 2 for a step to have a covariance, got 1.5"):
        chain.covariance(jnp.zeros(1))
    for alpha in (0.3, 2.1, True, np.ones(2), "steep", float("nan")):
        with pytest.raises(ValueError, match=r"alpha must be a number from 0.5 to 2"):
            Stable(alpha)
    with pytest.raises(ValueError, match=r"scale must be a finite number above 0"):
        Stable(1.5, 0.0)


def test_covariances_of_a_step():
    """Of Euler–Maruyama a dt, at α = 2 twice that."""
    warm, theta = ss.Langevin(ss.landscapes.Quadratic([1.0, 3.0]), 0.3), jnp.ones(2)
    np.testing.assert_allclose(ss.EulerMaruyama(warm, 0.1).covariance(theta), 0.06 * np.eye(2), rtol=1e-6)
    np.testing.assert_allclose(LevyEuler(warm, 2, 0.1).covariance(theta), 0.12 * np.eye(2), rtol=1e-6)
