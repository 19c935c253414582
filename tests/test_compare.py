"""Whether an SDE describes SGD: exact means over time, error rates of the permutation test, sentences, bad input."""

import jax.numpy as jnp
import matplotlib.colors
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from parameters import quick
from plot_cases import band_of
from scipy import stats
from statistical import agrees, binomial_error

import sde_sgd as ss
from sde_sgd import _numerics
from sde_sgd.chains import SVAG, GradientDescent, Optimizer, Varying
from sde_sgd.results import Status
from sde_sgd.training import Measure
from sde_sgd.training import _two_sample as two_sample

GAMMA, SIZE, BETWEEN = 0.1, 8, 16


class Diabetes:
    """Linear regression on so many of its examples and features, with the exact law of the mean loss."""

    def __init__(self, examples, dim):
        whole = ss.data.diabetes()
        self.x, self.y, self.dim = whole.inputs[:examples, :dim], whole.targets[:examples], dim
        self.hessian = self.x.T @ self.x / len(self.y)
        self.minimum = np.linalg.solve(self.hessian, self.x.T @ self.y / len(self.y))
        residuals = self.x @ self.minimum - self.y
        self.least = float(np.mean(residuals**2) / 2)
        self.noise = (self.x * residuals[:, None] ** 2).T @ self.x / len(self.y)
        self.risk = ss.EmpiricalRisk(jnp.zeros(dim), lambda w, x, y: (x @ w - y) ** 2 / 2, self.x, self.y, batched=True)

    def step(self, second, dt):
        """E δδᵀ after a step of length dt with the noise of SGD, δ seen from the minimum, mean 0.

        δ' = δ − dt·Hδ + noise whose covariance is dt·γ/M·V(δ): exact for any chain with these two moments.
        """
        quadratic = np.einsum("ni,ij,nj->n", self.x, second, self.x)
        spread = (self.x * quadratic[:, None]).T @ self.x / len(self.y) + self.noise
        spread -= self.hessian @ second @ self.hessian
        contract = np.eye(self.dim) - dt * self.hessian
        return contract @ second @ contract + dt * GAMMA / SIZE * spread

    def excess(self, dt, steps):
        """Mean excess loss after each of 1 … `steps` steps from the minimum."""
        second, found = np.zeros((self.dim, self.dim)), []
        for _ in range(steps):
            second = self.step(second, dt)
            found.append(np.trace(self.hessian @ second) / 2)
        return np.array(found)

    def stationary_excess(self, dt):
        """The limit of `excess`, by the linear system for E δδᵀ."""
        still, basis = self.step(np.zeros((10, 10)), dt).ravel(), np.eye(100).reshape(100, 10, 10)
        step = np.array([self.step(each, dt).ravel() - still for each in basis]).T
        second = np.linalg.solve(np.eye(100) - step, still).reshape(10, 10)
        return np.trace(self.hessian @ second) / 2


@pytest.fixture(scope="module")
def diabetes():
    return Diabetes(442, 10)


@pytest.fixture(scope="module")
def small():
    return Diabetes(40, 3)


def compare(diabetes, networks, permutations, times):
    """The SDE, SGD and SVAG from the minimum on."""
    risk, hessian, minimum = diabetes.risk, diabetes.hessian, diabetes.minimum
    excess = Measure(
        lambda risk, thetas, starts: np.einsum("ni,ij,nj->n", thetas - minimum, hessian, thetas - minimum) / 2,
        "loss", "excess loss",
    )  # fmt: skip
    chains = {
        "SDE": ss.EulerMaruyama(ss.LangevinSGD(risk, ss.noise.PerExample(), GAMMA, SIZE), dt=GAMMA / BETWEEN),
        "SGD": ss.MinibatchSGD(risk, GAMMA, SIZE),
        "SVAG": SVAG(risk, GAMMA, SIZE, BETWEEN),
    }
    return ss.compare(
        risk, minimum, chains=chains, times=np.array(times), networks=networks, measures=(excess, "loss"), seed=1,
        permutations=permutations,
    )  # fmt: skip


