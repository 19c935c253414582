"""Splitting on its devices from first to last, as on an accelerator: the numbers are those that the host finds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parameters import quick
from splitting_cases import CHAIN, DT, below, exact, outlier
from statistical import agrees

import sde_sgd as ss
from sde_sgd.passage import Splitting
from sde_sgd.passage.splitting import _levels_at_once, _stages_at_once

ONE = jax.devices()[:1]
PROGRAMS = {"levels": _levels_at_once._PILOT, "stages": _stages_at_once._ALL}


def on_devices(**changes):
    """Runs as those of a device with memory of its own."""
    return ss.engine.tuned(has_own_memory=True, queued_trajectories=2**16, **changes)


@pytest.fixture(autouse=True)
def no_programs():
    for each in PROGRAMS.values():
        each.forget()


def made():
    return {name for name, program in PROGRAMS.items() if len(program)}


# signs, which compile in a part of the time
SIGNS = ss.EulerMaruyama(CHAIN.diffusion, DT, increments="rademacher")


def escape(level, steps=None, chain=CHAIN, **options):
    asked = {"trajectories": 4_096, "method": Splitting(repetitions=8), "seed": 5, "devices": ONE, "chunk": 4_096}
    return ss.escape(chain, np.zeros(1), below(level), steps and steps * DT, **asked | options)


def assert_same(one, other):
    """All numbers, and what is said of them."""
    assert one.verdict == other.verdict and one.method == other.method == "splitting"
    here, there = (each.to_dataset() for each in (one, other))
    assert set(here) == set(there)
    for name in here:
        np.testing.assert_allclose(here[name].values, there[name].values, rtol=1e-12, err_msg=str(name))


def far_from_the_start():
    """To the right, before the left: the score of those who end on the left is highest there."""
    return ss.first_passage(
        SIGNS, np.zeros(1), ~below(3.0), ss.regions.HalfSpace(np.array([1.0]), -1.5), 120 * DT, trajectories=4_096,
        method=Splitting(repetitions=8), seed=5, score=lambda x: x[0] ** 2, devices=ONE, chunk=4_096,
    )  # fmt: skip


def rare_jumps(**options):
    """Most trajectories stay where they are."""
    return ss.first_passage(
        outlier(100), np.zeros(1), ss.regions.HalfSpace([-1.0], -5.0), None, 8.0, trajectories=4_096,
        method=Splitting(repetitions=8), seed=5, devices=ONE, chunk=4_096, **options,
    )  # fmt: skip


CASES = {
    "rare jumps": (rare_jumps, {"levels", "stages"}),
    "by a horizon": (lambda **options: escape(4.2, 120, **options), {"levels", "stages"}),
    "signs by a horizon": (lambda **options: escape(3.5, 120, SIGNS, **options), {"levels", "stages"}),
    "a set to avoid": (far_from_the_start, {"levels", "stages"}),
    "a mean time": (lambda **options: escape(3.5, **options), {"levels", "stages"}),
}


@pytest.mark.parametrize("name", quick(CASES, "signs by a horizon"))
def test_a_device_finds_what_the_host_finds(name, double_precision):
    """In float64, to the last digits: levels, those who fall back, copies and what each stands for."""
    run, programs = CASES[name]
    host = run()
    assert not made()
    with on_devices():
        device = run()
    assert made() == programs
    assert_same(host, device)
    # of a trajectory that falls back and goes on, the block in which it did is counted once
    assert 0.98 * host.path_steps <= device.path_steps <= host.path_steps


@pytest.mark.long
def test_single_precision_is_as_right():
    """P ≈ 1e-8 in float32, where rounding gives some copies to a neighbour: the kernel's value (4 standard errors)."""
    with on_devices():
        found = escape(4.2, 120, trajectories=65_536, method=Splitting(repetitions=64), chunk=65_536).probability
    assert made() == {"levels", "stages"}
    truth, error = exact(4.2, 120)[-1], (found.high - found.low) / 4
    assert agrees(found.value, truth, error) and error < 0.1 * truth, (found.value / truth, error / truth)


@pytest.mark.long
def test_devices_and_kernels_change_nothing(double_precision):
    """Two devices with half of the repetitions each (their pilot asks the host), and blocks that are kernels."""
    with on_devices():
        one, two = (escape(3.5, 120, SIGNS, devices=devices) for devices in (ONE, jax.devices()))
    with on_devices(kernel=True, kernel_lanes=128):
        kernel = escape(3.5, 120, SIGNS)
    assert_same(one, two)
    assert_same(one, kernel)


@pytest.mark.long
def test_what_goes_wrong_is_said_as_ever():
    """A score that is none, sets that overlap, a budget: each with the host's own words."""

    def bad(x):
        return jnp.where(x[0] > 1.5, jnp.nan, x[0])

    both = {"avoid": ss.regions.HalfSpace(np.array([-1.0]), -2.5), "horizon": 6.0}
    with on_devices():
        with pytest.raises(ValueError, match="score must be finite wherever"):
            escape(3.5, 120, SIGNS, score=bad)
        with pytest.raises(ValueError, match="must not overlap"):
            ss.first_passage(
                SIGNS, np.zeros(1), ~below(2.5), **both, trajectories=4_096, method=Splitting(repetitions=8),
                devices=ONE, chunk=4_096,
            )  # fmt: skip
        spent = escape(4.2, 120, SIGNS, trajectories=None, rtol=0.05, max_trajectories=60_000, method="splitting")
    assert str(spent.status) == "budget spent"


def test_parents_are_in_proportion_to_their_mass():
    """Each repetition has as many copies, in proportion to within one; a dead one keeps its own.

    Twin: places that are not drawn, which give a half too often to the larger.
    """
    mass = np.array([[0.0, 1.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.5]])
    places = np.random.default_rng(0).random((400, 3))
    parents = np.array([_stages_at_once._parents(jnp.asarray(mass), jnp.asarray(each)) for each in places])
    assert np.all(parents[:, 4:8] == [4, 5, 6, 7])
    for repetition in (0, 2):
        own = parents[:, 4 * repetition : 4 * repetition + 4] - 4 * repetition
        copies = np.array([np.bincount(row, minlength=4) for row in own])
        wanted = 4 * mass[repetition] / mass[repetition].sum()
        assert np.all(np.abs(copies - wanted) < 1)
        # of a mean of 400 draws with a spread of at most 1/2, 4 standard errors
        assert np.all(np.abs(copies.mean(0) - wanted) < 0.1)
    middle = np.bincount(np.asarray(_stages_at_once._parents(jnp.asarray(mass), jnp.full(3, 0.5)))[8:] - 8, minlength=4)
    assert np.any(np.abs(middle - 4 * mass[2] / mass[2].sum()) > 0.1)
