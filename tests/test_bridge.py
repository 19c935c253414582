"""Exits between two steps, one step at a time: chance, place in time, and sets that are put together.

Under continuous monitoring a path takes the same steps as without, so `simulate` tells where each step of a path began
and ended, and the chance that it was outside in between is known to the last digit: the Brownian bridge's
exp(−2 d d′/(nᵀan dt)), d and d′ the distances from a flat boundary. What is left to chance is one uniform a step, and
the number of exits has the law of a sum of independent events of known chances. Every band is four of its standard
deviations, a false-fail rate of 6.3e-5; the twins are chances that are wrong by little, far beyond it.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

import sde_sgd as ss

N = 65_536
DT = 0.25


def below(offset, normal=(1.0,)):
    return ss.regions.HalfSpace(np.array(normal), offset)


def chain_of(drift, amplitude, dim=1, dt=DT):
    return ss.EulerMaruyama(ss.diffusions.ItoDiffusion(drift, amplitude, dim), dt)


def no_drift(x, t):
    return 0 * x


def amplitude(factors, x, t):
    constant, in_time, of_state = factors
    return constant + in_time * t / DT + of_state * x**2


def walk_of(constant, in_time=0.0, of_state=0.0):
    """On the line, without a drift; one program for all, whose noise is constant + in_time·(step) + of_state·x²."""
    return chain_of(no_drift, jax.tree_util.Partial(amplitude, np.array([constant, in_time, of_state], np.float32)))


WALK = walk_of(1.0)


def constant(amplitude, x, t):
    return amplitude + 0 * x


def steady(amplitude):
    """On the line, without a drift, with noise that depends on nothing, which mean times need."""
    return chain_of(no_drift, jax.tree_util.Partial(constant, np.float32(amplitude)))


def box(half):
    return below(half) & below(half, (-1.0,))


def paths_of(chain, start, steps, n=N, seed=3):
    """Where each path stands after each step, the start included: (steps + 1, n, dim)."""
    start = np.asarray(start, np.float32)
    after = np.asarray(ss.simulate(chain, start, steps, n, seed=seed, save_every=1), np.float64)
    if after.shape[0] == steps:
        after = np.concatenate([np.broadcast_to(start, (1, *after.shape[1:])), after])
    assert after.shape == (steps + 1, n, start.size) and np.all(after[0] == start)
    return after


@functools.cache
def of_the_walk():
    """Its first three steps: (4, n, 1)."""
    return paths_of(WALK, [0.0], 3)


def bridge(before, after, variance, exponent=2.0):
    """Chance to have crossed between two ends at these signed distances from a flat boundary; 1 where one is beyond."""
    before, after = np.maximum(before, 0), np.maximum(after, 0)
    return np.exp(-exponent * before * after / variance)


def deviations(count, chances):
    """How many standard deviations a count of independent events is off."""
    return (count - chances.sum()) / np.sqrt((chances * (1 - chances)).sum())


def exits(chain, start, region, steps, n=N, seed=3, **options):
    """P(exit by each step) of continuous monitoring, from a direct simulation, as counts of N: (steps,)."""
    passage = ss.escape(
        chain, np.asarray(start, np.float32), region, steps * DT, trajectories=n, seed=seed,
        monitoring="continuous", method="direct", **options,
    )  # fmt: skip
    left = 1 - passage.survival((np.arange(steps) + 0.9) * DT).value
    return np.round(left * n).astype(int), passage


@pytest.mark.parametrize("distance", [0.2, 0.5, 1.0])
def test_one_step_across_a_flat_boundary(distance):
    """P = 2Φ(−d/√dt) by reflection, and given the steps' ends a sum of bridges. Twins: an exponent of 1.9, of 2.1."""
    (count,), passage = exits(WALK, [0.0], below(distance), 1)
    after = of_the_walk()[1, :, 0]
    assert abs(deviations(count, bridge(distance, distance - after, DT))) < 4
    exact = 2 * stats.norm.sf(distance / np.sqrt(DT))
    assert abs(passage.probability.value - exact) < 4 * np.sqrt(exact * (1 - exact) / N)
    if distance == 0.5:
        for exponent in (1.9, 2.1):
            assert abs(deviations(count, bridge(distance, distance - after, DT, exponent))) > 5


