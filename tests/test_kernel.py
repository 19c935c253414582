"""A block of steps as one kernel: interpreted on a CPU it gives the bits of the loop, with monitors and without."""

import contextlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernel_cases import LOSSES, chain_of, start_of
from parameters import quick

import sde_sgd as ss
from sde_sgd.engine import (
    ACCELERATOR,
    CPU,
    AbstractMonitor,
    StopCode,
    run_population,
    run_until_stopped,
    seed_key,
    tuned,
    tuning_of,
)
from sde_sgd.engine._devices import mesh_of
from sde_sgd.engine.kernel import choose
from sde_sgd.engine.kernel._hoisting import _integer_pow, _is_finite
from sde_sgd.passage._monitor import BrownianBridge, Discrete

ONE = jax.devices()[:1]


def kernels(lanes=128, **changes):
    return tuned(kernel=True, kernel_lanes=lanes, **changes)


def assert_it_is_one(chain, dtype, monitor=None):
    """That a kernel is really made, and the loop not taken in its place."""
    choice = choose(*ss.engine.as_leaves((chain, monitor)), dtype, mesh_of(None), tuning_of())
    assert choice.reason is None and choice.route.name == "Pallas, interpreted"


def precision(dtype):
    return jax.enable_x64(True) if dtype == np.float64 else contextlib.nullcontext()


def both(run, **changes):
    """What the loop gives and what the kernel gives."""
    loop = run()
    with kernels(**changes):
        return loop, run()


def assert_same_path(name, dtype, steps, every, increments="gaussian"):
    with precision(dtype):
        chain, start = chain_of(name, increments), start_of(name, dtype)
        # chunks of 192, which programs of 128 do not divide
        asked = {"trajectories": 200, "seed": 2**40 + 3, "save_every": every, "chunk": 192, "devices": ONE}
        loop, kernel = both(lambda: ss.simulate(chain, start, steps, **asked))
        with kernels():
            assert_it_is_one(chain, dtype)
    assert loop.dtype == kernel.dtype == dtype and np.ptp(loop[-1]) > 0
    np.testing.assert_array_equal(kernel, loop)


@pytest.mark.parametrize("name", quick(LOSSES, "double well"))
def test_a_kernel_has_the_bits_of_the_loop(name):
    assert_same_path(name, np.float32, 32, 32)


@pytest.mark.parametrize("name", quick(["double well", "quadratic"], "double well"))
def test_blocks_may_begin_and_end_anywhere(name):
    """At steps 0, 15 and 30, within hash groups and within iterations."""
    assert_same_path(name, np.float32, 45, 15)


@pytest.mark.long
def test_blocks_may_begin_and_end_anywhere_in_long_groups():
    """At step 150: 42 steps to the end of its group of 64, one whole group, 44 steps of the next."""
    assert_same_path("double well", np.float32, 300, 150, "rademacher")


@pytest.mark.long
@pytest.mark.parametrize("name", LOSSES)
def test_a_kernel_has_the_bits_of_the_loop_in_float64(name):
    """Also where a block begins within a hash group, and chooses between a sine and a cosine."""
    assert_same_path(name, np.float64, 30, 15)


@pytest.mark.long
def test_squares_that_two_sums_use_may_round_otherwise():
    """The known exception, of kernel and loop alike: some are contracted, some not. With squares of their own, none."""

    def path(square):
        both_sums = ss.landscapes.Landscape(lambda x: jnp.sum(jnp.log(1 + x**2)) + jnp.sqrt(1 + square(x)), 2)
        chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(both_sums, 0.3), 0.02)
        return lambda **asked: ss.simulate(chain, -np.ones(2, np.float32), 32, 200, seed=2**40 + 3, **asked)

    shared, apart = path(lambda x: jnp.sum(x**2)), path(lambda x: jnp.sum((1.5 * x) ** 2))
    for other in (*both(shared), shared(save_every=1)[-1]):
        np.testing.assert_allclose(other, shared(), rtol=0, atol=1e-6)
    assert all(np.array_equal(other, apart()) for other in (*both(apart), apart(save_every=1)[-1]))


@pytest.mark.long
@pytest.mark.parametrize("unrolled", [2, 8])
@pytest.mark.parametrize(("increments", "lanes"), [("rademacher", 256), ("gaussian", 64), ("gaussian", 512)])
def test_bits_depend_neither_on_programs_nor_on_devices(increments, lanes, unrolled):
    """Of whole hash groups, on all local devices."""
    chain, start = chain_of("quadratic", increments), start_of("quadratic")
    loop, kernel = both(lambda: ss.simulate(chain, start, 128, 200, seed=1), lanes=lanes, kernel_steps=unrolled)
    assert np.array_equal(loop, kernel)


