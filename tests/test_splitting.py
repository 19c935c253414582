"""Rare passages by splitting, against the discrete chain's exactly iterated transition kernel."""

import functools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from splitting_cases import CHAIN, DT, FINE, FINE_CHAIN, START, below, escape, exact, repetition_values
from statistical import agrees

import sde_sgd as ss
from sde_sgd.passage import Splitting, SplittingSample
from sde_sgd.passage.splitting import _account, _levels, _run
from sde_sgd.reference import ChainExit


def group(fp, first, number):
    """The result of `number` of the repetitions alone."""
    kept = slice(first, first + number)
    mine = (fp.repetition >= first) & (fp.repetition < first + number)
    names = ("level_probability", "diverging", "unfinished", "exposure")
    return eqx.tree_at(
        lambda f: (f.steps, f.weights, f.repetition, *(getattr(f, name) for name in names)),
        fp.evidence,
        (fp.steps[mine], fp.weights[mine], fp.repetition[mine] - first, *(getattr(fp, name)[kept] for name in names)),
    )


@pytest.mark.parametrize(
    ("level", "dt", "size"),
    [
        pytest.param(2.5, DT, 256, marks=pytest.mark.long, id="1e-3"),
        pytest.param(4.0, DT, 512, id="1e-7"),
        pytest.param(5.5, FINE, 512, marks=pytest.mark.long, id="1e-13"),
        pytest.param(7.8, FINE, 2048, marks=pytest.mark.long, id="1e-25"),
    ],
)
def test_the_probability_is_that_of_the_kernel(level, dt, size):
    """Within 4 standard errors of the repetitions' mean (false-fail rate 1e-4 each), to some per cent."""
    chain, steps = (CHAIN, 120) if dt == DT else (FINE_CHAIN, 300)
    fp = ss.escape(chain, START, below(level), steps * dt, trajectories=32 * size, method="splitting", seed=1)
    assert isinstance(fp.evidence, SplittingSample) and fp.method == "splitting" and fp.result == "complete"
    values, truth = repetition_values(fp), exact(level, steps, dt)[-1]
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert error < 0.15 * truth
    assert agrees(values.mean(), truth, error), (values.mean() / truth, error / truth)
    assert float(fp.probability.value) == pytest.approx(values.mean())
    assert fp.probability.low < fp.probability.value < fp.probability.high


def test_a_coarse_chain(monkeypatch):
    """Steps whose drift exceeds their noise on the way: within 4 standard errors, which are small, and counted whole.

    Twin: undivided steps, whose repetitions spread more than twice as much.
    """
    dt, steps, level = 0.25, 24, 4.0
    chain = ss.EulerMaruyama(CHAIN.diffusion, dt)

    def run():
        return ss.escape(chain, START, below(level), steps * dt, trajectories=65_536, method="splitting", seed=31)

    fp, truth = run(), exact(level, steps, dt)
    values = repetition_values(fp)
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert truth[-1] < 1e-5 and agrees(values.mean(), truth[-1], error) and error < 0.06 * truth[-1]
    assert set(fp.steps) <= set(range(1, steps + 1)) and float(fp.exposure.mean()) == pytest.approx(steps * dt, 1e-3)
    found = fp.reached([12 * dt])
    assert agrees(found.value, truth[12], (found.high - found.low) / 4)
    monkeypatch.setattr(_run, "_OVERSHOOT", np.inf)
    undivided = repetition_values(run())
    assert undivided.std(ddof=1) > 2 * values.std(ddof=1)


def test_small_populations_are_unbiased():
    """Repetitions of 8 trajectories, about a sixth of which die out: their mean agrees within 3 standard errors.

    Twin: the mean of those that did not die out.
    """
    fp = escape(3.5, trajectories=16_000 * 8, method=Splitting(repetitions=16_000), seed=2)
    values, truth = repetition_values(fp), exact(3.5, 120)[-1]
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - truth) <= 3 * error < 0.15 * truth
    alive = values[values > 0]
    assert len(alive) < 0.95 * len(values)
    assert not abs(alive.mean() - truth) <= 3 * error


