"""A script that runs by itself on an accelerator: its options, its rows in order, and the time that they may take."""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from ._report import significant, write

# normals per second that the integer units allow, by a part of the device's name
_FLOORS = {"H200": 4e11, "H100 80GB HBM3": 4e11}


def parser_of(name: str, text: str | None, minutes: float) -> argparse.ArgumentParser:
    """What such scripts can be asked for: only, minutes, floor and out."""
    parser = argparse.ArgumentParser(
        f"python -m benchmarks.speed {name}", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", help="one row; may be given several times")
    parser.add_argument("--minutes", type=float, default=minutes, help="begin no row later than this")
    parser.add_argument("--floor", type=float, help="normals per second that this device's integer units allow")
    parser.add_argument("--out", type=Path, help="folder for JSON and figures")
    return parser


Jobs = Mapping[str, Callable[..., dict[str, Any]]]


def chosen(jobs: Jobs, only: Sequence[str] | None) -> Jobs:
    """Those jobs that are asked for, or all; SystemExit where there is none of that name."""
    if unknown := set(only or ()) - set(jobs):
        raise SystemExit(f"no row {', '.join(sorted(unknown))}; there are {', '.join(jobs)}")
    return {name: jobs[name] for name in only or jobs}


def work_off(
    jobs: Jobs,
    minutes: float,
    record: dict[str, Any],
    keep: Callable[[str, dict[str, Any]], None],
    path: Path | None,
) -> None:
    """keep(name, row) of each job in turn; the record is written after each, if there is a path.

    None begins after so many minutes: what is left is named in the record as skipped.
    """
    begin = time.monotonic()
    for name, job in jobs.items():
        if time.monotonic() - begin > 60 * minutes:
            record["skipped"].append(name)
            print(f"\n{name}: skipped, the {minutes:g} minutes are over", flush=True)
        else:
            keep(name, job() | {"at_second": round(time.monotonic() - begin, 1)})
        if path is not None:
            write(record, path)


def known_floor() -> float | None:
    kind = jax.devices()[0].device_kind
    return next((value for name, value in _FLOORS.items() if name in kind), None)


def share_of_floor(rate: float, floor: float | None, wanted: float, judge: bool) -> dict[str, Any]:
    """What a row says of normals per second over those of the floor. judge: say whether it is met."""
    reached = None if floor is None else significant(rate / floor)
    met = None if reached is None or not judge else reached >= wanted
    return {"floor_normals_per_second": floor, "fraction_of_floor": reached, "wanted": wanted, "met": met}
