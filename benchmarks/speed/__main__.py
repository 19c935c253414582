"""The command `python -m benchmarks.speed`; what it does and how it is fair stands in the package's docstring."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import speed
from .._conditions import conditions, device
from .._paths import FIGURES, RESULTS
from . import accelerator, kernel
from ._call import run_call
from ._cases import CASES
from ._figure import save, scaling_figure
from ._precision import run_precision
from ._report import run_case, write
from ._scaling import HOST_RIVALS, run_scaling

_NAMES = [case.name for case in CASES] + ["call", "scaling", "splitting"]


def main(arguments: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["accelerator"]:
        accelerator.main(words[1:])
        return
    if words[:1] == ["kernel"]:
        kernel.main(words[1:])
        return
    options = _parse(words)
    out = options.out or RESULTS
    if options.redraw:
        _draw(json.loads((out / "cpu.json").read_text()), options.out or FIGURES)
        return
    names = options.only or _NAMES
    rounds = options.rounds or (2 if options.quick else 7)
    print(f"{device()}; float32; medians of {rounds} interleaved rounds")
    result = {**conditions(), "cases": []}
    for case in CASES:
        if case.name in names:
            result["cases"].append(run_case(case, rounds, options.quick))
    if "call" in names:
        result["cases"].append(run_call(64, options.quick))
    if "scaling" in names:
        result["cases"].append(run_scaling(HOST_RIVALS, min(rounds, 3), options.quick))
    if "splitting" in names:
        result["cases"].append(run_precision(rounds, options.quick))
    whole = not (options.quick or options.only)
    if whole or options.out:
        write(result, out / "cpu.json")
        print(f"\nwritten: {out.name}/cpu.json")
        _draw(result, options.out or FIGURES)


def _draw(result: dict, folder: Path) -> None:
    for case in result["cases"]:
        if case["name"] == "scaling":
            save(scaling_figure(case, result), folder / "throughput.png")
            print(f"written: {folder.name}/throughput.png")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.speed", description=speed.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=_NAMES, help="one case; may be given several times")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that all of it runs")
    parser.add_argument("--rounds", type=int, help="interleaved rounds, 7 by default")
    parser.add_argument("--out", type=Path, help="folder for JSON and figure; a partial run writes them only if given")
    parser.add_argument("--redraw", action="store_true", help="run nothing, draw the figure of the saved result again")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
