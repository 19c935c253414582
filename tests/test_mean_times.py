"""Mean times of rare passages, by excursions: against the discrete chain's exactly solved kernel."""

import jax.numpy as jnp
import numpy as np
import pytest
from splitting_cases import CHAIN, DT, START, below, outlier
from statistical import agrees

import sde_sgd as ss
from sde_sgd.chains import LevyEuler
from sde_sgd.passage import SettledRate, Splitting, SteadyStateSample
from sde_sgd.passage._question import execution_of, make_question
from sde_sgd.passage.splitting._equilibration import equilibrate
from sde_sgd.passage.splitting._excursions import Excursions, may_jump
from sde_sgd.passage.splitting._score import scores
from sde_sgd.random import INCREMENTS
from sde_sgd.reference import ChainExit
from sde_sgd.results import Status


@pytest.mark.long
def test_the_mean_time_of_a_chain():
    """Without a horizon the kernel's mean of some 10⁵ is met at a small part of it (4 standard errors).

    Twin: what whole trajectories give within a horizon, where the path's own duration passes for waiting.
    """
    fp = ss.escape(CHAIN, START, below(3.5), rtol=0.05, seed=9, method="splitting")
    assert isinstance(fp.evidence, SteadyStateSample) and fp.result == "complete"
    truth = DT * ChainExit(lambda x: x * (1 - DT), np.sqrt(DT), 0.0, 3.5, -6.0).mean_steps()
    found = fp.mean_exit_time
    error = (found.high - found.low) / (2 * 1.97)
    assert found.relative_half_width <= 0.05 and 0 < fp.settling_time < 1e-3 * truth
    assert agrees(found.value, truth, error), (found.value / truth, error / truth)
    alive = fp.survival([0.0, truth])
    assert alive.value[0] == 1 and alive.low[1] < np.exp(-1) < alive.high[1]
    assert fp.probability.value == 1 and fp.censored == 0 and fp.to_dataset().attrs["method"] == "splitting"
    short = ss.escape(CHAIN, START, below(3.5), 100 * DT, rtol=0.05, seed=10)
    assert not agrees(1 / short.exit_rate.value, truth, error), short.exit_rate


@pytest.mark.long
def test_a_score_that_is_flat_at_home():
    """Most settled states have one score but for its rounding: excursions begin beyond it (4 standard errors)."""
    truth = DT * ChainExit(lambda x: x * (1 - DT), np.sqrt(DT), 0.0, 3.0, -6.0).mean_steps()

    def score(x):
        return jnp.maximum(x[0], 1.0) + 1e-6 * jnp.sin(1e4 * x[0])

    fp = ss.escape(CHAIN, START, below(3.0), rtol=0.1, seed=19, method="splitting", score=score)
    found = fp.mean_exit_time
    assert fp.result == "complete" and agrees(found.value, truth, (found.high - found.low) / 4), found.value / truth


def test_excursions_begin_at_one_rate():
    """Twice the window, twice the excursions (4 standard errors of the counts).

    Twin: one that began just before the window counted too, which made mean times 1 % too short.
    """
    question = make_question(CHAIN, START, ~below(3.5))
    run, score = execution_of(question, 18, None, None, None), Splitting().score_for(question)
    excursions = Excursions(run, score, equilibrate(run, score))

    def begun(window):
        excursions.window = window
        return len(excursions(131_072).states)

    short, long = begun(8), begun(16)
    ratio, error = long / short, 2 * np.sqrt(1 / short + 1 / long)
    assert agrees(ratio, 2, error), ratio
    assert not agrees((16 + 1) / (8 + 1), 2, error)


@pytest.mark.long
def test_rest_on_the_way():
    """A well between start and target, where paths rest sixty times longer than they take to settle.

    Within 4 standard errors of the kernel's mean. Twin: the time without that rest, two thirds of it. Excursions that
    are cut off in that well are told, and the interval reaches as far as they may.
    """
    dt, temperature, end = 0.02, 0.16, 0.8
    wells = ss.landscapes.Landscape(
        lambda x: 0.5 * (1 - jnp.cos(2 * jnp.pi * x[0])) + 2 * jnp.minimum(x[0] + 1, 0) ** 2, dim=1
    )
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(wells, temperature), dt)

    def mean_step(x):
        return x - dt * (np.pi * np.sin(2 * np.pi * x) + np.minimum(x + 1, 0) * 4)

    truth = dt * ChainExit(mean_step, np.sqrt(2 * temperature * dt), -1.0, end, -2.5).mean_steps()
    options = {"trajectories": 16_384, "seed": 15, "method": SettledRate(repetitions=32)}
    fp = ss.escape(chain, np.array([-1.0], np.float32), below(end), **options)
    found = fp.mean_exit_time
    error = (found.high - found.low) / 4
    assert fp.result == "complete" and error < 0.06 * truth
    assert agrees(found.value, truth, error), (found.value / truth, error / truth)
    cut = ss.escape(chain, np.array([-1.0], np.float32), below(end), max_steps=500, **options)
    assert cut.result.startswith("undecided") and cut.mean_exit_time.value > 2 * truth > 2 * cut.mean_exit_time.low
    assert not agrees(cut.excursions.exposure.mean() / fp.excursions.level_probability[:, -1].mean(), truth, error)


