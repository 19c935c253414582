"""The analytic zoo: prescribed numbers are met exactly, smoothness holds at the joins, bad input is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sde_sgd.landscapes import (
    AbstractLandscape,
    DoubleWell,
    GaussianWells,
    MullerBrown,
    Quadratic,
    Rastrigin,
    StyblinskiTang,
    ThreeHole,
    TwoWells,
    explore,
)


def _profile(landscape, points):
    """Loss, slope and curvature along coordinate 0, each of the shape of `points`."""

    def line(x):
        return landscape.loss(jnp.zeros(landscape.dim, x.dtype).at[0].set(x))

    points = jnp.asarray(points)
    return tuple(np.asarray(jax.jit(jax.vmap(f))(points)) for f in (line, jax.grad(line), jax.grad(jax.grad(line))))


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_two_wells_has_the_prescribed_numbers(dim):
    """Losses, zero gradients and whole Hessians at the three critical points, to float64 rounding."""
    with jax.enable_x64(True):
        wells = TwoWells(
            30.0,
            3.0,
            1.7,
            -0.6,
            2.5,
            dim,
            saddle_curvature=5.0,
            saddle_fraction=0.3,
            sharp_transverse_curvature=11.0,
            flat_transverse_curvature=2.0,
        )
        t = 0.3
        at_saddle = 11.0 - 9.0 * (6 * t**5 - 15 * t**4 + 10 * t**3)
        for location, first, loss, along, across in (
            (wells.sharp_minimum, -1.25, 0.0, 30.0, 11.0),
            (wells.flat_minimum, 1.25, -0.6, 3.0, 2.0),
            (wells.saddle, -0.5, 1.7, -5.0, at_saddle),
        ):
            assert location.shape == (dim,)
            np.testing.assert_allclose(location, [first] + [0.0] * (dim - 1), atol=1e-15)
            np.testing.assert_allclose(wells.loss(location), loss, atol=1e-13)
            np.testing.assert_allclose(eqx.filter_jit(wells.gradient)(location), 0.0, atol=1e-12)
            np.testing.assert_allclose(
                eqx.filter_jit(wells.hessian)(location), np.diag([along] + [across] * (dim - 1)), atol=1e-11
            )


@pytest.mark.long
def test_two_wells_is_twice_continuously_differentiable():
    """At each join the values from both sides agree, and so do central differences and the derivatives."""
    with jax.enable_x64(True):
        wells = TwoWells(30.0, 3.0, 1.7, -0.6, 2.5, saddle_curvature=5.0, saddle_fraction=0.3)
        for knot in (-1.25, -0.5, 1.25):
            h = 1e-7
            before, after = (_profile(wells, [knot + side * h])[0:3] for side in (-1, 1))
            for lower, upper in zip(before, after, strict=True):
                np.testing.assert_allclose(lower, upper, atol=1e-4)
        x = np.array([-2.0, -1.25, -1.1, -0.5, 0.4, 1.25, 1.6])
        h = 1e-4
        loss, slope, curvature = _profile(wells, x)
        (up, slope_up, _), (down, slope_down, _) = _profile(wells, x + h), _profile(wells, x - h)
        np.testing.assert_allclose((up - down) / (2 * h), slope, atol=1e-5)
        np.testing.assert_allclose((slope_up - slope_down) / (2 * h), curvature, atol=2e-2)
        np.testing.assert_allclose((up - 2 * loss + down) / h**2, curvature, atol=2e-2)
        # a curvature that jumped by 5 % of the sharp one would be seen
        assert 2e-2 < 0.05 * 30


def test_two_wells_off_axis_derivatives_are_smooth():
    """In dim 2 off the axis, where the transverse curvature changes, gradients and Hessians match differences."""
    with jax.enable_x64(True):
        wells = TwoWells(dim=2, sharp_transverse_curvature=20.0, flat_transverse_curvature=1.0)
        half = float(wells.separation) / 2
        h = 1e-5
        gradient, hessian, loss = (
            eqx.filter_jit(wells.gradient),
            eqx.filter_jit(wells.hessian),
            eqx.filter_jit(wells.loss),
        )
        for first in (-half, -half / 2, float(wells.saddle[0]), 0.0, half / 2, half, 1.5 * half):
            point = jnp.array([first, 0.7])
            for i in range(2):
                step = jnp.zeros(2).at[i].set(h)
                difference = (loss(point + step) - loss(point - step)) / (2 * h)
                np.testing.assert_allclose(difference, gradient(point)[i], atol=1e-6)
                difference = (gradient(point + step) - gradient(point - step)) / (2 * h)
                np.testing.assert_allclose(difference, hessian(point)[i], atol=5e-3)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"separation": 2.0},
        {"barrier": 5.0, "depth_difference": 2.0},
        {"sharp_curvature": 400.0, "barrier": 0.2},
        {"saddle_curvature": 9.0, "saddle_fraction": 0.4},
    ],
)
def test_two_wells_has_no_other_critical_points(arguments):
    """The slope changes sign three times: up from below, over the barrier, and up again."""
    with jax.enable_x64(True):
        wells = TwoWells(**arguments)
        x = np.linspace(-3 * float(wells.separation), 3 * float(wells.separation), 40_000)
        slope = _profile(wells, x)[1]
        assert np.sum(np.diff(np.sign(slope)) != 0) == 3


def test_the_monotone_check_is_sharp():
    """Just inside the bound the profile is monotone; just outside it is refused, and truly is not monotone."""
    # α = α′ = 30: 30 − 90 + 60 = 0
    with jax.enable_x64(True):
        inside = {"separation": 2.0, "saddle_fraction": 0.5, "saddle_curvature": 29.9}
        wells = TwoWells(29.9, 29.9, 1.0, **inside)
        x = np.linspace(-0.999, -0.001, 5000)
        assert np.all(_profile(wells, x)[1] > 0)
        beyond = eqx.tree_at(
            lambda w: (w.sharp_curvature, w.flat_curvature, w.saddle_curvature), wells, (jnp.array(31.0),) * 3
        )
        assert np.any(_profile(beyond, x)[1] < 0)
        with pytest.raises(ValueError, match=r"sharp side.*no second minimum"):
            TwoWells(31.0, 31.0, 1.0, **(inside | {"saddle_curvature": 31.0}))


def test_equal_wells_are_the_quartic():
    """With curvatures 8 and barrier 1 the profile between the minima is (x² − 1)²."""
    x = np.linspace(-1, 1, 101)
    wells = TwoWells(8.0, 8.0)
    np.testing.assert_allclose(_profile(wells, x.astype(np.float32))[0], (x**2 - 1) ** 2, atol=2e-6)
    np.testing.assert_allclose(wells.separation, 2.0, rtol=1e-6)


def test_two_wells_keeps_its_digits_in_float32():
    """The float32 gradient is within 2e-5 of the float64 one over both wells."""
    wells = TwoWells()
    x = np.linspace(-1.6, 1.6, 1001).astype(np.float32)
    single = _profile(wells, x)[1]
    assert single.dtype == np.float32
    with jax.enable_x64(True):
        double = _profile(wells, x.astype(np.float64))[1]
    np.testing.assert_allclose(single, double, atol=2e-5)


def test_two_wells_parameters_can_be_swept():
    """A vmap over the constructor, and over the leaves, compiles once and gives each member its own barrier."""
    barriers = jnp.array([0.5, 1.0, 3.0])
    stacked = eqx.filter_vmap(lambda barrier: TwoWells(barrier=barrier, separation=1.5))(barriers)

    @jax.jit
    @eqx.debug.assert_max_traces(max_traces=1)
    def heights(landscapes):
        return eqx.filter_vmap(lambda landscape: landscape.loss(landscape.saddle))(landscapes)

    np.testing.assert_allclose(heights(stacked), barriers, rtol=1e-5)
    moved = eqx.tree_at(lambda landscape: landscape.barrier, stacked, 2 * barriers)
    np.testing.assert_allclose(heights(moved), 2 * barriers, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sharp_curvature": -1.0}, "sharp_curvature must be a finite number above 0"),
        ({"flat_curvature": float("nan")}, "flat_curvature must be"),
        ({"barrier": 0.0}, "barrier must be"),
        ({"depth_difference": 1.0}, "depth_difference must be finite and below barrier"),
        ({"separation": 0.0}, "separation must be"),
        ({"saddle_fraction": 1.5}, "saddle_fraction must lie strictly between 0 and 1"),
        ({"dim": 0}, "dim must be a whole number"),
        ({"barrier": [1.0, 2.0]}, "single number"),
        ({"barrier": 0.01, "separation": 2.0}, "no second minimum"),
        ({"saddle_curvature": 500.0}, "no second minimum"),
    ],
)
def test_two_wells_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        TwoWells(**arguments)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Quadratic([[1.0, 0.5], [0.0, 1.0]]), "hessian must be symmetric"),
        (lambda: Quadratic([[1.0, 0.5]]), "hessian must have shape"),
        (lambda: Quadratic([1.0, float("inf")]), "hessian must be finite"),
        (lambda: Quadratic([1.0, 2.0], minimum=[0.0, 0.0, 0.0]), "minimum must have shape"),
        (lambda: DoubleWell(-1.0), "curvature must be"),
        (lambda: DoubleWell(1.0, dim=0), "dim must be"),
        (lambda: MullerBrown(scale=-1.0), "scale must be"),
        (lambda: ThreeHole(scale=[1.0, 2.0]), "scale must be a single number"),
        (lambda: Rastrigin(2, amplitude=0.0), "amplitude must be"),
        (lambda: StyblinskiTang(dim=0), "dim must be"),
        (lambda: GaussianWells([0.0, 1.0]), "centers must have shape"),
        (lambda: GaussianWells([[0.0, float("nan")]]), "centers must be finite"),
        (lambda: GaussianWells([[0.0], [1.0]], depths=[1.0, 1.0, 1.0]), "depths must have shape"),
        (lambda: GaussianWells([[0.0], [1.0]], widths=[1.0, -1.0]), "widths must be"),
        (lambda: GaussianWells([[0.0]], confinement=-1.0), "confinement must be"),
    ],
)
def test_zoo_refuses(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    "landscape",
    [
        TwoWells(dim=3),
        Quadratic([[2.0, 1.0], [1.0, 3.0]]),
        DoubleWell(0.8, 2),
        MullerBrown(0.01),
        ThreeHole(),
        StyblinskiTang(3),
        Rastrigin(2, 1.0),
        GaussianWells([[0.0, 0.0], [1.0, 1.0]]),
    ],
    ids=lambda landscape: type(landscape).__name__,
)
def test_zoo_contract(landscape):
    """Scalar loss of the state's precision, a gradient that matches differences, numbers as PyTree leaves."""
    assert isinstance(landscape, AbstractLandscape)
    point = jnp.linspace(-0.4, 0.5, landscape.dim)
    assert landscape.loss(point).shape == () and landscape.loss(point).dtype == jnp.float32
    assert all(eqx.is_array(leaf) for leaf in jax.tree.leaves(landscape))
    with jax.enable_x64(True):
        point = jnp.linspace(-0.4, 0.5, landscape.dim)
        h = 1e-6
        loss = eqx.filter_jit(landscape.loss)
        difference = [(loss(point + h * axis) - loss(point - h * axis)) / (2 * h) for axis in jnp.eye(landscape.dim)]
        np.testing.assert_allclose(difference, eqx.filter_jit(landscape.gradient)(point), rtol=1e-6, atol=1e-6)
        hessian = eqx.filter_jit(landscape.hessian)(point)
        np.testing.assert_allclose(hessian, hessian.T, atol=1e-9)


