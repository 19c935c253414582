"""The command `python -m benchmarks.cluster`; what it measures stands in the package's docstring."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._paths import RESULTS
from ._model import Costs, overhead, smallest_unit
from ._page import renew

WORKERS = (1, 10, 100, 1_000, 10_000)
UNITS = (0.1, 1.0, 10.0, 60.0)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.cluster")
    parser.add_argument("what", nargs="?", choices=["all", "model"], default="all")
    parser.add_argument("--quick", action="store_true", help="few units and workers, for a test")
    parser.add_argument("--out", type=Path, default=RESULTS / "cluster.json")
    options = parser.parse_args(arguments)
    record = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    if options.what == "all":
        from .._conditions import conditions
        from ._measure import constants, curve

        record = conditions() | {"constants": constants(20 if options.quick else 300)}
        print(json.dumps(record["constants"], indent=1))
        record["curve"] = curve((1, 2), 0.05, 8) if options.quick else curve((1, 2), 1.0, 24)
    record["model"] = model(record["constants"], WORKERS[:3] if options.quick else WORKERS)
    options.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if options.out == RESULTS / "cluster.json":
        renew(record)
    print(table(record["model"]))


def model(found: dict[str, float], workers: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
    """By who hands out the units, and by number of workers: the share of time lost at each size of a unit.

    smallest_unit: of which the overhead is 5 %, in seconds. Of workers that take their shares themselves
    (`sde-sgd worker`) there is nobody whom they could keep busy.
    """
    dispatches = {"shares": 0.0, "this runner": found["dispatch"], "dask": found["dispatch_dask"]}
    return {name: _rows(Costs(each, found["travel"], found["store"]), workers) for name, each in dispatches.items()}


def _rows(costs: Costs, workers: Sequence[int]) -> list[dict[str, Any]]:
    rows = []
    for count in workers:
        # as many events for each number of workers, and never fewer than some units for each
        rounds = max(200_000 // count // 10, 10) if count > 100 else 200
        lost = {f"{unit:g}": overhead(costs, unit, count, rounds) for unit in UNITS}
        rows.append({"workers": count, "overhead": lost, "smallest_unit": smallest_unit(costs, count, rounds=rounds)})
    return rows


def table(model: dict[str, list[dict[str, Any]]]) -> str:
    """The model as text."""
    head = f"{'handed out by':<14}{'workers':>8}  " + "  ".join(f"{unit:>6g} s" for unit in UNITS) + "   5 % at"
    lines = [
        f"{name:<14}{row['workers']:>8,}  "
        + "  ".join(f"{100 * lost:>6.2f} %" for lost in row["overhead"].values())
        + f"  {row['smallest_unit']:.3g} s"
        for name, rows in model.items()
        for row in rows
    ]
    return "\n".join([head, *lines])


if __name__ == "__main__":
    main()
