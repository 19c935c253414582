"""Minima and saddles found numerically against published and prescribed ones, and every refusal."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss
from sde_sgd.landscapes import (
    CriticalPoint,
    GaussianWells,
    Landscape,
    MullerBrown,
    Quadratic,
    Rastrigin,
    StyblinskiTang,
    ThreeHole,
    TwoWells,
    _critical_points,
    _string,
    find_minima,
    find_saddle,
)

# Müller and Brown's surface: location and loss of its minima, deepest first, and of its two saddles
MULLER_BROWN_MINIMA = [
    ([-0.558223634633, 1.441725841804], -146.699517209954),
    ([0.623499404931, 0.028037758529], -108.166724116852),
    ([-0.050010822998, 0.466694104870], -80.767818129659),
]
MULLER_BROWN_SADDLES = {
    (0, 2): ([-0.822001558733, 0.624312802814], -40.664843508657),
    (1, 2): ([0.212486582001, 0.292988325107], -72.248940112325),
}


@pytest.fixture(scope="module")
def muller_brown_minima():
    return find_minima(MullerBrown(), [[-0.5, 1.5], [0.6, 0.0], [0.0, 0.5], [-0.6, 1.3]])


def _check(point, location, loss, index, atol=1e-9):
    assert isinstance(point, CriticalPoint)
    assert point.location.dtype == np.float64
    np.testing.assert_allclose(point.location, location, atol=atol)
    np.testing.assert_allclose(point.loss, loss, rtol=1e-12, atol=1e-10)
    assert point.gradient_norm <= 1e-10 * max(1.0, abs(point.eigenvalues).max())
    assert point.index == index
    np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(point.hessian)), point.eigenvalues, rtol=1e-12)
    np.testing.assert_allclose(point.log_det, np.linalg.slogdet(point.hessian)[1], rtol=1e-10, atol=1e-12)


def test_muller_brown_minima(muller_brown_minima):
    """Three minima from four starts, two of which share one, sorted by loss."""
    assert len(muller_brown_minima) == 3
    for point, (location, loss) in zip(muller_brown_minima, MULLER_BROWN_MINIMA, strict=True):
        _check(point, location, loss, index=0)


@pytest.mark.parametrize("pair", [(0, 2), (1, 2), (0, 1)])
def test_muller_brown_saddles(muller_brown_minima, pair):
    """The pass of each neighbouring pair; from end to end, the higher of the two that lie on the path."""
    saddle = find_saddle(MullerBrown(), *(muller_brown_minima[i] for i in pair))
    _check(saddle, *MULLER_BROWN_SADDLES.get(pair, MULLER_BROWN_SADDLES[0, 2]), index=1)


def test_scale_does_not_matter():
    """The same surface a billion times lower and a million times higher has its critical points in place."""
    for scale in (2.0**-30, 2.0**20):
        landscape = MullerBrown(scale)
        minima = find_minima(landscape, [[-0.5, 1.5], [0.0, 0.5]])
        for point, (location, loss) in zip(minima, (MULLER_BROWN_MINIMA[0], MULLER_BROWN_MINIMA[2]), strict=True):
            np.testing.assert_allclose(point.location, location, atol=1e-9)
            np.testing.assert_allclose(point.loss, scale * loss, rtol=1e-12)
        saddle = find_saddle(landscape, *minima)
        np.testing.assert_allclose(saddle.location, MULLER_BROWN_SADDLES[0, 2][0], atol=1e-9)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_two_wells(dim):
    with jax.enable_x64(True):
        wells = TwoWells(25.0, 2.0, 1.5, 0.25, dim=dim, flat_transverse_curvature=3.0)
        sharp, flat, pass_ = (np.asarray(x) for x in (wells.sharp_minimum, wells.flat_minimum, wells.saddle))
    minima = find_minima(wells, [flat + 0.1, sharp - 0.05, flat - 0.2])
    assert len(minima) == 2
    _check(minima[0], sharp, 0.0, index=0)
    _check(minima[1], flat, 0.25, index=0)
    np.testing.assert_allclose(minima[0].eigenvalues, [25.0] * dim, rtol=1e-10)
    np.testing.assert_allclose(minima[1].eigenvalues, [2.0] + [3.0] * (dim - 1), rtol=1e-10)
    saddle = find_saddle(wells, *minima)
    _check(saddle, pass_, 1.5, index=1)
    np.testing.assert_allclose(saddle.eigenvalues[0], -50.0 / 27.0, rtol=1e-8)


def test_float32_numbers_are_taken_as_they_are():
    """A landscape built in float32 is the one whose float32 numbers it holds, to float64 precision."""
    wells = TwoWells(depth_difference=0.3)
    assert wells.separation.dtype == jnp.float32
    minima = find_minima(wells, [wells.sharp_minimum, wells.flat_minimum])
    assert minima[0].location[0] == pytest.approx(-np.float64(wells.separation) / 2, abs=1e-14)
    assert minima[1].loss == pytest.approx(np.float64(np.float32(0.3)), abs=1e-15)


def test_three_hole():
    landscape = ThreeHole()
    minima = find_minima(landscape, [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.5]])
    left, right = sorted(minima[:2], key=lambda point: point.location[0])
    _check(left, [-1.0480549928, -0.0420936673], -3.994860601854, index=0)
    _check(right, [1.0480549928, -0.0420936673], -3.994860601854, index=0)
    _check(minima[2], [0.0, 1.5370819625], -2.172153622994, index=0)
    _check(find_saddle(landscape, left, right), [0.0, -0.3158265503], -1.384586640399, index=1)
    _check(find_saddle(landscape, right, minima[2]), [0.6172723078, 1.1027345172], -1.646687453475, index=1)


def test_styblinski_tang():
    """2^dim minima at the deep and shallow roots of 4x³ − 32x + 5, and a saddle at the third root."""
    deep, top, shallow = np.sort(np.roots([4.0, 0.0, -32.0, 5.0]).real)

    def each(x):
        return (x**4 - 16 * x**2 + 5 * x) / 2

    np.testing.assert_allclose([each(deep), each(shallow), each(top)], [-39.166166, -25.029446, 0.195612], atol=1e-6)
    landscape = StyblinskiTang(3)
    minima = find_minima(landscape, list(itertools.product([-3.0, 3.0], repeat=3)))
    assert len(minima) == 8
    _check(minima[0], [deep] * 3, 3 * each(deep), index=0)
    _check(minima[-1], [shallow] * 3, 3 * each(shallow), index=0)
    saddle = find_saddle(landscape, minima[0], np.array([shallow, deep, deep]))
    _check(saddle, [top, deep, deep], each(top) + 2 * each(deep), index=1)


def test_rastrigin():
    landscape = Rastrigin(2, amplitude=1.0)
    minima = find_minima(landscape, [[0.1, -0.1], [1.0, 0.0]])
    _check(minima[0], [0.0, 0.0], 0.0, index=0)
    np.testing.assert_allclose(minima[0].eigenvalues, 2 + 4 * np.pi**2, rtol=1e-12)
    assert 0.9 < minima[1].location[0] < 1.0
    saddle = find_saddle(landscape, *minima)
    x = saddle.location[0]
    assert abs(2 * x + 2 * np.pi * np.sin(2 * np.pi * x)) < 1e-8 and 0.4 < x < 0.6
    assert saddle.index == 1


def test_gaussian_wells():
    """Wells far apart sit at their centers with depth / width²; the saddle of two equal ones halfway."""
    lone = find_minima(GaussianWells([[1.0, 2.0]], depths=3.0, widths=0.5, confinement=0.0), [[1.1, 2.1]])
    _check(lone[0], [1.0, 2.0], -3.0, index=0)
    np.testing.assert_allclose(lone[0].eigenvalues, 12.0, rtol=1e-9)
    pair = GaussianWells([[-1.0, 0.0], [1.0, 0.0]], depths=[2.0, 2.0], widths=[0.5, 0.5], confinement=0.1)
    minima = find_minima(pair, pair.centers)
    assert len(minima) == 2
    saddle = find_saddle(pair, *minima)
    _check(saddle, [0.0, 0.0], -4 * np.exp(-2.0), index=1)
    # each well gives (depth/width²)(1 − offset²/width²) e^{−2} along the way and the first factor across it
    np.testing.assert_allclose(saddle.eigenvalues, 0.1 + 16 * np.exp(-2.0) * np.array([-3.0, 1.0]), rtol=1e-6)


def test_quadratic():
    matrix = np.array([[2.0, 0.5], [0.5, 1.0]])
    (point,) = find_minima(Quadratic(matrix, [1.0, -2.0]), np.array([[5.0, 5.0], [-3.0, 0.0]]))
    _check(point, [1.0, -2.0], 0.0, index=0)
    np.testing.assert_allclose(point.log_det, np.log(1.75), rtol=1e-12)


def test_an_ill_conditioned_valley():
    """Rosenbrock's valley from afar ends in its one minimum."""
    valley = Landscape(lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2, 2)
    (point,) = find_minima(valley, [[-1.2, 1.0], [50.0, -30.0]])
    _check(point, [1.0, 1.0], 0.0, index=0)


