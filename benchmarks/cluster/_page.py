"""The last section of `docs/machines.md`, made from the record."""

import textwrap
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "machines.md"
TITLE = "## What it costs\n"
# rows of the table: by whom, and for how many workers; what shares lose does not depend on how many there are
_ROWS = {
    "shares": ("shares (`worker`)", (1,)),
    "this runner": ("one runner", (1_000, 10_000)),
    "dask": ("Dask", (100, 1_000, 10_000)),
}


def renew(record: dict[str, Any]) -> None:
    """Write the section anew into the page."""
    before, title, _ = PAGE.read_text("utf-8").partition(TITLE)
    PAGE.write_text(before + title + section(record), "utf-8")


def section(record: dict[str, Any]) -> str:
    """All below the title."""
    found, curve = record["constants"], record["curve"]
    cores = record["cores"]
    # of the two processes alone the load would be theirs
    others = " that others used too" if max(row["load"] for row in curve) > cores + 1 else ""
    counts = " and ".join(str(row["processes"]) for row in curve)
    busy = " and ".join(f"{100 * row['busy']:.0f}" for row in curve)
    rows = [
        _row(words, "any" if name == "shares" else f"{count:,}", each)
        for name, (words, wanted) in _ROWS.items()
        for count in wanted
        for each in record["model"][name]
        if each["workers"] == count
    ]
    costs = (
        f"Beside its own work a unit costs its process {_in_words(found['store'])} (its numbers and its account, each "
        f"synced to the disk), and the runner {_in_words(found['dispatch'])}, or at most "
        f"{_in_words(found['dispatch_dask'])} through Dask's scheduler, on a machine of {cores} cores{others}. A "
        f"process is there after {found['start']:.1f} s; a question compiles in {found['compile']:.1f} s, and in "
        f"{found['compile_from_cache']:.1f} s where another process has compiled it (`ss.keep_programs()`, which the "
        f"command does by itself). With units of one second on {counts} processes {busy} % of the processes' time was "
        "within units. A simulation with these constants gives the share of time lost by size of a unit, and the size "
        "from which on it is below 5 %:"
    )
    more = (
        "Cells that are smaller go several to a unit (`--cells-per-unit`). `python -m benchmarks.cluster` measures and "
        f"simulates anew, and writes this section; its record, of {record['date'].split()[0]}, is "
        "`benchmarks/results/cluster.json`. A file system that many machines write to may be slower than a disk of "
        "one's own, which no simulation here knows."
    )
    head = ["| handed out by | workers | 0.1 s | 1 s | 10 s | 60 s | 5 % at |", "|---|---|---|---|---|---|---|"]
    return "\n".join(["", _filled(costs), "", *head, *rows, "", _filled(more), ""])


def _filled(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _row(words: str, workers: str, row: dict[str, Any]) -> str:
    lost = [f"{100 * share:.{0 if share >= 0.095 else 1}f} %" for share in row["overhead"].values()]
    return f"| {' | '.join([words, workers, *lost, _size(row['smallest_unit'])])} |"


def _size(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _in_words(seconds: float) -> str:
    return f"{1e3 * seconds:.2g} ms" if seconds < 1 else f"{seconds:.2g} s"
