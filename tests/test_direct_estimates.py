"""What direct simulation says of its trajectories, worked out again from when each of them left.

Values by their definitions, exact intervals by `statistics` (which scipy checks), and the others by a jackknife that
leaves out one trajectory at a time: it agrees with the delta method to the order of one over their number.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from statistical import agrees, binomial_error, mean_passage

import sde_sgd as ss
from sde_sgd.engine import StopCode, StopTimes
from sde_sgd.passage import _direct
from sde_sgd.passage._question import make_question
from sde_sgd.results import Status, Verdict
from sde_sgd.statistics import chi_square_rate, clopper_pearson, inverse_binomial, proportion_with_undecided

DT = 0.05
BOWL = ss.landscapes.Landscape(lambda x: x[0] ** 2 / 2, 1)
CHAIN = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(BOWL, 0.5), DT)
START = np.zeros(1, np.float32)


def below(offset):
    return ss.regions.HalfSpace(np.array([1.0]), offset)


def passage(offset, steps, **options):
    """In chunks of 1024, whatever their number: one program."""
    options = {"trajectories": 4096, "chunk": 1024, "seed": 8, "method": "direct"} | options
    return ss.escape(CHAIN, START, below(offset), None if steps is None else steps * DT, **options)


def same(estimate, expected):
    for name in ("value", "low", "high"):
        np.testing.assert_allclose(getattr(estimate, name), getattr(expected, name), rtol=1e-12)


def jackknife(rows, estimate, confidence=0.95):
    """Estimate of the means of rows (n, k) and its interval: one row left out at a time, on a logarithmic scale."""
    number = len(rows)
    without = np.log(estimate((rows.sum(axis=0) - rows) / (number - 1)))
    error = np.sqrt((number - 1) * np.mean((without - without.mean()) ** 2))
    value = float(estimate(rows.mean(axis=0)[None])[0])
    factor = np.exp(stats.norm.isf((1 - confidence) / 2) * error)
    return value, value / factor, value * factor


def test_probability_and_survival_are_exact():
    found = passage(1.5, 40, confidence=0.9)
    times, reached = found.exit_times, np.isfinite(found.exit_times)
    assert 100 < reached.sum() < 2000
    same(found.probability, clopper_pearson(reached.sum(), 4096, 0.9))
    for time in (0.3, 1.0, 2.0):
        by_then = clopper_pearson(np.sum(times <= time + 1e-9), 4096, 0.9)
        alive = found.survival([time])
        assert float(alive.low[0]) <= float(alive.value[0]) <= float(alive.high[0])
        expected = (1 - by_then.value, 1 - by_then.high, 1 - by_then.low)
        np.testing.assert_allclose((alive.value[0], alive.low[0], alive.high[0]), expected, rtol=1e-12)


def test_a_precision_is_reached_by_inverse_sampling():
    """The number of passages is fixed in advance, and sampling ends with the one that makes it full."""
    found = passage(1.5, 40, trajectories=None, rtol=0.1)
    reached = np.isfinite(found.exit_times)
    assert reached[-1] and reached.sum() >= (1.96 / 0.1) ** 2
    same(found.probability, inverse_binomial(int(reached.sum()), 0, len(reached)))
    assert float(found.probability.relative_half_width) <= 0.1


def test_a_budget_of_steps_leaves_trajectories_undecided():
    """Without a horizon those that still run may yet come: left out of the value, both ways in the interval."""
    found = passage(1.5, None, trajectories=1024, max_steps=40)
    reached, running = int(np.isfinite(found.exit_times).sum()), found.censored
    assert reached > 20 and running == 1024 - reached
    same(found.probability, proportion_with_undecided(reached, running, 1024))
    assert found.probability.value == 1 and found.probability.high == 1 and found.probability.low < 0.5


@pytest.mark.parametrize(("offset", "few"), [(2.2, True), (1.2, False)])
def test_the_rate_is_exits_over_time_at_risk(offset, few):
    """Garwood's interval for few exits, the delta method's for many."""
    found, horizon = passage(offset, 40), 40 * DT
    exposure, events = np.minimum(found.exit_times, horizon), np.isfinite(found.exit_times)
    if few:
        assert 3 < events.sum() < 50
        same(found.exit_rate, chi_square_rate(int(events.sum()), float(exposure.sum())))
        return
    assert events.sum() > 50
    rows = np.stack([events, exposure], axis=1).astype(float)
    value, low, high = jackknife(rows, lambda mean: mean[:, 0] / mean[:, 1])
    assert float(found.exit_rate.value) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose((found.exit_rate.low, found.exit_rate.high), (low, high), rtol=1e-3)
    # the interval is not that of another confidence, nor one without the logarithm
    assert high / value - 1 > 1.0001 * (1 - low / value)


def test_the_mean_time_where_all_have_left():
    found = passage(0.8, None, trajectories=2048)
    assert found.censored == 0
    value, low, high = jackknife(found.exit_times[:, None], lambda mean: mean[:, 0])
    assert float(found.mean_exit_time.value) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose((found.mean_exit_time.low, found.mean_exit_time.high), (low, high), rtol=1e-3)


@pytest.mark.long
def test_the_mean_time_with_a_tail():
    """∫₀ᵀ S dt + S(T)/λ with the hazard of the second half, and its interval. Twin: the hazard of the whole horizon."""
    found, horizon = passage(1.2, 60), 60 * DT
    times = found.exit_times
    exposure, stays = np.minimum(times, horizon), np.isinf(times)
    at_risk, late = np.clip(exposure - horizon / 2, 0, None), np.isfinite(times) & (times > horizon / 2)
    rows = np.stack([exposure, stays, at_risk, late], axis=1).astype(float)

    def mean_time(mean):
        return mean[:, 0] + mean[:, 1] * mean[:, 2] / mean[:, 3]

    value, low, high = jackknife(rows, mean_time)
    assert float(found.mean_exit_time.value) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose((found.mean_exit_time.low, found.mean_exit_time.high), (low, high), rtol=2e-3)
    twin = exposure.mean() + stays.mean() * exposure.sum() / np.isfinite(times).sum()
    assert abs(twin / value - 1) > 0.01


def test_a_mean_time_is_as_precise_as_was_asked():
    """From near the boundary half leave at once: so many passages as an exponential law takes are too few."""
    found = ss.first_passage(
        CHAIN, np.array([1.2], np.float32), ~below(1.4), rtol=0.1, monitoring="continuous", chunk=1024, seed=3
    )
    truth = mean_passage(lambda x: -x, lambda x: np.ones_like(x), 1.2, 1.4, -6.0)
    assert found.method == "direct" and found.status == Status.COMPLETE
    assert found.mean_exit_time.relative_half_width <= 0.1 and found.trajectories > 800
    # within 3.3 half-widths of 95 %, and what one step in 20 of the relaxation changes
    assert found.mean_exit_time.value == pytest.approx(truth, rel=0.2)


def test_passages_without_a_variance_are_told():
    """In 1,000 samples each: of exponential times fewer than 1 % are told, fewer than 10 % where most leave at once,
    and of Pareto's law of index 1.15 over 95 %.
    """
    question = make_question(CHAIN, START, ~below(1.5))
    generator = np.random.default_rng(0)

    def told(times):
        step = np.ceil(times * 1e4).astype(np.int64)
        answer = _direct.found(question, StopTimes(step, np.full(len(step), StopCode.TARGET), 0), Verdict())
        return answer.verdict.status == Status.UNEVEN

    for number in (387, 2_000):
        assert np.mean([told(generator.exponential(size=number)) for _ in range(1_000)]) < 0.01
        late = generator.random((1_000, number)) < 16 / np.sqrt(number) / 5
        times = np.where(late, 100.0, 0.01) * generator.exponential(size=(1_000, number))
        assert np.mean([told(each) for each in times]) < 0.1
    assert np.mean([told(generator.pareto(1.15, size=2_000) + 1) for _ in range(1_000)]) > 0.95


def test_a_loss_that_holds_back_hardly_anything_is_told():
    """0.65 ln(1 + x²) at T = 1: passage times to one side fall off with an index of 1/2 + 0.65, by the mean too low."""
    landscape = ss.landscapes.Landscape(lambda x: 0.65 * jnp.log1p(x[0] ** 2), dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 1.0), 0.05)
    found = ss.first_passage(chain, np.zeros(1), ss.regions.HalfSpace([-1.0], -2.0), rtol=0.1)
    assert found.method == "direct" and found.status == Status.UNEVEN
    assert "power law" in found.reasons[0] and "horizon" in found.reasons[0]


def test_where_many_never_arrive_no_more_are_run():
    """Up a slope that leads away: six of seven are lost at once, and the first trajectories tell so."""
    slope = ss.landscapes.Landscape(lambda x: x[0], dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(slope, 1.0), 0.01)
    target = ss.regions.HalfSpace([-1.0], -2.0)
    found = ss.first_passage(chain, np.zeros(1), target, rtol=0.1, max_steps=20_000, method="direct")
    assert found.status == Status.BUDGET_SPENT and found.trajectories == 387
    assert found.reasons == (f"{found.censored} of 387 still running after max_steps = 20000",)
    # the chance to come there at all, less what is missed between steps: exp(−0.58 · 0.14)
    assert agrees(1 - found.censored / 387, np.exp(-2), binomial_error(np.exp(-2), 387), bias=0.011)
