"""Underdamped equations and their integrator: orders, temperatures and rates against exact moments and spectra."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm, solve_continuous_lyapunov, solve_discrete_lyapunov
from scipy.sparse import csr_array
from scipy.sparse.linalg import expm_multiply
from statistical import agrees

import sde_sgd as ss
from sde_sgd.chains import Underdamped
from sde_sgd.diffusions import LangevinMomentumSGD, UnderdampedLangevin

BOWL = ss.landscapes.Quadratic([2.0])
WELL = ss.landscapes.Landscape(lambda x: jnp.sum((x**2 - 1) ** 2), dim=1)
HESSIAN = np.array([[2.0, 0.6], [0.6, 1.0]])
COVARIANCE = np.array([[1.0, -0.3], [-0.3, 0.5]])


def linear_map(chain):
    """M and R of a step x' = Mx + Rξ on a quadratic loss with constant noise, read off the step itself."""
    number, zero = jnp.uint32(0), jnp.zeros(chain.noise_dim)
    matrix = np.stack([chain.step(row, zero, number) for row in jnp.eye(chain.state_dim)], axis=1)
    still = jnp.zeros(chain.state_dim)
    return matrix, np.stack([chain.step(still, row, number) for row in jnp.eye(chain.noise_dim)], axis=1)


def of_moments(step, degree_two):
    """The matrix that takes the mean of (1, x², xu, u²) to that after a step, by the step's own means at six points."""
    points = np.random.default_rng(0).normal(size=(6, 2))
    before = np.stack([degree_two(point) for point in points])
    after = np.stack([np.mean([degree_two(step(point, sign)) for sign in (-1.0, 1.0)], axis=0) for point in points])
    found, left = np.linalg.lstsq(before, after, rcond=None)[:2]
    assert np.all(left < 1e-20)
    return found.T


def degree_two(state):
    x, u = np.asarray(state, np.float64)
    return np.array([1.0, x * x, x * u, u * u])


def symplectic_euler(chain):
    """The broken twin of order 1: a whole kick with friction and noise at θ, then a whole drift."""
    h, diffusion = chain.dt, chain.diffusion
    rate = diffusion.friction * h / diffusion.mass
    loudness = np.sqrt(-np.expm1(-2 * rate) / (2 * diffusion.friction * diffusion.mass))

    def step(point, sign):
        theta, velocity = jnp.array(point[:1]), point[1:]
        pull, noisy = (np.asarray(diffusion.noisy_gradient(theta, size, jnp.array([sign]))) for size in (0.0, 1.0))
        velocity = np.exp(-rate) * (velocity - h / diffusion.mass * pull) + loudness * (noisy - pull)
        return np.concatenate([point[:1] + h * velocity, velocity])

    return step


@pytest.mark.parametrize("noise", ["constant", "state-dependent"])
def test_weak_order_is_two(noise, double_precision):
    """Second moments at T = 1 on a quadratic loss, V = 3 or 3(1 + 2θ²), without sampling: one step is affine in ξ.

    Twin: symplectic Euler, of order 1.
    """
    curved = 2.0 if noise == "state-dependent" else 0.0
    model = ss.noise.FromFunction(lambda x: jnp.sqrt(3 * (1 + curved * x**2)))
    diffusion = LangevinMomentumSGD(BOWL, model, learning_rate=0.5, batch_size=2, momentum=0.4)
    rate, pull, heat = 0.6 / 0.5, 2.0 / 0.5, 3 * 0.5 / 2 / 0.5**2
    # d(x²) = 2xu, d(xu) = u² − κxu − (λ/m)x², d(u²) = −2κu² − 2(λ/m)xu + V·(γ/M)/m²
    generator = np.array(
        [[0, 0, 0, 0], [0, 0, 2, 0], [0, -pull, -rate, 1], [heat, heat * curved, -2 * pull, -2 * rate]]
    )
    begun = degree_two([1.0, 0.0])
    exact = expm(generator) @ begun
    steps = np.array([8, 16, 32, 64])

    def slopes(step_of):
        errors = []
        for count in steps:
            chain = Underdamped(diffusion, 1 / count)
            one = of_moments(step_of(chain), degree_two)
            errors.append(np.linalg.matrix_power(one, count) @ begun - exact)
        return -np.diff(np.log(np.abs(errors)[:, 1:]), axis=0) / np.log(2)

    ours = slopes(lambda c: lambda p, s: c.step(jnp.array(p), jnp.array([s]), jnp.uint32(0)))
    assert np.all(ours[-1] > 1.9) and np.all(ours[-1] < 2.1), ours
    assert np.all(slopes(symplectic_euler)[-1] < 1.3)


