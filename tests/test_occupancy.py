"""Occupancy and densities against the exact law of the chain, and the verdicts on runs that are not good enough."""

import functools
import re
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy import linalg
from statistical import agrees, binomial_error, false_pass

import sde_sgd as ss
from sde_sgd import _numerics
from sde_sgd.engine import _reductions
from sde_sgd.reference import ChainLaw
from sde_sgd.stationary import _basins

WELLS = ss.landscapes.TwoWells(sharp_curvature=16.0, flat_curvature=4.0)
SADDLE, SHARP, FLAT = (float(x[0]) for x in (WELLS.saddle, WELLS.sharp_minimum, WELLS.flat_minimum))
MINIMA = {"sharp": (SHARP,), "flat": (FLAT,)}
LEFT = ss.regions.HalfSpace([1.0], SADDLE)
WARM, DT = 0.7, 0.02
# far up the wall behind the sharp minimum, which a trajectory rarely visits
RARE = -1.55


def wells_chain(temperature=WARM, dt=DT):
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(WELLS, temperature), dt)


SLOPE = jax.jit(jax.vmap(lambda x: WELLS.gradient(x[None])[0]))


@functools.cache
def wells_law(temperature=WARM, dt=DT, cuts=(-6.0, RARE, SADDLE, 7.0)):
    with jax.enable_x64(True):

        def mean(x):
            return x - dt * np.asarray(SLOPE(jnp.asarray(np.ravel(x)))).reshape(np.shape(x))

        return ChainLaw(mean, np.sqrt(2 * temperature * dt), cuts, nodes=120)


def standard_errors(estimate):
    return (estimate.high - estimate.low) / 2 / 1.96


@pytest.mark.long
def test_the_exact_law_of_the_chain_tends_to_that_of_the_diffusion():
    """The tests' own oracle: masses of the sharp well, of small steps, extrapolated, against the Fokker–Planck solver.

    Stationary and at two times from the generator's exponential; nothing is simulated. The chain at DT itself is
    further off than the tolerance.
    """
    solver = ss.reference.FokkerPlanck(wells_chain().diffusion, grid=(-4.0, 5.0, 900))
    x = solver.grid.centers[0]
    # the saddle cuts a cell
    share = np.clip((SADDLE - x) / 0.01 + 0.5, 0, 1)
    start = np.maximum(1 - np.abs(x - SHARP) / 0.01, 0)
    laws = [linalg.expm(solver.generator().toarray().T * t) @ (start / start.sum()) for t in (0.4, 4.0)]
    exact = np.array([share @ solver.stationary() * 0.01, *(share @ law for law in laws)])
    coarse, fine, finest = (
        np.append(law.stationary()[0], law.after(SHARP, [round(0.4 / dt), round(4 / dt)])[:, 0])
        for dt in (DT, 0.01, 0.005)
        for law in [wells_law(dt=dt, cuts=(-6.0, SADDLE, 7.0))]
    )
    assert np.max(np.abs(2 * finest - fine - exact)) < 6e-4
    assert np.max(np.abs(coarse - exact)) > 4e-3


@pytest.mark.long
def test_weights_are_those_of_the_exact_law():
    """Stationary weights by regions and by quench, in 1-D: one and the same. False-fail rate 1.3e-4.

    Burn-in: e^(−9) of the start is left. Twins (false-pass rate below 1e-6): the border half way between the minima
    in place of the saddle; a sharp minimum of 5/4 the curvature.
    """
    exact = wells_law(cuts=(-6.0, SADDLE, 7.0)).stationary()

    def measure(chain=None, **basins):
        options = {"horizon": 120.0, "burn_in": 20.0, "every": 0.64, "trajectories": 1_536, "seed": 1}
        return ss.occupancy(chain or wells_chain(), [SHARP], **options, **basins)

    by_region = measure(regions={"sharp": LEFT, "flat": ~LEFT})
    by_flow = measure(minima=MINIMA)
    assert np.array_equal(by_region.weight.value, by_flow.weight.value)
    assert by_flow.names == ("sharp", "flat") and float(by_flow.unassigned) == 0
    error = standard_errors(by_flow.weight)
    assert agrees(by_flow.weight.value, exact, error)
    middle = wells_law(cuts=(-6.0, 0.0, 7.0)).stationary()
    assert false_pass(middle[1] - exact[1], error[1]) < 1e-6
    assert not agrees(measure(minima=MINIMA, basins="nearest").weight.value, exact, error)
    sharper = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.TwoWells(20.0, 4.0), WARM), DT)
    assert not agrees(measure(sharper, regions={"sharp": LEFT, "flat": ~LEFT}).weight.value, exact, error)


