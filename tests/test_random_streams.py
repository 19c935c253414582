"""No trajectory, seed, step, component or stream knows of another.

`FALSE_FAIL` bounds the chance that a test fails, were its seed fresh: the p-values of a test are corrected for their
number. Each twin, which shares a little of what it must not share, is rejected at the same level; the chance that it
passes is below 1e-9.
"""

import hashlib
import itertools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sde_sgd.random import HashStream, group_words, normals32, seed_key

FALSE_FAIL = 1e-5
HASHES = 2**14
IDS = np.arange(HASHES, dtype=np.uint32)
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"

_hash = jax.jit(group_words, static_argnames=("components", "stream"))


def _bits(ids=IDS, seed=0, group=0, component=0, stream=HashStream.DYNAMICS):
    """All 64 bits of each hash as ±1: (hashes, 64)."""
    words = _hash(seed_key(seed), jnp.asarray(ids), jnp.uint32(group), 4, stream)
    bits = np.unpackbits(np.stack([word[component] for word in words], axis=-1).view(np.uint8), axis=-1)
    return 1 - 2 * bits.astype(np.float32)


def _bit_dependence(first, second):
    """p-value of: no bit of `first` is correlated with any bit of `second`.

    The 64 × 64 correlations are uncorrelated among themselves, so their squares add up to a chi-square.
    """
    correlations = first.T @ second / np.sqrt(len(first))
    return stats.chi2.sf(np.sum(correlations.astype(np.float64) ** 2), correlations.size)


def _without_bit(bit):
    """The first ids that have a 0 at that bit."""
    low = IDS & np.uint32((1 << bit) - 1)
    return low | (IDS - low) << np.uint32(1)


def _relations(kind):
    """Pairs of hashes that differ in one respect only."""
    base = _bits()
    if kind == "stride":
        return ((base, _bits(IDS + np.uint32(1 << k))) for k in range(32))
    if kind == "bit of id":
        return ((_bits(ids := _without_bit(k)), _bits(ids | np.uint32(1 << k))) for k in range(32))
    if kind == "bit of seed":
        return ((base, _bits(seed=1 << k)) for k in range(64))
    if kind == "bit of step":
        return ((base, _bits(group=1 << k)) for k in range(32))
    if kind == "component":
        return ((_bits(component=k), _bits(component=m)) for k in range(4) for m in range(k))
    pairs = itertools.combinations(HashStream, 2)
    return ((_bits(stream=a), _bits(stream=b)) for a, b in pairs)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["stride", "bit of id", "bit of seed", "bit of step", "component", "stream"])
def test_related_hashes_share_nothing(kind):
    """Strides 1, 2, 4 … 2³¹; every single bit of an id, a seed or a step; components; streams.

    Twin: 4 % of the hashes repeat their relative's. It adds 64 · 0.04² · 2¹⁴ = 1680 to a chi-square of 4096 ± 91, and
    the level is below 4096 + 500.
    """
    p_values = []
    for first, second in _relations(kind):
        p_values.append(_bit_dependence(first, second))
    assert min(p_values) * len(p_values) > FALSE_FAIL, int(np.argmin(p_values))
    copied = np.where(np.random.default_rng(0).random((HASHES, 1)) < 0.04, first, second)
    assert _bit_dependence(first, copied) * len(p_values) < FALSE_FAIL


def _normals(groups, trajectories, seed=4):
    """(2 · groups, trajectories): the normals of consecutive steps."""
    ids = jnp.arange(trajectories, dtype=jnp.uint32)

    def of_group(group):
        return jnp.concatenate(normals32(*group_words(seed_key(seed), ids, group, 1)))

    return np.asarray(jax.jit(jax.vmap(of_group))(jnp.arange(groups, dtype=jnp.uint32))).reshape(-1, trajectories)


def _largest_correlation(normals):
    """p-value of the largest of all correlations between two trajectories."""
    steps, trajectories = normals.shape
    z = np.abs(np.triu(normals.T @ normals / np.sqrt(steps), 1)).max()
    return trajectories * (trajectories - 1) * stats.norm.sf(z)


def test_no_two_trajectories_are_correlated():
    """All 32,640 pairs of 256 trajectories over 8,192 steps; then all pairs of their squares.

    Twin: a trajectory holds 15 % of another, which puts one pair 13.6 standard errors out; the level is at 6.3.
    """
    normals = _normals(4096, 256)
    assert _largest_correlation(normals) > FALSE_FAIL
    assert _largest_correlation((normals**2 - 1) / np.sqrt(2)) > FALSE_FAIL
    twin = normals.copy()
    twin[:, 200] = 0.15 * normals[:, 7] + np.sqrt(1 - 0.15**2) * normals[:, 200]
    assert _largest_correlation(twin) < FALSE_FAIL


def _sums_are_normal(values, axis):
    """Two-sided p-value of: sums along `axis`, scaled to variance 1, have squares that add up to a chi-square."""
    sums = values.sum(axis, dtype=np.float64) / np.sqrt(values.shape[axis])
    total = np.sum(sums**2)
    return 2 * min(stats.chi2.sf(total, sums.size), stats.chi2.cdf(total, sums.size))


@pytest.mark.long
def test_ensembles_and_paths_forget():
    """Sums over 65,536 trajectories at each of 256 steps, and over the steps of each trajectory: every pair counts.

    A correlation ρ common to all pairs multiplies the first variance by 1 + 65,535 ρ. Twin: noise of which 0.5 % is
    shared by all trajectories, ρ = 2.5e-5, makes it 2.6; the level is at 1.45. Likewise noise of which 2 % stays with a
    trajectory from step to step makes the second variance 1.10; the level is at 1.025.
    """
    normals = _normals(128, 2**16)
    for axis in (0, 1):
        assert _sums_are_normal(normals, axis) > FALSE_FAIL
        assert _sums_are_normal((normals**2 - 1) / np.sqrt(2), axis) > FALSE_FAIL
    shared = np.random.default_rng(0).standard_normal((256, 1))
    assert _sums_are_normal(normals + 0.005 * shared, 1) < FALSE_FAIL
    lasting = np.random.default_rng(0).standard_normal((1, 2**16))
    assert _sums_are_normal(normals + 0.02 * lasting, 0) < FALSE_FAIL


def test_the_battery_saw_this_stream():
    """The recorded run of `benchmarks/validation` was on the words that the engine draws today, and passed."""
    record = json.loads((RESULTS / "random-stream.json").read_text())
    ids = jnp.arange(2**16, dtype=jnp.uint32)
    words = jax.jit(jax.vmap(lambda group: jnp.stack(group_words(seed_key(record["seed"]), ids, group, 1), axis=-1)))
    first = np.asarray(words(jnp.arange(64, dtype=jnp.uint32)))
    assert hashlib.sha256(first.tobytes()).hexdigest() == record["sha256_of_first_32_MiB"]
    assert record["passed"] and record["twin_rejected"]
    assert record["bytes"] >= 2**33