def test_a_broken_kernel_would_be_seen(monkeypatch):
    """The noise of the next step, or one step too few: neither leaves the bits alone."""
    from sde_sgd.engine.kernel import _body

    # a function of its own: its programs serve no other test
    well = ss.landscapes.Landscape(lambda x: jnp.sum(x**2), 1)
    chain, start = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(well, 0.3), 0.02), start_of("double well")
    right = _body.Body._step

    def late(self, lanes, own, pairs, at):
        return right(self, lanes, own, pairs[::-1], at._replace(offset=1 - at.offset))

    monkeypatch.setattr(_body.Body, "_step", late)
    loop, kernel = both(lambda: ss.simulate(chain, start, 16, 64, seed=1))
    assert not np.any(loop == kernel)


class Both(AbstractMonitor):
    """Stops where the first component has grown by much in one step of odd number, or a uniform number is small."""

    most: float
    uniforms: int = eqx.field(static=True, default=1)
    looks_back: bool = eqx.field(static=True, default=True)

    def code(self, before, after, step_index, uniform):
        leaps = (after[0] - before[0] > self.most) & (step_index % 2 == 1)
        return jnp.where(leaps, StopCode.TARGET, jnp.where(uniform[0] < 0.01, StopCode.AVOID, 0))


def monitors(chain, name):
    landscape, start = chain.landscape, start_of(name)
    noise = float(np.sqrt(2 * LOSSES[name][2] * LOSSES[name][3]))
    away = ss.regions.Ball(start, 3 * noise * np.sqrt(chain.dim))
    yield "discrete", Discrete(landscape.dim, ~away, None)
    yield "bridge", BrownianBridge(chain, ~away, ss.regions.HalfSpace(np.eye(landscape.dim)[0], float(start[0]) - 0.2))
    yield "own", Both(2 * noise)


def assert_same_stops(name, which, dtype=np.float32, steps=100):
    with precision(dtype):
        chain = chain_of(name)
        monitor = dict(monitors(chain, name))[which]
        starts = np.broadcast_to(start_of(name, dtype), (200, chain.dim))

        def run():
            return run_until_stopped(chain, monitor, starts, range(200), steps, seed_key(5), chunk=192, devices=ONE)

        loop, kernel = both(run)
        with kernels():
            assert_it_is_one(chain, dtype, monitor)
    assert len(np.unique(loop.step)) > 2
    for one, other in zip(loop, kernel, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("double well", "own"),
        pytest.param("double well", "discrete", marks=pytest.mark.long),
        pytest.param("double well", "bridge", marks=pytest.mark.long),
        pytest.param("coupled 4", "bridge", marks=pytest.mark.long),
    ],
)
def test_exits_are_those_of_the_loop(name, which):
    assert_same_stops(name, which)


@pytest.mark.long
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("which", ["discrete", "own"])
def test_exits_of_every_loss_are_those_of_the_loop(name, which):
    assert_same_stops(name, which)


@pytest.mark.long
@pytest.mark.parametrize("name", ["double well", "quadratic", "sine"])
def test_exits_are_those_of_the_loop_in_float64(name):
    assert_same_stops(name, "bridge", np.float64)