@pytest.mark.parametrize(
    ("fn", "dim", "start", "message"),
    [
        (lambda x: -jnp.sum(x**2), 2, [1.0, 2.0], "descends without bound"),
        (lambda x: x[0] + x[1] ** 2, 2, [1.0, 2.0], "descends without bound"),
        (lambda x: x[0] ** 2 - x[1] ** 2, 2, [0.0, 0.0], "index 1"),
        (lambda x: (x[0] ** 2 + x[1] ** 2 - 1) ** 2, 2, [1.0, 2.0], "flat direction"),
        (lambda x: x[0] ** 4, 1, [1.0], "flat direction"),
        (lambda x: 0.0 * x[0], 1, [1.0], "flat direction"),
        (lambda x: jnp.exp(-x[0]), 1, [1.0], "flat direction"),
        (lambda x: jnp.log(x[0]), 1, [-1.0], "not finite|loss is nan"),
        (lambda x: jnp.log(x[0]), 1, [1.0], "not finite|without bound"),
    ],
)
def test_what_is_not_a_minimum_is_named(fn, dim, start, message):
    with pytest.raises(ValueError, match=rf"starts\[0\] = .*must lead down to a minimum, but .*({message})"):
        find_minima(Landscape(fn, dim), [start])


def test_the_start_at_fault_is_named():
    with pytest.raises(ValueError, match=r"starts\[1\] = .*index 1"):
        find_minima(Landscape(lambda x: (x[0] ** 2 - 1) ** 2, 1), [[0.9], [0.0]])


