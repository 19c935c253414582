"""Intervals and checks of the stationary room against numbers worked out by hand or by scipy; nothing is simulated."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import sde_sgd as ss
from sde_sgd._jumps import core_sets, delta_method, from_log_odds, log_odds
from sde_sgd.engine import block_unit, observation_steps
from sde_sgd.results import Provenance, Status
from sde_sgd.stationary import Histogram, Occupancy, Transitions, UnassignedMinima
from sde_sgd.stationary._at_times import AtTimes
from sde_sgd.stationary._bins import GROUPS, BinnedSums, Bins, Observable, Sums
from sde_sgd.stationary._intervals import time_average_interval
from sde_sgd.stationary._time_averages import TimeAverages
from sde_sgd.stationary._unassigned_minima import cluster_ends
from sde_sgd.statistics import Estimate

PROVENANCE = Provenance.of(0, "by hand", 0, 0.0)
NOTHING = UnassignedMinima(np.zeros((0, 1)), np.zeros(0))


# ------------------------------------------------------------------------------------------------ shares of time


def test_a_share_of_time_has_a_t_interval_on_the_logit_scale():
    """Four trajectories: Student's t with 3 degrees of freedom (3.18 at 95 %, where a normal has 1.96)."""
    shares = np.array([[0.2], [0.3], [0.5], [0.4]])
    found = time_average_interval(shares, 0, 0.95)
    width = 3.182446305 * np.sqrt(0.05 / 3 / 4) / (0.35 * 0.65)
    logit = np.log(0.35 / 0.65)
    assert found.value[0] == pytest.approx(0.35)
    assert found.low[0] == pytest.approx(1 / (1 + np.exp(-(logit - width))), rel=1e-8)
    assert found.high[0] == pytest.approx(1 / (1 + np.exp(-(logit + width))), rel=1e-8)
    wide = time_average_interval(shares, 0, 0.99)
    assert (np.log(wide.high[0] / (1 - wide.high[0])) - logit) / width == pytest.approx(5.840909310 / 3.182446305)


def test_a_basin_always_or_never_entered_has_the_bound_of_clopper_and_pearson():
    """Ten trajectories, none inside: the probability to enter is below 1 − 0.025^(1/10)."""
    found = time_average_interval(np.tile([0.0, 1.0], (10, 1)), 0, 0.95)
    bound = 1 - 0.025**0.1
    np.testing.assert_allclose(found.value, [0, 1])
    np.testing.assert_allclose(found.low, [0, 1 - bound], rtol=1e-12)
    np.testing.assert_allclose(found.high, [bound, 1], rtol=1e-12)


def test_undecided_trajectories_widen_a_share_both_ways():
    shares = np.array([[0.2], [0.3], [0.5], [0.4]])
    alone, beside = time_average_interval(shares, 0, 0.95), time_average_interval(shares, 6, 0.95)
    assert beside.value[0] == alone.value[0]
    assert beside.low[0] == pytest.approx(alone.low[0] * 4 / 10)
    assert beside.high[0] == pytest.approx((alone.high[0] * 4 + 6) / 10)
    for few in (shares[:1], shares[:0]):
        nothing = time_average_interval(few, 3, 0.95)
        assert np.isnan(nothing.value[0]) and (nothing.low[0], nothing.high[0]) == (0, 1)


def averages(visits, diverged=None, transitions=None, distance=None, looks=None, changes=None):
    visits = np.asarray(visits, np.int64)
    number = visits.shape[1]
    return TimeAverages(
        visits=visits,
        transitions=np.full(number, 100) if transitions is None else np.asarray(transitions),
        has_diverged=np.zeros(number, bool) if diverged is None else np.asarray(diverged),
        distance=np.ones((2, number)) if distance is None else np.asarray(distance, np.float64),
        looks=int(visits[0, 0].sum()) if looks is None else looks,
        burn_in=1.0,
        horizon=2.0,
        every=0.1,
        changes=changes,
    )


# looks in the only basin of three trajectories, in the first half and in the second, of 10 each
HALVES = np.array([[2, 4, 3], [5, 4, 6]])
THREE = np.stack([HALVES, 10 - HALVES], axis=2)


