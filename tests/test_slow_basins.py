"""Mean times over basins that are slow to leave: the jump process between them, and what exploration tells of them."""

import dataclasses
import math
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chains_with_memory import Underdamped
from numpy.polynomial import Polynomial
from polynomials import on_the_line
from splitting_cases import outlier
from statistical import distance

import sde_sgd as ss
from sde_sgd._jumps import core_sets, slow_groups
from sde_sgd.passage import JumpProcessSample, SplittingSample
from sde_sgd.passage._method import Answer
from sde_sgd.passage._question import execution_of, make_question
from sde_sgd.passage.splitting._asking import COARSE, GLANCE, Asking
from sde_sgd.passage.splitting.basins._approaches import ways_around
from sde_sgd.passage.splitting.basins._looking import _warmth, look_around
from sde_sgd.passage.splitting.basins._network import Network, NotFollowed, cores_of
from sde_sgd.passage.splitting.basins._one_of import OneOf
from sde_sgd.passage.splitting.basins._over_slow_basins import (
    _by_jumps,
    _elasticity,
    _jumps,
    _shares,
    _unseen_detours,
    _verdict,
)
from sde_sgd.passage.splitting.basins._surroundings import (
    Surroundings,
    Unexplored,
    _through_light_ones,
    surroundings,
)
from sde_sgd.passage.splitting.basins._warmth import Warmth
from sde_sgd.results import Status, Verdict
from sde_sgd.stationary._minima_graph import minima_graph
from sde_sgd.stationary._missing_minima import missing_minima


def of_force(roots, factor=1.0):
    """The landscape on the line whose slope is a polynomial with these roots."""
    loss = (factor * Polynomial.fromroots(roots)).integ()
    return on_the_line(loss), loss


# from a shallow well at 0 to a deep one at 2.3 thirteen times as fast as anywhere, and over the hilltop at −1.4 rarely
BEHIND, LOSS = of_force([-1.4, 0, 1, 2.3], 6.0)
TARGET = ss.regions.HalfSpace([1.0], -1.4)
# mean time of the diffusion from 0, by quadrature and by a grid solver
TRUTH = 2.078e8


@pytest.fixture(scope="module")
def behind():
    """The call that once found 153,654 ± 9 %, and said complete."""
    chain = ss.EulerMaruyama(ss.Langevin(BEHIND, 1.0), dt=0.001)
    return ss.first_passage(chain, np.array([0.0]), TARGET, rtol=0.1, monitoring="continuous")


@pytest.mark.long
def test_a_deep_well_on_the_far_side(behind):
    """Within the 99.9 % interval of quadrature. Twin: without the well, 1,350 times too small, which is rejected."""
    time = behind.mean_exit_time
    assert behind.status is Status.COMPLETE and isinstance(behind.evidence, JumpProcessSample)
    assert distance(time, TRUTH) < 1.68 and time.relative_half_width <= 0.1
    twin = 1 / float(behind.rates[0, -1])
    assert abs(math.log(twin / 153_654)) < 0.1 and distance(time, twin) > 20


@pytest.mark.long
def test_the_basins_and_the_time_in_each_are_named(behind):
    """Shares of the time: those of the weights of both basins, by quadrature."""
    assert np.allclose(behind.locations, [[0.0], [2.3]])
    grid = np.linspace(-1.4, 4, 20_001)
    weight = np.exp(-(LOSS(grid) - LOSS(2.3)))
    deep = weight[grid > 1].sum() / weight.sum()
    shares = behind.time_shares
    assert shares.low[0] < 1 - deep < shares.high[0] and abs(shares.value.sum() - 1) < 1e-9
    assert "2 basins slow to leave" in repr(behind) and "[2.3]" not in repr(behind.status)
    assert behind.to_dataset().sizes["basin"] == 2
    half = behind.survival([0.0, float(behind.mean_exit_time) * math.log(2)])
    assert half.value[0] == 1 and abs(half.value[1] - 0.5) < 0.01 and half.low[1] < 0.5 < half.high[1]