def test_order_two_on_a_quartic_without_noise(double_precision):
    """The damped motion in a double well against a Runge–Kutta solution: the error falls fourfold as h halves."""
    silent = ss.noise.FromFunction(lambda x: 0 * x)
    diffusion = LangevinMomentumSGD(WELL, silent, learning_rate=1.0, batch_size=1, momentum=0.5)
    exact = solve_ivp(
        lambda t, y: [y[1], -0.5 * y[1] - 4 * y[0] * (y[0] ** 2 - 1)], (0, 3), [-1.3, 0.0], rtol=1e-11, atol=1e-12
    ).y[:, -1]

    def error(steps):
        chain = Underdamped(diffusion, 3 / steps)
        run = jax.lax.fori_loop(0, steps, lambda k, s: chain.step(s, jnp.zeros(1), k), jnp.array([-1.3, 0.0]))
        return np.linalg.norm(run - exact)

    errors = np.array([error(steps) for steps in (50, 100, 200)])
    assert np.all(np.abs(np.diff(np.log2(errors)) + 2) < 0.1), errors


@pytest.mark.parametrize("friction", [0.1, 1.0, 10.0])
def test_harmonic_temperature_is_exact_at_any_step(friction, double_precision):
    """The integrator's stationary covariance, by its linear system: θ as the SDE has it, u as the docstring says."""
    diffusion = UnderdampedLangevin(BOWL, 0.7, friction)
    for dt in (0.05, 0.4, 1.2):
        matrix, factor = linear_map(Underdamped(diffusion, dt))
        law = solve_discrete_lyapunov(matrix, factor @ factor.T)
        exact = np.diag([0.7 / 2, 0.7 / (1 - dt**2 * 2 / 4)])
        np.testing.assert_allclose(np.diag(law), np.diag(exact), rtol=1e-9)
    # twin: noise of 5 % more variance
    assert abs(solve_discrete_lyapunov(matrix, 1.05 * factor @ factor.T)[0, 0] - 0.35) > 0.01


@pytest.mark.parametrize("friction", [0.3, 1.0, 10.0])
def test_the_engines_temperature_is_that_of_the_recursion(friction):
    """65,536 trajectories after 40 steps of 0.25, against the exact covariance there. Twin: noise 3 % off."""
    chain = Underdamped(UnderdampedLangevin(BOWL, 0.7, friction), 0.25)
    states = ss.simulate(ss.chains.WholeState(chain), np.zeros(2, np.float32), 40, 65_536, seed=3)
    matrix, factor = linear_map(chain)
    law = np.zeros((2, 2))
    for _ in range(40):
        law = matrix @ law @ matrix.T + factor @ factor.T
    found = np.cov(states.T.astype(np.float64))
    error = np.sqrt((law**2 + np.outer(np.diag(law), np.diag(law))) / 65_536)
    assert agrees(found, law, error)
    assert not agrees(found, 1.03**2 * law, error)


def moments_of_equation(diffusion, hessian, covariance):
    """Stationary covariance of (θ, u) of the linear SDE, by its Lyapunov equation."""
    dim, mass = len(hessian), float(diffusion.mass)
    drift = np.block([[np.zeros((dim, dim)), np.eye(dim)], [-hessian / mass, -diffusion.friction / mass * np.eye(dim)]])
    noise = np.zeros((2 * dim, 2 * dim))
    noise[dim:, dim:] = covariance / mass**2
    return solve_continuous_lyapunov(drift, -noise)


