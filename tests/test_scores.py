"""Ready-made scores: the committor against exact quadrature, the path variable, and splitting with each."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import pbdv
from statistical import agrees

import sde_sgd as ss
from sde_sgd.reference import ChainExit

WELL = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
# the same along x₀, whatever x₁ does
VALLEY = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2 / 2, dim=2)
BOWL = ss.landscapes.Landscape(lambda x: 0.5 * x[0] ** 2, dim=1)
DT, STEPS = 0.05, 120


def below(level, dim=1):
    return ss.regions.HalfSpace(np.eye(dim)[0], level)


def langevin(landscape, temperature):
    return ss.LangevinSGD.at_temperature(landscape, temperature)


def log_committor(x, temperature, low=-0.9, high=0.5):
    """log P(reach `high` before `low`) in the double well, by quadrature of the scale function."""
    fine = np.linspace(low, high, 200_001)
    scale = np.exp(((fine**2 - 1) ** 2 - 1) / temperature)
    chance = np.concatenate([[0.0], np.cumsum((scale[1:] + scale[:-1]) / 2)])
    return np.log(np.interp(x, fine, chance / chance[-1]))


def centers(score):
    return score.low[0] + (np.arange(score.values.shape[0]) + 0.5) * score.spacing[0]


@pytest.mark.parametrize("temperature", [0.25, 0.04, 0.018], ids=["1e-3", "1e-12", "1e-25"])
@pytest.mark.parametrize("landscape", [WELL, VALLEY], ids=["1-D", "2-D"])
def test_the_committor_in_its_logarithm(landscape, temperature):
    """Exact to 1e-6 in one dimension; in two the error is the grid's, below 0.12 of up to 55."""
    dim, box = landscape.dim, [(-1.7, 1.3, 90), (-0.6, 0.6, 24)]
    score = ss.scores.committor(langevin(landscape, temperature), ~below(0.5, dim), box[:dim], avoid=below(-0.9, dim))
    x = centers(score)
    free = (x > -0.9) & (x < 0.5)
    truth = log_committor(x[free], temperature)
    found = score.values[free].reshape(len(truth), -1)
    assert np.abs(found - truth[:, None]).max() < (1e-6 if dim == 1 else 0.12)
    assert truth.min() < -7
    assert np.all(score.values[x > 0.5] == 0) and np.all(score.values[x < -0.9] == score.values.min())


@pytest.mark.parametrize("level", [3.0, 7.8], ids=["1e-3", "1e-25"])
def test_within_an_exponential_time(level):
    """E exp(−τ/6) of an Ornstein–Uhlenbeck process, a ratio of parabolic cylinder functions, to 0.3 % of itself."""
    score = ss.scores.committor(langevin(BOWL, 0.5), ~below(level), (-6, level + 0.5, 200), horizon=6.0)
    x = centers(score)
    x = x[x < level]

    def log_cylinder(x):
        return np.log(pbdv(-1 / 6, -x * np.sqrt(2))[0])

    truth = (x**2 - level**2) / 2 + log_cylinder(x) - log_cylinder(level)
    assert np.abs(score.values[: len(x)] - truth).max() < 3e-3
    assert truth.min() < (-58 if level > 7 else -7)


def test_between_the_cells_and_beyond_the_grid():
    """Linear in between, in either precision; the nearest edge outside; NaN stays NaN."""
    values = np.arange(12.0).reshape(3, 4) ** 2
    score = ss.scores.GridScore(values, np.array([0.0, 10.0]), np.array([1.0, 2.0]))
    assert score(jnp.array([1.5, 13.0])) == values[1, 1]
    assert score(jnp.array([1.0, 14.0])) == pytest.approx(values[:2, 1:3].mean())
    assert score(jnp.array([-9.0, 99.0])) == values[0, 3]
    assert np.isnan(score(jnp.array([jnp.nan, 13.0])))
    with jax.enable_x64(True):
        assert score(jnp.array([1.2, 13.1])).dtype == jnp.float64


