"""What makes the comparison fair, each point looked up in the record where a program can."""

from collections.abc import Iterator
from typing import Any

from .problem import DT, PRECISION, TEMPERATURES, exact

_SIGMAS = 4.0


def checklist(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Points with how each was checked and whether it held; None where it is a promise that no number shows."""
    return [{"point": point, "how": how, "held": held} for point, how, held in _points(record)]


def _points(record: dict[str, Any]) -> Iterator[tuple[str, str, bool | None]]:
    rows = [row for row in record["rows"] if row["how"] == "measured"]
    conditions = [row["conditions"] for row in record["rows"]]
    farthest = max((row["standard_errors_off"] for row in rows), default=0.0)
    finer, louder = (_relative(**twin) for twin in ({"dt": DT / 2}, {"loudness": 1.05}))
    yield (
        "the same equation, dt, start and exit rule",
        f"every finished answer is within {_SIGMAS:g} standard errors of this chain's exact value; the farthest is "
        f"{farthest:.2g} away. With noise 5 % louder the value at 1e-3 would be {louder:+.0%} off, where a standard "
        f"error is 2.6 %; with steps of dt/2 only {finer:+.1%}, so that dt, start and saddle are looked up in the "
        "source: all files take them from one",
        all(row["standard_errors_off"] < _SIGMAS for row in rows)
        and all({"DT", "START", "SADDLE"} <= set(each["takes"]) for each in record["contenders"].values()),
    )
    yield (
        "the same precision",
        f"the 95 % interval of every finished run is at most ±{PRECISION:.0%} of its value, up to a tenth of that",
        all(row["relative_half_width"] < 1.1 * PRECISION for row in rows),
    )
    yield (
        "float32 throughout",
        "read from each library's default in its process",
        all(each["dtype"] == "float32" for each in conditions),
    )
    yield (
        f"all {record['cores']} cores for all",
        "the cores that each process may use; threads as each library sets them, or one a core",
        all(each["cores"] == record["cores"] for each in conditions),
    )
    yield (
        "compiling is told apart, and nothing was compiled before",
        "each answer in a process of its own, with no cache of programs; the first run is timed by itself, and a "
        "second of the same size",
        all(each["compilation_cache"] is None and "compile_seconds" in row
            for each, row in zip(conditions, record["rows"], strict=True)),
    )  # fmt: skip
    asked = {(name, question) for name, each in record["contenders"].items() for question in each["questions"]}
    found = {(row["contender"], row["question"]) for row in record["rows"]}
    yield (
        "nothing is left out in silence",
        "every contender has a row for every question that it is asked, or a reason",
        asked == found | {(each["contender"], each["question"]) for each in record["missing"]},
    )
    yield (
        "versions are told",
        "of Python and of every package that takes part",
        {"python", "jax", "numpy"} <= set(record["versions"])
        and all(need in record["versions"] for name, each in record["contenders"].items() for need in each["needs"]
                if any(row["contender"] == name for row in record["rows"])),
    )  # fmt: skip
    yield (
        "rivals as a knowing user writes them",
        "batched, compiled where the library compiles, no gradients, the faster layout of random numbers, blocks that "
        "fit the cache; a trajectory ends early where that saves time (numba)",
        None,
    )
    yield "lines are counted by one rule", record["rule_of_lines"], None


def _relative(**twin) -> float:
    temperature = TEMPERATURES["1e-3"]
    return exact(temperature, **twin) / exact(temperature) - 1
