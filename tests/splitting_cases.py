"""An Ornstein–Uhlenbeck chain whose rare passages are known exactly, shared by the tests of splitting."""

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
