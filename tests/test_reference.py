"""The grid solvers against closed forms. Nothing here is random: no test has a false-fail rate above zero."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.special

import sde_sgd as ss
from sde_sgd.reference import FokkerPlanck, Grid
from sde_sgd.reference._one_dimensional import exit_probability, solve

WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
BOWL = ss.landscapes.Landscape(lambda x: x[0] ** 2 / 2, dim=1)
TABLE = {
    2: (4.6065396, 8.7567405, 10.25857),
    4: (33.945744, 65.924984, 69.263645),
    6: (241.95199, 477.63497, 485.44349),
    8: (1749.1909, 3480.2147, 3500.0348),
    10: (12762.676, 25473.947, 25527.091),
    12: (93559.015, 186972.48, 187119.84),
}


def ito(drift, factor, dim):
    return ss.diffusions.ItoDiffusion(drift, factor, dim)


BROWNIAN_1 = ito(lambda x, t: 0 * x, lambda x, t: jnp.ones(1), 1)
BROWNIAN_2 = ito(lambda x, t: 0 * x, lambda x, t: jnp.ones(2), 2)


def left_of(offset, dim=1):
    return ss.regions.HalfSpace(normal=[1.0] + [0.0] * (dim - 1), offset=offset)


def right_of(offset, dim=1):
    return ss.regions.HalfSpace(normal=[-1.0] + [0.0] * (dim - 1), offset=-offset)


def ball(radius, dim):
    return ss.regions.Ball(center=[0.0] * dim, radius=radius)


def mesh(grid):
    return np.stack(np.meshgrid(*grid.centers, indexing="ij"), axis=-1)


def orders(errors):
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


@pytest.mark.parametrize("beta", TABLE)
def test_double_well_passage_times(beta):
    solver = FokkerPlanck(ss.LangevinSGD.at_temperature(WELL, 1 / beta), (-2.2, 2.0, 2000))
    for level, exact in zip((0.0, 0.5, 1.0), TABLE[beta], strict=True):
        assert solver.mean_passage_time(right_of(level), start=-1.0) == pytest.approx(exact, rel=1e-6)


def test_double_well_rejects_a_temperature_one_per_mille_off():
    """The broken twin of the table: it must fail at the table's tolerance."""
    solver = FokkerPlanck(ss.LangevinSGD.at_temperature(WELL, 0.1001), (-2.2, 2.0, 2000))
    assert abs(solver.mean_passage_time(right_of(0.5), start=-1.0) / TABLE[10][1] - 1) > 1e-3


def test_ornstein_uhlenbeck_passage_times_to_far_levels():
    solver = FokkerPlanck(ss.LangevinSGD.at_temperature(BOWL, 0.5), (-6.0, 6.0, 500))
    for level, exact in {2: 10.42841, 3: 86.93162, 4: 2018.3924, 5: 140741.0005, 6: 28267502.87}.items():
        time_to = solver.mean_exit_time(left_of(level / np.sqrt(2)), start=[0.0])
        assert time_to == pytest.approx(exact, rel=1e-7)


def test_stationary_probability_of_a_region():
    """Gaussian laws: a half line from the middle of a cell, and a disc, whose edge crosses cells."""
    line = FokkerPlanck(ss.LangevinSGD.at_temperature(ss.landscapes.Quadratic([1.0]), 0.5), (-6, 6, 400))
    assert line.stationary_probability(left_of(0.7)) == pytest.approx(scipy.special.ndtr(0.7 * np.sqrt(2)), abs=2e-4)
    assert line.stationary_probability(~left_of(0.7)) == pytest.approx(scipy.special.ndtr(-0.7 * np.sqrt(2)), abs=2e-4)
    # parts of a cell are counted alike from both sides
    left, right = line.stationary_probability(left_of(-0.7)), line.stationary_probability(right_of(0.7))
    assert left == pytest.approx(right, rel=1e-9)
    plane = FokkerPlanck(ss.LangevinSGD.at_temperature(ss.landscapes.Quadratic(np.eye(2)), 0.5), [(-5, 5, 120)] * 2)
    assert plane.stationary_probability(ball(0.8, 2)) == pytest.approx(1 - np.exp(-0.64), abs=1e-3)


