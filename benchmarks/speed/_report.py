"""Results as plain data, as lines on a terminal and as JSON."""

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ._cases import Case
from ._measure import Missing, Target, Timing, fastest, label, measure, ratio

_PACKAGES = ("sde-sgd", "jax", "jaxlib", "numpy", "numba", "diffrax", "pytams", "cupy-cuda12x", "cupy-cuda13x")


def run_case(case: Case, rounds: int, quick: bool) -> dict[str, Any]:
    trajectories, steps = case.size(quick)
    timings, missing = measure(case.make(trajectories, steps), rounds)
    result = {
        "name": case.name,
        "text": case.text,
        "trajectories": trajectories,
        "steps": steps,
        "rounds": rounds,
        "contenders": contender_rows(timings),
        "targets": [target_row(timings, target, judge=not quick) for target in case.targets],
        "missing": missing_rows(missing),
    }
    print_case(result)
    return result


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


def conditions() -> dict[str, Any]:
    """Where and with what it ran."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "device": device(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "dtype": "float32",
        "versions": {"python": platform.python_version(), **_versions()},
    }


def device() -> str:
    return f"{jax.device_count()} × {jax.devices()[0].device_kind}"


def _versions() -> dict[str, str]:
    installed = {distribution.name.lower() for distribution in importlib.metadata.distributions()}
    return {name: importlib.metadata.version(name) for name in _PACKAGES if name in installed}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def write(result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def significant(value: float) -> float:
    """Four digits: more would be noise."""
    return float(np.format_float_scientific(value, precision=3))