def test_split_r_hat_by_hand():
    """Of six half-chains of ten indicators: √((W (n − 1)/n + B/n)/W), with unbiased variances W and B/n."""
    chains = [np.arange(10) < number for number in HALVES.ravel()]
    within = np.mean([np.var(chain, ddof=1) for chain in chains])
    among = np.var([np.mean(chain) for chain in chains], ddof=1)
    assert averages(THREE).r_hat[0] == pytest.approx(np.sqrt((0.9 * within + among) / within), rel=1e-12)


def test_split_r_hat_of_basins_that_are_never_or_always_or_wholly_visited():
    never = np.stack([np.zeros((2, 3), int), np.full((2, 3), 10)], axis=2)
    wholly = np.stack([np.array([[10, 0, 10], [10, 0, 10]]), np.array([[0, 10, 0], [0, 10, 0]])], axis=2)
    assert averages(never).r_hat[0] == 1 and averages(wholly).r_hat[0] == np.inf
    assert np.isnan(averages(THREE[:, :1]).r_hat[0])


def test_effective_samples_by_hand():
    """p(1 − p) over the variance of the mean share of three independent trajectories."""
    shares = HALVES.sum(axis=0) / 20
    mean = shares.mean()
    found = averages(THREE).effective_samples[0]
    assert found == pytest.approx(mean * (1 - mean) / (shares.var(ddof=1) / 3), rel=1e-12)


def occupancy(counted, names=("in",), unassigned=NOTHING):
    return Occupancy(names, counted, unassigned, 0.1, 0.95, PROVENANCE)


def test_diverged_trajectories_are_counted_and_left_out():
    counted = averages(THREE, diverged=[False, True, False], looks=10)
    found = occupancy(counted)
    others = occupancy(averages(np.delete(THREE, 1, axis=1)))
    assert found.diverged == 1 and found.trajectories == 3 and found.status is Status.DIVERGED
    assert found.probability.value[0] == others.probability.value[0] == pytest.approx(0.4)
    assert found.r_hat[0] == others.r_hat[0] and found.effective_samples[0] == others.effective_samples[0]
    assert found.probability.high[0] == pytest.approx((others.probability.high[0] * 2 + 1) / 3)


STEADY = np.stack([np.array([[48, 52] * 20, [52, 48] * 20]), np.array([[52, 48] * 20, [48, 52] * 20])], axis=2)


def test_every_reason_not_to_have_converged_has_its_edge():
    """A steady run has converged; each check fails just beyond its limit and not just within it."""
    names = ("left", "right")
    three = np.concatenate([STEADY, np.zeros((2, 40, 1), int)], axis=2)

    def result(**changes):
        return occupancy(averages(three, **changes), names).result

    assert result() == "converged"
    assert result(transitions=np.full(40, 5)) == "converged"
    assert "no stationary law, with a schedule" in result(changes="a schedule")
    assert "makes 4.9 transitions" in result(transitions=np.where(np.arange(40) < 4, 4, 5))
    jitter = np.linspace(-0.01, 0.01, 40)
    assert result(distance=[np.ones(40), 1.19 + jitter]) == "converged"
    assert "states still spread" in result(distance=[np.ones(40), 1.21 + jitter])
    # a difference between the halves of four standard errors is chance, one of six is not
    for shift, told in ((4.0, False), (6.0, True)):
        change = np.where(np.arange(40) % 2 == 0, 1.0, -1.0) * 3
        error = (change.std(ddof=1) / np.sqrt(40)) * shift
        moved = np.array([np.full(40, 500.0), 500 + change + error]).round(0)
        looks = np.stack([moved, 1000 - moved, np.zeros((2, 40))], axis=2).astype(int)
        assert ("the start is not forgotten" in occupancy(averages(looks), names).result) == told, shift


def test_r_hat_is_told_from_one_percent_on():
    names = ("left", "right")
    for spread, told in ((6, False), (9, True)):
        moved = 50 + spread * np.tile([1, -1], 20)
        one = np.stack([np.tile(moved, (2, 1)), 100 - np.tile(moved, (2, 1)), np.zeros((2, 40), int)], axis=2)
        counted = averages(one)
        assert (counted.r_hat[0] > 1.01) == told
        assert ("split R-hat of left is 1.0" in occupancy(counted, names).result) == told