def test_mean_exit_time_is_a_function_on_the_grid():
    solver = FokkerPlanck(BROWNIAN_1, Grid(-1.5, 1.53, 60))
    function = solver.mean_exit_time(ball(1.0, 1))
    x = np.linspace(-1.5, 1.53, 301)
    exact = np.maximum(1 - x**2, 0)
    assert function.values.shape == (60,)
    np.testing.assert_allclose(function(x[:, None]), exact, atol=1e-7)
    np.testing.assert_allclose(function.values, np.maximum(1 - solver.grid.centers[0] ** 2, 0), atol=1e-7)
    with pytest.raises(ValueError, match="theta must lie in the grid"):
        function([2.0])


def test_committor_on_a_line():
    solver = FokkerPlanck(ss.LangevinSGD.at_temperature(WELL, 0.2), (-2.2, 2.0, 300))
    x = np.linspace(-1, 1, 20001)
    scale = np.concatenate([[0.0], np.cumsum(np.exp((x**2 - 1) ** 2 / 0.2)[1:] + np.exp((x**2 - 1) ** 2 / 0.2)[:-1])])
    at = np.searchsorted(x, 0.2)
    value = solver.committor(right_of(1.0), left_of(-1.0), start=x[at])
    assert value == pytest.approx(scale[at] / scale[-1], rel=1e-6)
    assert solver.committor(right_of(1.0), left_of(-1.0))([1.5]) == 1


def brownian_exit(x, times):
    k = np.arange(400)
    w = (2 * k + 1) * np.pi / 2
    return np.array([1 - (2 * (-1.0) ** k / w * np.cos(w * x) * np.exp(-(w**2) * t / 2)).sum() for t in times])


def test_escape_probability_of_brownian_motion():
    times = np.geomspace(0.01, 1e4, 25)
    exact = brownian_exit(0.3, times)
    errors = []
    for cells in (101, 202, 404):
        solver = FokkerPlanck(BROWNIAN_1, (-1.01, 1.01, cells))
        errors.append(np.abs(solver.escape_probability(ball(1.0, 1), [0.3], times) - exact).max())
    assert errors[-1] < 2e-5
    assert np.all(np.abs(orders(errors) - 2) < 0.2)
    fine = FokkerPlanck(BROWNIAN_1, (-1.01, 1.01, 2000)).escape_probability(ball(1.0, 1), [0.3], times)
    np.testing.assert_allclose(fine, exact, atol=1e-6)


def test_the_contour_is_the_best_one():
    """P(left by t) of one node, 1 − e^{−2t}: off by 4·3.89^−contour, the rate of the published coefficients.

    Trefethen, Weideman and Schmelzer 2006. Any other contour of the kind converges too, to fewer digits.
    """
    one, times = np.array([0.0, 1.0, 0.0]), np.geomspace(0.1, 3, 20)
    for contour in (12, 16, 20, 24):
        found = exit_probability(one, one, one > 0, 1, times, contour)
        error = np.abs(found + np.expm1(-2 * times)).max() * 3.89**contour
        assert 2 < error < 6, (contour, error)


def test_elimination_is_the_solution_of_the_linear_system():
    """(killing − Q)f = source on two runs of nodes, f given on both sides of each: against a dense solver."""
    random = np.random.default_rng(3)
    up, down, source, boundary = random.uniform(0.5, 2.0, (4, 9))
    up[-1] = down[0] = 0
    inside = np.array([0, 1, 1, 1, 0, 1, 1, 0, 0], bool)
    for killing in (0.0, 0.3):
        matrix = np.diag(killing + up + down) - np.diag(up[:-1], 1) - np.diag(down[1:], -1)
        matrix[~inside] = np.eye(9)[~inside]
        exact = np.linalg.solve(matrix, np.where(inside, source, boundary))
        np.testing.assert_allclose(solve(up, down, inside, source, boundary, killing), exact, rtol=1e-12)


