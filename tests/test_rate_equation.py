"""Shares of minima under rates that change: against closed forms, and against the law of the SDE on a grid."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate
from scipy.sparse.linalg import expm_multiply
from study_cases import MINIMA

import sde_sgd as ss
from sde_sgd.study import parse
from sde_sgd.study.kinds import _occupancy_theory
from sde_sgd.theory import rate_equation

Q = np.array([[0.0, 0.7, 0.1], [0.2, 0.0, 0.4], [0.05, 0.3, 0.0]])


def test_constant_rates_are_those_of_the_jump_process():
    found = rate_equation(lambda t: Q, [0.0, 1.0, 0.0], [0.5, 3.0], pieces=3)
    for time, law in zip((0.5, 3.0), found, strict=True):
        np.testing.assert_allclose(law, ss.stationary.transition_matrix(Q, time)[1], rtol=1e-12)


def test_rates_that_all_fall_alike_are_another_clock():
    """e^{−t}Q is Q for a time of 1 − e^{−t}; the error is quartered by halving. Twin: rates a little late."""
    times = np.array([0.5, 2.0, 6.0])
    exact = np.stack([ss.stationary.transition_matrix(Q, 1 - np.exp(-time))[0] for time in times])

    def error(pieces, late=0.0):
        return np.abs(rate_equation(lambda t: np.exp(-t - late) * Q, [1.0, 0.0, 0.0], times, pieces) - exact).max()

    coarse, fine = error(100), error(200)
    assert fine < 2e-6 and coarse / fine == pytest.approx(4, rel=0.02)
    assert error(200, late=0.0005) > 50 * fine
    dead = rate_equation(lambda t: 0 * Q, [0.2, 0.3, 0.5], [4.0])
    np.testing.assert_array_equal(dead, [[0.2, 0.3, 0.5]])


def test_two_minima_whose_rates_differ_in_time():
    """p' = a(t)(1 − p) − b(t)p by quadrature of the integrating factor, which shares no code."""
    up, down = (lambda t: 0.8 * np.exp(-1 / (1 + np.cos(t / 3)))), (lambda t: 0.3 + 0.2 * np.sin(t))
    found = rate_equation(lambda t: np.array([[0, up(t)], [down(t), 0]]), [1.0, 0.0], [7.0], pieces=4_000)[0, 1]
    grid = np.linspace(0, 7, 20_001)
    total = integrate.cumulative_simpson(up(grid) + down(grid), x=grid, initial=0)
    exact = integrate.simpson(up(grid) * np.exp(total - total[-1]), x=grid)
    assert found == pytest.approx(exact, abs=2e-7)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"start": [0.5, 0.2]}, "start must be probabilities"),
        ({"times": [2.0, 1.0]}, "times must be finite, above 0 and rising"),
        ({"rates": lambda t: -np.ones((2, 2))}, "rates must be finite, at least 0 and of shape"),
        ({"pieces": 0}, "pieces"),
    ],
)
def test_mistakes(keys, said):
    with pytest.raises(ValueError, match=said):
        rate_equation(**({"rates": lambda t: np.ones((2, 2)), "start": [1.0, 0.0], "times": [1.0]} | keys))


FREEZING = f"""
kind = "occupancy"
times = [2.0, 20.0, 120.0]
trajectories = 2
[landscape]
kind = "TwoWells"
sharp_curvature = 8.0
flat_curvature = 2.0
barrier = 1.0
depth_difference = 0.4
[noise]
kind = "Isotropic"
beta = 70.0
[sweep]
learning_rate = 0.01
batch_size = 1
[schedule]
kind = "exponential"
iterations = 8_000
factor = 0.1
{MINIMA}[reference]
grid = [-3.0, 4.5, 400]
"""


def law_on_a_grid(surface, times, heat, falls):
    """P(beyond the saddle) of dX = −u∇L dt + √(2u²T) dW with u = 0.1^(t/falls), by the generators of 200 pieces."""
    grid = ss.reference.FokkerPlanck(ss.LangevinSGD.at_temperature(surface, heat), (-3.0, 4.5, 400))
    centers = grid.grid.centers[0]
    law = np.zeros(400)
    law[np.argmin(np.abs(centers - float(surface.sharp_minimum[0])))] = 1
    found, before = [], 0.0
    for time in times:
        ends = np.linspace(before, time, 41)
        for first, last in itertools.pairwise(ends):
            u = 0.1 ** ((first + last) / 2 / falls)
            of_now = ss.reference.FokkerPlanck(ss.LangevinSGD.at_temperature(surface, heat * u), (-3.0, 4.5, 400))
            law = expm_multiply(of_now.generator().T * (u * (last - first)), law)
        found.append(law[centers > float(surface.saddle[0])].sum())
        before = time
    return np.array(found)


@pytest.mark.long
def test_shares_under_a_rate_that_falls_are_those_of_the_sde():
    """Two wells that cool: the study's two-state law, rates by the exact solver, is within 0.01 of the grid's law.

    At T = 0.35 a well of depth 0.6 is left soon: Eyring–Kramers is off by more. Twin: a rate that does not fall.
    """
    study = parse(FREEZING, "x")
    shared, surface = study.prepare(Path(".")), ss.landscapes.TwoWells(8.0, 2.0, 1.0, 0.4)
    exact = law_on_a_grid(surface, study.times, 0.35, 80.0)
    start = np.asarray(surface.sharp_minimum)
    data = _occupancy_theory.theory(study, shared, {"minima": shared.points(study)}, start)
    ours = data.probability_rates.values[1]
    assert np.abs(ours - exact).max() < 0.01, (ours, exact)
    assert np.abs(data.probability_kramers.values[1] - exact).max() < 0.05
    np.testing.assert_allclose(data.probability_rates.sum("basin"), 1, rtol=1e-9)
    steady = parse(FREEZING.replace("factor = 0.1", "factor = 0.999"), "x")
    twin = _occupancy_theory.theory(steady, shared, {"minima": shared.points(steady)}, start).probability_rates.values[
        1
    ]
    assert np.abs(twin - exact).max() > 0.05
