"""What chains that draw examples go through: splitting, occupancy, rates; and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sgd_cases import network
from statistical import agrees

import sde_sgd as ss
from sde_sgd.chains import (
    SVAG,
    GradientDescent,
    LabelNoiseSGD,
    MinibatchSGD,
    MomentumSGD,
    Optimizer,
    Varying,
)


def two_wells(loud):
    """(w² − 1)² + x w over six x of mean 0, from −loud to loud: SGD's noise is the same everywhere."""
    inputs = np.linspace(-loud, loud, 6)
    return ss.EmpiricalRisk(jnp.zeros(1), lambda w, x, y: (w[0] ** 2 - 1) ** 2 + x * w[0], inputs, np.zeros(6))


CALLED = {
    "epochs": lambda: MinibatchSGD(two_wells(9.0), 0.05, 1, "epoch"),
    "momentum": lambda: MomentumSGD(two_wells(4.0), 0.02, 1, 0.6, replacement=False),
    "adam": lambda: Optimizer(two_wells(5.0), optax.adam(0.03, b2=0.9), 1, time_step=0.03),
    "svag": lambda: SVAG(two_wells(5.0), 0.08, 1, 2),
    "label noise": lambda: LabelNoiseSGD(two_wells(5.0), 0.05, 1, 1.0),
}


@pytest.mark.long
def test_splitting_and_direct_simulation_agree():
    """Of a chain with epochs, whose branches go on with those of their parents."""
    chain, start, left = CALLED["epochs"](), np.array([-1.0], np.float32), ss.regions.HalfSpace([1.0], 0.1)
    run = {"horizon": 6.0, "seed": 2}
    direct = ss.escape(chain, start, left, trajectories=8_192, method="direct", **run)
    split = ss.escape(chain, start, left, trajectories=4_096, method="splitting", **run)
    assert 0 < direct.probability.value < 0.3
    errors = [(each.probability.high - each.probability.low) / 3.92 for each in (direct, split)]
    assert abs(direct.probability.value - split.probability.value) < 4 * np.hypot(*errors)


@pytest.mark.long
@pytest.mark.parametrize("name", ["momentum", "adam", "svag", "label noise"])
def test_occupancy_goes_through_every_chain(name):
    chain = CALLED[name]()
    sides = {"left": ss.regions.HalfSpace([1.0], 0.0), "right": ~ss.regions.HalfSpace([1.0], 0.0)}
    at = ss.occupancy(chain, np.array([-1.0], np.float32), regions=sides, times=[1.0], trajectories=512, seed=1)
    assert agrees(at.probability.value.sum(), 1.0, 1e-6) and at.probability.value[0, 0] > 0.5


@pytest.mark.long
def test_rates_go_through_a_chain_with_memory():
    chain = MomentumSGD(two_wells(5.0), 0.02, 1, 0.6, replacement=False)
    found = ss.transitions(chain, {"left": [-1.0], "right": [1.0]}, rtol=0.3, seed=3)
    # by symmetry
    assert found.stationary.low[0] < 0.5 < found.stationary.high[0]


# what is refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MomentumSGD(network(), 0.1, 2, 1.0), r"momentum must be .* at least 0 and below 1, got 1.0"),
        (lambda: MomentumSGD(network(), 0.1, 2, -0.1), r"momentum must be .* at least 0 and below 1, got -0.1"),
        (lambda: MomentumSGD(network(), 0.1, 2, [0.5]), r"momentum must be a single number .*, got \[0.5\]"),
        (lambda: MomentumSGD(network(), 0.1, 2, 0.5, nesterov=1), "nesterov must be True or False, got 1"),
        (lambda: MomentumSGD(network(), 0.1, 5, 0.5, replacement=False), "batch_size must be at most 4, .* got 5"),
        (lambda: SVAG(network(), 0.1, 2, 0), "l must be a whole number of at least 1, got 0"),
        (lambda: SVAG(network(), 0.1, 2, 1.5), "l must be a whole number of at least 1, got 1.5"),
        (lambda: SVAG(network(), optax.constant_schedule(0.1), 2, 2), "learning_rate must be a single number above 0,"),
        (lambda: SVAG(network(), 0.1, 2, 2, "epoch"), "replacement must be True or False for SVAG, .* got reshuffled"),
        (lambda: GradientDescent(lambda x: x, 0.1), "landscape must be a landscape"),
        (lambda: GradientDescent(network(), 0.0), "learning_rate must be a finite number above 0, got 0.0"),
        (lambda: LabelNoiseSGD(network(), 0.1, 2, -1.0), "deviation must be a finite number of at least 0, got -1.0"),
        (lambda: LabelNoiseSGD(labelled(), 0.1, 2, 1.0), "risk must have real targets for noise on them, got .* int32"),
        (lambda: Optimizer(network(), optax.adam, 2), "transformation must be an optax transformation, such as"),
        (lambda: Optimizer(network(), optax.sgd(0.1), 2, time_step=0.0), "time_step must be a finite number above 0"),
        (
            lambda: Optimizer(network(), optax.add_noise(0.1, 0.5, jax.random.key(0)), 2),
            "transformation must not draw random numbers, which would be the same in all trajectories, got a state",
        ),
        (
            lambda: Optimizer(network(), optax.contrib.reduce_on_plateau(), 2),
            "transformation must begin with a finite state, got one with infinity",
        ),
        (
            lambda: Optimizer(network(), optax.masked(optax.sgd(0.1), {"weight": True}), 2),
            "transformation must be applicable to the model's parameters, got: ",
        ),
        (lambda: Varying(network(), "learning_rate"), "chain must be a chain, such as MinibatchSGD"),
        (lambda: varying(), r"names must be at least one name of a number of the chain, each once, got \(\)"),
        (lambda: varying("momentum", "momentum"), "names must be at least one name .* each once"),
        (lambda: varying("gamma"), "names must be of numbers of MomentumSGD, got 'gamma'"),
        (
            lambda: varying("batch_size"),
            "names must be of single real numbers, got 'batch_size', which is int64 of shape",
        ),
        (lambda: varying("risk.inputs"), "names must be of single real numbers, got 'risk.inputs'"),
        (lambda: varying("momentum").states(jnp.zeros(13), {"rate": 0.1}), "values must be of momentum, got 'rate'"),
        (
            lambda: varying("momentum").states(jnp.zeros(13), {"momentum": [0.1, 1.0]}),
            "values of momentum must be at least 0 and below 1, got 1.0",
        ),
        (
            lambda: varying("learning_rate").states(jnp.zeros(13), {"learning_rate": -0.5}),
            "values of learning_rate must be above 0, got -0.5",
        ),
        (
            lambda: varying("momentum").states(jnp.zeros((3, 13)), {"momentum": [0.1, 0.2]}),
            "values must be single numbers or all of shape",
        ),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def labelled():
    model = eqx.nn.Linear(2, 3, key=jax.random.key(0))
    return ss.EmpiricalRisk(
        model, lambda m, x, y: -jax.nn.log_softmax(m(x))[y], np.eye(2, dtype=np.float32), np.array([2, 0], np.int32)
    )


def varying(*names):
    return Varying(MomentumSGD(network(), 0.1, 2, 0.5), *names)