def test_mean_loss_with_momentum_is_that_of_the_trace(double_precision):
    """γ Tr(V)/(4M(1 − μ)) where V and the Hessian do not commute; the integrator's comes to it like h²."""
    gamma, batch, momentum = 0.2, 4.0, 0.6
    bowl, noise = ss.landscapes.Quadratic(HESSIAN), ss.noise.ConstantCovariance(COVARIANCE)
    diffusion = LangevinMomentumSGD(bowl, noise, gamma, batch, momentum)
    np.testing.assert_allclose(diffusion.covariance(jnp.ones(2)), gamma / batch * COVARIANCE, rtol=1e-12)
    exact = gamma * np.trace(COVARIANCE) / (4 * batch * (1 - momentum))
    law = moments_of_equation(diffusion, HESSIAN, gamma / batch * COVARIANCE)
    assert np.trace(HESSIAN @ law[:2, :2]) / 2 == pytest.approx(exact, rel=1e-9)
    errors = []
    for dt in (0.2, 0.1, 0.05):
        matrix, factor = linear_map(Underdamped(diffusion, dt))
        errors.append(solve_discrete_lyapunov(matrix, factor @ factor.T)[:2, :2] - law[:2, :2])
    errors = np.linalg.norm(errors, axis=(1, 2))
    assert errors[-1] < 1e-3 * np.linalg.norm(law) and np.all(errors[:-1] > 3.5 * errors[1:]), errors


def test_it_is_the_limit_of_heavy_ball_descent(double_precision):
    """Second moments of v' = μv − γ(λθ + ξ√(β/M)), θ' = θ + v' at a fixed t/√γ, as γ falls and (1 − μ)/√γ stays.

    First order in √γ; and the temperature to first order in γ. Twin: a momentum whose friction is off by 5 %.
    """
    beta, batch, friction, curvature = 3.0, 2.0, 1.5, 2.0

    def moments(gamma, twin=1.0):
        momentum = 1 - friction * np.sqrt(gamma)
        diffusion = LangevinMomentumSGD(BOWL, ss.noise.Isotropic(beta), gamma, batch, 1 - twin * (1 - momentum))
        ball = np.array([[1 - gamma * curvature, momentum], [-gamma * curvature, momentum]])
        kick = gamma * np.sqrt(beta / batch) * np.ones((2, 1))
        iterations = round(1 / np.sqrt(gamma))
        state, law = np.array([1.0, 0.0]), np.zeros((2, 2))
        for _ in range(iterations):
            state, law = ball @ state, ball @ law @ ball.T + kick @ kick.T
        drift = np.array([[0, 1], [-curvature / gamma, -float(diffusion.friction) / gamma]])
        noise = np.diag([0, float(diffusion.covariance(jnp.ones(1))[0, 0]) / gamma**2])
        time = gamma * iterations
        both = expm(time * np.block([[drift, noise], [np.zeros((2, 2)), -drift.T]]))
        mean, variance = both[:2, :2] @ [1.0, 0.0], (both[:2, 2:] @ both[:2, :2].T)[0, 0]
        stationary = solve_discrete_lyapunov(ball, kick @ kick.T)[0, 0]
        heat = float(diffusion.temperature) / curvature
        return abs(law[0, 0] + state[0] ** 2 - variance - mean[0] ** 2), abs(heat / stationary - 1)

    found = np.array([moments(gamma) for gamma in (1e-2, 2.5e-3, 6.25e-4)])
    # √γ halves each time
    assert np.all(np.abs(np.log2(found[:-1, 0] / found[1:, 0]) - 1) < 0.2), found
    assert np.all(np.abs(np.log2(found[:-1, 1] / found[1:, 1]) - 2) < 0.1), found
    assert moments(6.25e-4, 1.05)[1] > 0.04 > 10 * found[-1, 1]