@pytest.mark.parametrize("starts", [np.zeros((2, 3)), np.zeros((0, 2)), np.zeros((1, 1, 2)), [[0.0, np.nan]]])
def test_bad_starts(starts):
    with pytest.raises(ValueError, match="starts must be"):
        find_minima(MullerBrown(), starts)


def test_bad_merge():
    with pytest.raises(ValueError, match="merge must be"):
        find_minima(MullerBrown(), [[0.0, 0.5]], merge=-1.0)


def test_bad_ends(muller_brown_minima):
    first = muller_brown_minima[0]
    with pytest.raises(ValueError, match="the same one at"):
        find_saddle(MullerBrown(), first, first.location + 0.01)
    with pytest.raises(ValueError, match=r"minimum_b must have shape \(2,\)"):
        find_saddle(MullerBrown(), first, np.zeros(3))
    with pytest.raises(ValueError, match="minimum_b must be finite"):
        find_saddle(MullerBrown(), first, np.array([np.nan, 0.0]))
    saddle = np.array(MULLER_BROWN_SADDLES[0, 2][0])
    with pytest.raises(ValueError, match=r"minimum_a = .*index 1"):
        find_saddle(MullerBrown(), saddle, first)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("slope", [3.0, 1e9])
def test_a_minimum_that_is_a_kink_is_told(slope):
    """A search that halves its steps there for ever ends, without overflow, and says how far it came."""
    valley = Landscape(lambda x: slope * jnp.minimum(jnp.abs(x[0] + 1), jnp.abs(x[0] - 1)), 1)
    with pytest.raises(ValueError, match=r"found the point \[-(1\.|0\.99)"):
        find_minima(valley, np.array([-0.7]))


def test_no_saddle_between_is_said():
    """Two parabolas that meet in a kink have a pass that is not smooth: what was found instead is reported."""
    kink = Landscape(lambda x: jnp.minimum((x[0] - 1) ** 2, (x[0] + 1) ** 2), 1)
    with pytest.raises(ValueError, match=r"exactly one negative eigenvalue between .*found index 0 at .*gradient norm"):
        find_saddle(kink, np.array([-1.0]), np.array([1.0]))