def test_unassigned_shares_are_told_from_five_percent_on():
    missed = UnassignedMinima(np.array([[2.0]]), np.array([0.05]))
    for none, told in ((4, False), (6, True)):
        looks = np.stack([100 - none + np.tile([[0, 1], [1, 0]], 20), np.full((2, 40), none)], axis=2)
        looks[:, :, 1] -= looks.sum(axis=2) - 100
        found = occupancy(averages(looks, looks=100), ("in",), missed)
        assert ("is in none of the minima given; the flow ends at [2.] (5.0%)" in found.result) == told
        assert (found.status is Status.INCOMPLETE) == told
        at = AtTimes(np.array([1.0]), np.array([[100 - none, none]]), np.array([0]), 100)
        at_times = occupancy(at, ("in",), missed)
        assert (at_times.status is Status.INCOMPLETE) == told


def test_probabilities_at_times_are_clopper_pearson_with_divergence_read_both_ways():
    counted = AtTimes(np.array([0.0, 1.0]), np.array([[20, 0], [7, 9]]), np.array([0, 4]), 20)
    found = occupancy(counted)
    assert found.probability.value[:, 0] == pytest.approx([1, 7 / 16])
    assert found.probability.low[1, 0] == pytest.approx(stats.beta.ppf(0.025, 7, 14))
    assert found.probability.high[1, 0] == pytest.approx(stats.beta.isf(0.025, 12, 9))
    assert found.unassigned.value[1] == pytest.approx(9 / 16)
    assert found.unassigned.high[1] == pytest.approx(stats.beta.isf(0.025, 14, 7))
    assert found.status is Status.DIVERGED and found.diverged == 4


def test_ends_of_the_flow_are_clustered():
    ends = np.array([[0.0], [0.05], [3.0], [0.09], [3.05], [9.0]])
    found = cluster_ends(ends, 0.1, 20)
    np.testing.assert_allclose(found.locations, [[0.0], [3.0], [9.0]])
    np.testing.assert_allclose(found.shares, [3 / 20, 2 / 20, 1 / 20])
    assert len(cluster_ends(np.arange(20.0)[:, None], 0.1, 20).shares) == 8


# ---------------------------------------------------------------------------------------------------- histograms


def histogram(counts, looks, sums, **changes):
    given = {
        "bins": Bins(np.array([0.0]), np.array([2.0]), (2,)),
        "counts": np.asarray(counts),
        "sums": np.asarray(sums, np.float64),
        "looks": np.asarray(looks),
        "origin": np.array([10.0]),
        "unseen": 0.0,
        "diverged": 0,
        "trajectories": 30,
        "burn_in": 0.0,
        "horizon": 1.0,
        "every": 0.1,
        "time_step": 0.1,
        "confidence": 0.95,
        "provenance": PROVENANCE,
        "early": np.zeros_like(np.array(counts)),
    }
    return Histogram(**(given | changes))


# three groups of ten looks: rows are two bins, below and above; moments of y = f − 10
COUNTS = [[4, 5, 6], [6, 5, 2], [0, 0, 2], [0, 0, 0]]
SUMS = [[1.0, 2.0, 6.0], [5.0, 9.0, 16.0]]


def test_density_has_a_t_interval_over_groups():
    """Three groups: t with 2 degrees of freedom, 4.30 at 95 %; the standard error of a mean of three."""
    found = histogram(COUNTS, [10, 10, 10], SUMS)
    error = np.std([0.4, 0.5, 0.6], ddof=1) / np.sqrt(3)
    assert found.density.value[0] == pytest.approx(0.5)
    assert found.standard_error[0] == pytest.approx(error)
    assert found.density.high[0] == pytest.approx(0.5 + 4.302652730 * error, rel=1e-8)
    assert found.outside.value[0] == pytest.approx([2 / 30, 0]) and found.outside.low[0, 0] == 0
    assert found.outside.high[0, 1] == pytest.approx(1 - 0.025 ** (1 / 30))
    np.testing.assert_allclose(found.edges[0], [0, 1, 2])


