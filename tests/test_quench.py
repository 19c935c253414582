"""To which minimum the gradient flow leads, against an independent integration of the flow."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import sde_sgd as ss
from sde_sgd.landscapes import check_minima
from sde_sgd.stationary import _basins, quench_to

SURFACE = ss.landscapes.MullerBrown()
NEAR = [[-0.558, 1.442], [0.623, 0.028], [-0.05, 0.467]]
LANES = 1_024
LEFT, RIGHT = [-1.5, -0.5], [1.2, 2.0]


def slope(_, point):
    """−∇L of Müller and Brown (1979), written out in float64 without the library."""
    height, x0, y0 = np.array([-200.0, -100.0, -170.0, 15.0]), np.array([1, 0, -0.5, -1]), np.array([0, 0.5, 1.5, 1])
    a, b, c = np.array([-1, -1, -6.5, 0.7]), np.array([0, 0, 11, 0.6]), np.array([-10, -10, -6.5, 0.7])
    x, y = point[0] - x0, point[1] - y0
    terms = height * np.exp(a * x**2 + b * x * y + c * y**2)
    return -np.array([np.sum(terms * (2 * a * x + b * y)), np.sum(terms * (b * x + 2 * c * y))])


def minimum_of_flow(point, minima):
    """The minimum that the flow reaches, followed until it is so near that it cannot leave any more."""

    def gap(_, point):
        return min(np.linalg.norm(point - minimum.location) for minimum in minima) - 0.02

    gap.terminal = True
    done = solve_ivp(slope, (0, 9), np.asarray(point, np.float64), "LSODA", events=gap, rtol=1e-8, atol=1e-10)
    gaps = [np.linalg.norm(done.y[:, -1] - minimum.location) for minimum in minima]
    assert min(gaps) < 0.021
    return int(np.argmin(gaps))


def assigned(quench, points, dtype=np.float32):
    """Labels and ends of the flow, always of 1024 points at once, so that few programs are compiled."""
    filled = np.resize(np.asarray(points, dtype), (LANES, 2))
    label, ends = _basins.ENDS.prepare(quench)(filled.T)
    return np.asarray(label)[: len(points)], np.asarray(ends).T[: len(points)]


@pytest.fixture(scope="module")
def minima():
    return check_minima("minima", SURFACE, NEAR)


@pytest.fixture(scope="module")
def quench(minima):
    return quench_to(SURFACE, minima)


def test_points_all_over_the_plane(quench, minima):
    """100 points drawn evenly: the same minimum as the flow's. Twin: the nearest minimum, wrong for at least 5 %."""
    points = np.random.default_rng(4).uniform(LEFT, RIGHT, (100, 2)).astype(np.float32)
    flow = np.array([minimum_of_flow(point, minima) for point in points])
    label, _ = assigned(quench, points)
    assert np.array_equal(label, flow)
    nearest = _basins.NearestBasins(np.stack([minimum.location for minimum in minima]))
    assert np.mean(np.asarray(nearest.label(jnp.asarray(points.T))) != flow) > 0.05


@pytest.mark.parametrize("ends", [(0, 2), (2, 1)])
def test_the_edge_of_a_basin_is_where_the_flow_has_it(quench, minima, ends):
    """On the line between two minima the label changes once, within 1e-4 of where the flow's changes.

    Twin: a flow whose steps may be wrong by 0.1, which moves the edge by more than 1e-3.
    """
    first, last = (minima[number].location for number in ends)
    low, high = 0.0, 1.0
    for _ in range(15):
        middle = (low + high) / 2
        inside = minimum_of_flow(first + middle * (last - first), minima) == ends[0]
        low, high = (middle, high) if inside else (low, middle)
    place = low + np.linspace(-0.01, 0.01, LANES)
    label, _ = assigned(quench, first + place[:, None] * (last - first))
    assert set(label) == set(ends) and np.sum(np.diff(label) != 0) == 1
    found = place[np.argmax(label == ends[1])]
    assert abs(found - low) * np.linalg.norm(last - first) < 1e-4
    sloppy = eqx.tree_at(lambda quench: quench.tolerance, quench, 0.1)
    broken = place[np.argmax(assigned(sloppy, first + place[:, None] * (last - first))[0] != ends[0])]
    assert abs(broken - low) * np.linalg.norm(last - first) > 1e-3


