"""Inputs that once came out wrong, with their right values: siblings of cases that have tests in their own rooms.

Elsewhere: A3 test_second_derivatives; A4 test_passage, test_time; A5, A6, A12 test_time; A7, A8, A11, B1, B4
test_passage; A9 test_seeds; A13 test_starts, test_critical_points, bad_input_cases; B2 test_documentation; B3
test_progress; B12 test_starts, test_numerics.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sde_sgd as ss
from sde_sgd import passage
from sde_sgd.diffusions import ItoDiffusion

WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
CHAIN = ss.EulerMaruyama(ss.diffusions.Langevin(WELL, 0.3), dt=0.01)
LEFT = ss.regions.HalfSpace([1.0], 0.0)
START = np.array([-1.0])
WAVE = ss.EulerMaruyama(ItoDiffusion(lambda x, t: -x + jnp.cos(2 * jnp.pi * t), lambda x, t: 0 * x + 0.2, 1), 0.01)


def test_a4_averages_of_what_changes_in_time_are_of_no_stationary_law():
    """Of a histogram as of an occupancy."""
    batch = optax.piecewise_constant_schedule(1.0, {64: 5.0})
    chain = ss.EulerMaruyama(ss.LangevinSGD(WELL, ss.noise.Isotropic(24.0), 0.01, batch))
    changing, steady = (ss.histogram(c, START, bins=(-2, 2, 4), horizon=2.0, trajectories=8) for c in (chain, CHAIN))
    assert changing.status == "not converged" and "a schedule for batch_size" in changing.result
    assert "no stationary law" in changing.result and "no stationary law" not in steady.result


def test_a4_a_budget_beyond_what_is_known_of_time_is_named():
    sets = ss.regions.HalfSpace([1.0], -3.0), ~ss.regions.HalfSpace([1.0], 3.0)
    with pytest.raises(ValueError, match=r"^max_steps must end by step 8388608 .* got 10000000"):
        ss.first_passage(WAVE, np.zeros(1), *sets, trajectories=8)
    with pytest.raises(ValueError, match=r"^horizon, in steps, must end by step 8388608"):
        ss.first_passage(WAVE, np.zeros(1), *sets, horizon=1e6, trajectories=8)


def test_a6_a_traced_late_step_has_no_wrong_phase():
    """NaN beyond what float32 knows; the right value, the known step's, before."""
    states, ids = jnp.zeros((4, 1)), np.arange(4)

    @jax.jit
    def moved(first):
        return ss.integrate(WAVE, states, first, 4, 0, ids)

    assert np.all(np.isnan(moved(10**9))) and np.all(np.isnan(moved(2**23 - 3)))
    assert np.all(np.isfinite(moved(2**23 - 4)))
    np.testing.assert_allclose(moved(1000), ss.integrate(WAVE, states, 1000, 4, 0, ids), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"first_step \+ steps must end by step 8388608"):
        ss.integrate(WAVE, states, jnp.int32(10**9), 4, 0, ids)


@pytest.mark.long
def test_a9_a_key_is_the_seed_in_it_in_every_call():
    def found(seed):
        options = {"horizon": 1.0, "trajectories": 512, "seed": seed}
        yield ss.escape(CHAIN, START, LEFT, **options).provenance.seed
        yield passage.branches(CHAIN, START, ~LEFT, **options | {"trajectories": 16}).levels.tolist()

    expected = list(found(7))
    assert expected[0] == 7
    assert list(found(jax.random.key(7))) == list(found(jax.random.PRNGKey(7))) == expected


@pytest.mark.parametrize("argument", ["seed", "region"])
def test_b12_a_run_inside_jit_is_refused_whatever_is_traced(argument):
    def probability(given):
        options = {"seed": 0, "horizon": 1.0, "region": LEFT}
        options[argument] = ss.regions.HalfSpace([1.0], given) if argument == "region" else given
        return ss.escape(CHAIN, START, trajectories=8, **options).probability.value

    with pytest.raises(ValueError, match="got ones that JAX traces"):
        jax.jit(probability)(1.0)


def test_b12_rates_inside_jit_are_refused():
    def rate(temperature):
        chain = ss.EulerMaruyama(ss.diffusions.Langevin(WELL, temperature), 0.01)
        return ss.transitions(chain, [[-1.0], [1.0]]).rates.value

    with pytest.raises(ValueError, match=r"^minima and the chain must be known numbers"):
        jax.jit(rate)(0.3)


class Sum(ss.AbstractReduction):
    """A reduction that asks for a value."""

    def init(self, thetas):
        return jnp.zeros(())

    def update(self, carry, thetas, live, look):
        return carry + float(thetas[0, 0])

    def result(self, carry, times):
        return carry


def test_a_reduction_that_asks_for_values_is_told_in_a_sentence():
    with pytest.raises(ValueError, match=r"^reduction\.update must be made of JAX operations") as told:
        ss.reduce(CHAIN, START, Sum(), times=[1.0], trajectories=4)
    assert "\n" not in str(told.value)
