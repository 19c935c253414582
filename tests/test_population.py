"""Trajectories with a past: clocks, budgets and the states where they stop."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from legs import leg_by_leg

import sde_sgd as ss
from sde_sgd.engine import (
    AbstractMonitor,
    Ends,
    StopCode,
    _population,
    run_population,
    run_renewing,
    run_until_stopped,
    seed_key,
    tuned,
)

LANDSCAPE = ss.landscapes.Landscape(lambda x: 0.5 * jnp.sum(x**2), dim=1)
CHAIN = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(LANDSCAPE, 0.5), 0.1)


class Above(AbstractMonitor):
    """Stops where the first component passes a level."""

    level: float
    uniforms: int = eqx.field(static=True, default=0)
    looks_back: bool = eqx.field(static=True, default=False)

    def code(self, before, after, step_index, uniform):
        return jnp.where(after[0] > self.level, 2, 0)


class Late(Above):
    """Stops once the step's number is a given one."""

    def code(self, before, after, step_index, uniform):
        return jnp.where(step_index >= jnp.uint32(self.level), 3, 0)


def population(chain, monitor, starts, budgets, clocks=None, **options):
    n = len(starts)
    clocks = np.zeros(n, np.int64) if clocks is None else clocks
    return run_population(chain, monitor, starts, np.arange(n), clocks, budgets, seed_key(3), **options)


@functools.cache
def two_wells(dim):
    landscape = ss.landscapes.Landscape(lambda x: jnp.sum((x**2 - 1) ** 2), dim=dim)
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.5), 0.02)


@pytest.mark.long
@pytest.mark.parametrize(
    ("dim", "kind"),
    [(1, "gaussian"), (2, "rademacher"), (40, "gaussian")],
    ids=["packed", "components", "batched"],
)
def test_it_stops_where_a_plain_run_stops(dim, kind):
    """The same steps and codes, bit for bit, and the states that `simulate` has there."""
    chain = ss.EulerMaruyama(two_wells(dim).diffusion, 0.02, increments=kind)
    n, steps, monitor = 700, 150, Above(0.3)
    starts = np.full((n, dim), -1.0, np.float32)
    plain = run_until_stopped(chain, monitor, starts, np.arange(n), steps, seed_key(3))
    ends = population(chain, monitor, starts, np.full(n, steps))
    running = plain.code == 0
    assert 0 < running.sum() < n
    assert np.array_equal(ends.code, plain.code)
    assert np.array_equal(ends.step, np.where(running, steps, plain.step))
    path = ss.simulate(chain, starts[0], steps, n, seed=3, save_every=1)
    assert np.array_equal(ends.state, path[ends.step, np.arange(n)])


@pytest.mark.long
@pytest.mark.parametrize("options", [{"chunk": 128}, {"devices": jax.devices()[:1]}], ids=["chunk", "device"])
def test_the_bits_do_not_depend_on_chunks_and_devices(options):
    n = 700
    starts, budgets = np.full((n, 2), -1.0, np.float32), np.random.default_rng(0).integers(0, 400, n)
    whole, other = (population(two_wells(2), Above(0.3), starts, budgets, **each) for each in ({}, options))
    for name in ("step", "code", "state"):
        assert np.array_equal(getattr(whole, name), getattr(other, name))


@pytest.mark.long
def test_a_call_that_ends_early_is_gone_on_with():
    """Calls are kept short so that a person can interrupt them; what they leave unfinished takes the same steps."""
    starts, budgets = np.full((700, 1), -1.0, np.float32), np.random.default_rng(0).integers(0, 400, 700)
    whole = population(two_wells(1), Above(0.3), starts, budgets)
    with tuned(queue_work=1):
        parts = population(two_wells(1), Above(0.3), starts, budgets)
    for name in Ends._fields:
        assert np.array_equal(getattr(parts, name), getattr(whole, name))


@pytest.mark.long
def test_budgets_end_each_trajectory_alone():
    """No step more than its budget, none with budget 0, and a stop in the last step allowed still counts."""
    n = 640
    starts, budgets = np.full((n, 1), -1.0, np.float32), np.arange(n)
    ends = population(two_wells(1), Above(0.3), starts, budgets)
    free = population(two_wells(1), Above(0.3), starts, np.full(n, 5_000))
    assert np.array_equal(ends.code == 2, free.step <= budgets)
    assert np.array_equal(ends.step, np.minimum(free.step, budgets))
    assert np.array_equal(ends.state[0], starts[0])
    exact = population(two_wells(1), Above(0.3), starts, free.step)
    assert np.all(exact.code == 2) and np.array_equal(exact.state, free.state)


