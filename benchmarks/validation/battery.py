"""Problems with known answers, each asked as anybody would: is what is said `complete` right?

    python -m benchmarks.validation battery [--only NAME …] [--seeds N] [--limit SECONDS] [--again] [--table]

Every problem is one default call, `first_passage(chain, start, target, rtol=0.1)` with `avoid`, a horizon and
monitoring where the question has them, for seeds 0 … 4, in a process of its own so that a hang or a crash ends nothing
else. The record is written after each run; what it has is not run again, unless `--again` says so. After a run that
takes longer than the limit a problem's further seeds are left out. Seconds are those of the first seed, compilation
included.

A run is *wrong* where it says `complete` and its interval, widened from 95 % to 99.9 % on the logarithmic scale,
does not hold the truth; the truth's own error counts. Coverage is that of the 95 % intervals of all complete runs.
`--table` prints the record as Markdown and runs nothing.
"""

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import sde_sgd as ss

from .._paths import RESULTS
from ._hidden import hidden
from ._problem import Problem
from ._problems import exact
from ._record import save, told
from ._surfaces import on_surfaces

COMPLETE = str(ss.results.Status.COMPLETE)
STOPPED, FAILED = "stopped", "failed"
SEEDS, LIMIT, RTOL = 5, 300.0, 0.1
# of a normal, for 95 % and for 99.9 %
NARROW, WIDE = 1.96, 3.29


def problems() -> dict[str, Problem]:
    return {problem.name: problem for problem in [*exact(), *on_surfaces(), *hidden()]}


def answered(problem: Problem, seed: int) -> dict[str, Any]:
    """One default call, and all that it says."""
    asked = problem.ask()
    began, worked = time.perf_counter(), time.process_time()
    found = ss.first_passage(
        asked.chain, asked.start, asked.target, asked.avoid, asked.horizon, rtol=RTOL, seed=seed,
        monitoring=asked.monitoring,
    )  # fmt: skip
    estimate = found.mean_exit_time if asked.of_time else found.probability
    return {
        "seed": seed,
        "answer": [number(end) for end in (estimate.value, estimate.low, estimate.high)],
        "status": str(found.status),
        "reasons": list(found.reasons),
        "method": found.method,
        "seconds": time.perf_counter() - began,
        "processor_seconds": time.process_time() - worked,
        "path_steps": found.path_steps,
    }


def number(value: Any) -> float | None:
    """None for what JSON has no word for."""
    return float(value) if math.isfinite(value) else None


def distance(run: dict[str, Any], truth: dict[str, Any]) -> float:
    """|ln(answer/truth)| in half-widths of the 95 % interval on that side, the truth's error added in quadrature.

    At most 1 is covered at 95 %, at most 3.29/1.96 at 99.9 %. Infinite without a value; 0 where nothing bounds it.
    """
    value, low, high = run["answer"]
    if not value or value < 0:
        return math.inf
    apart = math.log(value / truth["value"])
    end = low if apart > 0 else high
    if not end:
        return 0.0
    return abs(apart) / max(math.hypot(abs(math.log(end / value)), truth["error"]), 1e-9)


def complete(run: dict[str, Any]) -> bool:
    return run["status"] == COMPLETE


def wrong(run: dict[str, Any], truth: dict[str, Any]) -> bool:
    """It says `complete` and is outside its 99.9 % interval."""
    return complete(run) and distance(run, truth) > WIDE / NARROW


def summary(record: dict[str, Any]) -> dict[str, Any]:
    """What the runs of a record come to; a problem is answered where all its runs are complete."""
    rows = [(name, run, record["truths"][name]) for name, runs in record["runs"].items() for run in runs.values()]
    done = [(run, truth) for _, run, truth in rows if complete(run)]
    whole = [name for name, runs in record["runs"].items() if all(map(complete, runs.values()))]
    seconds = [runs["0"]["seconds"] for runs in record["runs"].values() if "0" in runs]
    return {
        "problems": len(record["runs"]),
        "runs": len(rows),
        "answered": len(whole) / max(len(record["runs"]), 1),
        "coverage": sum(distance(*each) <= 1 for each in done) / len(done) if done else None,
        "complete_runs": len(done),
        "wrong": [f"{name}, seed {run['seed']}" for name, run, truth in rows if wrong(run, truth)],
        "median_seconds": statistics.median(seconds) if seconds else None,
        "worst_seconds": max((run["seconds"] for _, run, _ in rows), default=None),
    }