@pytest.mark.long
@pytest.mark.parametrize("name", ["double well", "quadratic"])
def test_a_queue_has_the_ends_of_the_loop(name):
    """Clocks and budgets of their own, states that stay after a stop."""
    chain = chain_of(name)
    monitor = dict(monitors(chain, name))["own"]
    starts = np.broadcast_to(start_of(name), (300, chain.dim))
    # some longer than a kernel's stretch of 64 steps, which no block is
    clocks, budgets = np.arange(300) % 7, 10 + np.arange(300) % 90

    def run():
        return run_population(chain, monitor, starts, np.arange(300), clocks, budgets, seed_key(5))

    loop, kernel = both(run)
    assert {0, StopCode.TARGET, StopCode.AVOID} <= set(loop.code.tolist())
    for one, other in zip(loop, kernel, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_a_trajectory_that_diverges_stops_alone():
    steep = ss.landscapes.Landscape(lambda x: -(x[0] ** 4), 1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(steep, 0.3), 0.02)
    starts = np.linspace(0, 6, 128, dtype=np.float32)[:, None]
    far = Discrete(1, ss.regions.HalfSpace([-1.0], -1e30), None)
    loop, kernel = both(lambda: run_until_stopped(chain, far, starts, range(128), 64, seed_key(5)))
    assert StopCode.DIVERGED in loop.code and len(np.unique(loop.code)) > 1
    assert np.array_equal(loop.step, kernel.step) and np.array_equal(loop.code, kernel.code)


@pytest.mark.long
def test_public_calls_give_the_same_answers():
    """First passages by every method, with running maxima in the state, and occupancies."""
    chain, start = chain_of("double well"), start_of("double well")
    region = ss.regions.HalfSpace([1.0], 0.2)

    def answers():
        direct = ss.escape(chain, start, region, 1.5, trajectories=300, seed=3, method="direct")
        rare = ss.escape(
            chain, start, region, 1.5, trajectories=512, seed=3, method=ss.passage.Splitting(repetitions=4)
        )
        stays = ss.occupancy(chain, start, regions={"left": region}, times=[0.5, 1.1], trajectories=300, seed=3)
        return direct.probability.value, direct.steps, rare.probability.value, rare.levels, stays.probability.value

    for one, other in zip(*both(answers), strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_is_off_until_it_has_been_measured():
    assert not CPU.kernel and not ACCELERATOR.kernel
    chain, start = chain_of("double well"), start_of("double well")
    plan = ss.plan(chain, start, 64, 64)
    assert plan.kernel.startswith("off; with Tuning(kernel=True): one kernel") and plan.kernel in str(plan)
    with kernels(256):
        assert ss.plan(chain, start, 64, 64).kernel == (
            "one kernel a block of steps (Pallas, interpreted), 256 trajectories in a program of it"
        )


SHARED = ss.diffusions.ItoDiffusion(lambda x, t: -x * jnp.sin(t * jnp.arange(3.0)), lambda x, t: jnp.ones(3), dim=3)
LOOP = ss.landscapes.Landscape(lambda x: jax.lax.fori_loop(0, 3, lambda _, y: y + jnp.sum(x**2), 0.0), 2)
NO_KERNEL = {
    "batched": (
        ss.EulerMaruyama(ss.LangevinSGD.at_temperature(LOOP, 0.1), 0.01),
        "a step is batched: 'scan' acts on whole vectors",
    ),
    "shared": (ss.EulerMaruyama(SHARED, 0.01), "a step needs an array of shape (3,) that all trajectories share"),
}


@pytest.mark.parametrize("name", quick(NO_KERNEL, "shared"))
def test_what_has_no_kernel_says_why_and_runs_all_the_same(name):
    chain, reason = NO_KERNEL[name]
    start = np.full(chain.dim, 0.3, np.float32)
    with kernels():
        assert ss.plan(chain, start, 64, 64).kernel == f"no kernel, because {reason}"
    assert np.array_equal(*both(lambda: ss.simulate(chain, start, 20, 64, seed=1)))


def test_plain_operations_are_those_that_they_replace():
    x = jnp.array([0.0, -0.0, 1.7, -2.3, 1e30, jnp.inf, -jnp.inf, jnp.nan], jnp.float32)
    assert np.array_equal(_is_finite(x), jnp.isfinite(x))
    for power in (-3, -1, 0, 1, 2, 3, 6, 7):
        ours = jax.jit(lambda x, power=power: _integer_pow(x, power))(x)
        np.testing.assert_array_equal(ours, jax.jit(lambda x, power=power: jax.lax.integer_pow(x, power))(x))


@pytest.mark.parametrize("save_every", [None, 16])
def test_results_may_stay_on_the_device(save_every):
    chain, start = chain_of("quadratic"), start_of("quadratic")
    asked = {"steps": 32, "trajectories": 300, "seed": 1, "save_every": save_every, "chunk": 128}
    there = ss.simulate(chain, start, to="device", **asked)
    assert isinstance(there, jax.Array)
    assert np.array_equal(there, ss.simulate(chain, start, **asked))
    with pytest.raises(ValueError, match="to must be 'host' or 'device', got 'gpu'"):
        ss.simulate(chain, start, to="gpu", **asked)


def test_what_stays_on_the_device_lies_on_that_of_the_run():
    chain, start = chain_of("double well"), start_of("double well")
    kept = ss.simulate(chain, start, 32, 300, to="device", devices=ONE)
    assert kept.devices() == set(ONE) and kept.shape == (300, 1)