@pytest.fixture(scope="module")
def walk():
    """Steps of many paths, the chance of each to be out by the end of the first one, and whether it was."""
    ids = np.arange(N)
    passage = ss.escape(
        WALK, np.zeros(1, np.float32), below(0.5), DT, trajectory_ids=ids, seed=3, monitoring="continuous"
    )
    paths = of_the_walk()[..., 0]
    return paths, bridge(0.5, 0.5 - paths[1], DT), np.isfinite(passage.exit_times)


def test_the_chances_of_a_step_are_those_of_its_ends(walk):
    """In ten classes by the bridge's chance; beyond the boundary is out, and far from it is in."""
    paths, chance, out = walk
    assert np.all(out[paths[1] >= 0.5]) and np.sum(paths[1] >= 0.5) > N / 8
    assert np.sum(out[chance < 1e-3]) <= 4 and np.sum(chance < 1e-3) > N / 200
    group = (chance * 10).astype(int)
    assert max(abs(deviations(out[group == k].sum(), chance[group == k])) for k in range(10)) < 4.5


def test_the_bridge_knows_nothing_of_the_noise(walk):
    """Whether a path crossed is correlated with no normal of this step or of later ones, and with no square of one."""
    paths, chance, out = walk
    variance = chance * (1 - chance)

    def off(surprise, value):
        return abs(np.sum(surprise * value)) / np.sqrt(np.sum(variance * value**2))

    normals = np.diff(paths, axis=0) / np.sqrt(DT)
    values = [*normals, *(normals**2 - 1)]
    assert max(off(out - chance, value) for value in values) < 4.5
    # twin: the uniform is made of the next step's normal
    twin = stats.norm.cdf(normals[1]) < chance
    assert max(off(twin - chance, value) for value in values) > 20


@pytest.mark.parametrize(
    ("method", "monitoring", "earliest"),
    [
        ("direct", "continuous", 0.5),
        ("direct", "discrete", 1.0),
        pytest.param("splitting", "continuous", 0.5, marks=pytest.mark.long),
    ],
)
def test_an_exit_between_steps_is_placed_in_their_middle(method, monitoring, earliest):
    """The chain's own exit is at the end of its step."""
    times = np.array([0.0, 0.49, 0.51, 0.99, 1.0]) * DT
    passage = ss.escape(
        steady(1.0), np.zeros(1, np.float32), box(0.5), DT, trajectories=2048, seed=4, method=method,
        monitoring=monitoring,
    )  # fmt: skip
    out = float(passage.probability.value)
    assert 0.1 < out < 0.9
    np.testing.assert_allclose(passage.survival(times).value, np.where(times < earliest * DT, 1.0, 1 - out), atol=1e-12)


def test_mean_times_count_half_steps():
    """So wide a step that every path leaves in the first: E τ is half of it, exactly."""
    for monitoring, expected in (("continuous", 0.5), ("discrete", 1.0)):
        passage = ss.escape(
            steady(1e4), np.zeros(1, np.float32), box(1.0), trajectories=2048, seed=1, monitoring=monitoring,
            method="direct",
        )  # fmt: skip
        assert float(passage.mean_exit_time.value) == pytest.approx(expected * DT, rel=1e-3)


def hazard_of(paths, variance, distance):
    """Chance of each path to be seen outside first in each step: (steps, n). variance: of the steps, (steps, n)."""
    chances = bridge(distance(paths[:-1]), distance(paths[1:]), variance)
    inside = np.cumprod(np.concatenate([np.ones_like(chances[:1]), 1 - chances[:-1]]), axis=0)
    return inside * chances


def test_noise_that_changes_in_time_is_that_of_the_step():
    """Twins: the noise of the step before, and of the step after."""
    chain, steps, distance = walk_of(0.5, in_time=1.0), 3, 1.5
    counts, _ = exits(chain, [0.0], below(distance), steps)
    paths = paths_of(chain, [0.0], steps)[..., 0]
    number = np.arange(steps)[:, None]

    def expected(shift):
        variance = np.maximum(0.5 + number + shift, 0.25) ** 2 * DT + 0 * paths[1:]
        return np.cumsum(hazard_of(paths, variance, lambda x: distance - x), axis=0)

    assert max(abs(deviations(count, chance)) for count, chance in zip(counts, expected(0), strict=True)) < 4
    for shift in (-1, 1):
        twin = expected(shift)
        assert max(abs(deviations(count, chance)) for count, chance in zip(counts, twin, strict=True)) > 8


