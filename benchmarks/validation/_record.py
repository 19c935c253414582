"""Sections of a record: run those that are asked for, keep the others, say when and on what each was made."""

import argparse
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .._paths import RESULTS


def told(row: dict) -> dict:
    """The row, printed as it comes."""
    print(json.dumps(row, ensure_ascii=False), flush=True)
    return row


def arguments_of(
    name: str, text: str | None, sections: Mapping[str, Callable], arguments: Sequence[str] | None
) -> argparse.Namespace:
    """What the command line of `name` asks for: `sections` and `out`."""
    parser = argparse.ArgumentParser(
        f"python -m benchmarks.validation {name}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(sections)}; all by default")
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}.json", help="the record to write into")
    found = parser.parse_args(arguments)
    if unknown := sorted(set(found.sections) - set(sections)):
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(sections)}")
    return found


def renewed(path: Path, what: str, sections: Mapping[str, Callable[[], Any]], names: Sequence[str]) -> dict[str, Any]:
    """The record at `path` with the sections `names` made anew, or all where none is named."""
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in names or sections:
        record[name] = sections[name]()
        record.setdefault("dates", {})[name] = time.strftime("%Y-%m-%d")
    return record | {
        "what": what,
        "versions": {"jax": jax.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "device": f"{jax.devices()[0].device_kind}, {platform.machine()}",
    }


def save(record: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # who is stopped while writing leaves the record of before
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
    fresh.replace(path)
