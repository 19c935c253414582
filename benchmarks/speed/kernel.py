"""A run as one kernel, on one accelerator: first whether it is right, then how it is tuned, then its table.

    python -m benchmarks.speed kernel                # writes benchmarks/results/kernel.json after each row
    python -m benchmarks.speed kernel --dry          # tiny sizes on whatever JAX finds, writes nothing unless --out

Nobody has to be there: a row that fails is written down with its error, and the next begins; none begins after
`--minutes`. In this order, what matters most first:

- `bits`: kernel and loop beside each other on this device, simulated and watched: the share of equal bits, and the
  largest difference of the states. A kernel whose exits differ in more than 2 % is wrong, and its times say nothing.
- `tuning`: lanes in a program and steps in an iteration, for one component and for several; the rows that follow run
  with the fastest of each, which is recorded.
- the rows of the table, each with its target, and rivals that run on this device: scans with every kind of key, CUDA
  kernels through CuPy with cuRAND's Philox and with our own Threefry, hand-written scans of a loss's gradient, two CPU
  cores for splitting, a vmapped scan by hand and `torch.func` for networks.
- `ablation`: the same with the kernel left out, and with the plain tuning.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

import sde_sgd as ss

from .._conditions import conditions, device
from .._paths import RESULTS
from ..training import _problems
from ..training import _rivals as by_hand
from ..validation import splitting
from . import _ours, rivals
from ._call import run_call
from ._measure import OURS, Contender, Entry, Target, measure, seconds_of
from ._problems import COUPLED_4, COUPLED_16, DOUBLE_WELL, MULLER_BROWN, geometric
from ._report import case_row, contender_rows, print_case, significant
from ._unattended import chosen, known_floor, parser_of, share_of_floor, work_off

_MINUTES = 15.0
_LOOP = f"{OURS}, no kernel"
_LANES, _STEPS = (128, 256, 512, 1_024), (2, 4, 8, 16)
_DRY_LANES, _DRY_STEPS = (128,), (2, 4)
_PROBLEMS = {"double well": DOUBLE_WELL, "Müller–Brown": MULLER_BROWN, "coupled 4": COUPLED_4, "coupled 16": COUPLED_16}
# of P = 1e-9 and 1e-25, see benchmarks.validation; and of 1e-3 for tiny runs
_RARE, _DRY_RARE = {"1e-9": 4.753, "1e-25": 7.727}, {"1e-3": 2.92}
_CPU_CORES = "two CPU cores"


class Bench:
    """What all rows share: sizes, rounds, and the tuning found for each problem."""

    def __init__(self, dry: bool, rounds: int, floor: float | None):
        self.dry, self.rounds, self.floor = dry, rounds, floor
        self.tuning: dict[str, dict[str, int]] = {}

    def size(self, trajectories: int, steps: int) -> tuple[int, int]:
        return (256, 32) if self.dry else (trajectories, steps)

    def kernel(self, name: str) -> Any:
        """The engine under the best tuning of that problem, or under the plain one before any was found."""
        return ss.engine.tuned(kernel=True, **self.tuning.get(name, {}))

    def under(self, name: str, contender: Contender) -> Contender:
        def run():
            with self.kernel(name):
                return contender.run()

        return replace(contender, run=run)

    def simulate(self, name: str, trajectories: int, steps: int) -> Contender:
        return self.under(name, _ours.simulate(_PROBLEMS[name], trajectories, steps))

    def row(self, text: str, entries: Sequence[Entry], targets: Sequence[Target], **more: Any) -> dict[str, Any]:
        timings, missing = measure(entries, self.rounds)
        result = case_row(text, self.rounds, timings, missing, targets, judge=not self.dry) | more
        print_case(result)
        return result


def _bits(bench: Bench) -> dict[str, Any]:
    """Share of equal bits and largest difference, for each problem; and of exits."""
    found = {}
    for name, problem in _PROBLEMS.items():
        trajectories, steps = bench.size(65_536, 128)
        chain, start = problem.chain(), problem.point()
        region = ss.regions.Ball(start, 3 * problem.amplitude)
        asked = {"horizon": steps * problem.dt, "trajectories": trajectories, "seed": 0, "method": "direct"}

        def both(chain=chain, start=start, region=region, asked=asked, trajectories=trajectories, steps=steps):
            final = ss.simulate(chain, start, steps, trajectories, seed=0)
            return final, ss.escape(chain, start, region, **asked).steps

        loop, exits = both()
        with bench.kernel(name):
            kernel, others = both()
            plan = ss.plan(chain, start, steps, trajectories).kernel
        found[name] = {
            "kernel": plan,
            "equal_bits": float(np.mean(loop == kernel)),
            "largest_difference": float(np.max(np.abs(loop - kernel))),
            "other_exits": float(np.mean(exits != others)),
            "right": bool(np.mean(exits != others) <= 0.02),
        }
        print(f"  {name:14s} {found[name]}", flush=True)
    return {"text": "kernel beside loop", "problems": found}


def _tune(bench: Bench, name: str, trajectories: int, steps: int) -> dict[str, Any]:
    """Every tuning of a problem, timed; the fastest is kept."""
    contender, rows = _ours.simulate(_PROBLEMS[name], *bench.size(trajectories, steps)), []
    for lanes in _DRY_LANES if bench.dry else _LANES:
        for together in _DRY_STEPS if bench.dry else _STEPS:
            given = {"kernel_lanes": lanes, "kernel_steps": together}
            with ss.engine.tuned(kernel=True, **given):
                try:
                    contender.run()
                    seconds = min(seconds_of(contender.run) for _ in range(2))
                except Exception as error:  # a program may need more registers than there are
                    rows.append({**given, "error": f"{type(error).__name__}: {str(error)[:200]}"})
                    continue
            rows.append({**given, "seconds": significant(seconds)})
    timed = [row for row in rows if "seconds" in row]
    best = min(timed, key=lambda row: row["seconds"])
    bench.tuning[name] = {key: best[key] for key in ("kernel_lanes", "kernel_steps")}
    print(f"  {name:14s} {bench.tuning[name]}", flush=True)
    return {"text": f"tuning of {name}", "rows": rows, "best": bench.tuning[name]}


def _floor(bench: Bench) -> dict[str, Any]:
    ours = bench.simulate("double well", *bench.size(2**22, 4_096))
    row = bench.row("1-D double well against the floor of integer arithmetic", [ours], ())
    rate = row["contenders"][0]["path_steps_per_second"]
    return row | share_of_floor(rate, bench.floor, 0.85, judge=not bench.dry)


def _against_kernels(bench: Bench, trajectories: int, steps: int) -> dict[str, Any]:
    size = bench.size(trajectories, steps)
    makers = (rivals.cupy_kernel, rivals.cupy_threefry, rivals.batched_scan, rivals.batched_philox)
    entries = [bench.simulate("double well", *size), *(each for make in makers for each in make(*size))]
    targets = [
        Target("CuPy kernel, Threefry", at_least=0.8),
        Target("CuPy kernel, cuRAND Philox"),
        Target("batched scan, jax.random.normal"),
        Target("batched scan, Philox"),
    ]
    return bench.row("1-D double well beside hand-written kernels", entries, targets)


def _left_there(bench: Bench) -> dict[str, Any]:
    trajectories, steps = bench.size(8_388_608, 256)
    chain, start = geometric(steps)

    def run():
        ss.simulate(chain, start, steps, trajectories, seed=0, to="device", progress=False).block_until_ready()

    ours = bench.under("coupled 4", Contender(OURS, run, trajectories, steps))
    row = bench.row("dX = 1.5 X dt + 0.01 X dW, d = 3, left on the device", [ours], ())
    seconds = row["contenders"][0]["median_seconds"]
    return row | {"wanted_seconds": 0.010, "met": None if bench.dry else seconds <= 0.010}


def _gradient(bench: Bench, name: str, trajectories: int) -> dict[str, Any]:
    size = bench.size(trajectories, 128)
    entries = [bench.simulate(name, *size), *rivals.gradient_scans(_PROBLEMS[name], *size)]
    targets = [Target(family, at_least=5) for family in dict.fromkeys(each.family for each in entries[1:])]
    return bench.row(f"{name} beside the best scans", entries, targets)


def _watched(bench: Bench, steps: int) -> dict[str, Any]:
    size = bench.size(2**20, steps)
    entries = [bench.simulate("double well", *size), bench.under("double well", _ours.escape_never(*size))]
    return bench.row("exits watched over not watched", entries, [Target(OURS, at_most=1.2, ours=_ours.ESCAPE)])


def _leave_early(bench: Bench) -> dict[str, Any]:
    size = (256, 4_000) if bench.dry else (2**20, 10_000)
    entries = [bench.under("double well", each) for each in _ours.escape_mostly(*size)]
    return bench.row("99 % leave early", entries, [Target(_ours.NONE_LEAVE, at_most=0.3, ours=_ours.MOST_LEAVE)])


def _rare(bench: Bench, name: str, level: float) -> dict[str, Any]:
    """Seconds to the same relative precision here and on two CPU cores, in a process of their own."""
    rtol = 0.8 if bench.dry else 0.1

    def here():
        with bench.kernel("double well"):
            splitting.run(level, 0, rtol)

    here()
    ours = min(seconds_of(here) for _ in range(bench.rounds))
    theirs = _on_two_cores(level, rtol)
    row = {
        "text": f"P = {name} by splitting, to {rtol:.0%}",
        "seconds": significant(ours),
        _CPU_CORES: significant(theirs),
        "ratio": significant(theirs / ours),
        "at_least": 5,
        "met": None if bench.dry else theirs / ours >= 5,
    }
    print(f"  {row}", flush=True)
    return row


def _on_two_cores(level: float, rtol: float) -> float:
    command = [sys.executable, "-m", "benchmarks.speed", "kernel", "--splitting-on-cpu", str(level), str(rtol)]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=True)
    return float(json.loads(found.stdout.splitlines()[-1])["seconds"])


def _splitting_on_cpu(level: float, rtol: float) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    splitting.run(level, 0, rtol)
    print(json.dumps({"seconds": min(seconds_of(lambda: splitting.run(level, 0, rtol)) for _ in range(2))}))


def _scaling(bench: Bench) -> dict[str, Any]:
    """Cost of a path-step from few trajectories to many; few run more steps, so that a call does not count."""
    sizes = (128, 256) if bench.dry else tuple(4**power for power in range(6, 12))
    entries = []
    for size in sizes:
        steps = 32 if bench.dry else max(512, 2**25 // size)
        entries.append(bench.simulate("double well", size, steps))
    timings, _ = measure([replace(each, variant=f"{each.trajectories}") for each in entries], bench.rounds)
    costs = [timing.median / timing.contender.path_steps for timing in timings]
    spread = max(costs) / min(costs)
    return {
        "text": "cost of a path-step, over the cheapest",
        "contenders": contender_rows(timings),
        "spread": significant(spread),
        "wanted": 3.0,
        "met": None if bench.dry else spread <= 3,
    }


def _call(bench: Bench) -> dict[str, Any]:
    with bench.kernel("double well"):
        return run_call(4_096, bench.dry)


def _networks(bench: Bench, problem: Any) -> dict[str, Any]:
    networks, steps = (2, 2) if bench.dry else (256 if problem.sizes else 64, 64)
    entries = [
        by_hand.ours(problem, networks, steps),
        *by_hand.vmapped_scan(problem, networks, steps),
        *by_hand.products(problem, networks, steps),
        *by_hand.torch_func(problem, networks, steps),
    ]
    # a product of these shapes is the card's own rate for them
    rivals = [Target(by_hand.BY_HAND), Target(by_hand.TORCH_FUNC)]
    return bench.row(problem.text, entries, [*rivals, Target(by_hand.PRODUCTS, at_least=0.5)])


def _ablation(bench: Bench, name: str, trajectories: int, steps: int) -> dict[str, Any]:
    plain = _ours.simulate(_PROBLEMS[name], *bench.size(trajectories, steps))

    def untuned():
        with ss.engine.tuned(kernel=True):
            return plain.run()

    entries = [
        bench.under(name, plain),
        replace(plain, family=f"{OURS}, kernel untuned", run=untuned),
        replace(plain, family=_LOOP),
    ]
    return bench.row(f"{name}, the kernel left out", entries, [Target(_LOOP)])


Job = Callable[[Bench], dict[str, Any]]


def _jobs(dry: bool) -> dict[str, Job]:
    million = 2**20
    networks = [next(each for each in _problems.PROBLEMS if each.sizes == sizes) for sizes in ((784, 32, 10), None)]
    return {
        "bits": _bits,
        "tuning_double_well": partial(_tune, name="double well", trajectories=million, steps=512),
        "floor": _floor,
        "million": partial(_against_kernels, trajectories=million, steps=512),
        "few": partial(_against_kernels, trajectories=4_096, steps=8_192),
        "call": _call,
        "tuning_coupled_4": partial(_tune, name="coupled 4", trajectories=million, steps=128),
        "left_there": _left_there,
        "tuning_muller_brown": partial(_tune, name="Müller–Brown", trajectories=million, steps=128),
        "muller_brown": partial(_gradient, name="Müller–Brown", trajectories=million),
        "coupled_4": partial(_gradient, name="coupled 4", trajectories=million),
        "watched": partial(_watched, steps=512),
        "watched_long": partial(_watched, steps=8_192),
        "leave_early": _leave_early,
        "scaling": _scaling,
        "tuning_coupled_16": partial(_tune, name="coupled 16", trajectories=2**18, steps=128),
        "coupled_16": partial(_gradient, name="coupled 16", trajectories=2**18),
        **{
            f"rare_{name}": partial(_rare, name=name, level=level)
            for name, level in (_DRY_RARE if dry else _RARE).items()
        },
        **{f"networks_{each.name}": partial(_networks, problem=each) for each in networks},
        "ablation": partial(_ablation, name="double well", trajectories=million, steps=512),
        "ablation_coupled_4": partial(_ablation, name="coupled 4", trajectories=million, steps=128),
    }


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The record, as it is written."""
    options = _parse(arguments)
    if options.splitting_on_cpu:
        _splitting_on_cpu(*options.splitting_on_cpu)
        return {}
    if jax.default_backend() == "cpu" and not options.dry:
        raise SystemExit("JAX finds no accelerator here; --dry runs the same code with tiny sizes")
    bench = Bench(options.dry, 1 if options.dry else 5, options.floor or known_floor())
    print(f"{device()}; float32; a kernel beside the loop and its rivals", flush=True)
    result = {**conditions(), "rows": {}, "skipped": [], "failed": []}
    out = options.out or (None if options.dry or options.only else RESULTS)
    jobs = chosen(_jobs(options.dry), options.only)

    def keep(name: str, row: dict[str, Any]) -> None:
        result["failed"] += [name] if "error" in row else []
        result["rows"][name] = row

    rows = {name: partial(_row, name, job, bench) for name, job in jobs.items()}
    work_off(rows, options.minutes, result, keep, out and out / "kernel.json")
    return result


def _row(name: str, job: Job, bench: Bench) -> dict[str, Any]:
    print(f"\n{name}", flush=True)
    try:
        return job(bench)
    except Exception as error:
        # nobody is there to start the rest again
        with contextlib.suppress(Exception):
            traceback.print_exc()
        return {"error": f"{type(error).__name__}: {str(error)[:2_000]}"}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of("kernel", __doc__, _MINUTES)
    parser.add_argument("--dry", action="store_true", help="tiny sizes, on CPU too, where kernels are interpreted")
    parser.add_argument("--splitting-on-cpu", type=float, nargs=2, metavar=("LEVEL", "RTOL"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)
