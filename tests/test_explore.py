"""Explored landscapes against critical points that are published, known in closed form or found by a grid of starts."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Polynomial
from parameters import quick
from polynomials import in_the_plane, on_the_line
from scipy.integrate import solve_ivp

import sde_sgd as ss
from sde_sgd.landscapes import (
    Landscape,
    MullerBrown,
    Quadratic,
    Rastrigin,
    ThreeHole,
    TwoWells,
    explore,
    find_minima,
)
from sde_sgd.landscapes._searches import End, Searches

# CASES A1, A14: a deep well behind the start, and one beyond the second
SHALLOW_THEN_DEEP = on_the_line((6 * Polynomial.fromroots([-1.4, 0, 1, 2.3])).integ())
THIRD_BEYOND = on_the_line(Polynomial.fromroots([-1, -0.2, 0.7, 1.9, 2.8]).integ())
WELLS = {
    2: in_the_plane(lambda x: (x[0] ** 2 - 1) ** 2 + (x[1] ** 2 - 1) ** 2),
    4: Landscape(lambda x: jnp.sum((x**2 - 1) ** 2), 4),
}
MONKEY = in_the_plane(lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2 + (x[0] ** 2 + x[1] ** 2) ** 2)
CUBIC = in_the_plane(lambda x: x[0] ** 2 / 2 - x[0] ** 3 / 3 + x[1] ** 2)


@pytest.fixture(scope="module")
def three_hole():
    return explore(ThreeHole(), [-1.0, 0.0])


def locations(points):
    return np.array(sorted(np.round(point.location, 6).tolist() for point in points)) + 0.0


def test_three_hole(three_hole):
    """The published minima and saddles, which saddle joins which, and both ways round (CASES A2)."""
    found = three_hole
    assert found.status is ss.Status.COMPLETE and np.all(found.searched) and np.isinf(found.searched_to)
    np.testing.assert_allclose([point.location for point in found.minima], [[-1.04805, -0.04209], [0, 1.53708],
                               [1.04805, -0.04209]], atol=5e-6)  # fmt: skip
    joined = {(way.first, way.second): way for way in found.connections}
    assert list(joined) == [(0, 1), (0, 2), (1, 2)] and len(found.connections) == 3
    for pair, location, loss in (
        ((0, 1), [-0.61727, 1.10273], -1.64669),
        ((1, 2), [0.61727, 1.10273], -1.64669),
        ((0, 2), [0.0, -0.31583], -1.38459),
    ):
        saddle = joined[pair].saddle
        np.testing.assert_allclose([*saddle.location, saddle.loss], [*location, loss], atol=5e-6)
        assert saddle.index == 1 and saddle.gradient_norm < 1e-9
        barriers = [joined[pair].barrier_from_first, joined[pair].barrier_from_second]
        np.testing.assert_allclose(barriers, [saddle.loss - found.minima[end].loss for end in pair])
    # to the upper minimum, and to the other side, over the upper saddles
    np.testing.assert_allclose(found.passes, [found.minima[0].loss, -1.646687, -1.646687], atol=1e-6)


def test_muller_brown():
    """Minima in a row: two saddles, and a third pair that no saddle joins."""
    found = explore(MullerBrown(), [-0.5, 1.5])
    assert found.status is ss.Status.COMPLETE and len(found.minima) == 3 and not found.exits
    saddles = {(way.first, way.second): [*way.saddle.location, way.saddle.loss] for way in found.connections}
    np.testing.assert_allclose(saddles[0, 1], [-0.822001558733, 0.624312802814, -40.664843508657], rtol=1e-9)
    np.testing.assert_allclose(saddles[1, 2], [0.212486582001, 0.292988325107, -72.248940112325], rtol=1e-9)
    assert len(saddles) == 2


@pytest.mark.long
def test_a_well_behind_and_one_beyond():
    """CASES A1 and A14: the wells that nobody named, and the side from which the loss falls without bound."""
    behind = explore(SHALLOW_THEN_DEEP, [0.0])
    np.testing.assert_allclose([point.location[0] for point in behind.minima], [0, 2.3], atol=1e-9)
    np.testing.assert_allclose([way.saddle.location[0] for way in behind.connections], [1.0], atol=1e-9)
    (out,) = behind.exits
    assert out.minimum == 0 and out.leads_to == "the loss descends without bound"
    np.testing.assert_allclose(out.saddle.location, [-1.4], atol=1e-9)
    assert behind.status is ss.Status.INCOMPLETE and "descends without bound" in behind.result
    # 3.37 and 14.26 above the start's minimum
    assert not explore(SHALLOW_THEN_DEEP, [0.0], height=3.36).connections
    below = explore(SHALLOW_THEN_DEEP, [0.0], height=3.38)
    assert len(below.minima) == 2 and not below.exits and below.status is ss.Status.COMPLETE

    beyond = explore(THIRD_BEYOND, [-1.0])
    np.testing.assert_allclose([point.location[0] for point in beyond.minima], [-1, 0.7, 2.8], atol=1e-9)
    assert [(way.first, way.second) for way in beyond.connections] == [(0, 1), (1, 2)]
    assert beyond.status is ss.Status.COMPLETE


@pytest.mark.parametrize("dim", quick([2, 4], 2))
def test_separable_double_wells(dim):
    """2^d minima and d·2^(d−1) saddles, each with one component on the barrier and all others in a well."""
    found = explore(WELLS[dim], np.ones(dim))
    assert found.status is ss.Status.COMPLETE
    assert {tuple(np.round(point.location).astype(int)) for point in found.minima} == set(
        itertools.product([-1, 1], repeat=dim)
    )
    assert len(found.minima) == 2**dim and len(found.connections) == dim * 2 ** (dim - 1)
    for way in found.connections:
        across = found.minima[way.first].location - found.minima[way.second].location
        assert np.sum(np.abs(across) > 1) == 1 and np.sum(np.abs(way.saddle.location) < 1e-9) == 1
        assert way.saddle.loss == pytest.approx(1, abs=1e-12)
    assert found.passes.max() == pytest.approx(1, abs=1e-12)


@pytest.mark.long
def test_coupled_wells_in_four_dimensions():
    """16 minima, found by descents from all their corners too; each saddle is where a grid of others has it."""
    chain = Landscape(lambda x: jnp.sum((x**2 - 1) ** 2) + 0.1 * jnp.sum((x[1:] - x[:-1]) ** 2), 4)
    found = explore(chain, np.ones(4))
    expected = find_minima(chain, np.array(list(itertools.product([-1.0, 1.0], repeat=4))))
    np.testing.assert_allclose(locations(found.minima), locations(expected), atol=1e-6)
    assert len(expected) == 16 and len(found.connections) == 32 and found.status is ss.Status.COMPLETE


@pytest.mark.long
@pytest.mark.parametrize("dim", [10, 50])
def test_two_wells_in_many_dimensions(dim):
    """One saddle, whatever the number of stable directions beside it."""
    surface = TwoWells(dim=dim)
    found = explore(surface, np.asarray(surface.sharp_minimum))
    assert found.status is ss.Status.COMPLETE and len(found.minima) == 2
    (way,) = found.connections
    np.testing.assert_allclose(way.saddle.location, np.asarray(surface.saddle, np.float64), atol=1e-6)
    assert way.barrier_from_first == pytest.approx(1, abs=1e-6)


def test_the_scale_of_the_loss_does_not_matter():
    for scale in (2.0**-30, 2.0**20):
        found = explore(MullerBrown(scale), [-0.5, 1.5], height=scale * 107)
        assert len(found.minima) == 3 and len(found.connections) == 2 and found.status is ss.Status.COMPLETE


@pytest.mark.long
def test_random_wells_against_a_grid_of_newton_searches():
    """Every minimum and saddle of three surfaces of 25 random Gaussian wells, from 2,500 starts of Newton's method."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        places, depths, widths = rng.uniform(-2.5, 2.5, (25, 2)), rng.uniform(0.3, 2, 25), rng.uniform(0.12, 0.4, 25)
        surface = ss.landscapes.GaussianWells(places, depths, widths, 0.2)
        points, index = newton_from_a_grid(surface, 4.0, 50)
        found = explore(surface, points[index == 0][0], seed=seed)
        assert found.status is ss.Status.COMPLETE
        saddles = np.array([way.saddle.location for way in found.connections])
        for known in points[index == 0]:
            assert found.number_of(known) is not None
        for known in points[index == 1]:
            assert np.min(np.linalg.norm(saddles - known, axis=1)) < 1e-6
        assert len(found.minima) >= np.sum(index == 0) and len(saddles) >= np.sum(index == 1)


