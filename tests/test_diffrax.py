"""diffrax as an independent integrator: the same paths step by step on the same noise, the same law of exits.

The engine's Brownian motion is recorded by a chain without drift: its increments are those of any chain with the same
seed, trajectories, components and dt.
"""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from parameters import quick
from statistical import agrees, false_pass

import sde_sgd as ss

diffrax = pytest.importorskip("diffrax", reason="diffrax is not installed: pip install diffrax")

SEED, TRAJECTORIES = 5, 6
WELLS = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2 * (1 + 0.5 * jnp.sin(x[0])), dim=2)
RATE = optax.piecewise_constant_schedule(0.02, {11: 0.5, 30: 0.1})


class Recorded(diffrax.AbstractBrownianPath):
    """W at multiples of dt, (times, noise_dim); its increments between any two of them."""

    w: jax.Array
    dt: float
    levy_area: type = diffrax.BrownianIncrement
    t0: float = 0.0
    t1: float = np.inf

    def evaluate(self, t0, t1=None, left=True, use_levy=False):
        first, last = (self.w[jnp.round(time / self.dt).astype(jnp.int32)] for time in (t0, t1))
        return last - first


@functools.cache
def brownian(noise_dim, dt, steps, trajectories=TRAJECTORIES):
    """W of the engine, (trajectories, steps + 1, noise_dim)."""
    motion = ss.diffusions.ItoDiffusion(lambda x, t: 0 * x, lambda x, t: jnp.ones(noise_dim), noise_dim)
    run = {"steps": steps, "trajectories": trajectories, "seed": SEED, "save_every": 1}
    return jnp.swapaxes(ss.simulate(ss.EulerMaruyama(motion, dt), np.zeros(noise_dim), **run), 0, 1)


def solved(equation, start, times, paths, dt, solver=None):
    """States at the times, (trajectories, times, …), by diffrax in steps from one to the next."""

    def one(w):
        return diffrax.diffeqsolve(
            ss.to_diffrax(equation, Recorded(w, dt)), solver or diffrax.Euler(), times[0], times[-1], None,
            jnp.asarray(start), stepsize_controller=diffrax.StepTo(times), saveat=diffrax.SaveAt(ts=times),
        ).ys  # fmt: skip

    return jax.jit(jax.vmap(one))(paths)


def solved_and_louder(equation, start, steps, dt):
    """States after every step on the engine's paths, and where the noise is 5 % louder."""
    paths = brownian(equation.noise_dim, dt, steps)
    both = jnp.concatenate([paths, 1.05 * paths])
    return np.split(np.asarray(solved(equation, start, dt * np.arange(steps + 1), both, dt)), 2)


def simulated(chain, start, steps):
    run = {"steps": steps, "trajectories": TRAJECTORIES, "seed": SEED, "save_every": 1}
    return np.swapaxes(ss.simulate(chain, np.asarray(start), **run), 0, 1)


def rotating():
    """Coefficients that depend on state and time, and a matrix that is not square."""

    def amplitude(x, t):
        return 0.3 * jnp.array([[1 + x[1] ** 2, jnp.cos(t), 0.1], [x[0], 0.2, jnp.sin(3 * t)]])

    return ss.diffusions.ItoDiffusion(lambda x, t: jnp.array([x[1], -x[0]]) * (1 + t), amplitude, dim=2)


def examples():
    """Per-example noise of linear regression: one normal for each of 7 examples."""
    draw = np.random.default_rng(0)
    inputs, targets = draw.standard_normal((7, 2)), draw.standard_normal(7)
    risk = ss.EmpiricalRisk(jnp.zeros(2), lambda w, x, y: (w @ x - y) ** 2 / 2, inputs, targets)
    return ss.LangevinSGD(risk, ss.noise.PerExample(), 0.02, 2)


EQUATIONS = {
    "Ito": rotating,
    "temperature": lambda: ss.Langevin(WELLS, 0.1),
    "isotropic": lambda: ss.LangevinSGD(WELLS, ss.noise.Isotropic(1.0), 0.02, 3),
    "loss-proportional": lambda: ss.LangevinSGD(WELLS, ss.noise.LossProportional(1.0), 0.02, 3),
    "per-example": examples,
    "schedules": lambda: ss.LangevinSGD(WELLS, ss.noise.Isotropic(1.0), RATE, lambda k: 1.0 + k),
    "order 2": lambda: ss.LangevinSGD(WELLS, ss.noise.Isotropic(1.0), 0.02, 3, order=2),
}


@pytest.mark.parametrize("name", quick(EQUATIONS, "isotropic"))
def test_euler_is_ours_step_by_step(name, double_precision):
    """To 1e-12 over 40 steps on the same path; noise 5 % louder is a hundred million times as far away."""
    equation, start, dt, steps = EQUATIONS[name](), [-0.8, 0.4], 0.02, 40
    ours = simulated(ss.EulerMaruyama(equation, dt), start, steps)
    theirs, louder = solved_and_louder(equation, start, steps, dt)
    assert np.max(np.abs(ours[:, -1] - start)) > 0.01
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-12)
    assert np.max(np.abs(louder - ours)) > 1e-4