def test_quadratic_is_its_hessian():
    matrix = np.array([[2.0, 1.0], [1.0, -3.0]])
    landscape = Quadratic(matrix, minimum=[1.0, -1.0])
    np.testing.assert_allclose(landscape.hessian(jnp.zeros(2)), matrix, atol=1e-6)
    np.testing.assert_allclose(landscape.loss(jnp.array([2.0, 1.0])), 0.5 * (2 + 4 - 12), atol=1e-5)
    np.testing.assert_allclose(Quadratic([1.0, 4.0], 0.5).hessian(jnp.zeros(2)), np.diag([1.0, 4.0]), atol=1e-6)


def test_the_double_well_has_its_critical_points():
    """Minima at ±√μ with loss −μ²/4 and curvature 2μ, a maximum at 0: by the formulas of its docstring."""
    well = DoubleWell(0.6, 2)
    for point, loss, curvature in (([0.6**0.5, -(0.6**0.5)], -0.18, [1.2, 1.2]), ([0.0, 0.6**0.5], -0.09, [-0.6, 1.2])):
        point = jnp.array(point)
        assert float(well.loss(point)) == pytest.approx(loss, abs=1e-6)
        np.testing.assert_allclose(well.gradient(point), 0, atol=1e-6)
        np.testing.assert_allclose(np.diagonal(well.hessian(point)), curvature, atol=1e-5)


def test_styblinski_tang_from_any_minimum():
    """Four minima and four saddles in the plane; from the deepest the barriers are the greatest."""
    found = explore(StyblinskiTang(2), [-2.9, -2.9])
    assert len(found.minima) == 4 and len(found.connections) == 4
    deep, shallow, top = -39.166165703771, -25.029445738555, 0.195612
    assert found.passes[-1] - found.minima[0].loss == pytest.approx(top + shallow - 2 * deep, abs=1e-4)