@functools.cache
def at_times(temperature=WARM, **options):
    return ss.occupancy(wells_chain(temperature), [SHARP], times=TIMES, trajectories=40_000, seed=2, **options)


# the fourth is no whole number of steps
TIMES = (0.0, 0.16, 0.96, 4.97, 20.0)
STEPS = (0, 8, 48, 248, 1_000)


def test_probabilities_at_times_are_those_of_the_exact_law():
    """P(in basin i at t) by the quench, each within 4 standard errors. False-fail rate 4 × 6.3e-5.

    Twins (false-pass rate below 1e-6): noise 5 % off; a look one step early.
    """
    exact = wells_law().after(SHARP, STEPS[1:])
    exact = np.stack([exact[:, :2].sum(axis=1), exact[:, 2]], axis=1)
    found = at_times(minima=tuple(MINIMA.values()))
    np.testing.assert_allclose(found.times, np.array(STEPS) * DT, rtol=1e-6)
    assert np.array_equal(found.counts.sum(axis=1), np.full(5, 40_000)) and found.result == "complete"
    assert np.array_equal(found.counts[0], [40_000, 0, 0])
    error = binomial_error(exact, 40_000)
    assert agrees(found.probability.value[1:], exact, error)
    interval = ss.statistics.clopper_pearson(found.counts[:, 1], 40_000)
    assert np.array_equal(found.probability.low[:, 1], interval.low)
    twin = wells_law(1.05**2 * WARM).after(SHARP, STEPS[1:])
    assert min(false_pass(gap, e) for gap, e in zip(twin[:, 2] - exact[:, 1], error[:, 1], strict=True)) < 1e-6
    early = wells_law().after(SHARP, [STEPS[2] - 1])[0, 2]
    assert abs(early - exact[1, 1]) > 1e-4
    assert not agrees(at_times(1.05**2 * WARM, minima=tuple(MINIMA.values())).probability.value[1:], exact, error)


GROUPS, SIZE = 2_000, 16


def both(run):
    """Where a result over a window keeps what its intervals are made of."""
    return run.counted.visits, run.counted.has_diverged


@pytest.mark.long
def test_coverage_of_the_stationary_weights():
    """2000 repetitions of 16 trajectories side by side, three basins, one of weight 0.004: 93 … 97 % each.

    A coverage of exactly 95 % lands outside with probability 4e-5, one below 91.5 % inside with less than 1 %. Twins:
    intervals of the 87 % level's width; the independence of looks taken for granted.
    """
    rare = ss.regions.HalfSpace([1.0], RARE)
    regions = {"wall": rare, "sharp": LEFT & ~rare, "flat": ~LEFT}
    run = ss.occupancy(
        wells_chain(), [SHARP], regions=regions, horizon=80.0, burn_in=20.0, every=0.16, trajectories=GROUPS * SIZE
    )
    exact = wells_law().stationary()

    def repetition(number):
        rows = slice(number * SIZE, (number + 1) * SIZE)
        return eqx.tree_at(both, run, (run.visits[:, rows], run.has_diverged[rows]))

    estimates = [repetition(number).weight for number in range(GROUPS)]
    low, value, high = (np.array([getattr(each, name) for each in estimates]) for name in ("low", "value", "high"))
    share = np.mean((low <= exact) & (exact <= high), axis=0)
    assert np.all((share >= 0.93) & (share <= 0.97)), share
    narrow = np.mean((value + 0.77 * (low - value) <= exact) & (exact <= value + 0.77 * (high - value)), axis=0)
    assert np.all(narrow < 0.93), narrow
    naive = 1.96 * np.sqrt(value * (1 - value) / (SIZE * 2 * run.looks))
    assert np.all(np.mean(np.abs(value - exact) <= naive, axis=0)[1:] < 0.7)