@pytest.fixture(scope="module")
def compared(diabetes):
    return compare(diabetes, 2_048, 999, [1, 3, 5])


def test_the_exact_law_has_the_known_limits(diabetes):
    """THEORY's numbers of stationary laws, 0.016804 of SGD and 0.014813 of the SDE; and it tends to them."""
    assert diabetes.stationary_excess(GAMMA) == pytest.approx(0.016804, abs=1e-6)
    assert diabetes.stationary_excess(1e-6) == pytest.approx(0.014813, abs=1e-6)
    assert diabetes.excess(GAMMA, 800)[-1] == pytest.approx(0.016804, abs=2e-5)


@pytest.mark.long
def test_every_chain_has_its_exact_mean_at_every_look(diabetes, compared):
    """Within 4 standard errors; each chain's mean is nowhere that of the other's law. The theory is Tr(C)/4."""
    sgd = diabetes.excess(GAMMA, 50)[9::20]
    sde = diabetes.excess(GAMMA / BETWEEN, 50 * BETWEEN)[10 * BETWEEN - 1 :: 20 * BETWEEN]
    found = compared.mean("excess_loss")
    error = (found.high - found.low) / (2 * stats.t.isf(0.025, 2_047))
    exact = np.array([sde, sgd, sde])
    assert found.value.shape == (3, 3) and agrees(found.value, exact, error)
    assert not agrees(found.value[0], sgd, error[0]) and not agrees(found.value[1], sde, error[1])
    assert not agrees(found.value[2], sgd, error[2])
    np.testing.assert_allclose(compared.mean("loss").value, diabetes.least + found.value, rtol=1e-5)
    np.testing.assert_array_equal(compared.steps[:, -1], [50 * BETWEEN, 50, 50 * BETWEEN])
    # constant noise: what an Ornstein–Uhlenbeck process has, from 0
    curvatures, vectors = np.linalg.eigh(diabetes.hessian)
    noise = GAMMA / SIZE * np.diag(vectors.T @ diabetes.noise @ vectors)
    theory = [np.sum(noise * (1 - np.exp(-2 * curvatures * t))) / 4 for t in compared.times]
    np.testing.assert_allclose(compared.theory - diabetes.least, theory, rtol=1e-4)


@pytest.mark.long
def test_sgd_is_told_from_the_sde_and_svag_is_not(compared):
    assert compared.differs == {"SGD": True, "SVAG": False} and compared.status is Status.COMPLETE
    assert compared.p_value[0] == pytest.approx(2 / 1_000) and compared.p_value[1] > 0.05
    sgd, svag = compared.sentence.split("; ", 1)
    mean = compared.mean("excess_loss").value
    higher = 100 * (mean[1, -1] / mean[0, -1] - 1)
    assert 10 < higher < 16
    assert sgd == f"SGD: mean excess loss {higher:.2g} % higher than SDE at t = 5 (p = 0.002)"
    assert svag.startswith("SVAG: no difference from SDE seen (p = ") and "with probability 80 %" in svag
    # what would have been seen is less than what was seen of SGD, and more than the error of a mean
    assert 0.0002 < compared.smallest_shift[1] < 0.002
    # looks by themselves are less careful
    assert np.all(compared.p_pointwise <= compared.p_look) and np.any(compared.p_pointwise < compared.p_look)
    assert "SVAG: no difference" in repr(compared) and "theory" in repr(compared)


