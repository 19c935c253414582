"""Coverage: how often the 95 % intervals hold the truth, over disjoint groups of one large run.

The truth is that of the discrete chain, from its transition kernel; nothing is calibrated on the simulation. With
2000 groups a coverage of exactly 95 % lands outside 93 … 97 % with probability 4e-5 (400 groups would with
7 %), and one of 91.5 % or less passes with a probability below 1 %, of 91 % with 1e-3.
"""

import functools
import itertools

import equinox as eqx
import numpy as np
import pytest
from parameters import quick
from scipy import stats
from statistical import agrees, false_pass

import sde_sgd as ss
from sde_sgd.reference import ChainExit

DT, HORIZON, SIGMAS = 0.1, 12.0, 2.0
GROUPS, SIZE = 2000, 128
STEPS = round(HORIZON / DT)


@functools.cache
def whole_run():
    landscape = ss.landscapes.Landscape(lambda x: 0.5 * x[0] ** 2, dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.5), DT)
    return chain, ss.escape(chain, np.zeros(1, np.float32), REGION, HORIZON, trajectories=GROUPS * SIZE, seed=21)


REGION = ss.regions.HalfSpace(np.array([1.0]), SIGMAS / np.sqrt(2))


@functools.cache
def truth():
    """Exact survival at each step and mean exit time of the chain."""
    chain = ChainExit(lambda x: x * (1 - DT), np.sqrt(DT), 0.0, SIGMAS / np.sqrt(2), -6.0)
    return chain.survival(STEPS), DT * chain.mean_steps()


def groups(fp, edges):
    """The FirstPassage of each slice between neighbouring edges."""
    for low, high in itertools.pairwise(edges):
        yield eqx.tree_at(lambda f: (f.steps, f.outcome), fp.evidence, (fp.steps[low:high], fp.outcome[low:high]))


def coverage(estimates, exact):
    return np.mean([estimate.low <= exact <= estimate.high for estimate in estimates])


def assert_covers(estimates, exact, twin):
    """Between 93 and 97 %; the same intervals, moved or shrunk as `twin` says, are not."""
    estimates = list(estimates)
    share = coverage(estimates, exact)
    assert 0.93 <= share <= 0.97, share
    broken = np.mean([low <= exact <= high for low, high in (twin(estimate) for estimate in estimates)])
    assert not 0.93 <= broken <= 0.97, broken


def too_narrow(estimate):
    """The twin with intervals of the 87 % level's width; 2000 groups pass it with a probability below 1e-10."""
    return tuple(estimate.value + 0.77 * (end - estimate.value) for end in (estimate.low, estimate.high))