@pytest.mark.long
def test_a_row_of_wells():
    """Five of equal depth, by quadrature: nine rates, of which none needs be known as well as if it were the answer's
    only one. Twin: the time over the last pass alone, which is rejected.
    """
    waves = ss.landscapes.Landscape(lambda x: jnp.where(x[0] < 0, (x[0] / 2) ** 2 * 2 - 1, -jnp.cos(x[0])), 1)
    chain, end = ss.EulerMaruyama(ss.Langevin(waves, 0.35), dt=0.01), 9 * np.pi
    grid = np.linspace(-5, end, 400_001)
    loss, spacing = np.where(grid < 0, grid**2 / 2 - 1, -np.cos(grid)), grid[1] - grid[0]
    below = np.cumsum(np.exp(-loss / 0.35)) * spacing
    truth = (np.exp(loss / 0.35) * below)[grid >= 0].sum() * spacing / 0.35
    found = ss.first_passage(
        chain, np.array([0.0]), ss.regions.HalfSpace([-1.0], -end), rtol=0.1, seed=0, monitoring="continuous"
    )
    time = found.mean_exit_time
    assert found.status is Status.COMPLETE and len(found.evidence.locations) == 5
    assert distance(time, truth) < 1.68 and 0.05 < time.relative_half_width <= 0.1
    assert distance(time, truth / 15) > 5


# of two basins, from each to the other, and from the first to the target
THERE, BACK, OUT = 0.2, 1.5e-4, 6.5e-6


def sample(first):
    """Of these rates, all known to a tenth; first: of how many trajectories each basin, or the target, was first."""
    chain = ss.EulerMaruyama(ss.Langevin(BEHIND, 1.0), dt=0.001)
    value = np.array([[0.0, THERE, OUT], [BACK, 0.0, 0.0], [0.0, 0.0, 0.0]])
    return JumpProcessSample(
        watch=make_question(chain, np.array([0.0]), TARGET).watch(), locations=np.array([[0.0], [2.3]]), cores=(),
        rates=ss.statistics.Estimate(value, value / 1.1, value * 1.1), first=np.array(first), settled_by=1.0,
        checked=9.0, told="", n_trajectories=1, n_diverged=0,
    )  # fmt: skip


def test_the_jump_process_by_hand():
    """Two basins: E τ = (1 + k_01/k_10)/k_0B; from both starts; with what is not known of the first basin."""
    first, either, half = (sample(first) for first in ([1_024, 0, 0], [512, 512, 0], [512, 0, 512]))
    time = (1 + THERE / BACK) / OUT
    assert float(first.mean_exit_time) == pytest.approx(time)
    assert float(either.mean_exit_time) == pytest.approx(time + 0.5 / BACK)
    assert float(half.mean_exit_time) == pytest.approx(time / 2)
    # a half with a standard error of 1/64
    known = math.log(float(first.mean_exit_time.high / first.mean_exit_time.low)) / 2
    wider = math.log(float(half.mean_exit_time.high / half.mean_exit_time.low)) / 2
    assert wider == pytest.approx(math.hypot(known, 1.96 / 32), rel=1e-3)


@pytest.mark.parametrize(("dim", "count", "detours"), [(1, 2, []), (2, 2, [(1, 2)]), (2, 4, [(0, 4), (1, 4), (2, 4)])])
def test_jumps_beside_the_known_ways(dim, count, detours):
    """Off the line into the target from any basin; from one to any other among few of them."""
    known = np.zeros((count, count + 1), bool)
    known[np.arange(count - 1), np.arange(1, count)] = known[np.arange(1, count), np.arange(count - 1)] = True
    known[0 if count == 2 else -1, -1] = True
    ways, found = _jumps(known, dim)
    assert found == detours and {*ways} == {*zip(*map(np.ndarray.tolist, np.nonzero(known)), strict=True)}


def test_rates_are_asked_for_as_they_matter():
    """E τ = (1 + k_01/k_10)/k_0B: to the first power of all three. In a row of wells, by the formula of a walk: half as
    much is asked of each as if all errors added up, and the variance is what was asked for.
    """
    seen, ways = sample([1_024, 0, 0]), [(0, 1), (1, 0), (0, 2)]
    excess = THERE / BACK / (1 + THERE / BACK)
    assert [_elasticity(seen, way) for way in ways] == pytest.approx([excess, -excess, -1], rel=1e-3)
    count = 6
    log_rates = np.full((count, count + 1), -np.inf)
    log_rates[np.arange(count), np.arange(1, count + 1)] = log_rates[np.arange(1, count), np.arange(count - 1)] = -9.0
    rows = [tuple(map(int, each)) for each in np.argwhere(log_rates > -np.inf)]
    basins = (SimpleNamespace(point=SimpleNamespace(location=np.zeros(1))),) * count
    around = SimpleNamespace(log_rates=log_rates, jumps=log_rates > -np.inf, basins=basins, told="")
    question = SimpleNamespace(watch=lambda: seen.watch, confidence=0.95)
    network = Network(question, None, None, (), around, (TARGET,) * (count + 1))
    shares = _shares(network, np.eye(count + 1, dtype=int)[0], rows)
    places = np.arange(count)
    onward, back = (places + 1) * (count - places) / 21, places * (count - places) / 21
    expected = {(i, i + 1): onward[i] for i in range(count)} | {(i, i - 1): back[i] for i in range(1, count)}
    total = sum(expected.values())
    assert shares == {way: pytest.approx((each * total) ** -0.5, rel=1e-2) for way, each in expected.items()}
    assert sum((expected[way] * share) ** 2 for way, share in shares.items()) == pytest.approx(1, rel=1e-2)
    # work, in that of one rate at the whole tolerance
    assert sum(share**-2 for share in shares.values()) < 0.2 * len(rows) ** 2