def table(record: dict[str, Any]) -> str:
    """Markdown: a line for each problem, what is not answered with its reason, and what all of it comes to."""
    known = problems()
    lines = [
        "| problem | dimensions | truth | answer/truth | complete | covered | seconds |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    reasons = []
    for name, runs in record["runs"].items():
        truth, made = record["truths"][name], list(runs.values())
        ratios = [run["answer"][0] / truth["value"] for run in made if run["answer"][0] is not None]
        done = [run for run in made if complete(run)]
        bad = sum(wrong(run, truth) for run in made)
        covered = sum(distance(run, truth) <= 1 for run in done)
        dim = known[name].dim if name in known else "?"
        shown = f"{min(ratios):.3g} … {max(ratios):.3g}" if ratios else "none"
        lines.append(
            f"| {name}{f' **({bad} wrong)**' if bad else ''} | {dim} | {truth['value']:.4g} | {shown} "
            f"| {len(done)} of {len(made)} | {covered} of {len(done)} "
            f"| {made[0]['seconds']:.3g} |"
        )
        told_why = {reason for run in made if not complete(run) for reason in (run["reasons"] or [run["status"]])}
        reasons += [f"- {name}: {reason}" for reason in sorted(told_why)[:2]]
    all_of_it = summary(record)
    lines += [
        "",
        f"{all_of_it['answered']:.0%} of {all_of_it['problems']} problems answered in every run; "
        f"{all_of_it['coverage'] or 0:.1%} of {all_of_it['complete_runs']} intervals cover; "
        f"{len(all_of_it['wrong'])} complete runs outside 99.9 %"
        + (f" ({'; '.join(all_of_it['wrong'])})" if all_of_it["wrong"] else "")
        + f"; with compilation median {all_of_it['median_seconds'] or 0:.3g} s, worst "
        f"{all_of_it['worst_seconds'] or 0:.3g} s.",
    ]
    return "\n".join([*lines, *(["", "Not answered:", "", *reasons] if reasons else [])])


def in_a_process(words: Sequence[str], limit: float, each: Any) -> str | None:
    """Runs the command with those words and hands on each line of JSON; None, or what ended it too early.

    limit: seconds between two lines.
    """
    command = [sys.executable, "-m", "benchmarks.validation", "battery", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as child:
        assert child.stdout is not None
        late = []

        def stop() -> None:
            late.append(True)
            child.kill()

        while True:
            clock = threading.Timer(limit, stop)
            clock.start()
            line = child.stdout.readline()
            clock.cancel()
            if not line:
                break
            if line.startswith("{"):
                each(json.loads(line))
        code = child.wait()
    if late:
        return f"nothing within {limit:.0f} s"
    return None if code == 0 else f"ended with {code}"


def run_one(problem: Problem, seeds: list[int], limit: float, record: dict[str, Any], path: Path) -> None:
    """All `seeds` of a problem in a process, its truth in another before; the record is saved after each."""
    name = problem.name

    def keep_truth(row: dict[str, Any]) -> None:
        record["truths"][name] = row
        save(record, path)

    def keep(row: dict[str, Any]) -> None:
        runs[str(row["seed"])] = row
        seeds.remove(row["seed"])
        save(record, path)
        told(
            {
                "problem": name,
                "truth": record["truths"][name]["value"],
                **row,
                "wrong": wrong(row, record["truths"][name]),
            }
        )

    if name not in record["truths"]:
        ended = in_a_process(["--truth", name], 1_800, keep_truth)
        if ended:
            raise RuntimeError(f"the truth of {name} was not found: {ended}")
    runs = record["runs"].setdefault(name, {})
    # what takes too long for one seed does for the next
    while seeds and not any(run["status"] == STOPPED for run in runs.values()):
        began = time.perf_counter()
        ended = in_a_process(["--run", name, "--of", *map(str, seeds)], limit, keep)
        if ended:
            status = STOPPED if ended.startswith("nothing") else FAILED
            keep({
                "seed": seeds[0], "answer": [None, None, None], "status": status, "reasons": [ended], "method": "",
                "seconds": time.perf_counter() - began, "path_steps": None,
            })  # fmt: skip


def arguments_of(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.validation battery",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="problems to run, or parts of their names")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"seeds 0 … N − 1, {SEEDS} by default")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds of a run, {LIMIT:.0f} by default")
    parser.add_argument("--again", action="store_true", help="run what the record has too")
    parser.add_argument("--table", action="store_true", help="print the record as Markdown and run nothing")
    parser.add_argument("--out", type=Path, default=RESULTS / "battery.json", help="the record to write into")
    parser.add_argument("--truth", help=argparse.SUPPRESS)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--of", nargs="+", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Run the problems that the record has not, each in a process of its own, and print what they come to."""
    options, known = arguments_of(words), problems()
    if options.truth:
        told(known[options.truth].truth()._asdict())
        return
    if options.run:
        for seed in options.of:
            told(answered(known[options.run], seed))
        return
    path = options.out
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"truths": {}, "runs": {}}
    if options.table:
        print(table(record))
        return
    record |= {
        "what": "default calls on problems with known answers",
        "versions": {"jax": jax.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "device": f"{jax.devices()[0].device_kind}, {platform.machine()}",
        "date": time.strftime("%Y-%m-%d"),
    }
    for name, problem in known.items():
        if options.only and not any(part == name or (part not in known and part in name) for part in options.only):
            continue
        if options.again:
            record["runs"].pop(name, None)
        there = record["runs"].get(name, {})
        if left := [seed for seed in range(options.seeds) if str(seed) not in there]:
            run_one(problem, left, options.limit, record, path)
    record["summary"] = summary(record)
    save(record, path)
    print(table(record))