@pytest.mark.long
def test_r_hat_and_effective_samples_are_those_of_arviz():
    """R-hat of the same looks, from stored paths, by arviz-stats: to rounding. Effective samples within 30 %."""
    every, looks, n = 16, 512, 48
    run = ss.occupancy(
        wells_chain(), [FLAT], regions={"sharp": LEFT}, horizon=(looks + 4) * every * DT, burn_in=4 * every * DT,
        every=every * DT, trajectories=n, seed=4,
    )  # fmt: skip
    path = ss.simulate(wells_chain(), [FLAT], (looks + 4) * every, n, seed=4, save_every=every)[5:, :, 0].T
    inside = (path < np.float32(SADDLE)).astype(np.float64)
    assert np.array_equal(run.visits[:, :, 0], inside.reshape(n, 2, looks // 2).sum(axis=2).T)
    assert np.array_equal(run.transitions, np.abs(np.diff(inside, axis=1)).sum(axis=1))
    assert run.r_hat[0] == pytest.approx(array_stats.rhat(inside, method="split"), rel=1e-6)
    assert run.effective_samples[0] == pytest.approx(array_stats.ess(inside, method="mean"), rel=0.3)


@pytest.mark.long
def test_verdicts():
    """A long warm run has converged; a cold one, a short one and one that has not forgotten its start have not."""
    regions = {"sharp": LEFT, "flat": ~LEFT}

    def verdict(temperature, horizon, burn_in, n=128):
        run = ss.occupancy(
            wells_chain(temperature), [SHARP], regions=regions, horizon=horizon, burn_in=burn_in, trajectories=n
        )
        return run.result

    assert verdict(1.0, 1_000.0, 20.0) == "converged"
    assert "transitions between basins, fewer than 5" in verdict(0.1, 20.0, 10.0)
    assert verdict(1.0, 40.0, 20.0).startswith("not converged: split R-hat of ")
    early = verdict(0.4, 40.0, 0, n=2_048)
    assert "the start is not forgotten: the weight of sharp moves from" in early


PLANE = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2, dim=2)
PAIR = [[-1.0, 0.0], [1.0, 0.0]]


def plane_chain():
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(PLANE, 0.7), 0.02)


def test_a_missed_minimum_is_named():
    """One of two wells left out of the list: its share and its place are in the verdict."""
    at = ss.occupancy(plane_chain(), PAIR[1], minima=PAIR[:1], times=[0.48, 9.6], trajectories=200)
    assert 0.3 < at.unassigned.value[1] < 0.7 < at.unassigned.value[0]
    assert re.search(r"^incomplete: up to .* belong to none .* their flow ends at \[ ?1\.,? ", at.result), at.result
    run = ss.occupancy(plane_chain(), PAIR[1], minima=PAIR[:1], horizon=20.0, every=0.32, trajectories=200)
    assert "of the time is in none of the minima given; the flow ends at [" in run.result
    for missed in (at.unassigned_minima, run.unassigned_minima):
        np.testing.assert_allclose(missed.locations, [[1, 0]], atol=1e-3)
        assert 0.3 < missed.shares[0] < 0.7
    whole = ss.occupancy(plane_chain(), PAIR[1], minima=PAIR, times=[0.48, 9.6], trajectories=200)
    assert whole.result == "complete" and whole.unassigned_minima.locations.shape == (0, 2)
    assert np.array_equal(whole.counts[:, 0], at.counts[:, 0])


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:overflow")
def test_chains_that_are_not_confining():
    """Wells without a bowl spread for ever; an inverted well is left for infinity, and counted as such."""
    wells = ss.landscapes.GaussianWells([[-1.0], [1.0]], 0.5, 0.3, confinement=0.0)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(wells, 1.0), 0.02)
    left = ss.regions.HalfSpace([1.0], 0.0)
    run = ss.occupancy(chain, [1.0], regions={"left": left, "right": ~left}, horizon=100.0, trajectories=256)
    assert "states still spread: their mean square distance" in run.result
    hill = ss.landscapes.Landscape(lambda x: -(x[0] ** 4) + 0 * x[0], dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(hill, 1.0), 0.02)
    run = ss.occupancy(chain, [0.0], regions={"left": left, "right": ~left}, horizon=20.0, trajectories=64)
    assert run.diverged == 64 and "64 of 64 trajectories diverged" in run.result
    assert np.all(np.isnan(run.weight.value)) and np.all(run.weight.low == 0) and np.all(run.weight.high == 1)
    assert np.all(np.isnan(run.r_hat)) and np.all(np.isnan(run.effective_samples))
    at = ss.occupancy(chain, [0.0], regions={"left": left}, times=[0.02, 20.0], trajectories=64)
    assert list(at.diverged_at_times) == [0, 64] and at.diverged == 64 and "diverged" in at.result
    assert (at.probability.low[1, 0], at.probability.high[1, 0]) == (0, 1)


