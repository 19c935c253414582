"""Time of a step: whole iterations of schedules, periods, and steps that are too late."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from time_cases import WELL, pushed

import sde_sgd as ss
from sde_sgd.chains import WholeState, refuse_late
from sde_sgd.diffusions import Iterations, ItoDiffusion, PeriodicTime, WholeIterations
from sde_sgd.passage._monitor import BrownianBridge

# A5: schedules are asked for whole iterations


def rates_taken(gamma, dt, count, dtype=jnp.float32):
    """Iteration that each of the first `count` steps asks the schedule for, read off its drift."""

    def schedule(iteration):
        return gamma * (1.0 + iteration)

    slope = ss.landscapes.Landscape(lambda x: -x[0], dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD(slope, ss.noise.Isotropic(1.0), schedule, 4.0), dt)

    @jax.jit
    def drifts(steps):
        return jax.vmap(lambda step: chain.diffusion.drift(jnp.zeros(1, dtype), chain.instant(step, dtype)))(steps)

    return np.rint(np.asarray(drifts(jnp.arange(count, dtype=jnp.uint32)))[:, 0]).astype(int) - 1


@pytest.mark.parametrize("gamma", [0.01, 0.1, 0.3, 1 / 3, 0.007, 1e-4, 0.05, 0.123, 0.9, 0.0625])
def test_every_boundary_is_met(gamma):
    """Steps 0 … 500 in float32 of γ, γ/3, 2γ and 3γ/2. Twin: the floor of a rounded quotient is late somewhere."""
    steps = np.arange(501)
    for p, q in ((1, 1), (1, 3), (2, 1), (3, 2)):
        assert np.array_equal(rates_taken(gamma, gamma * p / q, 501), steps * p // q)
    assert np.array_equal(rates_taken(gamma, None, 501), steps)


def test_the_floor_of_a_quotient_is_late():
    """The broken twin of the test above, in float32."""
    steps = np.arange(501, dtype=np.float32)
    gammas = np.float32([0.01, 0.1, 0.3, 1 / 3, 0.007])
    late = [np.any(np.floor(steps * gamma / gamma) != steps) for gamma in gammas]
    assert any(late)


def test_case_a5():
    """Rate 0.01 to step 106, then the schedule's other one; float32, no noise to speak of."""
    schedule = optax.piecewise_constant_schedule(0.01, {107: 0.1})
    slope = ss.landscapes.Landscape(lambda x: -x[0], dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD(slope, ss.noise.Isotropic(1e-12), schedule, 1.0))
    path = ss.simulate(chain, np.zeros(1, np.float32), 120, 1, save_every=1)[:, 0, 0]
    moved = np.diff(path)
    np.testing.assert_allclose(moved[:107], 0.01, rtol=1e-3)
    np.testing.assert_allclose(moved[107:], 0.001, rtol=1e-2)


