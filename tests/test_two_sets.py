"""Two rare sets and no horizon: which is reached first, against the chain's own kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from chains_with_memory import Underdamped

import sde_sgd as ss
from sde_sgd.passage import SettledRate, SplittingSample, SteadyStateSample, TwoSetsSample
from sde_sgd.passage._question import make_question
from sde_sgd.passage.splitting._two_sets import _together, share
from sde_sgd.reference import ChainFork
from sde_sgd.results import Status, Verdict
from sde_sgd.scores import automatic
from sde_sgd.statistics import Estimate

T, DT, A, B = 0.5, 0.02, -3.3, 4.4
WELL = ss.landscapes.Quadratic([[1.0]])
CHAIN = ss.EulerMaruyama(ss.Langevin(WELL, T), DT)
START = np.array([0.0], np.float32)
# by a pilot of 1,250 steps both are rare
OPTIONS = {"max_steps": 10_000}


def beyond(level):
    return ~ss.regions.HalfSpace([1.0], level)


def first(chain=CHAIN, start=START, low=A, high=B, **options):
    return ss.first_passage(chain, start, beyond(high), ~beyond(low), **OPTIONS, **options)


def kernel(start, low=A, high=B, temperature=T):
    """P(above `high` before below `low`) and the mean time until either, of the chain itself."""
    fork = ChainFork(lambda x: x * (1 - DT), np.sqrt(2 * temperature * DT), start, low, high)
    return fork.probability(), fork.mean_steps() * DT


def deviations(estimate, truth):
    """Of a truth from an estimate, in standard errors of its logarithm."""
    width = np.log(float(estimate.high) / float(estimate.low)) / 2
    return np.log(float(estimate.value) / truth) / width * 1.96


@pytest.fixture(scope="module")
def found():
    return first(rtol=0.1, seed=5)


@pytest.mark.long
def test_the_share_and_the_time_are_the_kernels(found):
    """Both within 4 standard errors: a false-fail rate of 1e-4. A twin with noise 2 % louder is rejected."""
    chance, time = kernel(0.0)
    assert found.status is Status.COMPLETE and isinstance(found.evidence, TwoSetsSample)
    assert found.probability.relative_half_width < 0.12
    assert abs(deviations(found.probability, chance)) < 4 and abs(deviations(found.mean_end_time, time)) < 4
    louder, shorter = kernel(0.0, temperature=T * 1.02**2)
    assert abs(deviations(found.probability, louder)) > 6 and abs(deviations(found.mean_end_time, shorter)) > 6


@pytest.mark.long
def test_rates_make_the_rest(found):
    """k_B = P/E(time), and the share that has arrived by t rises with both rates."""
    chance, time = kernel(0.0)
    assert abs(deviations(found.exit_rate, chance / time)) < 4
    assert abs(deviations(found.avoid_rate, (1 - chance) / time)) < 4
    assert float(found.mean_exit_time) == pytest.approx(1 / float(found.exit_rate))
    late = found.survival([1e9])
    assert float(late.value[0]) == pytest.approx(1 - float(found.probability), rel=1e-12)
    arrived = 1 - found.survival([time]).value[0]
    assert arrived == pytest.approx(float(found.probability) * -np.expm1(-time / float(found.mean_end_time)), rel=1e-9)
    assert found.censored == 0 and found.settling_time > 1
    assert float(found.to_dataset().attrs["rate to avoid"]) == float(found.avoid_rate)


@pytest.mark.long
def test_what_is_reached_early_counts():
    """From 3.6 most of the chance is in the fall into the well. The rates alone give less than half of it."""
    chance, _ = kernel(3.6)
    seen = first(start=np.array([3.6], np.float32), rtol=0.1, seed=2)
    rates_alone = share(seen.exit_rate, seen.avoid_rate)
    assert seen.status is Status.COMPLETE and abs(deviations(seen.probability, chance)) < 4
    assert float(rates_alone.high) < 0.5 * chance < float(seen.early.probability.high)


@pytest.mark.long
def test_a_fixed_effort_and_a_score_of_ones_own():
    """`trajectories=` is shared by both ways; a score that is given leads to the target alone."""
    options = {"trajectories": 16_384, "seed": 3, "method": "splitting"}
    seen = first(score=lambda x: jnp.tanh(x[0] / 4), **options)
    assert seen.to_target.score == "given" and seen.to_avoid.score == "level"
    assert abs(deviations(seen.probability, kernel(0.0)[0])) < 4
    assert seen.trajectories <= 16_384


def test_a_score_that_is_chosen_grows_inside_the_well():
    """The chance to be first is the same all over the well; that within the time in which it settles is not."""
    for settled in (True, False):
        score = automatic(CHAIN, START, beyond(B), avoid=~beyond(A), settled=settled)
        assert score is not None
        bottom, inside, target = jax.jit(jax.vmap(score))(jnp.array([[0.0], [1.5], [B]]))
        rise, whole = float(inside - bottom), float(target - bottom)
        assert (rise > 0.05 * whole) == settled


@pytest.mark.long
def test_one_rate_alone():
    """The rate towards one set is that of the fork, and says nothing of which is first."""
    chance, time = kernel(0.0)
    seen = first(method=SettledRate(), rtol=0.1, seed=9)
    assert isinstance(seen.evidence, SteadyStateSample) and seen.status is Status.COMPLETE
    assert abs(deviations(seen.exit_rate, chance / time)) < 4
    assert np.isnan(seen.probability.value) and seen.probability.high == 1 and seen.probability.low == 0
    alive = seen.survival([time])
    assert np.isnan(alive.value[0]) and alive.high[0] == 1 and 0 < alive.low[0] < 1


def test_what_either_way_has_to_say_is_told():
    """Each finding says towards which set, and first that one was never reached."""
    unreached, spent = (Verdict(((status, "so"),)) for status in (Status.TARGET_NOT_REACHED, Status.BUDGET_SPENT))
    together = _together(spent, unreached, ())
    assert together.status is Status.TARGET_NOT_REACHED
    assert together.reasons == ("towards avoid: so", "towards target: so")
    assert _together(Verdict(), Verdict(), ()).status is Status.COMPLETE


@pytest.mark.long
def test_a_small_budget_is_told():
    seen = first(rtol=0.1, max_trajectories=6_000)
    assert seen.status is Status.BUDGET_SPENT


RATES = [Estimate(2.0, 1.8, 2.3), Estimate(6.0, 5.0, 7.0)]


def test_shares_of_two_rates():
    """The logarithms' half-widths add in squares; where a rate has a bound only, both ends are taken."""
    made = share(*RATES)
    odds = np.log(3) + np.hypot(np.log(2 / 1.8), np.log(7 / 6))
    assert float(made) == pytest.approx(0.25) and float(made.low) == pytest.approx(1 / (1 + np.exp(odds)))
    turned = share(*RATES[::-1])
    assert float(turned.high) == pytest.approx(1 - float(made.low)) and float(turned) == pytest.approx(0.75)
    unseen = Estimate(0.0, 0.0, 1.0)
    bounded = share(unseen, RATES[1])
    assert (float(bounded), float(bounded.low), float(bounded.high)) == (0, 0, pytest.approx(1 / 6))
    assert np.isnan(share(unseen, unseen).value) and share(unseen, unseen).high == 1