@functools.cache
def by_regions(**mode):
    """Over a window or at times: one run each for all tests that ask what a result says of itself."""
    return ss.occupancy(wells_chain(), [SHARP], regions={"sharp": LEFT, "flat": ~LEFT}, trajectories=200, **mode)


def test_diverged_trajectories_are_read_both_ways():
    """One lost of 200: the value is that of the others, the interval holds both readings."""
    run = by_regions(horizon=40.0)
    lost = eqx.tree_at(lambda r: r.counted.has_diverged, run, np.arange(200) == 3)
    others = eqx.tree_at(both, run, (np.delete(run.visits, 3, axis=1), np.zeros(199, bool)))
    assert np.array_equal(lost.weight.value, others.weight.value)
    np.testing.assert_allclose(lost.weight.low, others.weight.low * 199 / 200)
    np.testing.assert_allclose(lost.weight.high, others.weight.high * 199 / 200 + 1 / 200)
    assert lost.diverged == 1 and lost.result.startswith("diverged: 1 of 200 trajectories diverged")


# of the same structure as those that do not
OVERLAP = {"wide": ss.regions.HalfSpace([1.0], SADDLE + 0.2), "right": ~LEFT}


@pytest.mark.parametrize("mode", [{"times": [30.0]}, {"horizon": 60.0}], ids=["times", "horizon"])
def test_regions_that_overlap_are_named(mode):
    with pytest.raises(ValueError, match=r"^regions must not overlap, got 'wide' and 'right' that both hold \[-0\."):
        ss.occupancy(wells_chain(), [SHARP], regions=OVERLAP, trajectories=200, **mode)


def numbers(result):
    return [leaf for leaf in jax.tree.leaves(result) if isinstance(leaf, np.ndarray)]


@pytest.mark.long
@pytest.mark.parametrize("call", ["times", "window", "histogram"])
def test_bits_do_not_depend_on_chunk_or_devices(call):
    chain = plane_chain()

    def run(**options):
        options |= {"trajectories": 200, "seed": 6}
        if call == "times":
            return ss.occupancy(chain, PAIR[0], minima=PAIR, times=[0.48, 0.96], **options)
        if call == "window":
            return ss.occupancy(chain, PAIR[0], minima=PAIR, basins="nearest", horizon=8.0, every=0.32, **options)
        return ss.histogram(chain, PAIR[0], bins=[(-2, 2, 8), (-1, 1, 4)], horizon=8.0, every=0.32, **options)

    whole = numbers(run(devices=jax.devices()[:1]))
    for options in ({"devices": jax.devices()}, {"chunk": 64, "devices": jax.devices()[:1]}):
        for one, other in zip(whole, numbers(run(**options)), strict=True):
            assert np.array_equal(one, other), options


def test_a_sweep_is_one_program():
    """Another temperature, landscape, step, minimum or number of looks compiles nothing new."""
    counts = []
    for curvature, temperature, horizon in ((9.0, 0.5, 4.0), (12.0, 0.6, 8.0), (14.0, 0.7, 8.0)):
        wells = ss.landscapes.TwoWells(curvature, 4.0)
        chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(wells, temperature), 0.02)
        minima = [np.asarray(wells.sharp_minimum), np.asarray(wells.flat_minimum)]
        ss.occupancy(chain, minima[0], minima=minima, times=[horizon], trajectories=64)
        ss.occupancy(chain, minima[0], minima=minima, basins="nearest", horizon=horizon, trajectories=64)
        counts.append([len(_reductions.UPDATE), _numerics._program.cache_info().misses])
    assert counts == counts[:1] * 3


def test_rules_of_basins():
    """The nearest minimum moves the border to the middle; a sublevel leaves the pass between them to nobody."""
    label = eqx.filter_jit(_basins.labels)
    points = np.array([[SADDLE - 0.01, SADDLE + 0.01, -0.01, 0.01, SHARP, FLAT]], np.float32)
    expected = {"quench": [0, 1, 1, 1, 0, 1], "nearest": [0, 0, 0, 1, 0, 1], "sublevel": [2, 2, 2, 2, 0, 1]}
    for rule, labels in expected.items():
        height = 0.5 if rule == "sublevel" else None
        made, names = _basins.describe_basins(wells_chain(), None, MINIMA, rule, height)
        assert list(np.asarray(label(made, jnp.asarray(points)))) == labels and names == ("sharp", "flat")
    overlap = {"wide": ss.regions.HalfSpace([1.0], SADDLE + 0.2), "right": ss.regions.Ball([FLAT], FLAT - SADDLE)}
    regions, _ = _basins.describe_basins(wells_chain(), overlap, None, None, None)
    assert list(np.asarray(label(regions, jnp.asarray([[SADDLE + 0.1, 9.0, np.nan]])))) == [3, 2, 4]


