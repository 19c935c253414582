"""Basins that hardly a trajectory enters and that stay long: behind a high pass, or where the noise is weak."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Polynomial
from polynomials import on_the_line
from statistical import distance

import sde_sgd as ss
from sde_sgd.engine import StopTimes
from sde_sgd.passage import Automatic, JumpProcessSample, Splitting, _automatic
from sde_sgd.passage._pilots import Pilot
from sde_sgd.passage._question import execution_of, make_effort, make_question
from sde_sgd.passage.splitting._asking import Asking
from sde_sgd.passage.splitting.basins import _over_slow_basins, over_slow_basins
from sde_sgd.passage.splitting.basins._looking import hardly_entered, look_around
from sde_sgd.passage.splitting.basins._surroundings import Surroundings, surroundings
from sde_sgd.passage.splitting.basins._warmth import Warmth
from sde_sgd.results import Status


def of_force(roots):
    """The landscape on the line whose slope is FORCE times a polynomial with these roots."""
    return on_the_line((FORCE * Polynomial.fromroots(roots)).integ())


# from a shallow well at 0 over 6 temperatures at 1, and over 23.3 at −2 to a well that is 2.4 deeper
FORCE = -3.495145631
HIGH = of_force([-3.6, -2.0, 0.0, 1.0])
BEYOND = ss.regions.HalfSpace([-1.0], -1.0)
# mean time of the diffusion from 0, by quadrature; and that without the well
HIGH_TRUTH, WITHOUT = 290.25, 43.84


def test_a_basin_behind_a_high_pass_counts():
    """What is 17 temperatures higher than the way is seen, and so is that no sample of a thousand would tell of it."""
    chain = ss.EulerMaruyama(ss.Langevin(HIGH, 1.0), dt=2e-4)
    question = make_question(chain, np.array([0.0], np.float32), BEYOND)
    run = execution_of(question, 0, None, None, None)
    found = look_around(question, run)
    assert isinstance(found, Surroundings) and len(found.basins) == 2 and not found.findings
    assert hardly_entered(question, run, 10**6) and not hardly_entered(question, run, 10**10)
    # one that is as high as it is deep holds no time
    shallow = of_force([-3.2, -2.0, 0.0, 1.0])
    question = make_question(ss.EulerMaruyama(ss.Langevin(shallow, 1.0), dt=2e-4), np.array([0.0], np.float32), BEYOND)
    assert not hardly_entered(question, execution_of(question, 0, None, None, None), 10**6)


def test_what_the_choice_of_a_method_has_explored_is_not_explored_again(monkeypatch):
    """It is handed on to splitting; twin: without it what lies around is asked for again."""
    chain = ss.EulerMaruyama(ss.Langevin(HIGH, 1.0), dt=2e-4)
    question = make_question(chain, np.array([0.0], np.float32), BEYOND)
    run = execution_of(question, 0, None, None, None)
    around = look_around(question, run)
    assert isinstance(around, Surroundings)
    pilot = Pilot(False, 0, 1, StopTimes(np.zeros(1, np.int64), np.zeros(1, np.int64), 0))
    monkeypatch.setattr(_automatic, "is_rare", lambda *_: pilot)
    monkeypatch.setattr(_automatic, "hardly_entered", lambda *_: around)

    def split(*_, around):
        raise LookupError(around)

    monkeypatch.setattr(Splitting, "split", split)
    with pytest.raises(LookupError) as handed:
        Automatic().answer(question, run, make_effort(None, None, 0.1, 10**6))
    assert handed.value.args[0] is around

    def again(*_):
        raise LookupError("again")

    monkeypatch.setattr(_over_slow_basins, "look_around", again)
    ask = question, run, Asking(0.1, 1_024), Splitting()._part, ("level",)
    assert over_slow_basins(*ask, around._replace(basins=around.basins[:1])).answer is None
    with pytest.raises(LookupError, match="again"):
        over_slow_basins(*ask)


@pytest.mark.long
def test_a_mean_time_that_hangs_on_what_hardly_a_trajectory_enters():
    """Within the 99.9 % interval of quadrature. Twin: direct simulation, which sees none of it."""
    chain = ss.EulerMaruyama(ss.Langevin(HIGH, 1.0), dt=2e-4)
    found = ss.first_passage(chain, np.array([0.0]), BEYOND, rtol=0.1, monitoring="continuous")
    assert found.status is Status.COMPLETE and isinstance(found.evidence, JumpProcessSample)
    assert distance(found.mean_exit_time, HIGH_TRUTH) < 1.68
    twin = ss.first_passage(chain, np.array([0.0]), BEYOND, rtol=0.1, monitoring="continuous", method="direct")
    assert distance(twin.mean_exit_time, WITHOUT) < 1.68 and distance(found.mean_exit_time, WITHOUT) > 20


def test_where_the_noise_is_weak_a_basin_holds_longer():
    """A basin that is higher by 11 temperatures of the start, and that is warm on the way up alone.

    Twin: as if it were as warm everywhere; then nothing but the start's basin holds trajectories.
    """

    def rise(x):
        return 0.5 * (1 + jnp.tanh(x / 2))

    landscape = ss.landscapes.Landscape(
        lambda x: (
            (11 * rise(-4 * (x[0] + 4)) + 0.5 * x[0] ** 2 * rise(4 * (x[0] + 2.5)))
            + 4 * jnp.exp(-2 * (x[0] + 4.2) ** 2)
            + 0.25 * (x[0] + 7) ** 2 * rise(-2 * (x[0] + 6))
        ),
        dim=1,
    )
    noise = ss.noise.FromFunction(lambda x: jnp.sqrt(2 - 1.8 * rise(-10 * (x + 4.2))))
    chain = ss.EulerMaruyama(ss.LangevinSGD(landscape, noise, learning_rate=0.01, batch_size=0.01), dt=0.01)
    question = make_question(chain, np.array([0.0], np.float32), ss.regions.HalfSpace([-1.0], -5.1))
    found = look_around(question, execution_of(question, 0, None, None, None))
    assert isinstance(found, Surroundings) and len(found.basins) == 2
    # rates there and back are as the weights: exp(−∫ dL/T) of the diffusion, by quadrature
    x = np.linspace(-7, 0, 70_001)
    loss = np.asarray(jax.vmap(landscape.loss)(x[:, None]))
    warm = 1 - 0.9 * rise(-10 * ((x[1:] + x[:-1]) / 2 + 4.2))
    deeper = float(np.sum(np.diff(loss) / np.asarray(warm)))
    curved = [basin.point.log_det / 2 for basin in found.basins]
    told = found.log_rates[0, 1] - found.log_rates[1, 0] - (curved[0] - curved[1])
    assert told == pytest.approx(deeper, abs=0.1) and deeper > 3
    assert found.barriers.max() < 14
    same = surroundings(question, Warmth(1.0), 512, 0)
    assert isinstance(same, Surroundings) and len(same.basins) == 1