def test_the_dataset_and_its_figure(diabetes):
    # equally far apart: one program for each chain
    compared = compare(diabetes, 16, 99, [1, 2, 3])
    data = compared.to_dataset()
    # as NetCDF holds them too
    assert all(isinstance(each, str | float | int) for each in data.attrs.values())
    assert dict(data.sizes) == {"chain": 3, "other": 2, "time": 3, "statistic": 4}
    for name in data.variables:
        assert data[name].attrs.get("long_name"), name
    assert all("units" in data[name].attrs for name in data.data_vars)
    figure = ss.plotting.comparison(data)
    excess, loss, p_values = figure.axes
    for line, chain in zip(excess.lines, data.chain.values, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), data["excess_loss"].sel(chain=chain))
        assert line.get_label() == chain
    for place, chain in enumerate(data.chain.values):
        ends = [data[f"excess_loss_{end}"].sel(chain=chain) for end in ("low", "high")]
        np.testing.assert_allclose(band_of(excess, place)[1:], ends)
    assert [line.get_label() for line in loss.lines][-1] == "linearised theory"
    np.testing.assert_array_equal(p_values.lines[0].get_ydata(), compared.p_look[0].min(axis=1))
    colour = matplotlib.colors.to_hex(excess.lines[1].get_color())
    assert matplotlib.colors.to_hex(p_values.lines[0].get_color()) == colour
    assert p_values.lines[-1].get_ydata()[0] == pytest.approx(0.05 / 2)
    given = Figure().subplots(3)
    panels = compared.plot(given)
    assert list(panels) == list(given) and panels[0].lines[0].get_label() == "SDE"
    assert [len(each.lines) for each in compared.plot()] == [len(each.lines) for each in figure.axes]
    with pytest.raises(ValueError, match="ax must be 3 matplotlib axes, for excess_loss, loss, p-values, got"):
        compared.plot(given[:2])
    with pytest.raises(ValueError, match="comparison draws the dataset of a comparison of chains"):
        ss.plotting.comparison(xr.Dataset())


@pytest.mark.long
def test_from_a_start_away_from_the_minimum(small):
    """Where the loss is quadratic the theory has the relaxation too; descent is exactly its mean, without noise."""
    away = small.minimum + 0.2
    chains = [GradientDescent(small.risk, 0.01), SVAG(small.risk, 0.02, SIZE, 2)]
    found = ss.compare(small.risk, away, chains=chains, time=1.285, networks=4, permutations=99)
    assert (
        found.names == ("GradientDescent", "SVAG(l=2)")
        and found.times[-1] == pytest.approx(1.28)
        and len(found.times) == 8
    )
    np.testing.assert_allclose(found.theory, found.values[0, 0, :, 0], rtol=0.02)
    left = np.linalg.matrix_power(np.eye(3) - 0.01 * small.hessian, 128) @ np.full(3, 0.2)
    assert found.values[0, 0, -1, 0] == pytest.approx(small.least + left @ small.hessian @ left / 2, rel=1e-4)
    assert np.ptp(found.values[0, 0], axis=1).max() == 0 and found.without_theory == ""


def test_networks_are_trajectories_of_their_own(small):
    """Network k of chain c is trajectory c·networks + k, so that a chain against itself is not the same numbers."""
    chain = ss.MinibatchSGD(small.risk, GAMMA, SIZE)
    own = Measure(lambda risk, thetas, starts: thetas[:, 2], "θ", "third weight")
    run = {"time": 0.5, "networks": 5, "measures": (own,), "permutations": 99, "seed": 4}
    found = ss.compare(small.risk, None, chains={"a": chain, "b": chain}, **run)
    alone = ss.simulate(chain, small.risk.initial, 5, trajectory_ids=np.arange(10), seed=4)[:, 2]
    np.testing.assert_allclose(found.values[0, :, -1].ravel(), alone, rtol=1e-5)
    assert found.theory is None and found.without_theory == "the loss is not among the measures"
    mean, last = found.mean("third_weight")[1, -1], alone[5:]
    assert float(mean) == pytest.approx(last.mean(), rel=1e-5)
    assert mean.high - mean.value == pytest.approx(2.776445 * last.std(ddof=1) / np.sqrt(5), rel=1e-4)


@pytest.mark.parametrize("name", ["loss", "gradient_norm"])
def test_a_measure_is_one_program(small, name):
    """However often it is looked at."""
    thetas = np.zeros((2, 3), np.float32)
    measure = ss.training.MEASURES[name].of
    measure(small.risk, thetas, thetas)
    made = _numerics._program.cache_info().misses
    measure(small.risk, thetas + 1, thetas)
    assert _numerics._program.cache_info().misses == made


