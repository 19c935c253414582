"""Seeds are used whole or refused in one sentence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sde_sgd as ss
from sde_sgd.random import HashStream, Stream, derived_key, seed_key, seed_number

LANDSCAPE = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, 1)
CHAIN = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(LANDSCAPE, 0.3), 0.01)
LARGE = 2**40 + 7


def final(seed):
    return ss.simulate(CHAIN, np.array([-1.0]), 16, 64, seed=seed)


def words(seed):
    return tuple(int(word) for word in seed_key(seed))


WHOLE = {
    "a Python integer": (LARGE, LARGE),
    "a NumPy integer": (np.int64(LARGE), LARGE),
    "the largest": (np.uint64(2**64 - 1), 2**64 - 1),
    "a NumPy array": (np.array(LARGE), LARGE),
    "an array of the largest": (np.array(2**64 - 1, np.uint64), 2**64 - 1),
    "a short NumPy integer": (np.int8(7), 7),
    "a JAX integer": (jnp.int32(7), 7),
    "a JAX key": (jax.random.key(7), 7),
    "a JAX key of the old style": (jax.random.PRNGKey(7), 7),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_seed_is_used_whole(name):
    seed, number = WHOLE[name]
    assert seed_number(seed) == number and type(seed_number(seed)) is int
    assert words(seed) == (number % 2**32, number // 2**32)


def test_runs_of_one_seed_are_one_run():
    assert np.array_equal(final(np.array(LARGE)), final(LARGE))
    assert not np.any(final(LARGE) == final(LARGE % 2**32))
    assert np.array_equal(final(jax.random.key(7)), final(7))


def test_a_key_made_by_a_split_is_a_seed():
    first, second = jax.random.split(jax.random.key(7))
    high, low = np.asarray(jax.random.key_data(first)).tolist()
    assert seed_number(first) == high * 2**32 + low != seed_number(second)


REFUSED = {
    "negative": -1,
    "too large": 2**64,
    "a negative JAX integer": jnp.int32(-1),
    "a negative array": np.array(-1),
    "nothing": None,
    "a truth": True,
    "a NumPy truth": np.bool_(True),
    "an array of a truth": np.array(True),
    "a float": 7.0,
    "an array of a float": np.array(7.0),
    "several": np.arange(2),
    "a word": "seven",
    "two keys": jax.random.split(jax.random.key(7)),
    "a key of four words": jax.random.key(7, impl="rbg"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_seed_is_refused_in_one_sentence(name):
    sentence = r"^seed must be a whole number from 0 to 2\*\*64 - 1, or a JAX key of two words, got "
    for call in (seed_key, seed_number, final):
        with pytest.raises(ValueError, match=sentence) as caught:
            call(REFUSED[name])
        assert "\n" not in str(caught.value)


def test_traced_seeds_are_those_of_their_numbers():
    ids, states = np.arange(8), jnp.full((8, 1), -1.0)

    @jax.jit
    def run(seed):
        return ss.integrate(CHAIN, states, 0, 6, seed, ids)

    for seed, same in ((jnp.uint32(2**32 - 1), 2**32 - 1), (jnp.int32(9), 9), (jax.random.key(LARGE % 2**32), 7)):
        np.testing.assert_allclose(run(seed), ss.integrate(CHAIN, states, 0, 6, same, ids), rtol=1e-5)
    with pytest.raises(ValueError, match=r"^seed must be a whole number"):
        jax.jit(seed_number)(jnp.int32(9))
    with jax.enable_x64(True):
        assert [int(word) for word in jax.jit(seed_key)(jnp.uint64(LARGE))] == list(words(LARGE))


def test_the_registry_of_streams_never_changes():
    """Bits depend on these numbers."""
    assert {stream.name: stream.value for stream in HashStream} == {
        "DYNAMICS": 0,
        "LOW_BITS": 1,
        "BRIDGE": 2,
        "DERIVED": 3,
    }
    assert {stream.name: stream.value for stream in Stream} == {
        "PILOT": 0,
        "LEVELS": 1,
        "REPETITIONS": 2,
        "EQUILIBRATION": 3,
        "EXCURSIONS": 5,
        "LINGERERS": 6,
        "OTHER_SET": 7,
        "EARLY": 8,
        "SURROUNDINGS": 9,
        "SECOND_SCORE": 10,
        "BASINS": 11,
        "FIRST_BASIN": 12,
        "FAR_OUT": 13,
    }


def test_derived_seeds_share_no_hash_with_each_other():
    """Keys of all streams, derived once and twice, under two seeds: all different."""
    keys = [seed_key(7), seed_key(8)]
    keys += [derived_key(key, stream) for key in keys[:2] for stream in Stream]
    keys += [derived_key(key, stream) for key in keys[2:8] for stream in Stream]
    assert len({tuple(map(int, key)) for key in keys}) == len(keys)