class Coarse(ss.stationary.AbstractBasins):
    """A person's own rule: the minimum whose first component has the same sign."""

    signs: Any = None

    @property
    def count(self):
        return len(self.signs)

    def label(self, thetas):
        return jnp.argmax(jnp.sign(thetas[0]) == jnp.asarray(self.signs)[:, None], axis=0).astype(jnp.int32)

    def of_minima(self, landscape, minima):
        return Coarse(np.array([np.sign(minimum.location[0]) for minimum in minima]))


def test_rules_as_objects_and_a_rule_of_ones_own(monkeypatch):
    """Short names are objects; a class and a line in the registry are another rule."""
    options = {"times": [0.48, 4.8], "trajectories": 200, "minima": PAIR}

    def counts(**given):
        return ss.occupancy(plane_chain(), PAIR[0], **options, **given).counts

    rules = ss.stationary
    for name, height, made in (
        ("quench", None, rules.GradientFlowBasins()),
        ("nearest", None, rules.NearestBasins()),
        ("sublevel", 0.5, rules.SublevelBasins(0.5)),
    ):
        assert np.array_equal(counts(basins=name, height=height), counts(basins=made)), name
    assert not np.array_equal(counts(basins="nearest"), counts(basins=rules.SublevelBasins(0.5)))
    monkeypatch.setitem(rules.BASINS, "coarse", Coarse)
    assert np.array_equal(counts(basins="coarse"), counts(basins="nearest"))
    left = ss.regions.HalfSpace([1.0, 0.0], 0.0)
    del options["minima"]
    both = {"left": left, "right": ~left}
    assert np.array_equal(counts(basins=rules.RegionBasins(both)), counts(regions=both))
    with pytest.raises(ValueError, match="basins must be given their minima"):
        rules.NearestBasins().label(jnp.zeros((2, 1)))
    with pytest.raises(ValueError, match="basins must be a rule for minima where minima are given"):
        rules.RegionBasins(both).of_minima(PLANE, [])


def test_one_result_for_both_ways_prints_its_answer():
    at, run = by_regions(times=(0.1, 0.2)), by_regions(horizon=40.0)
    assert type(at) is type(run) is ss.Occupancy
    assert at.probability.value.shape == (2, 2) and run.probability.value.shape == (2,)
    assert np.array_equal(run.weight.low, run.probability.low)
    for result, estimate in ((at, at.probability[1][0]), (run, run.probability[0])):
        assert str(estimate) in str(result) and result.result in str(result) and "seed 0" in str(result)
        assert "<table>" in result._repr_html_() and result.provenance.path_steps > 0
    with pytest.raises(AttributeError, match="r_hat belongs to occupancy over a window, horizon=; this one is at"):
        _ = at.r_hat
    with pytest.raises(AttributeError, match="counts belongs to occupancy at given times, times=; this one is over"):
        _ = run.counts
    with pytest.raises(ValueError, match="unknown option 'chunks'; did you mean 'chunk'"):
        by_regions(times=(0.1,), chunks=8)


def test_datasets_carry_units():
    results = [
        by_regions(times=(0.1, 0.2)),
        by_regions(horizon=40.0),
        ss.histogram(wells_chain(), [SHARP], bins=(-2, 2, 4), horizon=4.0, trajectories=200),
    ]
    assert [type(each).__name__ for each in results] == ["Occupancy", "Occupancy", "Histogram"]
    for data in (each.to_dataset() for each in results):
        assert data.attrs["trajectories"] == 200 and "result" in data.attrs
        bounded = [name for name in data.data_vars if f"{name}_low" in data]
        assert bounded
        for name in bounded:
            assert np.all(data[f"{name}_low"] <= data[name]) and np.all(data[name] <= data[f"{name}_high"]), name
        for name in data.variables:
            assert data[name].attrs["units"] and data[name].attrs["long_name"], name
