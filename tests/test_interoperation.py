"""Tools of others, unchanged: arviz and deeptime take what is made here; optax, numpyro and blackjax go in."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr
from statistical import agrees, false_pass

import sde_sgd as ss
from sde_sgd.results import AbstractResult

WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
PAGE = (Path(__file__).parents[1] / "docs" / "interoperation.md").read_text(encoding="utf-8")


def optional(*modules):
    """The modules, or a skip that says what is missing."""
    why = "not installed: pip install '.[interop]', which has it for Python 3.11 to 3.13"
    return [pytest.importorskip(name, reason=f"{name} is {why}") for name in modules]


@pytest.mark.long
def test_the_page_runs(tmp_path, monkeypatch):
    """Its blocks, in order, in one namespace."""
    optional("diffrax", "arviz_stats", "arviz_base", "deeptime.markov", "numpyro", "blackjax")
    monkeypatch.chdir(tmp_path)
    blocks, names = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL), {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"interoperation.md, block {number}", "exec"), names)
    assert len(blocks) >= 6


def test_every_result_is_a_dataset():
    for room in (ss.passage, ss.stationary, ss.theory, ss.training):
        assert room.__all__
    results = [each for each in AbstractResult.__subclasses__() if each.__module__.startswith("sde_sgd.")]
    assert len(results) >= 10 and all("to_dataset" in vars(each) for each in results)


class Looks(ss.AbstractReduction):
    """θ² summed over trajectories at each look, or the last θ of each trajectory."""

    each: bool = False

    def init(self, thetas):
        return {"sums": jnp.zeros((3, 1)), "last": thetas}

    def update(self, carry, thetas, live, look):
        return {"sums": carry["sums"].at[look, 0].add(jnp.sum(thetas**2)), "last": thetas}

    def result(self, carry, times):
        return carry["last"][0] if self.each else carry["sums"]


def test_what_a_reduction_made_is_a_dataset():
    chain, run = ss.EulerMaruyama(ss.Langevin(WELL, 0.3), 0.01), {"times": [0.1, 0.2, 0.4], "trajectories": 64}
    over_time, of_each = (ss.reduce(chain, [-1.0], Looks(each), **run) for each in (False, True))
    data = over_time.to_dataset()
    assert data.value.dims == ("time", "axis_1") and np.array_equal(data.value, over_time.value)
    np.testing.assert_allclose(data.time, [0.1, 0.2, 0.4])
    assert data.attrs["status"] == "complete" and all("units" in data[name].attrs for name in data.variables)
    assert of_each.to_dataset().value.dims == ("trajectory",)
    wide = ss.statistics.clopper_pearson(np.array([1, 2, 3]), 4)
    estimated = ss.engine.Reduced(wide, over_time.times, 64, 0, over_time.provenance).to_dataset()
    assert np.array_equal(estimated.value_high, wide.high) and estimated.value_low.dims == ("time",)
    with pytest.raises(ValueError, match="each of 3 looks or of 64 trajectories to be a dataset, got dict"):
        ss.engine.Reduced({"a": 1}, over_time.times, 64, 0, over_time.provenance).to_dataset()


def test_samples_have_the_layout_of_markov_chains():
    paths = np.arange(24.0).reshape(4, 3, 2)
    samples = ss.to_samples(paths, every=0.5)
    assert isinstance(samples, xr.Dataset) and samples.theta.dims == ("chain", "draw", "component")
    assert np.array_equal(samples.theta.sel(chain=2, draw=1), paths[1, 2])
    np.testing.assert_array_equal(samples.time, [0, 0.5, 1, 1.5])
    assert "time" not in ss.to_samples(paths).coords
    for wrong, words in ((paths[0], r"shape \(3, 2\)"), (np.zeros((0, 3, 2)), r"shape \(0, 3, 2\)"), ("x", "str")):
        with pytest.raises(ValueError, match=rf"paths must have shape \(saves, trajectories, dim\), .*got {words}"):
            ss.to_samples(wrong)
    with pytest.raises(ValueError, match="every must be a finite number above 0, got 0"):
        ss.to_samples(paths, every=0)


def test_arviz_takes_samples_as_they_are():
    """Effective samples of an Ornstein–Uhlenbeck chain, known: n(1 − ρ)/(1 + ρ) for an AR(1) process of correlation ρ.

    arviz truncates the sum of correlations; over 8 seeds its number was within 6 % of that.
    """
    arviz_stats, arviz_base = optional("arviz_stats", "arviz_base")
    decay, every, chains, draws = 0.95, 8, 16, 2_000
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.Quadratic([1.0, 1.0]), 0.5), 1 - decay)
    # from the stationary law of the chain
    start = np.sqrt(2 * 0.5 * (1 - decay) / (1 - decay**2)) * np.random.default_rng(1).standard_normal((chains, 2))
    paths = ss.simulate(chain, start, every * (draws - 1), chains, save_every=every)
    samples = ss.to_samples(paths, every=every * (1 - decay))
    rho = decay**every
    exact = chains * draws * (1 - rho) / (1 + rho)
    effective = arviz_stats.ess(samples, method="mean").theta
    assert effective.dims == ("component",) and np.all(np.abs(effective / exact - 1) < 0.1)
    assert np.all(arviz_stats.rhat(samples).theta < 1.01)
    assert "theta" in arviz_base.convert_to_datatree(samples).posterior
    # a twin: chains that have not met
    apart = ss.to_samples(paths + np.arange(chains)[:, None])
    assert np.all(arviz_stats.rhat(apart).theta > 1.1)


@pytest.mark.long
def test_deeptime_finds_the_relaxation_time():
    """Of a Markov state model of 40 bins, against the exact one of the diffusion: 1/gap, with the chain's bias of 1 %.

    The error is that of 16 groups of trajectories (jackknife). A temperature 10 % higher makes it 0.7 as long.
    """
    (markov,) = optional("deeptime.markov")
    dt, every, lag, edges = 0.005, 20, 5, np.linspace(-1.6, 1.6, 39)

    def paths(temperature):
        chain = ss.EulerMaruyama(ss.Langevin(WELL, temperature), dt)
        run = {"steps": every * 400, "trajectories": 512, "save_every": every}
        return list(ss.to_samples(ss.simulate(chain, [[-1.0], [1.0]] * 256, **run)).theta.values)

    def relaxation(trajectories):
        counts = markov.TransitionCountEstimator(lagtime=lag, count_mode="sliding").fit_fetch(
            [np.digitize(each[:, 0], edges) for each in trajectories]
        )
        model = markov.msm.MaximumLikelihoodMSM(reversible=True).fit_fetch(counts)
        return model.timescales(k=1)[0] * every * dt

    def estimate(trajectories):
        left_out = [
            relaxation([each for i, each in enumerate(trajectories) if i // 2 % 16 != group]) for group in range(16)
        ]
        return relaxation(trajectories), np.sqrt(15) * np.std(left_out)

    exact = 1 / ss.reference.FokkerPlanck(ss.Langevin(WELL, 0.3), grid=(-2.2, 2.2, 400)).spectral_gap()
    value, error = estimate(paths(0.3))
    assert agrees(value, exact, error, bias=0.02 * exact)
    warmer, _ = estimate(paths(0.33))
    assert not agrees(warmer, exact, error, bias=0.02 * exact)
    ours = ss.transitions(ss.EulerMaruyama(ss.Langevin(WELL, 0.3), dt), minima=[[-1.0], [1.0]], rtol=0.1, seed=0)
    assert agrees(value, ours.relaxation_time.value, np.hypot(error, ours.relaxation_time.high / 40), bias=0.02 * exact)


def moments(landscape, dt, temperature=1.0, steps=400, trajectories=65_536):
    """Mean and covariance in the long run of the chain of steps dt."""
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, temperature), dt)
    final = ss.simulate(chain, np.zeros(landscape.dim, np.float32), steps, trajectories, seed=2).astype(np.float64)
    return final.mean(axis=0), np.cov(final.T), len(final)


@pytest.mark.long
def test_a_numpyro_posterior_is_a_landscape():
    """Linear regression, whose posterior is normal; of the chain its covariance is C(1 − dt C⁻¹/2)⁻¹, exactly.

    False alarm 6.3e-5 a number. A temperature 5 % higher is 9 standard errors away in each variance.
    """
    numpyro, util = optional("numpyro", "numpyro.infer.util")
    draw = np.random.default_rng(3)
    inputs = draw.standard_normal((20, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    targets = inputs @ [1.0, -0.5] + draw.standard_normal(20)

    def model(x, y):
        weights = numpyro.sample("w", numpyro.distributions.Normal(0, 1).expand([2]).to_event(1))
        numpyro.sample("y", numpyro.distributions.Normal(x @ weights, 1), obs=y)

    landscape = ss.landscapes.Landscape(
        lambda w: -util.log_density(model, (jnp.asarray(inputs), jnp.asarray(targets)), {}, {"w": w})[0], dim=2
    )
    precision = np.eye(2) + inputs.T @ inputs
    np.testing.assert_allclose(landscape.hessian(jnp.zeros(2)), precision, rtol=1e-5)
    dt, exact_mean = 0.02, np.linalg.solve(precision, inputs.T @ targets)
    exact = np.linalg.inv(precision) @ np.linalg.inv(np.eye(2) - dt * precision / 2)
    mean, covariance, n = moments(landscape, dt)
    variance = np.diag(exact)
    error = np.sqrt((np.outer(variance, variance) + exact**2) / n)
    assert agrees(mean, exact_mean, np.sqrt(variance / n)) and agrees(covariance, exact, error)
    _, warmer, _ = moments(landscape, dt, temperature=1.05)
    assert not agrees(warmer, exact, error)
    assert false_pass(0.05, np.sqrt(2 / n)) < 1e-6


def test_a_blackjax_log_density_is_a_landscape_and_a_landscape_is_one():
    """A skew density, by blackjax's Hamiltonian sampler and by ours, against its moments by quadrature.

    Ours has a bias of order dt, below 1 % of the deviation here: a run of 4 times the steps at dt/4 says so too.
    """
    (blackjax,) = optional("blackjax")

    def logdensity(x):
        return -jnp.sum(x**4 / 4 - x / 2)

    landscape = ss.landscapes.Landscape(lambda x: -logdensity(x), dim=1)
    grid = np.linspace(-5, 5, 20_001)
    weight = np.exp(-(grid**4) / 4 + grid / 2)
    exact = np.array([np.sum(weight * grid**power) / np.sum(weight) for power in (1, 2)])

    def far(one, mean_square, errors, bias=0.0):
        return not agrees([one, mean_square], exact, errors, bias)

    mean, covariance, n = moments(landscape, dt=0.01, steps=1_000)
    errors = np.array([np.sqrt(covariance / n), np.sqrt(0.5 / n)])
    assert not far(mean[0], covariance + mean[0] ** 2, errors, bias=0.01)
    warmer = moments(landscape, dt=0.01, temperature=1.1, steps=1_000)
    assert far(warmer[0][0], warmer[1] + warmer[0][0] ** 2, errors, bias=0.01)

    # and the other way: our loss is their log-density
    sampler = blackjax.hmc(lambda x: -landscape.loss(x), 0.3, jnp.ones(1), 8)

    def one(state, key):
        state, _ = sampler.step(key, state)
        return state, state.position[0]

    starts = jax.vmap(sampler.init)(jnp.zeros((256, 1)))
    keys = jax.random.split(jax.random.key(0), (256, 120))
    draws = np.asarray(jax.jit(jax.vmap(lambda s, k: jax.lax.scan(one, s, k)[1]))(starts, keys))[:, 20:]
    per_chain = np.stack([draws.mean(axis=1), (draws**2).mean(axis=1)])
    assert not far(*per_chain.mean(axis=1), per_chain.std(axis=1, ddof=1) / 16)


@pytest.mark.long
def test_optax_goes_in_unchanged():
    """A schedule: one step of each iteration has its rate. A transformation: the chain's update is that of optax."""
    schedule = optax.cosine_decay_schedule(0.1, 50)
    bowl = ss.landscapes.Quadratic([2.0])
    quiet = ss.EulerMaruyama(ss.LangevinSGD(bowl, ss.noise.Isotropic(1e-12), schedule, 1))
    path = ss.simulate(quiet, np.ones(1), 40, 1, save_every=1)[:, 0, 0]
    np.testing.assert_allclose(path[1:] / path[:-1], 1 - 2 * schedule(np.arange(40)), rtol=1e-4)

    draw = np.random.default_rng(0)
    inputs, targets = draw.standard_normal((8, 3)), draw.standard_normal(8)
    risk = ss.EmpiricalRisk(jnp.zeros(3), lambda w, x, y: (w @ x - y) ** 2 / 2, inputs, targets)
    transformation = optax.chain(optax.clip_by_global_norm(0.5), optax.adamw(schedule, weight_decay=0.1))
    # all examples in every batch
    chain = ss.chains.Optimizer(risk, transformation, 8, replacement=False)
    ours = ss.simulate(chain, np.ones(3, np.float32), 25, 1)[0]
    theta = jnp.ones(3)
    state = transformation.init(theta)
    for _ in range(25):
        updates, state = transformation.update(jax.grad(risk.loss)(theta), state, theta)
        theta = optax.apply_updates(theta, updates)
    np.testing.assert_allclose(ours, theta, rtol=1e-4)
