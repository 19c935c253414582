"""Sampling of minibatches: shuffles held against enumeration, epochs against the examples that they really take."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import sde_sgd as ss
from sde_sgd.chains import AbstractSampling, ReshuffledEpochs, WholeState, WithoutReplacement, WithReplacement
from sde_sgd.chains import _shuffle as shuffle
from sde_sgd.chains._exact_words import numbers_of, words_of
from sde_sgd.engine import AbstractMonitor, run_population, seed_key
from sde_sgd.random import threefry2x32

WORD = 2**32


def grid(examples):
    """Rows and columns of the numbers 0 … N−1, written anew: lists of the numbers on each line."""
    width = 2 * max(1, round(math.sqrt(examples) / 2))
    rows = [list(range(first, min(first + width, examples))) for first in range(0, examples, width)]
    return rows, [[row[column] for row in rows if column < len(row)] for column in range(min(width, examples))]


def half_rounds(examples):
    return 2 * (32 if examples < 64 else 12)


def mixed(word):
    word = (word ^ (word >> 16)) * 0x7FEB352D % WORD
    word = (word ^ (word >> 15)) * 0x846CA68B % WORD
    return word ^ (word >> 16)


def order_by_hand(key, examples):
    """The whole order of a key, number by number, in Python's integers."""
    number = half_rounds(examples) // 2
    words = np.asarray(threefry2x32(key, (jnp.arange(number, dtype=jnp.uint32), jnp.uint32(0)))).tolist()
    places = list(range(examples))
    for pair in zip(*words, strict=True):
        for lines, word in zip(grid(examples), pair, strict=True):
            moved = {}
            for number, line in enumerate(lines):
                shift = ((mixed(number ^ word) >> 16) * len(line)) >> 16
                moved |= {each: line[(at + shift) % len(line)] for at, each in enumerate(line)}
            places = [moved[place] for place in places]
    return places


@functools.partial(jax.jit, static_argnums=1)
def orders_of(keys, examples):
    every = jnp.arange(examples, dtype=jnp.uint32)
    return jax.vmap(lambda key: shuffle.shuffled((key[0], key[1]), every, examples))(keys)


def keys(number, seed=0):
    return jax.random.bits(jax.random.key(seed), (number, 2), jnp.uint32)


@pytest.mark.parametrize("examples", [1, 2, 3, 7, 12, 63, 64, 65, 130])
def test_a_shuffle_is_the_walk_on_the_grid(examples):
    some = keys(4)
    for key, order in zip(some, np.asarray(orders_of(some, examples)), strict=True):
        assert order.tolist() == order_by_hand((key[0], key[1]), examples)
        assert sorted(order.tolist()) == list(range(examples))


@pytest.mark.parametrize("examples", range(2, 9))
def test_every_order_of_few_is_as_likely_as_every_other(examples):
    """Exact: the law of the walk over all N! orders, each turn of each line with equal probability."""
    orders = np.array(list(itertools.permutations(range(examples))))
    digits = examples ** np.arange(examples)
    codes = orders @ digits
    by_code = np.argsort(codes)
    law = np.zeros(len(orders))
    law[0] = 1
    turns = []
    for lines in grid(examples):
        moves = []
        for shifts in itertools.product(*(range(len(line)) for line in lines)):
            moved = np.empty(examples, int)
            for line, shift in zip(lines, shifts, strict=True):
                moved[line] = np.roll(line, -shift)
            moves.append(by_code[np.searchsorted(codes, moved[orders] @ digits, sorter=by_code)])
        turns.append(moves)
    unlikely = []
    for number in range(half_rounds(examples)):
        moves = turns[number % 2]
        law = sum(law[move] for move in moves) / len(moves)
        unlikely.append(np.abs(law * len(law) - 1).max())
    assert unlikely[-1] < 2e-6
    # broken twin: a cipher of four rounds
    assert examples == 2 or unlikely[3] > 1e-2


