"""Estimates and intervals, with scipy and independent sums as their truth."""

import math

import numpy as np
import pytest
import xarray as xr
from scipy import optimize, stats

from sde_sgd.statistics import (
    Estimate,
    add_estimate,
    chi_square_rate,
    clopper_pearson,
    excess_shape,
    in_one_format,
    inverse_binomial,
    proportion_with_undecided,
    smirnov_probability,
    student_mean,
    tail_index,
)

CONFIDENCES = [0.5, 0.95, 0.999]


# Clopper–Pearson


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (7, 7), (1, 2), (3, 100), (97, 100)])
def test_clopper_pearson_is_scipys(successes, trials, confidence):
    truth = stats.binomtest(successes, trials).proportion_ci(confidence, method="exact")
    found = clopper_pearson(successes, trials, confidence)
    assert float(found.value) == pytest.approx(successes / trials, rel=1e-14)
    # scipy finds its roots to 2e-12
    assert float(found.low) == pytest.approx(truth.low, abs=4e-12)
    assert float(found.high) == pytest.approx(truth.high, abs=4e-12)
    assert found.confidence == confidence


@pytest.mark.parametrize(("successes", "trials"), [(5, 10**9), (3, 10**6), (10**6 - 1, 10**6)])
def test_clopper_pearson_keeps_its_digits(successes, trials):
    """Each end makes the tail as likely as was asked for, also where proportions are rare."""
    found = clopper_pearson(successes, trials)
    assert stats.binom.sf(successes - 1, trials, float(found.low)) == pytest.approx(0.025, rel=1e-6)
    assert stats.binom.cdf(successes, trials, float(found.high)) == pytest.approx(0.025, rel=1e-6)
    assert float(clopper_pearson(0, trials).high) == pytest.approx(-math.expm1(math.log(0.025) / trials), rel=1e-9)


@pytest.mark.parametrize("trials", [9, 40])
def test_clopper_pearson_covers(trials):
    """At every proportion: the law of the count is summed, nothing is drawn. Twin: a tail of 5 % on each side."""
    counts, proportions = np.arange(trials + 1), np.linspace(0.003, 0.997, 211)

    def least(confidence):
        intervals = clopper_pearson(counts, trials, confidence)
        return min(np.sum(stats.binom.pmf(counts, trials, p)[intervals.contains(p)]) for p in proportions)

    assert least(0.95) >= 0.95
    assert least(0.9) < 0.95


def test_clopper_pearson_of_arrays():
    found = clopper_pearson(np.array([[0], [2]]), np.array([2, 4, 8]))
    assert found.value.shape == (2, 3)
    assert float(found.low[1, 2]) == pytest.approx(stats.binomtest(2, 8).proportion_ci().low)
    nothing = clopper_pearson(0, 0)
    assert np.isnan(nothing.value) and (nothing.low, nothing.high) == (0, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: clopper_pearson(3, 2),
        lambda: clopper_pearson(-1, 2),
        lambda: clopper_pearson(1, 2, 1.0),
        lambda: clopper_pearson(1, 2, 0.0),
        lambda: proportion_with_undecided(1, 2, 2),
        lambda: inverse_binomial(0, 0, 5),
        lambda: inverse_binomial(4, 2, 5),
        lambda: chi_square_rate(-1, 1.0),
        lambda: chi_square_rate(1, -1.0),
        lambda: chi_square_rate(1, math.nan),
        lambda: chi_square_rate(1, 1.0, 95.0),
    ],
)
def test_impossible_numbers_are_refused(call):
    with pytest.raises(ValueError, match="must"):
        call()


def test_undecided_trials_are_read_both_ways():
    """The interval spans those of every way in which they may have ended; the value leaves them out."""
    found = proportion_with_undecided(3, 4, 20, 0.9)
    ways = [stats.binomtest(3 + more, 20).proportion_ci(0.9) for more in range(5)]
    assert float(found.value) == 3 / 16
    assert float(found.low) == pytest.approx(min(way.low for way in ways), rel=1e-12)
    assert float(found.high) == pytest.approx(max(way.high for way in ways), rel=1e-12)
    nobody = proportion_with_undecided(0, 5, 5)
    assert np.isnan(nobody.value) and (nobody.low, nobody.high) == (0, 1)


# Inverse binomial sampling


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize(("successes", "trials"), [(1, 1), (1, 30), (12, 12), (12, 400), (3, 10**6)])
def test_inverse_binomial_inverts_the_tests(successes, trials, confidence):
    """Each end is where so few, or so many, trials become as unlikely as the tail: root finding on scipy's law."""
    found, tail = inverse_binomial(successes, 0, trials, confidence), (1 - confidence) / 2
    failures = trials - successes

    def end(probability):
        return optimize.brentq(lambda p: probability(p) - tail, 1e-12, 1 - 1e-12, xtol=1e-300, rtol=1e-12)

    low = end(lambda p: stats.nbinom.cdf(failures, successes, p))
    high = end(lambda p: stats.nbinom.sf(failures - 1, successes, p)) if failures else 1.0
    assert float(found.low) == pytest.approx(low, rel=1e-6)
    assert float(found.high) == pytest.approx(high, rel=1e-6)