def test_the_chance_and_the_time_by_hand():
    """P = p_B + (1 − p_A − p_B)·k_B/(k_A + k_B) and E = 1/(k_A + k_B), of eight made repetitions of each part."""
    watch = make_question(CHAIN, START, beyond(B), ~beyond(A)).watch()

    def made(chance, exposure=1.0):
        chances, none = chance * np.linspace(0.9, 1.1, 8), np.zeros(8)
        return SplittingSample(
            watch=watch, steps=np.full(8, 9), weights=chances, repetition=np.arange(8), levels=np.zeros(0),
            level_probability=chances[:, None], diverging=none, unfinished=none, exposure=np.full(8, exposure),
            n_diverged=0, trajectories_per_repetition=1, score="level", score_reason="", score_check="", path_steps=9,
        )  # fmt: skip

    target, avoid = (SteadyStateSample(watch, made(chance, 10.0), 1.0, 9.0, 0.0, 1, 1) for chance in (1e-3, 3e-3))
    seen = TwoSetsSample(watch, target, avoid, made(0.2), Estimate(0.1, 0.09, 0.11), "")
    assert float(seen.probability) == pytest.approx(0.2 + 0.7 / 4)
    assert float(seen.mean_end_time) == pytest.approx(1 / 4e-4)


@pytest.mark.long
def test_a_chain_with_memory():
    """Underdamped in an even well: one half, by symmetry."""
    seen = first(Underdamped(WELL, temperature=0.1), low=-1.3, high=1.3, trajectories=2_048, method="splitting", seed=4)
    assert isinstance(seen.evidence, TwoSetsSample)
    assert abs(deviations(seen.probability, 0.5)) < 4


@pytest.mark.long
def test_the_time_to_either_is_that_of_both_rates(found):
    """Their sum, and their errors in squares."""
    rates = found.exit_rate, found.avoid_rate
    total = sum(float(rate) for rate in rates)
    assert float(found.mean_end_time) == pytest.approx(1 / total, rel=1e-12)
    below = np.sqrt(sum(float(rate.value - rate.low) ** 2 for rate in rates))
    assert float(found.mean_end_time.high) == pytest.approx(1 / (total - below), rel=1e-9)


def test_a_chain_that_changes_in_time_is_refused():
    """Its rates are those of no law. With a horizon, and where one set is not rare, there is an answer."""
    rate = optax.piecewise_constant_schedule(0.02, {2_000: 0.5})
    chain = ss.EulerMaruyama(ss.LangevinSGD(WELL, ss.noise.Isotropic(1.0), rate, 0.02))
    for options in ({"rtol": 0.1}, {"trajectories": 1_024}, {"trajectories": 1_024, "method": "splitting"}):
        with pytest.raises(ValueError, match="two rare sets without a horizon"):
            first(chain, **options)
    assert first(chain, horizon=1.0, trajectories=64).probability.high < 0.1