def test_a_detour_that_was_never_seen():
    """It is left out where it could hardly change the mean time, and named where it could."""
    seen = sample([1_024, 0, 0])

    def finding(bound):
        evidence = SimpleNamespace(exit_rate=ss.statistics.Estimate(0.0, 0.0, bound, 0.95))
        return _unseen_detours(seen, {(1, 2): Answer("splitting", evidence, Verdict())}, [(1, 2)])

    rate = 1 / float(seen.mean_exit_time)
    assert not finding(0.01 * rate)
    ((status, words),) = finding(rate)
    # as fast as all that is known: half the time
    assert status is Status.INCOMPLETE and "by 50%" in words


@pytest.mark.parametrize(
    ("detour", "uneven", "again"),
    [
        ((1e-20, 0.0, 1e-19), True, False),
        ((0.0, 0.0, 1e-12), False, False),
        ((1e-9, 0.0, 5e-9), False, False),
        ((1e-9, 0.0, 5e-9), True, True),
        ((0.0, 0.0, 1e-6), False, True),
        ((2e-6, 0.5e-6, 9e-6), False, True),
        ((2e-6, 1.5e-6, 2.5e-6), False, False),
    ],
    ids=["negligible", "not seen", "hardly seen", "may be more", "not seen and may matter", "matters", "is known"],
)
def test_a_detour_is_asked_for_as_far_as_it_may_matter(detour, uneven, again, monkeypatch):
    """A glance at first. Rates there and back, out of the start's basin and out of the other: E τ near 3e5."""
    known = np.array([[-np.inf, -12.0, -np.inf], [-12.0, -np.inf, -10.0]])
    basins = [SimpleNamespace(point=SimpleNamespace(location=np.array([place, 0.0]))) for place in (0.0, 2.3)]
    around = SimpleNamespace(
        basins=basins, findings=(), told="", log_rates=known, jumps=known > -np.inf, temperature=1.0
    )
    chain = ss.EulerMaruyama(ss.Langevin(ss.landscapes.Quadratic([1.0, 1.0]), 1.0), dt=0.001)
    question = make_question(chain, np.zeros(2), ss.regions.HalfSpace([-1.0, 0.0], -3.0))
    run, asked = execution_of(question, 0, None, None, None), []
    rates = {(0, 1): 3.5e-6, (1, 0): 6e-6, (1, 2): 6.6e-5}

    def rate(_, start, end, asking, number):
        asked.append(((start, end), asking, number))
        value = rates.get((start, end))
        if value is None and asking.rtol is not None and detour[1] > 0:
            value = detour[0]
        each = detour if value is None else (value, value / 1.02, value * 1.02)
        evidence = SimpleNamespace(
            exit_rate=ss.statistics.Estimate(*each, 0.95), settling_time=1.0, checked_until=9.0, trajectories=1,
            diverged=0,
        )  # fmt: skip
        doubt = ((Status.UNEVEN, "few hold most"),) if value is None and uneven else ()
        return Answer("splitting", evidence, Verdict(doubt))

    monkeypatch.setattr(Network, "rate", rate)
    monkeypatch.setattr(Network, "first", lambda _: np.array([1_024, 0, 0]))
    network = Network(question, run, None, ("level",), around, (question.target,) * 3)
    answer = _by_jumps(network, Asking(0.1, 1, 64))
    looks = [(asking, number) for jump, asking, number in asked if jump == (0, 2)]
    assert looks[0] == (Asking(None, GLANCE), 0) and looks[1:] == [(Asking(COARSE, 0, 64), 1)] * again
    assert {jump for jump, *_ in asked} == {*rates, (0, 2)} and len(asked) == 4 + again
    beside = detour[0] if detour[1] > 0 else 0.0
    # there and back, and out of either
    there, back, out = rates.values()
    exact = (back + out + there) / (there * out + beside * (back + out))
    assert answer.evidence.mean_exit_time.value == pytest.approx(exact, rel=1e-6)


