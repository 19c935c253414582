"""The constants of the model and the curve over processes, measured on this machine."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from sde_sgd.study import init, resume, status
from sde_sgd.study.running._executors import work
from sde_sgd.study.running._processes import Processes
from sde_sgd.study.running._progress_bar import ProgressBar
from sde_sgd.study.running._queue import Queue
from sde_sgd.study.running._task import opened, run_unit

from . import _study as _study

# of the packaged study `escape`: two small cells of one question
_SMALL = {
    "trajectories": 400,
    "horizon": 2.0,
    "sweep.learning_rate": [0.04],
    "sweep.batch_size": [8, 16],
}


def _file(folder: Path, number: int, seconds: float) -> Path:
    path = folder / "timed.toml"
    path.write_text(f'kind = "benchmark_timed"\nnumber = {number}\nseconds = {seconds}\n')
    return path


class _Nobody:
    """An executor that computes nothing, so that what is left is the runner."""

    count = 1

    def submit(self, function: Any, folder: str, unit: str) -> Future:
        future: Future = Future()
        future.set_result(_at_once(folder, unit))
        return future


class _Dask:
    """A cluster that computes nothing: its scheduler is what is left beside the runner."""

    def __init__(self, client: Any):
        self.count, self._client = 8, client

    def submit(self, function: Any, folder: str, unit: str) -> Any:
        return self._client.submit(_at_once, folder, unit, pure=False)


def _at_once(folder: str, unit: str) -> dict[str, float]:
    return {"wall_seconds": 1.0}


def _dispatch(executor: Any, units: int) -> float:
    """Seconds of the runner for each unit, on an executor that computes nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = init(_file(Path(name), units, 0.0), Path(name) / "out")
        there = opened(folder)
        pending = Queue(there.store, there.units.values())
        with ProgressBar("timed", pending.missing, 0, 1, show=False) as bar:
            began = time.perf_counter()
            work(executor, folder, pending, bar)
            return (time.perf_counter() - began) / units


def constants(units: int = 300) -> dict[str, float]:
    """Seconds, by name: medians, or means over many units."""
    import distributed

    found = {"dispatch": _dispatch(_Nobody(), units)}
    # two processes of Dask's own, so that its scheduler shares this one with the runner alone
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        found["dispatch_dask"] = _dispatch(_Dask(client), units)
    with tempfile.TemporaryDirectory() as name:
        folder = init(_file(Path(name), units, 0.0), Path(name) / "out")
        there = opened(folder)
        walls = []
        for key in list(there.units):
            began = time.perf_counter()
            run_unit(str(folder), key)
            walls.append(time.perf_counter() - began)
        found["store"] = statistics.median(walls)
        began = time.perf_counter()
        there.store.finished()
        found["look"] = (time.perf_counter() - began) / units
    with Processes(1) as processes:
        began = time.perf_counter()
        processes.submit(_nothing).result()
        found["start"] = time.perf_counter() - began
        walls = []
        for _ in range(200):
            began = time.perf_counter()
            processes.submit(_nothing).result()
            walls.append(time.perf_counter() - began)
        found["travel"] = statistics.median(walls) / 2
    return found | _compiling()


def _nothing() -> None:
    """What a process is asked for that is only started."""


def _compiling() -> dict[str, float]:
    """Seconds to compile a question of an escape in a fresh process: without JAX's persistent cache, and from it."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        code = "import json, sys, jax\n"
        code += "jax.config.update('jax_compilation_cache_dir', sys.argv[1])\n"
        code += "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)\n"
        code += "jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)\n"
        code += "import sde_sgd.study as s\nfrom sde_sgd.study.running._task import run_unit\n"
        code += f"folder = s.init('escape', sys.argv[2], changes={_SMALL!r})\n"
        code += "print(json.dumps([run_unit(str(folder), f'sharp-000-00{k}') for k in range(2)]))"
        for place, kind in enumerate(("compile", "compile_from_cache")):
            command = [sys.executable, "-c", code, f"{name}/cache", f"{name}/out{place}"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            first, second = json.loads(done.stdout.splitlines()[-1])
            found[kind] = first["wall_seconds"] - second["wall_seconds"]
    return found


def curve(processes: tuple[int, ...], seconds: float, number: int) -> list[dict[str, float]]:
    """A study of `number` units of `seconds` CPU time, on so many processes: wall time, start apart.

    efficiency: against so many processes that have a core each. busy: the share of the processes' time that was within
    units, which other load of the machine does not change. load: of the machine, over the last minute.
    """
    rows = []
    for count in processes:
        with tempfile.TemporaryDirectory() as name, Processes(count) as executor:
            folder = init(_file(Path(name), number, seconds), Path(name) / "out")
            # started, and the study opened, in each
            for future in [executor.submit(_open_and_wait, str(folder)) for _ in range(count)]:
                future.result()
            began = time.perf_counter()
            resume(folder, executor=executor, progress=False)
            wall = time.perf_counter() - began
            assert status(folder).finished == number
            within = sum(account["wall_seconds"] for account in opened(folder).store.account().values())
        row = {"processes": count, "unit": seconds, "units": number, "wall": wall}
        row |= {
            "efficiency": number * seconds / count / wall,
            "busy": within / count / wall,
            "load": os.getloadavg()[0],
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def _open_and_wait(folder: str) -> None:
    opened(folder)
    time.sleep(0.2)