@pytest.mark.parametrize("name", quick(["temperature", "momentum"], "momentum"))
def test_underdamped_terms_are_those_of_the_equation(name, double_precision):
    """Against the same equation written by hand as one of (θ, u), by our Euler–Maruyama."""
    noise, rate, batch, momentum = ss.noise.LossProportional(2.0), 0.1, 4, 0.7
    if name == "momentum":
        equation = ss.diffusions.LangevinMomentumSGD(WELLS, noise, rate, batch, momentum)
        mass, friction = rate, 1 - momentum

        def loud(theta):
            return jnp.sqrt(rate / batch * 2.0 * WELLS.loss(theta))
    else:
        equation = ss.diffusions.UnderdampedLangevin(WELLS, 0.3, 0.8)
        mass, friction = 1.0, 0.8

        def loud(theta):
            return jnp.sqrt(2 * 0.8 * 0.3)

    def drift(y, t):
        return jnp.concatenate([y[2:], -(friction * y[2:] + jax.grad(WELLS.loss)(y[:2])) / mass])

    def amplitude(y, t):
        return jnp.concatenate([jnp.zeros((2, 2)), loud(y[:2]) / mass * jnp.eye(2)])

    start, dt, steps = [-0.8, 0.4, 0.1, -0.2], 0.02, 40
    ours = simulated(ss.EulerMaruyama(ss.diffusions.ItoDiffusion(drift, amplitude, dim=4), dt), start, steps)
    theirs, louder = solved_and_louder(equation, start, steps, dt)
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-11)
    assert np.max(np.abs(louder - ours)) > 1e-3


