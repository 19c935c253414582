"""The command `python -m benchmarks.training`; what it does and how it is fair stands in the package's docstring."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import training
from .._conditions import conditions, device
from .._paths import RESULTS
from ..speed._measure import OURS, Contender, Entry, Missing, label
from ..speed._report import missing_rows, print_missing, significant, verdict, write
from . import _rivals
from ._problems import PROBLEMS, Problem

_PAUSE = 0.02
_QUICK_STEPS = 16
# a step that Python calls is so much dearer that fewer say as much
_LOOP_SHARE = 16
# many networks take so many times one's network-steps, so that a call's fixed cost counts as little
_LONGER = 4


@dataclass
class Cost:
    """Wall and CPU seconds of every round."""

    contender: Contender
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def each(self, clock: str) -> list[float]:
        """Seconds for one step of one network, by `clock`: "wall" or "cpu"."""
        return [seconds / self.contender.path_steps for seconds in getattr(self, clock)]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    rounds = options.rounds or (1 if options.quick else 5)
    path = options.out or RESULTS / "training.json"
    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    cases = {case["name"]: case for case in before.get("cases", [])}
    print(f"{device()}; float32; medians of {rounds} interleaved rounds")
    for problem in PROBLEMS:
        if problem.name in options.problems or not options.problems:
            cases[problem.name] = run_problem(problem, rounds, options.quick)
            if options.out or not options.quick:
                write({**conditions(), "cases": list(cases.values())}, path)


def run_problem(problem: Problem, rounds: int, quick: bool) -> dict[str, Any]:
    print(f"\n{problem.text}", flush=True)
    costs, missing = measure(_contenders(problem, quick), rounds)
    result = {
        "name": problem.name,
        "text": problem.text,
        "rounds": rounds,
        "contenders": [_row(cost) for cost in costs],
        "targets": [_judged(costs, *target, judge=not quick) for target in _targets(problem)],
        "missing": missing_rows(missing),
    }
    print_missing(result["missing"])
    return result


def _contenders(problem: Problem, quick: bool) -> list[Entry]:
    entries: list[Entry] = []
    steps = _QUICK_STEPS if quick else problem.steps
    for networks in problem.networks:
        few = max(_QUICK_STEPS, steps * min(networks, _LONGER) // networks)
        entries.append(_rivals.ours(problem, networks, few))
        if networks > 1:
            entries += _rivals.vmapped_scan(problem, networks, few)
            entries += _rivals.torch_func(problem, networks, max(_QUICK_STEPS, few // _LOOP_SHARE))
        entries += _rivals.products(problem, networks, few)
    entries += _rivals.scanned(problem, steps)
    entries += _rivals.python_loop(problem, max(_QUICK_STEPS, steps // _LOOP_SHARE))
    return entries + _rivals.torch_loop(problem, max(_QUICK_STEPS, steps // _LOOP_SHARE))


def measure(entries: Sequence[Entry], rounds: int) -> tuple[list[Cost], list[Missing]]:
    """Compile every contender, then time all in interleaved rounds; what is missing is named once."""
    missing = {entry.family: entry for entry in entries if isinstance(entry, Missing)}
    costs = [Cost(entry) for entry in entries if isinstance(entry, Contender)]
    for cost in costs:
        cost.contender.run()
    for number in range(rounds):
        turn = number % len(costs)
        for cost in costs[turn:] + costs[:turn]:
            wall, cpu = seconds_of(cost.contender.run)
            cost.wall.append(wall)
            cost.cpu.append(cpu)
    return costs, list(missing.values())


def seconds_of(run: Callable[[], object]) -> tuple[float, float]:
    """By the clock, and of all cores, of a run that follows an untimed one at once."""
    time.sleep(_PAUSE)
    run()
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def _targets(problem: Problem) -> list[tuple[str, str, int, str, int, float, bool]]:
    """(what, family, its networks, clock, our networks, bound, whether ours is to be cheaper by that factor or more).

    With the last one False the bound is on our whole run's seconds, step by step, over theirs.
    """
    if problem.sizes is None:
        (together,) = problem.networks
        return [
            ("wall time of a Python loop", _rivals.LOOP, 1, "wall", together, 3 / 2, True),
            ("vmapped scan by hand", _rivals.BY_HAND, together, "cpu", together, 1.0, True),
            ("one network, scanned", _rivals.SCANNED, 1, "cpu", together, 1.0, True),
            ("PyTorch, torch.func", _rivals.TORCH_FUNC, together, "cpu", together, 1.0, True),
        ]
    few, some, many = problem.networks
    loops = 10.0 if problem.name.startswith("digits") else 1.0
    return [
        (f"{few} network's time of {many}'s", OURS, many, "wall", few, 0.1, False),
        (f"{some} networks' time of {many}'s", OURS, many, "wall", some, 0.3, False),
        *(("vmapped scan by hand", _rivals.BY_HAND, n, "cpu", n, 1.0, True) for n in (some, many)),
        ("one network, scanned", _rivals.SCANNED, 1, "cpu", many, 1.0, True),
        ("one network, scanned", _rivals.SCANNED, 1, "cpu", few, 1.0, True),
        ("Python loop over jitted steps", _rivals.LOOP, 1, "cpu", many, loops, True),
        ("PyTorch loop", _rivals.TORCH, 1, "cpu", many, loops, True),
        ("PyTorch, torch.func", _rivals.TORCH_FUNC, many, "cpu", many, 1.0, True),
        *(("products alone", _rivals.PRODUCTS, n, "cpu", n, 0.8, True) for n in (few, some, many)),
    ]


def _judged(
    costs: Sequence[Cost], what: str, family: str, theirs: int, clock: str, own: int, bound: float, cheaper: bool,
    judge: bool,
) -> dict[str, Any]:  # fmt: skip
    """The ratio that a target bounds, within rounds, against the fastest variant; printed."""
    ours, rival = _fastest(costs, OURS, own, clock), _fastest(costs, family, theirs, clock)
    value = None
    if ours is not None and rival is not None:
        ratios = [b / a for a, b in zip(ours.each(clock), rival.each(clock), strict=True)]
        value = statistics.median(ratios) if cheaper else statistics.median(own / (theirs * each) for each in ratios)
    met = None if value is None or not judge else value >= bound if cheaper else value <= bound
    row = {
        "networks": own,
        "against": what if rival is None else f"{what} ({label(rival.contender)})" if family != OURS else what,
        "clock": clock,
        "ratio": None if value is None else significant(value),
        ("at_least" if cheaper else "at_most"): bound,
        "met": met,
    }
    shown = "not measured" if value is None else f"{value:.3g}"
    wanted = f"{'≥' if cheaper else '≤'} {bound:.3g} {verdict(met)}".rstrip()
    print(f"  → {own:2d} networks, {clock:4s}, {row['against']:76s} {shown:>12s} {wanted}", flush=True)
    return row


def _fastest(costs: Sequence[Cost], family: str, networks: int, clock: str) -> Cost | None:
    members = [c for c in costs if c.contender.family == family and c.contender.trajectories == networks]
    return min(members, key=lambda cost: statistics.median(cost.each(clock)), default=None)


def _row(cost: Cost) -> dict[str, Any]:
    wall, cpu = (statistics.median(cost.each(clock)) for clock in ("wall", "cpu"))
    used = statistics.median(c / w for c, w in zip(cost.cpu, cost.wall, strict=True))
    each = cost.contender
    print(
        f"  {label(each):56s} {each.trajectories:3d} networks {1e6 * wall:9.2f} µs by the clock "
        f"{1e6 * cpu:9.2f} µs of CPU for a step of one   {used:.2f} cores",
        flush=True,
    )
    return {
        "family": each.family,
        "variant": each.variant,
        "networks": each.trajectories,
        "steps": each.steps,
        "wall_microseconds": significant(1e6 * wall),
        "cpu_microseconds": significant(1e6 * cpu),
        "cores_used": significant(used),
        "wall_seconds": [significant(value) for value in cost.wall],
        "cpu_seconds": [significant(value) for value in cost.cpu],
    }


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.training",
        description=training.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [problem.name for problem in PROBLEMS]
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help=f"of {', '.join(names)}; all by default")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that all of it runs")
    parser.add_argument("--rounds", type=int, help="interleaved rounds, 5 by default")
    parser.add_argument("--out", type=Path, help="the record to write into; a quick run writes only if it is given")
    found = parser.parse_args(arguments)
    if unknown := sorted(set(found.problems) - set(names)):
        parser.error(f"no problem {', '.join(unknown)}; there are {', '.join(names)}")
    return found


if __name__ == "__main__":
    main()
