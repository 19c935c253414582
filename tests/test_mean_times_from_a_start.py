"""What the start makes of a mean time by splitting: early arrivals, passages that are not rare, two basins."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from statistical import agrees

import sde_sgd as ss
from sde_sgd._jumps import slowest_exchange
from sde_sgd.passage import Splitting
from sde_sgd.passage._question import execution_of, make_question
from sde_sgd.passage.splitting._asking import Asking
from sde_sgd.passage.splitting.basins._approaches import ways_around
from sde_sgd.passage.splitting.basins._mean_time import _not_seen_to_settle
from sde_sgd.passage.splitting.basins._network import Network, cores_of
from sde_sgd.passage.splitting.basins._over_slow_basins import _straight, over_slow_basins
from sde_sgd.passage.splitting.basins._surroundings import Surroundings, surroundings
from sde_sgd.passage.splitting.basins._warmth import Warmth
from sde_sgd.reference._exact_chains import ChainExit, ChainFork
from sde_sgd.results import Status

TIME_STEP = 0.02
BOWL = ss.EulerMaruyama(
    ss.LangevinSGD.at_temperature(ss.landscapes.Landscape(lambda x: x[0] ** 2 / 2, dim=1), 1.0), TIME_STEP
)
BEYOND = ss.regions.HalfSpace([-1.0], -3.5)


@functools.cache
def exact(start):
    """Mean time from a start to 3.5, by the kernel of the chain."""
    kernel = ChainExit(lambda x: x * (1 - TIME_STEP), np.sqrt(2 * TIME_STEP), start, 3.5, -7.0, 500)
    return kernel.mean_steps() * TIME_STEP


def test_what_arrives_before_the_law_has_settled_counts():
    """Of those that start at 3.2 a quarter arrive at once, and the reciprocal of the rate is far too long."""
    found = ss.first_passage(BOWL, np.array([3.2]), BEYOND, rtol=0.1, method="splitting")
    time, truth = found.mean_exit_time, exact(3.2)
    assert found.method == "splitting" and found.status is Status.COMPLETE and truth < 0.75 * exact(0.0)
    # 99.9 % of a normal instead of 95 %
    assert abs(np.log(time.value / truth)) < 3.29 / 1.96 * np.log(time.high / time.value)
    assert 1 / found.exit_rate.high > truth


def test_from_the_settled_law_the_mean_time_is_the_rate_s():
    found = ss.first_passage(BOWL, np.array([0.0]), ss.regions.HalfSpace([-1.0], -4.5), rtol=0.1)
    assert found.mean_exit_time.value == 1 / found.exit_rate.value


def test_where_nearly_all_arrive_before_the_law_has_settled_they_are_followed():
    near = ss.regions.HalfSpace([-1.0], -0.3)
    found = ss.first_passage(BOWL, np.array([0.0]), near, rtol=0.1, method="splitting")
    assert found.method == "direct" and found.status is Status.COMPLETE


def test_a_start_that_is_given_again_and_again_is_one():
    ask = functools.partial(ss.first_passage, BOWL, target=BEYOND, trajectories=4096, method="splitting")
    one, many = ask(np.zeros(1)), ask(np.zeros((4096, 1)))
    assert one.mean_exit_time.value == many.mean_exit_time.value and one.surroundings == many.surroundings


def double_well():
    return ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 - 0.2 * x[0], dim=1)


def test_starts_in_basins_on_both_sides_of_the_target_have_no_common_rate():
    """By one rate it would be 2/(k₁ + k₂), a twelfth of the mean of both times."""
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(double_well(), 0.07), 0.01)
    starts = np.where(np.arange(4096) % 2, 1.0, -1.0)[:, None]
    found = ss.first_passage(chain, starts, ss.regions.Ball([0.0], 0.15), trajectories=4096, method="splitting")
    assert found.status is Status.INCOMPLETE and "1 of 2 starts lead down to minima" in found.result


def never(*_):
    """No rate is asked for."""
    raise AssertionError


def test_starts_in_several_basins_are_counted_where_they_are():
    """Half begin in each of two cores before the target; some between them go down to one first."""
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(double_well(), 0.1), 0.01)
    beyond = ss.regions.HalfSpace([-1.0], -1.9)

    def counted(starts):
        question = make_question(chain, np.array(starts)[:, None], beyond, trajectories=len(starts))
        found = surroundings(question, Warmth(0.1), 512, 0)
        assert isinstance(found, Surroundings) and len(found.basins) == 2
        run = execution_of(question, 0, None, None, None)
        ends = (*cores_of(found, chain), *question.ends)
        return Network(question, run, never, ("level",), found, ends).first().tolist()

    assert counted([-1.0, 1.0]) == [512, 512, 0]
    left, right, ended = counted([-1.0, 1.0, -0.1, 1.0])
    assert left + right == 1024 and left > 256 + 128 and right >= 512 and ended == 0


@pytest.mark.long
def test_what_comes_straight_to_the_target_past_all_cores_is_told():
    """Seen beside the exact kernel (4 standard errors); an answer that lacks it says so. From within there is none."""
    temperature, dt, target, avoid = 0.1, 0.005, 1.75, ss.regions.HalfSpace([1.0], -1.6)
    chain = ss.EulerMaruyama(ss.Langevin(double_well(), temperature), dt)
    beyond = ss.regions.HalfSpace([-1.0], -target)

    def network(start):
        question = make_question(chain, np.array([start]), beyond, avoid)
        found = surroundings(question, Warmth(temperature), 512, 0)
        assert isinstance(found, Surroundings) and len(found.basins) == 2
        run = execution_of(question, 0, None, None, None)
        ends = (*cores_of(found, chain), *question.ends)
        return Network(question, run, Splitting()._part, ("level", "level"), found, ends)

    beside, asking = network(1.65), Asking(0.1, 4_096)
    (low,), ((factor,),) = np.asarray(beside.ends[0].center), np.asarray(beside.ends[0].factor)
    edge = float(low + 1 / factor)
    kernel = ChainFork(
        lambda x: x - dt * (4 * x * (x * x - 1) - 0.2), np.sqrt(2 * temperature * dt), 1.65, edge, target
    )
    exact = float(kernel.probability())
    seen = beside.straight(asking)
    assert seen is not None and agrees(seen.value, exact, (seen.high - seen.low) / 4), (seen, exact)
    assert network(1.0).straight(asking) is None
    first = beside.first()
    ((status, words),) = _straight(beside, first, exact / 10, asking)
    assert status is Status.INCOMPLETE and "0 of 1024 that were watched did" in words
    assert not _straight(beside, first, exact * 100, asking)


def test_a_set_on_both_sides_is_entered_from_the_basin_on_each():
    """Lowest points of its boundary with the same loss lie on different sides."""
    symmetric = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
    found = ss.landscapes.explore(symmetric, np.array([-1.0]), height=2.0, progress=False)
    ways = ways_around(found, (~ss.regions.Ball([0.0], 1.47),)).approaches
    assert {round(float(found.minima[way.minimum].location[0])) for way in ways} == {-1, 1}
    assert all(way.location[0] * found.minima[way.minimum].location[0] > 0 for way in ways)


def test_minima_of_one_basin_must_be_seen_to_exchange():
    """The time is the one of Eyring and Kramers out of the shallower well."""
    found = ss.landscapes.explore(double_well(), np.array([-1.0]), height=2.0, progress=False)
    edges = sorted(found.connections, key=lambda way: way.saddle.loss)
    exchange = slowest_exchange(found.minima, frozenset({0, 1}), edges, 0.1)
    shallow, saddle = found.minima[0], edges[0].saddle
    rate = np.sqrt(shallow.eigenvalues[0] * -saddle.eigenvalues[0]) / (2 * np.pi)
    assert exchange == pytest.approx(np.exp((saddle.loss - shallow.loss) / 0.1) / rate, rel=1e-6)
    assert slowest_exchange(found.minima, frozenset({0}), edges, 0.1) == 0
    evidence = ss.first_passage(BOWL, np.array([0.0]), BEYOND, rtol=0.3, method="splitting").evidence
    assert not _not_seen_to_settle(0.9 * evidence.checked, evidence)
    ((status, words),) = _not_seen_to_settle(1.1 * evidence.checked, evidence)
    assert status is Status.NOT_SETTLED and "the law was watched for" in words


@pytest.mark.long
def test_a_soft_basin_behind_is_not_taken_for_settled():
    """From 0 it takes 1.4e5 to the broad basin on the left, longer than the law is watched; its time is 3,700 times."""
    soft, depth = 1e-4, 4.0

    def loss(x):
        gate = 1 / (1 + jnp.exp(2 * (x[0] + 7)))
        behind = (soft / 2 * (x[0] + 12) ** 2 - depth) * gate
        return behind + 12.0 * jnp.exp(-((x[0] + 5) ** 2) / 2) + x[0] ** 2 / 2 * (1 - 1 / (1 + jnp.exp(4 * (x[0] + 2))))

    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.Landscape(loss, dim=1), 1.0), 0.02)
    found = ss.first_passage(chain, np.zeros(1), ss.regions.HalfSpace([-1.0], -5.1), rtol=0.2)
    assert found.status is Status.INCOMPLETE
    assert any("does not settle within 625000 steps" in words for _, words in found.verdict.findings)


def test_basins_that_settle_slowly_are_named_and_not_followed():
    """Where the motion takes more than a sixteenth of the steps that a trajectory may take."""
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(double_well(), 0.1), 0.001)
    question = make_question(chain, np.array([-1.0]), ss.regions.HalfSpace([-1.0], -1.9), max_steps=4_000)
    run = execution_of(question, 0, None, None, None)
    seen = over_slow_basins(question, run, Asking(None, 1_024), Splitting()._part, ("level",))
    ((status, words),) = seen.findings
    assert seen.answer is None and status is Status.INCOMPLETE and "2 minima" in seen.told
    assert "in the basin of [-0.97" in words and "does not settle within 250 steps, a 16th of max_steps" in words
