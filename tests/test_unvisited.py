"""Time averages beside a basin that no trajectory came to: exploration finds it, and the status names it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Polynomial
from polynomials import on_the_line

import sde_sgd as ss
from sde_sgd.results import Status
from sde_sgd.stationary import _unvisited
from sde_sgd.stationary._minima_graph import minima_graph
from sde_sgd.stationary._missing_minima import missing_minima

T, DT, PLACE = 0.25, 0.002, 3.2
WINDOW = {"horizon": 20.0, "trajectories": 512, "progress": False}
BINS = (-3.0, 5.0, 32)


def needle(depth):
    """A bowl with a narrow hole at 3.2."""
    return ss.landscapes.Landscape(lambda x: x[0] ** 2 / 2 - depth * jnp.exp(-((x[0] - PLACE) ** 2) / 0.05), dim=1)


def share(depth):
    """Of the law beyond 2.5, by quadrature."""
    x = np.linspace(-5, 7, 200_001)
    weight = np.exp(-(x**2 / 2 - depth * np.exp(-((x - PLACE) ** 2) / 0.05)) / T)
    return weight[x > 2.5].sum() / weight.sum()


def chain_on(landscape):
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, T), DT)


DEEP = chain_on(needle(7.0))


def test_a_histogram_names_the_basin_that_it_has_not_seen():
    """It holds 99 % of the law, behind a barrier of 15 temperatures; where some began there nothing is missing."""
    found = ss.histogram(DEEP, np.zeros(1), bins=BINS, **WINDOW)
    assert found.status is Status.NOT_CONVERGED and share(7.0) > 0.99
    assert "no trajectory ended in the basin of [3.18858" in found.result and "holds 0.99 of the law" in found.result
    assert "2 basins slow to leave" in repr(found)
    starts = np.where(np.arange(512) % 2, 3.19, 0.0)[:, None]
    both = ss.histogram(DEEP, starts, bins=BINS, **WINDOW)
    assert not both.around.missing and "2 basins slow to leave" in both.around.told


def test_shares_of_the_time_name_it_too():
    regions = {"left": ss.regions.HalfSpace([1.0], 0.0), "right": ss.regions.HalfSpace([-1.0], 0.0)}
    found = ss.occupancy(DEEP, np.zeros(1), regions=regions, **WINDOW | {"horizon": 400.0, "trajectories": 128})
    assert found.status is Status.NOT_CONVERGED and found.result.count("not converged") == 1
    assert "basin of [3.18858" in found.result
    shallow = ss.occupancy(
        chain_on(needle(2.0)), np.zeros(1), regions=regions, **WINDOW | {"horizon": 400.0, "trajectories": 128}
    )
    assert shallow.status is Status.CONVERGED and share(2.0) < 1e-5


def test_what_holds_hardly_anything_is_not_missed():
    found = ss.histogram(chain_on(needle(3.8)), np.zeros(1), bins=BINS, **WINDOW)
    assert found.status is Status.COMPLETE and "2 minima" in found.around.told and share(3.8) < 1e-3


def test_what_cannot_be_explored_is_told():
    """A chain without a landscape; noise that has no temperature; jumps; too many components."""
    drift = ss.diffusions.ItoDiffusion(lambda x, t: -x, lambda x, t: 0 * x + 1, 1)
    landscape = ss.landscapes.Landscape(lambda x: x[0] ** 2 / 2, dim=1)
    noise = ss.EulerMaruyama(ss.LangevinSGD(landscape, ss.noise.LossProportional(1.0), 0.05, 1.0))
    jumps = ss.chains.LevyEuler(ss.Langevin(landscape, T), 1.8, 0.05)
    many = ss.EulerMaruyama(ss.Langevin(ss.landscapes.Quadratic([1.0] * 301), T), 0.05)
    for chain, why in (
        (ss.EulerMaruyama(drift, 0.05), "no landscape"),
        (noise, "no temperature"),
        (jumps, "no temperature"),
        (many, "there are 301 components"),
    ):
        found = ss.histogram(chain, np.full(chain.dim, 0.5), lambda x: x[0], BINS, **WINDOW)
        assert why in found.surroundings and "watched only" in repr(found) and not found.around.missing


def themselves(points):
    return points


@pytest.mark.parametrize("again", [True, False], ids=["the same landscape", "another"])
def test_an_exploration_serves_the_next_call(again, monkeypatch):
    """Of a study's cells, say; a landscape with other numbers is another, also where they were changed in place."""
    made, explore = [], _unvisited.explore
    monkeypatch.setattr(_unvisited, "explore", lambda *args, **options: made.append(1) or explore(*args, **options))
    monkeypatch.setattr(_unvisited, "_KEPT", _unvisited.deque(maxlen=4))
    curvatures = np.array([1.0, 2.0])
    bowl = ss.landscapes.Landscape(lambda x, c: 0.5 * jnp.sum(c * x**2), 2, curvatures)
    for last in (2.0, 2.0 if again else 3.0):
        curvatures[1] = last
        ends = np.random.default_rng(0).normal(size=(2, 64)).clip(-1, 1)
        found = _unvisited.unvisited(chain_on(bowl), np.zeros(2), ends, themselves)
        assert "1 minima, 1 basins slow to leave" in found.told and not found.missing
    assert len(made) == (1 if again else 2)


@pytest.mark.parametrize(("temperature", "told"), [(0.14, True), (0.05, False)])
def test_a_loss_without_bound_has_no_law(temperature, told):
    """Beyond a barrier of 14 temperatures; beyond one of 40 the window is too short for it to matter."""
    falls = ss.landscapes.Landscape(lambda x: x[0] ** 2 / 2 - x[0] ** 4 / 32, dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(falls, temperature), 0.01)
    found = ss.histogram(chain, np.zeros(1), bins=(-4.0, 4.0, 16), **WINDOW | {"horizon": 100.0})
    assert found.status is (Status.NOT_CONVERGED if told else Status.COMPLETE)
    assert ("over a saddle at 2 the loss descends without bound" in found.result) is told


