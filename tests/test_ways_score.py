"""The score along all ways over saddles: heights that compare between ways, and two channels in many dimensions."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from statistical import agrees

import sde_sgd as ss
from sde_sgd.passage.splitting import _equilibration
from sde_sgd.scores import Farthest, WaysScore, choose

HOLES = ss.landscapes.ThreeHole()
LEFT, RIGHT, TOP = np.array([-1.04805, -0.04209]), np.array([1.04805, -0.04209]), np.array([0.0, 1.53708])
LOW, HIGH = np.array([-0.61727, 1.10273]), np.array([0.0, -0.31583])
TEMPERATURE, DT, BEYOND = 0.25, 0.01, 0.75


def turned(dim):
    """Three holes in a plane of `dim` dimensions, along no axis, and stiff quadratic directions across."""
    turn = np.linalg.qr(np.random.default_rng(dim).standard_normal((dim, dim)))[0]
    stiff = np.linspace(2, 8, dim - 2)

    def loss(x):
        y = jnp.asarray(turn, x.dtype) @ x
        return HOLES.loss(y[:2]) + 0.5 * jnp.sum(jnp.asarray(stiff, x.dtype) * y[2:] ** 2)

    return ss.landscapes.Landscape(loss, dim), turn


def langevin(landscape):
    return ss.LangevinSGD.at_temperature(landscape, TEMPERATURE)


@functools.cache
def passage(dim, score=None):
    """The mean time from the left hole beyond a line short of the right one, in the plane of the holes."""
    landscape, turn = turned(dim)
    start = (turn.T @ np.r_[LEFT, np.zeros(dim - 2)]).astype(np.float32)
    if score is not None:
        score = score(landscape, start, turn.T @ np.r_[RIGHT, np.zeros(dim - 2)])
    return ss.escape(
        ss.EulerMaruyama(langevin(landscape), DT), start, ss.regions.HalfSpace(turn[0], BEYOND), rtol=0.12, seed=1,
        monitoring="continuous", method="splitting", score=score,
    )  # fmt: skip


@functools.cache
def exact():
    """Of the plane alone: the directions across it are independent of what is asked."""
    solver = ss.reference.FokkerPlanck(langevin(HOLES), [(-2.2, 2.2, 120), (-1.6, 2.6, 120)])
    return float(solver.mean_exit_time(ss.regions.HalfSpace([1.0, 0.0], BEYOND), LEFT))


def near_exact(found):
    """4 standard errors, of about 6 % each, beside 4 % of step and grid."""
    error = (found.mean_exit_time.high - found.mean_exit_time.low) / (2 * 1.96)
    return agrees(found.mean_exit_time.value, exact(), error, bias=0.04 * exact())


@pytest.fixture
def hasty(monkeypatch):
    """No basin here is slow to be found, and the search for one takes most of the time."""
    for name in ("_WATCHED", "_WATCHED_AT_LEAST"):
        monkeypatch.setattr(_equilibration, name, 2**20)


@pytest.mark.long
def test_two_channels_in_many_dimensions(hasty):
    """The higher way, straight, and the lower one round by the upper hole, each about half of the passages.

    In 10 dimensions it is one of the problems of `python -m benchmarks.validation battery`.
    """
    found = passage(4)
    assert found.score == "ways" and "2 ways over saddles" in found.score_reason and found.result == "complete"
    assert "held against level" in found.score_check and "held against level" in str(found)
    assert found.to_dataset().attrs["score_reason"] == found.score_reason
    assert near_exact(found), found.mean_exit_time.value / exact()


@pytest.mark.long
def test_one_way_alone_finds_half(hasty):
    """The broken twin: a score along the straight way, as precise, as `complete`, and 1.5 times too long."""
    found = passage(4, ss.scores.path)
    assert found.score == "path" and found.score_reason == "as given" and found.score_check == ""
    assert found.result == "complete" and found.mean_exit_time.value > 1.3 * exact() and not near_exact(found)


@eqx.filter_jit
def at(score, place):
    return score(jnp.asarray(place))


@pytest.fixture(scope="module")
def explored():
    return ss.landscapes.explore(HOLES, LEFT)


def test_ways_are_made_comparable(explored):
    """What is left to climb to each way's highest saddle, so that both saddles stand at 0 and both ends at one value.

    Twin: heights from the beginning, by which the higher way's saddle counts 0.26 more than the lower one's.
    """
    found = explored.ways(ss.regions.Ball(RIGHT, 0.1))
    score = ss.scores.ways(HOLES, *found, images=65)
    assert isinstance(score, WaysScore) and score.number == len(found) == 2
    low, high = (way.barrier for way in found)
    assert high - low == pytest.approx(0.2621, abs=1e-3)
    values = {name: float(at(score, place)) for name, place in
              {"start": LEFT, "low": LOW, "high": HIGH, "end": RIGHT}.items()}  # fmt: skip
    climb = float(-np.min(score.points.heights))
    second = float(at(HOLES.loss, LOW) - at(HOLES.loss, TOP))
    assert climb == pytest.approx(min(high, low + second), abs=2e-3)
    assert values["start"] == pytest.approx(-climb, abs=1e-3)
    assert values["high"] == pytest.approx(0.0, abs=0.05)
    # the lower way has still to climb out of the upper hole
    assert values["low"] == pytest.approx(-second, abs=0.05)
    assert values["end"] == pytest.approx(0.1 * climb, abs=0.01)
    one, other = (ss.scores.path(HOLES, LEFT, *between, RIGHT) for between in ((), (TOP,)))
    from_the_start = Farthest((one, other))
    assert abs(float(at(from_the_start, HIGH) - at(from_the_start, LOW))) > 0.2


@pytest.mark.long
def test_it_rises_along_each_way(explored):
    """From where the higher one has climbed as much as sets them apart; what both pass has one height."""
    found = explored.ways(2)
    score = ss.scores.ways(HOLES, *found)
    for way in found:
        values = np.asarray(jax.vmap(score)(jnp.asarray(way.path(33))))
        assert np.all(np.diff(values) > -0.02) and values[-1] - values[0] > 2.5
    gradient = jax.grad(score)(jnp.array([50.0, -80.0]))
    assert np.all(np.isfinite(gradient)) and np.isnan(score(jnp.array([jnp.nan, 0.0])))
    # two ways whose first half is one: no point is there twice
    leg = ss.landscapes.Way((0, 1), found[0].saddles, found[0].points, found[0].barrier)
    again = ss.scores.ways(HOLES, *found, leg)
    assert len(again.points.points) == len(score.points.points)


def test_the_nearest_way_counts_and_not_the_furthest(explored):
    """Half-way up the straight way no other is nearer, however far on the furthest one of them is.

    Twin: the largest of the scores of each way alone.
    """
    found = explored.ways(2)
    both, alone = ss.scores.ways(HOLES, *found), [ss.scores.ways(HOLES, way) for way in found]
    place = jnp.asarray(found[1].path(33)[12])
    right = float(at(alone[1], place))
    assert float(at(both, place)) == pytest.approx(right, abs=0.1)
    assert float(at(Farthest(tuple(alone)), place)) >= right


def test_where_ways_run_together_the_best_one_counts():
    """Of two that part at (1, 0) one has 1 to climb from there and the other 2; a tenth of the climb is shared out."""
    ramp = ss.landscapes.Landscape(lambda x: x[0] + jnp.maximum(x[1], 0), 2)
    found = [ss.landscapes.Way((0, 1), (), np.array([[0.0, 0], [1, 0], [2, side]]), 2.0) for side in (-1.0, 1.0)]
    for order in (found, found[::-1]):
        points = ss.scores.ways(ramp, *order, images=25).points
        parting = np.linalg.norm(points.points - np.array([1.0, 0.0]), axis=1).argmin()
        assert float(points.heights[parting]) == pytest.approx(-1 + 0.2 * 0.4, abs=0.06)


WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
TILTED = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 - x[0], dim=1)


def bowl(dim):
    return ss.landscapes.Landscape(lambda x: 0.5 * jnp.sum(x**2), dim)


def in_space(x, factors):
    wells, squares = factors
    return wells * (x[0] ** 2 - 1) ** 2 + jnp.sum(squares * x**2)


def beyond(side):
    return ~ss.regions.HalfSpace([0.0, 1.0, 0.0], side)


# one program: a bowl; and two wells 2 apart, of which a target cuts the bowl around the left one below the saddle
BOWL, CRATER = (
    ss.landscapes.Landscape(in_space, 3, (np.float64(wells), np.array(squares)))
    for wells, squares in ((0.0, [0.5, 0.5, 0.5]), (1.0, [0.0, 0.3, 0.3]))
)
ONE, OTHER = -np.eye(3)[0], np.eye(3)[0]


@pytest.mark.parametrize(
    ("landscape", "start", "target", "reason"),
    [
        (BOWL, np.zeros(3), ~ss.regions.Ball(np.zeros(3), 2.0), "no ways over saddles: of 1 minima that an explor"),
        pytest.param(
            CRATER, ONE, ss.regions.Ball(OTHER, 0.3) | beyond(1.0), "entered uphill where", marks=pytest.mark.long
        ),
        (CRATER, ONE, ~ss.regions.Ball(ONE, 0.3), "the target begins before the first saddle"),
        (None, np.zeros(3), ss.regions.Ball(OTHER, 0.3), "the chain has no landscape"),
        (bowl(301), np.zeros(301), ss.regions.Ball(np.eye(301)[0], 0.3), "301 components"),
    ],
    ids=["only uphill", "lower uphill", "in the basin", "no landscape", "too many components"],
)  # fmt: skip
def test_why_there_are_none(landscape, start, target, reason):
    """Where ways over saddles would miss how the target is entered, the level function serves, and says why."""
    diffusion = ss.diffusions.ItoDiffusion(lambda x, t: -x, lambda x, t: 1.0 + 0 * x, len(start))
    chain = ss.EulerMaruyama(langevin(landscape) if landscape else diffusion, DT)
    chosen = choose(chain, start, target)
    assert reason in chosen.reason
    assert chosen.score is None or isinstance(chosen.score, ss.scores.PathScore)


def test_a_wall_higher_than_the_saddle_hides_no_way():
    """The twin of a wall that is lower: entered uphill at 0.3·2², above the saddle at 1."""
    target = ss.regions.Ball(OTHER, 0.3) | beyond(2.0)
    assert isinstance(choose(ss.EulerMaruyama(langevin(CRATER), DT), ONE, target).score, WaysScore)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (ss.regions.Ball([1.0], 0.4), type(None)),
        (~ss.regions.HalfSpace([1.0], 0.5), type(None)),
        (~ss.regions.Ball([-1.0], 0.7), ss.scores.GridScore),
        (ss.regions.Ball([1.0], 0.4) | ss.regions.HalfSpace([1.0], -1.8), ss.scores.GridScore),
        (ss.regions.Sublevel(TILTED, -0.9), ss.scores.GridScore),
    ],
    ids=["one side", "a half-line", "all round", "both sides", "a level that rises on the way"],
)
def test_on_the_line(target, kind):
    """`plain`: the level function where it orders states as the committor does, from one end to the other."""
    chain = ss.EulerMaruyama(langevin(WELL), DT)
    assert type(choose(chain, np.array([-1.0]), target, horizon=5.0, plain=True).score) is kind
    assert type(choose(chain, np.array([-1.0]), target, horizon=5.0).score) is ss.scores.GridScore


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda found: ss.scores.ways(HOLES), "ways must be one or more, got none"),
        (lambda found: ss.scores.ways(HOLES, found[0].points), r"ways\[0\] must be one of Exploration.ways"),
        (lambda found: ss.scores.ways(CRATER, *found), r"ways\[0\] must have two points or more, of 3 components"),
        (lambda found: ss.scores.ways(HOLES, *found, images=2), "images must be at least 3, got 2"),
        (lambda found: ss.scores.ways(HOLES, *found, width=0.0), "width must be a finite number above 0"),
    ],
)  # fmt: skip
def test_bad_input(explored, call, message):
    with pytest.raises(ValueError, match=message):
        call(explored.ways(2))