def test_mean_and_covariance_have_jackknife_intervals():
    """Each group left out in turn, worked out one by one; groups of different sizes."""
    looks, sums = np.array([10, 20, 10]), np.array(SUMS)
    found = histogram(COUNTS, looks, SUMS)

    def of(kept):
        first, second = sums[:, kept].sum(axis=1) / looks[kept].sum()
        return 10 + first, second - first**2

    whole = of([0, 1, 2])
    parts = np.array([of([1, 2]), of([0, 2]), of([0, 1])])
    error = np.sqrt(2 / 3 * np.sum((parts - parts.mean(axis=0)) ** 2, axis=0))
    assert found.mean.value[0] == pytest.approx(whole[0]) and found.covariance.value[0, 0] == pytest.approx(whole[1])
    assert found.mean.high[0] == pytest.approx(whole[0] + 4.302652730 * error[0], rel=1e-8)
    assert found.covariance.low[0, 0] == pytest.approx(whole[1] - 4.302652730 * error[1], rel=1e-8)


def test_what_was_not_seen_is_read_both_ways():
    whole = histogram(COUNTS, [10, 10, 10], SUMS)
    found = histogram(COUNTS, [10, 10, 10], SUMS, unseen=0.25, diverged=3)
    np.testing.assert_allclose(found.density.low, 0.75 * whole.density.low)
    np.testing.assert_allclose(found.density.high, 0.75 * whole.density.high + 0.25 / found.volume)
    assert found.status is Status.DIVERGED and "3 of 30 trajectories diverged" in found.reasons[0]
    assert found.mean.high[0] == np.inf and found.covariance.low[0, 0] == 0


def test_rows_of_a_table_on_two_axes():
    """Bins in C order, then below and above the first axis, then the second; outside on both is on the first."""
    bins = Bins(np.array([0.0, 0.0]), np.array([2.0, 3.0]), (2, 3))
    points = [(0.5, 0.5), (1.5, 2.5), (1.0, 0.0), (-1, 1), (2.0, 1), (1, -1), (1, 3.0), (-1, 9)]
    assert list(np.asarray(bins.row(jnp.asarray(np.array(points, np.float32).T)))) == [0, 5, 3, 6, 7, 8, 9, 6]
    told = [bins.name(row) for row in (0, 5, 6, 9)]
    assert told == ["from 0 to 1 × from 0 to 1", "from 1 to 2 × from 2 to 3", "below 0", "above 3"]


def test_groups_are_every_sixty_fourth_trajectory():
    carry = Sums(
        table=np.zeros((8, GROUPS), np.int64),
        shifted=np.arange(2 * 130, dtype=np.float32).reshape(2, 130),
        errors=np.full((2, 130), 0.5, np.float32),
        finite=np.arange(130),
        last=np.zeros((1, 130), np.float32),
    )
    sums = BinnedSums(Observable(None), Bins(np.array([0.0]), np.array([2.0]), (2,)), np.zeros(1, np.float32), 1)
    _, moments, looks = sums.result(carry, np.arange(3.0))
    assert GROUPS == 64 and looks[0] == 0 + 64 + 128 and looks[2] == 2 + 66
    assert moments[0, 1] == pytest.approx(1 + 65 + 129 + 1.5) and moments[1, 2] == pytest.approx(132 + 196 + 1)


# ------------------------------------------------------------------------------------------------ the delta method


def test_delta_method_of_products_of_powers_is_exact():
    """log(a²/b): its half-width is that of 2 log a and of log b, added in squares."""
    rates = Estimate([[0, 2.0], [3.0, 0]], [[0, 2 / 1.2], [3 / 1.5, 0]], [[0, 2 * 1.2], [3 * 1.5, 0]])

    def fn(value):
        return np.log(value[0, 1] ** 2 / value[1, 0])

    found = delta_method(rates, fn, np.exp, (0.0, np.inf))
    width = np.hypot(2 * np.log(1.2), np.log(1.5))
    assert float(found) == pytest.approx(4 / 3)
    assert found.high == pytest.approx(4 / 3 * np.exp(width)) and found.low == pytest.approx(4 / 3 * np.exp(-width))


def test_log_odds_keep_small_shares():
    shares = np.array([1 - 1e-20, 1e-20, 0.0])
    value = log_odds(shares)
    assert value[0] == pytest.approx(np.log(1e20)) and value[1] == pytest.approx(-np.log(1e20))
    np.testing.assert_allclose(from_log_odds(value), shares, rtol=1e-12)


# ------------------------------------------------------------------------------- observation times, rates, core sets