def test_an_infinite_wall_is_said():
    wall = Landscape(lambda x: (x[0] ** 2 - 1) ** 2 - jnp.log(x[0] ** 2 - 0.25), 1)
    minima = find_minima(wall, [[-1.5], [1.5]])
    with pytest.raises(ValueError, match="the loss must be finite between"):
        find_saddle(wall, *minima)


@pytest.mark.long
def test_minima_are_found_from_states_of_sgd():
    """All of five, from where trajectories are at the end; each once, as from their centres; depth and sharpness."""
    centers = [[0.0, 0.0], [1.6, 0.0], [0.0, 1.6], [-1.6, 0.0], [0.0, -1.6]]
    landscape = GaussianWells(centers, 1.0, [0.45, 0.5, 0.55, 0.4, 0.5], 0.3)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.15), 0.01)
    states = ss.simulate(chain, np.zeros(2, np.float32), 20_000, trajectories=64, seed=3)
    found, known = (find_minima(landscape, starts) for starts in (states, centers))
    assert len(found) == len(known) == 5
    for one, other in zip(found, known, strict=True):
        np.testing.assert_allclose(one.location, other.location, atol=1e-8)
        assert one.loss == pytest.approx(other.loss) and one.trace == pytest.approx(np.trace(other.hessian))
        assert one.largest_eigenvalue == pytest.approx(np.linalg.norm(other.hessian, 2))


def monkey_loss(theta, given):
    turned, shift, scale = given
    x, y = turned @ (theta - shift)
    return scale * (x**3 - 3 * x * y**2 + (x**2 + y**2) ** 2)


def monkey(turn=0.0, shift=(0.0, 0.0), scale=1.0):
    """Three minima at distance 0.75 that meet in one degenerate point, where the Hessian is zero."""
    cosine, sine, shift = np.cos(turn), np.sin(turn), np.asarray(shift, np.float32)
    given = np.array([[cosine, sine], [-sine, cosine]]), shift, np.float64(scale)
    angles = turn + np.pi + 2 * np.pi / 3 * np.arange(3)
    return Landscape(monkey_loss, 2, given), shift + 0.75 * np.stack([np.cos(angles), np.sin(angles)], axis=1)


@pytest.mark.parametrize(
    "given", [{}, {"shift": (0.3, 0.7), "turn": 0.4}, {"shift": (3.3, -70.7)}, {"shift": (0.3, 0.7), "scale": 1e-6}]
)
def test_a_monkey_saddle_is_named_degenerate(given):
    """Wherever rounding puts Newton's last point: its eigenvalues are ±1e-16 to ±1e-8, one of them negative."""
    landscape, starts = monkey(**given)
    minima = find_minima(landscape, starts)
    assert len(minima) == 3 and not any(point.is_degenerate for point in minima)
    searches = [lambda: find_saddle(landscape, *minima[:2]), lambda: ss.landscapes.saddle_graph(landscape, minima)]
    for search in searches[: 1 if given else 2]:
        with pytest.raises(ValueError, match=r"exactly one negative eigenvalue between .* 2 zero eigenvalues .a degen"):
            search()


def test_soft_directions_are_not_flat_ones():
    """A curvature of 2e-7 beside a quartic of order one, and one 1e7 times softer than the stiffest, are seen."""
    soft = Landscape(lambda x: (x[0] - 0.3) ** 4 + 1e-7 * (x[0] - 0.3) ** 2, 1)
    (point,) = find_minima(soft, [[1.0]])
    assert point.flat_directions == 0 and point.eigenvalues[0] == pytest.approx(2e-7, rel=1e-3)
    stiff = Landscape(lambda x: 5e3 * jnp.sinh(x[0]) ** 2 + 5e-4 * x[1] ** 2 + x[1] ** 4, 2)
    (point,) = find_minima(stiff, [[0.5, 0.5]])
    assert (point.index, point.flat_directions) == (0, 0)


