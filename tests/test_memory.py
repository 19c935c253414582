"""Chains with memory: the state is (θ, memory), one vector, and all that holds of bits holds of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chains_with_memory import MomentumSGD
from parameters import quick

import sde_sgd as ss
from sde_sgd.chains import AbstractChain, WholeState
from sde_sgd.engine import AbstractMonitor, StopCode, run_until_stopped, seed_key, start_states

STEPS, TRAJECTORIES = 128, 200


class Peak(AbstractChain):
    """A diffusion's chain in one dimension that remembers how high it came: memory that begins at θ, not at 0."""

    inner: ss.EulerMaruyama
    memory = 1

    @property
    def dim(self):
        return self.inner.dim

    @property
    def noise_dim(self):
        return self.inner.noise_dim

    @property
    def noise_kind(self):
        return self.inner.noise_kind

    @property
    def time_step(self):
        return self.inner.time_step

    @property
    def landscape(self):
        return self.inner.landscape

    def begin(self, theta):
        return jnp.concatenate([theta, theta])

    def step(self, state, noise, step_index):
        theta = self.inner.step(state[:1], noise, step_index)
        return jnp.concatenate([theta, jnp.maximum(state[1:], theta)])


def well(dim):
    return ss.landscapes.Landscape(lambda x: jnp.sum((x**2 - 1) ** 2), dim)


INNER = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(well(1), 0.5), 0.01)
CHAINS = {
    "momentum in one": MomentumSGD(well(1), deviation=0.1),
    "momentum in three": MomentumSGD(well(3), deviation=0.1),
    "signs": MomentumSGD(well(2), deviation=0.1, noise_kind="rademacher"),
    "peak": Peak(INNER),
}


class Above(AbstractMonitor):
    """Stops where the first component of θ, and not of the memory, is above 0."""

    chain: AbstractChain
    uniforms: int = eqx.field(static=True, default=0)
    looks_back: bool = eqx.field(static=True, default=False)

    def code(self, before, after, step_index, uniform):
        return jnp.where(self.chain.theta(after)[0] > 0, int(StopCode.TARGET), 0)


def run(chain, ids=range(TRAJECTORIES), **options):
    start = -np.ones(chain.dim, np.float32)
    begun = chain.begin(jnp.asarray(start))
    asked = {"trajectory_ids": np.asarray(ids), "seed": 5} | options
    states = ss.simulate(WholeState(chain), begun, STEPS, **asked)
    starts = start_states(start, chain, len(ids))
    stops = run_until_stopped(chain, Above(chain), starts, np.asarray(ids), STEPS, seed_key(5), **options)
    return [states, ss.simulate(chain, start, STEPS, **asked), stops.step, stops.code]


@pytest.mark.long
@pytest.mark.parametrize("name", CHAINS)
def test_bits_do_not_depend_on_devices_chunks_or_replay(name):
    chain, ids = CHAINS[name], [199, 3, 64]
    whole = run(chain, devices=jax.devices()[:1])
    others = [run(chain, devices=jax.devices()), run(chain, chunk=64, devices=jax.devices()[:1])]
    alone = run(chain, ids)
    for number, array in enumerate(whole):
        assert all(np.array_equal(array, other[number]) for other in others)
        assert np.array_equal(array[ids], alone[number])
    states, theta, _, outcome = whole
    assert np.array_equal(states[:, : chain.dim], theta)
    assert 5 < np.sum(outcome == StopCode.TARGET) < TRAJECTORIES
    assert len(np.unique(states[:, -1])) > (2 if name == "signs" else 100)


@pytest.mark.long
def test_a_step_that_is_not_lowered_agrees_to_rounding():
    """Without the contraction barrier a compiler may contract its sums of products otherwise in another program."""
    cumulated = ss.landscapes.Landscape(lambda x: jnp.sum((jnp.cumsum(x) ** 2 - 1) ** 2), 2)
    chain = MomentumSGD(cumulated, deviation=0.1)
    whole = run(chain, devices=jax.devices()[:1])
    for other in (run(chain, devices=jax.devices()), run(chain, chunk=64, devices=jax.devices()[:1])):
        np.testing.assert_allclose(whole[0], other[0], rtol=1e-3, atol=1e-3)
        assert np.mean(whole[2] != other[2]) <= 0.02


@pytest.mark.parametrize("name", quick(["momentum in one", "momentum in three"], "momentum in one"))
def test_momentum_is_the_recursion(name):
    """Against the recursion written out in float64 with the noise of a chain that only adds it up."""
    chain = CHAINS[name]
    dim = chain.dim
    noise = ss.EulerMaruyama(ss.diffusions.ItoDiffusion(lambda x, t: 0 * x, lambda x, t: 1 + 0 * x, dim), 1.0)
    xi = np.diff(np.float64(ss.simulate(noise, np.zeros(dim, np.float32), 40, 64, seed=5, save_every=1)), axis=0)
    theta, velocity = -np.ones((64, dim)), np.zeros((64, dim))
    for draw in xi:
        velocity = 0.8 * velocity - 0.05 * 4 * theta * (theta**2 - 1) + 0.1 * draw
        theta = theta + velocity
    states = ss.simulate(WholeState(chain), np.repeat([-1.0, 0.0], dim).astype(np.float32), 40, 64, seed=5)
    np.testing.assert_allclose(states, np.concatenate([theta, velocity], axis=1), atol=3e-5)
    # from θ alone the velocity begins at 0
    np.testing.assert_allclose(ss.simulate(chain, -np.ones(dim, np.float32), 40, 64, seed=5), theta, atol=3e-5)


def test_a_memory_that_begins_at_theta():
    """The peak is that of the path, and θ has the bits of the chain without memory."""
    states = ss.simulate(WholeState(Peak(INNER)), np.array([-1.0, -1.0], np.float32), STEPS, 64, seed=5)
    path = ss.simulate(INNER, np.array([-1.0], np.float32), STEPS, 64, seed=5, save_every=1)[:, :, 0]
    np.testing.assert_allclose(states[:, 0], path[-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(states[:, 1], path.max(0), rtol=1e-5, atol=1e-6)
    assert np.any(states[:, 1] > states[:, 0] + 0.05)
