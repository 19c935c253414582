"""What is checked before a run: real starts, steps that can move a state, and no transformation around a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss

WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, 1)
CHAIN = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(WELL, 0.3), 0.01)
LEFT = ss.regions.HalfSpace([1.0], 0.0)


def runs(chain, start):
    """Every kind of call that starts trajectories."""
    return [
        lambda: ss.simulate(chain, start, 4, 8),
        lambda: ss.plan(chain, start, 4, 8),
        lambda: ss.escape(chain, start, LEFT, 10 * float(np.asarray(CHAIN.time_step)), trajectories=8),
    ]


@pytest.mark.parametrize(
    "start", [np.array([-1 + 0j]), [-1 + 0.5j], jnp.array([-1j])], ids=["real part", "list", "JAX"]
)
def test_a_complex_start_is_refused(start):
    for call in runs(CHAIN, start):
        with pytest.raises(ValueError, match=r"^start must be real, got complex numbers"):
            call()


def pull(x, t):
    return -0.1 * x


def constant(amplitude, x, t):
    return jnp.asarray(amplitude, x.dtype) + 0 * x


def diffusing(amplitude):
    """The amplitude is a leaf, so that another one is not another program."""
    return ss.diffusions.ItoDiffusion(pull, jax.tree_util.Partial(constant, np.float64(amplitude)), 1)


def test_steps_that_round_away_are_refused():
    """dt = 1e-8 at x = 1 in float32: drift 1e-9 and noise 1e-8 a step are below half a unit in the last place, 3e-8."""
    chain = ss.EulerMaruyama(diffusing(1e-4), 1e-8)
    with pytest.raises(ValueError, match=r"^dt must be large enough for a step to change the state, got 1e-08"):
        ss.simulate(chain, np.ones(1, np.float32), 4, 8)
    with pytest.raises(ValueError, match=r"^dt must be large enough"):
        ss.escape(chain, np.ones(1, np.float32), ss.regions.HalfSpace([1.0], 2.0), 1e-6, trajectories=8)
    # noise that is seen, or a start where numbers lie denser, or a wider dtype
    assert np.any(ss.simulate(ss.EulerMaruyama(diffusing(1.0), 1e-8), np.ones(1, np.float32), 4, 8) != 1)
    assert np.any(ss.simulate(chain, np.zeros(1, np.float32), 4, 8) != 0)
    with jax.enable_x64(True):
        assert np.any(ss.simulate(chain, np.ones(1), 4, 8) != 1)
        with pytest.raises(ValueError, match=r"^dt must be large enough"):
            ss.simulate(ss.EulerMaruyama(diffusing(1e-4), 1e-26), np.ones(1), 4, 8)


def test_a_chain_may_rest_where_it_has_no_noise():
    """At the bottom of a well whose noise is proportional to the loss: an absorbing point, no rounding."""
    chain = ss.EulerMaruyama(ss.LangevinSGD(WELL, ss.noise.LossProportional(1.0), 0.1, 10))
    assert np.all(ss.simulate(chain, np.ones(1, np.float32), 4, 8) == 1)


def test_a_run_inside_a_transformation_is_refused():
    def mean(start):
        return jnp.mean(ss.simulate(CHAIN, start, 4, 8))

    def of_a_temperature(temperature):
        return ss.simulate(ss.EulerMaruyama(ss.LangevinSGD.at_temperature(WELL, temperature), 0.01), [-1.0], 4, 8)[0, 0]

    sentence = "^start and the chain must be known numbers, got ones that JAX traces.*use sde_sgd.integrate"
    for call, argument in ((mean, jnp.ones(1)), (of_a_temperature, 0.3)):
        for transform in (jax.jit, jax.grad):
            with pytest.raises(ValueError, match=sentence):
                transform(call)(argument)
    with pytest.raises(ValueError, match=sentence):
        jax.jit(lambda start: ss.escape(CHAIN, start, LEFT, 1.0, trajectories=8).probability.value)(jnp.ones(1))


def test_a_run_without_jit_is_refused():
    with jax.disable_jit():
        for call in runs(CHAIN, [-1.0]):
            with pytest.raises(ValueError, match=r"^jax.disable_jit\(\) must be off for a run"):
                call()
