"""Laws that hold in float32 and in float64 alike, and how a passage is carried in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm
from statistical import agrees, binomial_error, false_pass

import sde_sgd as ss
from sde_sgd.reference import ChainExit

BELOW = ss.regions.HalfSpace([1.0], 0.0)


@pytest.fixture(params=[pytest.param(np.float32, marks=pytest.mark.long), np.float64], ids=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param is np.float64):
        yield request.param


def quadratic(x):
    return 1.5 * x[0] ** 2


def resting(x, t):
    return 0 * x


def constant(scale, x, t):
    return scale[None]


def double_well(x):
    return (x[0] ** 2 - 1) ** 2


def chain_on(fn, temperature, dt, dim=1):
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.Landscape(fn, dim), temperature), dt)


def test_stationary_variance_of_a_quadratic(dtype):
    """x' = (1 − h dt)x + √(2T dt) ξ: variance 2T dt/(1 − (1 − h dt)²), exact. False-fail rate 6.3e-5.

    What is left of the start is 0.7^256. Twin, false-pass rate below 1e-4: noise 5 % off.
    """
    stiffness, dt, n = 3.0, 0.1, 16_384

    def exact(temperature):
        return 2 * temperature * dt / (1 - (1 - stiffness * dt) ** 2)

    def measure(temperature):
        chain = chain_on(quadratic, temperature, dt)
        states = ss.simulate(chain, np.zeros(1, dtype), 128, n, seed=41)
        assert states.dtype == dtype
        return np.mean(np.float64(states[:, 0]) ** 2)

    error = exact(0.4) * np.sqrt(2 / n)
    assert agrees(measure(0.4), exact(0.4), error)
    assert false_pass(exact(0.4 * 1.05**2) - exact(0.4), error) < 1e-4
    assert not agrees(measure(0.4 * 1.05**2), exact(0.4), error)


@pytest.mark.long
def test_exit_of_the_chain_itself(dtype):
    """P(exit by step k) against the chain's transition kernel, at three k. No bias.

    The band is 4.5 errors wide: false-fail rate 2e-5 at most. Twin, false-pass rate below 1e-4: noise 5 % off.
    """
    dt, n, temperature = 0.05, 65_536, 0.3
    watched = np.array([8, 20, 40])

    def exact(temperature):
        chain = ChainExit(
            lambda x: x - 4 * x * (x**2 - 1) * dt, np.sqrt(2 * temperature * dt), -1.0, 0.0, -3.0, nodes=200
        )
        return 1 - chain.survival(40)[watched]

    def measure(temperature):
        passage = ss.escape(
            chain_on(double_well, temperature, dt), -np.ones(1, dtype), BELOW, 40 * dt, trajectories=n, seed=42
        )
        assert passage.diverged == 0
        return 1 - passage.survival(watched * dt).value

    truth, broken = exact(temperature), exact(temperature * 1.05**2)
    error = 4.5 / 4 * binomial_error(truth, n)
    assert agrees(measure(temperature), truth, error)
    assert np.min([false_pass(*pair) for pair in zip(broken - truth, error, strict=True)]) < 1e-4
    assert not agrees(measure(temperature * 1.05**2), truth, error)


@pytest.mark.long
def test_bridge_to_a_level(double_precision):
    """Brownian motion reaches 1 before t = 1 with probability 2Φ(−1), at any dt. False-fail rate 6.3e-5.

    Twins, false-pass rate below 1e-4: exit on the grid alone, noise 5 % off.
    """
    dt, n = 0.125, 32_768
    exact = 2 * norm.cdf(-1)
    region = ss.regions.HalfSpace([1.0], 1.0)

    def measure(scale=1.0, monitoring="continuous"):
        diffusion = ss.diffusions.ItoDiffusion(resting, jax.tree_util.Partial(constant, jnp.asarray(scale)), 1)
        chain = ss.EulerMaruyama(diffusion, dt)
        options = {"trajectories": n, "seed": 43, "monitoring": monitoring}
        return ss.escape(chain, np.zeros(1), region, 1.0, **options).probability.value

    error = binomial_error(exact, n)
    assert agrees(measure(), exact, error)
    late, wide = 2 * norm.cdf(-1 - 0.5826 * np.sqrt(dt)), 2 * norm.cdf(-1 / 1.05)
    for value, twin in ((measure(monitoring="discrete"), late), (measure(scale=1.05), wide)):
        assert false_pass(twin - exact, error) < 1e-4
        assert not agrees(value, exact, error)


@pytest.mark.long
@pytest.mark.parametrize("dim", [1, 2])
def test_stops_are_those_of_the_path(dim, double_precision):
    """Steps and outcomes are read off the saved path, whatever the chunk: nothing is lost in what a loop carries."""
    chain = chain_on(lambda x: jnp.sum((x**2 - 1) ** 2), 0.5, 0.02, dim)
    region = ss.regions.HalfSpace(np.eye(dim)[0], 0.0)
    start, steps, n = -np.ones(dim), 192, 150
    passage = ss.escape(chain, start, region, steps * 0.02, trajectories=n, seed=44)
    chunked = ss.escape(chain, start, region, steps * 0.02, trajectories=n, seed=44, chunk=64)
    path = ss.simulate(chain, start, steps, n, seed=44, save_every=1)[:, :, 0]
    assert path.dtype == np.float64
    out = path >= 0
    assert np.array_equal(passage.steps, np.where(out.any(0), out.argmax(0), -1))
    assert np.array_equal(passage.outcome, np.where(out.any(0), 2, 0))
    assert 10 < np.sum(out.any(0)) < n - 10
    assert np.array_equal(passage.steps, chunked.steps) and np.array_equal(passage.outcome, chunked.outcome)


@pytest.mark.long
def test_divergence_is_seen(double_precision):
    """A state that overflows stops there; the step is the first at which the path is not finite."""
    chain = chain_on(lambda x: -(x[0] ** 4), 0.1, 0.1)
    start, everywhere = np.ones(1), ss.regions.HalfSpace([1e-300], 1e30)
    passage = ss.escape(chain, start, everywhere, 12.8, trajectories=64, seed=45)
    path = ss.simulate(chain, start, 128, 64, seed=45, save_every=1)[:, :, 0]
    with np.errstate(invalid="ignore"):
        first = (~np.isfinite(path)).argmax(0)
    assert np.array_equal(passage.steps[passage.outcome == 1], first[passage.outcome == 1])
    assert passage.diverged == 64
