"""The paths that an accelerator takes, run on the CPU: they give the numbers that the CPU's own path gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss
from sde_sgd.engine import ACCELERATOR, CPU, Tuning, tuned, tuning_of
from sde_sgd.engine._compiled import known_options


def coupled(x):
    return jnp.sum((x**2 - 1) ** 2) + 0.3 * jnp.sum(jnp.sin(x[1:] * x[:-1]))


def chain_on(fn, dim, increments="gaussian"):
    landscape = ss.landscapes.Landscape(fn, dim)
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.4), 0.01, increments)


CHAINS = {
    "one component": chain_on(lambda x: (x[0] ** 2 - 1) ** 2, 1),
    "three components": chain_on(coupled, 3),
    "signs": chain_on(coupled, 2, "rademacher"),
    "batched": chain_on(lambda x: jnp.sum(x**2) / 2, 40),
}


# fewer steps an iteration and in a queue: they take a CPU long; and blocks of several calls in these short runs too
AS_ON_AN_ACCELERATOR = ACCELERATOR.but(steps_fused=4, queue_width=512, queued_trajectories=2_048, static_block=64)


@pytest.mark.long
@pytest.mark.parametrize("name", CHAINS)
def test_an_accelerator_has_the_same_numbers(name):
    chain = CHAINS[name]
    start = -np.ones(chain.dim, np.float32)
    normal = np.eye(chain.dim)[0]
    asked = {"start": start, "region": ss.regions.HalfSpace(normal, 0.0), "horizon": 1.5, "trajectories": 128}
    watches = ("discrete",) if chain.increments == "rademacher" else ("discrete", "continuous")

    def everything():
        final = ss.simulate(chain, start, steps=150, trajectories=128, seed=3)
        return final, [ss.escape(chain, seed=3, monitoring=watch, **asked) for watch in watches]

    final, passages = everything()
    with tuned(AS_ON_AN_ACCELERATOR):
        fused, fused_passages = everything()
    np.testing.assert_allclose(final, fused, rtol=2e-5, atol=2e-5)
    # ids and starts that are made on the devices, part by part
    rows = np.tile(start, (300, 1))
    options = {"seed": 3, "tuning": AS_ON_AN_ACCELERATOR}
    parts, sent = (ss.simulate(chain, each, 150, 300, chunk=128, **options) for each in (start, rows))
    assert np.array_equal(parts[:128], fused) and np.array_equal(parts, sent)
    replayed = ss.simulate(chain, start, 150, trajectory_ids=np.arange(300), **options)
    assert np.array_equal(parts, replayed)
    for passage, other in zip(passages, fused_passages, strict=True):
        # a state that rounds otherwise may cross a step earlier or later; hardly any does
        assert np.mean(passage.steps != other.steps) <= 0.02
        assert passage.count("target") > 0


@pytest.mark.long
@pytest.mark.parametrize("name", ["one component", "batched"])
def test_a_queue_on_an_accelerator_has_the_same_numbers(name):
    """Splitting's trajectories, which start with clocks and budgets of their own."""
    chain = CHAINS[name]
    start = -np.ones(chain.dim, np.float32)
    region = ss.regions.HalfSpace(np.eye(chain.dim)[0], 0.2)

    def found():
        return ss.escape(
            chain, start, region, 1.5, trajectories=512, seed=3, method=ss.passage.Splitting(repetitions=8)
        )

    here = found()
    with tuned(AS_ON_AN_ACCELERATOR):
        there = found()
    np.testing.assert_allclose(here.levels, there.levels, rtol=1e-4)
    np.testing.assert_allclose(here.probability.value, there.probability.value, rtol=0.05)


ABLATIONS = {
    "lowering off": {"lowering": False},
    "packing off": {"packing": False},
    "one step a fusion": {"steps_fused": 1, "steps_fused_many": 1},
}


@pytest.mark.long
@pytest.mark.parametrize("ablation", ABLATIONS)
@pytest.mark.parametrize("name", ["one component", "signs"])
def test_what_is_switched_off_costs_speed_only(name, ablation):
    chain = CHAINS[name]
    start = -np.ones(chain.dim, np.float32)
    region = ss.regions.HalfSpace(np.eye(chain.dim)[0], 0.0)

    def found():
        passage = ss.escape(chain, start, region, 1.0, trajectories=128, seed=3, method="direct")
        return ss.simulate(chain, start, 130, 64, seed=3), passage.steps

    whole, steps = found()
    with tuned(**ABLATIONS[ablation]):
        plan = ss.plan(chain, start, 64, 64)
        without, other = found()
    assert plan.lowering.startswith("batched" if ablation == "lowering off" else "component-wise")
    np.testing.assert_allclose(whole, without, rtol=2e-5, atol=2e-5)
    assert np.mean(steps != other) <= 0.02


def test_the_tuning_is_that_of_the_devices_of_the_run():
    assert tuning_of(jax.devices("cpu")) == CPU

    class Chip:
        platform = "tpu"

    assert tuning_of([Chip()]) == ACCELERATOR
    with tuned(lowering=False):
        assert tuning_of([Chip()]) == ACCELERATOR.but(lowering=False)
        with tuned(CPU):
            assert tuning_of([Chip()]) == CPU
    assert tuning_of([Chip()]) == ACCELERATOR


def test_a_tuning_is_a_value():
    assert hash(CPU) == hash(CPU.but()) and CPU.but() == CPU
    assert CPU.but(options={}) != CPU and len({CPU, CPU.but(), CPU.but(steps_fused=2)}) == 2
    assert Tuning() == Tuning()


def test_an_option_that_the_compiler_does_not_know_is_left_out():
    unknown = {"xla_no_such_option": 1}
    row = CPU.but(options=dict(CPU.options) | unknown, loop_options=unknown)
    assert known_options(row, False) == known_options(row, True) == CPU.options


@pytest.mark.parametrize("data_dependent_loop", [False, True])
def test_the_compiler_knows_our_options(data_dependent_loop):
    """Those of accelerators too: any backend reads them all."""
    assert known_options(CPU, data_dependent_loop) == CPU.options
    assert known_options(ACCELERATOR, data_dependent_loop) == (ACCELERATOR.loop_options if data_dependent_loop else {})