@pytest.mark.parametrize("examples", [9, 10, 33, 64, 65, 101])
def test_every_pair_of_places_holds_every_pair_of_examples_alike(examples):
    """Exact: the law of the pair in two places under the walk, from a pair in one row, in one column, and in none."""
    rows, columns = grid(examples)
    for start in ((0, 1), (0, len(rows[0])), (1, examples - 1)):
        law = np.zeros((examples, examples))
        law[start] = 1
        for number in range(half_rounds(examples)):
            lines = columns if number % 2 else rows
            spread = np.empty_like(law)
            for one, other in itertools.product(lines, lines):
                block = law[np.ix_(one, other)]
                if one is not other:
                    spread[np.ix_(one, other)] = block.mean()
                    continue
                # both turn together: their distance on the line stays
                for distance in range(len(one)):
                    at = np.arange(len(one))
                    together = (at, (at + distance) % len(one))
                    spread[np.array(one)[together[0]], np.array(one)[together[1]]] = block[together].mean()
            law = spread
        apart = ~np.eye(examples, dtype=bool)
        np.testing.assert_allclose(law[apart] * examples * (examples - 1), 1, atol=1e-6)
        np.testing.assert_array_equal(law[~apart], 0)


def chi_squared(counts, cells):
    """Probability that uniform counts over so many cells are as uneven as these."""
    counts = np.concatenate([counts, np.zeros(cells - len(counts))])
    expected = counts.sum() / cells
    return stats.chi2.sf(np.sum((counts - expected) ** 2) / expected, cells - 1)


def test_orders_of_real_keys_are_uniform(monkeypatch):
    """All 120 orders of 5 by 131,072 keys; with four turns in place of 64 the same test rejects."""
    some, digits = keys(2**17), 5 ** np.arange(5)
    counts = np.unique(np.asarray(orders_of(some, 5)) @ digits, return_counts=True)[1]
    assert chi_squared(counts, 120) > 1e-4
    monkeypatch.setattr(shuffle, "_ROUNDS_OF_FEW", 2)
    few = np.asarray(jax.vmap(lambda key: shuffle.shuffled((key[0], key[1]), jnp.arange(5, dtype=jnp.uint32), 5))(some))
    assert chi_squared(np.unique(few @ digits, return_counts=True)[1], 120) < 1e-12


def test_even_and_odd_orders_of_a_square_number():
    """A grid of odd width and height would make even orders only."""
    orders = np.asarray(orders_of(keys(400), 9))
    odd = [np.linalg.det(np.eye(9)[order]) < 0 for order in orders]
    assert abs(np.mean(odd) - 0.5) < 4 * 0.5 / 20