def newton_from_a_grid(surface, half, number):
    """Distinct critical points of a surface in a square, (n, 2), and the index of each."""
    axis = np.linspace(-half, half, number)
    starts = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    with jax.enable_x64(True):
        surface = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), surface)

        def step(point, _):
            move = jnp.linalg.solve(surface.hessian(point), surface.gradient(point))
            return point - move * jnp.minimum(1, 0.1 / jnp.linalg.norm(move)), None

        ends = jax.jit(jax.vmap(lambda start: jax.lax.scan(step, start, length=100)[0]))(starts)
        steep = np.linalg.norm(jax.jit(jax.vmap(surface.gradient))(ends), axis=1)
        values = np.linalg.eigvalsh(jax.jit(jax.vmap(surface.hessian))(ends))
    good = (steep < 1e-9) & np.all(np.abs(ends) < half, axis=1)
    ends, values = np.asarray(ends)[good], values[good]
    _, kept = np.unique(np.round(ends, 5), axis=0, return_index=True)
    return ends[kept], np.sum(values[kept] < 0, axis=1)


def test_the_height_is_exact():
    """Saddles of 1 and 1.5 above the start: just above and just below each."""
    surface = in_the_plane(lambda x: (x[0] ** 2 - 1) ** 2 + 1.5 * (x[1] ** 2 - 1) ** 2)
    for height, minima in ((1 - 1e-9, 1), (1 + 1e-9, 2), (1.5 - 1e-9, 2), (1.5 + 1e-9, 4)):
        found = explore(surface, [1.0, 1.0], height=height)
        assert len(found.minima) == minima and found.height == pytest.approx(height)
        assert found.status is ss.Status.COMPLETE
        if minima < 4:
            assert found.lowest_above == pytest.approx(1.0 if minima == 1 else 1.5, abs=1e-8)


