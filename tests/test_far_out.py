"""Losses that hardly confine: mean times and averages that hang on excursions far out, of which no sample tells."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import sde_sgd as ss
from sde_sgd.landscapes._far_out import far_out
from sde_sgd.passage import _far_out
from sde_sgd.results import Status

RIGHT = ss.regions.HalfSpace([-1.0], -2.0)


def logarithm(c):
    """With the law (1 + x²)^(−c/2) at T = 1."""
    return ss.landscapes.Landscape(lambda x: c / 2 * jnp.log1p(x @ x), dim=1)


def chain_on(landscape, temperature=1.0, time_step=0.02):
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, temperature), time_step)


def points_of(loss, dim=1, height=6.0, distance=10.0, ends=()):
    return far_out(ss.landscapes.Landscape(loss, dim=dim), np.zeros(dim), 1.0, distance, height, ends)


def test_points_are_as_far_as_the_loss_lets_anyone_go():
    (left,) = points_of(lambda x: 0.65 * jnp.log1p(x @ x), ends=(RIGHT,))
    # the loss is 6 at 100.9; there are four looks in each doubling
    assert -100.9 <= left[0] < -100.9 / 2**0.25
    both = points_of(lambda x: 0.65 * jnp.log1p(x @ x))
    assert np.array_equal(np.sort(both[:, 0]), [left[0], -left[0]])


@pytest.mark.parametrize(("c", "found"), [(2.7, 2), (3.3, 0)])
def test_a_law_with_a_variance_of_its_passages_is_let_be(c, found):
    assert len(points_of(lambda x: c / 2 * jnp.log1p(x @ x), height=20.0)) == found


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: x @ x / 2,
        lambda x: jnp.sqrt(1 + x @ x),
        # not a number out there, and infinite
        lambda x: jnp.sqrt(400 - x @ x),
        lambda x: jnp.where(x @ x > 1e4, jnp.inf, 0.0),
        # no way out within the height
        lambda x: 8 * (1 - jnp.exp(-x @ x / 2)),
        # down without bound, behind a barrier
        lambda x: jnp.where(jnp.abs(x[0]) < 12, x[0] ** 2, 200 - x[0] ** 2),
    ],
)
def test_what_confines_has_no_such_points(loss):
    assert not len(points_of(loss))


def test_rays_of_every_dimension_are_looked_along():
    for dim in (2, 3, 40):
        assert len(points_of(lambda x: jnp.log1p(x @ x), dim=dim, height=12.0)) >= 32
    valley = points_of(lambda x: x[0] ** 2, dim=3)
    assert len(valley) >= 4 and np.all(np.abs(valley[:, 0]) < 1e-6) and np.all(np.linalg.norm(valley, axis=1) >= 159)


def test_a_mean_time_that_hangs_on_the_tail_is_not_complete(monkeypatch):
    """Of 256 passages none is told from an exponential one; without the look far out this sample is `complete`."""
    found = ss.first_passage(chain_on(logarithm(1.3)), np.zeros(1), RIGHT, trajectories=256)
    assert found.status is Status.UNEVEN and "rises no faster than a logarithm" in found.result
    monkeypatch.setattr(_far_out, "far_out", lambda *_: np.empty((0, 1)))
    blind = ss.first_passage(chain_on(logarithm(1.3)), np.zeros(1), RIGHT, trajectories=256)
    assert blind.status is Status.COMPLETE and blind.mean_exit_time.value == found.mean_exit_time.value
    exact = quad(lambda y: (1 + y**2) ** 0.65 * quad(lambda z: (1 + z**2) ** -0.65, -np.inf, y)[0], 0, 2)[0]
    assert blind.mean_exit_time.high < 0.85 * exact


def test_a_flat_valley_that_delays_nobody_is_no_reason(monkeypatch):
    valley, asked = ss.landscapes.Landscape(lambda x: x[0] ** 2 / 2, dim=2), []

    def watched(*words):
        asked.append(far_out(*words))
        return asked[-1]

    monkeypatch.setattr(_far_out, "far_out", watched)
    found = ss.first_passage(chain_on(valley), np.zeros(2), ss.regions.HalfSpace([-1.0, 0.0], -2.0), rtol=0.1)
    assert found.status is Status.COMPLETE and len(asked[0]) >= 2


def test_averages_over_a_power_law_do_not_settle():
    """Of x² say; the law of ln(1 + x²) at T = 0.9 falls off as |x|^−2.2."""
    heavy = chain_on(ss.landscapes.Landscape(lambda x: jnp.log1p(x @ x), dim=1), 0.9, 0.05)
    found = ss.histogram(heavy, np.zeros(1), bins=(-10.0, 10.0, 20), horizon=4000.0, trajectories=512, progress=False)
    assert found.status is Status.NOT_CONVERGED and "no faster than a logarithm" in found.result
    regions = {"left": ss.regions.HalfSpace([1.0], 0.0), "right": ss.regions.HalfSpace([-1.0], 0.0)}
    shares = ss.occupancy(heavy, np.zeros(1), regions=regions, horizon=4000.0, trajectories=512, progress=False)
    assert shares.status is Status.NOT_CONVERGED and "no faster than a logarithm" in shares.result


def test_averages_across_a_flat_valley_settle():
    valley = chain_on(ss.landscapes.Landscape(lambda x: x[0] ** 2 / 2, dim=2))
    across = ss.histogram(
        valley, np.zeros(2), lambda x: x[0], bins=(-4.0, 4.0, 20), horizon=50.0, trajectories=512, progress=False
    )
    assert across.status is Status.COMPLETE
