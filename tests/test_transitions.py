"""Rates between minima, against exact chains and exact linear algebra."""

import re

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import norm
from statistical import agrees, false_pass

import sde_sgd as ss
from sde_sgd.passage import AbstractMethod, Direct, Splitting
from sde_sgd.reference import ChainRates
from sde_sgd.results import Status
from sde_sgd.stationary import spectral_gap, stationary_law
from sde_sgd.statistics import Estimate

NAMES = ("sharp", "flat")
TEMPERATURES = (0.2, 0.1, 0.05)
DT = 0.02


def log_error(estimate):
    """Standard error of the logarithm; 0 where the value is."""
    high, low = np.where(estimate.value > 0, (estimate.high, estimate.low), 1.0)
    return np.log(high / low) / (2 * norm.isf(0.025))


# ------------------------------------------------------------------------------------------------ two wells on a line


def two_wells(temperature, **options):
    landscape = ss.landscapes.TwoWells(**options)
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, temperature), DT)


def measure(chain, **options):
    landscape = chain.landscape
    minima = {"sharp": landscape.sharp_minimum, "flat": landscape.flat_minimum}
    return ss.transitions(chain, minima, **options)


@pytest.fixture(scope="module")
def equal_depth():
    """Wells of one depth, warm by direct simulation, cold by splitting."""
    methods = ("direct", "splitting", "splitting")
    return [
        measure(two_wells(temperature), seed=number, method=method, rtol=rtol)
        for number, (temperature, method, rtol) in enumerate(zip(TEMPERATURES, methods, (0.1, 0.3, 0.3), strict=True))
    ]


def check_rates(found, chain):
    """Every rate against the exact chain."""
    exact = ChainRates(chain.diffusion, chain.dt, found.cores)
    for i, j in found.methods:
        rate = Estimate(found.rates.value[i, j], found.rates.low[i, j], found.rates.high[i, j])
        assert agrees(np.log(rate.value), np.log(exact.rates(i)[0][j]), log_error(rate)), (i, j)


@pytest.mark.long
def test_rates_are_those_of_the_exact_chain(equal_depth):
    """Six rates from 1e-2 to 1e-9; a fresh seed fails once in 2,600."""
    for temperature, found in zip(TEMPERATURES, equal_depth, strict=True):
        assert found.result == "complete"
        check_rates(found, two_wells(temperature))
    assert equal_depth[-1].rates.value[1, 0] < 2e-9


@pytest.mark.long
def test_equal_depth_gives_one_ratio_at_every_temperature(equal_depth):
    """√(det H_sharp/det H_flat) = 2, whatever T; what T leaves of it at T = 0.2 is in the bias."""
    for temperature, found in zip(TEMPERATURES, equal_depth, strict=True):
        error = np.hypot(*(log_error(found.rates)[place] for place in ((0, 1), (1, 0))))
        ratio = found.stationary.value[1] / found.stationary.value[0]
        assert agrees(np.log(ratio), np.log(2), error, bias=0.5 * temperature)


@pytest.mark.long
def test_relaxation_is_exponential_with_the_barrier(equal_depth):
    cold, colder = equal_depth[1:]
    slope = np.log(colder.relaxation_time.value / cold.relaxation_time.value) / (1 / 0.05 - 1 / 0.1)
    assert colder.relaxation_time.value / cold.relaxation_time.value > 1e4
    assert slope == pytest.approx(1.0, rel=0.02)


@pytest.mark.long
def test_gap_is_that_of_fokker_planck(equal_depth):
    """The diffusion's gap; a step of 0.02 where the curvature is 16 takes about a tenth of it (bias)."""
    for temperature, found in zip(TEMPERATURES, equal_depth, strict=True):
        exact = ss.reference.FokkerPlanck(two_wells(temperature).diffusion, (-3.5, 4.5, 2000)).spectral_gap()
        error = float(log_error(found.spectral_gap))
        assert agrees(np.log(found.spectral_gap.value), np.log(exact), error, bias=0.1 + 0.3 * temperature)


class Own(AbstractMethod):
    """Direct simulation by another name."""

    def answer(self, question, run, effort):
        return Direct().answer(question, run, effort)._replace(name="own")


