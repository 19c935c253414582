"""The worst error of the float32 normals, over every word that can make one.

    python -m benchmarks.validation normal_error

`normals32(w0, w1)` is compared with float64 arithmetic on all 2³² words w0 (the radius, read off at angle 0) and on all
2³² words w1 (the angle, at the largest radius). The 2⁶⁴ pairs follow, for the two errors add:
|error| ≤ error of the radius + radius · error of the angle + half a unit in the last place. The moments are means over
the same two grids, so they are the exact moments of the numbers that the library draws. A random sweep shows what a
pair really suffers.

The result is written to benchmarks/results/normal-error.json with versions and date.
"""

import argparse
import datetime
import json
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from sde_sgd.random import group_words, normals32, seed_key

from .._conditions import versions
from .._paths import RESULTS

# float64 arrays of this size stay in the cache
CHUNK = 2**17
# errors are sorted by radius: the uniform word is rounded to 24 bits, which tells where the radius is small
EDGES = (0.0, 1e-3, 1e-2, 0.1, 1.0, 8.0)


def exact_radius(w0: np.ndarray) -> np.ndarray:
    return np.sqrt(-2 * np.log((w0 + 0.5) * 2.0**-32))


def exact_angle(w1: np.ndarray) -> np.ndarray:
    """The angle that `normals32` stands for: the top bit adds π, the others say where in [−π/2, π/2) it lies."""
    within = (w1 << np.uint32(1)).view(np.int32) * 2.0**-32
    return np.pi * ((w1 >> np.uint32(31)) + within)


class RadiusError:
    """Worst absolute and relative error, and in units in the last place, for each range of the radius; moments."""

    def __init__(self):
        self.worst = np.zeros((len(EDGES) - 1, 3))
        self.second = self.fourth = self.words = 0.0

    def add(self, first: int) -> None:
        w0 = np.uint32(first) + np.arange(CHUNK, dtype=np.uint32)
        ours = np.asarray(_at_angle_zero(jnp.uint32(first))).astype(np.float64)
        exact = exact_radius(w0)
        error = np.abs(ours - exact)
        errors = np.stack([error, error / exact, error / np.spacing(exact.astype(np.float32))])
        for bin, (low, high) in enumerate(pairwise(EDGES)):
            if exact.max() >= low and exact.min() < high:
                here = (exact >= low) & (exact < high)
                self.worst[bin] = np.maximum(self.worst[bin], np.max(errors, axis=1, where=here, initial=0.0))
        square = ours * ours
        self.words += CHUNK
        self.second += square.sum()
        self.fourth += square @ square


class AngleError:
    """Worst absolute error of cosine and sine (at radius 1); means of c, s, cs, c², s², c⁴, s⁴."""

    def __init__(self):
        self.worst, self.sums, self.words = 0.0, np.zeros(7), 0
        self.radius = float(_at_angle_zero(jnp.uint32(0))[0])
        # within a chunk the angle grows evenly, so the addition theorem needs one table
        steps = exact_angle(np.arange(CHUNK, dtype=np.uint32))
        self.cosines, self.sines = np.cos(steps), np.sin(steps)

    def add(self, first: int) -> None:
        base = exact_angle(np.array([first], np.uint32))
        cosine = np.cos(base) * self.cosines - np.sin(base) * self.sines
        sine = np.sin(base) * self.cosines + np.cos(base) * self.sines
        # our own radius is divided out: its error is the other sweep's
        c, s = (np.asarray(x).astype(np.float64) / self.radius for x in _at_largest_radius(jnp.uint32(first)))
        self.worst = max(self.worst, np.abs(c - cosine).max(), np.abs(s - sine).max())
        c2, s2 = c * c, s * s
        self.words += CHUNK
        self.sums += [c.sum(), s.sum(), c @ s, c2.sum(), s2.sum(), c2 @ c2, s2 @ s2]


class PairError:
    """Worst and mean square error of both normals on words of the engine."""

    def __init__(self):
        self.worst, self.square, self.words = 0.0, 0.0, 0

    def add(self, first: int) -> None:
        words, ours = jax.tree.map(np.asarray, _engine_pairs(jnp.uint32(first // CHUNK)))
        radius, angle = exact_radius(words[0]), exact_angle(words[1])
        for our, part in zip(ours, (np.cos(angle), np.sin(angle)), strict=True):
            error = our - radius * part
            self.worst = max(self.worst, np.abs(error).max())
            self.square += error @ error
        self.words += 2 * CHUNK


@jax.jit
def _at_angle_zero(first):
    w0 = first + jnp.arange(CHUNK, dtype=jnp.uint32)
    return normals32(w0, jnp.zeros_like(w0))[0]


@jax.jit
def _at_largest_radius(first):
    w1 = first + jnp.arange(CHUNK, dtype=jnp.uint32)
    return normals32(jnp.zeros_like(w1), w1)


@jax.jit
def _engine_pairs(group):
    words = group_words(seed_key(1), jnp.arange(CHUNK, dtype=jnp.uint32), group, 1)
    words = tuple(word[0] for word in words)
    return words, normals32(*words)


def sweep(tally, words: int):
    """`tally` after all words below `words`; any fewer than 2³² are spread over the whole range."""
    began, stride = time.perf_counter(), 2**32 // words * CHUNK
    for first in range(0, 2**32, stride):
        tally.add(first)
    print(f"{type(tally).__name__}: {words} words in {time.perf_counter() - began:.0f} s", flush=True)
    return tally


def measure(words: int) -> dict:
    radius, angle = sweep(RadiusError(), words), sweep(AngleError(), words)
    pairs = sweep(PairError(), words // 16)
    second, fourth = radius.second / radius.words, radius.fourth / radius.words
    c, s, cs, c2, s2, c4, s4 = angle.sums / angle.words
    ranges = [f"{low:g} to {high:g}" for low, high in pairwise(EDGES)]
    return {
        "words_of_each_sweep": words,
        "largest_radius": angle.radius,
        "radius": {
            name: {"absolute": float(absolute), "relative": float(relative), "ulp": float(ulp)}
            for name, (absolute, relative, ulp) in zip(ranges, radius.worst, strict=True)
        },
        "cosine_and_sine": {"absolute": float(angle.worst)},
        "pairs": {
            "words": pairs.words // 2,
            "absolute": float(pairs.worst),
            "root_mean_square": float(np.sqrt(pairs.square / pairs.words)),
        },
        "moments": {
            "mean_of_cosine_and_sine": [float(c), float(s)],
            "correlation": float(cs * second),
            "variance_minus_1": [float(second * x - 1) for x in (c2, s2)],
            "kurtosis_minus_3": [float(fourth * x - 3) for x in (c4, s4)],
        },
    }


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=2**32, help="words per sweep, a power of two")
    parser.add_argument("--out", type=Path, default=RESULTS / "normal-error.json")
    arguments = parser.parse_args(words)
    result = measure(arguments.words) | {
        "device": jax.devices()[0].device_kind,
        "versions": versions(("sde-sgd", "jax", "jaxlib", "numpy")),
        "date": datetime.date.today().isoformat(),
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