@pytest.mark.parametrize(
    ("eigenvalues", "index", "flat"),
    [
        ([-1.0, 2.0], 1, 0),
        ([-1.0, -2.0], 2, 0),
        ([0.0, 2.0], 0, 1),
        ([-1e-9, 2.0], 0, 1),
        ([-1e-7, 2.0], 1, 0),
        ([3.0, 2.0], 0, 0),
    ],
)
def test_index_and_flat_directions(eigenvalues, index, flat):
    """An eigenvalue of 1e-8 of the largest and less is neither negative nor positive."""
    with jax.enable_x64(True):
        landscape = Quadratic(np.diag(eigenvalues))
        surface = _critical_points.Float64Landscape(landscape)
        point, converged = _critical_points.newton(surface, np.array([0.2, -0.1]))
    assert converged and (point.index, point.flat_directions, point.is_degenerate) == (index, flat, flat > 0)


def test_only_a_saddle_of_index_one_is_taken(monkeypatch):
    """Were the climb to end on a point of index 2, it would be refused for its index."""
    climb = _string._climb

    def to_index_two(*arguments):
        found, converged = climb(*arguments)
        return eqx.tree_at(lambda point: point.eigenvalues, found, np.array([-8.0, -8.0])), converged

    hills = Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + (x[1] ** 2 - 1) ** 2, 2)
    first, last = np.array([-1.0, -1.0]), np.array([1.0, -1.0])
    assert find_saddle(hills, first, last).index == 1
    monkeypatch.setattr(_string, "_climb", to_index_two)
    with pytest.raises(ValueError, match=r"exactly one negative eigenvalue between .*found index 2 at"):
        find_saddle(hills, first, last)


def test_sharpness_and_trace():
    """A few of the largest eigenvalues, largest first, of a Hessian that is known; float32 numbers made wide."""
    matrix = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, -4.0]])
    landscape = Quadratic(matrix)
    exact = np.linalg.eigvalsh(matrix)[::-1]
    np.testing.assert_allclose(ss.landscapes.sharpness(landscape, np.ones(3), 2), exact[:2], rtol=1e-12)
    np.testing.assert_allclose(ss.landscapes.sharpness(landscape, np.ones(3)), exact, rtol=1e-12)
    assert ss.landscapes.trace(landscape, np.ones(3)) == pytest.approx(1.0, abs=1e-12)
    (minimum,) = find_minima(Rastrigin(2, 1.0), [[0.1, 0.0]])
    assert ss.landscapes.trace(Rastrigin(2, 1.0), minimum) == pytest.approx(minimum.trace)
    assert ss.landscapes.sharpness(Rastrigin(2, 1.0), minimum, 1)[0] == pytest.approx(minimum.largest_eigenvalue)
    # every eigenvalue is that of one of 1,001 equal components
    np.testing.assert_allclose(ss.landscapes.sharpness(StyblinskiTang(1001), np.zeros(1001), 2), -16, rtol=1e-6)
    with pytest.raises(ValueError, match="k must be a whole number"):
        ss.landscapes.sharpness(landscape, np.ones(3), 0)
    with pytest.raises(ValueError, match=r"theta must have shape \(3,\)"):
        ss.landscapes.trace(landscape, np.ones(2))
    with pytest.raises(ValueError, match="theta must have a finite Hessian"):
        ss.landscapes.trace(Landscape(lambda x: jnp.log(x[0]), 1), [0.0])


def test_barriers_of_a_saddle_graph():
    """Each barrier is measured from its own minimum: 1.5 from the sharp one at 0, 1.25 from the flat one at 0.25."""
    wells = TwoWells(25.0, 2.0, 1.5, 0.25)
    flat, sharp = np.asarray(wells.flat_minimum), np.asarray(wells.sharp_minimum)
    (way,) = ss.landscapes.saddle_graph(wells, [flat, sharp])
    assert (way.first, way.second) == (0, 1)
    assert way.barrier_from_first == pytest.approx(1.25, rel=1e-6)
    assert way.barrier_from_second == pytest.approx(1.5, rel=1e-6)


def test_a_path_is_evenly_spaced_and_goes_over_the_saddle():
    wells = TwoWells(25.0, 2.0, 1.5, 0.25, dim=2)
    path = ss.landscapes.minimum_energy_path(wells, wells.sharp_minimum, wells.flat_minimum, images=9)
    np.testing.assert_allclose(path[0], wells.sharp_minimum, atol=1e-6)
    np.testing.assert_allclose(path[-1], wells.flat_minimum, atol=1e-6)
    spacing = np.linalg.norm(np.diff(path, axis=0), axis=1)
    np.testing.assert_allclose(spacing, spacing.mean(), rtol=1e-6)
