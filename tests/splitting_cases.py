"""Chains whose rare passages are known exactly, shared by the tests of splitting: Ornstein–Uhlenbeck, and jumps."""

import functools

import numpy as np

import sde_sgd as ss
from sde_sgd.passage import Splitting
from sde_sgd.passage._question import execution_of, make_question
from sde_sgd.reference import ChainExit

DT, FINE = 0.05, 0.02
ORNSTEIN_UHLENBECK = ss.landscapes.Landscape(lambda x: 0.5 * x[0] ** 2, dim=1)
CHAIN, FINE_CHAIN = (ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ORNSTEIN_UHLENBECK, 0.5), dt) for dt in (DT, FINE))
START = np.zeros(1, np.float32)


def below(level):
    return ss.regions.HalfSpace(np.array([1.0]), level)


@functools.cache
def exact(level, steps, dt=DT):
    return ChainExit(lambda x: x * (1 - dt), np.sqrt(dt), 0.0, level, -6.0).exits(steps)


def escape(level, steps=120, **options):
    return ss.escape(CHAIN, START, below(level), steps * DT, **options)


def repetition_values(fp):
    return fp.level_probability[:, -1]


def asked(level, horizon):
    """The question, its execution and its score."""
    question = make_question(CHAIN, START, ~below(level), None, horizon)
    return question, execution_of(question, 0, None, None, None), Splitting().score_for(question)


def outlier(examples):
    """SGD with one example at a time, of which one pulls to 10 and all others hold at 0, which it leaves rarely."""
    inputs = np.zeros((examples, 1), np.float32)
    inputs[0] = 10.0
    risk = ss.EmpiricalRisk(
        np.zeros(1, np.float32), lambda w, x, y: 0.5 * ((w - x) ** 2).sum(), inputs, np.zeros(examples)
    )
    return ss.MinibatchSGD(risk, 0.2, 1)


def outlier_exits(examples, level, steps):
    """P(θ above `level` within so many steps) from 0, by the backward equation on a grid: to 1e-7 of it at level 5."""
    grid = np.linspace(0.0, level, 400_001)
    chances = np.zeros_like(grid)
    for _ in range(steps):
        chances = sum(
            weight * np.where(after > level, 1.0, np.interp(after, grid, chances))
            for after, weight in ((0.8 * grid, 1 - 1 / examples), (0.8 * grid + 2.0, 1 / examples))
        )
    return float(chances[0])
