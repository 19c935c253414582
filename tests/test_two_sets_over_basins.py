"""Two rare sets with slow basins between them: the jump process that tells which is reached first."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Polynomial

import sde_sgd as ss
from sde_sgd.passage import JumpProcessSample
from sde_sgd.passage._pilots import rarely_ends
from sde_sgd.passage._question import execution_of, make_question
from sde_sgd.passage.splitting.basins._surroundings import Surroundings, surroundings
from sde_sgd.passage.splitting.basins._warmth import Warmth
from sde_sgd.reference import ChainFork
from sde_sgd.results import Status
from sde_sgd.statistics import Estimate

# wells at 0 and 2.1, a pass at 1 between them, and hilltops at both ends, where the sets begin
FORCE = -2.0 * Polynomial.fromroots([-1.0, 0.0, 1.0, 2.1, 3.1])
LOSS = FORCE.integ()
LANDSCAPE = ss.landscapes.Landscape(lambda x: sum(c * x[0] ** n for n, c in enumerate(LOSS.coef.tolist())), dim=1)
T, DT = 0.3, 0.004
CHAIN = ss.EulerMaruyama(ss.Langevin(LANDSCAPE, T), DT)
TARGET, AVOID = ~ss.regions.HalfSpace([1.0], 3.1), ss.regions.HalfSpace([1.0], -1.0)


def question(start, landscape=LANDSCAPE, temperature=T, target=TARGET):
    chain = ss.EulerMaruyama(ss.Langevin(landscape, temperature), DT)
    return make_question(chain, np.array(start), target, AVOID)


@pytest.mark.long
def test_which_is_first_over_two_wells():
    """The chain's own kernel within the 99.9 % interval. Twin: the rates out of the start's well alone, rejected."""
    fork = ChainFork(lambda x: x - DT * FORCE(x), np.sqrt(2 * T * DT), 0.0, -1.0, 3.1)
    found = ss.first_passage(CHAIN, np.array([0.0]), TARGET, AVOID, rtol=0.1)
    assert found.status is Status.COMPLETE and isinstance(found.evidence, JumpProcessSample)

    def apart(estimate, truth):
        odds = [math.log(float(each) / (1 - float(each))) for each in (estimate.value, estimate.low, estimate.high)]
        return abs(odds[0] - math.log(truth / (1 - truth))) / ((odds[2] - odds[1]) / 2)

    assert apart(found.probability, fork.probability()) < 1.68 and found.probability.relative_half_width <= 0.1
    # from the well at 0 nothing comes to the target before the other well
    assert float(found.rates[0, 2]) == 0 and apart(found.probability, 1e-3) > 20
    time, truth = found.mean_end_time, fork.mean_steps() * DT
    assert abs(math.log(float(time) / truth)) < 1.68 * math.log(float(time.high / time.low)) / 2
    assert np.allclose(found.locations, [[0.0], [2.1]]) and "2 basins slow to leave" in found.surroundings


def made(rates, first, relative=0.1):
    value = np.array(rates, float)
    sample = {"locations": np.zeros((2, 1)), "cores": (), "first": np.array(first), "settled_by": 1.0, "checked": 9.0}
    return JumpProcessSample(
        watch=question([0.0]).watch(), rates=Estimate(value, value / (1 + relative), value * (1 + relative)), told="",
        n_trajectories=1, n_diverged=0, **sample,
    )  # fmt: skip


# from each of two wells to the other, to the target and to the set to avoid
RATES = [[0, 3.0, 0, 1.0], [2.0, 0, 1e-12, 1e-9], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_the_chance_and_the_time_by_hand():
    """P and E of the end by the equations of the jump process, also of a chance of 1e-13; and the law at late times."""
    (_, there, _, out), (back, _, rare, beside) = RATES[:2]
    seen = made(RATES, [1_024, 0, 0, 0])
    leaves, left = there + out, back + rare + beside
    stays = 1 - there / leaves * back / left
    chance = there / leaves * rare / left / stays
    time = (1 / leaves + there / leaves / left) / stays
    assert float(seen.probability) == pytest.approx(chance, rel=1e-12, abs=0) and chance < 2e-12
    assert float(seen.mean_end_time) == pytest.approx(time, rel=1e-12)
    assert (
        float(seen.exit_rate) == pytest.approx(chance / time) and float(seen.mean_exit_time) == 1 / seen.exit_rate.value
    )
    assert 1 - seen.survival([1e6]).value[0] == pytest.approx(chance, rel=1e-3)
    assert seen.reached_target and seen.time_shares.value.sum() == pytest.approx(1.0)
    # no other rate matters as much as the one into the target, by a tenth
    assert 0.1 < float(seen.probability.high / seen.probability.value) - 1 < 0.3


def test_where_trajectories_come_first():
    """Half of them to the target at once: P is a half or more, with the error of 1,024 of them."""
    seen = made([[0, 0, 0, 1.0], [0, 0, 1.0, 1.0], [0] * 4, [0] * 4], [512, 0, 512, 0], relative=1e-9)
    assert float(seen.probability) == pytest.approx(0.5) and float(seen.mean_end_time) == pytest.approx(0.5)
    half = float(seen.probability.high - seen.probability.low) / 2
    assert half == pytest.approx(1.96 * 0.5 / 32, rel=0.01)
    # rate = P/E: a share p of arrivals at once moves log p − log(1 − p) by 1/(p(1 − p))
    wide = math.log(float(seen.exit_rate.high / seen.exit_rate.low)) / 2
    assert wide == pytest.approx(1.96 * 2 / 32, rel=0.01)
    never = made([[0, 0, 0, 1.0], [0, 0, 1.0, 1.0], [0] * 4, [0] * 4], [1_024, 0, 0, 0]).rates
    assert not never.value[0, 2]


@pytest.mark.long
def test_what_lies_between_two_sets():
    """Ways into each of them; a minimum at the very edge of one holds nobody back; a start on the hilltop is moved."""
    for start in ([0.0], [1.0]):
        found = surroundings(question(start), Warmth(T), 512, 0)
        assert isinstance(found, Surroundings) and not found.findings
        order = np.argsort([basin.point.location[0] for basin in found.basins])
        ways = found.jumps[np.ix_(order, [*order, 2, 3])]
        assert ways.tolist() == [[False, True, False, True], [True, False, True, False]]
        assert found.barriers[order] == pytest.approx([LOSS(1) - LOSS(0), LOSS(1) - LOSS(2.1)], abs=1e-6)
    edge = Polynomial.fromroots([-1.01, 0.0, 1.0, 2.0, 3.2]).integ() * 3.5
    fork = ss.landscapes.Landscape(lambda x: sum(c * x[0] ** n for n, c in enumerate(edge.coef.tolist())), dim=1)
    found = surroundings(question([0.5], fork, target=~ss.regions.HalfSpace([1.0], 3.2)), Warmth(T), 512, 0)
    assert isinstance(found, Surroundings) and len(found.basins) == 1


def test_lingerers_are_seen_beside_those_that_end_at_once():
    """From a hilltop half of the trajectories fall into the set to avoid, the others stay in a well for ages."""
    wells = ss.landscapes.Landscape(lambda x: 4 * (x[0] ** 2 - 1) ** 2, dim=1)
    for temperature, rare in ((0.25, True), (2.0, False)):
        chain = ss.EulerMaruyama(ss.Langevin(wells, temperature), 0.01)
        asked = make_question(
            chain, np.array([0.0]), ~ss.regions.HalfSpace([1.0], 2.2), ss.regions.HalfSpace([1.0], -0.9)
        )
        assert rarely_ends(asked, execution_of(asked, 0, None, None, None)) == rare


def test_both_sets_are_ends():
    asked = question([0.0])
    assert asked.ends == (TARGET, AVOID) and make_question(CHAIN, np.array([0.0]), TARGET).ends == (TARGET,)
    assert bool(asked.ends[1].contains(jnp.array([-2.0])))
