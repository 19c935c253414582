"""Networks of minima, landscapes and paths on axes: what is drawn is where it is, and at what losses."""

import numpy as np
import pytest
import xarray as xr
from plot_cases import BY, PLANE, WELLS, axes, lines_of, words_of

import sde_sgd as ss
from sde_sgd import plotting
from sde_sgd.plotting._surface import levels_of
from sde_sgd.stationary import Transitions

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
    # an edge is that of the interval it lies in, where a level is no straight line
    bent = plotting.landscape(WELLS, axes(), bounds=(-3, 3), regions=ss.regions.Sublevel(WELLS, 0.5))
    edges = [line.get_xdata()[0] for line in bent.get_lines()[1:5]]
    exact = np.sqrt(1 + np.array([1, -1, -1, 1]) * 0.5**0.5) * [-1, -1, 1, 1]
    np.testing.assert_allclose(edges, exact, atol=5e-4)


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
    for one in (pieces, pieces[0]):
        ax = plotting.paths(one)
        (line,) = ax.get_lines()
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([times[:7] + 1, given[:7, 0, 0]]))
        assert ax.get_xlabel() == "SDE time t"
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
