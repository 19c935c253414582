"""Escape from a trained minimum: SGD, its SDE and the linearised theory against exact exit times of one parameter."""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from matplotlib.figure import Figure
from scipy import stats
from statistical import agrees

import sde_sgd as ss
from sde_sgd.reference import ChainFork
from sde_sgd.results import Status, Verdict
from sde_sgd.training import _escape_from, escape_from

# whole numbers of mean 0, so that a batch's sum is on a lattice
TARGETS = np.repeat([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0], [2, 4, 6, 8, 6, 4, 2])
VARIANCE = float(TARGETS.var())
RATES, SIZES, HEIGHT, START = [0.1, 0.15], [4, 6], 0.06, 0.4


def squared(w, x, y):
    return (w @ x - y) ** 2 / 2


def mean_of_targets():
    """½(θ − y)²: L = ½θ² + const, V the variance of y, everywhere."""
    return ss.EmpiricalRisk(jnp.zeros(1), squared, np.ones((len(TARGETS), 1)), TARGETS)


@functools.cache
def found():
    return escape_from(
        mean_of_targets(), [START], learning_rate=RATES, batch_size=SIZES, height=HEIGHT, iterations=3_000,
        trajectories=4_096, seed=1,
    )  # fmt: skip


def of_diffusion(rate, size, scale=1.0):
    """Mean SDE time of x' = (1 − γ)x + γ√(V/M)ξ to leave |x| < √(2 height), by quadrature."""
    edge, deviation = np.sqrt(2 * HEIGHT), rate * np.sqrt(scale * VARIANCE / size)
    return rate * ChainFork(lambda x: (1 - rate) * x, deviation, 0.0, -edge, edge).mean_steps()


def of_sgd(rate, size, cells=500):
    """The same of SGD itself: u = 1 + E u((1 − γ)x + γ·mean of a batch), extrapolated in the number of points."""
    return 2 * _between_points(rate, size, 2 * cells) - _between_points(rate, size, cells)


def _between_points(rate, size, cells):
    edge = np.sqrt(2 * HEIGHT)
    points = np.linspace(-edge, edge, cells + 1)[1:-1]
    values, counts = np.unique(TARGETS, return_counts=True)
    one = counts / counts.sum()
    law = functools.reduce(np.convolve, [one] * size)
    sums = size * values[0] + np.arange(len(law))
    kernel, spacing = scipy.sparse.csr_matrix((len(points), len(points))), points[1] - points[0]
    for chance, total in zip(law, sums, strict=True):
        place = ((1 - rate) * points + rate * total / size - points[0]) / spacing
        left = np.floor(place).astype(int)
        for at, weight in ((left, left + 1 - place), (left + 1, place - left)):
            rows = np.flatnonzero((at >= 0) & (at < len(points)))
            kernel += scipy.sparse.csr_matrix((chance * weight[rows], (rows, at[rows])), shape=kernel.shape)
    times = scipy.sparse.linalg.spsolve(scipy.sparse.identity(len(points), format="csc") - kernel, np.ones(len(points)))
    return rate * float(np.interp(0.0, points, times))


@pytest.mark.long
def test_times_are_the_exact_ones():
    """Each within 4 standard errors of log τ, of 3 % at most. Twins: γ in the place of γ/M, and V 10 % off."""
    result = found()
    assert result.processes == ("sgd", "sde", "linear") and result.status is Status.COMPLETE, result
    assert abs(result.polished.location[0]) < 1e-9 and result.polished.is_minimum
    assert of_sgd(0.1, 4) == pytest.approx(of_sgd(0.1, 4, cells=1_000), rel=1e-3)
    for place, name in enumerate(result.processes):
        time = result.mean_time[place]
        error = (np.log(time.high) - np.log(time.low)) / (2 * 1.959964)
        exact, loud, wrong = (
            np.array([[law(rate, size) for size in SIZES] for rate in RATES])
            for law in (
                of_sgd if name == "sgd" else of_diffusion,
                lambda rate, size: of_diffusion(rate, 1),
                lambda rate, size: of_diffusion(rate, size, 1.1),
            )
        )
        assert np.all(error < 0.03)
        assert agrees(np.log(time.value), np.log(exact), error, 1e-3), (name, time.value, exact)
        assert not np.any(np.abs(np.log(time.value / loud)) < 20 * error)
        if name != "sgd":
            assert not agrees(np.log(time.value), np.log(wrong), error, 1e-3)


