"""Which way passages take: against the reactive current of the exact committor; and where their time goes, drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_two_sets_over_basins import made

import sde_sgd as ss
from sde_sgd import plotting
from sde_sgd.landscapes import ThreeHole, explore
from sde_sgd.passage import way_shares
from sde_sgd.passage.splitting._way_shares import _ratio, _Ways
from sde_sgd.results import Provenance, Verdict

LEFT, RIGHT, T = np.array([-1.048, -0.042]), np.array([1.048, -0.042]), 0.25
HOLES = ThreeHole()
LAW = ss.Langevin(HOLES, T)


@pytest.fixture(scope="module")
def holes():
    return explore(HOLES, LEFT, height=3.0)


def exact():
    """Of the current e^(−L/T)∇q through the middle line, q the committor, the share that passes above."""
    solver = ss.reference.FokkerPlanck(LAW, [(-2.4, 2.4, 121), (-1.9, 2.8, 121)])
    committor = solver.committor(ss.regions.Ball(RIGHT, 0.3), ss.regions.Ball(LEFT, 0.3))
    heights, step = np.linspace(-1.8, 2.7, 300), 0.04
    left, middle, right = (np.column_stack([np.full(300, x), heights]) for x in (-step, 0.0, step))
    rise = committor(right) - committor(left)
    current = np.exp(-np.asarray(jax.vmap(HOLES.loss)(jnp.asarray(middle)), np.float64) / T) * rise
    return current[heights > 0.6].sum() / current.sum()


@pytest.mark.long
def test_shares_of_the_two_ways_of_three_holes(holes):
    """Within 3.3/1.96 half-widths of 95 % (1 in 1,000). Twin: half of each, rejected."""
    chain = ss.EulerMaruyama(LAW, 0.005)
    found = way_shares(chain, LEFT, ss.regions.Ball(RIGHT, 0.3), holes, trajectories=6_144, seed=1)
    above = exact()
    assert above == pytest.approx(0.45, abs=0.01)
    half = (found.high - found.low) / 2
    for way, value, width in zip(holes.connections, found.value, half, strict=True):
        truth = above if 1 in (way.first, way.second) else 1 - above
        # what wanders from one way to the other counts for both
        assert abs(value - truth) < 1.68 * width + 0.03 and abs(value - truth / 2) > 3 * width


@pytest.mark.long
def test_past_a_set_to_avoid_the_other_way_has_all(holes):
    """By the level function, which sees that way alone; of intervals at 99 %."""
    chain, target = ss.EulerMaruyama(LAW, 0.01), ss.regions.Ball(RIGHT, 0.3)
    top = next(point.location for point in holes.minima if point.location[1] > 1)
    avoid = ss.regions.Ball(top, 0.3)
    found = way_shares(
        chain, LEFT, target, holes, avoid, trajectories=1_024, seed=1, confidence=0.99, score="level"
    )  # fmt: skip
    round_about = np.array([1 in (way.first, way.second) for way in holes.connections])
    assert np.all(found.value[~round_about] > 0.99) and np.all(found.value[round_about] < 0.1)
    assert found.confidence == 0.99


@pytest.mark.long
def test_ways_are_told_apart_by_their_upper_halves(holes):
    ways = _Ways(holes)
    saddles = np.array([way.saddle.location for way in holes.connections])
    assert ways.near(saddles + 0.02).tolist() == [0, 1, 2]
    minima = np.array([point.location for point in holes.minima])
    assert ways.near(np.concatenate([minima, [[np.nan, 0.0]]])).tolist() == [-1] * 4
    alone = explore(ss.landscapes.Quadratic([1.0, 1.0]), [0.5, 0.0])
    assert _Ways(alone).near(minima).tolist() == [-1] * 3


def test_a_ratio_over_repetitions_by_hand():
    """Three repetitions of 1, 2, 3 with a half each: a quarter; nothing at all is between 0 and 1."""
    found = _ratio(np.full((3, 1), 0.5), np.array([1.0, 2.0, 3.0]), 0.95)
    left = (0.5 - 0.25 * np.array([1.0, 2.0, 3.0])) / 2
    half = 4.302653 * left.std(ddof=1) / np.sqrt(3)
    assert found.value[0] == 0.25 and found.high[0] == pytest.approx(0.25 + half, rel=1e-6) and found.low[0] == 0
    nothing = _ratio(np.zeros((3, 2)), np.zeros(3), 0.95)
    assert np.all(np.isnan(nothing.value)) and nothing.low.tolist() == [0, 0] and nothing.high.tolist() == [1, 1]


def test_what_cannot_be_asked(holes):
    chain = ss.EulerMaruyama(ss.Langevin(ss.landscapes.Quadratic([1.0]), T), 0.01)
    target = ~ss.regions.HalfSpace([1.0], 2.0)
    with pytest.raises(ValueError, match="exploration must be one of a landscape with 1 components"):
        way_shares(chain, [0.0], target, holes)
    with pytest.raises(ValueError, match="trajectories must be at least 256, got 100"):
        way_shares(ss.EulerMaruyama(LAW, 0.01), LEFT, ss.regions.Ball(RIGHT, 0.3), holes, trajectories=100)


def test_the_time_in_basins_is_drawn():
    """A bar of each basin's share, and the mean time."""
    seen = made([[0, 3.0, 1e-3, 1.0], [2.0, 0, 1e-3, 1e-9], [0] * 4, [0] * 4], [1_024, 0, 0, 0])
    result = ss.passage.FirstPassage(seen, Verdict(), Provenance.of(0, "splitting", 1, 0.0))
    data = result.to_dataset([1.0])
    (panel,) = plotting.time_in_basins(data).axes
    np.testing.assert_allclose([bar.get_width() for bar in panel.patches], seen.time_shares.value)
    assert "complete" in panel.get_title() and f"{float(result.mean_exit_time):.3g}" in panel.get_title()
    with pytest.raises(ValueError, match="time_in_basins draws the dataset of a first passage over several"):
        plotting.time_in_basins(data.drop_dims("basin"))