def test_noise_that_depends_on_the_state_is_that_at_the_beginning():
    """Itô. Twins: the noise at the end of the step, and in its middle."""
    chain, distance = walk_of(0.4, of_state=1.0), 0.6
    (count,), _ = exits(chain, [0.5], below(0.5 + distance), 1)
    before, after = paths_of(chain, [0.5], 3)[:2, :, 0]

    def chance(x):
        return bridge(distance, 0.5 + distance - after, (0.4 + x**2) ** 2 * DT)

    assert abs(deviations(count, chance(before))) < 4
    for twin in (after, (before + after) / 2):
        assert abs(deviations(count, chance(twin))) > 8


@pytest.mark.long
def test_a_schedule_reaches_the_bridge():
    """u = γ_k/γ_0 multiplies the noise, so its variance goes with u². Twins: u, and no u at all."""
    schedule = optax.piecewise_constant_schedule(DT, {1: 3.0})
    flat = ss.landscapes.Landscape(lambda x: 0 * x[0], 1)
    chain = ss.EulerMaruyama(ss.LangevinSGD(flat, ss.noise.Isotropic(2.0), schedule, 0.5))
    steps, distance = 2, 1.8
    counts, _ = exits(chain, [0.0], below(distance), steps)
    paths = paths_of(chain, [0.0], steps)[..., 0]
    rate = np.array([1.0, 3.0])[:, None]
    # (γ_0/M) β u² per unit of time, for a time γ_0
    plain = DT / 0.5 * 2.0 * DT

    def off(power):
        hazard = hazard_of(paths, plain * rate**power + 0 * paths[1:], lambda x: distance - x)
        return [abs(deviations(count, chance)) for count, chance in zip(counts, np.cumsum(hazard, axis=0), strict=True)]

    assert max(off(2)) < 4
    assert min(max(off(1)), max(off(0))) > 8


def test_the_normal_meets_the_covariance():
    """nᵀan of a slanted boundary and noise with correlations. Twins: tr a, and a without its off-diagonal entries."""
    factor = np.array([[0.8, 0.0], [0.7, 0.5]])
    chain = chain_of(lambda x, t: 0 * x, lambda x, t: jnp.asarray(factor, x.dtype), dim=2)
    normal, offset = np.array([1.0, -2.0]), 0.7
    (count,), _ = exits(chain, [0.0, 0.0], below(offset, normal), 1)
    level = paths_of(chain, [0.0, 0.0], 1)[1] @ normal - offset
    covariance = factor @ factor.T

    def off(variance):
        return abs(deviations(count, bridge(offset, -level, variance * DT)))

    assert off(normal @ covariance @ normal) < 4
    assert min(off(np.trace(covariance) * normal @ normal), off(normal**2 @ np.diag(covariance))) > 8


def put_together(kind):
    """A set that is {x < offset} near where paths come, put together from others, and the offset."""
    near, far = below(0.5), below(1.0)
    if kind == "union":
        return near | far, 1.0
    if kind == "intersection":
        return near & far, 0.5
    if kind == "complement of a union":
        return ~(~near | ~far), 0.5
    return (near | far) & below(0.8), 0.8


@pytest.mark.long
@pytest.mark.parametrize(
    "kind",
    ["union", "intersection", "complement of a union", "intersection with a union"],
)
def test_sets_that_are_put_together(kind):
    """The bridge takes the level function of the whole; the twin is the other set's boundary."""
    region, offset = put_together(kind)
    (count,), _ = exits(WALK, [0.0], region, 1)
    after = of_the_walk()[1, :, 0]
    assert abs(deviations(count, bridge(offset, offset - after, DT))) < 4
    other = 1.0 if offset < 0.9 else 0.5
    assert abs(deviations(count, bridge(other, other - after, DT))) > 8


def test_two_sets_have_a_uniform_each():
    """Target above, avoid below: the chances multiply. Twin: both read one uniform."""
    up, down = below(-0.3, (-1.0,)), below(-0.4)
    passage = ss.first_passage(
        WALK, np.zeros(1, np.float32), up, down, DT, trajectories=N, seed=3, monitoring="continuous", method="direct"
    )
    after = of_the_walk()[1, :, 0]
    target, avoid = bridge(0.3, 0.3 - after, DT), bridge(0.4, 0.4 + after, DT)
    assert abs(deviations(round(float(passage.probability.value) * N), target)) < 4
    avoided = N - passage.censored - round(float(passage.probability.value) * N)
    assert abs(deviations(avoided, (1 - target) * avoid)) < 4
    assert abs(deviations(avoided, np.maximum(avoid - target, 0))) > 8
