"""Rivals of the benchmarks: each follows the law of what it is compared with, or is named as missing."""

import sys

import jax
import numpy as np
import pytest
from parameters import quick
from scipy.stats import binom

import sde_sgd as ss
from benchmarks.speed import _ours, _precision, rivals
from benchmarks.speed._measure import Contender, Missing, disagreement
from benchmarks.speed._problems import COUPLED_4, DOUBLE_WELL
from benchmarks.speed.rivals import _compiled, _splitting
from benchmarks.training import _problems, _rivals
from benchmarks.validation import splitting

TRAJECTORIES, STEPS = 1_000, 16


def present(entries):
    """The contenders, or a skip that names the reason where none could take part."""
    contenders = [entry for entry in entries if isinstance(entry, Contender)]
    if not contenders:
        pytest.skip("; ".join(f"{entry.family}: {entry.reason}" for entry in entries))
    return contenders


@pytest.mark.parametrize("seed", [0, 2**40 + 3])
def test_yardstick_in_c_is_the_same_chain(seed):
    steps = 512
    ours = ss.simulate(DOUBLE_WELL.chain(), DOUBLE_WELL.point(), steps=steps, trajectories=TRAJECTORIES, seed=seed)
    for contender in present(rivals.yardstick(TRAJECTORIES, steps, seed)):
        theirs = contender.run()
        assert theirs.shape == (TRAJECTORIES,)
        # the same draws: only rounding differs, three orders below one step's noise of 0.014
        np.testing.assert_allclose(theirs, ours[:, 0], rtol=0, atol=2e-5)


DOUBLE_WELL_RIVALS = {
    "batched": rivals.batched_scan,
    "philox": rivals.batched_philox,
    "per trajectory": rivals.trajectory_scan,
    "numpy": rivals.numpy_vectorised,
    "numba": rivals.numba_loops,
    "diffrax": rivals.diffrax_solves,
    "diffrax tree": rivals.diffrax_tree,
    "cupy": rivals.cupy_kernel,
}


# what a rival's library warns of is not ours
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", quick(DOUBLE_WELL_RIVALS, *DOUBLE_WELL_RIVALS.keys() - {"diffrax tree"}))
def test_rival_follows_the_same_law(name):
    ours = _ours.simulate(DOUBLE_WELL, TRAJECTORIES, STEPS).run()
    contenders = present(DOUBLE_WELL_RIVALS[name](TRAJECTORIES, STEPS))
    # one variant of each family, for time; a measured run checks every one
    for contender in {contender.family: contender for contender in contenders}.values():
        theirs = contender.run()
        assert type(theirs) is np.ndarray and theirs.dtype == np.float32 and theirs.shape == (TRAJECTORIES,)
        assert disagreement(ours, theirs) < 4.5, contender


def test_gradient_rivals_follow_the_same_law():
    ours = _ours.simulate(COUPLED_4, TRAJECTORIES, STEPS).run()
    for contender in rivals.gradient_scans(COUPLED_4, TRAJECTORIES, STEPS):
        theirs = contender.run()
        assert type(theirs) is np.ndarray and theirs.dtype == np.float32 and theirs.shape == (TRAJECTORIES, 4)
        assert disagreement(ours, theirs) < 4.5, contender


@pytest.mark.parametrize(
    ("library", "make"),
    [
        ("numba", rivals.numba_loops),
        ("diffrax", rivals.diffrax_solves),
        ("cupy", rivals.cupy_kernel),
        ("pytams", lambda trajectories, steps: rivals.pytams_rounds(3.0, 0.02, steps, trajectories, 1)),
    ],
)
def test_rival_that_is_not_installed_is_named(library, make, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"benchmarks.speed.rivals._{library}", raising=False)
    (entry,) = make(64, 16)
    assert isinstance(entry, Missing) and library in entry.reason


def test_no_compiler_is_named(monkeypatch):
    monkeypatch.setattr(_compiled.shutil, "which", lambda name: None)
    assert rivals.yardstick(64, 16) == [Missing("hand-written C, OpenMP", "gcc is not installed")]


def lattice_walk(level, steps):
    """±1 steps from 0, on whose lattice scores tie; and the exact probability of its event, to be above `level`."""

    def draw(generator, out):
        out[:] = 2 * generator.integers(0, 2, len(out)) - 1

    there = np.zeros(2 * steps + 1)
    there[steps] = 1.0
    above = 0.0
    for _ in range(steps):
        there = (np.roll(there, 1) + np.roll(there, -1)) / 2
        above += there[steps + level + 1 :].sum()
        there[steps + level + 1 :] = 0
    return rivals.Event(lambda x, out: np.copyto(out, x), 1.0, 0.0, level, steps, draw), above


def distance_of_means(event, exact, runs=400):
    """From the exact value, in standard errors."""
    found = np.array([rivals.adaptive_splitting(event, 64, 16, np.random.default_rng(seed)) for seed in range(runs)])
    return abs(found.mean() - exact) / (found.std(ddof=1) / np.sqrt(runs))


def test_splitting_rival_is_right_on_a_lattice():
    event, exact = lattice_walk(level=9, steps=32)
    # by reflection
    np.testing.assert_allclose(exact, binom.sf(20, 32, 0.5) + binom.sf(21, 32, 0.5), rtol=1e-12)
    assert distance_of_means(event, exact) < 4


def test_splitting_rival_is_right_on_the_chain_of_the_benchmark():
    event = _precision.event(3.0)
    found = np.array([rivals.adaptive_splitting(event, 256, 64, np.random.default_rng(seed)) for seed in range(40)])
    exact = splitting.exact(3.0)
    error = found.std(ddof=1) / np.sqrt(len(found))
    assert abs(found.mean() - exact) < 4 * error and error < 0.1 * exact


def test_broken_splitting_is_seen(monkeypatch):
    event, exact = lattice_walk(level=9, steps=32)
    right = _splitting._branches

    def at_the_level(paths, parents, height):
        return right(paths, parents, height - 1)

    def exactly_so_many(best, height, kill):
        return np.isin(np.arange(len(best)), np.argsort(best, kind="stable")[:kill])

    for name, broken in {"_branches": at_the_level, "_dies": exactly_so_many}.items():
        with monkeypatch.context() as patch:
            patch.setattr(_splitting, name, broken)
            assert distance_of_means(event, exact) > 5, name


@pytest.mark.long
def test_hand_written_training_is_the_same_law():
    problem = next(each for each in _problems.PROBLEMS if each.name == "digits_batched")
    networks, steps = 16, 40
    risk = problem.risk()
    loss = jax.jit(jax.vmap(risk.loss))

    def losses(contender):
        found = contender.run()
        assert found.shape == (contender.trajectories, risk.dim)
        return np.asarray(loss(found))

    ours = losses(_rivals.ours(problem, networks, steps))
    # a twin: a tenth fewer steps
    fewer = losses(_rivals.ours(problem, networks, steps - 4))
    assert disagreement(ours, fewer) > 6
    for contender in present(_rivals.vmapped_scan(problem, networks, steps)):
        assert disagreement(ours, losses(contender)) < 4.5
    for contender in present([*_rivals.scanned(problem, steps), *_rivals.python_loop(problem, steps)]):
        single = losses(contender)
        assert abs(single[0] - ours.mean()) < 4.5 * ours.std(ddof=1)
