"""Units of a study on anything with `submit(function, *arguments)`: this process, others, a Dask cluster, SLURM.

One loop keeps a bounded number of units in flight, gives those of a dead process to another, and stops early where a
study cannot run at all.
"""

import contextlib
import inspect
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from .._errors import StudyError, WriteError
from .._units import Unit
from ._processes import Processes, check_count
from ._progress_bar import ProgressBar
from ._queue import Queue
from ._task import run_unit

# times that a unit is begun whose process dies
TRIES = 3
# units in flight where an executor does not say how many it runs at a time, such as a queue of jobs
_UNKNOWN = 64
# seconds between two looks at futures that do not call back, and at units that others compute
_POLL, _LOOK = 0.05, 1.0
# by name, as their packages need not be installed: what a future raises whose process is gone
_DEATHS = {"BrokenExecutor", "KilledWorker", "UncompletedJobError", "CancelledError", "FutureCancelledError"}


class Here:
    """The executor of who has none: a call is done when `submit` returns, in this very thread."""

    count = 1

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        """A future that is done; KeyboardInterrupt is raised at once."""
        future: Future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


@contextlib.contextmanager
def as_executor(executor: Any) -> Iterator[Any]:
    """What `executor=` means: None is this process, a number so many processes, anything with submit() itself.

    Processes that were started here end with the context. Raises StudyError for anything else.
    """
    check_executor(executor)
    if executor is None:
        yield Here()
    elif isinstance(executor, int):
        with Processes(executor) as processes:
            yield processes
    else:
        yield executor


def check_executor(executor: Any) -> None:
    """Raise StudyError for what `as_executor` does not take: asked before anything is written."""
    if isinstance(executor, int):
        check_count(executor)
    elif executor is not None and not callable(getattr(executor, "submit", None)):
        raise StudyError(f"executor must have a method submit(), or be a number of processes, got {executor!r}")


def workers(executor: Any) -> int | None:
    """How many units an executor computes at a time; None where it does not say."""
    with contextlib.suppress(Exception):
        if hasattr(executor, "nthreads"):
            # a Dask client
            return sum(executor.nthreads().values()) or None
        return int(getattr(executor, "count", None) or executor._max_workers)
    return None


def work(executor: Any, folder: Path, pending: Queue, watch: ProgressBar) -> tuple[int, list[str]]:
    """Compute every unit of `pending`; returns how many cells were computed, and a sentence for each failed unit.

    executor: with submit(function, *arguments), which returns a future with done() and result().
    folder: as all its processes see it. watch: who is told how it goes on.
    A unit that cannot be computed stops all where more have failed than have finished: then the study is at fault.
    Raises WriteError where the folder cannot be written. After any exception no unit stays claimed.
    """
    flight = _Flight(executor, str(folder))
    known = workers(executor)
    at_once = 1 if isinstance(executor, Here) else 2 * known if known else _UNKNOWN
    failures: list[str] = []
    units, cells, looked, is_idle = 0, 0, time.monotonic(), False
    try:
        while True:
            stops = len(failures) > units
            while not stops and len(flight) < at_once and (unit := pending.take()) is not None:
                watch.begun(unit)
                flight.begin(unit)
            for unit, answer in flight.landed():
                pending.finish(unit.key)
                if isinstance(answer, str):
                    failures.append(answer)
                else:
                    units, cells = units + 1, cells + len(unit.cells)
                    watch.finished(unit, answer)
            is_idle = is_idle and not len(flight)
            must_look = (not len(flight) and not is_idle) or time.monotonic() - looked >= _LOOK
            if pending.held_by_others and must_look and not stops:
                looked, is_idle = time.monotonic(), not len(flight)
                for unit, account in pending.look_again():
                    watch.elsewhere(unit, account)
            elif not len(flight) and (stops or not pending.is_open):
                return cells, failures
            elif not len(flight) and pending.held_by_others:
                watch.waiting(pending.held_by_others)
    finally:
        flight.cancel()
        pending.close()


class _Flight:
    """Units that were submitted and are not done."""

    def __init__(self, executor: Any, folder: str):
        self._executor, self._folder = executor, folder
        self._futures: dict[Any, Unit] = {}
        self._silent: list[Any] = []
        self._tries: dict[str, int] = {}
        self._called_back: queue.SimpleQueue = queue.SimpleQueue()
        # Dask takes a call with equal arguments for the same one, and has its answer still
        pure = "pure" in _parameters(executor.submit)
        self._options: dict[str, Any] = {"pure": False} if pure else {}

    def __len__(self) -> int:
        return len(self._futures)

    def begin(self, unit: Unit) -> None:
        self._tries[unit.key] = self._tries.get(unit.key, 0) + 1
        try:
            future = self._executor.submit(run_unit, self._folder, unit.key, **self._options)
        except RuntimeError as error:
            # a broken pool takes nothing more, and only who made it can make another
            raise StudyError(f"the executor takes no more units: {_one_line(error)}") from error
        self._futures[future] = unit
        if hasattr(future, "add_done_callback"):
            future.add_done_callback(self._called_back.put)
        else:
            self._silent.append(future)

    def landed(self) -> Iterator[tuple[Unit, dict[str, Any] | str]]:
        """Units that are done, with their account or a sentence on what went wrong; waits a moment for the first."""
        for future in self._done():
            unit = self._futures.pop(future)
            try:
                yield unit, future.result() or {}
            except WriteError:
                raise
            except StudyError as error:
                yield unit, str(error)
            except Exception as error:
                if not _is_death(error):
                    yield unit, f"unit {unit.key}: {type(error).__name__}: {_last_line(error)}"
                elif self._tries[unit.key] < TRIES:
                    self.begin(unit)
                else:
                    yield unit, f"unit {unit.key}: the process that computed it died, {TRIES} times in turn"

    def cancel(self) -> None:
        """Call back what has not begun."""
        for future in self._futures:
            with contextlib.suppress(Exception):
                future.cancel()

    def _done(self) -> list[Any]:
        found = []
        with contextlib.suppress(queue.Empty):
            found.append(self._called_back.get(timeout=_POLL))
            while True:
                found.append(self._called_back.get_nowait())
        found += [future for future in self._silent if future.done()]
        self._silent = [future for future in self._silent if future not in found]
        return [future for future in found if future in self._futures]


def _is_death(error: BaseException) -> bool:
    return any(kind.__name__ in _DEATHS for kind in type(error).__mro__)


def _parameters(function: Callable) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _last_line(error: BaseException) -> str:
    """Of a message that carries another process's traceback, what it comes to."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" -")]
    return lines[-1] if lines else ""