def test_escape_probability_is_exponential_for_a_rare_exit():
    solver = FokkerPlanck(ss.LangevinSGD.at_temperature(WELL, 1 / 12), (-2.2, 2.0, 1000))
    times = np.array([1e3, 1e5, 1e6])
    region = left_of(0.5)
    mean = solver.mean_exit_time(region, start=-1.0)
    np.testing.assert_allclose(solver.escape_probability(region, -1.0, times), -np.expm1(-times / mean), atol=2e-5)


def test_escape_probability_is_fast_in_a_sweep():
    """A sweep over batch sizes compiles once: the median call must take well under a second."""
    took = []
    for batch_size in range(4, 10):
        diffusion = ss.LangevinSGD(WELL, ss.noise.Isotropic(1.0), learning_rate=0.1, batch_size=batch_size)
        begin = time.perf_counter()
        FokkerPlanck(diffusion, (-2.2, 2.0, 1000)).escape_probability(left_of(0.0), -1.0, np.geomspace(1, 1e4, 25))
        took.append(time.perf_counter() - begin)
    assert np.median(took) < 1.0


def test_spectral_gap_of_ornstein_uhlenbeck_and_its_order():
    errors = [
        abs(FokkerPlanck(ss.LangevinSGD.at_temperature(BOWL, 0.5), (-6.0, 6.0, n)).spectral_gap() - 1)
        for n in (200, 400, 800)
    ]
    assert errors[-1] < 1e-4
    assert np.all(np.abs(orders(errors) - 2) < 0.2)


def test_a_tiny_spectral_gap_is_the_sum_of_two_rates():
    """At low temperature the gap is twice the inverse of the mean time from one well deep into the other."""
    solver = FokkerPlanck(ss.LangevinSGD.at_temperature(WELL, 1 / 24), (-2.0, 2.0, 800))
    gap = solver.spectral_gap()
    assert gap < 1e-8
    assert gap * solver.mean_passage_time(right_of(0.6), start=-1.0) == pytest.approx(2, rel=2e-3)


def test_loss_proportional_noise_gives_student_t():
    landscape = ss.landscapes.Landscape(lambda x: 0.3 + x[0] ** 2 / 2, dim=1)
    diffusion = ss.LangevinSGD(landscape, ss.noise.LossProportional(2.0), learning_rate=0.5, batch_size=2)
    solver = FokkerPlanck(diffusion, (-4.0, 4.0, 400))
    # the noise is γ·2L/M = 2D with D = ηhL/B: B/(ηh) = 4, p ∝ L^(−5)
    edges = np.linspace(-4, 4, 401)
    points, weights = np.polynomial.legendre.leggauss(8)
    x = (edges[:-1, None] + edges[1:, None]) / 2 + 0.01 * points
    exact = ((0.3 + x**2 / 2) ** -5.0) @ weights
    density = solver.stationary()
    assert density.sum() * 0.02 == pytest.approx(1)
    np.testing.assert_allclose(density, exact / exact.sum() / 0.02, rtol=1e-7)
    # broken twin: the Stratonovich reading has p ∝ L^(−4.5)
    twin = ((0.3 + x**2 / 2) ** -4.5) @ weights
    assert np.abs(density - twin / twin.sum() / 0.02).max() > 0.02


def test_geometric_brownian_motion_hitting_probability():
    """dX = mX dt + sX dW from 1 between 1/2 and 2 with 2m/s² = 0.5 in Itô's sense: scale function x^(1/2)."""
    drift, sigma = 0.25 * 0.64, 0.8
    solver = FokkerPlanck(ito(lambda x, t: drift * x, lambda x, t: sigma * x, 1), (0.3, 3.0, 200))
    exact = (1 - np.sqrt(0.5)) / (np.sqrt(2) - np.sqrt(0.5))
    value = solver.committor(right_of(2.0), left_of(0.5), start=[1.0])
    assert value == pytest.approx(exact, rel=1e-8)
    stratonovich = ito(lambda x, t: drift * x + sigma**2 / 2 * x, lambda x, t: sigma * x, 1)
    assert abs(FokkerPlanck(stratonovich, (0.3, 3.0, 200)).committor(right_of(2.0), left_of(0.5), 1.0) - exact) > 0.05