@pytest.mark.parametrize("proportion", [0.02, 0.3, 0.9])
def test_inverse_binomial_is_unbiased_and_covers(proportion):
    """Sums over the law of the number of trials. Twins: successes over trials, and the interval of a fixed number."""
    successes = 4
    failures = np.arange(20_000)
    weight = stats.nbinom.pmf(failures, successes, proportion)
    chosen = weight > 1e-13
    failures, weight = failures[chosen], weight[chosen]
    found = [inverse_binomial(successes, 0, successes + int(more)) for more in failures]
    assert weight @ [float(each.value) for each in found] == pytest.approx(proportion, rel=1e-8)
    assert weight @ (successes / (successes + failures)) > proportion * 1.02
    assert weight @ [bool(each.contains(proportion)) for each in found] >= 0.95
    # the exact upper end is lower than that of a fixed number of trials
    fixed = clopper_pearson(successes, successes + failures)
    longer = failures > 0
    assert np.all(np.array([float(each.high) for each in found])[longer] < fixed.high[longer])


def test_inverse_binomial_with_undecided_trials():
    found = inverse_binomial(5, 3, 40)
    as_failures, as_successes = inverse_binomial(5, 0, 40), inverse_binomial(8, 0, 40)
    assert float(found.value) == 4 / 36
    assert float(found.low) == float(as_failures.low) and float(found.high) == float(as_successes.high)


# Garwood


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("events", [0, 1, 7, 400])
def test_garwood_inverts_the_poisson_tests(events, confidence):
    """The ends are the rates at which so many or more, and so few or fewer, events have the tail's probability."""
    exposure, tail = 2.5, (1 - confidence) / 2
    found = chi_square_rate(events, exposure, confidence)
    assert float(found.value) == events / exposure
    assert stats.poisson.cdf(events, float(found.high) * exposure) == pytest.approx(tail, rel=1e-9)
    if events:
        assert stats.poisson.sf(events - 1, float(found.low) * exposure) == pytest.approx(tail, rel=1e-9)
    else:
        assert float(found.low) == 0
    # broken twin: as many degrees of freedom above as below
    if events:
        assert stats.chi2.isf(tail, 2 * events) / (2 * exposure) < 0.999 * float(found.high)


@pytest.mark.parametrize("mean", [0.05, 1.3, 11.0])
def test_garwood_covers(mean):
    counts = np.arange(200)
    weight = stats.poisson.pmf(counts, mean)
    assert weight @ [bool(chi_square_rate(int(k), 1.0).contains(mean)) for k in counts] >= 0.95


@pytest.mark.parametrize("events", [1, 3, 50])
def test_a_watch_that_ends_with_the_last_event(events):
    """Then the exposure has a gamma law, and coverage is exact: integrated over it."""
    tail = 0.025
    found = chi_square_rate(events, 1.0, fixed_events=True)
    assert stats.gamma.cdf(1.0, events, scale=1 / float(found.low)) == pytest.approx(tail, rel=1e-9)
    assert stats.gamma.sf(1.0, events, scale=1 / float(found.high)) == pytest.approx(tail, rel=1e-9)
    assert float(found.high) < float(chi_square_rate(events, 1.0).high)


def test_rates_of_nothing():
    nothing = chi_square_rate(0, 0.0)
    assert np.isnan(nothing.value) and (nothing.low, nothing.high) == (0, np.inf)
    none = chi_square_rate(0, 4.0, fixed_events=True)
    assert (none.value, none.low) == (0, 0) and float(none.high) == pytest.approx(-np.log(0.025) / 4)


# Estimates as objects


def test_an_estimate_is_a_number():
    one = Estimate(2, 1, 4, 0.9)
    assert float(one) == 2.0 and one.value.dtype == np.float64
    assert float(one.relative_half_width) == 0.75
    assert float(Estimate(-2, -4, -1).relative_half_width) == 0.75
    assert float(Estimate(0, 0, 1).relative_half_width) == np.inf
    assert float(Estimate(0, 0, 0).relative_half_width) == np.inf
    assert float(Estimate(3, 1, np.inf).relative_half_width) == np.inf
    assert bool(one.contains(1)) and bool(one.contains(4)) and not one.contains(4.001) and not one.contains(0.999)
    assert f"{one:.2f}" == "2.00 [1.00, 4.00]" and f"{one:.1e}" == "2.0e+00 [1.0e+00, 4.0e+00]"
    assert f"{one}" == str(one)
    assert repr(one) == "2.0 [1.0, 4.0] at 0.9 confidence"
    assert one._repr_html_() == f"<code>{one!r}</code>"
    with pytest.raises(TypeError, match="single"):
        len(one)
    with pytest.raises(TypeError, match="single"):
        iter(one).__next__()


