"""Results draw themselves: what is drawn has the result's numbers, on the axes given, and says where there are none."""

import subprocess
import sys

import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from scipy import integrate, stats

import sde_sgd as ss
from sde_sgd import plotting
from sde_sgd.engine import DIVERGED, StopCode
from sde_sgd.engine._reductions import Reduced
from sde_sgd.passage import DirectSample, FirstPassage, SplittingSample, Watch
from sde_sgd.plotting._surface import levels_of
from sde_sgd.results import AbstractResult, Provenance, Verdict
from sde_sgd.stationary import Histogram, Occupancy, Transitions
from sde_sgd.stationary._at_times import AtTimes
from sde_sgd.stationary._bins import Bins
from sde_sgd.stationary._time_averages import TimeAverages
from sde_sgd.stationary._unassigned_minima import UnassignedMinima
from sde_sgd.training import Training
from sde_sgd.training._grid import Grid

WELLS = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
PLANE = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + 2 * x[1] ** 2 + 0.2 * x[0], dim=2)
BY = Provenance.of(3, "made", 10, 0.0)


def axes():
    return Figure().subplots()


def lines_of(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def band_of(ax, number=0):
    """x, low and high of a band."""
    points = ax.collections[number].get_paths()[0].vertices
    x = np.unique(points[:, 0])
    ends = [[points[points[:, 0] == each, 1].min(), points[points[:, 0] == each, 1].max()] for each in x]
    return x, *np.array(ends).T


def words_of(ax):
    return [text.get_text() for text in ax.texts]


# First passages


def passage(steps, outcome, horizon=10.0, open_ended=False):
    watch = Watch(0.1, 1.0, horizon, open_ended, False, False, 0.95, "discrete")
    return FirstPassage(DirectSample(watch, np.asarray(steps), np.asarray(outcome)), Verdict(), BY)


def arrived(number=400, mean=40.0, seed=0):
    """Of so many trajectories, those that arrived by step 100 of exponential times, in steps."""
    steps = np.ceil(np.random.default_rng(seed).exponential(mean, number)).astype(int)
    return passage(np.where(steps <= 100, steps, -1), np.where(steps <= 100, StopCode.TARGET, StopCode.RUNNING))


def test_survival_is_the_results_with_its_band_and_theory_beside_it():
    found, ax = arrived(), axes()
    theory = {"law": lambda t: np.exp(-t / 4.5), "mean": 3.9}
    assert found.plot(ax, theory=theory) is ax
    lines, times = lines_of(ax), np.linspace(0, 10, 129)
    survival = found.survival(times)
    drawn = lines["simulated, 0.95 confidence band"]
    np.testing.assert_array_equal(drawn.get_xydata(), np.column_stack([times, survival.value]))
    x, low, high = band_of(ax)
    np.testing.assert_allclose([x, low, high], [times, survival.low, survival.high])
    np.testing.assert_allclose(lines["law"].get_ydata(), np.exp(-times[1:] / 4.5))
    np.testing.assert_allclose(lines["mean"].get_ydata(), np.exp(-times[1:] / 3.9))
    assert ax.get_xlabel() == "time (SDE time)" and ax.get_ylabel() == "probability that the target is not reached"
    # it falls to exp(−2.5), below a tenth
    assert ax.get_yscale() == "log" and 0.02 < ax.get_ylim()[0] < float(survival.value[-1])
    assert found.plot(times=[0.0, 1.0]).get_yscale() == "linear"
    np.testing.assert_array_equal(found.plot(times=[0.5, 2.0]).get_lines()[0].get_xdata(), [0.5, 2.0])
    assert "complete" in ax.get_title() and "mean time" in ax.get_title()


def test_a_rare_passage_is_drawn_as_reached():
    """Of splitting with its own digits: 1 − survival has none of 1e-20."""
    direct = arrived()
    ax = direct.plot(reached=True, theory=4.0)
    times = np.linspace(0, 10, 129)
    reached = lines_of(ax)["simulated, 0.95 confidence band"].get_ydata()
    np.testing.assert_allclose(np.nan_to_num(reached), 1 - direct.survival(times).value)
    np.testing.assert_allclose(lines_of(ax)["theory"].get_ydata(), -np.expm1(-times[1:] / 4))
    assert ax.get_yscale() == "log"
    steps, repetition = np.array([40, 60, 80, 50, 70, 90]), np.array([0, 0, 0, 1, 1, 1])
    share = np.full((2, 1), 3e-20)
    sample = SplittingSample(
        direct.evidence.watch, steps, np.full(6, 1e-20), repetition, np.zeros(0), share, np.zeros(2), np.zeros(2),
        np.full(2, 10.0), 0, 100, "level", "", "", 10,
    )  # fmt: skip
    rare = FirstPassage(sample, Verdict(), BY).plot(reached=True)
    assert lines_of(rare)["simulated, 0.95 confidence band"].get_ydata()[-1] == pytest.approx(3e-20)


def test_without_a_horizon_the_axis_ends_at_three_mean_times():
    found = arrived()
    every = passage(found.evidence.steps.clip(1), np.full(400, StopCode.TARGET), 1e6, open_ended=True)
    assert every.plot().get_lines()[0].get_xdata()[-1] == pytest.approx(3 * float(every.mean_exit_time))


def test_a_passage_without_numbers_says_so():
    none = passage(np.full(64, -1), np.full(64, StopCode.RUNNING)).plot()
    assert words_of(none) == ["none of 64 trajectories was seen to reach the target"]
    assert np.all(none.get_lines()[0].get_ydata() == 1)
    lost = passage(np.full(64, 3), np.full(64, DIVERGED)).plot()
    assert words_of(lost) == ["not known: 64 of 64 trajectories diverged"]
    assert words_of(passage(np.full(64, 3), np.full(64, DIVERGED)).plot(reached=True)) == words_of(lost)
    lost.figure.draw_without_rendering()


def test_what_survival_cannot_draw_is_told_in_a_sentence():
    found = arrived()
    for theory, words in ((0.0, "got 0.0 for 'theory'"), ({"a": "b"}, "got 'b' for 'a'"),
                          (lambda t: t[:3], r"returns shape \(3,\) for times of shape \(128,\)")):  # fmt: skip
        with pytest.raises(ValueError, match=r"theory must be a mean time above 0, or a function.*" + words):
            found.plot(theory=theory)
    with pytest.raises(ValueError, match="times must lie from 0 to the horizon 10"):
        found.plot(times=[11.0])
    with pytest.raises(ValueError, match=r"ax must be matplotlib axes, such as plt.gca\(\), got 3"):
        found.plot(3)
    study = xr.Dataset({"survival": (("start", "time"), np.ones((1, 2)))})
    with pytest.raises(ValueError, match="survival draws one first passage, survival_curves a study"):
        plotting.survival(study)
    with pytest.raises(ValueError, match=r"survival draws the dataset of one first passage; .* lacks .* 'time': none"):
        plotting.survival(xr.Dataset())
    # and what a study's figure makes of one passage
    (panel,) = plotting.survival_curves(found.to_dataset()).axes
    times = panel.get_lines()[0].get_xdata()
    np.testing.assert_array_equal(panel.get_lines()[0].get_ydata(), found.survival(times).value)


# Where the time is spent


NOWHERE = UnassignedMinima(np.zeros((0, 1)), np.zeros(0))
TIMES = np.array([0.5, 1.0, 2.0, 8.0])


def looked(counts, diverged=(0, 0, 0, 0)):
    counts = np.asarray(counts)
    seen = AtTimes(TIMES, counts, np.asarray(diverged), int(counts[0].sum() + diverged[0]))
    return Occupancy(("left", "right"), seen, NOWHERE, 0.1, 0.95, BY)


def test_occupancy_over_time_has_a_line_and_a_band_for_each_basin():
    found, ax = looked([[90, 10, 0], [80, 20, 0], [60, 35, 5], [50, 45, 5]]), axes()
    assert found.plot(ax, theory=[0.6, 0.4]) is ax
    lines, shares = lines_of(ax), found.probability
    for place, name in enumerate(found.names):
        np.testing.assert_array_equal(lines[name].get_xydata(), np.column_stack([TIMES, shares.value[:, place]]))
        x, low, high = band_of(ax, place)
        np.testing.assert_allclose([x, low, high], [TIMES, shares.low[:, place], shares.high[:, place]])
    np.testing.assert_array_equal(lines["left, theory"].get_ydata(), [0.6] * 4)
    np.testing.assert_array_equal(lines["none of them"].get_ydata(), [0, 0, 0.05, 0.05])
    assert ax.get_xscale() == "log" and ax.get_xlabel() == "time (SDE time)"
    by_rates = found.plot(theory=lambda t: ss.Estimate(*[np.column_stack([1 - t / 10, t / 10])] * 3))
    np.testing.assert_allclose(lines_of(by_rates)["right, theory"].get_ydata(), TIMES / 10)
    clean = looked([[90, 10, 0]] * 4).plot()
    assert "none of them" not in lines_of(clean)
    nothing = looked([[0, 0, 0]] * 4, [100] * 4).plot()
    assert words_of(nothing) == ["not known: 100 trajectories diverged"]


def test_occupancy_over_a_window_has_bars_with_intervals():
    visits = np.random.default_rng(0).multinomial(50, [0.5, 0.3, 0.2], (2, 30))
    window = TimeAverages(visits, np.full(30, 9), np.zeros(30, bool), np.ones((2, 30)), 50, 10.0, 30.0, 0.2)
    found = Occupancy(("left", "right"), window, NOWHERE, 0.1, 0.95, BY)
    ax = found.plot(theory=[0.7, 0.3])
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(heights, [*found.weight.value, found.unassigned.value])
    (bars,) = next(each for each in ax.containers if hasattr(each, "has_yerr")).lines[2]
    ends = np.array([each[:, 1] for each in bars.get_segments()[:2]])
    np.testing.assert_allclose(ends, np.column_stack([found.weight.low, found.weight.high]))
    assert [each.get_text() for each in ax.get_xticklabels()] == ["left", "right", "none of them"]
    assert [line.get_ydata()[0] for line in ax.get_lines() if "theory" in line.get_label()] == [0.7, 0.3]
    for theory in ([0.5], lambda t: t, "gibbs"):
        with pytest.raises(ValueError, match=r"theory must be the shares of the basins, of shape \(2,\)"):
            found.plot(theory=theory)
    with pytest.raises(ValueError, match="occupancy draws the dataset of an occupancy"):
        plotting.occupancy(xr.Dataset())


def counted(counts, low, high, shape, beyond=0):
    """A histogram of bins with these counts, (bins, groups), and as many `beyond` the range."""
    bins = Bins(np.atleast_1d(np.array(low, float)), np.atleast_1d(np.array(high, float)), shape)
    counts = np.asarray(counts).reshape(bins.inside, -1)
    rows = np.concatenate([counts, np.full((2 * len(shape), counts.shape[1]), beyond)])
    axes, groups = len(shape), counts.shape[1]
    moments, looks = np.ones((axes + axes * axes, groups)), rows.sum(axis=0)
    window = {"burn_in": 1.0, "horizon": 9.0, "every": 0.1, "time_step": 0.1, "confidence": 0.95, "provenance": BY}
    seen = {"unseen": 0.0, "diverged": 0, "trajectories": 100}
    return Histogram(bins, rows, rows // 2, moments, looks, np.zeros(axes), **seen, **window)


def test_a_density_on_a_line_has_steps_a_band_and_a_law():
    law = stats.norm(0, 0.5)
    edges = np.linspace(-2, 2, 17)
    counts = np.random.default_rng(1).multinomial(2_000, np.diff(law.cdf(edges)), 20).T
    found, ax = counted(counts, -2, 2, (16,)), axes()
    bowl = ss.Langevin(ss.landscapes.Quadratic([4.0]), 1.0)
    assert found.plot(ax, theory=bowl) is ax
    band, steps = ax.patches
    np.testing.assert_allclose(steps.get_data().values, found.density.value)
    np.testing.assert_allclose(steps.get_data().edges, edges)
    seen = found.density.value > 0
    np.testing.assert_allclose(band.get_data().values[seen], found.density.high[seen])
    np.testing.assert_allclose(band.get_data().baseline[seen], found.density.low[seen])
    # exp(−L/T)/Z of L = 2x², T = 1: a normal law
    points, density = lines_of(ax)["theory"].get_data()
    np.testing.assert_allclose(density, law.pdf(points), rtol=2e-3)
    assert integrate.trapezoid(density, points) == pytest.approx(1, abs=2e-3)
    assert ax.get_ylabel() == "probability density (1 / observable)"
    for theory in (law.pdf, found.density.value, ss.reference.FokkerPlanck(bowl, (-3, 3, 300))):
        points, density = lines_of(found.plot(theory=theory))["theory"].get_data()
        expected = found.density.value if isinstance(theory, np.ndarray) else law.pdf(points)
        np.testing.assert_allclose(density, expected, rtol=2e-2, atol=1e-6)
    for theory, words in (([1.0], r"an array of the bins' shape \(16,\)"), (lambda x: 1.0, "a density for each value"),
                          (ss.Langevin(PLANE, 1.0), "must be a diffusion of the 1 components binned, got dim = 2"),
                          (ss.LangevinSGD(WELLS, ss.noise.Diagonal([2.0]), 0.1, 1), "temperature")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            found.plot(theory=theory)


def test_a_density_in_a_plane_is_the_right_way_round():
    counts = np.arange(2 * 3)[:, None] * np.array([10, 12])
    found = counted(counts, [0, 0], [2, 3], (2, 3))
    ax = found.plot(axes(), theory=lambda points: 0.01 + points[:, 0] / 10)
    mesh = ax.collections[0]
    np.testing.assert_allclose(np.ma.filled(mesh.get_array(), 0), found.density.value.T)
    np.testing.assert_array_equal(mesh.get_coordinates()[0, :, 0], [0, 1, 2])
    np.testing.assert_array_equal(mesh.get_coordinates()[:, 0, 1], [0, 1, 2, 3])
    assert mesh.get_array().mask.sum() == 1
    # 0.1 is where the first value is 0.9, whatever the second
    (contour,) = (each for each in ax.collections[1:] if len(each.get_paths()) and len(each.get_paths()[0].vertices))
    np.testing.assert_allclose(contour.get_paths()[0].vertices[:, 0], 0.9, atol=1e-6)
    empty = counted(np.zeros((6, 2), int), [0, 0], [2, 3], (2, 3), beyond=5).plot()
    assert words_of(empty) == ["no value was seen in these bins"]
    with pytest.raises(ValueError, match="histogram draws the dataset of a histogram"):
        plotting.histogram(xr.Dataset())


# The network of minima


def network(locations, rates, low=0.8, high=1.25):
    rates = np.asarray(rates, float)
    bounds = ss.Estimate(rates, low * rates, np.where(rates == -1, 0.5, high * rates))
    value = np.where(rates == -1, 0.0, rates)
    bounds = ss.Estimate(value, np.maximum(bounds.low, 0), bounds.high)
    return Transitions(
        names=tuple("abcd"[: len(rates)]), locations=np.asarray(locations, float), cores=(), rates=bounds,
        exit_times=np.ones(len(rates)), settling_times=np.zeros(len(rates)), methods={}, findings=(), diverged=0,
        time_step=0.1, provenance=BY,
    )  # fmt: skip


def arrows_of(ax):
    """Words of each arrow, by the pair of points it goes between."""
    tips = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
    return [(np.array(text.xyann), np.array(text.xy)) for text in tips]


RATES = [[0, 0.3, 0.02], [0.1, 0, 0.5], [0.04, 0.2, 0]]


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_the_network_has_the_rates_on_its_arrows_and_shares_as_discs(dim):
    spots = np.array([[-1.0, 0, 3, 0, 1], [1.0, 0, 3, 0, 2], [0.2, 2.0, 1, 2, 4]])[:, :dim]
    found, ax = network(spots, RATES), axes()
    landscape = {1: WELLS, 2: PLANE}.get(dim)
    assert found.plot(ax, landscape=landscape) is ax
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    assert [word for word in words_of(ax) if word and "\n" not in word] == [f"{RATES[i][j]:.2g}" for i, j in pairs]
    discs = next(each for each in ax.collections if len(each.get_offsets()) == 3)
    places, areas = np.asarray(discs.get_offsets()), discs.get_sizes()
    if dim <= 2:
        np.testing.assert_allclose(places[:, 0], spots[:, 0])
    if dim == 1:
        np.testing.assert_allclose(places[:, 1], (spots[:, 0] ** 2 - 1) ** 2, atol=2e-2)
    share = found.stationary.value
    np.testing.assert_allclose(np.diff(areas) / np.diff(share), 2_600, rtol=1e-6)
    for (tail, tip), (i, j) in zip(arrows_of(ax), pairs, strict=True):
        # each goes from the first towards the second
        along = (places[j] - places[i]) * (np.array([1, 0]) if dim == 1 else 1)
        assert (tip - tail) @ along > 0.3 * along @ along
        if dim > 1:
            assert np.linalg.norm(tail - places[i]) < np.linalg.norm(tail - places[j])
    labels = [word for word in words_of(ax) if "\n" in word]
    assert labels[0] == f"a\n{share[0]:.3g} [{found.stationary.low[0]:.3g}, {found.stationary.high[0]:.3g}]"
    # the words of a disc are on the side away from the others
    for text, place in zip([each for each in ax.texts if "\n" in each.get_text()], places, strict=True):
        aside = np.array(text.get_position())
        assert aside @ (places.mean(axis=0) - place) < 0 or (dim == 1 and aside[1] < 0)
    inside = ax.get_ylim()[1]
    assert all(text.get_position()[1] < inside for text in ax.texts if text.get_text() and "\n" not in text.get_text())


def test_a_jump_that_was_never_seen_is_bounded_and_its_shares_are_not_known():
    found = network([[-1.0], [1.0]], [[0, 0.3], [-1, 0]])
    ax = found.plot()
    assert [word for word in words_of(ax) if word] == ["0.3", "< 0.5", "a\nshare not known", "b\nshare not known"]
    styles = [text.arrow_patch.get_linestyle() for text in ax.texts if getattr(text, "arrow_patch", None)]
    assert styles == ["solid", ":"]
    ax.figure.draw_without_rendering()


def test_a_network_refuses_a_landscape_of_another_dimension():
    with pytest.raises(ValueError, match="landscape must have the dim = 1 of the minima, got dim = 2"):
        network([[-1.0], [1.0]], [[0, 1], [1, 0]]).plot(landscape=PLANE)
    with pytest.raises(ValueError, match="landscape must be left out where minima have more than 2 components"):
        network(np.eye(3)[:2], [[0, 1], [1, 0]]).plot(landscape=PLANE)
    with pytest.raises(ValueError, match="transitions draws the dataset of transitions between minima"):
        plotting.transitions(xr.Dataset())


# Landscapes


def test_a_landscape_on_a_line_is_its_loss_up_to_its_pass():
    ax = axes()
    region = ss.regions.HalfSpace([1.0], 0.3)
    assert plotting.landscape(WELLS, ax, minima=[[-1.0], [1.0]], saddles=[0.0], bounds=(-3, 3), regions=region) is ax
    curve, edge, *_ = ax.get_lines()
    x, loss = curve.get_data()
    np.testing.assert_allclose(loss, (x**2 - 1) ** 2, rtol=1e-4, atol=1e-5)
    assert (x[0], x[-1]) == (-3, 3) and 1.3 < ax.get_ylim()[1] < 2.5 and -0.5 < ax.get_ylim()[0] < 0
    assert edge.get_xdata()[0] == pytest.approx(0.3, abs=1e-5)
    np.testing.assert_allclose(lines_of(ax)["minimum"].get_xydata(), [[-1, 0], [1, 0]], atol=1e-6)
    np.testing.assert_allclose(lines_of(ax)["saddle"].get_xydata(), [[0, 1]], atol=1e-6)


def test_contours_in_a_plane_show_wells_and_pass_whatever_the_walls():
    """Of equal steps up to the corner's 82 two would lie below the pass at 1; here most do, and levels rise."""
    minima = ss.landscapes.find_minima(PLANE, [[-1.0, 0.0], [1.0, 0.0]])
    ball = ss.regions.Ball([1.0, 0.5], 0.4)
    given = {"bounds": ((-3, 3), (-2, 2)), "minima": {"left": minima[0], "right": minima[1]}, "regions": {"ball": ball}}
    ax = plotting.landscape(PLANE, **given)
    filled = ax.collections[0]
    levels, saddle = filled.levels, 1.02
    lowest, highest = minima[0].loss, 64.6 + 8 + 0.6
    assert len(levels) == 24 and np.all(np.diff(levels) > 0) and np.sum(levels < saddle) >= 10
    assert np.sum(np.linspace(lowest, highest, 24) < saddle) <= 2
    assert levels[0] == pytest.approx(lowest, abs=1e-2) and levels[-1] == pytest.approx(highest, rel=1e-2)
    at = filled.norm(levels)
    assert np.all(np.diff(at) > 0) and np.ptp(np.diff(at)) < 0.02 * np.ptp(at)
    places = lines_of(ax)["minimum"].get_xydata()
    np.testing.assert_allclose(places, [minima[0].location, minima[1].location])
    assert words_of(ax) == ["left", "right"]
    edges = [each.get_paths()[0].vertices for each in ax.collections if list(getattr(each, "levels", [])) == [0.0]]
    np.testing.assert_allclose(np.linalg.norm(edges[0] - [1.0, 0.5], axis=1), 0.4, atol=2e-3)
    assert ax.get_xlim() == (-3, 3) and ax.get_ylim() == (-2, 2)
    assert len(ax.figure.axes) == 2 and ax.figure.axes[1].get_ylabel() == "loss"
    # the first component along the first axis
    assert np.ptp(places[:, 0]) > 1.9 and np.ptp(places[:, 1]) < 1e-6


def test_minima_are_looked_for_where_nothing_is_given():
    places = lines_of(plotting.landscape(WELLS))["minimum"].get_xdata()
    np.testing.assert_allclose(np.sort(places), [-1, 1], atol=1e-8)
    slope = ss.landscapes.Landscape(lambda x: x[0], 1)
    with pytest.raises(ValueError, match="bounds or minima must be given where no minimum is found"):
        plotting.landscape(slope)
    assert plotting.landscape(slope, bounds=(0, 1)).get_xlim() == (0, 1)


def test_levels_where_there_is_one_well_or_none():
    x = np.linspace(-3, 3, 601)
    bowl = levels_of(x**2)
    assert bowl[0] == pytest.approx(0, abs=1e-3) and bowl[-1] == 9 and np.sum(bowl < 3.1) >= 15
    assert np.all(np.diff(levels_of(np.full(10, 3.0))) > 0) and np.all(np.diff(levels_of(np.full(10, np.nan))) > 0)
    np.testing.assert_array_equal(levels_of(x, [0.0, 1.0, 4.0]), [0, 1, 4])


def test_what_a_landscape_cannot_be_drawn_with_is_told_in_a_sentence():
    for change, words in (
        ({"bounds": (2, 1)}, r"bounds must be \(low, high\) with low < high, got \(2, 1\)"),
        ({"bounds": ((0, 1), (0, 1))}, "bounds must be"),
        ({"minima": [[0.0, 1.0]]}, r"minima must be finite points of shape \(1,\), got \[0. 1.\] of shape \(2,\)"),
        ({"saddles": [[np.nan]]}, "saddles must be finite points"),
        ({"minima": 3}, "minima must be finite points"),
        ({"bounds": (0, 1), "levels": 2}, "levels must be a whole number of at least 4, or rising losses"),
        ({"bounds": (0, 1), "levels": [2.0, 1.0]}, "levels must be"),
        ({"bounds": (0, 1), "regions": 3}, "regions must be a region, or a mapping from names to regions, got 3"),
        ({"ax": "here"}, "ax must be matplotlib axes"),
    ):
        with pytest.raises(ValueError, match=words):
            plotting.landscape(WELLS, **change)
    with pytest.raises(ValueError, match="landscape must have 1 or 2 dimensions to be drawn, got dim = 3"):
        plotting.landscape(ss.landscapes.Quadratic([1.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="landscape must be a landscape"):
        plotting.landscape(lambda x: x)


# Paths


def test_paths_in_a_plane_are_where_the_trajectories_were():
    given = np.random.default_rng(0).normal(size=(20, 3, 2))
    given[12:, 1] = np.nan
    ax = axes()
    assert plotting.paths(given, PLANE, ax, thick=[False, True, False]) is ax
    # the thick one comes last, up to where it stopped being finite, where it has a cross
    first, last, thick, cross = ax.get_lines()
    np.testing.assert_array_equal(first.get_xydata(), given[:, 0])
    np.testing.assert_array_equal(last.get_xydata(), given[:, 2])
    np.testing.assert_array_equal(thick.get_xydata(), given[:12, 1])
    np.testing.assert_array_equal(cross.get_xydata(), given[11:12, 1])
    assert cross.get_marker() == "x" and thick.get_linewidth() > first.get_linewidth()
    assert len(ax.collections) and ax.get_aspect() == 1.0
    ragged = plotting.paths([given[:5, 0], given[:9, 2]])
    assert [len(line.get_xdata()) for line in ragged.get_lines()] == [5, 9] and not len(ragged.collections)


def test_paths_on_a_line_are_over_time():
    given, times = np.random.default_rng(0).normal(size=(20, 3, 1)), np.arange(20) * 0.25
    ax = plotting.paths(given, WELLS, times=times)
    for number, line in enumerate(ax.get_lines()):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([times, given[:, number, 0]]))
    assert ax.get_xlabel() == "SDE time t" and ax.get_xlim() == (0, times[-1])
    assert plotting.paths(given).get_xlabel() == "number of the point"
    pieces = [ss.passage.Branch(times[:7] + 1, given[:7, 0], 0, True)]
    (line,) = plotting.paths(pieces).get_lines()
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([times[:7] + 1, given[:7, 0, 0]]))
    lost = plotting.paths(np.full((4, 2, 1), np.nan))
    assert words_of(lost) == ["none of 2 paths is finite"]


def test_what_paths_cannot_draw_is_told_in_a_sentence():
    given = np.zeros((4, 2, 1))
    for change, words in (
        ({"paths": np.zeros((4, 2))[:, 0]}, r"paths must be of shape \(n_times, trajectories, dim\), or a list"),
        ({"paths": []}, "paths must be of shape .* got none"),
        ({"paths": [np.zeros((3, 1)), np.zeros((3, 2))]}, "paths must be of shape"),
        ({"paths": np.zeros((4, 2, 3))}, "paths must have dim 1 or 2 to be drawn, got 3: choose two components"),
        ({"times": [1.0]}, r"times must be of shape \(4,\), a time for each point of a path, got shape \(1,\)"),
        ({"values": [1.0]}, r"values must be numbers of shape \(2,\), one for each path"),
        ({"thick": [True]}, r"thick must be of shape \(2,\), one for each path"),
        ({"landscape": PLANE}, "landscape must have the dim = 1 of the paths, got dim = 2"),
        ({"ax": 3}, "ax must be matplotlib axes"),
    ):
        with pytest.raises(ValueError, match=words):
            plotting.paths(**({"paths": given} | change))


# Training, and reductions of a person's own


@pytest.fixture(scope="module")
def trained():
    """Two learning rates, of which the larger makes every network diverge, and two batch sizes."""
    generator = np.random.default_rng(0)
    risk = ss.EmpiricalRisk(jnp.zeros(1), lambda w, x, y: (w @ x - y) ** 2 / 2, np.ones((8, 1)), np.arange(8.0))
    thetas = generator.lognormal(size=(2, 2, 1, 6, 1))
    thetas[1] = np.inf
    grid, whole = Grid.of([0.1, 2.5], [2, 8], 0.0), np.ones(thetas.shape[:-1], int)
    stop = ss.training.Steps(300)
    return Training(risk, grid, np.zeros((6, 1)), thetas, 300 * whole, whole == 1, stop, "replacement", BY)


def test_the_law_of_a_measure_is_that_of_the_networks(trained):
    ax = axes()
    assert trained.plot(ax, measure="distance") is ax
    law, each = trained.law("distance"), trained.measure("distance").distance
    assert [container.get_label() for container in ax.containers] == ["γ = 0.1", "γ = 2.5"]
    line, _, (bars,) = ax.containers[0].lines
    kept = law.sel(learning_rate=0.1)
    np.testing.assert_allclose(line.get_ydata(), kept.distance)
    np.testing.assert_allclose(line.get_xdata(), np.array([2, 8]) / 1.02**0.5)
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, np.column_stack([kept.distance_low, kept.distance_high]))
    points = ax.get_lines()[0].get_ydata()
    np.testing.assert_allclose(np.sort(points), np.sort(each.sel(learning_rate=0.1).values.ravel()))
    _, low, high = band_of(ax)
    np.testing.assert_allclose([low, high], [kept["distance_quantile_0.25"], kept["distance_quantile_0.75"]])
    assert words_of(ax) == ["×6", "×6"] and ax.get_xlabel() == "batch size M (examples)"
    assert ax.get_ylabel() == "mean of distance from the start (θ)"


def test_a_training_without_numbers_says_so(trained):
    data = trained.to_dataset("loss")
    lost = plotting.training_law(data.isel(learning_rate=[1]))
    assert words_of(lost)[-1] == "no network has a number: 12 of 12 diverged"
    assert plotting.training_law(data.isel(batch_size=[0])).get_xlabel() == "learning rate γ (SDE time per iteration)"
    one = plotting.training_law(data.isel(batch_size=[0], learning_rate=[0]))
    assert one.containers[0].get_label() == "mean" and one.get_legend() is None
    with pytest.raises(ValueError, match="measure must be of loss, those of the dataset, got 'sharpness'"):
        plotting.training_law(data, "sharpness")
    with pytest.raises(ValueError, match="training_law draws the dataset of a training"):
        plotting.training_law(xr.Dataset())
    with pytest.raises(ValueError, match="measures must be of"):
        trained.plot(measure="nothing")
    own = ss.training.Measure(lambda risk, thetas, starts: thetas[:, 0] ** 2, "θ²", "square of θ, of the first of it")
    points = trained.plot(measure=own).get_lines()[0].get_ydata()
    np.testing.assert_allclose(points, trained.thetas[0, :, 0, :, 0].ravel() ** 2)


def test_a_reduction_is_drawn_over_its_looks_or_its_trajectories():
    times = np.array([1.0, 2.0, 4.0])
    estimate = ss.Estimate([1.0, 2.0, 3.0], [0.5, 1.5, 2.5], [1.5, 2.5, 3.5])
    ax = axes()
    assert Reduced(estimate, times, 50, 0, BY).plot(ax) is ax
    np.testing.assert_array_equal(ax.get_lines()[0].get_xydata(), [[1, 1], [2, 2], [4, 3]])
    np.testing.assert_array_equal(band_of(ax)[1:], [[0.5, 1.5, 2.5], [1.5, 2.5, 3.5]])
    columns = Reduced(np.arange(6.0).reshape(3, 2), times, 50, 0, BY).plot()
    np.testing.assert_array_equal([line.get_ydata() for line in columns.get_lines()], [[0, 2, 4], [1, 3, 5]])
    law = Reduced(np.append(np.arange(49.0), np.nan), times, 50, 0, BY).plot()
    assert sum(bar.get_height() for bar in law.patches) == 49
    assert words_of(Reduced(np.full(3, np.nan), times, 50, 0, BY).plot()) == ["no value is finite"]
    for value, found in ((np.zeros(7), r"shape \(7,\)"), ("words", "str"), (3.0, r"shape \(\)")):
        with pytest.raises(ValueError, match=rf"value must have a number for each of 3 looks .* got {found}"):
            Reduced(value, times, 50, 0, BY).plot()


# All of them


def results():
    return [each for each in AbstractResult.__subclasses__() if each.__module__.startswith("sde_sgd.")]


def test_every_result_has_its_picture_and_says_how():
    assert len(results()) >= 10
    for each in results():
        assert "plot" in vars(each) and "Example:" in each.plot.__doc__, each
    for name in ("survival", "occupancy", "histogram", "transitions", "training_law", "reduced", "landscape", "paths"):
        assert "Example:" in getattr(plotting, name).__doc__ and "Returns the axes" in getattr(plotting, name).__doc__


def test_drawing_changes_no_setting_and_shows_nothing():
    before = dict(matplotlib.rcParams)
    ax = arrived().plot()
    assert ax.figure.canvas.manager is None and dict(matplotlib.rcParams) == before


def test_results_load_no_matplotlib_and_figures_of_stored_ones_no_jax():
    rooms = "landscapes, passage, stationary, training, theory, engine, study"
    code = f"import sys; from sde_sgd import {rooms}; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys, sde_sgd.plotting; assert not {'jax', 'matplotlib.pyplot'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
