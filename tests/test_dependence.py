"""What changes in time and what is no gradient: read off traced programs, said, and refused where it matters."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from time_cases import WELL, pushed

import sde_sgd as ss
from sde_sgd._dependence import depends_on
from sde_sgd.chains import AbstractChain, WholeState, refuse_if_changing
from sde_sgd.diffusions import ItoDiffusion

REAL, VECTOR = jax.ShapeDtypeStruct((), jnp.float32), jax.ShapeDtypeStruct((3,), jnp.float32)


def test_dependence_is_read_off_the_program():
    def late(x, t):
        return jnp.where(t > 50.0, 1.0, 0.0) - x

    cases = [
        (lambda x, t: -x, False),
        (late, True),
        (lambda x, t: x + 0.0 * t, False),
        (lambda x, t: jnp.zeros_like(t) + x, False),
        (lambda x, t: (jnp.cos(t), x)[1], False),
        (lambda x, t: jax.lax.cond(t > 1.0, lambda: x, lambda: -x), True),
        (lambda x, t: jax.lax.cond(x[0] > 1.0, lambda: x * t, lambda: -x), True),
        (lambda x, t: jax.lax.cond(x[0] > 1.0, lambda: x, lambda: -x), False),
        (lambda x, t: jax.lax.fori_loop(0, 3, lambda i, y: y * 2, x), False),
        (lambda x, t: jax.lax.fori_loop(0, 3, lambda i, y: y + t, x), True),
        (lambda x, t: jax.lax.scan(lambda c, _: ((c[1], c[2], c[2]), c[0]), (x, x, t * x), None, 3)[1], True),
        (lambda x, t: jax.lax.scan(lambda c, _: ((c[0], c[1] + t), c[0]), (x, t), None, 3)[1], False),
        (lambda x, t: jax.lax.while_loop(lambda c: c[0] < t, lambda c: (c[0] + 1, c[1] * 2), (0.0, x))[1], True),
        (
            lambda x, t: jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1], c[2] + t), (0, x, t))[1],
            False,
        ),
        (lambda x, t: jax.jit(lambda a, b: a)(x, t), False),
        (lambda x, t: jax.jit(lambda a, b: a * b)(x, t), True),
        (lambda x, t: jax.checkpoint(lambda a, b: a)(x, t), False),
        (lambda x, t: jax.nn.relu(x) * jax.nn.relu(t), True),
        (lambda x, t: jax.nn.relu(x), False),
        (lambda x, t: jax.grad(lambda y: jnp.sum(y**2) + t)(x), False),
        (lambda x, t: jax.grad(lambda y: jnp.sum(y**2) * t)(x), True),
        (lambda x, t: jax.pure_callback(lambda a, b: np.asarray(a), VECTOR, x, t), True),
        (lambda x, t: x[(jnp.floor(t).astype(int)) % 3] * x, True),
        (lambda x, t: x.at[0].set(t), True),
    ]
    for number, (function, expected) in enumerate(cases):
        assert depends_on(function, VECTOR, REAL, on=1) is expected, number


def begins_late():
    return ItoDiffusion(lambda x, t: -x + jnp.where(t > 50.0, 1.0, 0.0), lambda x, t: jnp.ones(1), 1)


class Momentum(AbstractChain):
    """A person's momentum SGD: v' = μv − γ(∇L + noise), x' = x + v'."""

    loss: Any
    rate: Any
    dim: int = 1
    noise_dim: int = 1
    noise_kind: str = "gaussian"
    memory: int = 1

    @property
    def landscape(self):
        return self.loss

    @property
    def time_step(self):
        return 0.1

    def step(self, state, noise, step_index):
        x, v = state[:1], state[1:]
        rate = self.rate(step_index.astype(jnp.int32)) if callable(self.rate) else self.rate
        v = 0.9 * v - rate * (self.loss.gradient(x) + noise)
        return jnp.concatenate([x + v, v])


def test_what_changes_in_time():
    steady, isotropic = ss.EulerMaruyama(ss.Langevin(WELL, 0.1), 0.01), ss.noise.Isotropic(1.0)
    halving = optax.exponential_decay(0.1, 10, 0.5)
    assert not steady.changes_in_time and not WholeState(steady).changes_in_time
    assert not ItoDiffusion(lambda x, t: -x, lambda x, t: jnp.ones(1), 1).changes_in_time
    assert begins_late().changes_in_time
    assert ItoDiffusion(lambda x, t: -x, lambda x, t: (1 + t) * jnp.ones(1), 1).changes_in_time
    assert pushed(1.0).changes_in_time and WholeState(pushed()).changes_in_time
    assert not ss.LangevinSGD(WELL, isotropic, 0.1, 4.0).changes_in_time
    assert ss.LangevinSGD(WELL, isotropic, halving, 4.0).changes_in_time
    assert ss.LangevinSGD(WELL, isotropic, 0.1, optax.linear_schedule(4.0, 8.0, 9)).changes_in_time
    assert not Momentum(WELL, 0.01).changes_in_time and Momentum(WELL, halving).changes_in_time
    with pytest.raises(
        ValueError, match=r"mean times need .*, got Momentum with a step that depends on its number; give"
    ):
        refuse_if_changing(Momentum(WELL, halving), "mean times")
    refuse_if_changing(Momentum(WELL, 0.01), "mean times")


def test_what_diffusions_say_they_are():
    isotropic, halving = ss.noise.Isotropic(2.0), optax.exponential_decay(0.1, 10, 0.5)
    langevin = ss.Langevin(WELL, 0.3)
    assert langevin.landscape is WELL and langevin.drift_is_gradient and langevin.gibbs_temperature == 0.3
    sgd = ss.LangevinSGD(WELL, isotropic, 0.1, 10.0)
    assert sgd.drift_is_gradient and sgd.gibbs_temperature == pytest.approx(0.01) == sgd.temperature
    for other in (
        ss.LangevinSGD(WELL, ss.noise.Diagonal([2.0]), 0.1, 10.0),
        ss.LangevinSGD(WELL, isotropic, halving, 10.0),
        ss.LangevinSGD(WELL, isotropic, 0.1, lambda k: 10.0 + k),
        ss.LangevinSGD(WELL, isotropic, 0.1, 10.0, order=2),
        begins_late(),
    ):
        assert other.gibbs_temperature is None
    assert ss.LangevinSGD(WELL, ss.noise.Diagonal([2.0]), 0.1, 10.0).drift_is_gradient
    assert ss.LangevinSGD(WELL, isotropic, 0.1, lambda k: 10.0 + k).drift_is_gradient
    assert not ss.LangevinSGD(WELL, isotropic, halving, 10.0).drift_is_gradient
    assert not ss.LangevinSGD(WELL, isotropic, 0.1, 10.0, order=2).drift_is_gradient
    assert begins_late().landscape is None and not begins_late().drift_is_gradient


def test_grid_solver_and_theory_refuse_what_changes():
    """Case A4: a force that begins at t = 50, which two instants before it do not show."""
    with pytest.raises(ValueError, match="grid solvers need coefficients that do not change in time, got ItoDiffusion"):
        ss.reference.FokkerPlanck(begins_late(), (-3, 3, 50))
    scheduled = ss.LangevinSGD(WELL, ss.noise.Isotropic(1.0), optax.exponential_decay(0.1, 10, 0.5), 4.0)
    with pytest.raises(ValueError, match="got LangevinSGD with a schedule for learning_rate; simulate it"):
        ss.theory.excess_risk(scheduled, [1.0])
    target, start = ss.regions.HalfSpace([1.0], -2.0), np.zeros(1)
    chain = ss.EulerMaruyama(begins_late(), 0.01)
    assert ss.scores.automatic(chain, start, target, horizon=1.0) is None


class Underdamped(ss.diffusions.AbstractDiffusion):
    """dx = v dt, dv = −(∇L(x) + v) dt + √(2T) dW: a diffusion of twice as many components as its loss."""

    landscape: ss.landscapes.AbstractLandscape
    temperature: float = 0.1
    noise_dim: int = 1
    gradient: bool = False

    @property
    def dim(self):
        return 2 * self.landscape.dim

    @property
    def drift_is_gradient(self):
        return self.gradient

    def drift(self, theta, time):
        x, v = jnp.split(theta, 2)
        return jnp.concatenate([v, -self.landscape.gradient(x) - v])

    def diffuse(self, theta, time, xi):
        return jnp.concatenate([jnp.zeros_like(xi), jnp.sqrt(2 * self.temperature) * xi])

    def covariance(self, theta, time):
        return jnp.diag(jnp.array([0.0, 2 * self.temperature]))

    def increment(self, theta, time, dt, xi):
        return self.drift(theta, time) * dt + self.diffuse(theta, time, xi) * jnp.sqrt(dt)


def test_theory_sees_no_velocity():
    """Case A12: a closed form of the overdamped equation is refused for one that moves a velocity too."""
    diffusion = Underdamped(ss.landscapes.Landscape(lambda x: jnp.sum((x**2 - 1) ** 2), dim=1))
    assert not diffusion.changes_in_time
    for call in (ss.theory.excess_risk, lambda d, m: ss.theory.gibbs_weights(d, [m])):
        with pytest.raises(ValueError, match=r"a loss of all that it moves, .* of 2 components with a loss of 1"):
            call(diffusion, [1.0, 0.0])
    bare = Underdamped(ss.landscapes.Landscape(lambda x: jnp.sum(x**2), dim=1))
    assert ss.EulerMaruyama(bare, 0.01).landscape.dim == 1
