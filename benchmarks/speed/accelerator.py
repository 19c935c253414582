"""The table on one accelerator, with what is measured only there, in under 8 minutes.

    python -m benchmarks.speed accelerator               # writes benchmarks/results/accelerator.json after each case
    python -m benchmarks.speed accelerator --quick       # tiny sizes on whatever JAX finds, writes nothing

Beside the cases of `python -m benchmarks.speed`, with sizes that fill an accelerator:

- `diffeqgpu`: dX = 1.5 X dt + 0.01 X dW, d = 3, diagonal noise, 256 steps, 8,388,608 trajectories. DiffEqGPU.jl
  publishes 716 ms for its Euler–Maruyama kernel, on an older card that its files do not name: a ratio to it holds
  the difference of hardware too. It leaves the result on the device, so the time of ours that is compared does too;
  `simulate`, which brings 100 MB to the host, stands beside it.
- `floor`: normals per second over what integer arithmetic allows. A normal by Threefry-2x32-20 and Box–Muller is
  about 40 integer operations, at 1.7e13 a second on an H100 or H200 4e11 normals a second. Another device has no
  fraction unless `--floor` gives its normals per second.
- `scaling`: throughput from 4,096 to 4 million trajectories.

Rivals are those that run on the device: scans with Threefry, rbg and Philox keys, diffrax, and a CUDA kernel with
cuRAND's Philox through CuPy. A case that the time does not allow is named as skipped.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

import sde_sgd as ss

from .._conditions import conditions, device
from .._paths import FIGURES, RESULTS
from . import _ours, rivals
from ._cases import Case, ablation_cases, own_cases, vector_cases
from ._figure import save, scaling_figure
from ._measure import OURS, Contender, Entry, Target, fastest, measure
from ._problems import DOUBLE_WELL, geometric
from ._report import case_row, print_case, run_case, significant
from ._scaling import run_scaling
from ._unattended import chosen, known_floor, parser_of, share_of_floor, work_off

_PUBLISHED_SECONDS, _WANTED_SECONDS = 0.716, 0.030
_ON_DEVICE = f"{OURS}, result left on the device"
_MINUTES = 7.0

_DEVICE_RIVALS = (
    rivals.batched_scan,
    rivals.batched_philox,
    rivals.trajectory_scan,
    rivals.cupy_kernel,
)


def _double_well(trajectories: int, steps: int) -> list[Entry]:
    makers = (*_DEVICE_RIVALS, rivals.diffrax_solves)
    return [
        _ours.simulate(DOUBLE_WELL, trajectories, steps),
        *(e for make in makers for e in make(trajectories, steps)),
    ]


def _fastest_rivals(trajectories: int, steps: int) -> list[Entry]:
    makers = (rivals.batched_scan, rivals.batched_philox, rivals.cupy_kernel)
    return [
        _ours.simulate(DOUBLE_WELL, trajectories, steps),
        *(e for make in makers for e in make(trajectories, steps)),
    ]


def _table() -> list[Case]:
    """What matters most first: the time may not allow all."""
    targets = (
        Target("batched scan, jax.random.normal", at_least=8),
        Target("batched scan, Philox"),
        Target("vmap of a scan, fold_in", at_least=20),
        Target("CuPy kernel, cuRAND Philox"),
        Target("diffrax, UnsafeBrownianPath, vmap", at_least=50),
        Target("diffrax, UnsafeBrownianPath, one solve of all"),
    )
    trajectories = 2**20
    double_well = Case("double_well", "1-D double well, final states", _double_well, targets, trajectories, 512)
    # long enough that a call's fixed cost does not count
    fastest = tuple(target for target in targets if target.against.startswith(("batched", "CuPy")))
    long = Case("double_well_long", "1-D double well, a long run", _fastest_rivals, fastest, trajectories, 8_192)
    return [double_well, long, *own_cases(trajectories), *vector_cases(scale=16), *ablation_cases(scale=16)]


def run_diffeqgpu(rounds: int, quick: bool) -> dict[str, Any]:
    trajectories, steps = (1_024, 16) if quick else (8_388_608, 256)
    timings, missing = measure(diffeqgpu_contenders(trajectories, steps), rounds)
    seconds = fastest(timings, _ON_DEVICE).median
    row = case_row("dX = 1.5 X dt + 0.01 X dW, d = 3", rounds, timings, missing)
    result = (
        {"name": "diffeqgpu"}
        | row
        | {
            "milliseconds_on_device": significant(1e3 * seconds),
            # tiny sizes say nothing about the target
            "met": None if quick else seconds <= _WANTED_SECONDS,
            "published": "716 ms, DiffEqGPU.jl, card not named in its files and older: the hardware differs",
            "times_faster_than_published": None if quick else significant(_PUBLISHED_SECONDS / seconds),
        }
    )
    print_case(result)
    print(f"  → {1e3 * seconds:.3g} ms on the device; wanted under 30 ms on an H200; published {result['published']}")
    return result


def diffeqgpu_contenders(trajectories: int, steps: int) -> list[Contender]:
    chain, start = geometric(steps)

    @eqx.filter_jit
    def final(chain, states, seed, ids):
        return ss.integrate(chain, states, first_step=0, steps=steps, seed=seed, trajectory_ids=ids)

    states = jnp.tile(jnp.asarray(start), (trajectories, 1))
    ids = jnp.arange(trajectories, dtype=jnp.uint32)

    def on_device():
        return final(chain, states, jnp.uint32(0), ids).block_until_ready()

    def on_host():
        return ss.simulate(chain, start, steps=steps, trajectories=trajectories, seed=0)

    return [
        Contender(OURS, on_host, trajectories, steps),
        Contender(_ON_DEVICE, on_device, trajectories, steps),
    ]


def run_floor(rounds: int, quick: bool, floor: float | None) -> dict[str, Any]:
    """Enough trajectories and steps that nothing but the arithmetic counts."""
    trajectories, steps = (1_024, 64) if quick else (2**22, 4_096)
    timings, missing = measure([_ours.simulate(DOUBLE_WELL, trajectories, steps)], rounds)
    row = case_row("1-D double well against the floor of integer arithmetic", rounds, timings, missing)
    # in one dimension a path-step takes one normal
    result = {"name": "floor"} | row | share_of_floor(timings[0].rate, floor, 0.5, judge=not quick)
    print_case(result)
    reached = result["fraction_of_floor"]
    print("  → no floor known for this device" if reached is None else f"  → {reached:.3g} of the floor; wanted 0.5")
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    rounds = options.rounds or (2 if options.quick else 5)
    if jax.default_backend() == "cpu" and not options.quick:
        raise SystemExit("JAX finds no accelerator here; --quick runs the same code with tiny sizes")
    print(f"{device()}; float32; medians of {rounds} interleaved rounds")
    floor = options.floor or known_floor()
    jobs = {
        "floor": partial(run_floor, rounds, options.quick, floor),
        "diffeqgpu": partial(run_diffeqgpu, rounds, options.quick),
        **{case.name: partial(run_case, case, rounds, options.quick) for case in _table()},
        "scaling": partial(run_scaling, _DEVICE_RIVALS, min(rounds, 3), options.quick),
    }
    result = {**conditions(), "cases": [], "skipped": []}
    out = options.out or (None if options.quick or options.only else RESULTS)

    def keep(name: str, case: dict[str, Any]) -> None:
        result["cases"].append(case)
        if out:
            _draw(case, result, options.out or FIGURES)

    work_off(chosen(jobs, options.only), options.minutes, result, keep, out and out / "accelerator.json")


def _draw(case: dict[str, Any], where: dict[str, Any], folder: Path) -> None:
    if case["name"] == "scaling":
        save(scaling_figure(case, where), folder / "throughput_accelerator.png")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of("accelerator", __doc__, _MINUTES)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, on CPU too")
    parser.add_argument("--rounds", type=int, help="interleaved rounds, 5 by default")
    return parser.parse_args(arguments)