@pytest.mark.long
def test_slopes_and_comparisons_by_hand():
    """Weighted least squares of log time on M/γ, by SciPy; ratios at a confidence for all four cells together."""
    result = found()
    x = (np.array(SIZES)[None] / np.array(RATES)[:, None]).ravel()
    for place in range(3):
        time = result.mean_time[place]
        error = ((np.log(time.high) - np.log(time.low)) / (2 * stats.norm.isf(0.025))).ravel()
        fit = scipy.optimize.curve_fit(lambda x, a, b: a + b * x, x, np.log(time.value).ravel(), sigma=error,
                                       absolute_sigma=True)  # fmt: skip
        slope = result.slopes[place]
        assert float(slope) == pytest.approx(fit[0][1], rel=1e-6)
        scatter = np.sum(((np.log(time.value).ravel() - fit[0][0] - fit[0][1] * x) / error) ** 2) / 2
        half = np.sqrt(fit[1][1, 1])
        half *= stats.norm.isf(0.025) if scatter <= 1 else stats.t.isf(0.025, 2) * np.sqrt(scatter)
        assert float(slope.high - slope.value) == pytest.approx(half, rel=1e-5)
    ratio = result.against("linear", "sde")
    assert ratio.value.shape == (2, 2) and np.all(ratio.contains(1.0))
    one, two = (np.log(result.mean_time[at].high / result.mean_time[at].low) / 2 for at in (2, 1))
    widened = np.hypot(one, two) * stats.norm.isf(0.00625) / stats.norm.isf(0.025)
    np.testing.assert_allclose(np.log(ratio.high / ratio.value), widened, rtol=1e-9)
    assert "grows per unit of M/γ by: SGD" in result.sentence and "of 4 cells" in result.sentence
    assert f"{result.limit:.3g}" in result.sentence
    with pytest.raises(ValueError, match="process must be one that was run, sgd, sde, linear, got 'adam'"):
        result.against("adam")


@pytest.mark.long
def test_the_limit_is_that_of_low_noise():
    """height/T in one dimension, 2·height·M/(γV); the exact log times' slope comes to it like −1/(2M/γ)."""
    limit = found().limit
    assert limit == pytest.approx(2 * HEIGHT / VARIANCE, rel=1e-6)
    ratios = np.array([800.0, 960.0])
    logarithms = np.log([of_diffusion(0.005, 0.005 * ratio) for ratio in ratios])
    slope = (logarithms[1] - logarithms[0]) / (ratios[1] - ratios[0])
    assert slope < limit and slope + 1 / (2 * ratios.mean()) == pytest.approx(limit, rel=0.01)
    # beyond one dimension, by a search along the edge of the set
    hessian, covariance = np.array([[2.0, 0.5], [0.5, 0.7]]), np.array([[1.0, -0.4], [-0.4, 2.0]])
    noise = ss.noise.ConstantCovariance(jnp.asarray(covariance))
    diffusion = ss.LangevinSGD(ss.landscapes.Quadratic(hessian), noise, 0.1, 4)
    inverse = np.linalg.inv(ss.theory.stationary_covariance(hessian, 0.1 / 4 * covariance))
    angles = np.linspace(0, np.pi, 20_001)
    around = np.stack([np.cos(angles), np.sin(angles)])
    edge = around * np.sqrt(2 * HEIGHT / np.einsum("in,ij,jn->n", around, hessian, around))
    cost = np.einsum("in,ij,jn->n", edge, inverse, edge) / 2
    assert ss.theory.exit_exponent(diffusion, np.zeros(2), HEIGHT) == pytest.approx(cost.min(), rel=1e-5)
    assert cost.max() > 1.5 * cost.min()
    with pytest.raises(ValueError, match="height must be a finite number above 0"):
        ss.theory.exit_exponent(diffusion, np.zeros(2), 0.0)