def test_a_monkey_saddle_is_named():
    """CASES A13: no passes, one degenerate point, and the three minima around it."""
    found = explore(MONKEY, [-1.0, 0.0])
    assert not found.connections and not found.exits
    (point,) = found.degenerate
    np.testing.assert_allclose(point.point.location, 0, atol=1e-6)
    assert point.minima == (0, 1, 2) and len(found.minima) == 3
    assert found.status is ss.Status.INCOMPLETE and "a monkey saddle or another degenerate" in found.result
    np.testing.assert_allclose([minimum.loss for minimum in found.minima], -27 / 256, rtol=1e-12)


REFUSED = {
    "a ring of minima": (Landscape(lambda x: (jnp.sum(x**2) - 1) ** 2, 2), [1.0, 0.5], "a valley or ring of minima"),
    "a flat region": (Landscape(lambda x: jnp.maximum(jnp.sum(x**2) - 1, 0) ** 2, 2), [2.0, 0.3], "a flat region"),
    "a quartic": (on_the_line(Polynomial([0, 0, 0, 0, 1])), [1.0], "a degenerate minimum"),
    "no bound": (in_the_plane(lambda x: x[0] ** 2 - x[1] ** 2), [0.3, 0.1], "descends without bound"),
    "no gradient": (Landscape(lambda x: jnp.sqrt(x[0]), 1), [-1.0], "its loss is nan|is not finite"),
}


@pytest.mark.parametrize("name", quick(REFUSED, "a quartic", "no bound", "no gradient"))
def test_a_start_above_no_isolated_minimum_is_refused(name):
    surface, start, words = REFUSED[name]
    with pytest.raises(ValueError, match=f"start = .* must lead down to .*({words})"):
        explore(surface, start)