@pytest.mark.long
def test_the_kinetic_integrators_meet_as_steps_shrink(double_precision):
    """Our ABOBA and diffrax's Heun, given W at the ends of the same steps, come together like dt²: a sixteenth."""
    equation, start, finest = ss.diffusions.UnderdampedLangevin(WELLS, 0.3, 0.8), [-0.8, 0.4], 1 / 256
    paths = brownian(2, finest, 256, trajectories=200)

    def stepped(each, path):
        """ABOBA in steps of `each` fine ones on the recorded path."""
        chain = ss.chains.Underdamped(equation, finest * each)
        draws = jnp.diff(path[::each], axis=0) / np.sqrt(finest * each)

        def step(y, draw):
            return chain.step(y, draw, jnp.uint32(0)), None

        return jax.lax.scan(step, chain.begin(jnp.asarray(start)), draws)[0]

    def distance(each):
        times = finest * each * np.arange(256 // each + 1)
        theirs = solved(equation, [*start, 0.0, 0.0], times, paths, finest, diffrax.Heun())[:, -1]
        return np.sqrt(np.mean((theirs - jax.vmap(lambda path: stepped(each, path))(paths)) ** 2))

    coarse, fine = distance(16), distance(4)
    assert fine < 1e-3 and 13 < coarse / fine < 19


@pytest.mark.long
def test_orders_of_convergence_are_those_that_are_published(double_precision):
    """Geometric Brownian motion, whose solution is known: Euler 1/2, Itô's Milstein 1, and Heun goes elsewhere.

    Root mean squares over 2,000 paths differ from their limits by some 3 %; a ratio over 16 times the steps, by 5 %.
    """
    a, b, finest, number = 0.5, 0.8, 1 / 256, 2_000
    equation = ss.diffusions.ItoDiffusion(lambda x, t: a * x, lambda x, t: b * x, dim=1)
    paths = brownian(1, finest, 256, number)
    exact = np.exp((a - b**2 / 2) + b * np.asarray(paths[:, -1, 0]))

    def error(solver, each):
        times = finest * each * np.arange(256 // each + 1)
        final = solved(equation, [1.0], times, paths, finest, solver)[:, -1, 0]
        return np.sqrt(np.mean((final - exact) ** 2))

    def order(solver):
        return np.log(error(solver, 16) / error(solver, 1)) / np.log(16)

    assert abs(order(diffrax.Euler()) - 0.5) < 0.1
    assert abs(order(diffrax.ItoMilstein()) - 1) < 0.1
    # in the sense of Stratonovich the drift is larger by b²/2
    assert error(diffrax.Heun(), 1) > 0.5


COLD, LAST, DT = ss.Langevin(ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1), 0.5), 4.0, 0.02


@jax.jit
def first_exits(loudness, keys):
    """Exit times of diffrax's own paths from x < 0, one of each key; infinite for those that stay."""
    times = DT * np.arange(round(LAST / DT) + 1)

    def one(key):
        path = diffrax.UnsafeBrownianPath(shape=(1,), key=key)
        states = diffrax.diffeqsolve(
            ss.to_diffrax(COLD, lambda t0, t1: loudness * path.evaluate(t0, t1)), diffrax.Euler(), 0.0, LAST, None,
            -jnp.ones(1), stepsize_controller=diffrax.StepTo(times), saveat=diffrax.SaveAt(ts=times),
        ).ys[:, 0]  # fmt: skip
        out = states >= 0
        return jnp.where(jnp.any(out), DT * jnp.argmax(out), jnp.inf)

    return jax.vmap(one)(keys)


def test_exits_have_the_same_law():
    """P(exit by 4) and E[min(τ, 4)], each side 16,384 paths of its own random numbers.

    False alarm 6.3e-5 for each of the two. Noise 5 % louder changes P by 0.07 and the mean by 0.17, 13 and 12 standard
    errors: it passes with a probability below 1e-14.
    """
    found = ss.escape(
        ss.EulerMaruyama(COLD, DT), -np.ones(1, np.float32), ss.regions.HalfSpace([1.0], 0.0), LAST,
        trajectories=16_384, seed=0, method="direct",
    )  # fmt: skip
    ours = found.exit_times

    def compare(loudness):
        theirs = first_exits(loudness, jax.random.split(jax.random.key(11), 16_384))
        errors, differences = [], []
        for of in (np.isfinite, lambda times: np.minimum(times, LAST)):
            one, other = (np.asarray(of(sample), np.float64) for sample in (ours, theirs))
            errors.append(np.sqrt(one.var() / len(one) + other.var() / len(other)))
            differences.append(other.mean() - one.mean())
        return differences, errors

    differences, errors = compare(1.0)
    assert agrees(differences, 0, errors)
    louder, _ = compare(1.05)
    assert not agrees(louder, 0, errors)
    assert all(false_pass(shift, error) < 1e-14 for shift, error in zip([0.07, 0.17], errors, strict=True))


def test_what_is_no_equation_or_path_is_refused():
    chain = ss.EulerMaruyama(COLD, DT)
    with pytest.raises(ValueError, match=r"got EulerMaruyama, a chain on one: give its `\.diffusion`"):
        ss.to_diffrax(chain)
    with pytest.raises(ValueError, match=r"diffusion must be a diffusion or an underdamped equation, .* got int"):
        ss.to_diffrax(3)
    path = diffrax.UnsafeBrownianPath(shape=(2,), key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"path must have shape \(1,\), the noise_dim of Langevin, got \(2,\)"):
        ss.to_diffrax(COLD, path)
    with pytest.raises(ValueError, match="either path or key, got both"):
        ss.to_diffrax(COLD, path, key=jax.random.key(0))


def test_without_diffrax_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffrax", None)
    monkeypatch.delitem(sys.modules, "sde_sgd.interoperation._terms", raising=False)
    with pytest.raises(ImportError, match=r"to_diffrax needs diffrax.*pip install diffrax"):
        ss.to_diffrax(COLD)


def test_a_key_makes_the_path():
    terms = ss.to_diffrax(ss.diffusions.UnderdampedLangevin(WELLS, 0.3, 0.8), key=jax.random.key(3))
    assert isinstance(terms, diffrax.MultiTerm) and isinstance(terms.terms[0], diffrax.ODETerm)
    assert isinstance(terms.terms[1], diffrax.ControlTerm) and isinstance(
        terms.terms[1].control, diffrax.UnsafeBrownianPath
    )
    assert terms.terms[1].contr(0.0, 0.1).shape == (2,)
    other = ss.to_diffrax(COLD).terms[1].contr(0.0, 0.1)
    assert other == ss.to_diffrax(COLD, key=jax.random.key(0)).terms[1].contr(0.0, 0.1)


def test_the_matrix_is_that_of_the_product(double_precision):
    """What Euler multiplies and what Milstein differentiates are one amplitude, (dim, noise_dim)."""
    y, time, xi = jnp.array([0.3, -0.7]), 0.4, jnp.array([0.5, -1.0, 2.0])
    term = ss.to_diffrax(rotating()).terms[1]
    matrix = term.vf(time, y, None)
    np.testing.assert_allclose(matrix, rotating().amplitude_fn(y, time), rtol=1e-14)
    np.testing.assert_allclose(matrix @ xi, term.vf_prod(time, y, None, xi), rtol=1e-14)
    kinetic = ss.to_diffrax(ss.diffusions.UnderdampedLangevin(WELLS, 0.3, 0.8)).terms[1]
    exact = np.vstack([np.zeros((2, 2)), np.sqrt(2 * 0.8 * 0.3) * np.eye(2)])
    np.testing.assert_allclose(kinetic.vf(0.0, jnp.ones(4), None), exact, rtol=1e-14)