@pytest.mark.long
def test_the_groups_are_those_of_one_law():
    """The whole run agrees with the kernel: survival at half and all of the horizon. False-fail rate 1.3e-4."""
    _, fp = whole_run()
    survival, _ = truth()
    exact = survival[[STEPS // 2, STEPS]]
    error = np.sqrt(exact * (1 - exact) / fp.trajectories)
    assert agrees(fp.survival([HORIZON / 2, HORIZON]).value, exact, error)
    assert fp.diverged == 0 and 0 < fp.censored < fp.trajectories


@pytest.mark.parametrize("steps", quick([6, STEPS // 4, STEPS], STEPS), ids=["rare", "middle", "horizon"])
def test_coverage_of_the_probability(steps):
    """Clopper–Pearson is conservative: its exact coverage at this p and n is a sum over the binomial law.

    The share of groups agrees with that (false-fail rate 6.3e-5) and is never below 93 %.
    """
    _, fp = whole_run()
    survival, _ = truth()
    exact = 1 - survival[steps]
    counts = np.arange(SIZE + 1)
    interval = ss.statistics.clopper_pearson(counts, SIZE)
    holds = (interval.low <= exact) & (exact <= interval.high)
    expected = float(stats.binom.pmf(counts, SIZE, exact) @ holds)
    edges = np.arange(GROUPS + 1) * SIZE
    if steps == STEPS:
        estimates = [group.probability for group in groups(fp, edges)]
        share = coverage(estimates, exact)
    else:
        estimates = [group.survival(steps * DT) for group in groups(fp, edges)]
        share = coverage(estimates, 1 - exact)
    assert agrees(share, expected, np.sqrt(expected * (1 - expected) / GROUPS))
    assert share >= 0.93
    if steps != 6:
        assert share <= 0.97


@pytest.mark.long
def test_coverage_of_the_mean_exit_time_with_censoring():
    """E τ of the chain, with about a third of the trajectories censored.

    Twin: the censored ones read as exits at the horizon.
    """
    _, fp = whole_run()
    _, exact = truth()
    assert 0.2 < fp.censored / fp.trajectories < 0.5

    edges = np.arange(GROUPS + 1) * SIZE
    estimates = [group.mean_exit_time for group in groups(fp, edges)]
    assert_covers(estimates, exact, too_narrow)
    wrong = np.minimum(fp.exit_times, fp.horizon).reshape(GROUPS, SIZE)
    error = 1.96 * wrong.std(axis=1) / np.sqrt(SIZE)
    assert np.mean(np.abs(wrong.mean(axis=1) - exact) <= error) < 0.9


@pytest.mark.long
def test_coverage_of_the_exit_rate():
    """Exits per time at risk: P(τ ≤ T)/E min(τ, T), not the rate of an exponential law. Twin: too narrow."""
    _, fp = whole_run()
    survival, _ = truth()
    exact = (1 - survival[-1]) / (DT * survival[:-1].sum())
    edges = np.arange(GROUPS + 1) * SIZE
    assert_covers((group.exit_rate for group in groups(fp, edges)), exact, too_narrow)


@pytest.mark.long
def test_coverage_of_inverse_binomial_sampling():
    """`rtol=` fixes the number of passages: disjoint stretches of the run, each ending with that passage.

    That a call with `rtol=` is the first of these stretches is checked. Twins: intervals that are too narrow, and
    the frequency read as if the number of trajectories had been fixed.
    """
    chain, fp = whole_run()
    survival, _ = truth()
    exact = 1 - survival[-1]
    precise = ss.escape(chain, np.zeros(1, np.float32), REGION, HORIZON, rtol=0.3, seed=21)
    needed = precise.stopped_at
    assert needed == np.ceil((stats.norm.isf(0.025) / 0.3) ** 2) + 2
    ends = np.flatnonzero(np.isfinite(fp.exit_times))[needed - 1 :: needed] + 1
    edges = np.concatenate([[0], ends])
    assert np.array_equal(precise.steps, fp.steps[: edges[1]])
    assert np.array_equal(precise.outcome, fp.outcome[: edges[1]])
    stopped = eqx.tree_at(lambda f: f.evidence.stopped_at, fp, needed, is_leaf=lambda leaf: leaf is None)
    estimates = [group.probability for group in groups(stopped, edges)]
    assert len(estimates) > GROUPS
    assert_covers(estimates, exact, too_narrow)
    # Haldane's value is unbiased; reached/trajectories is too large by (1 − p)/few, relatively: seen with few passages
    few = 12
    edges = np.concatenate([[0], np.flatnonzero(np.isfinite(fp.exit_times))[few - 1 :: few] + 1])
    stopped = eqx.tree_at(lambda f: f.evidence.stopped_at, fp, few, is_leaf=lambda leaf: leaf is None)
    values = np.array([group.probability.value for group in groups(stopped, edges)])
    error = values.std() / np.sqrt(len(values))
    assert agrees(values.mean(), exact, error)
    assert false_pass(exact * (1 - exact) / few, error) < 1e-10
    assert not agrees((few / np.diff(edges)).mean(), exact, error)
    # the rule of stopping is seen by the relative half-width as well
    assert np.mean([estimate.relative_half_width <= 0.3 for estimate in estimates]) > 0.95