@pytest.mark.long
def test_a_mean_time_is_simulated_where_that_is_cheap():
    """method="auto" without a horizon: every passage seen where E τ is short, a rate where it is not."""
    near, far = (ss.escape(CHAIN, START, below(level), trajectories=2_048, seed=11) for level in (1.0, 4.5))
    assert near.method == "direct" and near.count("target") == 2_048
    assert far.method == "splitting" and far.mean_exit_time.value > 1e6


@pytest.mark.long
def test_trajectories_that_diverge_are_told():
    """Where the loss is not a number at home's edge, they are counted, and the rate's upper end holds them.

    A fifth of the passages' rate is lost there, or more: without them the upper end would be below the kernel's rate
    of leaving on either side.
    """
    broken = ss.landscapes.Landscape(lambda x: jnp.where(x[0] < -2.5, jnp.nan, 0.5) * x[0] ** 2, dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(broken, 0.5), DT)
    fp = ss.escape(chain, START, below(2.6), trajectories=16_384, seed=20, method=Splitting(repetitions=32))
    # what falls below the lowest point is gone too; the end of the law is geometric
    staying = ChainExit(lambda x: x * (1 - DT), np.sqrt(DT), 0.0, 2.6, -2.5).survival(4_000)
    either = DT * (staying[:-1].sum() + staying[-1] / (1 - staying[-1] / staying[-2]))
    assert fp.diverged > 0 and fp.status == Status.DIVERGED and str(fp.diverged) in fp.result
    assert fp.probability.low < 1 and fp.mean_exit_time.high > 100 * fp.mean_exit_time.value
    assert fp.exit_rate.value < 0.8 / either < fp.exit_rate.high
    assert fp.mean_exit_time.low < either


@pytest.mark.long
def test_a_law_that_never_settles_is_told():
    """A walk without a force: the law widens for ever."""
    diffusion = ss.diffusions.ItoDiffusion(lambda x, t: 0 * x, lambda x, t: 1 + 0 * x, 1)
    chain = ss.EulerMaruyama(diffusion, 0.1)
    fp = ss.escape(chain, START, below(9.0), trajectories=2_048, max_steps=400, method="splitting", seed=12)
    assert fp.result.startswith("not settled"), fp.result


def mean_of_large_steps():
    """A chain that keeps a tenth of where it is, a level of 5 standard deviations, and the mean time to it."""
    keeps, spread = 0.1, 1 / np.sqrt(1 - 0.1**2)
    landscape = ss.landscapes.Landscape(lambda x: x[0] ** 2 / 2, dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 1 / (2 * 0.9)), dt=0.9)
    level = 5 * spread
    truth = 0.9 * ChainExit(lambda x: keeps * x, 1.0, 0.0, level, -8 * spread, 600).mean_steps()
    return chain, ~ss.regions.HalfSpace([1.0], level), truth


def test_steps_from_home_straight_into_the_target_count():
    """They are half of all (4 standard errors of the excursions' rate). Twin: excursions that begin away from home."""
    chain, target, truth = mean_of_large_steps()
    found = ss.first_passage(chain, START, target, trajectories=40_000, seed=3, method="splitting")
    rate = found.exit_rate
    error = (rate.high - rate.low) / (2 * 1.97)
    assert agrees(rate.value, 1 / truth, error), rate.value * truth
    assert not agrees(1 / truth / 2.1, 1 / truth, error) and error * truth < 0.1


def test_an_excursion_that_begins_with_every_step():
    """Half of those that have settled are at home, and nothing is waited."""
    chain, target, _ = mean_of_large_steps()
    question = make_question(chain, START, target)
    run, score = execution_of(question, 18, None, None, None), Splitting().score_for(question)
    others = Excursions(run, score, equilibrate(run, score))
    every = others.with_every_step()
    assert every.watched(64) == 64 and every.home_level == others.home_level
    begun = every(8_192)
    assert not begun.waited.any() and not begun.diverged.any()
    assert abs(len(begun.states) - 4_096) < 4 * np.sqrt(2_048 + 1_024)
    assert np.all(scores(score, begun.states, np.zeros(len(begun.states), int)) <= every.home_level)


def test_what_may_jump():
    """Noise of a kind of its own; normals and signs do not, by name or as what it names, nor do drawn batches."""
    diffusion = ss.Langevin(ss.landscapes.Quadratic([1.0]), 0.5)
    for kind in ("gaussian", "rademacher", INCREMENTS["gaussian"], INCREMENTS["rademacher"]):
        assert not may_jump(ss.EulerMaruyama(diffusion, 0.01, increments=kind))
    assert not may_jump(outlier(8)) and may_jump(LevyEuler(diffusion, 1.5, 0.01))
