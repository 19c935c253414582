"""The memory that a plan says is what a run of networks, or a training, takes, in a process of its own."""

import platform
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss

BEGIN = """
import gc, re, sys
import numpy as np
sys.path.insert(0, {here!r})
import sde_sgd as ss
from test_plan_memory import chain_of, training_of

def status(key):
    return 1024 * int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

"""
RUN = """
chain = chain_of({name!r})
start = np.asarray(chain.risk.initial)
ss.simulate(chain, start, 2, 2, progress=False)
gc.collect()
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
ss.simulate(chain, start, 2, {number}, chunk={chunk}, progress=False)
peak = status("VmHWM") - before
plan = ss.plan(chain, start, 2, {number}, chunk={chunk})
print(peak, plan.peak, plan.memory, plan.result)
"""
TRAINING = """
risk, asked = training_of({name!r})
ss.train(risk, networks=2, progress=False, **asked)
gc.collect()
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
found = ss.train(risk, networks={number}, progress=False, **asked)
peak = status("VmHWM") - before
plan = ss.training.plan(risk, networks={number}, **asked)
print(peak, plan.peak, plan.result, plan.peak - plan.result)
"""
CASES = {"64-16-10": (98_304, None), "784-32-10": (1_024, 512), "convolutional": (2_048, 1_024)}

TRAININGS = {"two batch sizes": 14_000, "until a loss": 1_024}


class Convolutional(eqx.Module):
    first: eqx.nn.Conv2d
    last: eqx.nn.Linear

    def __init__(self):
        keys = jax.random.split(jax.random.key(0))
        self.first = eqx.nn.Conv2d(1, 16, 3, padding=1, key=keys[0])
        self.last = eqx.nn.Linear(1_024, 10, key=keys[1])

    def __call__(self, x):
        return self.last(jax.nn.relu(self.first(x.reshape(1, 8, 8))).ravel())


def chain_of(name, examples=1_024):
    wide, hidden = (784, 32) if name.startswith("784") else (64, 16)
    model = eqx.nn.MLP(wide, 10, hidden, 1, jnp.tanh, key=jax.random.key(0))
    generator = np.random.default_rng(0)
    inputs, labels = generator.normal(size=(examples, wide)).astype(np.float32), generator.integers(0, 10, examples)
    model = Convolutional() if name == "convolutional" else model
    return ss.MinibatchSGD(ss.EmpiricalRisk(model, ss.landscapes.cross_entropy, inputs, labels), 0.01, 32)


def training_of(name):
    """A risk, and what is asked of it besides the number of networks."""
    if name == "two batch sizes":
        asked = {"batch_size": [16, 64], "stop": ss.training.Steps(3)}
        return chain_of("64-16-10").risk, asked | {"learning_rate": [0.01, 0.02], "momentum": 0.5}
    # a loss to which nothing comes
    stop = ss.training.Loss(1e-3, most=ss.training.Steps(64), every=1)
    return chain_of("784-32-10").risk, {"learning_rate": [0.01, 0.02], "batch_size": 32, "stop": stop, "chunk": 256}


@pytest.mark.long
@pytest.mark.skipif(platform.system() != "Linux", reason="the peak of a process is read where Linux keeps it")
@pytest.mark.parametrize("name", CASES | TRAININGS)
def test_the_peak_is_within_a_quarter_of_the_plan(name):
    number, chunk = CASES.get(name) or (TRAININGS[name], None)
    script = BEGIN + (RUN if name in CASES else TRAINING)
    script = script.format(here=__file__.rsplit("/", 1)[0], name=name, number=number, chunk=chunk)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    peak, said, *parts = map(int, done.stdout.split())
    assert 0.75 <= said / peak <= 1.25, (said, peak)
    # what either part alone would miss
    assert min(parts) / peak < 0.75


def square(w, x, y):
    return (w * x - y) ** 2


def test_data_are_no_part_of_what_a_run_adds():
    """They are there before, once for all chunks."""

    def memory(examples):
        data = np.linspace(-1, 1, examples, dtype=np.float32)
        chain = ss.MinibatchSGD(ss.EmpiricalRisk(jnp.zeros(()), square, data, data), 0.01, 4)
        return ss.plan(chain, np.zeros(1, np.float32), 2, 4).memory

    few, many = memory(100), memory(10_000)
    assert abs(few - many) < 1_000