def test_generators_are_q_matrices():
    one = FokkerPlanck(ss.LangevinSGD.at_temperature(WELL, 0.05), (-2.2, 2.0, 50)).generator()
    two = FokkerPlanck(CORRELATED, [(-4, 4, 20), (-4, 4, 20)]).generator()
    for generator in (one, two):
        dense = generator.toarray()
        assert np.all(dense - np.diag(np.diag(dense)) >= 0)
        np.testing.assert_allclose(dense.sum(axis=1), 0, atol=1e-10 * np.abs(dense).max())


# ---- two dimensions

ROTATION = np.array([[1.0, 0.8], [-0.5, 0.6]])
NOISE = np.array([[1.0, 0.4], [0.4, 0.8]])
FACTOR = np.linalg.cholesky(NOISE)
CORRELATED = ito(lambda x, t: -jnp.asarray(ROTATION) @ x, lambda x, t: jnp.asarray(FACTOR), 2)


def test_brownian_exit_from_a_disk():
    solver = FokkerPlanck(BROWNIAN_2, [(-1.3, 1.35, 41), (-1.37, 1.3, 37)])
    function = solver.mean_exit_time(ball(1.0, 2))
    radius = np.linalg.norm(mesh(solver.grid), axis=-1)
    np.testing.assert_allclose(function.values, np.maximum(1 - radius**2, 0) / 2, atol=1e-6)
    assert function([0.1, 0.2]) == pytest.approx((1 - 0.05) / 2, rel=1e-6)


def test_escape_probability_from_a_disk():
    zeros = scipy.special.jn_zeros(0, 100)
    times = np.geomspace(0.02, 1e4, 12)
    exact = np.array(
        [1 - (2 / (zeros * scipy.special.jv(1, zeros)) * np.exp(-(zeros**2) * t / 2)).sum() for t in times]
    )
    errors = []
    for cells in (20, 40, 80):
        solver = FokkerPlanck(BROWNIAN_2, [(-1.3, 1.35, cells), (-1.37, 1.3, cells)])
        errors.append(np.abs(solver.escape_probability(ball(1.0, 2), [0.0, 0.0], times) - exact).max())
    assert errors[-1] < 1e-3
    assert np.all(np.abs(orders(errors) - 2) < 0.3)


def test_correlated_irreversible_ornstein_uhlenbeck():
    """Stationary covariance of the Lyapunov equation, the gap of the drift matrix, and order 2 of both."""
    exact = scipy.linalg.solve_continuous_lyapunov(ROTATION, NOISE)
    rate = np.linalg.eigvals(ROTATION).real.min()
    errors, gaps = [], []
    for cells in (25, 50, 100):
        solver = FokkerPlanck(CORRELATED, [(-5, 5, cells), (-5, 5, cells)])
        density = solver.stationary()
        assert np.all(density >= 0)
        x = mesh(solver.grid)
        covariance = np.einsum("xy,xyi,xyj->ij", density * np.prod(solver.grid.spacing), x, x)
        errors.append(np.abs(covariance - exact).max())
        gaps.append(abs(solver.spectral_gap() - rate))
    assert errors[-1] < 5e-3
    assert np.all(np.abs(orders(errors) - 2) < 0.2)
    assert np.all(np.abs(orders(gaps) - 2) < 0.3)


def test_a_negative_correlation_is_a_positive_one_in_the_mirror():
    flip = np.diag([1.0, -1.0])
    turned = ito(lambda x, t: -jnp.asarray(flip @ ROTATION @ flip) @ x, lambda x, t: jnp.asarray(flip @ FACTOR), 2)
    density, other = (FokkerPlanck(each, [(-4, 4, 24), (-4, 4, 20)]).stationary() for each in (CORRELATED, turned))
    np.testing.assert_allclose(other[:, ::-1], density, rtol=1e-6, atol=1e-9)
    assert np.abs(other - density).max() > 0.01 * density.max()