def kramers_generator(friction, temperature, degree, velocities):
    """Backward generator in a double well (x² − 1)², in polynomials orthonormal under exp(−L/T) times Hermite ones.

    Also a function that evaluates such an expansion at (x, 0), and the coefficients of x.
    """
    nodes, spacing = np.linspace(-2.2, 2.2, 4_001, retstep=True)
    root = np.exp(-((nodes**2 - 1) ** 2) / (2 * temperature))
    root /= np.sqrt(spacing * np.sum(root**2))
    columns, triangle = np.linalg.qr(np.polynomial.chebyshev.chebvander(nodes / 2.2, degree) * root[:, None])
    columns, triangle = columns / np.sqrt(spacing), triangle * np.sqrt(spacing)
    slopes = np.stack(
        [
            np.polynomial.chebyshev.chebval(nodes / 2.2, np.polynomial.chebyshev.chebder(row)) / 2.2 * root
            for row in np.eye(degree + 1)
        ],
        axis=1,
    )
    derivative = spacing * columns.T @ (slopes @ np.linalg.inv(triangle))
    up = np.diag(np.sqrt(np.arange(1.0, velocities)), -1)
    heat = np.sqrt(temperature)
    number = np.diag(np.arange(float(velocities)))
    size = degree + 1
    generator = heat * (np.kron(up, derivative) - np.kron(up.T, derivative.T)) - friction * np.kron(
        number, np.eye(size)
    )
    # Hermite polynomials at 0, orthonormal
    at_rest = np.zeros(velocities)
    at_rest[0] = 1
    for n in range(2, velocities, 2):
        at_rest[n] = -at_rest[n - 2] * np.sqrt((n - 1) / n)
    first = np.zeros((velocities, size))
    first[0] = spacing * columns.T @ (nodes * root)

    def at(place):
        row = np.linalg.solve(triangle.T, np.polynomial.chebyshev.chebvander(np.array([place / 2.2]), degree)[0])
        return np.kron(at_rest, row)

    return generator, first.reshape(-1), at


FRICTIONS, HEAT, TIME = (0.4, 1.5, 8.0), 0.3, 16


def test_passages_of_a_double_well_at_three_frictions():
    """E θ at t = 16 from the left minimum at rest, against the backward equation solved in 30 × 40 polynomials.

    It has risen by the passages over the barrier, at a rate that is largest at the friction in between (Kramers 1940;
    Risken 1989, chapter 10). 16,384 trajectories. Bias: 1e-3 of the scheme, seen by halving dt, and 2e-3 of so few
    polynomials, seen by taking more. Twin: another one of the three frictions.
    """
    exact, rates = [], []
    for friction in FRICTIONS:
        generator, first, at = kramers_generator(friction, HEAT, 30, 40)
        sparse = csr_array(np.where(np.abs(generator) > 1e-12, generator, 0))
        means = expm_multiply(sparse, first, start=0, stop=TIME, num=3) @ at(-1.0)
        assert means[0] == pytest.approx(-1)
        exact.append(means[2])
        rates.append(np.log(means[1] / means[2]))
    assert rates[1] > 1.1 * rates[0] and rates[1] > 2 * rates[2], rates
    for place, friction in enumerate(FRICTIONS):
        chain = Underdamped(UnderdampedLangevin(WELL, HEAT, friction), 0.04)
        theta = ss.simulate(chain, -np.ones(1, np.float32), round(TIME / 0.04), 16_384, seed=11)[:, 0]
        error = theta.std() / np.sqrt(theta.size)
        assert agrees(theta.mean(), exact[place], error, bias=3e-3), (friction, theta.mean(), exact)
        assert not agrees(theta.mean(), exact[place - 1], error, bias=3e-3)


def risk():
    generator = np.random.default_rng(1)
    inputs, targets = (jnp.asarray(generator.normal(size=size), jnp.float32) for size in ((9, 2), 9))
    return ss.EmpiricalRisk(jnp.zeros(2), lambda w, x, y: (w @ x - y) ** 2 / 2, inputs, targets)


