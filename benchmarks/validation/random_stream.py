"""Dieharder on the random words that the engine consumes, and goodness of fit of the numbers made of them.

    apt-get install dieharder
    python -m benchmarks.validation random_stream [--only d1] [--quick]

The words come from the engine's own `group_words`, compiled, and go to dieharder through a pipe. Nothing is rewound: a
test begins where the last one stopped. The streams:

    d1        65,536 trajectories, one component: group of steps, then trajectory, then both words of a hash
    d3        the same with three components, ordered group, component, trajectory, word
    path      one trajectory after another, each over 2²² groups of steps
    reversed  d1 with the bits of each word reversed
    twin      d1 with a fault: trajectory ids forget bit 15, so every word comes twice. It has to fail

and two checks in float64 on 2³⁰ numbers each: `normals`, brought back to uniforms by their distribution function, and
`bridge`, the uniforms that watch for an exit between two steps.

The rule was fixed before the run. A p-value outside [1e-6, 1 − 1e-6] fails. One outside [1e-4, 1 − 1e-4] is suspect:
its test runs again on new words with four times the samples, and fails if it is suspect again. A perfect generator
fails somewhere in the 240 p-values with probability 5e-4.

Dieharder's words land in benchmarks/results/random-stream.txt, the verdict in random-stream.json.
"""

import argparse
import datetime
import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from sde_sgd.random import HashStream, group_words, normals32, seed_key, uniforms

from .. import _conditions
from .._paths import RESULTS

SEED = 1
TRAJECTORIES = 2**16
# words of a block: 32 MB, large enough that a call costs nothing and small enough for any machine
BLOCK = 2**23
SUSPECT, FAILED = 1e-4, 1e-6

# (number, n-tuple) of dieharder's tests. Left out: 5, 6, 7, which its author calls suspect, 14 (not to be used), and
# most lags of 203, whose appetite grows with the lag
COMMON = [(0, 0), (1, 0), (3, 0), (4, 0), (8, 0), (9, 0), (15, 0), (16, 0), (100, 0), (101, 0), (102, 0)]
COMMON += [(200, 4), (202, 5), (203, 3), (204, 0), (205, 0), (206, 0), (208, 0), (209, 0)]
MORE = [(2, 0), (10, 0), (11, 0), (12, 0), (13, 0), (17, 0), (203, 1), (203, 15), (207, 0)]
MORE += [(200, n) for n in (1, 2, 3, 5, 6, 7, 8)] + [(201, n) for n in (2, 3, 4, 5)] + [(202, n) for n in (2, 3, 4)]
BATTERY = {"d1": COMMON + MORE, "d3": COMMON, "path": COMMON, "reversed": COMMON, "twin": [(4, 0), (205, 0), (209, 0)]}
QUICK = [(0, 0), (100, 0)]


def interleaved(components: int, ids_mask: int = 0xFFFFFFFF):
    """A compiled block of words in the engine's order, (groups, components, trajectories, 2), by block number."""
    groups = BLOCK // (2 * components * TRAJECTORIES)
    ids = jnp.arange(TRAJECTORIES, dtype=jnp.uint32) & jnp.uint32(ids_mask)

    def one(group):
        return jnp.stack(group_words(seed_key(SEED), ids, group, components), axis=-1)

    return jax.jit(lambda block: jax.vmap(one)(block * groups + jnp.arange(groups, dtype=jnp.uint32)))


def one_path(block):
    """A block of words of trajectory number `block`, step after step: (groups, 2)."""
    groups = jnp.arange(BLOCK // 2, dtype=jnp.uint32)
    words = group_words(seed_key(SEED), jnp.full_like(groups, block), groups, 1)
    return jnp.stack([word[0] for word in words], axis=-1)


def reverse_bits(x):
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF)):
        x = ((x >> shift) & jnp.uint32(mask)) | ((x & jnp.uint32(mask)) << shift)
    return (x >> 16) | (x << 16)


def streams() -> dict:
    one_component = interleaved(1)
    return {
        "d1": one_component,
        "d3": interleaved(3),
        "path": jax.jit(one_path),
        "reversed": jax.jit(lambda block: reverse_bits(one_component(block))),
        "twin": interleaved(1, ids_mask=0xFFFF7FFF),
    }