def correlated_factor(x):
    """B with tr BBᵀ = 2, otherwise different at every point."""
    factor = jnp.array([[1 + 0.3 * jnp.sin(x[0] + x[1]), 0.3 * jnp.cos(x[0])], [0.2 * x[1], 1 + 0.2 * x[0] ** 2]])
    return factor * jnp.sqrt(2 / jnp.sum(factor**2))


def half_divergence(x):
    def covariance(y):
        return correlated_factor(y) @ correlated_factor(y).T

    return jnp.einsum("ijj->i", jax.jacfwd(covariance)(x)) / 2


def swirl(x):
    return jnp.array([-x[1], x[0]]) * 0.3


def test_multiplicative_correlated_noise_is_read_in_itos_sense():
    """With tr a = 2 and a drift along circles the mean exit time of the unit disk is (1 − |x|²)/2, exactly."""
    errors = []
    for cells in (20, 40, 80):
        grid = Grid((-1.3, -1.37), (1.35, 1.3), (cells, cells))
        solver = FokkerPlanck(ito(lambda x, t: swirl(x), lambda x, t: correlated_factor(x), 2), grid)
        errors.append(abs(solver.mean_exit_time(ball(1.0, 2), start=[0.1, 0.2]) - 0.475))
    assert errors[-1] < 1e-4
    assert np.all(orders(errors) > 1.7)
    # broken twin: the noise read in flux form, ½ ∇·(a∇p), is another diffusion
    twin = ito(lambda x, t: swirl(x) + half_divergence(x), lambda x, t: correlated_factor(x), 2)
    assert abs(FokkerPlanck(twin, grid).mean_exit_time(ball(1.0, 2), start=[0.1, 0.2]) - 0.475) > 1e-3


def test_drift_of_half_the_divergence_makes_a_uniform_law():
    deviations = []
    for cells in (15, 30, 60):
        solver = FokkerPlanck(
            ito(lambda x, t: half_divergence(x), lambda x, t: correlated_factor(x), 2),
            [(-1, 1, cells), (-1, 1, cells)],
        )
        deviations.append(np.abs(solver.stationary() - 0.25).max())
    assert deviations[-1] < 1e-3
    assert np.all(orders(deviations) > 1.5)


def test_two_dimensional_double_well_agrees_with_one_dimension():
    """A second coordinate that is independent changes neither the passage time nor the gap, even when it is 1e-8."""
    plane = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + 2 * x[1] ** 2, dim=2)
    two = FokkerPlanck(ss.LangevinSGD.at_temperature(plane, 0.05), [(-2, 2, 160), (-1.5, 1.5, 24)])
    one = FokkerPlanck(ss.LangevinSGD.at_temperature(WELL, 0.05), (-2, 2, 160))
    assert two.spectral_gap() == pytest.approx(one.spectral_gap(), rel=5e-3)
    exact = one.mean_exit_time(left_of(0.5), start=-1.0)
    assert two.mean_exit_time(left_of(0.5, 2), start=[-1.0, 0.0]) == pytest.approx(exact, rel=5e-3)
    committor = two.committor(right_of(0.9, 2), left_of(-0.9, 2))
    # antisymmetric about the saddle, where it is one half
    assert committor([0.0, 0.1]) == pytest.approx(0.5, abs=1e-6)
    assert committor([1.5, 0.1]) == pytest.approx(1.0)


