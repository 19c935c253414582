"""Results as plain data, as lines on a terminal and as JSON."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._cases import Case
from ._measure import Missing, Target, Timing, fastest, label, measure, ratio


def run_case(case: Case, rounds: int, quick: bool) -> dict[str, Any]:
    timings, missing = measure(case.make(*case.size(quick)), rounds)
    result = {"name": case.name} | case_row(case.text, rounds, timings, missing, case.targets, judge=not quick)
    print_case(result)
    return result


def case_row(
    text: str,
    rounds: int,
    timings: Sequence[Timing],
    missing: Iterable[Missing],
    targets: Iterable[Target] = (),
    *,
    judge: bool = True,
) -> dict[str, Any]:
    """Contenders beside each other; the first says how large the case is. judge: see `target_row`."""
    first = timings[0].contender
    return {
        "text": text,
        "trajectories": first.trajectories,
        "steps": first.steps,
        "rounds": rounds,
        "contenders": contender_rows(timings),
        "targets": [target_row(timings, target, judge=judge) for target in targets],
        "missing": missing_rows(missing),
    }


def contender_rows(timings: Iterable[Timing]) -> list[dict[str, Any]]:
    return [
        {
            "family": timing.contender.family,
            "variant": timing.contender.variant,
            "trajectories": timing.contender.trajectories,
            "steps": timing.contender.steps,
            "median_seconds": significant(timing.median),
            "path_steps_per_second": significant(timing.rate),
            "seconds": [significant(value) for value in timing.seconds],
        }
        for timing in timings
    ]


def target_row(timings: Sequence[Timing], target: Target, *, judge: bool = True) -> dict[str, Any]:
    """judge: say whether it is met; tiny sizes say nothing about that."""
    value = ratio(timings, target)
    best = fastest(timings, target.against)
    return {
        "ours": target.ours,
        "against": target.against if best is None else label(best.contender),
        "kind": "speed" if target.at_most is None else "time",
        "ratio": None if value is None else significant(value),
        "at_least": target.at_least,
        "at_most": target.at_most,
        "met": target.met(value) if judge and value is not None else None,
    }


def missing_rows(missing: Iterable[Missing]) -> list[dict[str, str]]:
    return [{"family": entry.family, "reason": entry.reason} for entry in missing]


def print_case(result: dict[str, Any]) -> None:
    size = f"{result['trajectories']:,} trajectories × {result['steps']:,} steps"
    print(f"\n{result['text']}: {size}", flush=True)
    for row in result["contenders"]:
        name = row["family"] + (f", {row['variant']}" if row["variant"] else "")
        fewer = "" if row["trajectories"] == result["trajectories"] else f"   ({row['trajectories']:,} trajectories)"
        print(f"  {name:86s} {row['path_steps_per_second'] / 1e6:10.2f} M path-steps/s{fewer}")
    print_missing(result["missing"])
    for row in result["targets"]:
        print_target(row)


def print_missing(rows: Iterable[dict[str, str]]) -> None:
    for row in rows:
        print(f"  {row['family']:86s}    missing: {row['reason']}")


def print_target(row: dict[str, Any]) -> None:
    bound = f"≥ {row['at_least']}" if row["at_least"] is not None else f"≤ {row['at_most']}"
    if row["at_least"] is None and row["at_most"] is None:
        bound = ""
    value = "not measured" if row["ratio"] is None else f"{row['ratio']:.3g} × its {row['kind']}"
    words = f"{row['ours']} against {row['against']}"
    print(f"  → {words:84s} {value:>20s}   {bound:8s} {verdict(row['met'])}".rstrip(), flush=True)


def verdict(met: bool | None) -> str:
    return "" if met is None else "met" if met else "MISSED"


def write(result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def significant(value: float) -> float:
    """Four digits: more would be noise."""
    return float(np.format_float_scientific(value, precision=3))
