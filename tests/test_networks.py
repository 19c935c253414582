"""How the engine runs networks: convolutions as products of patches, states in rows, chunks of a core's share."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chains_with_memory import MomentumSGD

import sde_sgd as ss
from sde_sgd.engine import CPU, tuned
from sde_sgd.engine._blocks import LANES, split_trajectories
from sde_sgd.engine._devices import mesh_of, workers
from sde_sgd.engine.lowering import Program

ONE = jax.devices()[:1]


def convolution(image, kernel, strides, padding, between, spread):
    """By its definition, one product for each element of the kernel."""
    widths = [(low, high, step - 1) for (low, high), step in zip(padding, between, strict=True)]
    padded = jax.lax.pad(image, jnp.float32(0), [(0, 0, 0), (0, 0, 0), *widths])
    size = [
        (whole - (length - 1) * apart - 1) // step + 1
        for whole, length, apart, step in zip(padded.shape[2:], kernel.shape[2:], spread, strides, strict=True)
    ]
    total = jnp.zeros((image.shape[0], kernel.shape[0], *size))
    for i, j in itertools.product(*map(range, kernel.shape[2:])):
        rows = slice(i * spread[0], i * spread[0] + strides[0] * (size[0] - 1) + 1, strides[0])
        columns = slice(j * spread[1], j * spread[1] + strides[1] * (size[1] - 1) + 1, strides[1])
        total += jnp.einsum("nchw,oc->nohw", padded[:, :, rows, columns], kernel[:, :, i, j])
    return total


GEOMETRIES = {
    "plain": ((1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1)),
    "padded, strides": ((2, 1), ((1, 2), (2, 0)), (1, 1), (1, 1)),
    "more padding than kernel, long strides": ((3, 2), ((3, 4), (2, 3)), (1, 1), (1, 1)),
    "cropped, spread kernel": ((1, 2), ((-1, 1), (0, -1)), (1, 1), (2, 1)),
    "spread image": ((1, 1), ((1, 1), (2, 1)), (2, 3), (1, 2)),
}


def program_of(fn, *arrays):
    return Program(fn, *(jax.ShapeDtypeStruct(array.shape, array.dtype) for array in arrays))


@pytest.mark.long
@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_product_of_patches_is_the_convolution(name):
    """And its derivatives, which are convolutions too; against sums and their own derivatives."""
    generator = np.random.default_rng(0)
    image = jnp.asarray(generator.normal(size=(4, 2, 7, 8)), jnp.float32)
    kernel = jnp.asarray(generator.normal(size=(3, 2, 3, 2)), jnp.float32)

    def whole(made):
        def error(image, kernel):
            return jnp.sum(jnp.sin(made(image, kernel)))

        return lambda image, kernel: (made(image, kernel), *jax.grad(error, (0, 1))(image, kernel))

    def jax_made(image, kernel):
        return jax.jit(lambda x, w: jax.lax.conv_general_dilated(x, w, *GEOMETRIES[name]))(image, kernel)

    exact = whole(lambda x, w: convolution(x, w, *GEOMETRIES[name]))(image, kernel)
    program = program_of(whole(jax_made), image, kernel)
    found = jax.make_jaxpr(lambda *arrays: program.batched(*arrays, patches=True))(image, kernel)
    assert "conv_general_dilated" not in str(found)
    for one, other in zip(program.batched(image, kernel, patches=True), exact, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    other_geometry = convolution(image, kernel, (1, 1), ((1, 0), (1, 0)), (1, 1), (1, 1))
    assert other_geometry.shape != exact[0].shape or np.max(np.abs(other_geometry - exact[0])) > 0.1


def test_a_convolution_with_groups_stays_one():
    image, kernel = jnp.ones((2, 4, 5)), jnp.ones((4, 1, 3))
    program = program_of(
        lambda x, w: jax.lax.conv_general_dilated(x, w, (1,), "VALID", feature_group_count=4), image, kernel
    )
    np.testing.assert_allclose(program.batched(image, kernel, patches=True)[0], np.full((2, 4, 3), 3.0))


def dense(hidden=24, batch=4):
    """SGD on a 16-hidden-3 network."""
    generator = np.random.default_rng(0)
    model = eqx.nn.MLP(16, 3, hidden, 1, jnp.tanh, key=jax.random.key(0))
    inputs, labels = generator.normal(size=(40, 16)).astype(np.float32), generator.integers(0, 3, 40)
    risk = ss.EmpiricalRisk(model, ss.landscapes.cross_entropy, inputs, labels)
    return ss.MinibatchSGD(risk, 0.1, batch)


def convolutional():
    class Net(eqx.Module):
        first: eqx.nn.Conv2d
        last: eqx.nn.Linear

        def __call__(self, x):
            return self.last(jax.nn.relu(self.first(x)).ravel())

    keys = jax.random.split(jax.random.key(0), 2)
    model = Net(eqx.nn.Conv2d(1, 4, 3, stride=2, padding=1, key=keys[0]), eqx.nn.Linear(36, 3, key=keys[1]))
    generator = np.random.default_rng(0)
    inputs, labels = generator.normal(size=(40, 1, 6, 6)).astype(np.float32), generator.integers(0, 3, 40)
    return ss.MinibatchSGD(ss.EmpiricalRisk(model, ss.landscapes.cross_entropy, inputs, labels), 0.1, 4)


CHAINS = {"dense": dense, "convolutional": convolutional}
COLUMNS = {"least_row": None, "patches": False}


def start(chain):
    return np.asarray(chain.risk.initial)


@pytest.mark.long
@pytest.mark.parametrize("name", CHAINS)
def test_rows_and_patches_are_the_same_chain(name):
    chain = CHAINS[name]()
    assert CPU.has_rows(chain) and not CPU.but(**COLUMNS).has_rows(chain)

    def run():
        return ss.simulate(chain, start(chain), 30, 5, seed=1, devices=ONE)

    rows = run()
    with tuned(**COLUMNS):
        columns = run()
    np.testing.assert_allclose(rows, columns, rtol=1e-4, atol=1e-5)
    assert np.max(np.abs(rows - start(chain))) > 0.1 and np.max(np.abs(rows[0] - rows[1])) > 1e-2


@pytest.mark.long
def test_exits_of_states_in_rows():
    """Watched and frozen, direct and split: the same exits as of states in columns."""
    chain = dense()
    ball = ss.regions.Ball(start(chain), 0.25)

    def exits():
        direct = ss.escape(chain, start(chain), ball, 3.0, trajectories=20, seed=2, devices=ONE)
        split = ss.escape(chain, start(chain), ball, 3.0, trajectories=128, seed=2, devices=ONE, method="splitting")
        return direct.steps, split.probability.value

    rows, split = exits()
    with tuned(**COLUMNS):
        columns, other = exits()
    assert np.mean(rows != columns) <= 0.1 and np.ptp(rows) > 0
    np.testing.assert_allclose(split, other, rtol=0.05)


@pytest.mark.long
def test_components_have_no_rows():
    """A lowered step keeps an array for each component, wherever rows would begin: the same bits, stopped or not."""
    chain = MomentumSGD(ss.landscapes.Landscape(lambda x: jnp.sum((x**2 - 1) ** 2), 3), 0.05, 0.6, 0.3)
    out = ss.regions.HalfSpace(np.eye(3)[0], 0.0)

    method = ss.passage.Splitting(repetitions=2)

    def chance():
        run = ss.escape(chain, -np.ones(3, np.float32), out, 0.3, method=method, trajectories=256, seed=1, devices=ONE)
        return run.probability.value

    usual = chance()
    with tuned(least_row=4):
        assert chance() == usual
    assert 0 < usual < 1


def test_a_chunk_is_a_core_s_share():
    mesh, chain = mesh_of(ONE), dense()
    cores = workers(mesh)

    def size(number, chain: ss.chains.AbstractChain = chain, chunk=None, tuning=CPU, **options):
        return split_trajectories(range(number), chain, chunk, mesh, tuning, **options).size

    assert size(1) == 1 and size(8) == -(-8 // cores) and size(64) == -(-64 // cores)
    assert size(64, chunk=64) == 64 and size(3, chunk=16) == 16
    few = CPU.but(row_numbers=4 * chain.state_dim)
    assert size(48, tuning=few) == 4 or cores not in (1, 2, 3, 4, 6, 12)
    assert size(64, convolutional()) == 1
    # a reduction counts groups of trajectories by their columns
    assert size(1, whole=True) % LANES == 0
    # a step with as many normals as components, and one that is short
    assert size(1, chain=ss.EulerMaruyama(ss.Langevin(chain.risk, 0.1), 0.1)) % LANES == 0
    assert size(1, chain=dense(hidden=2)) % LANES == 0


@pytest.mark.long
def test_a_convolutional_network_replays_to_the_last_bit():
    """Every chunk is one network, so that no other one has a say in its sums."""
    chain = convolutional()
    many = ss.simulate(chain, start(chain), 20, 5, seed=4, devices=ONE)
    assert np.array_equal(ss.simulate(chain, start(chain), 20, trajectory_ids=[3], seed=4, devices=ONE)[0], many[3])
    assert not np.array_equal(many[2], many[3])


def test_a_chunk_that_is_given_makes_a_dense_network_replay_to_the_last_bit():
    chain = dense()
    many = ss.simulate(chain, start(chain), 20, 11, seed=4, devices=ONE, chunk=4)
    one = ss.simulate(chain, start(chain), 20, trajectory_ids=[9], seed=4, devices=ONE, chunk=4)
    assert np.array_equal(one[0], many[9])