@pytest.mark.parametrize("noise", ["per example", "hessian"])
def test_a_step_is_the_formula_and_has_the_covariance_that_is_said(noise, double_precision):
    """With V at the middle of the step, for noise that depends on the state; by the response to each ξ."""
    surface = risk() if noise == "per example" else ss.landscapes.Landscape(lambda x: jnp.sum(x**4) + x[0] * x[1], 2)
    model = ss.noise.PerExample() if noise == "per example" else ss.noise.HessianProportional(0.5)
    chain = Underdamped(LangevinMomentumSGD(surface, model, 0.2, 3, 0.7), 0.3)
    start, dt, gamma = jnp.array([0.7, -0.5]), 0.3, 0.2
    step, covariance = eqx.filter_jit(chain.step), eqx.filter_jit(chain.covariance)

    def response(state):
        still, *moved = (step(state, row, np.uint32(0)) for row in np.eye(chain.noise_dim + 1)[:, 1:])
        factor = np.stack(moved, axis=1) - np.asarray(still)[:, None]
        return still, factor @ factor.T

    _, spread = response(chain.begin(start))
    np.testing.assert_allclose(spread[:2, :2], covariance(start), rtol=1e-5)
    np.testing.assert_allclose(spread[2:, 2:], covariance(start) * (2 / dt) ** 2, rtol=1e-5)
    moving = np.array([0.7, -0.5, 0.4, 0.9])
    still, spread = response(moving)
    middle, decay = moving[:2] + dt / 2 * moving[2:], np.exp(-0.3 * dt / gamma)
    pull, variance = eqx.filter_jit(lambda x: (surface.gradient(x), model.covariance(surface, x)))(middle)
    velocity = decay * moving[2:] - dt / 2 / gamma * (1 + decay) * np.asarray(pull)
    np.testing.assert_allclose(still, np.concatenate([middle + dt / 2 * velocity, velocity]), rtol=1e-5)
    expected = gamma / 3 * np.asarray(variance) * (1 - decay**2) / (2 * 0.3 * gamma)
    np.testing.assert_allclose(spread[2:, 2:], expected, rtol=1e-4)
    np.testing.assert_allclose(spread[:2, :2], covariance(moving), rtol=1e-5)
    assert not np.allclose(spread[:2, :2], covariance(start), rtol=1e-2)


def test_an_iteration_is_a_step_unless_said_otherwise():
    diffusion = LangevinMomentumSGD(BOWL, ss.noise.Isotropic(2.0), learning_rate=0.1, batch_size=5, momentum=0.9)
    assert float(Underdamped(diffusion).time_step) == pytest.approx(0.1)
    assert float(diffusion.temperature) == pytest.approx(0.1 * 2.0 / (2 * 5 * 0.1))
    chain = Underdamped(diffusion, dt=0.05)
    assert chain.memory == chain.dim == 1 and chain.landscape is BOWL and not chain.changes_in_time
    np.testing.assert_array_equal(chain.begin(jnp.array([3.0])), [3.0, 0.0])
    passage = ss.escape(chain, [0.0], ss.regions.Ball([0.0], 0.3), horizon=5.0, trajectories=256, method="direct")
    assert 0 < passage.probability.value <= 1


def test_nothing_takes_it_for_an_overdamped_equation():
    """Closed forms but Kramers', grid solvers, Euler–Maruyama and the Brownian bridge refuse it."""
    warm = UnderdampedLangevin(WELL, 0.2, 1.0)
    calls = (
        lambda: ss.theory.eyring_kramers(warm, [-1.0], [0.0], to="saddle"),
        lambda: ss.theory.gibbs_weights(warm, [[-1.0]]),
        lambda: ss.theory.excess_risk(warm, [-1.0]),
        lambda: ss.theory.minimum_action(warm, [-1.0], [1.0]),
        lambda: ss.reference.FokkerPlanck(warm, (-2, 2, 50)),
        lambda: ss.EulerMaruyama(warm, 0.01),
    )
    for call in calls:
        with pytest.raises((ValueError, TypeError), match="diffusion"):
            call()
    with pytest.raises(ValueError, match=r"needs an EulerMaruyama chain .* got Underdamped"):
        ss.escape(
            Underdamped(warm, 0.01), [-1.0], ss.regions.HalfSpace([1.0], 0.0), 1.0, trajectories=8,
            monitoring="continuous",
        )  # fmt: skip
