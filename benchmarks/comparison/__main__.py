"""The command `python -m benchmarks.comparison`; what it does and how it is fair stands in the package's docstring."""

import argparse
import datetime
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import comparison
from .._conditions import conditions, versions
from .._paths import RESULTS
from ..speed._report import write
from ._checklist import checklist
from ._contenders import CONTENDERS, Contender
from ._lines import RULE
from ._measure import measure
from ._page import page
from .problem import TEMPERATURES

PAGE = Path(__file__).parents[2] / "docs" / "comparison.md"
_PACKAGES = ("sde-sgd", "jax", "jaxlib", "numpy", "scipy", "numba", "diffrax", "torch", "torchsde")
_SPLITTING = (
    "Splitting by hand is NumPy's because pytams, the published package, takes longer: in "
    "`benchmarks/results/cpu.json` {pytams:,.0f} s for an escape of probability 1e-9, where NumPy's took {numpy:.2g} s."
)
# what would let a process find programs that another compiled, or take fewer threads than there are cores
_FORGOTTEN = ("JAX_COMPILATION_CACHE_DIR", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "XLA_FLAGS")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(sys.argv[1:] if arguments is None else list(arguments))
    out = options.out or RESULTS
    path, at = out / "comparison.json", PAGE if options.out is None else out / "comparison.md"
    if options.row:
        name, question = options.row
        print(json.dumps(measure(_contender(name), question, options.patience, options.quick), default=float))
        return
    if options.page:
        record = json.loads(path.read_text(encoding="utf-8"))
    elif options.join:
        texts = [(folder / "comparison.json").read_text(encoding="utf-8") for folder in options.join]
        record = joined([json.loads(text) for text in texts])
    else:
        record = made(options.only or [each.name for each in CONTENDERS], options.patience, options.quick)
        if (options.only or options.quick) and options.out is None:
            return
    write(record, path)
    at.write_text(page(record), encoding="utf-8")
    print(f"written: {path.name}, {at.name}")


def made(names: Sequence[str], patience: float, quick: bool) -> dict[str, Any]:
    """The record of a run of these contenders."""
    rows, missing = [], []
    for question in TEMPERATURES:
        for contender in (_contender(name) for name in names):
            row, reason = _row(contender, question, patience, quick)
            if row is None:
                missing.append({"contender": contender.name, "question": question, "reason": reason})
                print(f"{question:5s} {contender.name:18s} {reason}", flush=True)
                continue
            rows.append({"contender": contender.name, **row})
            times = f"{row['wall_seconds']:10.4g} s, CPU {row['cpu_seconds']:10.4g} s"
            print(f"{question:5s} {contender.name:18s} {times}, {row['how']}", flush=True)
    where = conditions()
    record = {
        **{name: where[name] for name in ("processor", "cores")},
        "versions": versions(_PACKAGES),
        "patience": patience,
        "contenders": {each.name: _about(each) for each in map(_contender, names)},
        "rule_of_lines": RULE,
        "rows": rows,
        "missing": missing,
        "splitting": _splitting_words(),
    }
    return record | {"checklist": checklist(record)}


def joined(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One record of runs of several contenders each, on one machine with the same versions; ValueError for others."""
    first = records[0]
    for record in records:
        different = [name for name in ("processor", "cores", "versions", "patience") if record[name] != first[name]]
        if different:
            raise ValueError(
                f"records must agree in {different[0]}, got {first[different[0]]} and {record[different[0]]}"
            )
    contenders = {name: _about(_contender(name)) for record in records for name in record["contenders"]}
    lists = {name: [row for record in records for row in record[name]] for name in ("rows", "missing")}
    whole = {**first, "contenders": contenders, **lists}
    return whole | {"checklist": checklist(whole)}


def _row(contender: Contender, question: str, patience: float, quick: bool) -> tuple[dict[str, Any] | None, str]:
    """Its row from a process of its own, or why there is none."""
    absent = [need for need in contender.needs if importlib.util.find_spec(need) is None]
    if absent:
        return None, f"not installed ({', '.join(absent)})"
    if question not in contender.questions:
        return None, contender.why_not
    command = [sys.executable, "-m", __package__, "--row", contender.name, question, "--patience", str(patience)]
    environment = {name: value for name, value in os.environ.items() if name not in _FORGOTTEN}
    done = subprocess.run(
        command + ["--quick"] * quick, capture_output=True, text=True, cwd=Path(__file__).parents[2], env=environment
    )
    if done.returncode:
        if contender.module == "ours":
            raise RuntimeError(done.stderr)
        return None, f"failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {**json.loads(done.stdout.splitlines()[-1]), "date": when, "load": round(os.getloadavg()[0], 2)}, ""


def _about(contender: Contender) -> dict[str, Any]:
    told = {"file": contender.file, "takes": contender.takes, "needs": list(contender.needs)}
    return {"lines": contender.lines, **told, "questions": list(TEMPERATURES)}


def _contender(name: str) -> Contender:
    return next(each for each in CONTENDERS if each.name == name)


def _splitting_words() -> str:
    cases = json.loads((RESULTS / "cpu.json").read_text(encoding="utf-8"))["cases"]
    rows = next(case for case in cases if case["name"] == "splitting")["contenders"]
    fastest = {
        family: min(row["median_seconds_to_precision"] for row in rows if row["family"] == family)
        for family in ("pytams", "NumPy, adaptive multilevel splitting")
    }
    return _SPLITTING.format(pytams=fastest["pytams"], numpy=fastest["NumPy, adaptive multilevel splitting"])


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.comparison",
        description=comparison.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [each.name for each in CONTENDERS]
    parser.add_argument("--only", action="append", choices=names, help="one contender; may be given several times")
    parser.add_argument("--quick", action="store_true", help="an interval of ±50 %%, to see that all of it runs")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds beyond which a time is extrapolated")
    parser.add_argument("--out", type=Path, help="folder for record and page; a part is written only if given")
    parser.add_argument("--join", nargs="+", type=Path, metavar="FOLDER", help="make one record of those in folders")
    parser.add_argument("--page", action="store_true", help="run nothing, write the page of the saved record anew")
    parser.add_argument("--row", nargs=2, metavar=("CONTENDER", "QUESTION"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