BOWL = ss.landscapes.Quadratic(np.array([[4.0, 0.0], [0.0, 1.0]]))
CHAIN = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(BOWL, 0.5), 0.1)


def test_observation_steps_of_times_and_windows():
    """Times are rounded down to steps; a window has an even number of looks, the first one spacing after burn-in."""
    assert observation_steps(CHAIN, [0.0, 0.3, 0.39, 7.0], None, None, None) == [0, 3, 3, 70]
    assert observation_steps(CHAIN, None, 10.0, 2.0, 0.5) == range(25, 101, 5)
    assert observation_steps(CHAIN, None, 10.4, 2.0, 0.5) == range(25, 101, 5)
    assert observation_steps(CHAIN, None, 10.5, 2.0, 0.5) == range(25, 101, 5)
    assert observation_steps(CHAIN, None, 10.0, 0, 0.5) == range(5, 101, 5)
    assert observation_steps(CHAIN, None, 10.0, None, 0.5) == range(55, 101, 5)
    # half of 128,000 steps are burn-in; 250 of 256 are whole blocks of 8 steps at a time
    assert block_unit(CHAIN.noise_kind) == 8
    assert observation_steps(CHAIN, None, 12_800.0, None, None, 256) == range(64_248, 127_985, 248)


def test_core_sets_are_where_the_quadratic_part_is_a_quarter_of_the_barrier():
    """Curvatures 4 and 1, barrier 2: half-axes √(2·0.5/4) = 1/2 and √(2·0.5/1) = 1."""
    point = ss.landscapes.find_minima(BOWL, [[0.1, 0.1]])[0]
    core = core_sets([point], np.array([2.0]), None, ("only",))[0]
    for direction, edge in (([1.0, 0.0], 0.5), ([0.0, 1.0], 1.0)):
        inside, outside = (jnp.asarray(np.array(direction) * edge * part) for part in (0.999, 1.001))
        assert bool(core.contains(inside)) and not bool(core.contains(outside))
    ball = core_sets([point], np.array([2.0]), 0.3, ("only",))[0]
    assert bool(ball.contains(jnp.array([0.0, 0.299]))) and not bool(ball.contains(jnp.array([0.301, 0.0])))


def transitions(value, **changes):
    value = np.asarray(value, np.float64)
    given = {
        "names": ("left", "right"),
        "locations": np.array([[-1.0], [1.0]]),
        "cores": (),
        "rates": Estimate(value, 0.9 * value, 1.1 * value),
        "exit_times": np.array([21.0, 21.0]),
        "settling_times": np.array([1.0, 1.0]),
        "methods": {(0, 1): "direct", (1, 0): "direct"},
        "findings": (),
        "diverged": 0,
        "time_step": 0.1,
        "provenance": PROVENANCE,
    }
    return Transitions(**(given | changes))


def test_verdicts_on_rates():
    """Twenty settling times an exit, a rate that was seen, first passages without findings."""
    rates = [[0.0, 1 / 21], [1 / 21, 0.0]]
    assert transitions(rates).result == "complete"
    close = transitions(rates, exit_times=np.array([21.0, 19.0]))
    assert close.status is Status.NOT_METASTABLE and "the mean time to leave right is 19" in close.result
    bound = Estimate([[0, 0], [1 / 21, 0]], [[0, 0], [0.9 / 21, 0]], [[0, 1e-6], [1.1 / 21, 0]])
    unseen = transitions(rates, rates=bound)
    assert unseen.status is Status.TARGET_NOT_REACHED and "from left to right no transition was seen" in unseen.result
    said = transitions(rates, findings=((Status.DIVERGED, "from left to right: 3 trajectories diverged"),), diverged=3)
    assert said.status is Status.DIVERGED and said.result.endswith("3 trajectories diverged")


def test_relaxation_time_is_one_over_the_gap_with_its_ends_turned():
    found = transitions([[0.0, 0.3], [0.1, 0.0]])
    assert float(found.spectral_gap) == pytest.approx(0.4) and float(found.relaxation_time) == pytest.approx(2.5)
    assert found.relaxation_time.low == pytest.approx(1 / found.spectral_gap.high)
    assert found.relaxation_time.low < 2.5 < found.relaxation_time.high
    assert found.stationary.value == pytest.approx([0.25, 0.75])