LEADS = {
    "without bound": (CUBIC, "the loss descends without bound"),
    "not finite": (
        in_the_plane(lambda x: x[0] ** 2 / 2 - x[0] ** 3 / 3 + x[1] ** 2, wall=2.0),
        "the loss or its derivatives are not finite or jump",
    ),
    # on the line x = 2
    "a valley": (
        in_the_plane(lambda x: (x[0] - 2) ** 2 * (x[0] ** 2 + x[1] ** 2)), "there is a valley or ring of minima",
    ),
    "a flat region": (
        Landscape(lambda x: jnp.where(jnp.sum(x**2) < 4, jnp.sum(x**2) * (1 - jnp.sum(x**2) / 4) ** 3
                  * (1 + 0.1 * x[0]), 0.0), 2), "there is a flat region",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", quick(LEADS, "without bound", "not finite", "a valley"))
def test_what_lies_beyond_a_saddle_is_named(name):
    surface, words = LEADS[name]
    found = explore(surface, [0.1, 0.1])
    assert found.exits and all(words in out.leads_to for out in found.exits)
    assert found.status is ss.Status.INCOMPLETE and words in found.result
    for out in found.exits:
        assert out.minimum == 0 and out.saddle.index == 1
        assert out.barrier == pytest.approx(out.saddle.loss - found.minima[0].loss)


def test_a_wall_below_the_height_is_named_and_one_above_is_not():
    """A loss that is not a number beyond x = 2, where it is 4: nobody knows what lies there."""
    surface = in_the_plane(lambda x: x[0] ** 2 + x[1] ** 2, wall=2.0)
    found = explore(surface, [0.1, 0.1])
    assert "climbs ended where the loss or its derivatives are not finite" in found.result
    assert explore(surface, [0.1, 0.1], height=3.0).status is ss.Status.COMPLETE


def test_a_saddle_back_to_the_same_minimum():
    """A tilted ring: one minimum, and the saddle on the other side, from which both ways lead there."""
    found = explore(in_the_plane(lambda x: (x[0] ** 2 + x[1] ** 2 - 1) ** 2 + 0.1 * x[0]), [-1.0, 0.3])
    (way,) = found.connections
    assert (way.first, way.second) == (0, 0) and len(found.minima) == 1 and way.saddle.location[0] > 0.9


def test_out_of_budget():
    """A bowl of 0.995²-spaced wells: the lowest are searched first, and the level up to which is said."""
    found = explore(Rastrigin(2), [0.0, 0.0], max_searches=200)
    assert found.status is ss.Status.BUDGET_SPENT and "raise max_searches" in found.result
    assert found.searches <= 200 and 0 < found.searched.sum() < len(found.minima)
    assert found.searched_to == pytest.approx(found.passes[~found.searched].min() - found.minima[0].loss)
    np.testing.assert_array_equal(found.passes, np.sort(found.passes))
    none = explore(Rastrigin(2), [0.0, 0.0], max_searches=10)
    assert none.status is ss.Status.BUDGET_SPENT and len(none.minima) == 1 and none.searched_to == 0


def test_hopeless_dimensions_are_said_to_be():
    found = explore(Landscape(lambda x: jnp.sum(x**2), 1_000), np.ones(1_000))
    assert found.status is ss.Status.INCOMPLETE and "1000 components" in found.result
    assert not found.minima and found.ways(ss.regions.Ball(np.zeros(1_000), 1.0)) == () and found.searched_to == 0


def test_states_show_what_no_way_below_the_height_reaches():
    """Three holes below the lower saddle: the states' minima are named, and no way to them is made up."""
    found = explore(ThreeHole(), [-1.0, 0.0], height=2.3, states=[[1.0, 0.0], [0.1, 1.5], [1.1, 0.1]])
    assert len(found.minima) == 3 and list(np.isinf(found.passes)) == [False, True, True]
    # the two others are joined over the right upper saddle only if that is below the height
    assert not found.connections and "to 2 of the minima no way" in found.result
    assert found.ways(1) == ()
    lost = explore(CUBIC, [0.0, 0.0], height=0.1, states=[[3.0, 0.0], [0.1, 0.0]])
    assert "1 of the states lead down to where the loss descends without bound" in lost.result


def test_seeds():
    """The same seed gives the same exploration, another one the same critical points."""
    first, same, other = (explore(WELLS[2], [1.0, 1.0], seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.finds, same.finds)
    assert first.finds.tolist() != other.finds.tolist()
    np.testing.assert_allclose(locations(first.minima), locations(other.minima), atol=1e-6)


def test_descents_follow_the_gradient_flow():
    """Points of a descent from Müller and Brown's higher saddle lie on the flow's line, by an adaptive integrator."""
    found = explore(MullerBrown(), [-0.5, 1.5])
    path = found.paths[0]
    gradient = jax.jit(jax.grad(found.landscape.loss))
    middle = len(path) // 2
    np.testing.assert_allclose(path[middle], found.connections[0].saddle.location, atol=1e-9)
    for side in (path[middle::-1], path[middle:]):
        flow = solve_ivp(
            lambda _, x: -np.asarray(gradient(jnp.asarray(x)), np.float64), (0, 0.5), side[1], method="LSODA",
            rtol=1e-5, atol=1e-5, dense_output=True,
        )  # fmt: skip
        line = flow.sol(np.geomspace(1e-7, 0.5, 10_001)).T
        away = [np.min(np.linalg.norm(line - point, axis=1)) for point in side[1:]]
        # a line of length 1: what corners of the polygon cut
        assert max(away) < 5e-3
        straight = side[1] + np.linspace(0, 1, 33)[:, None] * (side[-1] - side[1])
        assert max(np.min(np.linalg.norm(line - point, axis=1)) for point in straight) > 2e-2


def test_searches_say_how_they_end():
    with jax.enable_x64(True):
        searches = Searches(Quadratic([1.0, 3.0]))
        climbs = searches.climb(np.zeros(2), np.eye(2), np.ones(2))
        assert set(climbs.ends) == {End.NOTHING}
        down = searches.descend(np.array([[1.0, 2.0], [np.nan, 0.0]]))
    assert list(down.ends) == [End.CONVERGED, End.NOT_FINITE]
    np.testing.assert_allclose(down.points[0], 0, atol=1e-9)


@pytest.mark.long
def test_ways(three_hole):
    """Both ways from hole to hole, the lower one first, as points over the saddles; and into regions."""
    over, straight = three_hole.ways(2)
    assert (over.minima, straight.minima) == ((0, 1, 2), (0, 2))
    assert over.barrier == pytest.approx(3.994861 - 1.646687, abs=1e-5)
    assert straight.barrier == pytest.approx(3.994861 - 1.384587, abs=1e-5)
    assert straight.highest is straight.saddles[0] and len(three_hole.ways(2, most=1)) == 1
    for way in (over, straight):
        points = way.path(41)
        assert points.shape == (41, 2)
        np.testing.assert_allclose(points[[0, -1]], [three_hole.minima[0].location, three_hole.minima[2].location])
        spacing = np.linalg.norm(np.diff(points, axis=0), axis=1)
        np.testing.assert_allclose(spacing, spacing.mean(), rtol=0.05)
        losses = np.asarray(jax.vmap(three_hole.landscape.loss)(jnp.asarray(way.points)))
        assert losses.max() == pytest.approx(way.highest.loss, abs=1e-5)
    right = three_hole.ways(ss.regions.HalfSpace([-1.0, 0.0], -0.5))
    assert [way.leads_to for way in right] == ["the region"] * 2
    assert all(way.points[-1][0] > 0.5 and np.all(way.points[:-1, 0] <= 0.5) for way in right)
    assert three_hole.ways(three_hole.minima[2])[0].minima == three_hole.ways([1.04805, -0.04209])[0].minima
    assert three_hole.number_of([5.0, 5.0]) is None


def test_a_way_out():
    """A1's target beyond the saddle behind which the loss has no bound."""
    found = explore(SHALLOW_THEN_DEEP, [0.0])
    (way,) = found.ways(ss.regions.HalfSpace([1.0], -1.4))
    assert way.minima == (0,) and way.barrier == pytest.approx(14.263312, abs=1e-5)
    assert found.ways(ss.regions.HalfSpace([-1.0], -9.0)) == ()


def test_bad_targets(three_hole):
    for target, words in (
        (0, "target must be a number from 1 to 2, got 0"),
        ([3.0, 3.0], "got none at"),
        ([-1.04805, -0.04209], "got the one below the start"),
        (ss.regions.HalfSpace([1.0, 0.0], 0.0), "target must not hold the minimum below the start"),
    ):
        with pytest.raises(ValueError, match=words):
            three_hole.ways(target)
    with pytest.raises(ValueError, match="images must be at least 3, got 2"):
        three_hole.ways(2)[0].path(2)


def test_bad_arguments():
    surface = WELLS[2]
    for options, words in (
        ({"height": -1.0}, "height must be a finite number above 0, got -1.0"),
        ({"max_searches": 0}, "max_searches must be a whole number of at least 1"),
        ({"states": [[1.0]]}, r"states must be of shape \(n, 2\)"),
        ({"seed": -1}, "seed must be"),
        ({"start": [1.0]}, "start must have shape"),
    ):
        with pytest.raises(ValueError, match=words):
            explore(surface, **({"start": [1.0, 1.0]} | options))


def test_it_prints_what_it_found(three_hole):
    text = str(three_hole)
    for words in ("3, of which 3 were searched", "3 between two minima", "saddles 3.0", "complete", "found twice"):
        assert words in text, words