def test_what_is_said_of_a_rate_that_hardly_matters():
    """Of one which a hundred times as much would not change the mean time by 3 %, nothing; of the others all."""
    doubt = Verdict(((Status.UNEVEN, "few hold most"),))
    basins = [SimpleNamespace(point=SimpleNamespace(location=np.array([place]))) for place in (0.0, 2.3)]
    network = Network(None, None, None, (), SimpleNamespace(basins=basins, findings=()), ())

    def said(jump, rate):
        seen = sample([1_024, 0, 0])
        rates = [each.copy() for each in (seen.rates.value, seen.rates.low, seen.rates.high)]
        for each in rates:
            each[jump] = rate
        seen = dataclasses.replace(seen, rates=ss.statistics.Estimate(*rates, 0.95))
        evidence = SimpleNamespace(exit_rate=ss.statistics.Estimate(rate, rate, rate, 0.95), settling_time=1e-9)
        answer = Answer("splitting", evidence, doubt)
        return _verdict(network, seen, {jump: answer}, [], Asking(None, 1_024)).findings

    time = float(sample([1_024, 0, 0]).mean_exit_time)
    assert not said((1, 2), 1e-4 / time)
    for jump, rate in (((1, 2), 1e-3 / time), ((0, 2), OUT), ((1, 0), BACK)):
        way = f"from {network.name(jump[0])} to {network.name(jump[1])}"
        assert said(jump, rate) == ((Status.UNEVEN, f"{way}: few hold most"),)


def test_other_results_say_who_has_these_names():
    chain = ss.EulerMaruyama(ss.Langevin(BEHIND, 1.0), dt=0.01)
    seen = ss.first_passage(chain, np.array([0.0]), TARGET, horizon=1.0, trajectories=64, method="direct")
    assert seen.surroundings is None
    with pytest.raises(AttributeError, match="several slow basins"):
        _ = seen.time_shares


def around(landscape, start, target, temperature, dt=0.001):
    chain = ss.EulerMaruyama(ss.Langevin(landscape, temperature), dt)
    return surroundings(make_question(chain, np.array(start), target), Warmth(temperature), 512, 0)


def test_what_lies_around_a_passage():
    """Basins, jumps and barriers of a chain of wells; nothing is looked for behind the target."""
    wells, loss = of_force([-3, -2, -1, 0, 1, 2, 3])
    found = around(wells, [-1.0], ss.regions.HalfSpace([-1.0], 0.8), 1.5)
    assert isinstance(found, Surroundings) and not found.findings
    assert [basin.point.location.round(6).tolist() for basin in found.basins] == [[-1.0], [-3.0]]
    assert found.jumps.tolist() == [[False, True, True], [True, False, False]]
    assert found.barriers == pytest.approx([loss(-0.8) - loss(-1), loss(-2) - loss(-3)], abs=1e-6)
    # one over the pass to the other basin and one on to the target: by what is higher; back and forth by the weights
    there = found.log_rates
    assert there[0, 2] - there[0, 1] == pytest.approx((loss(-2) - loss(-0.8)) / 1.5, abs=1e-6)
    curved = [basin.point.log_det / 2 for basin in found.basins]
    assert there[1, 0] - there[0, 1] == pytest.approx((loss(-3) - loss(-1)) / 1.5 + curved[1] - curved[0], abs=1e-6)
    assert found.told.endswith("2 minima before the target, 2 basins slow to leave")


def test_a_target_uphill():
    """Its lowest point is found on each side; a start in the target's own basin is told."""
    bowl = ss.landscapes.Quadratic([1.0, 4.0])
    outside = ~ss.regions.Ball([0.1, 0.0], 2.0)
    tops = sorted(
        {round(way.top, 4) for way in ways_around(ss.landscapes.explore(bowl, [0.0, 0.0]), (outside,)).approaches}
    )
    assert tops[0] == pytest.approx(1.9**2 / 2, abs=1e-3)
    found = around(bowl, [0.0, 0.0], outside, 0.05)
    assert isinstance(found, Surroundings) and found.barriers == pytest.approx([1.9**2 / 2], abs=1e-3)
    inside = around(bowl, [1.0, 0.0], ss.regions.Ball([0.0, 0.0], 0.5), 0.05)
    assert isinstance(inside, Unexplored) and inside.reason.endswith("lies where trajectories end")