class Words:
    """The bytes of a stream, read once from the first to the last."""

    def __init__(self, block):
        self.blocks: Iterator[memoryview] = (
            memoryview(np.asarray(block(jnp.uint32(k)))).cast("B") for k in range(2**16)
        )
        self.rest = memoryview(b"")

    def feed(self, command: list[str]) -> tuple[str, int]:
        """What `command` prints, and how many bytes it took from its standard input before it closed that."""
        sent = 0
        with subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                while True:
                    self.rest = self.rest or next(self.blocks)
                    written = process.stdin.write(self.rest[: 2**20])
                    self.rest, sent = self.rest[written:], sent + written
            except BrokenPipeError:
                printed = process.stdout.read().decode()
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}")
        return printed, sent


def dieharder(words: Words, number: int, ntuple: int, samples: int | None) -> tuple[list[dict], int]:
    command = ["dieharder", "-g", "200", "-d", str(number), "-c", ","]
    command += ["-n", str(ntuple)] if ntuple else []
    command += ["-p", str(samples)] if samples else []
    for field in ("test_name", "ntuple", "tsamples", "psamples", "pvalues"):
        command += ["-D", field]
    printed, sent = words.feed(command)
    rows = [line.split(",") for line in printed.splitlines() if line.count(",") == 4]
    if not rows:
        raise RuntimeError(f"dieharder test {number} printed no p-value:\n{printed}")
    return [
        {"test": name.strip(), "ntuple": int(n), "tsamples": int(t), "psamples": int(p), "p": float(value)}
        for name, n, t, p, value in rows
    ], sent


def outside(p: float, level: float) -> bool:
    return not level <= p <= 1 - level


def battery(name: str, block, tests: list, quick: bool, report) -> dict:
    """All tests on one stream; suspects run again with four times the samples."""
    words, rows, consumed, began = Words(block), [], 0, time.perf_counter()
    for number, ntuple in tests:
        found, sent = dieharder(words, number, ntuple, 10 if quick else None)
        consumed += sent
        report(name, found, sent)
        if any(outside(row["p"], SUSPECT) for row in found) and name != "twin":
            again, sent = dieharder(words, number, ntuple, 4 * found[0]["psamples"])
            consumed += sent
            report(name + ", again", again, sent)
            for row, repeat in zip(found, again, strict=True):
                row["p_again"] = repeat["p"]
        rows += found
    return {"bytes": consumed, "seconds": round(time.perf_counter() - began), **verdict(rows)}


def verdict(rows: list[dict]) -> dict:
    """A row fails if its p-value is extreme, or suspect twice."""
    suspects = [row for row in rows if outside(row["p"], SUSPECT)]
    failed = [row for row in suspects if outside(row["p"], FAILED) or outside(row.get("p_again", 0.5), SUSPECT)]
    return {"p_values": len(rows), "suspect": suspects, "failed": len(failed), "passed": not failed}


# 4096 bins of equal probability: with many more, the spacing of float32 numbers would show beside the width of a bin
BINS = 2**12
LEVELS = (4.0, 5.0, 6.0)


