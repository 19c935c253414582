"""`plan` says what a run will be; the run is then like that."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss

WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, 1)
CHAIN = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(WELL, 0.1), 0.01)


def test_a_plan_names_devices_chunks_memory_and_time():
    plan = ss.plan(CHAIN, [-1.0], steps=10_000, trajectories=3_000, chunk=1_024)
    assert plan.devices == f"{len(jax.local_devices())} × cpu"
    assert plan.chunk <= 1_024 and plan.chunk % 64 == 0
    assert plan.chunk * plan.chunks >= 3_000
    assert plan.lowering.startswith("component-wise")
    assert plan.result == 4 * 3_000
    # at least the states that go in and those that come out
    assert plan.memory >= 2 * 4 * plan.chunk
    assert 0 < plan.seconds < 60 and plan.compile_seconds >= 0
    text = str(plan)
    for word in ("devices", "chunks", "memory", "time", "component-wise", "3,000 trajectories"):
        assert word in text


def test_a_plan_says_why_a_step_is_not_lowered():
    loop = ss.landscapes.Landscape(lambda x: jax.lax.fori_loop(0, 3, lambda _, y: y + jnp.sum(x**2), 0.0), 2)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(loop, 0.1), 0.01)
    plan = ss.plan(chain, np.zeros(2), steps=64, trajectories=64)
    assert plan.lowering == "batched, because 'scan' acts on whole vectors"


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="steps must be a whole number"):
        ss.plan(CHAIN, [-1.0], steps=0, trajectories=8)
    with pytest.raises(ValueError, match="devices must be a list of devices"):
        ss.plan(CHAIN, [-1.0], steps=8, trajectories=8, devices=["gpu"])