def test_what_flows_elsewhere_ends_at_the_minimum_that_was_not_given(minima):
    """Without the third minimum its basin is elsewhere, and the flow's ends are that minimum."""
    points = np.random.default_rng(5).uniform(LEFT, RIGHT, (512, 2)).astype(np.float32)
    whole, _ = assigned(quench_to(SURFACE, minima), points)
    label, ends = assigned(quench_to(SURFACE, minima[:2]), points)
    assert np.array_equal(label, whole)
    assert np.sum(whole == 2) > 50
    assert np.all(np.linalg.norm(ends[whole == 2] - minima[2].location, axis=1) < 1e-2)


def test_a_trap_lies_in_its_basin(quench, minima):
    """Every point of a fine circle just inside a trap flows to its minimum, and the trap is not tiny."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for number, (minimum, radius) in enumerate(zip(minima, quench.traps, strict=True)):
        assert radius > 0.1
        assert {minimum_of_flow(minimum.location + radius * point, minima) for point in circle} == {number}


def test_a_point_does_not_depend_on_its_neighbours(quench):
    points = np.random.default_rng(6).uniform(LEFT, RIGHT, (256, 2)).astype(np.float32)
    label, ends = assigned(quench, points)
    order = np.random.default_rng(7).permutation(256)
    for part in (order[:64], order[64:128]):
        alone, alone_ends = assigned(quench, points[part])
        assert np.array_equal(alone, label[part])
        assert np.array_equal(alone_ends, ends[part])


def test_points_far_off_and_not_finite(quench):
    """A steep wall at distance 1e3 is descended; what has no finite gradient belongs to no minimum."""
    bowl = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2, dim=2)
    wells = quench_to(bowl, check_minima("minima", bowl, [[-1.0, 0.0], [1.0, 0.0]]))
    points = [[-1e3, 1e3], [1e3, 1e-3], [np.nan, 0], [np.inf, 1], [-1e-3, 5], [1e-3, 5]]
    label, _ = assigned(wells, points)
    assert list(label) == [0, 1, 2, 2, 0, 1]


def test_double_precision_agrees(quench):
    points = np.random.default_rng(8).uniform(LEFT, RIGHT, (500, 2)).astype(np.float32)
    single, _ = assigned(quench, points)
    with jax.enable_x64(True):
        label, _ = assigned(quench, points, np.float64)
    assert np.mean(label == single) > 0.995


def test_many_minima():
    """The lattice of Rastrigin's minima: each point near one belongs to it."""
    egg = ss.landscapes.Rastrigin(2, 10.0)
    lattice = np.array(list(itertools.product([-1.0, 0.0, 1.0], repeat=2)))
    quench = quench_to(egg, check_minima("minima", egg, lattice))
    points = lattice[:, None] + np.random.default_rng(9).uniform(-0.45, 0.45, (9, 20, 2))
    label, _ = assigned(quench, points.reshape(-1, 2))
    assert np.array_equal(label, np.repeat(np.arange(9), 20))


BAD = {
    "a saddle": ([[-0.822, 0.6243]], r"minima\[0\] must be a minimum, got a saddle or a point near one at \[-0.822"),
    "the same twice": ([NEAR[0], NEAR[1], [-0.56, 1.45]], r"minima must be different, got minima\[0\] and minima\[2\]"),
    "another shape": ([[1.0]], r"minima\[0\] must have shape \(2,\), got shape \(1,\)"),
    "a word": (["here"], r"minima\[0\] must be real numbers of shape \(2,\), got 'here'"),
    "none": ([], "minima must be at least one minimum"),
    "a number": (3.0, "minima must be at least one minimum"),
}


@pytest.mark.parametrize("case", BAD)
def test_minima_that_are_none(case):
    given, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        check_minima("minima", SURFACE, given)


def test_flat_directions_and_maxima():
    flat = ss.landscapes.Landscape(lambda x: (x[0] * x[1] - 1) ** 2, dim=2)
    with pytest.raises(ValueError, match=r"minima\['valley'\] = .* flat direction"):
        check_minima("minima", flat, {"valley": [1.0, 1.0]})
    hill = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
    with pytest.raises(ValueError, match=r"got a maximum at \[0\.\]"):
        check_minima("minima", hill, [[0.0]])
