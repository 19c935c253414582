"""Long states in pieces: the step of the whole vector, and no copies of it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.extend.core import ClosedJaxpr
from test_networks import ONE, dense, program_of

import sde_sgd as ss
from sde_sgd.engine import CPU
from sde_sgd.engine._batched_step import BatchedStep, as_leaves

RISK = dense().risk
FIRST, REST = 16 * 24, 24 + 3 * 24 + 3
CHAINS = {
    "sgd": (ss.MinibatchSGD(RISK, 0.1, 4), [FIRST, REST]),
    "epochs": (ss.MinibatchSGD(RISK, 0.1, 4, "epoch"), [FIRST, REST + 5]),
    "varying": (ss.chains.Varying(ss.MinibatchSGD(RISK, 0.1, 4), "learning_rate"), [FIRST, REST + 1]),
    "momentum": (ss.chains.MomentumSGD(RISK, 0.1, 4, 0.9), [FIRST, REST, FIRST, REST]),
    "adam": (ss.chains.Optimizer(RISK, optax.adam(0.01), 4), None),
}


@pytest.mark.parametrize("cuts", [[], [7], [3, 9], [1, 7, 8]])
def test_a_step_in_pieces_is_the_whole_one(cuts):
    """Cut elsewhere than the step cuts it, with vectors cut differently, whole ones, and what has to see it whole."""

    def step(state, numbers):
        first, second = state[:7], state[7:]
        moved = jnp.concatenate([2 * first, jnp.sin(second)]) - 0.5 * state * numbers
        kept = jnp.where(moved > 0, moved, jnp.concatenate([second, first]))
        return jnp.cumsum(kept) + jnp.sum(state) + jnp.sum(state[::2]), jnp.concatenate([kept[2:], kept[:2]])

    state, numbers = map(jnp.asarray, np.random.default_rng(0).normal(size=(2, 12)).astype(np.float32))
    batched = jax.jit(program_of(step, state, numbers).batched)
    pieces, other = batched(np.split(np.asarray(state), cuts), numbers)
    assert [piece.size for piece in pieces] == np.diff([0, *cuts, 12]).tolist()
    exact = jax.jit(step)(state, numbers)
    np.testing.assert_allclose(np.concatenate(pieces), exact[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(other, exact[1], rtol=1e-6)


def copied(batched):
    """How many long arrays a step cuts out of vectors, or joins them to."""
    chain = batched.chain
    batch = batched.enter(jnp.zeros((chain.state_dim, 1)))
    noise = jnp.zeros((chain.noise_dim, 1), jnp.uint32)
    return _copied(jax.make_jaxpr(batched.step)(batch, noise, jnp.uint32(0)))


def _copied(closed):
    total = 0
    for equation in closed.jaxpr.eqns:
        inner = [each for each in equation.params.values() if isinstance(each, ClosedJaxpr)]
        total += sum(map(_copied, inner))
        if equation.primitive.name in ("concatenate", "slice", "split"):
            total += sum(v.aval.size >= FIRST for v in equation.outvars)
    return total


@pytest.mark.parametrize("name", CHAINS)
def test_a_network_s_state_is_kept_as_its_arrays(name):
    """What is long is copied nowhere in a step, where a whole state is cut, and joined twice or more."""
    chain, sizes = CHAINS[name]
    batched = BatchedStep(as_leaves(chain), np.float32, CPU)
    found = [piece.shape[1] for piece in batched.enter(jnp.zeros((chain.state_dim, 3)))]
    vectors = chain.state_dim // RISK.dim
    assert sum(found) == chain.state_dim and found.count(FIRST) == vectors
    assert sizes is None or found == sizes
    assert copied(batched) == 0
    batched._pieces = None
    assert copied(batched) >= 2 * vectors


def test_leaving_is_the_inverse_of_entering_and_one_number_that_is_not_finite_is_enough():
    batched = BatchedStep(as_leaves(CHAINS["sgd"][0]), np.float32, CPU)
    states = np.random.default_rng(0).normal(size=(RISK.dim, 5)).astype(np.float32)
    states[3, 1] = states[-1, 4] = np.nan
    batch = batched.enter(jnp.asarray(states))
    np.testing.assert_array_equal(batched.leave(batch), states)
    np.testing.assert_array_equal(batched.finite(batch), [True, False, True, True, False])
    chosen = batched.leave(batched.choose(jnp.arange(5) > 2, batch, batched.enter(jnp.zeros_like(states))))
    np.testing.assert_array_equal(chosen, np.where(np.arange(5) > 2, states, 0))


@pytest.mark.long
@pytest.mark.parametrize("name", CHAINS)
def test_runs_in_pieces_are_those_of_the_step(name):
    """Against states in columns, which are whole, with the same indices."""
    chain, _ = CHAINS[name]
    found = ss.simulate(chain, np.asarray(RISK.initial), 6, 3, seed=1, devices=ONE, tuning=CPU)
    other = ss.simulate(chain, np.asarray(RISK.initial), 6, 3, seed=1, devices=ONE, tuning=CPU.but(least_row=None))
    np.testing.assert_allclose(found, other, rtol=1e-4, atol=1e-5)
    assert np.max(np.abs(found[0] - found[1])) > 1e-3
