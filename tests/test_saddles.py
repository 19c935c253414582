"""What is taken for a saddle, and what is refused: exactly one way down, and a wall behind each minimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss

# four minima at (±1, ±1), passes between neighbours at (0, ±1) and (±1, 0), a hilltop at 0
FOUR = ss.landscapes.Landscape(lambda x: jnp.sum((x**2 - 1) ** 2), 2)


def test_a_hilltop_is_no_saddle_of_the_theory():
    diffusion = ss.LangevinSGD.at_temperature(FOUR, 0.2)
    time = ss.theory.eyring_kramers(diffusion, [-1.0, 1.0], [0.0, 1.0])
    assert time == pytest.approx(2 * np.pi / 4 * np.sqrt(4 / 8) * np.exp(1 / 0.2), rel=1e-5)
    with pytest.raises(ValueError, match=r"saddle must be a saddle .* 2 negative"):
        ss.theory.eyring_kramers(diffusion, [-1.0, -1.0], [0.0, 0.0])
    flat = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 4, 2)
    with pytest.raises(ValueError, match=r"1 zero"):
        ss.theory.eyring_kramers(ss.LangevinSGD.at_temperature(flat, 0.2), [-1.0, 0.0], [0.0, 0.0])


def test_between_opposite_minima_the_way_leads_round_the_hilltop():
    """The straight line meets the hilltop, where the gradient vanishes too; what is found has one way down."""
    for first, last in (([-1.0, -1.0], [1.0, 1.0]), ([-1.0, 1.0], [1.0, -1.0])):
        saddle = ss.landscapes.find_saddle(FOUR, np.array(first), np.array(last))
        assert saddle.index == 1 and saddle.loss == pytest.approx(1.0, abs=1e-9)
        assert np.sort(np.abs(saddle.location)) == pytest.approx([0.0, 1.0], abs=1e-9)


def test_behind_its_minima_two_wells_is_a_parabola():
    """Also far out: no fifth power is left of the profile between the minima."""
    with jax.enable_x64(True):
        wells = ss.landscapes.TwoWells(30.0, 3.0, 1.7, -0.6, 2.5, saddle_curvature=5.0, saddle_fraction=0.3)
        for distance in (0.1, 1.0, 5.0):
            for side, curvature, bottom in ((-1, 30.0, 0.0), (1, 3.0, -0.6)):
                point = jnp.array([side * (1.25 + distance)])
                assert float(wells.loss(point)) == pytest.approx(bottom + curvature * distance**2 / 2, rel=1e-12)
                assert float(wells.gradient(point)[0]) == pytest.approx(side * curvature * distance, rel=1e-12)


def test_rates_over_several_saddles_add_up():
    """Two ways between the same minima make twice the rate of one, in both directions."""
    diffusion = ss.LangevinSGD.at_temperature(FOUR, 0.2)
    minima = ss.landscapes.find_minima(FOUR, [[-1.0, 1.0], [1.0, 1.0]])
    ways = ss.landscapes.saddle_graph(FOUR, minima)
    once = ss.theory.rate_matrix(diffusion, minima, ways)
    assert len(ways) == 1 and once[0, 1] > 0 and once[1, 0] > 0
    np.testing.assert_allclose(ss.theory.rate_matrix(diffusion, minima, [*ways, *ways]), 2 * once, rtol=1e-12)