@pytest.mark.long
def test_two_parameters_linearised():
    """Regression whose H and V do not commute: as NumPy runs it in θ. Twin: V without its correlation."""
    generator = np.random.default_rng(3)
    inputs = generator.normal(size=(40, 2)) @ np.array([[1.2, 0.0], [0.8, 0.5]])
    targets = inputs @ [1.0, -1.0] + generator.normal(size=40) * (0.3 + np.abs(inputs[:, 0]))
    risk = ss.EmpiricalRisk(jnp.zeros(2), squared, inputs, targets)
    result = escape_from(
        risk, np.zeros(2), learning_rate=0.2, batch_size=24, height=0.3, processes="linear", iterations=4_000,
        trajectories=4_096, seed=2,
    )  # fmt: skip
    hessian = inputs.T @ inputs / 40
    minimum = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    gradients = inputs * (inputs @ minimum - targets)[:, None]
    covariance = gradients.T @ gradients / 40
    np.testing.assert_allclose(result.polished.location, minimum, rtol=1e-6)

    def runs(covariance):
        root = np.linalg.cholesky(covariance) * 0.2 / np.sqrt(24)
        y, step, times = np.zeros((8_000, 2)), 0, []
        while len(y):
            step += 1
            y = y - 0.2 * y @ hessian + generator.normal(size=y.shape) @ root.T
            out = np.einsum("ni,ij,nj->n", y, hessian, y) / 2 >= 0.3
            times += [step] * int(out.sum())
            y = y[~out]
        return 0.2 * np.mean(times), 0.2 * np.std(times) / np.sqrt(8_000)

    time = result.mean_time[0, 0, 0]
    error = float(time.high - time.low) / (2 * 1.959964)
    mean, other = runs(covariance)
    assert agrees(float(time), mean, np.hypot(error, other)), (time, mean)
    twin, other = runs(np.diag(np.diag(covariance)))
    assert not agrees(float(time), twin, np.hypot(error, other)), (time, twin)


def product(model, x, y):
    return ((model[0] * model[1]) * x[0] - y) ** 2 / 2 + (model[0] ** 2 - model[1] ** 2) ** 2 / 2


def bent(w, x, y):
    return jnp.maximum(w[0], -2 * w[0]) + (w[1] * x[0] - y) ** 2 + w[0] * w[1] / 10


@pytest.mark.long
def test_what_training_found_is_told():
    """A saddle, left when asked; a kink, without theory; a flat valley."""
    run = {"learning_rate": 0.1, "batch_size": 2, "height": 0.05, "iterations": 40, "trajectories": 64}
    x, y = np.ones((4, 1)), np.array([0.5, 1.0, 1.0, 1.5])
    saddle = ss.EmpiricalRisk(jnp.zeros(2), product, x, y)
    stays = escape_from(saddle, np.zeros(2), **run)
    assert stays.polished.kind == "saddle" and stays.processes == ("sgd", "sde") and stays.status is Status.INCOMPLETE
    assert stays.reasons[0].endswith("a saddle, which leave_saddles=True goes on from") and np.isnan(stays.limit)
    leaves = escape_from(saddle, np.zeros(2), leave_saddles=True, **run)
    assert leaves.polished.is_minimum and leaves.polished.saddles_left == 1
    np.testing.assert_allclose(np.abs(leaves.polished.location), 1, atol=1e-6)
    assert leaves.processes == ("sgd", "sde", "linear") and np.isfinite(leaves.limit)
    kink = ss.EmpiricalRisk(jnp.zeros(2), bent, x, y)
    told = escape_from(kink, [0.9, -0.4], **run)
    assert told.polished.kind == "kink" and told.processes == ("sgd", "sde") and "on a kink" in told.reasons[0]
    with pytest.raises(ValueError, match="processes must name 'sgd' or 'sde' where theta leads to no minimum"):
        escape_from(kink, [0.9, -0.4], processes="linear", **run)
    silent = ss.EmpiricalRisk(jnp.zeros(1), squared, x, np.ones(4))
    with pytest.raises(ValueError, match="risk must have noise at the minimum, got examples whose gradients"):
        escape_from(silent, [0.9], **run)
    valley = ss.EmpiricalRisk(jnp.ones(2), lambda w, x, y: (w[0] * w[1] * x[0] - y) ** 2 / 2, x, y)
    flat = escape_from(valley, np.array([1.5, 0.9]), **run)
    assert flat.polished.kind == "degenerate" and "degenerate" in flat.reasons[0] and "linear" in flat.processes


@pytest.mark.long
def test_figure_and_dataset():
    """The points and bars drawn are the numbers; another dataset is refused."""
    result = found()
    data = result.to_dataset()
    np.testing.assert_array_equal(data.mean_exit_time_high, result.mean_time.high)
    assert data.mean_exit_time.attrs["units"] == "SDE time" and data.attrs["sentence"] == result.sentence
    figure = ss.plotting.escape_times(data)
    axes: Any = figure.axes
    top, below = axes
    assert top.get_yscale() == "log" and len(top.containers) == 3 and len(below.containers) == 2
    points = top.containers[1].lines[0].get_ydata()
    np.testing.assert_allclose(points, result.mean_time.value[1].ravel())
    np.testing.assert_allclose(below.containers[1].lines[0].get_ydata(), result.against("linear").value.ravel())
    np.testing.assert_array_equal(data.ratio_high[1], result.against("sde").high)
    label = top.get_legend().get_texts()[0].get_text()
    assert label == f"minibatch SGD: slope {float(result.slopes[0]):.3g}"
    given = Figure().subplots(2)
    panels = result.plot(given)
    assert list(panels) == list(given) and len(panels[0].containers) == 3 and "leaving" in panels[0].get_title()
    np.testing.assert_allclose(panels[0].containers[1].lines[0].get_ydata(), result.mean_time.value[1].ravel())
    with pytest.raises(ValueError, match="ax must be 2 matplotlib axes, for times, ratios, got"):
        result.plot(given[0])
    with pytest.raises(ValueError, match=r"escape_times draws the dataset of training\.escape_from"):
        ss.plotting.escape_times(data.drop_dims("process"))