def looked_at(rng, networks, shift=0.0, shared=0.0):
    """Two samples of a walk in three dimensions at four looks, the second shifted; as looks of the package."""
    one, other = np.cumsum(rng.normal(size=(2, 4, networks, 3)), axis=1) + shared
    pooled = np.concatenate([one, other + shift], axis=1)
    return [
        two_sample.Look(np.ones(2 * networks, bool), values[:, :1].T, np.arange(2 * networks), values)
        for values in pooled
    ]


def p_values_of(looks, labels):
    budget = two_sample.one_budget(np.stack([two_sample.distances_at(look, labels)[1] for look in looks], axis=1), 0.05)
    return budget.p_value, budget.p_pointwise.min()


@pytest.mark.parametrize("paired", [False, True])
def test_false_alarms_are_as_many_as_the_budget_allows(paired):
    """Equal laws, 400 times: 5 % of p-values are below 5 %, of 12 distances. Twin: each look with a budget of its own.

    Paired: networks of one number begin at one point, far from the others'; that hides no difference either.
    """
    rng, runs, seen = np.random.default_rng(5), 400, []
    for _ in range(runs):
        labels = two_sample.labels_of(12, 99, paired, rng)
        shared = 5 * rng.normal(size=(12, 3)) if paired else 0.0
        seen.append(p_values_of(looked_at(rng, 12, shared=shared), labels))
    valid, twin = (np.array(seen) <= 0.05).mean(axis=0)
    error = binomial_error(0.05, runs)
    assert agrees(valid, 0.05, error) and not agrees(twin, 0.05, error)


def test_a_difference_is_seen_as_often_as_is_said():
    """A shift of the size that is seen with probability 80 %, 200 times; half of it is seen seldom."""
    rng, networks, seen = np.random.default_rng(7), 60, {1.0: 0, 0.5: 0}
    labels = two_sample.labels_of(networks, 199, False, rng)
    pool = rng.normal(size=2_000)
    values = rng.normal(size=2 * networks)
    weights, scale = two_sample.weights_of(labels, np.ones(2 * networks, bool))
    statistic = two_sample.kolmogorov_smirnov(values, weights) * scale
    budget = two_sample.one_budget(statistic[:, None, None], 0.05)
    needed = budget.centre[0, 0] + budget.critical * budget.spread[0, 0]
    shift = two_sample.smallest_shift(pool[: 2 * networks], needed, rng)
    for factor in seen:
        for _ in range(200):
            sample = rng.normal(size=2 * networks) + factor * shift * (np.arange(2 * networks) < networks)
            statistic = two_sample.kolmogorov_smirnov(sample, weights) * scale
            seen[factor] += two_sample.one_budget(statistic[:, None, None], 0.05).p_value <= 0.05
    # the pool is a sample of 120 itself, whose deviation has an error of 6 %
    assert 0.68 < seen[1.0] / 200 < 0.92 and seen[0.5] / 200 < 0.5