def test_what_tells_no_temperature_is_told():
    bowl = ss.landscapes.Quadratic([1.0])
    for ends, why in ((1e200, "at which trajectories ended are not finite"), (np.nan, "no trajectory is finite")):
        assert why in _unvisited.unvisited(chain_on(bowl), np.ones(1), np.full((1, 4), ends), themselves).told


def test_what_is_averaged_may_not_tell_it_from_what_was_seen():
    """Of two wells that are mirror images a histogram of the loss needs one; of the place it needs both."""
    wells = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(wells, 0.066), 0.01)
    ends = np.random.default_rng(0).normal(1.0, 0.08, (1, 128))
    for telling, told in ((lambda x: (x[:, 0] ** 2 - 1) ** 2, False), (themselves, True)):
        found = _unvisited.unvisited(chain, np.ones(1), ends, telling)
        assert ("basin of [-1.]" in found.missing) is told


def test_where_a_step_overshoots_nothing_stays():
    """The hole has a curvature of 280: steps of 0.02 leave it at once, and it holds nothing of the chain's law."""
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(needle(7.0), T), 0.02)
    ends = np.random.default_rng(0).normal(0.0, 0.5, (1, 512))
    found = _unvisited.unvisited(chain, np.zeros(1), ends, themselves)
    assert not found.missing and "1 minima are too sharp for a step" in found.told


def test_ends_far_along_a_valley_are_in_no_basin_by_second_order():
    """On a ring with one lowest place, around a basin in the middle that holds 2 %: nobody on the ring is in it."""
    unit = 12 * T

    def loss(x):
        r = jnp.sqrt(jnp.sum(x**2) + 1e-12)
        return 16 * unit * (r * (1 - r)) ** 2 - 0.5 * T * x[0]

    angles = np.random.default_rng(0).vonmises(0.0, 0.5, 512)
    ring = np.stack([np.cos(angles), np.sin(angles)])
    found = _unvisited.unvisited(chain_on(ss.landscapes.Landscape(loss, 2)), np.array([1.0, 0.0]), ring, themselves)
    assert "2 basins slow to leave" in found.told and "over a saddle at 2.938: by the weights" in found.missing


def test_a_loss_that_is_only_known_in_float32_is_watched():
    """What the trajectories tell is not lost."""

    def loss(x):
        return jax.lax.scan(lambda carry, each: (carry + each**2, None), jnp.float32(0.0), x)[0]

    chain = chain_on(ss.landscapes.Landscape(loss, 2))
    found = ss.histogram(chain, np.zeros(2), lambda x: x[0], BINS, **WINDOW)
    assert found.status is Status.COMPLETE and "computable in float64" in found.around.told


def test_a_basin_is_seen_by_any_of_its_minima():
    """Of two wells one has a dip on its slope: all that came there ended in the dip."""
    dip = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 - 0.15 * jnp.exp(-((x[0] - 0.72) ** 2) / 0.004), 1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(dip, 0.07), 0.001)
    for seen, missing in (([-1.0, 0.73], False), ([-1.0], True)):
        around = _unvisited.unvisited(chain, np.array([-1.0]), np.repeat(seen, 64)[None], themselves)
        assert "3 minima, 2 basins slow to leave" in around.told and bool(around.missing) is missing


def test_one_trajectory_tells_no_spread():
    bowl = chain_on(ss.landscapes.Quadratic([1.0]))
    regions = {"left": ss.regions.HalfSpace([1.0], 0.0), "right": ss.regions.HalfSpace([-1.0], 0.0)}
    found = ss.occupancy(bowl, np.zeros(1), regions=regions, horizon=20.0, trajectories=1, progress=False)
    assert found.status is Status.NOT_CONVERGED and "fewer than two trajectories" in found.result


def test_an_image_has_the_same_shape_too():
    """Wells at ±1 of the same loss and curvature, of another shape: of x² the law has 1.006, the right one 1.069."""

    def loss(x):
        square = x[0] ** 2 - 1
        return square**2 * (1 - 0.9 * x[0] * square * jnp.exp(-(square**2) / 2))

    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.Landscape(loss, dim=1), 0.07), 0.002)
    found = ss.histogram(chain, np.ones(1), lambda x: x[0] ** 2, bins=(0.0, 3.0, 30), **WINDOW)
    assert found.status is Status.NOT_CONVERGED and "basin of [-1.]" in found.result


def test_a_basin_behind_a_high_pass_is_of_the_law_too():
    """One that holds most of it, behind a pass of 23 temperatures, is missing where nothing has been in it.

    Of rates between the minima on this side as well. Twin: a well there that holds less than a thousandth.
    """
    for third, missing in ((-3.4, True), (-3.1, False)):
        loss = Polynomial.fromroots([third, -2.0, 0.0, 0.6, 1.2]).integ()
        # the pass, at −2, is 23 high
        landscape = on_the_line(loss * (23 / (loss(-2.0) - loss(0.0))))
        chain = ss.EulerMaruyama(ss.Langevin(landscape, 1.0), dt=2e-4)
        found = _unvisited.unvisited(
            chain, np.zeros(1), 0.1 * np.random.default_rng(0).normal(size=(1, 4_096)), themselves
        )
        assert bool(found.missing) is missing, found
        named = missing_minima(chain, minima_graph(chain, [[0.0], [1.2]], None), 0)
        assert bool(named) is missing, named
