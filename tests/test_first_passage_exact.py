"""First passages against exact values: of the diffusion, and of the discrete chain."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm
from statistical import agrees, binomial_error, false_pass, mean_passage

import sde_sgd as ss
from sde_sgd.reference import ChainExit

DOUBLE_WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
ORNSTEIN_UHLENBECK = ss.landscapes.Landscape(lambda x: 0.5 * x[0] ** 2, dim=1)
# independent quadrature, reflecting at −2.2; the value for β = 10 there is a published one
DOUBLE_WELL_TIMES = {
    (2.0, 0.0): 4.6065396,
    (2.0, 0.5): 8.7567405,
    (4.0, 0.0): 33.945744,
    (4.0, 0.5): 65.924984,
    (6.0, 0.0): 241.95199,
    (6.0, 0.5): 477.63497,
}


def below(offset):
    return ss.regions.HalfSpace(np.array([1.0]), offset)


def standard_error(fp):
    """Of the mean exit time, from the sample itself; every trajectory has left."""
    assert fp.diverged == 0 and fp.censored == 0
    return float(np.std(fp.exit_times) / np.sqrt(fp.trajectories))


def scaled_noise(chain, factor):
    """The broken twin whose noise amplitude is off by `factor`."""
    return eqx.tree_at(lambda c: c.diffusion.temperature, chain, replace_fn=lambda temperature: temperature * factor**2)


def no_drift(x, t):
    return 0 * x


def constant(factor, x, t):
    return factor


def driftless(factor, dt):
    """dX = B dW; B is a leaf, so that another B is not another program."""
    diffusion = ss.diffusions.ItoDiffusion(no_drift, jax.tree_util.Partial(constant, factor), factor.shape[0])
    return ss.EulerMaruyama(diffusion, dt)


def brownian(dim, scale, dt):
    return driftless(jnp.full(dim, scale, jnp.float32), dt)


INTERVAL = ss.regions.HalfSpace(np.array([1.0]), 1.0) & ss.regions.HalfSpace(np.array([-1.0]), 1.0)
BALL = ss.regions.Ball(np.zeros(3), 1.0)


@pytest.mark.long
@pytest.mark.parametrize(
    ("region", "start", "dt"), [(INTERVAL, [0.3], 0.01), (BALL, [0.2, 0.1, 0.0], 0.002)], ids=["interval", "ball"]
)
def test_brownian_motion_leaves_an_interval_and_a_ball(region, start, dt):
    """E τ = (R² − |x|²)/(d s²). False-fail rate 6.3e-5.

    The bias bound is dt: half a step for where in its step a passage is placed, half for the curved boundary.
    Twins, each with a false-pass rate below 1e-4: exit of the chain (boundary moved out by 0.5826 s √dt), and noise
    5 % off.
    """
    start, dim, n = np.array(start, np.float32), len(start), 16_384
    exact = float((1 - start @ start) / dim)

    def measure(scale=1.0, monitoring="continuous"):
        fp = ss.escape(brownian(dim, scale, dt), start, region, trajectories=n, seed=11, monitoring=monitoring)
        return fp.mean_exit_time.value, standard_error(fp)

    value, error = measure()
    assert agrees(value, exact, error, dt)
    late = ((1 + 0.5826 * np.sqrt(dt)) ** 2 - start @ start) / dim - exact
    for twin, shift in ((measure(monitoring="discrete"), late), (measure(scale=1.05), exact * (1 - 1.05**-2))):
        assert false_pass(shift, twin[1], dt) < 1e-4
        assert not agrees(twin[0], exact, twin[1], dt)


@pytest.mark.long
@pytest.mark.parametrize(("sigmas", "exact", "n"), [(2.0, 10.42841, 16_384), (3.0, 86.93162, 4096)])
def test_ornstein_uhlenbeck_reaches_a_level(sigmas, exact, n):
    """Mean time from 0 to `sigmas` stationary deviations. False-fail rate 6.3e-5.

    Bias bound: Euler–Maruyama samples another Ornstein–Uhlenbeck process exactly; 1.5 times the change of E τ that
    this makes, and half a step. Twins (false-pass rate below 1e-4): exit of the chain, noise 5 % off.
    """
    dt, level = 0.01, sigmas / np.sqrt(2)
    rate = -np.log1p(-dt) / dt
    variance = 2 * rate / (2 - dt)
    true, other = (
        mean_passage(lambda x, r=r: -r * x, lambda x, v=v: v + 0 * x, 0.0, level, -6.0)
        for r, v in ((1.0, 1.0), (rate, variance))
    )
    np.testing.assert_allclose(true, exact, rtol=1e-6)
    bias = 1.5 * abs(other - true) + dt / 2
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ORNSTEIN_UHLENBECK, 0.5), dt)

    def measure(chain, monitoring="continuous"):
        fp = ss.first_passage(
            chain, np.zeros(1, np.float32), ~below(level), trajectories=n, seed=12, monitoring=monitoring
        )
        return fp.mean_exit_time.value, standard_error(fp)

    value, error = measure(chain)
    assert agrees(value, exact, error, bias)
    late = mean_passage(lambda x: -x, lambda x: 1 + 0 * x, 0.0, level + 0.5826 * np.sqrt(dt), -6.0)
    early = mean_passage(lambda x: -x, lambda x: 1.05**2 + 0 * x, 0.0, level, -6.0)
    twins = ((measure(chain, "discrete"), late), (measure(scaled_noise(chain, 1.05)), early))
    for (value, error), expected in twins:
        # the scheme's own bias may work against the shift
        assert false_pass(abs(expected - exact) - bias, expected / np.sqrt(n), bias) < 1e-4
        assert not agrees(value, exact, error, bias)


def double_well_time(beta, target, dt=0.0, noise=1.0):
    """Exact E τ from −1; with dt, of the modified equation that Euler–Maruyama follows to second weak order.

    dX = (b − (dt/2)(b b' + (σ²/2) b'')) dt + σ (1 − (dt/2) b') dW (Zygalakis 2011, SIAM J. Sci. Comput. 33, sec. 4).
    """
    square = 2 / beta * noise**2

    def slope(x):
        return 4 - 12 * x**2

    def drift(x):
        b = -4 * x * (x**2 - 1)
        return b - dt / 2 * (b * slope(x) - square / 2 * 24 * x)

    return mean_passage(drift, lambda x: square * (1 - dt / 2 * slope(x)) ** 2, -1.0, target, -2.2)


@pytest.mark.parametrize(
    ("beta", "target", "dt", "n"),
    [
        (2.0, 0.0, 0.005, 4096),
        (2.0, 0.5, 0.005, 4096),
        (4.0, 0.0, 0.005, 4096),
        (4.0, 0.5, 0.01, 1024),
        (6.0, 0.0, 0.01, 1024),
        (6.0, 0.5, 0.01, 1024),
    ],
)
def test_double_well_mean_passage(beta, target, dt, n):
    """Mean time from −1 to 0 and to 0.5, without and with the barrier passed. False-fail rate 6.3e-5.

    The exact values reflect at −2.2; without that they differ by less than 1e-5, relatively (checked here).
    Bias bound: 1.5 times the change that the modified equation predicts, and half a step.
    Twin: noise 5 % off, false-pass rate below 1e-3 at β = 2 and 1e-4 above. That of the chain's own exit, at the
    saddle where the time depends most on the place, is rejected below.
    """
    exact = DOUBLE_WELL_TIMES[beta, target]
    np.testing.assert_allclose(double_well_time(beta, target), exact, rtol=1e-6)
    bias = 1.5 * abs(double_well_time(beta, target, dt) - exact) + dt / 2
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(DOUBLE_WELL, 1 / beta), dt)
    value, error = passage_of(chain, target, n)
    assert agrees(value, exact, error, bias), (value, exact, error, bias)
    if beta < 6:
        value, error = passage_of(scaled_noise(chain, 1.05), target, n)
        shifted = double_well_time(beta, target, noise=1.05)
        assert false_pass(abs(shifted - exact) - bias, error, bias) < (1e-3 if beta == 2 else 1e-4)
        assert not agrees(value, exact, error, bias)


def passage_of(chain, target, n, monitoring="continuous"):
    fp = ss.first_passage(
        chain, -np.ones(1, np.float32), ~below(target), trajectories=n, seed=13, monitoring=monitoring, method="direct"
    )
    return fp.mean_exit_time.value, standard_error(fp)


def test_the_reflection_of_the_tabulated_times_does_not_matter():
    for target in (0.0, 0.5):
        wide = mean_passage(lambda x: -4 * x * (x**2 - 1), lambda x: 1 + 0 * x, -1.0, target, -3.0)
        np.testing.assert_allclose(wide, DOUBLE_WELL_TIMES[2.0, target], rtol=1e-4)


def test_the_chains_own_exit_over_the_saddle_is_late():
    """The twin with the wrong exit: at β = 2 the bias of watching the grid only is about 12 % of the mean.

    False-pass rate below 1e-4.
    """
    exact, dt = DOUBLE_WELL_TIMES[2.0, 0.0], 0.01
    bias = 1.5 * abs(double_well_time(2.0, 0.0, dt) - exact) + dt / 2
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(DOUBLE_WELL, 0.5), dt)
    value, error = passage_of(chain, 0.0, 16_384, "discrete")
    shift = double_well_time(2.0, 0.5826 * np.sqrt(dt), dt) - exact
    assert false_pass(shift - bias, error, bias) < 1e-4
    assert not agrees(value, exact, error, bias)


def hitting(log_level, log_drift, scale, horizon):
    """P(max of log_drift·t + scale·W_t over [0, horizon] ≥ log_level): reflection principle and Girsanov."""
    root = scale * np.sqrt(horizon)
    return norm.cdf((log_drift * horizon - log_level) / root) + np.exp(2 * log_drift * log_level / scale**2) * norm.cdf(
        (-log_level - log_drift * horizon) / root
    )


def proportional(factor, x, t):
    return factor * x


def geometric(mu, nu, dt):
    coefficients = (jax.tree_util.Partial(proportional, jnp.float32(value)) for value in (mu, nu))
    return ss.EulerMaruyama(ss.diffusions.ItoDiffusion(*coefficients, 1), dt)


@pytest.mark.long
def test_multiplicative_noise_reaches_a_level():
    """dX = μX dt + νX dW from 1 reaches 1.5 before t = 1: exact in log X. False-fail rate 6.3e-5.

    Bias bound dt = 0.005, of the order O(dt) that the method has.
    Twins (false-pass rate below 1e-4): exit of the chain, the equation in the sense of Stratonovich, and noise 20 % off
    (at 5 % this probability hardly moves).
    """
    mu, nu, dt, n = 0.1, 0.8, 0.005, 65_536
    level = np.log(1.5)
    exact = hitting(level, mu - nu**2 / 2, nu, 1.0)

    def measure(mu, nu, monitoring="continuous"):
        fp = ss.first_passage(
            geometric(mu, nu, dt), np.ones(1, np.float32), ~below(1.5), horizon=1.0, trajectories=n, seed=14,
            monitoring=monitoring,
        )  # fmt: skip
        return fp.probability.value

    error = binomial_error(exact, n)
    assert agrees(measure(mu, nu), exact, error, dt)
    twins = (
        (measure(mu, nu, "discrete"), hitting(level + 0.5826 * nu * np.sqrt(dt), mu - nu**2 / 2, nu, 1.0)),
        (measure(mu + nu**2 / 2, nu), hitting(level, mu, nu, 1.0)),
        (measure(mu, 0.8 * nu), hitting(level, mu - (0.8 * nu) ** 2 / 2, 0.8 * nu, 1.0)),
    )
    for value, expected in twins:
        assert false_pass(expected - exact, error, dt) < 1e-4
        assert not agrees(value, exact, error, dt)


FACTOR = np.array([[1.0, 0.0], [0.6, 0.4]])


def anisotropic(scale=1.0):
    return driftless(jnp.asarray(scale * FACTOR, jnp.float32), 0.002)


@pytest.mark.long
def test_anisotropic_noise_leaves_a_half_plane():
    """P(τ ≤ T) = 2Φ(−d/√(nᵀan T)), which the bridge reproduces without bias at any dt. False-fail rate 6.3e-5.

    Twins (false-pass rate below 1e-4): exit of the chain, noise 5 % off.
    """
    normal, offset, n = np.array([0.3, -1.0]), 0.2, 65_536
    exact = 2 * norm.cdf(-offset / np.linalg.norm(normal @ FACTOR))

    def measure(scale=1.0, monitoring="continuous"):
        region = ss.regions.HalfSpace(normal, offset)
        return ss.escape(
            anisotropic(scale), np.zeros(2, np.float32), region, 1.0, trajectories=n, seed=15, monitoring=monitoring
        ).probability.value

    error = binomial_error(exact, n)
    assert agrees(measure(), exact, error)
    late = 2 * norm.cdf(-offset / np.linalg.norm(normal @ FACTOR) - 0.5826 * np.sqrt(0.002))
    wide = 2 * norm.cdf(-offset / np.linalg.norm(normal @ FACTOR) / 1.05)
    for value, expected in ((measure(monitoring="discrete"), late), (measure(scale=1.05), wide)):
        assert false_pass(expected - exact, error) < 1e-4
        assert not agrees(value, exact, error)


@pytest.mark.long
def test_anisotropic_noise_leaves_an_ellipse():
    """X = B W in {xᵀ(BBᵀ)⁻¹x < 1} leaves when W leaves the unit disc: E τ = (1 − |z|²)/2. False-fail rate 6.3e-5.

    The set is a Sublevel whose level function is no distance. Bias bound 2 dt, for its curvature.
    Twins (false-pass rate below 1e-4): exit of the chain, noise 5 % off.
    """
    inverse = jnp.asarray(np.linalg.inv(FACTOR @ FACTOR.T), jnp.float32)
    region = ss.regions.Sublevel(ss.landscapes.Landscape(lambda x: x @ inverse @ x, 2), 1.0)
    white, dt = np.array([0.2, -0.3]), 0.002
    exact = (1 - white @ white) / 2

    def measure(scale=1.0, monitoring="continuous"):
        start = (FACTOR @ white).astype(np.float32)
        fp = ss.escape(anisotropic(scale), start, region, trajectories=20_480, seed=16, monitoring=monitoring)
        return fp.mean_exit_time.value, standard_error(fp)

    value, error = measure()
    assert agrees(value, exact, error, 2 * dt)
    late = ((1 + 0.5826 * np.sqrt(dt)) ** 2 - white @ white) / 2 - exact
    for (value, error), shift in ((measure(monitoring="discrete"), late), (measure(1.05), exact * (1 - 1.05**-2))):
        assert false_pass(shift, error, 2 * dt) < 1e-4
        assert not agrees(value, exact, error, 2 * dt)


@pytest.mark.long
def test_escape_of_the_discrete_chain_itself():
    """P(exit by step k) of the chain at a large dt equals that of its transition kernel, at five k. No bias.

    False-fail rate 5 × 6.3e-5 = 3.2e-4 were the five independent; the band is 4.5 errors wide, which makes it 3.4e-5.
    Twins (false-pass rate below 1e-4): exit of the path between steps, noise 5 % off, noise that lacks a √dt.
    """
    dt, steps, n, temperature = 0.05, 40, 200_000, 0.3
    watched = np.array([4, 8, 16, 28, 40])

    def kernel(deviation):
        chain = ChainExit(lambda x: x - 4 * x * (x**2 - 1) * dt, deviation, -1.0, 0.0, -3.0)
        return 1 - chain.survival(steps)[watched]

    deviation = np.sqrt(2 * temperature * dt)
    exact = kernel(deviation)
    error = 4.5 / 4 * binomial_error(exact, n)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(DOUBLE_WELL, temperature), dt)

    def measure(chain, monitoring="discrete"):
        fp = ss.escape(
            chain, -np.ones(1, np.float32), below(0.0), steps * dt, trajectories=n, seed=17, monitoring=monitoring
        )
        assert fp.diverged == 0
        return 1 - fp.survival(watched * dt).value

    values = measure(chain)
    assert agrees(values, exact, error)
    for broken in (kernel(1.05 * deviation), kernel(deviation * np.sqrt(dt))):
        assert np.min([false_pass(b - e, s) for b, e, s in zip(broken, exact, error, strict=True)]) < 1e-4
        assert not agrees(values, broken, error)
    assert not agrees(measure(chain, "continuous"), exact, error)