def test_an_array_of_estimates_is_an_array():
    value = np.arange(6.0).reshape(2, 3)
    many = Estimate(value, value - 1, value + 2, 0.8)
    assert len(many) == 2 and len(many[1]) == 3
    assert float(many[1, 2]) == 5 and float(many[1, 2].low) == 4 and float(many[1, 2].high) == 7
    assert many[1].confidence == 0.8 and many[:, 1].value.tolist() == [1, 4]
    assert many[0][many[0].value > 0].high.tolist() == [3, 4]
    assert [each.value.tolist() for each in many] == value.tolist()
    assert [float(each) for each in many[1]] == [3, 4, 5]
    np.testing.assert_array_equal(many.contains(np.array([0.0, 3.0, 5.0])), [[True, True, False], [False, True, True]])
    assert f"{many[0]:.0f}" == "[0 [-1, 2], 1 [0, 3], 2 [1, 4]]"
    assert str(many[0]) == "[0 [-1.0, 2.0], 1.0 [0, 3.0], 2.0 [1.0, 4.0]]"
    with pytest.raises(TypeError, match="single"):
        float(many)


def test_long_arrays_are_cut_short():
    many = clopper_pearson(np.arange(30), 100)
    assert str(many).count("[") == 13 and str(many).endswith(", … 18 more]")
    assert "more" not in str(many[:12]) and str(many[:13]).endswith(", … 1 more]")


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        # two digits of the half-width: 0.0076, 0.076, 0.34, 34
        ((0.4446, 0.4370, 0.4522), ("0.4446", "0.4370", "0.4522")),
        ((0.4446, 0.37, 0.522), ("0.445", "0.370", "0.522")),
        ((1.5, 1.2, 1.88), ("1.50", "1.20", "1.88")),
        ((515.3, 481.2, 549.9), ("515", "481", "550")),
        # six digits at most, however narrow
        ((0.123456789, 0.123456788, 0.12345679), ("0.123457", "0.123457", "0.123457")),
        ((1.0, 1.0, 1.0), ("1.000", "1.000", "1.000")),
        # an exact 0, and one that is none
        ((0.0, 0.0, 0.0), ("0", "0", "0")),
        ((0.0, 0.0, 3e-4), ("0", "0", "0.00030")),
        ((0.5, 1e-9, 0.9), ("0.50", "0.00", "0.90")),
        # what is not finite
        ((math.nan, 0.0, 1.0), ("nan", "0", "1.00")),
        ((math.nan, math.nan, math.nan), ("nan", "nan", "nan")),
        ((8421.0, 31.2, math.inf), ("8421", "31", "inf")),
        ((math.inf, 31.25, math.inf), ("inf", "31.25", "inf")),
        ((math.inf, math.inf, math.inf), ("inf", "inf", "inf")),
        # small and large: one form for all three
        ((3.21e-7, 3.0e-7, 3.4e-7), ("3.21e-07", "3.00e-07", "3.40e-07")),
        ((1.3e-15, 0.0, 2.2e-14), ("1.3e-15", "0", "2.2e-14")),
        ((9.71e-4, 8.8e-4, 1.061e-3), ("0.000971", "0.000880", "0.001061")),
        ((2.078e8, 2.0e8, 2.15e8), ("2.078e+08", "2.000e+08", "2.150e+08")),
        ((0.5, 0.1, 5e5), ("5.0e-01", "1.0e-01", "5.0e+05")),
        ((1e300, -1.7e308, 1.7e308), ("1.000e+300", "-1.700e+308", "1.700e+308")),
        ((-0.3, -0.42, 0.1), ("-0.30", "-0.42", "0.10")),
    ],
)
def test_three_numbers_in_one_format(numbers, texts):
    assert in_one_format(*numbers) == texts


def test_printed_numbers_are_near_and_alike():
    """Over many sizes and widths: within a twentieth of the half-width, never 0 by rounding, one form."""
    random = np.random.default_rng(3)
    for _ in range(3000):
        value = 10 ** random.uniform(-30, 30)
        half = value * 10 ** random.uniform(-3, 0)
        numbers = (value, value - half, value + half)
        texts = in_one_format(*numbers)
        assert max(abs(float(text) - number) for text, number in zip(texts, numbers, strict=True)) <= half / 18
        shown = [text for text, number in zip(texts, numbers, strict=True) if number]
        assert len({"e" in text for text in shown}) == 1 and float(texts[0]) != 0
        mantissas = [text.lstrip("-").split("e")[0] for text in shown]
        assert len({len(mantissa.partition(".")[2]) for mantissa in mantissas}) == 1
        assert all(sum(letter.isdigit() for letter in mantissa.lstrip("0.")) <= 7 for mantissa in mantissas)


