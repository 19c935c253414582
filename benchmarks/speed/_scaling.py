"""Throughput against the number of trajectories, on the 1-D double well."""

from collections.abc import Callable, Sequence
from typing import Any

from . import _ours, rivals
from ._measure import OURS, Contender, Entry, Missing, Timing, fastest, label, measure
from ._problems import DOUBLE_WELL
from ._report import contender_rows, missing_rows, print_missing, print_target, significant

SIZES = tuple(4**power for power in range(6, 12))
QUICK_SIZES = (256, 1_024)
_STEPS, _QUICK_STEPS, _FEWEST_STEPS = 512, 16, 128
# path-steps of a run at least: few trajectories run more steps, so that a line shows what a step costs and not a call
_LEAST_WORK = 2**25
_PATIENCE = 5.0
_WITHIN = 1.5

Maker = Callable[[int, int], Sequence[Entry]]

HOST_RIVALS: tuple[Maker, ...] = (
    rivals.yardstick,
    rivals.batched_scan,
    rivals.trajectory_scan,
    rivals.numpy_vectorised,
    rivals.numba_loops,
    rivals.diffrax_solves,
)


def ours(trajectories: int, steps: int) -> list[Entry]:
    return [_ours.simulate(DOUBLE_WELL, trajectories, steps)]


def run_scaling(
    makers: Sequence[Maker], rounds: int, quick: bool, sizes: Sequence[int] | None = None, patience: float = _PATIENCE
) -> dict[str, Any]:
    """Each family by its fastest variant (chosen at a middling size), at every size.

    The engine always runs all steps; a rival whose run would take longer than `patience` seconds runs fewer, and its
    line ends where even a quarter is too long: with fewer steps its start-up would count. Its law was checked when
    its variant was chosen.
    """
    sizes = sizes or (QUICK_SIZES if quick else SIZES)
    steps = _QUICK_STEPS if quick else _STEPS
    chosen, missing = _choose(makers, sizes[len(sizes) // 3], steps)
    print(
        f"\n1-D double well, at least {steps} steps, path-steps/s for {sizes[0]:,} … {sizes[-1]:,} trajectories",
        flush=True,
    )
    rows, own = [], []
    for size in sizes:
        run = _QUICK_STEPS if quick else max(steps, _LEAST_WORK // size)
        entries = ours(size, run)
        for maker, timing in chosen:
            affordable = _affordable(timing, size, run, patience)
            if affordable is None:
                missing.append(Missing(timing.contender.family, f"too slow for {size:,} trajectories"))
            else:
                entries += _same(maker, timing, size, affordable)
        timings, failed = measure(entries, rounds)
        missing += failed
        own += [timing for timing in timings if timing.contender.family == OURS]
        rows += contender_rows(timings)
        rates = "   ".join(f"{timing.contender.family}: {timing.rate / 1e6:.4g} M" for timing in timings)
        print(f"  {size:9,}   {rates}", flush=True)
    result = {
        "name": "scaling",
        "text": "1-D double well, throughput against trajectories",
        "steps": steps,
        "rounds": rounds,
        "contenders": rows,
        "targets": [_evenness(own, judge=not quick)],
        "missing": missing_rows(missing),
    }
    print_missing(result["missing"])
    print_target(result["targets"][0])
    return result


def _choose(makers: Sequence[Maker], size: int, steps: int) -> tuple[list[tuple[Maker, Timing]], list[Missing]]:
    """The fastest variant of each family, by two runs of each."""
    chosen, missing = [], []
    for maker in makers:
        timings, failed = measure(maker(size, steps), rounds=2)
        missing += failed
        for family in dict.fromkeys(timing.contender.family for timing in timings):
            chosen.append((maker, fastest(timings, family)))
    return chosen, missing


def _same(maker: Maker, timing: Timing, size: int, steps: int) -> list[Entry]:
    return [
        entry
        for entry in maker(size, steps)
        if isinstance(entry, Contender) and label(entry) == label(timing.contender)
    ]


def _affordable(timing: Timing, size: int, steps: int, patience: float) -> int | None:
    while size * steps / timing.rate > patience:
        steps //= 2
        if steps < _FEWEST_STEPS:
            return None
    return steps


def _evenness(own: Sequence[Timing], judge: bool) -> dict[str, Any]:
    """Our dearest path-step over our cheapest."""
    rates = [timing.rate for timing in own]
    value = max(rates) / min(rates)
    return {
        "ours": OURS,
        "against": "its own best number of trajectories",
        "kind": "time",
        "ratio": significant(value),
        "at_least": None,
        "at_most": _WITHIN,
        "met": value <= _WITHIN if judge else None,
    }