@pytest.mark.long
@pytest.mark.parametrize("dim", [1, 40])
def test_clocks_are_what_chain_and_monitor_see(dim):
    """A drift that changes with time: two runs, the second with the clocks of the first, are one."""
    noiseless = ss.diffusions.ItoDiffusion(lambda x, t: x * jnp.cos(t), lambda x, t: 0 * x, dim)
    chain = ss.EulerMaruyama(noiseless, 0.1)
    n = 96
    starts, parts = np.full((n, dim), 1.0, np.float32), np.arange(n) % 31
    whole = population(chain, Above(1e9), starts, np.full(n, 40))
    first = population(chain, Above(1e9), starts, parts)
    second = population(chain, Above(1e9), first.state, 40 - parts, parts)
    assert np.array_equal(second.state, whole.state)
    stopped = population(chain, Late(25), starts, np.full(n, 40), parts)
    # the step of number 25 is the (26 − clock)-th
    assert np.array_equal(stopped.step, np.where(parts <= 25, 26 - parts, 1)) and np.all(stopped.code == 3)


def test_a_state_that_is_not_finite_is_found():
    blows_up = ss.diffusions.ItoDiffusion(lambda x, t: x**3 * 100, lambda x, t: 0 * x, 1)
    starts = np.array([[0.0], [3.0]], np.float32)
    ends = population(ss.EulerMaruyama(blows_up, 0.1), Above(np.inf), starts, np.full(2, 50))
    assert ends.code.tolist() == [0, 1] and ends.step[0] == 50 and not np.isfinite(ends.state[1, 0])


@pytest.mark.parametrize("dim", [3, 40], ids=["components, 3", "batched, 40"])
def test_one_component_that_is_not_finite_is_enough(dim):
    """Only the first grows without end, and only from one of the starts."""
    growing = ss.diffusions.ItoDiffusion(lambda x, t: 100 * x**3 * (jnp.arange(dim) == 0), lambda x, t: 0 * x, dim)
    starts = np.full((2, dim), 0.01, np.float32)
    starts[1, 0] = 3.0
    ends = population(ss.EulerMaruyama(growing, 0.1), Above(np.inf), starts, np.full(2, 50))
    assert ends.code.tolist() == [0, 1] and ends.step[0] == 50 and 1 < ends.step[1] < 20
    assert np.isfinite(ends.state[1]).tolist() == [False] + [True] * (dim - 1)


def test_numbers_that_do_not_fit_are_refused():
    starts = np.zeros((1, 1), np.float32)
    with pytest.raises(ValueError, match=r"below 2\*\*32"):
        population(CHAIN, Above(1.0), starts, np.array([2**32 - 1]), np.array([1]))


class Comes(Above):
    """Tells each time that the first component comes beyond a level, and stops far beyond it, or late."""

    looks_back: bool = eqx.field(static=True, default=True)

    def code(self, before, after, step_index, uniform):
        beyond = (after[0] > self.level) & (before[0] <= self.level)
        over = (after[0] > self.level + 1) | (step_index >= 900)
        return jnp.where(over, 2, jnp.where(beyond, StopCode.LEVEL_CROSSED, 0))


def renewing(run, dim, kind="gaussian", **options):
    chain = ss.EulerMaruyama(two_wells(dim).diffusion, 0.02, increments=kind)
    n = 700
    starts = np.full((n, dim), -1.0, np.float32)
    budgets, clocks = np.random.default_rng(0).integers(0, 600, n), np.arange(n)
    return run(chain, Comes(-0.9), starts, 50 + np.arange(n), clocks, budgets, seed_key(3), **options)


@pytest.mark.parametrize("dim", [pytest.param(1, marks=pytest.mark.long), 2])
def test_trajectories_go_on_where_they_cross_a_level(dim):
    """Bit for bit what runs from each crossing on find, with the next ids: states there, steps, ends.

    Also where calls are short, and where there is room for one column's crossings a call.
    """
    ends, kept = renewing(leg_by_leg, dim)
    often = np.bincount((kept[0] - 50) % 700)
    assert often.max() > 12 and np.any(ends.step == 0) and {0, 2} == set(ends.code)
    alone = {"chunk": 128, "devices": jax.devices()[:1]}
    for options, changes in [({}, {}), (alone, {}), (alone, {"queue_work": 1})]:
        with tuned(**changes):
            found, renewals = renewing(run_renewing, dim, **options)
        assert found.path_steps == ends.path_steps
        for name in ("step", "code", "state"):
            assert np.array_equal(getattr(found, name), getattr(ends, name)), name
        order = np.argsort(kept[0])
        for one, other in zip(renewals, kept, strict=True):
            assert np.array_equal(one, other[order])


def test_ids_of_trajectories_that_go_on_are_bounded():
    starts, zeros = np.full((64, 1), -1.0, np.float32), np.zeros(64, np.int64)
    with pytest.raises(ValueError, match=r"the ids must stay below 2\*\*32"):
        run_renewing(two_wells(1), Comes(-0.9), starts, 2**32 - 64 + np.arange(64), zeros, zeros + 400, seed_key(3))


def test_the_program_of_those_that_go_on_serves_those_that_stop():
    """Bit for bit, where trajectories stop at the level; and nothing further is compiled."""
    stop, also = (renewing(run_population, 2, **options) for options in ({}, {"renewable": True}))
    assert {0, StopCode.LEVEL_CROSSED} == set(stop.code)
    for name in Ends._fields:
        assert np.array_equal(getattr(stop, name), getattr(also, name)), name
    programs = len(_population._WORK_OFF)
    renewing(run_renewing, 2)
    assert len(_population._WORK_OFF) == programs
