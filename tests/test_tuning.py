"""The paths that an accelerator takes, run on the CPU: they give the numbers that the CPU's own path gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss
from sde_sgd.engine import _population, _simulate, _stopping, _tuning


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


def _forget_programs():
    jax.clear_caches()
    for compiled in (_simulate._BLOCK, _stopping._BLOCK, _population._WORK_OFF):
        compiled._programs.clear()


@pytest.fixture
def as_on_an_accelerator(monkeypatch):
    """Hand over to the accelerators' row of the table."""

    def switch():
        # fewer steps an iteration and in a queue: they take a CPU long
        row = _tuning._ACCELERATOR._replace(steps_fused=4, queue_lanes=512, branching_lanes=2_048)
        monkeypatch.setitem(_tuning._TABLE, "cpu", row)
        # blocks of several calls in these short runs too
        monkeypatch.setattr(_stopping, "_COMPILED_BLOCK", 64)
        _forget_programs()

    yield switch
    monkeypatch.undo()
    _forget_programs()


@pytest.mark.parametrize("name", CHAINS)
def test_an_accelerator_has_the_same_numbers(name, as_on_an_accelerator):
    chain = CHAINS[name]
    start = -np.ones(chain.dim, np.float32)
    normal = np.eye(chain.dim)[0]
    options = {"start": start, "region": ss.regions.HalfSpace(normal, 0.0), "horizon": 1.5, "trajectories": 128}
    watches = ("discrete",) if chain.increments == "rademacher" else ("discrete", "continuous")

    def everything():
        final = ss.simulate(chain, start, steps=150, trajectories=128, seed=3)
        return final, [ss.escape(chain, seed=3, monitoring=watch, **options) for watch in watches]

    final, passages = everything()
    as_on_an_accelerator()
    fused, fused_passages = everything()
    np.testing.assert_allclose(final, fused, rtol=2e-5, atol=2e-5)
    # ids and starts that are made on the devices, part by part
    rows = np.tile(start, (300, 1))
    parts, sent = (ss.simulate(chain, each, 150, 300, seed=3, chunk=128) for each in (start, rows))
    assert np.array_equal(parts[:128], fused) and np.array_equal(parts, sent)
    replayed = ss.simulate(chain, start, 150, trajectory_ids=np.arange(300), seed=3)
    assert np.array_equal(parts, replayed)
    for passage, other in zip(passages, fused_passages, strict=True):
        # a state that rounds otherwise may cross a step earlier or later; hardly any does
        assert np.mean(passage.steps != other.steps) <= 0.02
        assert passage.count("target") > 0


@pytest.mark.parametrize("name", ["one component", "batched"])
def test_a_queue_on_an_accelerator_has_the_same_numbers(name, as_on_an_accelerator):
    """Splitting's trajectories, which start with clocks and budgets of their own."""
    chain = CHAINS[name]
    start = -np.ones(chain.dim, np.float32)
    region = ss.regions.HalfSpace(np.eye(chain.dim)[0], 0.2)

    def found():
        return ss.escape(
            chain, start, region, 1.5, trajectories=512, seed=3, method=ss.passage.Splitting(repetitions=8)
        )

    here = found()
    as_on_an_accelerator()
    there = found()
    np.testing.assert_allclose(here.levels, there.levels, rtol=1e-4)
    np.testing.assert_allclose(here.probability.value, there.probability.value, rtol=0.05)


def test_an_option_that_the_compiler_does_not_know_is_left_out(monkeypatch):
    row = _tuning._TABLE["cpu"]
    unknown = {"xla_no_such_option": 1}
    monkeypatch.setitem(_tuning._TABLE, "cpu", row._replace(options=row.options | unknown, loop_options=unknown))
    assert _tuning._known_options(False) == _tuning._known_options(True) == row.options


@pytest.mark.parametrize("ends_itself", [False, True])
def test_the_compiler_knows_our_options(ends_itself, monkeypatch):
    """Those of accelerators too: any backend reads them all."""
    assert _tuning._known_options(ends_itself) == _tuning.tuning().options
    row = _tuning._ACCELERATOR
    monkeypatch.setitem(_tuning._TABLE, "cpu", row)
    assert _tuning._known_options(ends_itself) == (row.loop_options if ends_itself else {})
