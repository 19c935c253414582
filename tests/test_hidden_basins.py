"""Mean times where a basin is found late: the law is watched on, and what it settles to is that of all of them."""

import numpy as np
import pytest
from numpy.polynomial import Polynomial

import sde_sgd as ss
from sde_sgd.passage import Splitting
from sde_sgd.passage._question import execution_of, make_question
from sde_sgd.passage.splitting import _equilibration
from sde_sgd.reference import ChainExit
from sde_sgd.results import Status

T, DT = 1.0, 0.004
# from the shallow well at 0 to the deep one at 2.05 in 15.6 on average, and over the hilltop at −1.2 once in 1.5e5
FORCE = 9 * Polynomial.fromroots([-1.2, 0, 1, 2.05])
LOSS = FORCE.integ()
LANDSCAPE = ss.landscapes.Landscape(lambda x: sum(c * x[0] ** n for n, c in enumerate(LOSS.coef.tolist())), dim=1)
CHAIN = ss.EulerMaruyama(ss.Langevin(LANDSCAPE, T), DT)


def passage(**options):
    return ss.first_passage(CHAIN, np.array([0.0]), ss.regions.HalfSpace([1.0], -1.2), rtol=0.2, **options)


@pytest.fixture(scope="module")
def exact():
    """Of the chain itself, turned round, by its kernel."""
    noise = np.sqrt(2 * T * DT)
    return ChainExit(lambda y: y + DT * FORCE(-y), noise, 0.0, 1.2, -3.4, 600).mean_steps() * DT


@pytest.mark.long
def test_a_deep_well_behind_the_start(exact, monkeypatch):
    """The interval holds the kernel's value; a twin that believes the first law that looks settled is far too low."""
    found = passage(seed=1)
    assert found.method == "splitting" and found.status is Status.COMPLETE
    width = np.log(float(found.mean_exit_time.high / found.mean_exit_time.low)) / 2
    assert abs(np.log(float(found.mean_exit_time) / exact)) < 2 * width
    assert found.settling_time > 10 and found.checked_until >= 500 and "checked until" in repr(found)
    for name in ("_WATCHED", "_WATCHED_AT_LEAST"):
        monkeypatch.setattr(_equilibration, name, 0)
    believed = passage(seed=1)
    assert believed.settling_time < 2 and believed.mean_exit_time.high < 0.2 * exact


def test_a_law_that_looks_settled_is_watched_on(monkeypatch):
    """It settles after more than the 15.6 in which the shallow well is left; a twin that does not watch sees one."""
    question = make_question(CHAIN, np.array([0.0]), ss.regions.HalfSpace([1.0], -1.2))
    run, score = execution_of(question, 1, None, None, None), Splitting("level").score_for(question)
    monkeypatch.setattr(_equilibration, "_WATCHED_AT_LEAST", 0)

    def settling_time(watched):
        monkeypatch.setattr(_equilibration, "_WATCHED", watched)
        found = _equilibration.equilibrate(run, score)
        assert found.settled
        return found.steps * DT

    assert settling_time(2**23) > 15.6 and settling_time(0) < 2


def test_how_far_the_law_was_checked_is_told_where_it_was():
    """Direct simulation settles nothing."""
    options = {"trajectories": 1_024, "method": "direct"}
    seen = ss.escape(CHAIN, np.array([0.0]), ss.regions.Ball([0.0], 0.5), 1.0, **options)
    assert seen.checked_until is None and "checked" not in repr(seen)
