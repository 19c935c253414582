"""The engine: reproducible bits, the pure function under jax's transformations, exact moments."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, PartitionSpec
from parameters import quick

import sde_sgd as ss
from sde_sgd import _progress
from sde_sgd.engine import ACCELERATOR, CPU, _stopping


def double_well(x):
    return (x[0] ** 2 - 1) ** 2


def coupled(x):
    return jnp.sum((x**2 - 1) ** 2) + 0.3 * jnp.sum(jnp.sin(x[1:] * x[:-1]))


def chain_on(fn, dim, temperature=0.3, dt=0.01, increments="gaussian"):
    landscape = ss.landscapes.Landscape(fn, dim)
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, temperature), dt, increments)


CASES = {
    "gaussian-1": chain_on(double_well, 1),
    "gaussian-3": chain_on(coupled, 3),
    "rademacher-2": chain_on(coupled, 2, increments="rademacher"),
}


@pytest.fixture(params=quick(CASES, "gaussian-1"))
def chain(request):
    return CASES[request.param]


def test_bits_do_not_depend_on_the_chunk(chain):
    start = -np.ones(chain.dim, np.float32)
    whole = ss.simulate(chain, start, steps=200, trajectories=500, seed=3)
    for chunk in (64, 130, 499):
        assert np.array_equal(whole, ss.simulate(chain, start, steps=200, trajectories=500, seed=3, chunk=chunk))
    assert len(np.unique(whole[:, 0])) > 400 or chain.noise_kind == "rademacher"


@pytest.mark.long
def test_a_trajectory_is_replayed_alone_in_detail(chain):
    start = -np.ones(chain.dim, np.float32)
    whole = ss.simulate(chain, start, steps=192, trajectories=300, seed=9)
    path = ss.simulate(chain, start, steps=192, trajectory_ids=[17, 250], seed=9, save_every=1)
    assert path.shape == (193, 2, chain.dim)
    assert np.array_equal(path[0], np.broadcast_to(start, (2, chain.dim)))
    assert np.array_equal(path[-1], whole[[17, 250]])
    # a hash serves two steps or 64, and three are no whole number of either
    thirds = ss.simulate(chain, start, steps=192, trajectory_ids=[17, 250], seed=9, save_every=3)
    assert np.array_equal(thirds, path[::3])
    assert not np.array_equal(whole[17], ss.simulate(chain, start, steps=192, trajectory_ids=[17], seed=10)[0])


def test_integrate_composes(chain):
    """Any cut of the steps gives the same bits, with an odd, an even and a traced first step."""
    states = jnp.tile(-jnp.ones(chain.dim), (128, 1))
    ids = np.arange(128)
    whole = ss.integrate(chain, states, 0, 150, 4, ids)
    for cut in (64, 77):
        middle = ss.integrate(chain, states, 0, cut, 4, ids)
        assert np.array_equal(whole, ss.integrate(chain, middle, cut, 150 - cut, 4, ids))
    traced = jax.jit(lambda s, k: ss.integrate(chain, s, k, 150 - 77, 4, ids))(middle, 77)
    np.testing.assert_allclose(whole, traced, rtol=2e-5, atol=2e-6)
    assert np.array_equal(whole, ss.simulate(chain, -np.ones(chain.dim, np.float32), 150, 128, seed=4))


def test_steps_beyond_31_bits_draw_new_noise():
    chain, ids = CASES["gaussian-1"], np.arange(64)
    states = jnp.tile(-jnp.ones(1), (64, 1))
    near, far = (ss.integrate(chain, states, k, 2, 4, ids) for k in (2**31, 2**31 + 2))
    assert not np.any(near == far)
    assert not np.any(near == ss.integrate(chain, states, 0, 2, 4, ids))


def test_steps_past_the_last_number_are_refused():
    chain, states = CASES["gaussian-1"], jnp.zeros((1, 1))
    assert np.isfinite(ss.integrate(chain, states, 2**32 - 2, 2, 4, [0]))
    for first in (2**32 - 1, -1):
        with pytest.raises(ValueError, match=r"^first_step must lie from 0 to 2\*\*32 - steps, got"):
            ss.integrate(chain, states, first, 2, 4, [0])


def test_vmap_over_a_sweep_and_seeds():
    def final(temperature, seed):
        chain = ss.EulerMaruyama(
            ss.LangevinSGD.at_temperature(CASES["gaussian-1"].diffusion.landscape, temperature), 0.01
        )
        return ss.integrate(chain, -jnp.ones((64, 1)), 0, 10, seed, np.arange(64))

    temperatures, seeds = jnp.array([0.1, 0.2]), jnp.array([1, 2], jnp.uint32)
    together = jax.vmap(final)(temperatures, seeds)
    for row, temperature, seed in zip(together, temperatures, seeds, strict=True):
        np.testing.assert_allclose(row, final(temperature, seed), rtol=1e-5, atol=1e-6)


def test_shard_map_over_two_devices():
    chain, ids = CASES["gaussian-3"], jnp.arange(128, dtype=jnp.uint32)
    states = jnp.tile(-jnp.ones(3), (128, 1))
    # the processor's, also where there is an accelerator
    mesh, spec = Mesh(np.array(jax.devices("cpu")), ("d",)), PartitionSpec("d")
    assert mesh.size == 2
    sharded = jax.jit(
        jax.shard_map(
            lambda s, i: ss.integrate(chain, s, 0, 64, 4, i),
            mesh=mesh,
            in_specs=(spec, spec),
            out_specs=spec,
            check_vma=False,
        )
    )(states, ids)
    np.testing.assert_allclose(sharded, ss.integrate(chain, states, 0, 64, 4, ids), rtol=2e-5, atol=2e-6)


@pytest.mark.long
def test_gradient_of_an_ornstein_uhlenbeck_mean_square(double_precision):
    """d E[x²]/da of the chain x' = (1 − a dt)x + σ√dt ξ is exact by its recursion.

    Path-wise estimate on 65,536 trajectories within 4.5 standard errors (false fail 7e-6); the twin that forgets the
    dependence of the stationary spread on a (gradient of the deterministic part alone) is rejected.
    """
    dt, steps, sigma, a0 = 0.02, 100, 0.7, 1.3
    n = 65_536

    def samples(a):
        diffusion = ss.diffusions.ItoDiffusion(lambda x, t: -a * x, lambda x, t: sigma * jnp.ones(1), 1)
        chain = ss.EulerMaruyama(diffusion, dt)
        return ss.integrate(chain, jnp.ones((n, 1)), 0, steps, 5, np.arange(n))[:, 0] ** 2

    def exact(a):
        q = (1 - a * dt) ** 2
        return q**steps + sigma**2 * dt * (1 - q**steps) / (1 - q)

    values = np.asarray(jax.jvp(samples, (jnp.asarray(a0),), (jnp.asarray(1.0),))[1])
    reverse = jax.grad(lambda a: jnp.mean(samples(a)))(jnp.asarray(a0))
    assert np.isclose(reverse, values.mean(), rtol=1e-10)
    error = values.std() / np.sqrt(n)
    truth = jax.grad(exact)(a0)
    assert abs(values.mean() - truth) < 4.5 * error
    deterministic = jax.grad(lambda a: (1 - a * dt) ** (2 * steps))(a0)
    assert abs(deterministic - truth) > 9 * error


def test_a_sweep_compiles_once():
    noise = ss.noise.Isotropic(1.0)
    left = ss.regions.HalfSpace([1.0], 0.0)

    def run(rate, batch):
        diffusion = ss.LangevinSGD(landscape, noise, learning_rate=rate, batch_size=batch)
        ss.escape(ss.EulerMaruyama(diffusion), [-1.0], left, horizon=20 * rate, trajectories=64)

    traces = 0

    def counting(x):
        nonlocal traces
        traces += 1
        return double_well(x)

    landscape = ss.landscapes.Landscape(counting, 1)
    run(0.05, 4)
    first = traces
    assert first > 0
    for rate, batch in ((0.02, 8), (0.1, 3), (0.03, 2)):
        run(rate, batch)
    assert traces == first


def test_divergence_is_an_outcome():
    chain = chain_on(lambda x: -(x[0] ** 4), 1, temperature=0.1, dt=0.1)
    region = ss.regions.HalfSpace([1.0], 1e30)
    passage = ss.escape(chain, [1.0], region & ~ss.regions.HalfSpace([1.0], -1e30), horizon=20.0, trajectories=128)
    assert passage.diverged + passage.count("target") == 128
    assert passage.diverged > 0
    assert passage.probability.high == 1.0
    final = ss.simulate(chain, [1.0], steps=200, trajectories=64)
    assert not np.any(np.isfinite(final))


@pytest.mark.long
def test_compaction_changes_nothing():
    """Stopped trajectories are dropped between blocks; with and without it the result is the same, bit for bit."""
    chain = chain_on(double_well, 1, temperature=0.8)
    left = ss.regions.HalfSpace([1.0], 0.0)
    one = ss.escape(chain, [-1.0], left, horizon=60.0, trajectories=2048, seed=1)
    many = ss.escape(chain, [-1.0], left, horizon=60.0, trajectories=2048, seed=1, chunk=64)
    assert np.array_equal(one.steps, many.steps) and np.array_equal(one.outcome, many.outcome)
    path = ss.simulate(chain, [-1.0], steps=6000, trajectory_ids=np.arange(8), seed=1, save_every=1)[:, :, 0]
    reached = np.where((path >= 0).any(0), (path >= 0).argmax(0), -1)
    assert np.array_equal(one.steps[:8], reached)
    # many left early: the cost is far below trajectories × steps
    assert one.path_steps < 0.5 * 2048 * 6000


def test_schedules_follow_the_iteration():
    """A schedule in the diffusion equals the hand-written iteration with γ_k and Gaussian noise."""
    schedule = optax.exponential_decay(0.1, 10, 0.5)
    landscape = ss.landscapes.Landscape(double_well, 1)
    diffusion = ss.LangevinSGD(landscape, ss.noise.Isotropic(2.0), schedule, optax.linear_schedule(4.0, 8.0, 30))
    chain = ss.EulerMaruyama(diffusion)
    x, k, xi = jnp.array([0.7]), 7, jnp.array([0.3])
    rate, batch = schedule(k), 4 + 4 * k / 30
    by_hand = x - rate * landscape.gradient(x) + rate * jnp.sqrt(2.0 / batch) * xi
    np.testing.assert_allclose(chain.step(x, xi, jnp.uint32(k)), by_hand, rtol=1e-6)
    with pytest.raises(ValueError, match="schedule"):
        _ = diffusion.temperature


def test_order_two_drift_is_the_modified_gradient():
    landscape = ss.landscapes.Landscape(coupled, 3)
    theta = jnp.array([0.3, -0.8, 1.1])

    def modified(x):
        return landscape.loss(x) + 0.2 / 4 * jnp.sum(landscape.gradient(x) ** 2)

    diffusion = ss.LangevinSGD(landscape, ss.noise.Isotropic(1.0), 0.2, 5, order=2)

    @jax.jit
    def all_of_them(theta):
        still = diffusion.increment(theta, 0.0, 0.1, jnp.zeros(3))
        return diffusion.drift(theta, 0.0), -jax.grad(modified)(theta), still

    drift, exact, still = all_of_them(theta)
    np.testing.assert_allclose(drift, exact, rtol=2e-5)
    np.testing.assert_allclose(still, 0.1 * drift, rtol=2e-5)


@pytest.mark.parametrize("tuning", [CPU, ACCELERATOR], ids=["cpu", "accelerator"])
def test_block_lengths_cover_any_horizon(tuning):
    for steps in (1, 64, 65, 1000, 5000):
        first = 0
        while first < steps:
            length = _stopping.block_length(first, steps, 1024, tuning)
            unit = tuning.static_block if tuning.static_trips else 64
            assert length % unit == 0 and length - (steps - first) < unit
            first += length


def test_final_classes_are_modules():
    assert all(isinstance(case, eqx.Module) for case in CASES.values())


def test_progress_counts_path_steps(monkeypatch):
    """What the line is told between blocks adds up to what was simulated."""
    told = []

    class Line:
        def advance(self, path_steps):
            told.append(path_steps)

    monkeypatch.setattr(_progress, "_current", Line())
    chain = CASES["gaussian-1"]
    ss.simulate(chain, [-1.0], steps=9_000, trajectories=100, chunk=64)
    # 4,096 steps a block, twice, and what is left
    assert sum(told) == 9_000 * 100 and len(told) >= 3
    told.clear()
    left = ss.regions.HalfSpace([1.0], 0.0)
    passage = ss.escape(chain, [-1.0], left, horizon=5.0, trajectories=100, method="direct")
    assert sum(told) == passage.path_steps
