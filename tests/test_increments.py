"""A kind of increments is one class: words → draws; the ready-made ones have short names."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import sde_sgd as ss
from sde_sgd.random import INCREMENTS, AbstractIncrements, Gaussian, Rademacher, Source, seed_key, uniforms

REST = ss.diffusions.ItoDiffusion(lambda x, t: 0 * x, lambda x, t: 1 + 0 * x, 1)
WELL = ss.landscapes.Landscape(lambda x: jnp.sum((x**2 - 1) ** 2), 2)


@dataclasses.dataclass(frozen=True)
class Uniform(AbstractIncrements):
    """Uniform on (−√3, √3): mean 0, variance 1."""

    def draw(self, *words):
        return tuple((uniforms(word, jnp.float32) - 0.5) * jnp.float32(12**0.5) for word in words[0])


@dataclasses.dataclass(frozen=True)
class Ternary(AbstractIncrements):
    """±√3 with probability 1/6 each, else 0, from 8 bits a step: the third-order weak increment, about."""

    steps_per_hash: ClassVar[int] = 8

    def draw(self, *words):
        return words[0]

    def of_step(self, pair, offset, dtype):
        word = pair[offset // 4] if isinstance(offset, int) else jnp.where(offset < 4, *pair)
        byte = (word >> jnp.asarray(8 * (offset % 4), jnp.uint32)) & jnp.uint32(255)
        root = jnp.asarray(3**0.5, dtype)
        return jnp.where(byte < 43, root, jnp.where(byte >= 213, -root, 0))


def one_step(increments, dt=1.0):
    return ss.simulate(ss.EulerMaruyama(REST, dt, increments), np.zeros(1), 1, 65_536, seed=5)[:, 0]


def test_uniform_increments_are_uniform_with_unit_variance():
    """Kolmogorov–Smirnov and the variance on 65,536 draws; false-fail rate 1e-5. Twin: 3 % too wide."""
    x = one_step(Uniform())
    law = stats.uniform(-np.sqrt(3), 2 * np.sqrt(3))
    assert stats.kstest(x, law.cdf).pvalue > 1e-5
    assert stats.kstest(1.03 * x, law.cdf).pvalue < 1e-5
    # Var of the sample variance of a uniform: (9/5 − 1)/n
    assert abs(np.var(x) - 1) < 4.5 * np.sqrt(0.8 / x.size)


def test_a_kind_with_steps_of_its_own():
    """Eight steps a hash: none repeats another, and the values are those of the class."""
    chain = ss.EulerMaruyama(REST, 1.0, Ternary())
    path = ss.simulate(chain, np.zeros(1), 32, 4_096, seed=5, save_every=1)[:, :, 0]
    steps = np.diff(path, axis=0)
    assert np.allclose(np.unique(np.round(steps, 3)), [-1.732, 0, 1.732], atol=2e-3)
    counts = np.array([np.sum(steps > 1), np.sum(np.abs(steps) < 1), np.sum(steps < -1)])
    assert stats.chisquare(counts, steps.size * np.array([43, 170, 43]) / 256).pvalue > 1e-5
    correlations = np.corrcoef(steps)[np.triu_indices(32, 1)]
    assert np.max(np.abs(correlations)) < 5 / np.sqrt(4_096)


@pytest.mark.long
@pytest.mark.parametrize("increments", [Uniform(), Ternary()], ids=["uniform", "ternary"])
def test_bits_do_not_depend_on_chunk_devices_or_replay(increments):
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(WELL, 0.4), 0.01, increments)
    options = {"start": -np.ones(2, np.float32), "steps": 100, "seed": 3}
    whole = ss.simulate(chain, trajectories=200, **options)
    assert np.array_equal(whole, ss.simulate(chain, trajectories=200, chunk=64, **options))
    assert np.array_equal(whole, ss.simulate(chain, trajectories=200, devices=jax.devices()[:1], **options))
    assert np.array_equal(whole[[7, 150]], ss.simulate(chain, trajectory_ids=[7, 150], **options))
    passage = ss.escape(chain, options["start"], ss.regions.HalfSpace([1.0, 0.0], 0.0), 2.0, trajectories=256, seed=3)
    assert passage.count("target") > 0


@pytest.mark.parametrize("name", INCREMENTS)
def test_a_known_step_takes_what_a_traced_one_takes(name):
    """A Python integer saves the selection and no more; and the steps of a hash all take another part of it.

    Twin: the step behind.
    """
    kind = INCREMENTS[name]
    words = tuple(jnp.asarray(each) for each in np.random.default_rng(2).integers(0, 2**32, (2, 64), dtype=np.uint32))
    pair = kind.draw(words)
    traced = jax.jit(lambda offset: kind.of_step(pair, offset, jnp.float32))
    draws = [np.asarray(traced(jnp.uint32(offset))) for offset in range(kind.steps_per_hash)]
    assert len({draw.tobytes() for draw in draws}) == kind.steps_per_hash
    for offset, draw in enumerate(draws):
        known = np.asarray(kind.of_step(pair, offset, jnp.float32))
        assert np.array_equal(known, draw) and not np.array_equal(known, draws[offset - 1])


def test_ready_made_kinds_are_their_short_names():
    for name, kind in (("gaussian", Gaussian()), ("rademacher", Rademacher())):
        chains = [ss.EulerMaruyama(REST, 1.0, each) for each in (name, kind)]
        assert chains[0].noise_kind == chains[1].noise_kind == name
        assert np.array_equal(one_step(name), one_step(kind))
    assert set(INCREMENTS) == {"gaussian", "rademacher", "words"}


def test_what_is_no_kind_is_refused():
    with pytest.raises(ValueError, match="increments must be 'gaussian', 'rademacher' or a kind of increments"):
        ss.EulerMaruyama(REST, 1.0, 3)
    with pytest.raises(ValueError, match="noise_kind must be 'gaussian', 'rademacher', 'words' or a kind"):
        Source.of("cauchy", seed_key(0), 1, jnp.float32)