@pytest.mark.parametrize("examples", [64, 100])
def test_places_and_neighbours_of_real_keys_are_uniform(examples):
    """χ² of which example stands at each place, and of the distance between neighbours; also for keys that follow."""
    number = 2**21 // examples
    counting = np.stack([np.arange(number), np.zeros(number)], axis=1).astype(np.uint32)
    for some in (keys(number, 5), jnp.asarray(counting)):
        orders = np.asarray(orders_of(some, examples))
        for place in (0, 1, examples // 2, examples - 1):
            assert chi_squared(np.bincount(orders[:, place]), examples) > 1e-4
        apart = (np.diff(orders, axis=1) % examples).ravel()
        assert chi_squared(np.bincount(apart)[1:], examples - 1) > 1e-4


# one example's loss is −θ_n: with γ = M a step adds 1 to the component of each example that it draws


def counting_chain(examples, batch_size, replacement):
    risk = ss.EmpiricalRisk(jnp.zeros(examples), lambda w, x, y: -jnp.dot(w, x), np.eye(examples), np.zeros(examples))
    return ss.MinibatchSGD(risk, float(batch_size), batch_size, replacement)


def draws(chain, steps, trajectories=128):
    """How often each step of each trajectory draws each example: (steps, trajectories, N)."""
    ids = jnp.arange(trajectories)

    def one(states, number):
        states = ss.integrate(chain, states, number, 1, 11, ids)
        return states, states

    begun = starts(chain, trajectories)
    path = jax.jit(lambda states: jax.lax.scan(one, states, jnp.arange(steps))[1])(begun)
    return np.diff(np.concatenate([begun[None], path])[:, :, : chain.dim], axis=0).astype(int)


@pytest.mark.parametrize(
    ("examples", "batch_size"),
    # with a rest and of few rounds, without one and of more
    [(14, 4), (70, 35), *(pytest.param(*each, marks=pytest.mark.long) for each in ((12, 3), (5, 5), (3, 1)))],
)
def test_an_epoch_takes_every_example_once(examples, batch_size):
    chain, length = counting_chain(examples, batch_size, "epoch"), examples // batch_size
    taken = draws(chain, 3 * length)
    assert np.all(taken.sum(axis=2) == batch_size)
    epochs = taken.reshape(3, length, -1, examples)
    used = epochs.sum(axis=1)
    if examples % batch_size == 0:
        assert np.all(used == 1)
    else:
        # the rest is dropped: another one in every epoch
        assert set(np.unique(used)) == {0, 1} and np.all(used.sum(axis=2) == length * batch_size)
        assert 0 < np.mean(np.all(used[0] == used[1], axis=1)) < 0.2
    if length > 1:
        # another order in every epoch and every trajectory
        assert np.mean(np.all(epochs[0, 0] == epochs[1, 0], axis=1)) < 0.5
        assert len(np.unique(epochs[0, 0], axis=0)) > 1
    assert not chain.changes_in_time


def test_batches_of_a_step_and_of_two_steps_are_uniform():
    """All subsets of 2 of 5, in a step alone and in two steps: of an epoch (30 pairs), and without (100 pairs)."""
    code = 2 ** np.arange(5)
    for replacement, pairs in (("epoch", 30), (False, 100)):
        taken = draws(counting_chain(5, 2, replacement), 4, trajectories=16_384) @ code
        for step in taken:
            assert chi_squared(np.unique(step, return_counts=True)[1], 10) > 1e-4
        for one, other in ((0, 1), (2, 3)):
            both = np.unique(32 * taken[one] + taken[other], return_counts=True)[1]
            assert len(both) == pairs and chi_squared(both, pairs) > 1e-4
        # steps of two epochs are independent
        assert chi_squared(np.unique(32 * taken[1] + taken[2], return_counts=True)[1], 100) > 1e-4
    twice = draws(counting_chain(5, 2, True), 1, trajectories=16_384)[0].max(axis=1) == 2
    assert abs(twice.mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 16_384)


@pytest.mark.long
def test_examples_do_not_depend_on_chunks_devices_or_replay():
    chain = counting_chain(14, 4, "epoch")
    whole, zero = draws(chain, 7, 200).cumsum(axis=0), np.zeros(14, np.float32)
    for options in ({"devices": jax.devices()[:1]}, {"devices": jax.devices(), "chunk": 64}):
        np.testing.assert_array_equal(ss.simulate(chain, zero, 7, 200, seed=11, **options), whole[6])
    np.testing.assert_array_equal(ss.simulate(chain, zero, 7, seed=11, trajectory_ids=[199, 3]), whole[6, [199, 3]])
    # cut in the middle of an epoch
    states = ss.integrate(chain, starts(chain, 5), 0, 5, 11, np.arange(5))
    np.testing.assert_array_equal(states[:, :14], whole[4, :5])
    np.testing.assert_array_equal(ss.integrate(chain, states, 5, 2, 11, np.arange(5))[:, :14], whole[6, :5])


def starts(chain, number):
    return jnp.tile(chain.begin(jnp.zeros(chain.dim)), (number, 1))


class Never(AbstractMonitor):
    """Stops nothing."""

    uniforms: int = 0
    looks_back: bool = False

    def code(self, before, after, step_index, uniform):
        return jnp.int32(0)


@pytest.mark.long
def test_a_branch_goes_on_with_the_epoch_of_its_parent():
    """As splitting does it: new ids at step 2 of an epoch of 4, and then a new epoch of each branch's own."""
    chain, ids = counting_chain(12, 3, "epoch"), np.arange(8)
    parents = np.asarray(ss.integrate(chain, starts(chain, 8), 0, 2, 3, ids))

    def branches(states, steps):
        clocks, budgets = np.full(64, 2), np.full(64, steps)
        ends = run_population(chain, Never(), np.repeat(states, 8, axis=0), 100 + np.arange(64), clocks, budgets, KEY)
        return ends.state[:, :12]

    KEY = seed_key(9)
    assert np.all(branches(parents, 2) == 1)
    longer = branches(parents, 3) - 1
    assert np.all(longer.sum(axis=1) == 3) and len(np.unique(longer, axis=0)) > 32
    # broken twin: branches that begin epochs of their own
    forgetful = np.concatenate([parents[:, :12], np.zeros((8, 5), np.float32)], axis=1)
    assert np.any(branches(forgetful, 2) != 1)


def test_what_an_epoch_keeps():
    """Exact whole numbers behind θ: how many steps are done, and a key of 64 bits."""
    chain = counting_chain(12, 3, "epoch")
    states = ss.simulate(WholeState(chain), np.asarray(starts(chain, 1))[0], 6, 64, seed=11)
    assert np.all(states[:, 12] == 2)
    halves = states[:, 13:]
    assert np.all((halves == np.round(halves)) & (halves >= 0) & (halves < 2**16)) and len(np.unique(halves)) > 200
    for dtype in (jnp.float32, jnp.float64):
        with jax.enable_x64(True):
            words = jnp.asarray([0, 1, 0xFFFF, 0x10000, 2**31, 2**32 - 1], jnp.uint32)
            kept = numbers_of(words, dtype)
            assert kept.dtype == dtype and float(kept.max()) < 2**16
            np.testing.assert_array_equal(words_of(kept), words)
    with pytest.raises(ValueError, match="start must be float32 or float64"):
        ss.simulate(chain, np.zeros(12, np.float16), 2, 4)


def test_objects_mean_what_their_short_names_do():
    short = {True: WithReplacement(), False: WithoutReplacement(), "epoch": ReshuffledEpochs()}
    for name, sampling in short.items():
        for given in (name, sampling):
            assert type(counting_chain(6, 2, given).sampling) is type(sampling)


class First(AbstractSampling):
    """A person's own: the first M examples, always."""

    def words(self, batch_size):
        return 1

    def draw(self, place, words, examples, batch_size):
        return jnp.arange(batch_size, dtype=jnp.int32), place

    def variance(self, examples, batch_size):
        return 0.0


def test_a_sampling_of_ones_own():
    taken = draws(counting_chain(4, 2, First()), 3, 64)
    assert np.all(taken == np.array([1, 1, 0, 0]))


@pytest.mark.parametrize("replacement", [1, None, "epochs", [True], WithReplacement])
def test_what_is_no_sampling(replacement):
    with pytest.raises(ValueError, match=r"replacement must be True, False .*'epoch'.* or a sampling such as"):
        counting_chain(6, 2, replacement)


@pytest.mark.parametrize("replacement", [False, "epoch"])
def test_batches_larger_than_the_data(replacement):
    with pytest.raises(ValueError, match=r"batch_size must be at most 6, the number of examples, .* got 7"):
        counting_chain(6, 7, replacement)
    assert np.all(draws(counting_chain(6, 6, replacement), 2, 64) == 1)


def test_epochs_of_too_many_steps():
    with pytest.raises(ValueError, match=r"batch_size must be at least 3 for epochs of at most 2\*\*24 steps"):
        ReshuffledEpochs().check(2**25 + 2, 2)
    ReshuffledEpochs().check(2**25 + 1, 2)