def test_another_function_on_as_many_cells():
    """Its values at their centres, also where the grid is twice as wide about the same centre; and the same program."""
    score = ss.scores.GridScore(np.zeros((3, 4)), np.array([0.0, 10.0]), np.array([1.0, 2.0]))
    ball = ss.regions.Ball(np.array([1.0, 11.0]), 0.5)
    for widened, low in ((1.0, [0.0, 10.0]), (2.0, [-1.5, 6.0])):
        other = score.tabulating(eqx.Partial(type(ball).level, ball), widened)
        assert np.array_equal(other.low, low) and np.array_equal(other.spacing, widened * score.spacing)
        for center in (low + other.spacing / 2, low + (np.array([2, 3]) + 0.5) * other.spacing):
            assert other(jnp.asarray(center)) == pytest.approx(float(ball.level(jnp.asarray(center))), rel=1e-6)
        leaves = [jax.tree.map(np.shape, each) for each in (score, other)]
        assert jax.tree.structure(score) == jax.tree.structure(other) and leaves[0] == leaves[1]
    with pytest.raises(ValueError, match="finite at every cell centre"):
        score.tabulating(eqx.Partial(lambda theta: jnp.log(theta[0] - 1)))


@pytest.fixture(scope="module")
def muller_brown():
    landscape = ss.landscapes.MullerBrown(0.01)
    ends = np.array([[-0.55822, 1.44173], [0.62350, 0.02804]])
    return landscape, ends, ss.landscapes.minimum_energy_path(landscape, *ends)


def test_a_minimum_energy_path(muller_brown):
    """Evenly spaced, from end to end, over the saddle, and along the gradient."""
    landscape, ends, path = muller_brown
    assert path.shape == (33, 2) and path.dtype == np.float64
    np.testing.assert_allclose(path[[0, -1]], ends, atol=1e-5)
    chords = np.diff(path, axis=0)
    gaps = np.linalg.norm(chords, axis=1)
    assert gaps.max() < 1.02 * gaps.min()
    assert np.max(jax.jit(jax.vmap(landscape.loss))(path)) == pytest.approx(-0.4066484, abs=0.005)
    middles = (path[1:] + path[:-1]) / 2
    gradients = np.asarray(jax.jit(jax.vmap(landscape.gradient))(middles))
    across = np.abs(gradients[:, 0] * chords[:, 1] - gradients[:, 1] * chords[:, 0]) / gaps
    # the straight line from end to end crosses slopes ten times as steep
    assert across.max() < 0.3


def test_the_path_goes_through_the_minima_in_between():
    """In ThreeHole the straight way and the one over the upper hole, each with its own saddle."""
    landscape = ss.landscapes.ThreeHole()
    left, right, upper = (-1.048, -0.042), (1.048, -0.042), (0.0, 1.537)
    straight = ss.landscapes.minimum_energy_path(landscape, left, right)
    around = ss.landscapes.minimum_energy_path(landscape, left, upper, right, images=41)
    assert around.shape == (41, 2)
    assert np.linalg.norm(around - (0.0, 1.53708), axis=1).min() < 0.1
    for path, saddle in ((straight, -1.38459), (around, -1.64669)):
        assert np.max(jax.jit(jax.vmap(landscape.loss))(path)) == pytest.approx(saddle, abs=0.01)


@pytest.mark.long
def test_the_path_score_rises_along_the_path(muller_brown):
    landscape, ends, path = muller_brown
    score = ss.scores.path(landscape, *ends)
    fine = np.concatenate([np.linspace(a, b, 8, endpoint=False) for a, b in itertools.pairwise(path)])
    values = np.asarray(jax.jit(jax.vmap(score))(fine))
    assert np.all(np.diff(values) > 0)
    # two barriers up and down: Σ|ΔL| of the losses at the five critical points
    losses = [-1.4669952, -0.4066484, -0.8076782, -0.7224894, -1.0816672]
    total = np.abs(np.diff(losses)).sum()
    assert values[0] < 0.03 * total and score(jnp.asarray(ends[1])) == pytest.approx(total, rel=0.06)
    assert score(jnp.asarray([-0.82200, 0.62431])) == pytest.approx(1.0603, rel=0.06)
    far = jnp.array([[50.0, -80.0], [-0.6, 0.6], [jnp.nan, 0.0]])
    gradients = jax.vmap(jax.grad(score))(far)
    assert np.all(np.isfinite(gradients[:2])) and np.isnan(score(far[2]))


def test_neighbours_along_a_path_weigh_a_tenth():
    """By default; and the width that is given is the width."""
    score = ss.scores.path(WELL, [-1.0], [1.0], images=9)
    gap = np.linalg.norm(np.diff(score.points, axis=0), axis=1).mean()
    assert np.exp(-((gap / score.width) ** 2)) == pytest.approx(0.1, rel=0.01)
    assert ss.scores.path(WELL, [-1.0], [1.0], images=9, width=0.3).width == pytest.approx(0.3)