@pytest.mark.long
def test_a_method_may_be_an_object():
    """One's own too: it finds the rates, which here are those of the short name to the last bit."""
    chain, options = two_wells(TEMPERATURES[0]), {"seed": 0, "rtol": 0.3}
    named, found = (measure(chain, method=each, **options) for each in ("direct", Own()))
    assert np.array_equal(found.rates.value, named.rates.value) and np.array_equal(found.rates.high, named.rates.high)
    assert set(named.methods.values()) == {"direct"} and set(found.methods.values()) == {"own"}


def test_unequal_depth():
    chain = two_wells(0.15, depth_difference=0.2)
    found = measure(chain, method="direct", seed=5, rtol=0.065)
    check_rates(found, chain)
    weights = ss.theory.gibbs_weights(chain.diffusion, [chain.landscape.sharp_minimum, chain.landscape.flat_minimum])
    ratio = found.stationary.value[0] / found.stationary.value[1]
    error = np.hypot(*(log_error(found.rates)[place] for place in ((0, 1), (1, 0))))
    assert agrees(np.log(ratio), np.log(weights[0] / weights[1]), error, bias=0.3 * 0.15)


# --------------------------------------------------------------------------------------------- three wells on a line


@pytest.fixture(scope="module")
def three_wells():
    """x = −1, 0, 1, with the right barrier of the middle well so much higher that few exits go that way."""
    landscape = ss.landscapes.Landscape(lambda x: 4 * (x[0] * (x[0] ** 2 - 1)) ** 2 * (1 + 0.6 * jnp.tanh(x[0])), dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.11), 0.01)
    return chain, ss.transitions(chain, [[-1.0], [0.0], [1.0]], seed=2, rtol=0.2)


@pytest.mark.long
def test_a_network_against_the_exact_chain(three_wells):
    """Four rates, a middle state whose rare way out is split, and what follows, by linear algebra."""
    chain, found = three_wells
    assert set(found.methods) == {(0, 1), (1, 0), (1, 2), (2, 1)}
    assert found.methods[1, 0] == "direct" and found.methods[1, 2] == "splitting"
    assert found.result == "complete"
    check_rates(found, chain)
    np.testing.assert_array_equal(found.rates.high[[0, 2, 0, 1, 2], [2, 0, 0, 1, 2]], 0)
    exact = ChainRates(chain.diffusion, chain.dt, found.cores)
    rates = np.stack([exact.rates(start)[0] for start in range(3)])
    for estimate, truth in ((found.spectral_gap, spectral_gap(rates)), (found.stationary, stationary_law(rates))):
        assert agrees(np.log(estimate.value), np.log(truth), log_error(estimate))


@pytest.mark.long
def test_reciprocals_of_conditional_times_are_told_apart(three_wells):
    """A broken twin: 1/E(τ | j first), which forgets how often j is first, is off by more than the band."""
    chain, found = three_wells
    exact, mean_time = ChainRates(chain.diffusion, chain.dt, found.cores).rates(1)
    # once the start is forgotten where it goes and when are independent: E(τ | j first) is E τ
    broken = 1 / mean_time
    error = float(log_error(found.rates)[1, 2])
    assert not agrees(np.log(broken), np.log(exact[2]), error)
    assert false_pass(np.log(broken / exact[2]), error) < 1e-9


@pytest.mark.long
def test_dataset(three_wells):
    data = three_wells[1].to_dataset()
    assert data["rate"].dims == ("from", "to") and data["rate"].attrs["units"] == "1 / SDE time"
    assert data["method"].sel({"from": "[1.]", "to": "[0.]"}) == "direct"
    assert data.attrs["result"] == data.attrs["status"] == "complete" and data.attrs["path_steps"] > 0
    assert float(data["relaxation_time"]) == pytest.approx(1 / float(data["spectral_gap"]))


@pytest.mark.long
def test_what_is_printed(three_wells):
    found = three_wells[1]
    # names are padded to one width
    text = re.sub(" {2,}", "  ", str(found))
    assert f"[1.] to [0.]  {found.rates[2, 1]} per SDE time, direct" in text
    assert str(found.relaxation_time) in text and f"share of [-1.]  {found.stationary[0]}" in text
    assert found.provenance.seed == 2 and found.path_steps == found.provenance.path_steps


@pytest.mark.long
def test_too_warm_is_told():
    """At 0.6 of the barrier an exit takes no longer than the motion inside."""
    found = measure(two_wells(0.6), rtol=0.2)
    assert found.status is Status.NOT_METASTABLE and "sharp" in found.result


