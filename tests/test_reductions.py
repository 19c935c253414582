"""A person's own reductions, and chains with memory, through every call that reduces: devices and chunks bit-equal."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chains_with_memory import MomentumSGD, Underdamped
from scipy import stats
from statistical import agrees

import sde_sgd as ss
from sde_sgd.engine import _reductions

PLANE = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2, dim=2)
PAIR = [[-1.0, 0.0], [1.0, 0.0]]
CHAIN = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(PLANE, 0.5), 0.05)
WAYS = [
    {"devices": jax.devices()[:1]},
    {"devices": jax.devices()},
    {"devices": jax.devices()[:1], "chunk": 64},
    {"devices": jax.devices(), "chunk": 128},
]


class MeanLoss(ss.AbstractReduction):
    """Mean of L(θ) along each path."""

    landscape: Any

    def init(self, thetas):
        return jnp.zeros(thetas.shape[1])

    def update(self, carry, thetas, live, look):
        return carry + jax.vmap(self.landscape.loss, 1)(thetas)

    def result(self, carry, times):
        return carry / len(times)


class Highest(NamedTuple):
    loss: Any
    look: Any


class TimeOfMaximum(ss.AbstractReduction):
    """When L(θ) was highest on each path."""

    landscape: Any

    def init(self, thetas):
        return Highest(jnp.full(thetas.shape[1], -jnp.inf), jnp.zeros(thetas.shape[1], jnp.int32))

    def update(self, carry, thetas, live, look):
        loss = jax.vmap(self.landscape.loss, 1)(thetas)
        higher = loss > carry.loss
        return Highest(jnp.where(higher, loss, carry.loss), jnp.where(higher, look, carry.look))

    def result(self, carry, times):
        return times[carry.look]


class Extremes(NamedTuple):
    count: Any
    total: Any
    highest: Any
    last: Any


class Summary(ss.AbstractReduction):
    """Totals of every kind beside one entry for each trajectory."""

    def init(self, thetas):
        return Extremes(jnp.zeros(2, jnp.int32), jnp.zeros(()), jnp.full((), -jnp.inf), thetas[0])

    def update(self, carry, thetas, live, look):
        count = jnp.stack([jnp.sum(live & (thetas[0] > 0)), jnp.sum(live)]).astype(jnp.int32)
        total = jnp.sum(jnp.where(live, thetas[0], 0))
        highest = jnp.max(jnp.where(live, thetas[0], -jnp.inf))
        return Extremes(carry.count + count, carry.total + total, jnp.maximum(carry.highest, highest), thetas[0])

    def merge(self, first, second):
        highest = np.maximum(first.highest, second.highest)
        return Extremes(first.count + second.count, first.total + second.total, highest, None)

    def result(self, carry, times):
        return carry


def reduced(reduction, **options):
    options = {"horizon": 4.0, "burn_in": 0, "every": 0.25, "trajectories": 200, "seed": 3} | options
    return ss.reduce(CHAIN, PAIR[0], reduction, **options)


@pytest.fixture(scope="module")
def paths():
    """The same looks, from stored paths: (looks, trajectories, dim)."""
    return ss.simulate(CHAIN, PAIR[0], 80, 200, seed=3, save_every=5)[1:]


@pytest.mark.long
@pytest.mark.parametrize("way", range(4))
def test_reductions_of_single_trajectories_are_those_of_stored_paths(paths, way):
    """The time of the maximum is exact; a mean is that of the paths to rounding, and one for all chunks and devices."""
    loss = np.asarray(jax.vmap(jax.vmap(PLANE.loss))(paths))
    highest = reduced(TimeOfMaximum(PLANE), **WAYS[way])
    np.testing.assert_allclose(highest.times, 0.25 * np.arange(1, 17), rtol=1e-6)
    assert np.array_equal(highest.value, highest.times[np.argmax(loss, axis=0)])
    mean = reduced(MeanLoss(PLANE), **WAYS[way])
    np.testing.assert_allclose(mean.value, loss.mean(axis=0), rtol=1e-5)
    assert np.array_equal(mean.value, reduced(MeanLoss(PLANE), **WAYS[0]).value)
    assert mean.result == "complete" and mean.trajectories == 200 and mean.provenance.path_steps == 200 * 80


@pytest.mark.long
@pytest.mark.parametrize("way", range(4))
def test_totals_leave_out_copies_and_are_merged(paths, way):
    """200 trajectories fill no chunk: counts are exact, the maximum too, the sum to rounding."""
    found = reduced(Summary(), **WAYS[way]).value
    first = paths[:, :, 0]
    assert np.array_equal(found.count, [np.sum(first > 0), first.size]) and found.count.dtype == np.int64
    assert found.highest == first.max() and np.array_equal(found.last, first[-1])
    assert found.total == pytest.approx(first.sum(dtype=np.float64), rel=1e-5)


def test_totals_are_moved_before_they_are_full(monkeypatch):
    whole = reduced(Summary()).value
    monkeypatch.setattr(_reductions, "_FULL", 600)
    for one, other in zip(whole, reduced(Summary()).value, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_times_and_what_is_printed():
    found = reduced(Summary(), horizon=None, burn_in=None, every=None, times=[0.0, 1.0])
    assert list(found.times) == [0, 1] and found.value.count[1] == 400
    assert "complete" in str(found) and "Summary" in str(found)


@pytest.mark.filterwarnings("ignore:overflow")
def test_divergence_is_named():
    hill = ss.landscapes.Landscape(lambda x: -(x[0] ** 4) + 0 * x[0], dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(hill, 1.0), 0.02)
    found = ss.reduce(chain, [0.0], MeanLoss(hill), times=[20.0], trajectories=100)
    assert found.diverged == 100 and found.status == "diverged" and found.reasons[0].startswith("100 of 100")


@pytest.mark.filterwarnings("ignore:overflow")
def test_one_component_that_diverges_is_enough():
    ridge = ss.landscapes.Landscape(lambda x: -(x[0] ** 4) + x[1] ** 2, dim=2)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ridge, 1.0), 0.02)
    states = ss.simulate(chain, np.zeros(2, np.float32), 1_000, 100)
    assert np.isfinite(states).any() and not np.isfinite(states[:, 0]).any()
    assert ss.reduce(chain, [0.0, 0.0], MeanLoss(ridge), times=[20.0], trajectories=100).diverged == 100


class Growing(MeanLoss):
    def init(self, thetas):
        return jnp.zeros((thetas.shape[1], 2))

    def update(self, carry, thetas, live, look):
        return carry


class Changing(MeanLoss):
    def update(self, carry, thetas, live, look):
        return jnp.stack([carry, carry])


def test_reductions_that_are_none():
    with pytest.raises(ValueError, match=r"reduction\.init must return arrays whose last axis is the trajectories"):
        reduced(Growing(PLANE))
    with pytest.raises(ValueError, match=r"reduction\.update must return a carry like that of init"):
        reduced(Changing(PLANE))


# ------------------------------------------------------------------------------------------------ chains with memory


LEFT = ss.regions.HalfSpace([1.0, 0.0], 0.0)
WINDOW = {"horizon": 8.0, "every": 0.4, "trajectories": 200, "seed": 5}
CALLS = {
    "minima": lambda chain, **way: ss.occupancy(
        chain, PAIR[0], minima=PAIR, times=[1.0, 8.0], trajectories=200, seed=5, **way
    ),
    "nearest": lambda chain, **way: ss.occupancy(chain, PAIR[0], minima=PAIR, basins="nearest", **WINDOW, **way),
    "regions": lambda chain, **way: ss.occupancy(chain, PAIR[0], regions={"left": LEFT}, **WINDOW, **way),
    "histogram": lambda chain, **way: ss.histogram(chain, PAIR[0], bins=[(-2, 2, 8), (-1, 1, 4)], **WINDOW, **way),
    "reduce": lambda chain, **way: ss.reduce(chain, PAIR[0], TimeOfMaximum(PLANE), **WINDOW, **way),
}


def numbers(result):
    return [leaf for leaf in jax.tree.leaves(result) if isinstance(leaf, np.ndarray)]


@pytest.mark.long
@pytest.mark.parametrize("kind", [MomentumSGD, Underdamped])
@pytest.mark.parametrize("call", CALLS)
def test_chains_with_memory_are_seen_by_their_theta(kind, call):
    """Bit-equal on one device, on two, and in chunks; a look at the whole state is another thing."""
    chain = kind(PLANE)
    found = CALLS[call](chain, **WAYS[0])
    whole = numbers(found)
    if call == "minima":
        assert np.array_equal(found.counts.sum(axis=1), [200, 200])
    assert any(np.any(np.asarray(each) != 0) for each in whole)
    for way in WAYS[1:]:
        for one, other in zip(whole, numbers(CALLS[call](chain, **way)), strict=True):
            assert np.array_equal(one, other), way


@pytest.mark.long
def test_theta_of_an_underdamped_chain_has_the_law_of_gibbs():
    """Variance and two masses of θ in a bowl at temperature T, within 4 standard errors; and of v by the whole state.

    A step of 0.05 changes a variance by less than 1 %.
    """
    bowl = ss.landscapes.Quadratic(np.array([[2.0]]))
    chain = Underdamped(bowl)
    options = {"horizon": 60.0, "burn_in": 10.0, "every": 0.5, "trajectories": 2_000, "seed": 2}
    found = ss.histogram(chain, [0.0], bins=(-1.5, 1.5, 2), **options)
    error = (found.covariance.high - found.covariance.low)[0, 0] / 2 / 1.96
    assert agrees(found.covariance.value[0, 0], 0.25, error, bias=0.01 * 0.25)
    exact = (stats.norm.cdf(3.0) - 0.5) / 1.5
    assert agrees(found.density.value, exact, found.standard_error, bias=0.01 * exact)
    both = ss.chains.WholeState(chain)
    speed = ss.histogram(both, np.zeros(2, np.float32), lambda state: state[1], (-3, 3, 2), **options)
    error = (speed.covariance.high - speed.covariance.low)[0, 0] / 2 / 1.96
    assert agrees(speed.covariance.value[0, 0], 0.5, error, bias=0.02 * 0.5)
    assert not agrees(speed.covariance.value[0, 0], 0.25, error, bias=0.02 * 0.5)


@pytest.mark.long
@pytest.mark.parametrize("kind", [MomentumSGD, Underdamped])
def test_rates_of_chains_with_memory(kind):
    """Cores are entered by θ: the same rates on one device and on two, and both wells are left at one rate."""
    well = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
    chain = kind(well) if kind is Underdamped else kind(well, momentum=0.5, deviation=0.15)
    found = [
        ss.transitions(chain, {"left": [-1.0], "right": [1.0]}, rtol=0.2, method="direct", seed=1, **way)
        for way in WAYS[:2]
    ]
    assert np.array_equal(found[0].rates.value, found[1].rates.value)
    there, back = found[0].rates[0, 1], found[0].rates[1, 0]
    assert there.low < back.value < there.high and back.low < there.value < back.high
