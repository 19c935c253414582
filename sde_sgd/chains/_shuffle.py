"""Keyed permutations: any entry of a random order of 0 … N−1 from a key of 64 bits, and no order is ever stored."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, UInt32

from ..random import Word, threefry2x32

_FEW = 64
_ROUNDS, _ROUNDS_OF_FEW = 12, 32


def shuffled(key: tuple[Word, Word], places: UInt32[Array, " n"], examples: int) -> Int32[Array, " n"]:
    """Entries number `places`, (n,), of the order of 0 … N−1 that `key` stands for, N = `examples` < 2³¹.

    The numbers lie in rows on a grid that is about as wide as high, its last row perhaps shorter. A round turns every
    row by a random number of places, and then every column: each number is moved by itself, exactly N places are
    filled, and uniform orders stay uniform. It is a Feistel network over Z_a × Z_b (Black and Rogaway 2002) that needs
    no walk along cycles, because the lines that are shorter turn in their own length.

    How uniform it is, with ideal words, is enumerated exactly in the tests: for N ≤ 8 each of the N! orders has the
    probability 1/N! to within 2e-6 of it; for larger N each ordered pair of entries has 1/(N(N−1)) to within 1e-6 of
    it. The words are Threefry's for the rounds, mixed with the number of the line.
    """
    width, height = _grid(examples)
    last = jnp.uint32(examples - width * (height - 1))
    wide, high = jnp.uint32(width), jnp.uint32(height)
    few = examples < _FEW
    rounds = _ROUNDS_OF_FEW if few else _ROUNDS

    def turn(place, words):
        row, column = place
        column = _turned(column, row, words[0], jnp.where(row == high - 1, last, wide))
        row = _turned(row, column, words[1], jnp.where(column < last, high, high - 1))
        return (row, column), None

    words = threefry2x32(key, (jnp.arange(rounds, dtype=jnp.uint32), jnp.uint32(0)))
    # the rounds of one index are one fusion, where they are not too many to compile
    (row, column), _ = jax.lax.scan(turn, (places // wide, places % wide), words, unroll=not few)
    return (row * wide + column).astype(jnp.int32)


def _grid(examples: int) -> tuple[int, int]:
    """Width and height: an even width, since turns of odd lengths alone would make even orders only."""
    width = 2 * max(1, round(math.sqrt(examples) / 2))
    return width, -(-examples // width)


def _turned(place: Word, line: Word, word: Word, length: Word) -> Word:
    """A place on a line of that length, < 2¹⁶, after a turn that `word` chooses for the line."""
    shift = ((_mixed(line ^ word) >> 16) * length) >> 16
    moved = place + shift
    return jnp.where(moved >= length, moved - length, moved)


def _mixed(word: Word) -> Word:
    """A bijection of words whose every bit depends on every bit (lowbias32 of Wellons, *hash-prospector*, 2018)."""
    word = (word ^ (word >> 16)) * jnp.uint32(0x7FEB352D)
    word = (word ^ (word >> 15)) * jnp.uint32(0x846CA68B)
    return word ^ (word >> 16)
