"""The same bits on any number of devices and for any chunk, from the last states to the single path."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parameters import quick
from test_engine import CASES, chain_on, coupled, double_well

import sde_sgd as ss

INSIDE = {1: ss.regions.HalfSpace([1.0], 0.0)} | {dim: ss.regions.Ball(-np.ones(dim), 0.8) for dim in (2, 3)}
# 200 are no whole number of vector widths on any number of devices
TRAJECTORIES, STEPS = 200, 128


def error_of_a_line(model, x, y):
    return (model[0] * x + model[1] - y) ** 2


def minibatches(batch):
    risk = ss.EmpiricalRisk(-jnp.ones(2), error_of_a_line, np.linspace(-1, 1, 6), np.linspace(0, 1, 6) ** 2)
    return ss.MinibatchSGD(risk, 0.1, batch)


def run(name, devices=None, chunk=None, ids=None):
    """What one case measures: its numbers in one list of arrays, the trajectory axis first."""
    options = {"seed": 5, "devices": devices, "chunk": chunk}
    options |= {"trajectories": TRAJECTORIES} if ids is None else {"trajectory_ids": ids}
    kind, _, rest = name.partition(" ")
    if rest.startswith("minibatches"):
        chain, region = minibatches(int(rest[-1])), ss.regions.Ball(np.zeros(2), 1.42)
    else:
        chain = WELLS[rest]
        region = INSIDE[chain.dim]
    start = -np.ones(chain.dim, np.float32)
    if kind == "simulate":
        return [ss.simulate(chain, start, STEPS, **options)]
    passage = ss.escape(chain, start, region, STEPS * float(chain.time_step), monitoring=kind, **options)
    return [passage.steps, passage.outcome]


def quadratic(matrix):
    """A loss made of products of matrices, whose derivative holds a `reshard` where it is sharded."""
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.Quadratic(matrix, 0.1), 0.5), 0.05)


WELLS = {
    "one": chain_on(double_well, 1, temperature=0.8),
    "three": CASES["gaussian-3"],
    "signs": chain_on(coupled, 3, increments="rademacher"),
    "products of two": quadratic([[2.0, 0.3], [0.3, 1.0]]),
    "batched": chain_on(lambda x: jnp.sum((jnp.cumsum(x) ** 2 - 1) ** 2), 3),
}
EXACT = [*(f"simulate {chain}" for chain in WELLS), "discrete one", "continuous three"]
CLOSE = ["simulate minibatches 7", "discrete minibatches 2"]
# three components between steps are those of "simulate three", watched; one component is the same with fewer
QUICK = ["simulate signs", "simulate products of two", "simulate batched", "continuous three"]


@pytest.fixture(scope="module")
def with_eight_devices(request):
    """What the tests of this run ask for on 8 fake devices, run by this file in a process of its own."""
    asked = [each for each in request.session.items if "with_eight_devices" in getattr(each, "fixturenames", ())]
    names = [each.callspec.params["name"] for each in asked]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "runs.npz"
        flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
        here = Path(__file__).parent
        paths = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": paths}
        done = subprocess.run(
            [sys.executable, "-W", "error", __file__, str(target), *names],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        yield dict(np.load(target))


def main(target, *names):
    assert len(jax.devices()) == 8
    results = {}
    for name in names:
        for number, array in enumerate(run(name, jax.devices())):
            results[f"{name}, {number}"] = array
    np.savez(target, **results)


@pytest.mark.parametrize("name", quick(EXACT, *QUICK))
def test_bits_do_not_depend_on_the_devices(name, with_eight_devices):
    here = run(name, jax.devices()[:1])
    for number, (array, two) in enumerate(zip(here, run(name, jax.devices()), strict=True)):
        assert np.array_equal(array, two)
        assert np.array_equal(array, with_eight_devices[f"{name}, {number}"])
    if not name.startswith("simulate"):
        left = np.sum(here[1] == 2)
        assert 10 < left < TRAJECTORIES - 10


@pytest.mark.parametrize("name", CLOSE)
def test_minibatches_agree_on_all_devices(name, with_eight_devices):
    """A sum over examples may be taken in another order in another program: close, and nearly always the same exit."""
    here = run(name, jax.devices()[:1])
    for number, array in enumerate(here):
        other = with_eight_devices[f"{name}, {number}"]
        if name.startswith("simulate"):
            np.testing.assert_allclose(array, other, rtol=1e-5, atol=1e-5)
        else:
            assert np.sum(array != other) <= 2


class Heavy(ss.chains.AbstractChain):
    """SGD with momentum on a loss that is not read by components; θ and velocity meet in sums of products."""

    dim, noise_dim, noise_kind, time_step, memory = 3, 3, "gaussian", 0.1, 3
    landscape = ss.landscapes.Landscape(lambda x: jnp.sum((jnp.cumsum(x) ** 2 - 1) ** 2), 3)

    def step(self, state, noise, step_index):
        velocity = 0.9 * state[3:] - 0.013 * self.landscape.gradient(state[:3]) + 0.07 * noise
        return jnp.concatenate([state[:3] + velocity, velocity])


def network(batch):
    """SGD on a 64-16-10 network, one for each trajectory."""
    random = np.random.default_rng(0)
    shapes = ((16, 64), (16,), (10, 16), (10,))
    weights = [(0.2 * random.standard_normal(shape)).astype(np.float32) for shape in shapes]
    inputs, labels = random.standard_normal((64, 64)).astype(np.float32), random.integers(0, 10, 64)

    def error(model, x, y):
        scores = model[2] @ jnp.tanh(model[0] @ x + model[1]) + model[3]
        return jax.nn.logsumexp(scores) - scores[y]

    start = np.concatenate([weight.ravel() for weight in weights])
    return ss.MinibatchSGD(ss.EmpiricalRisk(weights, error, inputs, labels), 0.1, batch), start


NOT_READ = {
    "momentum": lambda: (Heavy(), np.float32([-1, 0, 0])),
    "network, batch of 4": lambda: network(4),
    "network, batch of 32": lambda: network(32),
}


@pytest.mark.long
@pytest.mark.parametrize("name", NOT_READ)
def test_a_step_that_is_not_read_by_components(name):
    """To rounding however it runs; to the last bit in chunks of one width, however many trajectories there are."""
    chain, start = NOT_READ[name]()
    one, ids = jax.devices()[:1], [199, 3, 64]

    def run(**options):
        return ss.simulate(chain, start, 24, seed=5, **options)

    whole = run(trajectories=200, devices=one)
    assert np.all(np.isfinite(whole))
    others = run(trajectories=200), run(trajectories=200, chunk=64), run(trajectories=200, save_every=3)[-1]
    for other in others:
        np.testing.assert_allclose(other, whole, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(run(trajectory_ids=ids), whole[ids], rtol=1e-5, atol=1e-5)

    for devices in (one, jax.devices()):
        alike = {"devices": devices, "chunk": 64 * len(devices)}
        narrow = run(trajectories=200, **alike)
        assert np.array_equal(run(trajectories=70, **alike), narrow[:70])
        assert np.array_equal(run(trajectory_ids=ids, **alike), narrow[ids])


@pytest.mark.long
@pytest.mark.parametrize("name", ["simulate one", "discrete one", "continuous three"])
def test_bits_do_not_depend_on_the_chunk(name):
    whole = run(name, jax.devices()[:1])
    for chunk, devices in ((64, jax.devices()[:1]), (100, jax.devices())):
        for one, other in zip(whole, run(name, devices, chunk), strict=True):
            assert np.array_equal(one, other), chunk


@pytest.mark.parametrize("name", quick(EXACT, *QUICK))
def test_a_trajectory_alone_has_the_bits_it_had_among_many(name):
    ids = [199, 3, 64]
    for one, other in zip(run(name, jax.devices()[:1]), run(name, ids=ids), strict=True):
        assert np.array_equal(one[ids], other)


@pytest.mark.parametrize("chain", quick(["one", "three"], "one"))
def test_the_path_ends_and_leaves_where_it_did(chain):
    """Saved after every step, the same states: the last ones, and the first outside the region."""
    ids, dim = np.array([0, 7, 150]), WELLS[chain].dim
    start = -np.ones(dim, np.float32)
    path = ss.simulate(WELLS[chain], start, STEPS, trajectory_ids=ids, seed=5, save_every=1)
    assert np.array_equal(path[-1], run(f"simulate {chain}")[0][ids])
    inside = np.asarray(jax.jit(jax.vmap(jax.vmap(INSIDE[dim].contains)))(path))
    steps, outcome = run(f"discrete {chain}")
    assert np.array_equal(steps[ids], np.where(inside.all(0), -1, (~inside).argmax(0)))
    assert np.array_equal(outcome[ids], np.where(inside.all(0), 0, 2))


@pytest.mark.parametrize("bad", [[], "cpu", [0, 1]], ids=str)
def test_devices_that_are_none(bad):
    with pytest.raises(ValueError, match=r"^devices must be a list of devices such as jax.devices"):
        run("simulate one", bad)
    with pytest.raises(ValueError, match=r"^devices must be a list of devices such as jax.devices"):
        run("discrete one", bad)


def test_a_device_named_twice():
    with pytest.raises(ValueError, match=r"^devices must be different"):
        run("simulate one", jax.devices()[:1] * 2)


if __name__ == "__main__":
    main(*sys.argv[1:])