# -------------------------------------------------------------------------------------------------- who is beside whom


def test_saddle_graph_of_a_row_and_of_a_ring():
    row = ss.landscapes.MullerBrown(0.05)
    passes = ss.landscapes.saddle_graph(row, [[-0.558, 1.442], [0.6235, 0.028], [-0.05, 0.467]])
    assert [(way.first, way.second) for way in passes] == [(0, 2), (1, 2)]
    np.testing.assert_allclose(passes[0].saddle.location, [-0.82200, 0.62431], atol=1e-5)
    assert passes[0].barrier_from_first == pytest.approx(0.05 * (146.69952 - 40.66484), rel=1e-6)
    ring = ss.landscapes.ThreeHole()
    minima = [[-1.048, -0.042], [1.048, -0.042], [0.0, 1.537]]
    passes = ss.landscapes.saddle_graph(ring, minima)
    assert [(way.first, way.second) for way in passes] == [(0, 1), (0, 2), (1, 2)]
    assert passes[1].saddle.loss == pytest.approx(-1.64669, rel=1e-5)
    assert len(ss.landscapes.saddle_graph(ring, minima, pairs=[(2, 0)])) == 1


def test_rate_matrix_keeps_the_gibbs_weights():
    landscape = ss.landscapes.ThreeHole()
    diffusion = ss.LangevinSGD.at_temperature(landscape, 0.2)
    minima = ss.landscapes.find_minima(landscape, [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.5]])
    rates = ss.theory.rate_matrix(diffusion, minima, ss.landscapes.saddle_graph(landscape, minima))
    np.testing.assert_allclose(stationary_law(rates), ss.theory.gibbs_weights(diffusion, minima), rtol=1e-9)
    with pytest.raises(ValueError, match=r"saddles must be SaddleConnections .* got a CriticalPoint"):
        ss.theory.rate_matrix(diffusion, minima, [minima[0]])


# ------------------------------------------------------------------------------------------------------------ bad input


def _bad(minima=((-1.0,), (1.0,)), loss=lambda x: (x[0] ** 2 - 1) ** 2, **options):
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.Landscape(loss, dim=1), 0.1), 0.01)
    return ss.transitions(chain, minima, **options)


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (r"minima\[1\] must be a minimum, got a", {"minima": [[-1.0], [0.0]]}),
        ("minima must be different", {"minima": [[-1.0], [-1.0]]}),
        ("at least two, got 1", {"minima": [[-1.0]]}),
        ("cores must not overlap", {"radius": 1.2}),
        ("radius must be a finite number above 0", {"radius": -0.1}),
        ("neighbours must be pairs", {"neighbours": [(0, 2)]}),
        ("neighbours must lead from every minimum", {"neighbours": []}),
        ("method must be", {"method": "fast"}),
        ("got 'spliting'; did you mean 'splitting'", {"method": "spliting"}),
        ("method must leave the score to the call", {"method": Splitting(score=lambda x: x[0])}),
        ("score must be", {"score": "level"}),
        ("rtol must lie strictly between 0 and 1", {"rtol": 0.0}),
        ("rtol must lie strictly between 0 and 1", {"rtol": 1.0}),
        ("confidence must lie", {"confidence": 1.0}),
        ("not confining", {"loss": lambda x: -jnp.exp(-4 * (x[0] - 1) ** 2) - jnp.exp(-4 * (x[0] + 1) ** 2)}),
        ("must hold those between them", {"loss": lambda x: (x[0] * (x[0] ** 2 - 1)) ** 2}),
        ("flat direction", {"loss": lambda x: (x[0] ** 2 - 1) ** 4}),
    ],
)
def test_bad_input_is_named(words, given):
    with pytest.raises(ValueError, match=words):
        _bad(**given)


def test_chains_that_change_in_time_are_refused():
    """A learning rate that rises after 2000 steps: rates between minima have no value then."""
    rate = optax.piecewise_constant_schedule(0.01, {2000: 0.2})
    landscape = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD(landscape, ss.noise.Isotropic(24.0), rate, 1.0))
    with pytest.raises(ValueError, match="rates between minima need coefficients that do not change in time, got"):
        ss.transitions(chain, [[-1.0], [1.0]])
