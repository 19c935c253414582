"""One contender on one question, in this process: the first run, then anew until the precision is there."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ._contenders import Contender
from .problem import PRECISION, TEMPERATURES, exact, needed
from .rivals._until import until

# a short run is made again, with other random numbers, and the median counts
_SHORT, _MOST_RUNS = 1.0, 5
# a rate that will only be extrapolated is measured for so long
_RATE_SECONDS = 4.0


def measure(contender: Contender, question: str, patience: float, quick: bool = False) -> dict[str, Any]:
    """A row of the record; `patience` in seconds, beyond which a time is computed from the rate."""
    temperature, truth = TEMPERATURES[question], exact(TEMPERATURES[question])
    module = contender.load()
    run = _direct if contender.is_direct else _call
    row = run(module, temperature, truth, 0.5 if quick else PRECISION, patience)
    return {"question": question, "temperature": temperature, "exact": truth, **row, "conditions": _conditions()}


def _call(module: Any, temperature: float, truth: float, precision: float, patience: float) -> dict[str, Any]:
    """A contender that comes to its interval by itself."""
    _, (first, _) = _timed(lambda: module.probability(temperature, precision, 1))
    runs = _repeated(lambda seed: _interval(module.probability(temperature, precision, seed)))
    # how much it has to do depends on the seed, which is the same in both of these
    compiling = max(first - runs[0]["wall_seconds"], 0.0)
    return {"how": "measured", "compile_seconds": compiling, **_summary(runs, truth)}


def _interval(found: Any) -> dict[str, Any]:
    if isinstance(found, tuple):
        return dict(zip(("value", "low", "high"), found, strict=True))
    row = {name: float(getattr(found.probability, name)) for name in ("value", "low", "high")}
    return row | {"method": found.method, "path_steps": int(found.path_steps), "result": found.result}


def _direct(module: Any, temperature: float, truth: float, precision: float, patience: float) -> dict[str, Any]:
    """Independent trajectories, batch after batch; where they would take too long, their rate."""
    size = min(16_384, module.WIDE) if truth > 0.01 else module.WIDE
    batches = module.exits(temperature, size, 0)
    (_, first), (_, second) = _timed(lambda: next(batches)), _timed(lambda: next(batches))
    trajectories = needed(truth) * (0.05 / precision) ** 2
    common = {"size": size, "compile_seconds": max(first[0] - second[0], 0.0)}
    if trajectories / size * second[0] > patience:
        rate = _timed(lambda: sum(1 for _ in _for(_RATE_SECONDS, module.exits(temperature, size, 1))))
        share = trajectories / (rate[0] * size)
        return common | {
            "how": "extrapolated",
            "trajectories": int(trajectories),
            "trajectories_run": rate[0] * size,
            "wall_seconds": rate[1][0] * share,
            "cpu_seconds": rate[1][1] * share,
        }
    runs = _repeated(lambda seed: _counted(module.exits(temperature, size, seed), size, precision))
    return common | {"how": "measured", **_summary(runs, truth)}


def _counted(batches: Iterable[int], size: int, precision: float) -> dict[str, Any]:
    exits, trajectories, low, high = until(batches, size, precision)
    return {"value": exits / trajectories, "low": low, "high": high, "trajectories": trajectories}


def _for(seconds: float, batches: Iterable[int]) -> Iterator[int]:
    until_then = time.perf_counter() + seconds
    for count in batches:
        yield count
        if time.perf_counter() > until_then:
            return


def _repeated(run: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    runs, spent = [], 0.0
    while len(runs) < _MOST_RUNS and spent < _SHORT:
        found, (wall, cpu) = _timed(lambda: run(len(runs) + 1))
        runs.append({"wall_seconds": wall, "cpu_seconds": cpu, **found})
        spent += wall
    return runs


def _summary(runs: list[dict[str, Any]], truth: float) -> dict[str, Any]:
    """The median times; the last run's answer, and how far the farthest of all was from the truth."""
    times = {name: float(np.median([run[name] for run in runs])) for name in ("wall_seconds", "cpu_seconds")}
    # an interval of 95 % is 2 × 1.96 standard errors wide
    away = [abs(run["value"] - truth) / ((run["high"] - run["low"]) / (2 * 1.96)) for run in runs]
    width = max((run["high"] - run["low"]) / (2 * run["value"]) for run in runs)
    return {**runs[-1], **times, "runs": len(runs), "standard_errors_off": max(away), "relative_half_width": width}


def _timed(run: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """What it returns, with wall and CPU seconds of this process, all its threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = run()
    return found, (time.perf_counter() - wall, time.process_time() - cpu)


def _conditions() -> dict[str, Any]:
    """What the process was allowed, where it can be read."""
    import sys

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found: dict[str, Any] = {"cores": cores, "compilation_cache": None, "dtype": "float32"}
    if "jax" in sys.modules:
        import jax

        found["compilation_cache"] = jax.config.jax_compilation_cache_dir
        found["dtype"] = "float64" if jax.config.jax_enable_x64 else "float32"
        found["threads"] = "XLA, one a core"
    if "torch" in sys.modules:
        import torch

        found["threads"], found["dtype"] = torch.get_num_threads(), str(torch.get_default_dtype()).split(".")[-1]
    if "numba" in sys.modules:
        import numba

        found["threads"] = numba.get_num_threads()
    return found
