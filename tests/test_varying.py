"""Chains whose numbers differ from trajectory to trajectory, held against a run of its own for each."""

import jax.numpy as jnp
import numpy as np
import pytest
from sgd_cases import network
from statistical import agrees

import sde_sgd as ss
from sde_sgd.chains import (
    MomentumSGD,
    Varying,
    WholeState,
)


@pytest.mark.long
def test_each_trajectory_has_its_own_numbers():
    """A grid of γ and μ in one run, against a run of its own for each."""
    risk = network(6)
    start, run = np.asarray(risk.initial), {"steps": 12, "seed": 4}
    inner = MomentumSGD(risk, 0.1, 2, 0.9)
    chain = Varying(inner, "momentum", "learning_rate")
    pairs = [(0.05, 0.0), (0.05, 0.9), (0.2, 0.5)]
    rates, momenta = (np.repeat(each, 64) for each in zip(*pairs, strict=True))
    states = np.asarray(chain.states(risk.initial, {"learning_rate": rates, "momentum": momenta}))
    assert states.shape == (192, chain.state_dim) and chain.time_step == 1.0
    found = ss.simulate(WholeState(chain), states, trajectories=192, **run)
    ids = np.arange(192, dtype=np.uint32)
    np.testing.assert_allclose(ss.integrate(chain, jnp.asarray(states), 0, 12, 4, ids), found, rtol=1e-4, atol=1e-6)
    for number, (rate, momentum) in enumerate(pairs):
        own, rows = MomentumSGD(risk, rate, 2, momentum), slice(64 * number, 64 * number + 64)
        alone = ss.simulate(WholeState(own), own.begin(risk.initial), trajectory_ids=ids[rows].astype(int), **run)
        np.testing.assert_allclose(found[rows, :-2], alone, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(found[rows, -2:], np.float32([momentum, rate]) * np.ones((64, 1), np.float32))
        np.testing.assert_allclose(chain.covariance(jnp.asarray(states[64 * number])), own.covariance(risk.initial))
    # θ alone begins with the numbers of the chain within
    alike = ss.simulate(chain, start, trajectories=64, **run)
    np.testing.assert_allclose(alike, ss.simulate(inner, start, trajectories=64, **run), rtol=1e-4, atol=1e-6)


def test_numbers_of_a_diffusion_vary_too():
    """Temperatures of an Ornstein–Uhlenbeck chain: its exact variance for each; time is counted as within."""
    inner = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.Quadratic([1.0]), 0.5), 0.1)
    chain = Varying(inner, "diffusion.temperature")
    assert chain.time_step == inner.time_step == 0.1
    temperatures = np.repeat([0.2, 0.8], 32_768)
    states = chain.states(jnp.zeros(1), {"diffusion.temperature": temperatures})
    ends = ss.simulate(chain, np.asarray(states), 20, len(states), seed=1).reshape(2, -1)
    exact = np.array([0.2, 0.8]) * 0.2 * (1 - 0.9**40) / (1 - 0.9**2)
    assert agrees(ends.var(axis=1), exact, exact * np.sqrt(2 / 32_768))
    both = Varying(inner, "dt")
    assert both.time_step == 1.0
    np.testing.assert_allclose(both.covariance(jnp.asarray([0.0, 0.3])), [[2 * 0.5 * 0.3]], rtol=1e-6)