def test_a_way_out_before_the_target_is_told():
    """Where the loss falls without bound on the other side, over a pass that is as low."""
    found = around(BEHIND, [0.0], ss.regions.Ball([2.3], 0.1), 2.0)
    assert isinstance(found, Surroundings) and found.findings[0][0] is Status.INCOMPLETE
    assert "the loss descends without bound, before the target" in found.findings[0][1]


def test_a_shallow_minimum_between_two_deep_ones_joins_one_of_them():
    """The lower saddle decides. Twin: joining whatever is left fast, which makes all one basin."""
    wells, _ = of_force([-1.5, -0.35, 0.0, 0.45, 1.5])
    found = ss.landscapes.explore(wells, [-1.5])
    assert len(found.minima) == 3
    order = {round(float(point.location[0]), 2): number for number, point in enumerate(found.minima)}
    edges = sorted(found.connections, key=lambda way: way.saddle.loss)
    groups = slow_groups(found.minima, np.arange(3), edges, 0.05, 0.02)
    assert {order[0.0], order[-1.5]} in groups or {order[0.0], order[1.5]} in groups
    assert len(groups) == 2 and 0 in groups[0]
    assert len(slow_groups(found.minima, np.arange(3), edges, 10.0, 0.02)) == 1


def test_transitions_name_a_third_well_beyond_the_second():
    """It is not between the two that were given. With all three nothing is said; a well behind both is found too."""
    beyond, loss = of_force([-1, -0.2, 0.7, 1.9, 2.8])
    chain = ss.EulerMaruyama(ss.Langevin(beyond, 0.22), dt=0.005)
    graph = minima_graph(chain, [[-1.0], [0.7]], None)
    ((status, words),) = missing_minima(chain, graph, 0)
    assert status is Status.INCOMPLETE and "one at [2.8]" in words and "holds 0.34 of the law" in words
    grid = np.linspace(-3, 5, 40_001)
    weight = np.exp(-loss(grid) / 0.22)
    assert weight[grid > 1.9].sum() / weight.sum() == pytest.approx(0.33, abs=0.02)
    assert not missing_minima(chain, minima_graph(chain, [[-1.0], [0.7], [2.8]], None), 0)
    ((_, words),) = missing_minima(chain, minima_graph(chain, [[0.7], [2.8]], None), 0)
    assert "one at [-1.]" in words


def test_the_temperature_of_a_motion_that_has_none_of_its_own():
    """Of an underdamped chain, within four standard errors of 512 losses of chi-square law. Twin: half of it."""
    chain = Underdamped(ss.landscapes.Quadratic([1.0, 2.0]), temperature=0.5)
    question = make_question(chain, np.zeros(2, np.float32), ~ss.regions.Ball([0.0, 0.0], 6.0))
    warmth = _warmth(question, execution_of(question, 0, None, None, None))
    assert isinstance(warmth, Warmth) and not warmth.differs(np.array([[1.0, 1.0]]))
    found = warmth.temperature
    assert abs(found / 0.5 - 1) < 4 / np.sqrt(512) and abs(found / 0.25 - 1) > 4 / np.sqrt(512)


def test_what_cannot_be_explored_is_watched_only():
    """A loss that has no second derivatives, and basins whose cores overlap: neither ends the call."""

    @jax.custom_vjp
    def quartic(x):
        return (x[0] ** 2 - 1) ** 2

    quartic.defvjp(lambda x: (quartic(x), x), lambda x, g: (g * 4 * x * (x**2 - 1),))
    chain = ss.EulerMaruyama(ss.Langevin(ss.landscapes.Landscape(quartic, dim=1), 0.1), 0.02)
    question = make_question(chain, np.array([-1.0]), ss.regions.HalfSpace([-1.0], -1.0))
    seen = look_around(question, execution_of(question, 0, None, None, None))
    assert isinstance(seen, Unexplored) and seen.reason.startswith("landscape must be twice differentiable, got one")
    wells, _ = of_force([-3, -2, -1, 0, 1, 2, 3])
    found = around(wells, [-1.0], ss.regions.HalfSpace([-1.0], 0.8), 1.5)
    with pytest.raises(NotFollowed, match="cores must not overlap"):
        cores_of(found._replace(barriers=found.barriers * 1_000, temperature=1e3), chain)
    with pytest.raises(NotFollowed, match="more than 32"):
        cores_of(found._replace(basins=found.basins * 17), chain)