def test_distances_and_pointwise_p_values_are_those_of_scipy():
    rng, networks = np.random.default_rng(3), 15
    one, other = rng.normal(size=networks), rng.normal(size=networks) + 0.6
    other[:3] = one[:3]
    pooled, everyone = np.concatenate([one, other]), np.ones(2 * networks, bool)
    labels = two_sample.labels_of(networks, 4_999, False, rng)
    weights, _ = two_sample.weights_of(labels, everyone)
    energy = two_sample.energy_distance(two_sample.euclidean(pooled[:, None]), weights)
    assert energy[0] == pytest.approx(stats.energy_distance(one, other), rel=1e-9)
    distance = two_sample.kolmogorov_smirnov(pooled, weights)
    assert distance[0] == pytest.approx(stats.ks_2samp(one, other).statistic)
    clear = np.concatenate([one, other + 1e-3])
    p_value = two_sample.one_budget(two_sample.kolmogorov_smirnov(clear, weights)[:, None, None], 0.05).p_pointwise
    exact = stats.ks_2samp(one, other + 1e-3, method="exact").pvalue
    assert agrees(p_value[0, 0], exact, binomial_error(exact, 4_999))
    # of how many diverged: Fisher's
    finite = everyone.copy()
    finite[[0, 15, 16, 17, 18, 19]] = False
    thetas = np.where(finite, rng.normal(size=2 * networks), np.inf)[:, None]
    look = two_sample.Look(finite, np.where(finite, pooled, np.nan)[None], np.arange(2 * networks), thetas)
    distances, statistic = two_sample.distances_at(look, labels)
    p_value = two_sample.one_budget(statistic[:, None], 0.05).p_pointwise[0, 2]
    exact = stats.fisher_exact([[1, 14], [5, 10]]).pvalue
    assert distances[0, 2] == pytest.approx(4 / 15) and agrees(p_value, exact, binomial_error(exact, 4_999))
    # those that diverged are in no other distance
    alone = stats.ks_2samp(one[1:], other[5:]).statistic
    assert distances[0, 1] == pytest.approx(alone)
    alone = stats.energy_distance(thetas[1:15, 0], thetas[20:, 0])
    assert distances[0, 0] == pytest.approx(alone, rel=1e-9)
    points = rng.normal(size=(6, 4)) + 1e3
    exact = np.linalg.norm(points[:, None] - points, axis=2)
    np.testing.assert_allclose(two_sample.euclidean(points), exact, atol=1e-9)


def test_p_values_of_several_chains_are_adjusted():
    np.testing.assert_allclose(two_sample.holm([0.03, 0.01, 0.02]), [0.04, 0.03, 0.04])
    np.testing.assert_allclose(two_sample.holm([0.6, 0.9]), [1.0, 1.0])


@pytest.mark.long
def test_networks_that_diverge_are_counted_and_tell_a_chain(small):
    """A rate of 4 is above 2 over the sharpness: all diverge, and no mean is left of them."""
    chains = {"steady": ss.MinibatchSGD(small.risk, 4 * GAMMA, SIZE), "wild": GradientDescent(small.risk, 4.0)}
    run = {"times": [32.0, 416.0], "networks": 8, "permutations": 999, "measures": ["loss", "distance"]}
    found = ss.compare(small.risk, None, chains=chains, **run)
    np.testing.assert_array_equal(found.diverged, [[0, 0], [0, 8]])
    assert found.status is Status.DIVERGED and found.reasons == ("8 of 8 networks of wild stopped being finite",)
    mean = found.mean("loss")
    assert np.isnan(mean.value[1, 1]) and np.all(np.isfinite(mean.value[0]))
    assert found.sentence.endswith("8 of 8 networks diverged against 0 of steady (p = 0.001).")
    figure = ss.plotting.comparison(found.to_dataset())
    assert figure.axes[0].lines[1].get_label() == "wild, 8 diverged"