def test_an_estimate_in_a_dataset():
    data = xr.Dataset()
    add_estimate(data, "rate", ("place",), Estimate([1, 2], [0, 1], [3, 4]), "1 / SDE time", "rate of leaving")
    assert {name: data[name].values.tolist() for name in data} == {
        "rate": [1, 2],
        "rate_low": [0, 1],
        "rate_high": [3, 4],
    }
    assert data["rate_high"].attrs == {"units": "1 / SDE time", "long_name": "rate of leaving, upper bound"}
    assert data["rate_low"].attrs["long_name"] == "rate of leaving, lower bound"
    assert data["rate"].attrs["long_name"] == "rate of leaving" and data["rate"].dims == ("place",)


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_students_mean_is_scipys(confidence):
    """Along any axis, and of what is not NaN; one number alone bounds nothing, none is nothing."""
    values = np.random.default_rng(0).normal(2.0, 3.0, (4, 6, 3))
    values[1, :2], values[2, 1:], values[3] = np.nan, np.nan, np.nan
    found = student_mean(values, confidence, axis=1)
    assert found.value.shape == (4, 3)
    for row, there in ((0, slice(None)), (1, slice(2, None))):
        exact = stats.ttest_1samp(values[row, there], 0.0).confidence_interval(confidence)
        np.testing.assert_allclose((found.low[row], found.high[row]), exact, rtol=1e-12)
        np.testing.assert_allclose(found.value[row], values[row, there].mean(axis=0), rtol=1e-12)
    assert np.all(found.low[2] == -np.inf) and np.all(found.high[2] == np.inf)
    np.testing.assert_array_equal(found.value[2], values[2, 0])
    assert np.all(np.isnan(found.value[3])) and np.all(np.isnan(found.low[3]))


@pytest.mark.parametrize(("n", "m", "shift"), [(64, 512, 0.0), (64, 512, 0.35), (512, 512, 0.1), (2_048, 2_048, 0.06)])
def test_two_samples_are_as_far_apart_as_scipy_says(n, m, shift):
    """Within 2 % of the law of a finite number of numbers; without a part of the correction some are not."""
    generator = np.random.default_rng(n)
    ones, others = generator.normal(size=n), generator.normal(size=m) + shift
    truth = stats.ks_2samp(ones, others, method="asymp").pvalue
    assert 1e-4 < truth < 0.99
    assert smirnov_probability(ones, others) == pytest.approx(truth, rel=0.02)
    with pytest.raises(ValueError, match="ones and others must have a number each, at least, got 0 and"):
        smirnov_probability([], others)


@pytest.mark.parametrize("index", [0.8, 1.5, 3.0])
def test_the_index_of_a_tail(index):
    """Of a power law the mean of 1/α is exact: in 400 samples of 64 largest within 4 standard errors; scale cancels."""
    samples = stats.pareto(index).rvs((400, 1_000), random_state=0) * 7.0
    inverses = np.array([1 / tail_index(sample, 64) for sample in samples])
    assert abs(inverses.mean() * index - 1) < 4 / np.sqrt(400 * 64)
    assert inverses.std() * index == pytest.approx(1 / np.sqrt(64), rel=0.15)
    assert tail_index(np.ones(5), 2) == math.inf
    with pytest.raises(ValueError, match="largest must be from 1 to 4, fewer than there are values, got 5"):
        tail_index(np.ones(5), 5)
    for wrong in (0.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=rf"values must be finite and above 0, got {wrong} among the largest"):
            tail_index([3.0, wrong, 1.0], 2)


@pytest.mark.parametrize("shape", [-0.5, 0.0, 0.4])
def test_the_shape_of_excesses(shape):
    """Of a generalised Pareto law, whose excesses have the same shape above any threshold: 400 samples of 1,000."""
    samples = stats.genpareto(shape).rvs((400, 1_000), random_state=0)
    found = np.array([excess_shape(5.0 + 3.0 * sample, 200) for sample in samples])
    # its bias is a part of 1/200
    assert abs(found.mean() - shape) < 4 * found.std() / 20 + 0.02 and found.std() < 0.12
    assert excess_shape(np.ones(5), 3) == -math.inf
    with pytest.raises(ValueError, match="largest must be at least 2, got 1"):
        excess_shape(np.ones(5), 1)
