"""`docs/comparison.md`, made from the record."""

from typing import Any

from .problem import PRECISION, TEMPERATURES

_HEAD = """# A fair comparison

This page is made from `benchmarks/results/comparison.json` by `python -m benchmarks.comparison`, which measures
(`--page` writes it anew).

**The question.** dX = −V'(X) dt + √(2T) dW from the sharp minimum at −1 of V = x⁴ − x³/3 − 2x² + x, in 1,000
Euler–Maruyama steps of 0.01: how likely is X to be seen at or beyond the saddle at 1/4? To a 95 % interval of
±{precision:.0%}, at three temperatures. The exact value of this chain comes from its transition kernel.

Seconds are for one answer. *Compile* is what the first run in a fresh process takes longer than the second; *run* is
the second, by the clock; *CPU* are the processor seconds of that run, over all threads. Where other programs share the
machine the clock is only an upper bound, and CPU seconds are the better measure. × is CPU over that of this library.
Imports are in neither.
*Extrapolated*: as many trajectories as the precision takes, at a rate that was measured for some seconds, where the
time would be longer than {patience:g} s.

Measured {first} to {last} on {processor}, {cores} cores; load of the machine after each row {least:.1f} to {most:.1f}.
"""


def page(record: dict[str, Any]) -> str:
    """The whole page."""
    dates, loads = ([row[name] for row in record["rows"]] for name in ("date", "load"))
    where = {"processor": record["processor"], "cores": record["cores"], "least": min(loads), "most": max(loads)}
    parts = [_HEAD.format(precision=PRECISION, patience=record["patience"], first=min(dates), last=max(dates), **where)]
    parts += [_question(record, question) for question in TEMPERATURES]
    parts += [_lines(record), _checks(record), _versions(record)]
    return "\n".join(parts)


def _question(record: dict[str, Any], question: str) -> str:
    rows = sorted((row for row in record["rows"] if row["question"] == question), key=lambda row: row["cpu_seconds"])
    if not rows:
        return ""
    own = next((row["cpu_seconds"] for row in rows if row["contender"] == "sde_sgd"), None)
    lines = [
        f"## About {question}: exactly {rows[0]['exact']:.5g}, T = {rows[0]['temperature']}",
        "",
        "| | compile (s) | run (s) | CPU (s) | × | answer | how |",
        "|---|--:|--:|--:|--:|---|---|",
    ]
    for row in rows:
        ratio = "" if own is None else _digits(row["cpu_seconds"] / own)
        times = " | ".join(_seconds(row[name]) for name in ("compile_seconds", "wall_seconds", "cpu_seconds"))
        lines.append(f"| {row['contender']} | {times} | {ratio} | {_answer(row)} | {_how(row)} |")
    lines += ["", _fastest(rows)]
    missing = [each for each in record["missing"] if each["question"] == question]
    lines += [""] + [f"- {each['contender']}: {each['reason']}." for each in missing] + ([""] if missing else [])
    return "\n".join(lines)


def _fastest(rows: list[dict[str, Any]]) -> str:
    """Who is first by either count, whoever it is."""
    first = min(rows, key=lambda row: row["compile_seconds"] + row["wall_seconds"])
    again = min(rows, key=lambda row: row["cpu_seconds"])
    whole = _seconds(first["compile_seconds"] + first["wall_seconds"])
    return (
        f"A first answer in a fresh process (compile and run, by the clock) comes soonest from {first['contender']}: "
        f"{whole} s; a further one takes the least CPU with {again['contender']}, {_seconds(again['cpu_seconds'])} s."
    )


def _seconds(value: float) -> str:
    return _digits(value) if value >= 0.01 else f"{value:.4f}"


def _digits(value: float) -> str:
    """Three of them, and no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _answer(row: dict[str, Any]) -> str:
    return "" if row["how"] == "extrapolated" else f"{row['value']:.4g} [{row['low']:.4g}, {row['high']:.4g}]"


def _how(row: dict[str, Any]) -> str:
    if row["how"] == "extrapolated":
        return f"**extrapolated**: {row['trajectories']:,} trajectories, {row['trajectories_run']:,} run"
    if "method" in row:
        return f"{row['method']}, {row['path_steps']:,} path-steps"
    return f"{row['trajectories']:,} trajectories" if "trajectories" in row else "populations of 2,048"


def _lines(record: dict[str, Any]) -> str:
    lines = ["## Lines that a person writes", "", "| | lines |", "|---|--:|"]
    each = sorted(record["contenders"].items(), key=lambda item: item[1]["lines"])
    lines += [f"| [{name}](../benchmarks/comparison/{about['file']}) | {about['lines']} |" for name, about in each]
    return "\n".join([*lines, "", f"Counted: {record['rule_of_lines']}.", ""])


def _checks(record: dict[str, Any]) -> str:
    words = {True: "held", False: "**did not hold**", None: "a promise"}
    lines = ["## What was made alike", "", "| point | how | |", "|---|---|---|"]
    lines += [f"| {each['point']} | {each['how']} | {words[each['held']]} |" for each in record["checklist"]]
    return "\n".join([*lines, "", record["splitting"], ""])


def _versions(record: dict[str, Any]) -> str:
    return "Versions: " + ", ".join(f"{name} {version}" for name, version in record["versions"].items()) + ".\n"