@jax.jit
def normal_block(group):
    """For 2²² pairs: the bin of each normal's distribution function, and how many lie beyond each level."""
    ids = jnp.arange(BLOCK // 2, dtype=jnp.uint32)
    drawn = jnp.stack(normals32(*group_words(seed_key(SEED), ids, group, 1)))[:, 0]
    uniform = jax.scipy.special.ndtr(drawn.astype(jnp.float64))
    tails = jnp.stack([jnp.sum(jnp.abs(drawn) > level) for level in LEVELS])
    return (uniform * BINS).astype(jnp.int32), tails


@jax.jit
def bridge_block(group):
    """The same bins for the uniforms of 2²² trajectories at the two steps of this group."""
    ids = jnp.arange(BLOCK // 2, dtype=jnp.uint32)
    words = group_words(seed_key(SEED), ids, group, 1, HashStream.BRIDGE)
    drawn = jnp.stack([uniforms(word[0], jnp.float32) for word in words])
    return (drawn * BINS).astype(jnp.int32), jnp.zeros(len(LEVELS), jnp.int64)


def goodness_of_fit(name: str, block, blocks: int, report) -> dict:
    """Chi-square, Kolmogorov–Smirnov (at the edges of the bins), 64 × 64 pairs; for normals their tails too."""
    counts, pairs, tails = np.zeros((2, BINS), np.int64), np.zeros(2**12, np.int64), np.zeros(len(LEVELS), np.int64)
    began = time.perf_counter()
    for k in range(blocks):
        (first, second), beyond = map(np.asarray, block(jnp.uint32(k)))
        counts += [np.bincount(first, minlength=BINS), np.bincount(second, minlength=BINS)]
        pairs += np.bincount((first >> 6) * 64 + (second >> 6), minlength=2**12)
        tails += beyond
    total = int(counts.sum())
    distance = np.abs(np.cumsum(counts.sum(axis=0)) / total - np.arange(1, BINS + 1) / BINS).max()
    rows = [
        {"test": "chi-square, 4096 bins", "p": stats.chisquare(counts.sum(axis=0)).pvalue},
        {"test": "chi-square, 4096 bins, first of each pair", "p": stats.chisquare(counts[0]).pvalue},
        {"test": "Kolmogorov-Smirnov", "p": stats.kstwobign.sf(distance * np.sqrt(total))},
        {"test": "chi-square, pairs on 64 x 64", "p": stats.chisquare(pairs).pvalue},
    ]
    if name == "normals":
        for seen, level in zip(tails, LEVELS, strict=True):
            # the middle of the jump, so that p is uniform at both ends
            p = stats.poisson.sf(seen, mean := 2 * total * stats.norm.sf(level)) + stats.poisson.pmf(seen, mean) / 2
            rows.append({"test": f"{seen} beyond {level:g}, {mean:.1f} expected", "p": p})
    rows = [row | {"p": float(row["p"])} for row in rows]
    report(name, rows, 0)
    return {"numbers": total, "seconds": round(time.perf_counter() - began), **verdict(rows)}


def fingerprint() -> str:
    """SHA-256 of the first block of d1: it tells whether the stream tested then is the stream of today."""
    return hashlib.sha256(np.asarray(interleaved(1)(jnp.uint32(0))).tobytes()).hexdigest()


def versions() -> dict:
    said = subprocess.run(["dieharder", "-l"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"dieharder version (\S+)", said)
    packages = _conditions.versions(("sde-sgd", "jax", "jaxlib", "numpy", "scipy"))
    return {"dieharder": found[1] if found else "unknown"} | packages


def main(words: Sequence[str] | None = None) -> None:
    names = [*BATTERY, "normals", "bridge"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=names, action="append", help="this stream only; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a few small tests, only to try the script")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args(words)
    if shutil.which("dieharder") is None:
        parser.error("dieharder is missing; on Debian: apt-get install dieharder")
    # float64 for the distribution function; the words and the normals stay 32 bits wide
    jax.config.update("jax_enable_x64", True)

    run(arguments.only or names, arguments.out, arguments.quick)


def run(names: list[str], out: Path, quick: bool) -> None:
    """Runs the streams `names` and replaces what was recorded of them; the others' records stay."""
    lines, streams_then = recorded(out, names)
    with open(out / "random-stream.txt", "w") as text:
        text.writelines(lines)

        def report(name, rows, sent):
            for row in rows:
                detail = f"{row['ntuple']:>4} {row['tsamples']:>9} {row['psamples']:>6}" if "ntuple" in row else ""
                print(f"{name:16}{row['test']:44}{detail:22}{row['p']:12.8f}", file=text, flush=True)
            if sent:
                print(f"{name:16}{sent} bytes", file=text, flush=True)

        results, blocks = {}, streams()
        for name in names:
            if name in blocks:
                result = battery(name, blocks[name], QUICK if quick else BATTERY[name], quick, report)
            else:
                block = normal_block if name == "normals" else bridge_block
                result = goodness_of_fit(name, block, 4 if quick else 128, report)
            results[name] = result | {"versions": versions(), "date": datetime.date.today().isoformat()}
            print(name, json.dumps(results[name]), flush=True)
    (out / "random-stream.json").write_text(json.dumps(summary(streams_then | results), indent=2) + "\n")


def recorded(out: Path, but: list[str]) -> tuple[list[str], dict]:
    """Lines and results of an earlier run, without the streams `but`."""
    lines = (out / "random-stream.txt").read_text() if (out / "random-stream.txt").exists() else ""
    summary = (out / "random-stream.json").read_text() if (out / "random-stream.json").exists() else '{"streams": {}}'
    kept = [line for line in lines.splitlines(keepends=True) if line.split()[0].rstrip(",") not in but]
    return kept, {name: result for name, result in json.loads(summary)["streams"].items() if name not in but}


def summary(results: dict) -> dict:
    sound = [result for name, result in results.items() if name != "twin"]
    return {
        "battery": "dieharder, words from standard input without rewinding; goodness of fit of the numbers",
        "rule": {"suspect_outside": [SUSPECT, 1 - SUSPECT], "failed_outside": [FAILED, 1 - FAILED]},
        "seed": SEED,
        "sha256_of_first_32_MiB": fingerprint(),
        "bytes": sum(result.get("bytes", 0) for result in sound),
        "p_values": sum(result["p_values"] for result in sound),
        "passed": all(result["passed"] for result in sound),
        "twin_rejected": "twin" in results and not results["twin"]["passed"],
        "streams": results,
    }
