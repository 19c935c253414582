"""`plan` says what a run will be; the run is then like that."""

import functools
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss

WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, 1)
CHAIN = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(WELL, 0.1), 0.01)


@functools.cache
def the_plan():
    return ss.plan(CHAIN, [-1.0], steps=10_000, trajectories=3_000, chunk=1_024)


def test_a_plan_names_devices_chunks_memory_and_time():
    plan = the_plan()
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


def test_the_plan_that_a_page_shows_is_one_of_today():
    """Its lines, and what does not depend on the machine."""
    page = (Path(__file__).parents[1] / "docs" / "speed.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```text\n(devices .*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    lines = [dict(line.split(maxsplit=1) for line in text.splitlines()) for text in (shown, str(the_plan()))]
    assert list(lines[0]) == list(lines[1])
    assert lines[0]["kernel"] == lines[1]["kernel"]


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
