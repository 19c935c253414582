"""Minibatch SGD split at its own large steps, which jump over levels: against its exact kernel and brute force."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from scipy.stats import binom

import sde_sgd as ss
from sde_sgd.passage.splitting._repetitions import Tally
from sde_sgd.passage.splitting._run import _differ_much, _few_hold_most
from sde_sgd.results import Status

RATE, BATCH, STEPS = 0.4, 8, 64


class Weight(eqx.Module):
    value: Array


# ½(θ − y)² with y = ±1: a step goes two fifths of the way to the mean of eight signs
RISK = ss.EmpiricalRisk(
    Weight(jnp.zeros(1)), lambda model, x, y: 0.5 * (model.value[0] - y) ** 2, np.zeros((2, 1)), np.array([-1.0, 1.0])
)


def exact(target, loudness=1.0, points=20_001):
    """P(θ ≥ target within 64 steps), by values at grid points."""
    grid, value = np.linspace(-1.1, target, points), np.zeros(points)
    means = loudness * np.linspace(-1, 1, BATCH + 1)
    ahead = [np.where(after >= target, np.inf, after) for after in ((1 - RATE) * grid + RATE * mean for mean in means)]
    chances = binom.pmf(np.arange(BATCH + 1), BATCH, 0.5)
    for _ in range(STEPS):
        steps = (np.where(np.isinf(after), 1.0, np.interp(after, grid, value)) for after in ahead)
        value = sum(chance * each for chance, each in zip(chances, steps, strict=True))
    return float(np.interp(0.0, grid, value))


def passage(target, **options):
    chain = ss.MinibatchSGD(RISK, RATE, BATCH)
    return ss.first_passage(chain, np.zeros(1), ~ss.regions.HalfSpace([1.0], target), horizon=STEPS * RATE, **options)


def apart(estimate, truth):
    """|log(estimate/truth)| in half-widths of the 95 % interval: above 1.68 once in a thousand."""
    return abs(math.log(float(estimate) / truth)) / (math.log(float(estimate.high / estimate.low)) / 2)


@pytest.mark.long
def test_steps_that_jump_over_levels():
    """At 9.8e-7 within the 99.9 % interval, and complete. Twin: steps 3 % louder, three times as likely, rejected."""
    truth = exact(0.83)
    assert truth == pytest.approx(9.776e-7, rel=1e-3)
    found = passage(0.83, rtol=0.1, seed=1)
    assert (
        found.method == "splitting" and found.status is Status.COMPLETE and found.probability.relative_half_width < 0.1
    )
    assert apart(found.probability, truth) < 1.68 and apart(found.probability, exact(0.83, 1.03)) > 5


@pytest.mark.long
def test_brute_force_agrees_where_it_can():
    """At 5e-3 direct simulation and splitting both hold the kernel's value in their 99.9 % intervals."""
    truth = exact(0.62)
    for options in ({"method": "direct", "trajectories": 2**17}, {"method": "splitting", "trajectories": 2**14}):
        found = passage(0.62, seed=3, **options)
        assert found.method == options["method"] and apart(found.probability, truth) < 1.68


def test_repetitions_that_differ_much():
    """A spread above 1, or a few that hold more than a third."""

    def seen(values):
        reached = np.asarray(values, float)[:, None]
        return Tally(*[np.zeros(0)] * 2, np.zeros(0, int), reached, *[np.zeros(len(reached))] * 3, 0)

    even = np.linspace(0.5, 1.5, 32)
    assert not _differ_much(seen(even)) and not _few_hold_most(seen(even))
    assert _differ_much(seen(np.where(np.arange(32) < 8, 1.0, 0.1)))
    assert _few_hold_most(seen(np.append(even, [20.0]))) == "3 of 33 repetitions hold 44%"
    assert not _few_hold_most(seen(np.zeros(32))) and not _differ_much(seen(np.zeros(32)))