@pytest.mark.long
def test_θ_is_kept_of_some_networks_where_not_all_fit(small, monkeypatch):
    from sde_sgd.training import _compare

    chain = ss.MinibatchSGD(small.risk, GAMMA, SIZE)
    run = {"chains": {"a": chain, "b": GradientDescent(small.risk, GAMMA)}, "time": 0.2, "networks": 40}
    monkeypatch.setattr(_compare, "_MOST_BYTES", 2 * 2 * 3 * 4 * 20)
    found = ss.compare(small.risk, None, permutations=99, **run)
    assert found.differs["b"] and found.values.shape == (1, 2, 2, 40)
    monkeypatch.setattr(_compare, "_MOST_BYTES", 2 * 2 * 3 * 4 * 7)
    with pytest.raises(ValueError, match="times must be fewer, or chains: θ of 8 networks of 2 chains at 2 looks"):
        ss.compare(small.risk, None, permutations=99, **run)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chains": []}, "chains must be at least two, the first of them to compare the others with, got 0"),
        ({"chains": 3}, "chains must be a list of chains, or a dict of them by name, got 3"),
        ({"chains": {"a": 1, "b": 2}}, "chains must be chains, such as MinibatchSGD"),
        ({"chains": "two"}, "chains must have names of their own, got 2 called 'MinibatchSGD'"),
        ({"chains": "dim"}, "chains must have the risk's 3 components, got 2 for 'plane'"),
        ({"chains": "varying"}, "chains must each have one time of a step, got Varying for 'Varying'"),
        ({"chains": "odd"}, "chains must have steps that meet at common times, got steps of 0.1 of 'MinibatchSGD'"),
        ({"time": 0.0}, "time must be a finite number above 0, got 0.0"),
        ({"time": 0.05}, "time must be at least 0.1, where whole steps of all chains meet, got 0.05"),
        ({"time": None}, r"give either time \(of the end\) or times \(of the looks\), got neither"),
        (
            {"time": None, "times": [0.1, 0.25]},
            "times must be whole steps of every chain, got 0.25, which is 2.5 steps",
        ),
        ({"time": None, "times": [0.2, 0.1]}, "times must be rising and above 0"),
        ({"measures": "losss"}, "measures must be of loss, train_loss"),
        (
            {"measures": ["loss", "loss"]},
            r"measures must each be given once, under a name of its own, got \['loss', 'loss'\]",
        ),
        ({"measures": []}, "measures must be at least one, got none"),
        ({"measures": "accuracy"}, "targets must be integer labels"),
        ({"measures": Measure(lambda *a: np.zeros(2), "1", "two")}, r"measures must give one number for each network"),
        ({"measures": Measure(lambda *a: np.zeros(1), "1", "steps")}, "measures must not be called 'steps'"),
        ({"networks": 1}, "networks must be at least 2"),
        ({"confidence": 1.0}, "confidence must lie strictly between 0 and 1"),
        ({"permutations": 10}, "permutations must be at least 19 for 1 chains to be told apart at 0.95, got 10"),
        ({"start": np.zeros(2)}, r"start must have shape \(3,\) or \(4, 3\), got \(2,\)"),
        ({"risk": ss.landscapes.Quadratic([1.0])}, "risk must be an EmpiricalRisk"),
    ],
)
def test_bad_input(small, options, message):
    risk = small.risk
    plane = GradientDescent(ss.landscapes.Quadratic([1.0, 2.0]), 0.1)
    chain, descent = ss.MinibatchSGD(risk, GAMMA, SIZE), GradientDescent(risk, GAMMA)
    several = {
        "two": [chain, chain], "dim": {"sgd": chain, "plane": plane},
        "varying": [chain, Varying(chain, "learning_rate")], "odd": [chain, GradientDescent(risk, 0.1 / np.pi)],
    }  # fmt: skip
    given = {"risk": risk, "chains": [chain, descent], "time": 1.0, "networks": 4} | options
    if isinstance(given["chains"], str):
        given["chains"] = several[given["chains"]]
    with pytest.raises(ValueError, match=message):
        ss.compare(**given)


@pytest.mark.parametrize("what", quick(["memory", "far", "starts"], "starts"))
def test_where_there_is_no_theory_it_says_why(small, what):
    import optax

    flat = ss.EmpiricalRisk(
        jnp.ones(2), lambda w, x, y: (1 - w[0] ** 2) ** 2 + w[1] ** 2 + 0 * x[0], np.ones((4, 1)), np.zeros(4)
    )
    descent = [GradientDescent(flat, 0.01), GradientDescent(flat, 0.005)]
    chains, start, why = {
        "memory": ([Optimizer(flat, optax.adam(0.01), 2, time_step=0.01), descent[0]], None, "the first chain"),
        "far": (descent, np.array([0.1, 0.0]), "the start is near no minimum: the Hessian there has an eigenvalue of"),
        "starts": (descent, np.array([[1.0, 0.0], [1.0, 1.0]]), "the networks begin at different points"),
    }[what]
    chains = {f"{number}": chain for number, chain in enumerate(chains)}
    found = ss.compare(flat, start, chains=chains, time=0.1, networks=2, permutations=99)
    assert found.theory is None and found.without_theory.startswith(why)
    assert "none: " + why in repr(found)