def test_the_box_edge_can_be_the_exit():
    """A region that ends on the edge of the box, or between it and the last cell centre, is left there."""
    two = FokkerPlanck(BROWNIAN_2, [(-1, 1, 20), (0, 1, 5)])
    strip = ss.regions.HalfSpace([1.0, 0.0], 1.0) & ss.regions.HalfSpace([-1.0, 0.0], 1.0)
    assert two.mean_exit_time(strip, start=[0.3, 0.5]) == pytest.approx(1 - 0.3**2, rel=1e-6)
    # what ends beyond the box is not left there: the box reflects
    beyond = ss.regions.HalfSpace([1.0, 0.0], 1.02) & ss.regions.HalfSpace([-1.0, 0.0], 1.0)
    assert two.mean_exit_time(beyond, start=[0.3, 0.5]) == pytest.approx(2**2 - (1 - 0.3) ** 2, rel=1e-6)
    one = FokkerPlanck(BROWNIAN_1, (-1, 1, 20))
    assert one.mean_exit_time(left_of(1.0), start=0.0) == pytest.approx(3.0, rel=1e-9)


# ---- errors


def test_refused_arguments():
    solver = FokkerPlanck(BROWNIAN_1, (-1.5, 1.5, 50))
    interval = ball(1.0, 1)
    cases = {
        "dimensions": lambda: FokkerPlanck(ito(lambda x, t: x, lambda x, t: jnp.ones(3), 3), (-1, 1, 10)),
        "grid must have 1 axes": lambda: FokkerPlanck(BROWNIAN_1, [(-1, 1, 10), (-1, 1, 10)]),
        "low < high": lambda: Grid(1.0, -1.0, 10),
        "at least 4 cells": lambda: Grid(-1.0, 1.0, 3),
        "cells must be": lambda: Grid(-1.0, 1.0, 10.5),
        "grid must be": lambda: FokkerPlanck(BROWNIAN_1, 5),
        "start must lie in the grid": lambda: solver.mean_exit_time(interval, start=2.0),
        "start must lie inside": lambda: solver.escape_probability(interval, 1.2, [1.0]),
        "start must have shape": lambda: solver.mean_exit_time(interval, start=[0.0, 0.0]),
        "got none": lambda: solver.mean_exit_time(left_of(-3.0)),
        "never left": lambda: solver.mean_exit_time(left_of(3.0)),
        "times must be": lambda: solver.escape_probability(interval, 0.0, [0.0, 1.0]),
        "overlap": lambda: solver.committor(left_of(0.2), right_of(0.0)),
        "positive variance": lambda: FokkerPlanck(ito(lambda x, t: x, lambda x, t: 0 * x, 1), (-1, 1, 10)),
        "finite coefficients": lambda: FokkerPlanck(ito(lambda x, t: jnp.log(x), lambda x, t: x, 1), (-1, 1, 10)),
        "do not change in time, got ItoDiffusion": lambda: FokkerPlanck(
            ito(lambda x, t: x * t, lambda x, t: 1 + x**2, 1), (-1, 1, 10)
        ),
        "schedule for learning_rate": lambda: FokkerPlanck(
            ss.LangevinSGD(WELL, ss.noise.Isotropic(1.0), learning_rate=lambda k: 0.1 / (1 + k), batch_size=1),
            (-1, 1, 10),
        ),
        "rotate the coordinates": lambda: FokkerPlanck(
            ito(lambda x, t: -x, lambda x, t: jnp.array([[1.0, 0.0], [1.5, 1.0]]), 2), [(-2, 2, 20), (-2, 2, 20)]
        ).stationary(),
    }
    for message, call in cases.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_unlike_noises_are_allowed_on_a_grid_of_their_ratio():
    """The refused case above has a_xx = 1, a_yy = 3.25, a_xy = 1.5: cells 1.8 times as high as wide suit it."""
    factor = np.array([[1.0, 0.0], [1.5, 1.0]])
    solver = FokkerPlanck(ito(lambda x, t: -x, lambda x, t: jnp.asarray(factor), 2), [(-4, 4, 100), (-7.2, 7.2, 100)])
    x = mesh(solver.grid)
    covariance = np.einsum("xy,xyi,xyj->ij", solver.stationary() * np.prod(solver.grid.spacing), x, x)
    np.testing.assert_allclose(covariance, factor @ factor.T / 2, atol=0.03)