def test_iterations_are_exact_to_the_last_step():
    """Against Python's integers, near 2³² steps and for terms of many digits."""
    for p, q in ((1, 1), (1, 7), (3, 2), (99, 100), (1, 10_000), (97, 89)):
        clock = WholeIterations(p, q)
        last = clock.last_step(np.float32)
        steps = np.array([0, 1, q - 1, q, 10**6 + 1, 10**9, last - 1], np.uint64)
        counts = jax.vmap(lambda step, clock=clock: clock.at(step, jnp.float32(0.1)).count)(
            jnp.asarray(steps.astype(np.uint32))
        )
        assert [int(count) for count in counts] == [int(step) * p // q for step in steps], (p, q)


@pytest.mark.parametrize(
    ("dt", "terms"),
    [
        (None, (1, 1)),
        (0.1, (1, 1)),
        (0.1 / 3, (1, 3)),
        (0.3, (3, 1)),
        (0.15, (3, 2)),
        (0.1 / 10_000, (1, 10_000)),
        (np.float32(0.1) / np.float32(7), (1, 7)),
        (jnp.float32(0.07), (7, 10)),
    ],
)
def test_dt_is_read_as_a_ratio(dt, terms):
    for rate in (lambda k: 0.1, optax.constant_schedule(np.float32(0.1)), optax.exponential_decay(0.1, 10, 0.5)):
        clock = ss.EulerMaruyama(ss.LangevinSGD(WELL, ss.noise.Isotropic(1.0), rate, 4.0), dt).clock
        assert (clock.iterations, clock.steps) == terms


@pytest.mark.parametrize("dt", [0.1 * 2**0.5, 0.1 * np.pi, 0.1 * np.exp(-1), 100.0, 0.0314159])
def test_dt_that_is_no_simple_ratio_is_refused(dt):
    for rate in (lambda k: 0.1, optax.exponential_decay(0.1, 10, 0.5)):
        with pytest.raises(ValueError, match=r"dt must be None .* got dt = .* with learning_rate = "):
            ss.EulerMaruyama(ss.LangevinSGD(WELL, ss.noise.Isotropic(1.0), rate, 4.0), dt)


def test_a_batch_schedule_alone_and_a_rate_that_is_swept():
    """One program for many rates: γ is traced, dt = None is one iteration a step; another dt has no known ratio."""
    batches = optax.piecewise_constant_schedule(4.0, {3: 4.0})

    def final(rate):
        chain = ss.EulerMaruyama(ss.LangevinSGD(WELL, ss.noise.Isotropic(1.0), rate, batches))
        return ss.integrate(chain, jnp.full((4, 1), 0.5), 0, 6, 3, np.arange(4))

    swept = jax.vmap(final)(jnp.array([0.01, 0.03]))
    np.testing.assert_allclose(swept[1], final(0.03), rtol=1e-5)
    diffusion = ss.LangevinSGD(WELL, ss.noise.Isotropic(1.0), 0.03, batches)
    two, eight = (diffusion.covariance(jnp.zeros(1), Iterations(count))[0, 0] for count in (2, 3))
    np.testing.assert_allclose(two / eight, 4.0, rtol=1e-6)

    def with_dt(rate):
        return ss.EulerMaruyama(ss.LangevinSGD(WELL, ss.noise.Isotropic(1.0), rate, batches), 0.01).dt

    with pytest.raises(ValueError, match="known when the program is built"):
        jax.vmap(with_dt)(jnp.array([0.01, 0.03]))


def test_numbers_are_times_too():
    """A number that is meant as a multiple of γ is one; between multiples the rate is that of the iteration begun."""
    diffusion = ss.LangevinSGD(WELL, ss.noise.Isotropic(1.0), lambda k: 0.1 * (1 + k), 4.0)
    theta = jnp.array([0.5])
    for k in range(1, 200, 3):
        exact = diffusion.drift(theta, Iterations(k))
        for time in (k * 0.1, k * 0.1 + 0.05, jnp.float32(k) * jnp.float32(0.1)):
            assert np.array_equal(diffusion.drift(theta, time), exact), (k, time)


NOISES = {
    "isotropic": ss.noise.Isotropic(2.0),
    "diagonal": ss.noise.Diagonal([0.5, 2.0]),
    "hessian": ss.noise.HessianProportional(0.5, "clip"),
    "loss": ss.noise.LossProportional(20.0),
}


@pytest.mark.parametrize("name", NOISES)
def test_schedule_and_covariance_and_bridge(name):
    """a = (γ_k/γ_0)² (γ_0/M_k) V at step k, and the bridge crosses with exp(−2φφ'/(a dt)) of that a, γ/2 a step."""
    bowl = ss.landscapes.Quadratic([2.0, 1.0])
    rates = optax.piecewise_constant_schedule(0.1, {5: 0.5})
    batches = optax.piecewise_constant_schedule(4.0, {8: 2.0})
    chain = ss.EulerMaruyama(ss.LangevinSGD(bowl, NOISES[name], rates, batches), 0.05)
    target = ss.regions.HalfSpace([1.0, 0.0], 0.0)
    monitor = BrownianBridge(chain, target, None)
    before, after = jnp.array([0.02, 0.3]), jnp.array([0.03, 0.3])
    codes = jax.jit(lambda step, uniform: monitor.code(before, after, step, uniform))
    covariance = jax.jit(lambda step: chain.diffusion.covariance(before, chain.instant(step, jnp.float32)))
    variance = np.asarray(NOISES[name].covariance(bowl, before))
    for step in (0, 9, 10, 11, 15, 16, 17, 40):
        iteration = step // 2
        rate, batch = (0.1 if iteration < 5 else 0.05), (4.0 if iteration < 8 else 8.0)
        expected = (rate / 0.1) ** 2 * 0.1 / batch * variance
        np.testing.assert_allclose(covariance(np.uint32(step)), expected, rtol=1e-5, atol=1e-9)
        crossing = np.exp(-2 * 0.02 * 0.03 / (0.05 * expected[0, 0]))
        for factor, code in ((0.99, 2), (1.01, 0)):
            uniform = np.array([crossing * factor], np.float32)
            assert int(codes(np.uint32(step), uniform)) == code, (step, factor)


def test_a_replaced_dt_is_refused():
    """The ratio to the learning rate is that of the time when the chain was made."""
    chain = ss.EulerMaruyama(ss.LangevinSGD(WELL, ss.noise.Isotropic(1.0), optax.exponential_decay(0.1, 10, 0.5), 4.0))
    with pytest.raises(ValueError, match="make the chain anew"):
        ss.simulate(eqx.tree_at(lambda c: c.dt, chain, 0.05), np.zeros(1), 4, 4)
    # of coefficients that do not change it may be replaced
    steady = ss.EulerMaruyama(ss.Langevin(WELL, 0.1), 0.01)
    ss.simulate(eqx.tree_at(lambda c: c.dt, steady, 0.02), np.zeros(1), 4, 4)


# A6: time after many steps


def mean_after(chain, first, steps=1500, dtype=jnp.float32):
    return float(jnp.mean(ss.integrate(chain, jnp.zeros((64, 1), dtype), first, steps, 0, np.arange(64))))


def expected_after(first, steps, dt=0.01):
    """The recursion without noise, its time from Python's integers."""
    x = 0.0
    for step in range(first, first + steps):
        x += (-x + np.cos(2 * np.pi * (step % 100) * dt)) * dt
    return x


def test_case_a6():
    """From step 10⁹ on, float32 with a period and float64 without; without a period in float32 a refusal."""
    first = 10**9 + 25
    exact = expected_after(first, 1500)
    assert abs(mean_after(pushed(1.0), first) - exact) < 2e-3
    with jax.enable_x64(True):
        assert abs(mean_after(pushed(), first, dtype=jnp.float64) - exact) < 2e-3
    with pytest.raises(ValueError, match=r"first_step \+ steps must end by step 8388608 .* got 1000001525; state a"):
        mean_after(pushed(), first)
    # the broken twin: the time of a step in float32, which moves in jumps there
    chain = ss.EulerMaruyama(ss.LangevinSGD(WELL, ss.noise.Isotropic(1.0), 0.1, 1.0))
    jumps = jnp.diff(chain.instant(jnp.arange(first, first + 64, dtype=jnp.uint32), jnp.float32))
    assert np.count_nonzero(jumps) < 8


@pytest.mark.long
def test_the_mean_of_case_a6():
    """0.157, the crest of the response, which a float32 time misses by a quarter of a period."""
    assert mean_after(pushed(1.0), 10**9, 1023) == pytest.approx(0.157, abs=4e-3)


@pytest.mark.parametrize(
    ("period", "dt"), [(1.0, 0.01), (2 * np.pi, 2 * np.pi / 64), (1.0, 0.4), (0.75, 0.5), (1.0, 3.0)]
)
def test_periods_are_exact(period, dt):
    """k·dt modulo the period by Python's fractions, up to step 2³² − 1."""
    clock = PeriodicTime.of(period, dt)
    for step in (0, 1, 7, 99, 100, 12_345, 10**9, 2**32 - 1):
        phase = step * clock.parts % clock.steps / clock.parts * dt
        assert float(clock.at(np.uint32(step), jnp.float32(dt))) == pytest.approx(phase, rel=1e-6, abs=1e-7)
    assert clock.steps * dt == pytest.approx(period * clock.parts)


def test_periods_that_are_refused():
    def wave(x, t):
        return jnp.cos(t) - x

    with pytest.raises(ValueError, match="drift must repeat after period = 1, got"):
        ItoDiffusion(wave, lambda x, t: jnp.ones(1), 1, period=1.0)
    with pytest.raises(ValueError, match="amplitude must repeat after period = 1, got"):
        ItoDiffusion(lambda x, t: -x, lambda x, t: jnp.cos(t) * jnp.ones(1), 1, period=1.0)
    with pytest.raises(ValueError, match="period must be a finite number above 0"):
        ItoDiffusion(wave, lambda x, t: jnp.ones(1), 1, period=0.0)
    with pytest.raises(ValueError, match="dt must divide the period into a whole number of steps"):
        ss.EulerMaruyama(ItoDiffusion(wave, lambda x, t: jnp.ones(1), 1, period=2 * np.pi), 0.01)


def test_late_steps_are_refused_everywhere():
    """In float32 beyond step 2²³ of coefficients that change in time and have no period; nowhere else."""
    late, box = 2**23 + 1, ss.regions.Ball([0.0], 5.0)
    wanted = r"must end by step 8388608 for coefficients that change in time, because float32"
    chain, start = pushed(), np.zeros(1, np.float32)
    calls = (
        lambda chain: ss.simulate(chain, start, late, 4),
        lambda chain: ss.escape(chain, start, box, late * 0.01 + 1, trajectories=4, method="direct"),
        lambda chain: ss.occupancy(chain, start, regions={"in": box}, times=[late * 0.01 + 1], trajectories=4),
        lambda chain: ss.simulate(WholeState(chain), start, late, 4),
    )
    for call in calls:
        with pytest.raises(ValueError, match=wanted):
            call(chain)
    steady = ss.EulerMaruyama(ItoDiffusion(lambda x, t: -x, lambda x, t: jnp.ones(1), 1), 0.01)
    for patient in (steady, pushed(1.0), ss.EulerMaruyama(ss.Langevin(WELL, 0.1), 0.01)):
        refuse_late(patient, 2**32, jnp.float32)
    assert chain.last_step(jnp.float64) == 2**32 and chain.last_step(jnp.float32) == 2**23
    scheduled = ss.EulerMaruyama(
        ss.LangevinSGD(WELL, ss.noise.Isotropic(1.0), optax.linear_schedule(0.1, 0.01, 9), 1.0)
    )
    assert scheduled.last_step(jnp.float32) == 2**31
    with pytest.raises(ValueError, match=r"must end by step 2147483648 .* got 2147484000$"):
        ss.integrate(scheduled, jnp.zeros((1, 1)), 2_147_483_000, 1000, 0, [0])
