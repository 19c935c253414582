"""Results draw themselves: what is drawn has the result's numbers, on the axes given, and says where there are none."""

import subprocess
import sys

import jax.numpy as jnp
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from plot_cases import BY, PLANE, WELLS, axes, band_of, lines_of, words_of
from scipy import integrate, stats

import sde_sgd as ss
from sde_sgd import plotting
from sde_sgd.engine import DIVERGED, Reduced, StopCode
from sde_sgd.passage import DirectSample, FirstPassage, SplittingSample, Watch
from sde_sgd.results import AbstractResult, Verdict
from sde_sgd.stationary import Histogram, Occupancy
from sde_sgd.stationary._at_times import AtTimes
from sde_sgd.stationary._bins import Bins
from sde_sgd.stationary._time_averages import TimeAverages
from sde_sgd.stationary._unassigned_minima import UnassignedMinima
from sde_sgd.training import Training
from sde_sgd.training._grid import Grid

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
    ends = (300 * whole, whole == 1, 1.0 * whole, 1.0, 1 / grid.batch_size)
    return Training(risk, grid, np.zeros((6, 1)), thetas, *ends, stop, "replacement", BY)


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
    assert ax.get_xticks().tolist() == [2, 8]
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


def test_a_result_draws_on_pyplots_figure_and_changes_no_setting():
    """A notebook shows what pyplot knows at the end of a cell, a script by `plt.show()`."""
    before = dict(matplotlib.rcParams)
    ax = arrived().plot()
    assert plt.get_fignums() == [ax.figure.number] and plt.gca() is ax and dict(matplotlib.rcParams) == before
    assert plotting.landscape(PLANE, bounds=((-2, 2), (-1, 1))).figure.number in plt.get_fignums()
    own = axes()
    arrived().plot(own)
    assert len(plt.get_fignums()) == 2


def test_figures_of_studies_are_not_among_pyplots():
    """They are many, and nobody would close them."""
    for steps in (1, 2):
        panels = plotting.survival_curves(passage(np.full(9, steps), np.full(9, StopCode.TARGET)).to_dataset())
        assert panels.axes and not plt.get_fignums()
    data = ss.theory.minimum_action(ss.Langevin(WELLS, 0.1), [-1.0], [0.5]).to_dataset()
    assert plotting.minimum_action_path(data).axes and not plt.get_fignums()
    data = ss.landscapes.explore(WELLS, [-1.0], height=2.0).to_dataset()
    figure = plotting.landscape_map(data)
    assert figure.axes and not plt.get_fignums()
    # which a notebook shows where it is a cell's last value
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_rooms_load_neither_matplotlib_nor_xarray_and_figures_of_stored_results_no_jax():
    rooms = "landscapes, passage, stationary, training, theory, engine, study"
    heavy = {"matplotlib", "xarray", "pandas", "scipy.stats"}
    code = f"import sys; from sde_sgd import {rooms}; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys, sde_sgd.plotting; assert not {'jax', 'matplotlib.pyplot'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