def test_thinning_changes_no_expectation(monkeypatch):
    """Nine of ten that fall one level back, not six, are dropped, which is where much of the probability comes from.

    Twin: the others not weighted up for them.
    """
    monkeypatch.setattr(_levels, "_RETREAT", 1)
    truth = exact(3.5, 120)[-1]

    def run():
        values = repetition_values(escape(3.5, trajectories=131_072, method=Splitting(repetitions=256), seed=17))
        return values.mean(), values.std(ddof=1) / np.sqrt(len(values))

    value, error = run()
    assert agrees(value, truth, error) and error < 0.05 * truth, (value / truth, error / truth)
    monkeypatch.setattr(_account, "KEPT", 1.0)
    value, error = run()
    assert not agrees(value, truth, error), (value / truth, error / truth)


@functools.cache
def many():
    """Hundreds of runs of 32 repetitions, side by side."""
    return escape(3.5, trajectories=200 * 32 * 128, method=Splitting(repetitions=200 * 32), seed=3)


@pytest.mark.long
def test_coverage():
    """Of 200 intervals of about ±10 %, between 93 and 97.5 % hold the kernel's value; at half the width they do not."""
    truth = exact(3.5, 120)[-1]
    found = [group(many(), 32 * number, 32).probability for number in range(200)]
    width = np.median([estimate.relative_half_width for estimate in found])
    assert 0.05 < width < 0.2
    share = np.mean([estimate.contains(truth) for estimate in found])
    assert 0.93 <= share <= 0.975, share
    narrow = np.mean(
        [
            np.sqrt(e.low * e.value) <= truth <= np.sqrt(e.high * e.value)
            for e in found
        ]
    )  # fmt: skip
    assert narrow < 0.85


@pytest.mark.long
def test_the_law_of_the_passage_time():
    """P(τ ≤ t) along the way, and the mean exit time that its tail implies, against the kernel (4 standard errors)."""
    fp, steps = many(), np.array([20, 60, 120])
    found, truth = fp.reached(steps * DT), exact(3.5, 120)[steps]
    error = (found.high - found.low) / (2 * 1.96)
    assert agrees(found.value, truth, error), (found.value / truth, error / truth)
    long = escape(3.5, 300, trajectories=65_536, method="splitting", seed=4).mean_exit_time
    mean = DT * ChainExit(lambda x: x * (1 - DT), np.sqrt(DT), 0.0, 3.5, -6.0).mean_steps()
    error = (long.high - long.low) / (2 * 2.04)
    assert agrees(long.value, mean, error), (long.value / mean, error / mean)
    assert error < 0.1 * mean


@pytest.mark.long
def test_any_score_gives_the_same_probability():
    """A function of θ, and one of θ and t, both poor ones: within 4 standard errors of the kernel's value."""
    truth = exact(3.5, 120)[-1]
    for score in (lambda x: x[0] ** 3, lambda x, t: x[0] + 0.2 * t):
        values = repetition_values(escape(3.5, trajectories=16_384, score=score, method="splitting", seed=6))
        assert agrees(values.mean(), truth, values.std(ddof=1) / np.sqrt(len(values)))


@pytest.mark.long
def test_target_before_avoid_without_horizon():
    """A walk of ±1 from 1 reaches 100 before 0 with probability 1/100, as a martingale. False-fail rate 1e-4."""
    diffusion = ss.diffusions.ItoDiffusion(lambda x, t: 0 * x, lambda x, t: 1 + 0 * x, 1)
    chain = ss.EulerMaruyama(diffusion, 1.0, increments="rademacher")
    fp = ss.first_passage(
        chain, np.array([1.0], np.float32), ~below(99.5), below(0.5), trajectories=8_192, method="splitting"
    )
    values = repetition_values(fp)
    assert agrees(values.mean(), 0.01, values.std(ddof=1) / np.sqrt(len(values)))
    assert fp.exit_rate.value > 0 and np.isfinite(fp.mean_exit_time.value)


