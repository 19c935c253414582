"""Minimum-action paths against closed forms: gradients, constant linear drift, rotating flows, noise that varies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure
from parameters import quick
from scipy import integrate, linalg

import sde_sgd as ss
from sde_sgd.theory import minimum_action
from sde_sgd.theory._geometric_action import Problem, along, onto

DOUBLE_WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
# minima at (±1, 0), a saddle of loss 1 between them
VALLEY = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2 + 0.3 * x[0] * x[1] ** 2, dim=2)


def ito(drift, amplitude, dim=2):
    return ss.diffusions.ItoDiffusion(lambda x, t: drift(x), lambda x, t: amplitude(x), dim)


def flow(beta, x, t):
    return jnp.array([x[0] - x[0] ** 3 - beta * x[0] * x[1] ** 2, -(1 + x[0] ** 2) * x[1]])


def unit(x, t):
    return jnp.ones(2)


def maier_stein(beta):
    """β is a leaf, so that another one is not another program."""
    return ss.diffusions.ItoDiffusion(jax.tree_util.Partial(flow, np.float64(beta)), unit, 2)


def agrees(way, exact):
    """Within the error that is told, with what float32 parameters leave; and that error is no excuse."""
    assert way.status == "complete" and way.error < 2e-3 * exact, way
    return abs(way.action - exact) <= way.error + 2e-6 * exact


# Gradients


def test_on_the_line_the_action_is_twice_the_barrier():
    hot = ss.LangevinSGD.at_temperature(DOUBLE_WELL, 0.1)
    way = minimum_action(hot, [-1.0], [1.0])
    assert way.action == pytest.approx(2, rel=1e-6) and way.exponent == pytest.approx(1 / 0.1, rel=1e-6)
    # all of it on the way up, and as much climbed as descended
    assert way.action_along[len(way.path) // 2] == pytest.approx(2, rel=1e-6)
    assert way.climb[-1] == pytest.approx(2, rel=1e-6) and np.all(np.diff(way.climb) > 0)
    np.testing.assert_allclose(way.loss, (way.path[:, 0] ** 2 - 1) ** 2, atol=1e-9)
    # the exponent is that of Eyring–Kramers, whose prefactor does not depend on T
    cold = ss.LangevinSGD.at_temperature(DOUBLE_WELL, 0.05)
    growth = np.log(ss.theory.eyring_kramers(cold, [-1.0], [0.0]) / ss.theory.eyring_kramers(hot, [-1.0], [0.0]))
    found = minimum_action(cold, [-1.0], [0.0]).exponent - minimum_action(hot, [-1.0], [0.0]).exponent
    assert found == pytest.approx(growth, rel=1e-6)


@pytest.mark.long
def test_the_way_goes_through_a_point_that_is_given():
    """Round a ring on either side: twice the height of that side's saddle, which stands at x = 0. By default the lower
    one is found, and not the way straight over the hill in the middle, of 2."""
    ring = ss.landscapes.Landscape(lambda x: (x[0] ** 2 + x[1] ** 2 - 1) ** 2 + x[1] ** 2 / 2 + x[1] ** 3 / 10, dim=2)
    below, above = np.sort(np.roots([4, 0.3, -3, 0]))[[0, 2]]
    exact = {y: 2 * ((y**2 - 1) ** 2 + y**2 / 2 + y**3 / 10) for y in (below, above)}
    for through, y in (([0.0, 0.9], above), ([[0.0, -0.9]], below), (None, below)):
        cold = ss.LangevinSGD.at_temperature(ring, 0.1)
        way = minimum_action(cold, [-1.0, 0.0], [1.0, 0.0], through=through)
        assert way.status == "complete" and way.error < 6e-3 * way.action
        assert abs(way.action - exact[y]) <= way.error < abs(exact[above] - exact[below]) / 10


def test_noise_scale_and_shape_are_told_apart():
    way = minimum_action(ss.LangevinSGD(DOUBLE_WELL, ss.noise.Isotropic(0.5), 0.1, 20), [-1.0], [0.0])
    assert way.noise_scale == pytest.approx(0.1 / 20) and way.action == pytest.approx(2 / 0.5, rel=1e-6)
    assert way.exponent == pytest.approx(1 / (0.1 * 0.5 / (2 * 20)), rel=1e-6)


@pytest.mark.long
def test_mueller_brown_over_its_two_passes():
    surface = ss.landscapes.MullerBrown(0.01)
    minima = ss.landscapes.find_minima(surface, [[-0.558, 1.442], [0.623, 0.028], [-0.05, 0.467]])
    first, second, between = minima
    passes = [ss.landscapes.find_saddle(surface, first, between), ss.landscapes.find_saddle(surface, between, second)]
    way = minimum_action(ss.Langevin(surface, 0.05), first, second, images=97)
    exact = 2 * (passes[0].loss - first.loss) + 2 * (passes[1].loss - between.loss)
    assert agrees(way, exact), (way, exact)
    for saddle in passes:
        assert np.min(np.linalg.norm(way.path - saddle.location, axis=1)) < 0.03
    assert not agrees(way, 1.005 * exact)


# Drifts that are no gradient


@pytest.mark.parametrize("dim", quick([2, 3], 2))
def test_ornstein_uhlenbeck_with_full_covariance(dim):
    """½ xᵀC⁻¹x with BC + CBᵀ = a: what the logarithm of the stationary law falls by."""
    rng = np.random.default_rng(dim)
    drift = 1.5 * np.eye(dim) + 0.5 * rng.standard_normal((dim, dim))
    factor = np.eye(dim) + 0.3 * rng.standard_normal((dim, dim))
    assert np.min(np.linalg.eigvals(drift).real) > 0.2
    drift, factor = drift.astype(np.float32), factor.astype(np.float32)
    inverse = np.linalg.inv(linalg.solve_continuous_lyapunov(drift.astype(float), factor @ factor.T.astype(float)))
    point = rng.standard_normal(dim)
    motion = ito(lambda x: -jnp.asarray(drift, x.dtype) @ x, lambda x: jnp.asarray(factor, x.dtype), dim)
    way = minimum_action(motion, np.zeros(dim), point, images=33)
    exact = point @ inverse @ point / 2
    assert agrees(way, exact), (way, exact)
    # broken twins: the factor of two, and the covariance that a symmetric drift would have
    assert not agrees(way, 2 * exact)
    symmetric = np.linalg.inv(linalg.solve_continuous_lyapunov((drift + drift.T) / 2, factor @ factor.T))
    assert not agrees(way, point @ symmetric @ point / 2)


@pytest.mark.long
def test_to_a_region_the_end_is_free():
    """Over {n·x ≥ 1} the least of ½ xᵀC⁻¹x is 1/(2 nᵀCn), at Cn/(nᵀCn)."""
    drift, normal = np.array([[1.0, 0.8], [-0.5, 0.7]]), np.array([1.0, 0.3])
    covariance = linalg.solve_continuous_lyapunov(drift, np.diag([1.0, 2.0]))
    motion = ito(lambda x: -jnp.asarray(drift, x.dtype) @ x, lambda x: jnp.sqrt(jnp.array([1.0, 2.0], x.dtype)))
    way = minimum_action(motion, np.zeros(2), ss.regions.HalfSpace(-normal, -1.0), images=33)
    spread = normal @ covariance @ normal
    assert agrees(way, 1 / (2 * spread)), way
    np.testing.assert_allclose(way.path[-1], covariance @ normal / spread, atol=0.01)
    assert normal @ way.path[-1] == pytest.approx(1, abs=1e-6)
    # broken twin: where the straight way meets the boundary
    assert not np.allclose(way.path[-1], normal / (normal @ normal), atol=0.03)


def test_the_end_is_put_on_the_boundary():
    """From beside a curved boundary to it, from either side, along the radius."""
    ball = Problem(None, 0.0, ss.regions.Ball([0.0, 0.0], 2.0))
    for size in (1.7, 2.4):
        end = np.asarray(onto(ball, jnp.array([0.6, 0.8]) * size))
        np.testing.assert_allclose(end, [1.2, 1.6], rtol=1e-6)


def mixing(x):
    """A covariance that varies in size, shape and direction."""
    return jnp.array([[1.5 + x[0] ** 2, 0.5 * jnp.sin(2 * x[0])], [0.5 * jnp.sin(2 * x[0]), 0.6 + 0.3 * jnp.cos(x[1])]])


@pytest.mark.long
@pytest.mark.parametrize("turning", [0.0, 1.5])
def test_noise_that_varies_and_a_flow_along_the_level_lines(turning):
    """With b = −(D + A)∇L, A antisymmetric and a = 2D, the action is ΔL whatever D(θ): ½pᵀap + bᵀp = 0 at p = ∇L."""
    turn = np.array([[0, turning], [-turning, 0]])
    way = minimum_action(
        ito(
            lambda x: -(mixing(x) + jnp.asarray(turn, x.dtype)) @ VALLEY.gradient(x),
            lambda x: jnp.linalg.cholesky(2 * mixing(x)),
        ),
        [-1.0, 0.0],
        [0.0, 0.0],
    )
    assert agrees(way, 1.0), way
    # broken twin: the covariance of the place where each piece begins, in the place of that along it
    steps, middles = np.diff(way.path, axis=0), (way.path[1:] + way.path[:-1]) / 2
    total = 0.0
    for step, middle, left in zip(steps, middles, way.path, strict=False):
        inverse = np.linalg.inv(2 * np.asarray(mixing(left)))
        drift = -(np.asarray(mixing(middle)) + turn) @ np.asarray(VALLEY.gradient(jnp.asarray(middle)))
        total += np.sqrt((step @ inverse @ step) * (drift @ inverse @ drift)) - step @ inverse @ drift
    assert abs(total - 1) > 3 * (way.error + 2e-6)


@pytest.mark.long
def test_maier_stein_and_the_published_number():
    """β = 1 is a gradient, ½. For β = 10 the published 0.337 of the full way on 30 points is that of its rule."""
    assert agrees(minimum_action(maier_stein(1.0), [-1.0, 0.0], [0.0, 0.0], images=33), 0.5)
    motion = maier_stein(10.0)
    way = minimum_action(motion, [-1.0, 0.0], [0.0, 0.0], images=33)
    full = minimum_action(motion, [-1.0, 0.0], [1.0, 0.0])
    assert full.action == pytest.approx(0.337, rel=0.0101) and abs(full.action - way.action) <= full.error + way.error
    # off the axis, along which it would be ½: the straight way is at rest too
    assert np.max(np.abs(way.path[:, 1])) > 0.3 and full.ways[-1] == pytest.approx(0.5, abs=1e-3)
    # central differences and trapezoids on 30 even points, as many as were published, are off by as much
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(full.path, axis=0), axis=1))])
    even = np.stack([np.interp(np.linspace(0, arc[-1], 30), arc, column) for column in full.path.T], axis=1)
    velocity = np.gradient(even, axis=0)
    drift = np.array([np.asarray(motion.drift(jnp.asarray(point), 0.0)) for point in even])
    density = np.linalg.norm(velocity, axis=1) * np.linalg.norm(drift, axis=1) - np.sum(velocity * drift, axis=1)
    assert np.trapezoid(density) == pytest.approx(0.337, abs=1.5e-3)


def test_the_action_of_a_curve_is_that_of_a_quadrature():
    """A quarter of a circle, by scipy."""
    motion = ito(lambda x: -VALLEY.gradient(x), lambda x: jnp.linalg.cholesky(mixing(x)))
    angle = np.linspace(0, np.pi / 2, 65)
    found = along(Problem(motion, np.float64(0), None), np.stack([np.cos(angle), np.sin(angle)], axis=1))

    def density(phi):
        point, velocity = np.array([np.cos(phi), np.sin(phi)]), np.array([-np.sin(phi), np.cos(phi)])
        drift = -np.asarray(VALLEY.gradient(jnp.asarray(point)), float)
        inverse = np.linalg.inv(np.asarray(mixing(point), float))
        return np.sqrt((velocity @ inverse @ velocity) * (drift @ inverse @ drift)) - velocity @ inverse @ drift

    assert np.sum(found.action) == pytest.approx(integrate.quad(density, 0, np.pi / 2, epsabs=1e-7)[0], rel=1e-5)


# Against mean times


def slope(landscape, noise, start, target, grid, ratios, power=0.0):
    """(log τ₂ − log τ₁)/(M₂/γ − M₁/γ) of the grid solver with τ ~ (M/γ)^−power exp(V M/γ), the action V, and log τ."""
    times, ways = [], []
    for ratio in ratios:
        diffusion = ss.LangevinSGD(landscape, noise, 0.1, 0.1 * ratio)
        times.append(np.log(ss.reference.FokkerPlanck(diffusion, grid).mean_passage_time(target, start)))
        ways.append(minimum_action(diffusion, start, target, images=33))
    assert ways[0].action == pytest.approx(ways[1].action, rel=1e-6)
    gain = times[1] - times[0] + power * np.log(ratios[1] / ratios[0])
    return gain / (ratios[1] - ratios[0]), ways[0].action, times


@pytest.mark.long
def test_loss_proportional_noise_over_ten_decades():
    """A well of loss 0.5: the exponent is 2∫L'/L = 2 log(L_s/L_m), Mori's power law in the barrier, not its height."""
    well = ss.landscapes.Landscape(lambda x: 0.5 + (x[0] ** 2 - 1) ** 2, dim=1)
    target = ss.regions.HalfSpace([-1.0], -0.5)
    found, action, times = slope(well, ss.noise.LossProportional(), [-1.0], target, (-3, 1.5, 2000), (8.0, 20.0))
    assert times[1] - times[0] > 10 * np.log(10)
    assert action == pytest.approx(2 * np.log(3), rel=2e-4) and found == pytest.approx(action, rel=0.01)
    # broken twins: half the action, and noise as at the minimum
    assert found != pytest.approx(action / 2, rel=0.05) and found != pytest.approx(2 / 0.5, rel=0.05)


@pytest.mark.long
def test_hessian_proportional_noise():
    """L = cosh, V = cosh: 2∫tanh = 2 log cosh out to the edge, against which the drift is not 0: τ ~ √ε exp(V/ε)."""
    bowl = ss.landscapes.Landscape(lambda x: jnp.cosh(x[0]), dim=1)
    noise, target = ss.noise.HessianProportional(), ~ss.regions.Ball([0.0], 2.0)
    found, action, times = slope(bowl, noise, [0.0], target, (-2.5, 2.5, 2000), (12.0, 24.0), 0.5)
    assert times[1] - times[0] > 10 * np.log(10)
    assert action == pytest.approx(2 * np.log(np.cosh(2)), rel=1e-5) and found == pytest.approx(action, rel=0.01)
    with pytest.raises(ValueError, match="noise in every direction all along the way"):
        minimum_action(
            ss.LangevinSGD(DOUBLE_WELL, ss.noise.HessianProportional(negative="clip"), 0.1, 1), [-1.0], [0.0]
        )


@pytest.mark.long
def test_in_the_plane_with_anisotropic_loss_proportional_noise():
    """No closed form: the noise drives the steep direction little, and the way bends."""
    bent = ss.landscapes.Landscape(lambda x: 0.4 + (x[0] ** 2 - 1) ** 2 + 2 * (x[1] - 0.5 * x[0]) ** 2, dim=2)
    noise = ss.noise.LossProportional(shape=[[1.0, 0.0], [0.0, 0.3]])
    target = ss.regions.HalfSpace([-1.0, 0.0], -0.5)
    grid = [(-2.2, 1.2, 110), (-2.0, 1.6, 120)]
    found, action, _ = slope(bent, noise, [-1.0, -0.5], target, grid, (6.0, 9.0))
    assert found == pytest.approx(action, rel=0.03)
    assert found != pytest.approx(2 * np.log(1.4 / 0.4), rel=0.03)


# As a score, as a dataset, and what is refused


def test_a_score_along_the_path_is_that_of_a_landscape_where_there_is_one():
    way = minimum_action(ss.LangevinSGD.at_temperature(DOUBLE_WELL, 0.1), [-1.0], [1.0], images=129)
    mine, theirs = ss.scores.along(way.path, way.climb), ss.scores.path(DOUBLE_WELL, [-1.0], [1.0])
    for x in np.linspace(-1, 1, 9):
        assert mine(jnp.array([x])) == pytest.approx(float(theirs(jnp.array([x]))), abs=2e-3)


@pytest.mark.long
def test_splitting_along_the_path_where_the_drift_is_no_gradient():
    """A flow that turns round: the way winds out, and so must the levels, for then few repetitions hold all no more."""
    surface = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + 0.5 * x[1] ** 2, dim=2)
    motion = ito(
        lambda x: -jnp.array([[1.0, 3.0], [-3.0, 1.0]], x.dtype) @ surface.gradient(x), lambda x: jnp.full(2, 0.42)
    )
    chain, start, target = (
        ss.EulerMaruyama(motion, 0.01),
        np.array([-1.0, 0.0], np.float32),
        ss.regions.Ball([1.0, 0.0], 0.3),
    )
    way = minimum_action(motion, start, [1.0, 0.0], images=33)
    spread, values, uneven = {}, {}, {}
    for name, score in (("default", "level"), ("along", ss.scores.along(way.path, way.climb, images=9))):
        method = ss.passage.Splitting(score, 32)
        runs = [
            ss.first_passage(chain, start, target, horizon=5.0, trajectories=8_192, seed=seed, method=method)
            for seed in range(4)
        ]
        values[name] = np.concatenate([run.level_probability[:, -1] for run in runs])
        spread[name] = np.std(values[name], ddof=1) / np.mean(values[name])
        uneven[name] = sum(run.status == "uneven" for run in runs)
    assert uneven["along"] < uneven["default"], uneven
    # steps to a precision go with its square; the two spend the same
    assert spread["along"] < 0.7 * spread["default"], spread
    direct = ss.first_passage(chain, start, target, horizon=5.0, trajectories=2**17, seed=9, method="direct")
    mean, chance = np.mean(values["along"]), direct.probability.value
    error = np.hypot(spread["along"] * mean / np.sqrt(len(values["along"])), chance / np.sqrt(2**17 * chance))
    assert abs(mean - chance) < 3 * error and abs(2 * mean - chance) > 3 * error, (mean, chance, error)


def test_the_dataset_holds_what_a_figure_draws():
    way = minimum_action(maier_stein(1.0), [-1.0, 0.0], [0.0, 0.0], images=17)
    data = way.to_dataset()
    assert data.drift.shape == (81, 81, 2) and "landscape" not in data
    np.testing.assert_array_equal(data.action, way.action_along)
    assert all(each.attrs["long_name"] and each.attrs["units"] for each in data.data_vars.values())
    assert "exponent" in repr(way) and "0.5" in repr(way)
    plane, along_it = ss.plotting.minimum_action_path(data).axes[:2]
    line = next(each for each in plane.get_lines() if each.get_label() == "minimum-action path")
    np.testing.assert_array_equal(line.get_xydata(), way.path)
    np.testing.assert_array_equal(along_it.get_lines()[0].get_ydata(), way.action_along)
    given = Figure().subplots(2)
    assert list(way.plot(given)) == list(given)
    np.testing.assert_array_equal(given[1].get_lines()[0].get_ydata(), way.action_along)
    with pytest.raises(ValueError, match="ax must be 2 matplotlib axes, for the plane, the action, got"):
        way.plot(given[0])
    with pytest.raises(ValueError, match="lacks the dimension 'image'"):
        ss.plotting.minimum_action_path(data.drop_dims("image"))


@pytest.mark.long
def test_noise_that_misses_a_direction_needs_a_floor():
    """A point on a spring, kicked in its speed alone: H/T at friction g, a = 2gT, from below as the floor falls."""
    friction = 0.5
    spring = ito(
        lambda x: jnp.array([x[1], -x[0] - friction * x[1]]), lambda x: jnp.array([0.0, jnp.sqrt(2 * friction)])
    )
    with pytest.raises(ValueError, match="or be given a floor"):
        minimum_action(spring, [0.0, 0.0], [1.0, 0.0])
    actions = [minimum_action(spring, [0.0, 0.0], [1.0, 0.0], floor=floor, images=33).action for floor in (0.5, 0.2)]
    for floor, action in zip((0.5, 0.2), actions, strict=True):
        matrix = np.array([[0.0, -1.0], [1.0, friction]])
        covariance = linalg.solve_continuous_lyapunov(matrix, np.diag([floor, 2 * friction + floor]))
        assert action == pytest.approx(np.linalg.inv(covariance)[0, 0] / 2, rel=2e-3)
    assert actions[0] < actions[1] < 0.5


def test_a_path_that_is_too_coarse_says_so():
    way = minimum_action(maier_stein(10.0), [-1.0, 0.0], [1.0, 0.0], images=17, rtol=1e-3)
    assert way.status == "budget spent" and "ask for more" in way.result


def test_what_is_refused():
    motion = maier_stein(1.0)
    with pytest.raises(ValueError, match="target must be another point than start"):
        minimum_action(motion, [0.0, 0.0], [0.0, 0.0])
    with pytest.raises(ValueError, match=r"target must have shape \(2,\)"):
        minimum_action(motion, [0.0, 0.0], [0.0])
    with pytest.raises(ValueError, match="images must be at least 9, got 5"):
        minimum_action(motion, [-1.0, 0.0], [0.0, 0.0], images=5)
    with pytest.raises(ValueError, match="rtol must be"):
        minimum_action(motion, [-1.0, 0.0], [0.0, 0.0], rtol=0.0)
    with pytest.raises(ValueError, match="floor must be at least 0"):
        minimum_action(motion, [-1.0, 0.0], [0.0, 0.0], floor=-1.0)
    with pytest.raises(ValueError, match="start must lie outside the target"):
        minimum_action(motion, [-1.0, 0.0], ss.regions.Ball([-1.0, 0.0], 0.5))
    with pytest.raises(ValueError, match="diffusion must be a diffusion"):
        minimum_action(VALLEY, [-1.0, 0.0], [0.0, 0.0])
    moving = ss.diffusions.ItoDiffusion(lambda x, t: -x * (1 + t), lambda x, t: jnp.ones(1), 1)
    with pytest.raises(ValueError, match="minimum-action paths need coefficients that do not change in time"):
        minimum_action(moving, [0.0], [1.0])
    still = ss.landscapes.Landscape(lambda x: x[0] ** 2, dim=1)
    with pytest.raises(ValueError, match=r"smallest eigenvalue 0 at \[0\.\]"):
        minimum_action(ss.LangevinSGD(still, ss.noise.LossProportional(), 0.1, 1), [0.0], [1.0])
    for points, heights, sentence in (
        ([[0.0, 1.0]], None, "points must be finite, of shape"),
        ([[0.0], [0.0]], None, "points must differ"),
        ([[0.0], [1.0]], [1.0, 0.0], "heights must be finite, not falling"),
    ):
        with pytest.raises(ValueError, match=sentence):
            ss.scores.along(points, heights)
