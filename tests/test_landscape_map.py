"""The drawn map of an exploration, by its data."""

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.polynomial import Polynomial

from sde_sgd import plotting
from sde_sgd.landscapes import Landscape, ThreeHole, explore

# CASES A1: a deep well behind the start, and the way out on its other side
FORCE = 6 * Polynomial.fromroots([-1.4, 0, 1, 2.3])
SHALLOW_THEN_DEEP = Landscape(lambda x: sum(c * x[0] ** n for n, c in enumerate(FORCE.integ().coef.tolist())), dim=1)


@pytest.fixture(scope="module")
def three_hole():
    return explore(ThreeHole(), [-1.0, 0.0])


def test_the_map_in_one_and_two_dimensions(three_hole):
    """By its data: minima, saddles and ways are where the exploration has them, and shares are widths."""
    data = three_hole.to_dataset()
    np.testing.assert_allclose(data.loss.sel(x=-1.048, y=-0.042, method="nearest"), -3.995, atol=2e-3)
    (panel, _) = plotting.landscape_map(data).axes
    lines = {line.get_label(): line.get_xydata() for line in panel.get_lines()}
    np.testing.assert_allclose(lines["minimum"], [minimum.location for minimum in three_hole.minima])
    np.testing.assert_allclose(lines["saddle"], [way.saddle.location for way in three_hole.connections])
    np.testing.assert_allclose(lines["way down from a saddle"], three_hole.paths[0])
    shared = plotting.landscape_map(data.assign(share=("saddle", [0.2, 0.7, 0.2]))).axes[0]
    widths = [line.get_linewidth() for line in shared.get_lines() if "way" in line.get_label()]
    np.testing.assert_allclose(widths, [0.6 + 6 * share for share in (0.2, 0.7, 0.2)])
    assert "70%" in [text.get_text() for text in shared.texts]
    ax = Figure().subplots()
    assert three_hole.plot(ax, shares=[0.2, 0.7, 0.2]) is ax and ax.get_legend() is not None
    assert [line.get_linewidth() for line in ax.get_lines() if "way" in line.get_label()] == widths
    with pytest.raises(ValueError, match=r"shares must be of shape \(3,\), one for each saddle, got \[1.0\]"):
        three_hole.plot(shares=[1.0])

    behind = explore(SHALLOW_THEN_DEEP, [0.0])
    (panel,) = plotting.landscape_map(behind.to_dataset()).axes
    lines = {line.get_label(): line for line in panel.get_lines()}
    np.testing.assert_allclose(lines["minimum"].get_xdata(), [0, 2.3], atol=1e-9)
    np.testing.assert_allclose(lines["minimum"].get_ydata(), [m.loss for m in behind.minima], atol=5e-3)
    assert lines["way to no minimum"].get_linestyle() == "--"
    low, high = panel.get_ylim()
    assert low < behind.minima[1].loss and high > behind.exits[0].saddle.loss and high - low < 60


@pytest.mark.long
def test_the_map_beyond_two_dimensions_is_the_plane_of_the_ways(three_hole):
    """Three holes turned into four dimensions: distances between minima and saddles in the plane are those in space."""
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    surface = Landscape(lambda x: ThreeHole().loss((jnp.asarray(turn, x.dtype) @ x)[:2])
                        + 2 * jnp.sum((jnp.asarray(turn, x.dtype) @ x)[2:] ** 2), 4)  # fmt: skip
    found = explore(surface, turn.T @ np.array([-1.0, 0, 0, 0]))
    assert len(found.minima) == 3 and len(found.connections) == 3
    (panel,) = plotting.landscape_map(found.to_dataset()).axes
    lines = {line.get_label(): line.get_xydata() for line in panel.get_lines()}
    for label, points in (("minimum", three_hole.minima), ("saddle", [way.saddle for way in three_hole.connections])):
        where = np.array([point.location for point in points])
        expected = np.linalg.norm(where[:, None] - where, axis=2)
        np.testing.assert_allclose(np.linalg.norm(lines[label][:, None] - lines[label], axis=2), expected, atol=2e-3)


def test_a_map_needs_an_exploration(three_hole):
    with pytest.raises(ValueError, match="landscape_map draws the dataset of an exploration"):
        plotting.landscape_map(three_hole.to_dataset().drop_dims("saddle"))