def test_light_basins_are_passed_through():
    """Over the higher of two passes in a row."""
    none = np.inf
    passes = np.array([[none, 1, none, none], [1, none, 2, none], [none, 2, none, 0.5]])
    assert _through_light_ones(passes, [0, 2]).tolist() == [[none, 2, none], [2, none, 0.5]]
    assert _through_light_ones(passes, [0]).tolist() == [[none, 2]]


def test_the_union_of_those_chosen():
    sets = (ss.regions.Ball([0.0], 1.0), ss.regions.HalfSpace([-1.0], -2.0), ss.regions.Ball([-3.0], 0.5))
    points = jnp.linspace(-4, 4, 33)[:, None]

    @eqx.filter_jit
    def of_each(region):
        return jax.vmap(region.contains)(points), jax.vmap(region.level)(points)

    for chosen in ([True, False, True], [False, True, False], [False, False, False]):
        inside, level = of_each(OneOf(sets, np.array(chosen)))
        there = [of_each(each) for each, wanted in zip(sets, chosen, strict=True) if wanted]
        there.append((np.zeros(33, bool), np.full(33, math.inf)))
        assert np.array_equal(inside, np.any([each for each, _ in there], axis=0))
        assert np.array_equal(level, np.min([each for _, each in there], axis=0))


def test_neighbours_on_the_line_are_all_that_matters():
    """Three cores for each basin of a row, its own among them; in a plane, and of few, all."""

    def near(locations, chain=None):
        basins = [SimpleNamespace(point=SimpleNamespace(location=np.atleast_1d(each))) for each in locations]
        if chain is None:
            bowl = ss.landscapes.Quadratic(np.ones(len(basins[0].point.location)))
            chain = ss.EulerMaruyama(ss.Langevin(bowl, 1.0), 0.01)
        ends = tuple(range(len(basins) + 2))
        network = Network(SimpleNamespace(chain=chain), None, None, (), SimpleNamespace(basins=basins), ends)
        return [network.near(start) for start in range(len(basins))]

    row = [[2, 0, 1], [0, 1, 3], [4, 2, 0], [0, 1, 3], [4, 2, 0]]
    assert near([0.0, 2.0, -2.0, 4.0, -4.0]) == [[*each, 5, 6] for each in row]
    assert near([0.0, 2.0, -2.0]) == [[0, 1, 2, 3, 4]] * 3
    # what jumps may pass over a core
    assert near([0.0, 2.0, -2.0, 4.0, -4.0], outlier(100)) == [list(range(7))] * 5
    assert near([[0.0, place] for place in range(5)]) == [list(range(7))] * 5


def test_cores_in_many_dimensions_hold_typical_states():
    """Half of the states of a well in 50 dimensions are in its core, and none is further along the way out."""
    dim, temperature = 50, 1.0
    curvatures = np.linspace(1, 3, dim)
    bowl = ss.landscapes.find_minima(ss.landscapes.Quadratic(curvatures.tolist()), np.zeros(dim))[0]
    way = np.zeros((1, dim))
    way[0, 0] = 4.0
    states = np.random.default_rng(0).normal(size=(4_000, dim)) * np.sqrt(temperature / curvatures)
    for towards, low, high in (((way,), 0.5, 1.0), (None, 0.0, 0.0)):
        (core,) = core_sets([bowl], np.array([8.0]), None, ("bowl",), towards=towards)
        share = np.mean(np.asarray(jax.jit(jax.vmap(core.level))(states)) < 0)
        assert low <= share <= high
    (core,) = core_sets([bowl], np.array([8.0]), None, ("bowl",), towards=(way,))
    # the quadratic part along the way alone is a quarter of the barrier
    assert float(core.level(jnp.asarray(way[0] * 2.0 / 4.0))) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.long
def test_a_chain_without_a_landscape_is_watched_only():
    """And its sentence says so; what is measured is what a lone basin gives."""
    drift = ss.diffusions.ItoDiffusion(lambda x, t: -x, lambda x, t: jnp.ones(1), 1)
    found = ss.first_passage(
        ss.EulerMaruyama(drift, 0.02), np.array([0.0]), ss.regions.HalfSpace([-1.0], -2.8), trajectories=4_096,
        method="splitting",
    )  # fmt: skip
    assert found.surroundings == "not explored, watched only: the chain has no landscape"
    assert found.checked_until > 100 * found.settling_time and isinstance(found.excursions, SplittingSample)