@pytest.mark.long
def test_an_avoided_set_where_the_score_is_high():
    """Half of the highest peaks lie in `avoid`, from which nothing goes on: levels are not chosen by them.

    To −a before a: but for p², the kernel's probability to pass a alone. False-fail rate 1e-4.
    """
    end, steps = 3.949, 300
    options = {"score": lambda x: x[0] ** 2, "trajectories": 16_384, "method": "splitting", "seed": 0}
    fp = ss.first_passage(FINE_CHAIN, START, below(-end), ~below(end), steps * FINE, **options)
    values = repetition_values(fp)
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert fp.result == "complete" and len(fp.levels) > 10 and error < 0.1 * values.mean()
    assert agrees(values.mean(), exact(end, steps, FINE)[-1], error)


@pytest.mark.long
def test_between_the_steps_too():
    """monitoring="continuous": more passages than on the grid, and those of direct simulation."""
    fine, coarse = (
        escape(2.5, trajectories=32_768, monitoring=kind, method="splitting", seed=7)
        for kind in ("continuous", "discrete")
    )
    direct = escape(2.5, trajectories=262_144, monitoring="continuous", method="direct", seed=8)
    error = np.hypot(*((e.probability.high - e.probability.low) / 4 for e in (fine, direct)))
    assert agrees(fine.probability.value, direct.probability.value, error)
    assert coarse.probability.high < fine.probability.low


@pytest.mark.long
def test_two_dimensions():
    """A planar Ornstein–Uhlenbeck chain leaves |x₀| < 4, |x₁| < 4: 1 − (1 − 2p)² for p of one side.

    The components are independent, so the kernel of one gives the exact value. False-fail rate 1e-4; a twin with
    noise 3 % louder, whose p is twice as large, is rejected.
    """
    truth = 1 - (1 - 2 * exact(4.0, 120)[-1]) ** 2

    def run(temperature):
        plane = ss.landscapes.Landscape(lambda x: 0.5 * jnp.sum(x**2), dim=2)
        chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(plane, temperature), DT)
        sides = [ss.regions.HalfSpace(sign * np.eye(2)[axis], 4.0) for axis in (0, 1) for sign in (1.0, -1.0)]
        box = sides[0] & sides[1] & sides[2] & sides[3]
        fp = ss.escape(chain, np.zeros(2), box, 120 * DT, trajectories=16_384, method="splitting", seed=11)
        values = repetition_values(fp)
        return values.mean(), values.std(ddof=1) / np.sqrt(len(values))

    value, error = run(0.5)
    assert agrees(value, truth, error), (value / truth, error / truth)
    value, error = run(0.5 * 1.03**2)
    assert not agrees(value, truth, error)


@pytest.mark.long
def test_minibatch_sgd():
    """Real SGD leaves a sublevel set as often by splitting as by many direct trajectories (4 standard errors)."""
    inputs = np.linspace(-1, 1, 16, dtype=np.float32)[:, None]
    targets = (inputs[:, 0] + np.where(np.arange(16) % 2, 0.5, -0.5)).astype(np.float32)
    model = jnp.zeros(1, jnp.float32)
    risk = ss.EmpiricalRisk(model, lambda w, x, y: (w @ x - y) ** 2, inputs, targets)
    minimum = np.array([float(np.sum(inputs[:, 0] * targets) / np.sum(inputs**2))], np.float32)
    chain = ss.MinibatchSGD(risk, 0.2, 2)
    options = {"start": minimum, "region": ss.regions.Ball(minimum, 0.56), "horizon": 20.0}
    direct = ss.escape(chain, trajectories=200_000, method="direct", seed=12, **options)
    split = ss.escape(chain, trajectories=32_768, method="splitting", seed=13, **options)
    values = repetition_values(split)
    error = np.hypot(values.std(ddof=1) / np.sqrt(len(values)), (direct.probability.high - direct.probability.low) / 4)
    assert direct.count("target") > 100 and direct.probability.value < 0.02
    assert agrees(values.mean(), direct.probability.value, error)