@pytest.mark.long
def test_exits_that_are_not_seen_are_said():
    """No bound above, no slope, no comparison."""
    rare = escape_from(mean_of_targets(), [0.0], learning_rate=0.01, batch_size=[20, 30], height=2.0, iterations=20,
                       trajectories=64, processes=("sgd", "sde"))  # fmt: skip
    assert rare.status is Status.BUDGET_SPENT and "4 of 4 mean times" in rare.reasons[0]
    assert np.all(np.isnan(rare.slopes.value)) and np.all(np.isinf(rare.slopes.high))
    assert "cannot be compared" in rare.sentence


@pytest.mark.long
@pytest.mark.parametrize("method", ["auto", "splitting"])
def test_rare_exits_are_split_as_plain_escapes_are(method):
    """None of 1,024 direct trajectories leaves; each cell and each seed has draws of its own."""
    risk, run = mean_of_targets(), {"iterations": 100, "trajectories": 1_024, "processes": ("sgd",), "seed": 3}
    cell = {"learning_rate": 0.1, "height": 0.18, **run}
    direct = escape_from(risk, [0.0], batch_size=10, **cell)
    assert direct.probability.value.item() == 0
    found = escape_from(risk, [0.0], batch_size=[10, 12], method=method, **cell)
    assert 0 < found.probability.value[0, 0, 1] < found.probability.value[0, 0, 0] < direct.probability.high.item()
    other = escape_from(risk, [0.0], batch_size=10, method=method, **cell | {"seed": 4})
    assert found.probability[0, 0, 0].low < other.probability.high.item()
    assert found.probability[0, 0, 0].high > other.probability.low.item()
    assert other.probability.value.item() != found.probability.value[0, 0, 0]


def test_what_a_passage_says_against_itself_is_kept(monkeypatch):
    def uneven(*args, **options):
        passage = ss.escape(*args, **options)
        verdict = Verdict(((Status.UNEVEN, "few hold most"), (Status.TARGET_NOT_REACHED, "none")))
        return ss.FirstPassage(evidence=passage.evidence, verdict=verdict, provenance=passage.provenance)

    monkeypatch.setattr(_escape_from, "escape", uneven)
    found = escape_from(mean_of_targets(), [0.0], learning_rate=0.1, batch_size=[4, 8], height=0.05, iterations=200,
                        trajectories=64, processes=("sgd",))  # fmt: skip
    assert found.status is Status.UNEVEN
    assert found.reasons == tuple(f"sgd, γ = 0.1, M = {size}: few hold most" for size in (4, 8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height": 0.0}, "height must be a finite number above 0"),
        ({"learning_rate": -0.1}, "learning_rate must be above 0"),
        ({"batch_size": 1.5}, "batch_size must be whole numbers"),
        ({"processes": ("sgd", "gd")}, r"processes must be some of sgd, sde, linear, each once, got \('sgd', 'gd'\)"),
        ({"processes": ()}, "processes must be some of"),
        ({"iterations": 0}, "iterations must be a whole number of at least 1"),
        ({"trajectories": 0}, "trajectories must be a whole number of at least 1"),
        ({"confidence": 1.0}, "confidence must lie strictly between 0 and 1"),
        ({"theta": np.zeros(2)}, r"theta must have shape \(1,\)"),
        ({"risk": ss.landscapes.Quadratic([1.0])}, "risk must be an EmpiricalRisk"),
        ({"hight": 1.0}, "unknown option 'hight'; did you mean 'height'"),
    ],
)
def test_bad_input(options, message):
    asked = {"risk": mean_of_targets(), "theta": [0.0], "learning_rate": 0.1, "batch_size": 2, "height": 0.1} | options
    with pytest.raises(ValueError, match=message):
        escape_from(asked.pop("risk"), asked.pop("theta"), **asked)