def repetition_values(score, landscape=BOWL, temperature=0.5, start=0.0, region=None, horizon=DT * STEPS, **options):
    chain = ss.EulerMaruyama(langevin(landscape, temperature), DT)
    fp = ss.escape(
        chain, np.full(1, start, np.float32), below(4.0) if region is None else region, horizon,
        trajectories=16_384, score=score, method="splitting", **options,
    )  # fmt: skip
    return fp.level_probability[:, -1]


@pytest.mark.long
def test_splitting_with_the_committor():
    """p = 5e-8, against the chain's kernel: 4 standard errors, false-fail rate 1e-4, to 10 %.

    Twin: the same table upside down, a score that falls on the way, must not agree.
    """
    truth = ChainExit(lambda x: x * (1 - DT), np.sqrt(DT), 0.0, 4.0, -6.0).exits(STEPS)[-1]
    score = ss.scores.committor(langevin(BOWL, 0.5), ~below(4.0), (-5, 4.5, 80), horizon=DT * STEPS)
    values = repetition_values(score)
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert error < 0.1 * truth and agrees(values.mean(), truth, error), (values.mean() / truth, error / truth)
    twin = ss.scores.GridScore(-score.values, score.low, score.spacing)
    assert not agrees(repetition_values(twin).mean(), truth, error)


@pytest.mark.long
def test_splitting_with_the_path():
    """Across a barrier of 12 T, against the chain's kernel: 4 standard errors, false-fail rate 1e-4, to 10 %."""
    temperature, steps, dt = 0.08, 100, 0.05
    truth = ChainExit(
        lambda x: x - dt * 4 * x * (x**2 - 1), np.sqrt(2 * temperature * dt), -1.0, 0.5, -2.2, nodes=600
    ).exits(steps)[-1]
    values = repetition_values(
        ss.scores.path(WELL, [-1.0], [1.0], images=9), WELL, temperature, -1.0, below(0.5), steps * dt, seed=1
    )
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert error < 0.1 * truth and agrees(values.mean(), truth, error), (values.mean() / truth, error / truth)


def committor(landscape=WELL, target=None, grid=(-2, 2, 50), horizon=5.0):
    return ss.scores.committor(
        langevin(landscape, 0.1), ~below(0.5) if target is None else target, grid, horizon=horizon
    )


def test_a_score_along_points_by_hand():
    """Three points on a line, each weighted by exp(−d²/width²); by default neighbours weigh a tenth at one another."""
    points, heights = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]), np.array([0.0, 3.0, 4.0])
    for width in (0.5, 2.0, None):
        weights = np.exp(-(np.array([0.5, 0.5, 1.5]) ** 2) / (width or 1 / np.sqrt(2.3)) ** 2)
        score = ss.scores.along(points, heights, images=3, width=width)
        exact = weights @ heights / weights.sum()
        assert float(score(jnp.array([0.5, 0.3]))) == pytest.approx(exact, rel=1e-5)
        assert float(ss.scores.along(points, images=3, width=width)(jnp.array([0.5, 0.3]))) < exact - 0.3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ss.scores.along([[0.0], [1.0]], "x"), "heights must be real numbers, got 'x'"),
        (lambda: committor(horizon=None), "horizon or avoid must be given, got neither"),
        (lambda: committor(horizon=-1.0), "horizon must be a finite number above 0, got -1"),
        (lambda: committor(grid=(-2, 0.3, 50)), "grid must have a cell centre in the target, got none"),
        (lambda: committor(target=ss.regions.Ball([1.0, 0.0], 0.2)), "region must live in dim = 1"),
        (lambda: committor(VALLEY), "grid must have 2 axes"),
        (lambda: committor()(jnp.zeros(3)), r"theta must have shape \(1,\), got shape \(3,\)"),
        (lambda: ss.scores.path(WELL, [-1.0]), "minima must be at least two, got 1"),
        (lambda: ss.scores.path(WELL, [-1.0], [-0.9]), r"minima\[0\] and minima\[1\] must be two minima"),
        (lambda: ss.scores.path(WELL, [-1.0], [0.0]), r"minima\[1\] = \[0\.\] must lead down to a minimum"),
        (lambda: ss.scores.path(WELL, [-1.0, 0.0], [1.0]), r"minima\[0\] must have shape \(1,\)"),
        (lambda: ss.scores.path(WELL, [-1.0], [1.0], images=2), "images must be at least 3, got 2"),
        (lambda: ss.scores.path(WELL, [-1.0], [1.0], width=0.0), "width must be a finite number above 0"),
        (lambda: ss.scores.path(WELL, [-1.0], [1.0])(jnp.zeros(2)), r"theta must have shape \(1,\)"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
