"""Spawned processes of one machine, each with its share of the cores; who dies is replaced, and takes one call along.

Unlike `concurrent.futures.ProcessPoolExecutor`, one dead process does not end the others, it is known what it was at,
and nobody outlives a parent that was killed.
"""

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any

from .._errors import StudyError

# each process imports the script that asks for it
_UNGUARDED = 'a script that asks for processes must do so behind `if __name__ == "__main__":`'


def check_count(count: Any) -> None:
    """Raise StudyError for what is no number of processes."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise StudyError(f"processes must be a whole number of at least 1, got {count!r}")


class Processes:
    """An executor of `count` processes, started when they are first needed.

    A call whose process dies raises BrokenProcessPool from its future; the next one gets a new process. Use it as a
    context, which ends the processes: at once after an exception.
    Raises StudyError for a count below 1, and in a process that is being started itself, where it would wait for ever.
    """

    def __init__(self, count: int):
        check_count(count)
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise StudyError(_UNGUARDED)
        self.count = count
        self._calls: queue.SimpleQueue[tuple[Future, Callable, tuple] | None] = queue.SimpleQueue()
        self._context = multiprocessing.get_context("spawn")
        self._alive: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._is_closed = self._has_begun = False
        self._threads = [threading.Thread(target=self._serve, args=(place,), daemon=True) for place in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        """A future of function(*arguments), which another process computes."""
        future: Future = Future()
        self._calls.put((future, function, arguments))
        return future

    def close(self, now: bool = False) -> None:
        """End the processes: when they have done what was submitted, or `now`."""
        with self._lock:
            self._is_closed = self._is_closed or now
            if now:
                for process in self._alive.values():
                    process.kill()
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(now=kind is not None)

    def _serve(self, place: int) -> None:
        """What a thread does for the process at `place`: hand it one call after the other."""
        if hasattr(signal, "pthread_sigmask"):
            # inherited by the process from its very beginning: a Ctrl-C is the parent's
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        pipe: Connection | None = None
        while (call := self._calls.get()) is not None:
            future, function, arguments = call
            if self._is_closed or not future.set_running_or_notify_cancel():
                future.cancel()
                continue
            try:
                pipe = pipe or self._start(place)
                pipe.send((function, arguments))
                is_fine, value = pipe.recv()
            except (EOFError, OSError) as error:
                pipe = None
                future.set_exception(BrokenProcessPool(f"a process of this machine ended unexpectedly: {error!r}"))
                continue
            except Exception as error:
                # what cannot be pickled
                future.set_exception(error)
                continue
            (future.set_result if is_fine else future.set_exception)(value)
        if pipe is not None:
            pipe.close()
            self._alive[place].join()

    def _start(self, place: int) -> Connection:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve_calls, args=(theirs, _share(place, self.count)), daemon=True)
        with self._lock:
            if self._is_closed:
                raise EOFError("closed")
            process.start()
            self._alive[place] = process
        # theirs alone then, so that its end is seen here
        theirs.close()
        try:
            ours.recv()
        except EOFError:
            if self._has_begun:
                raise
            # the first one: not by chance
            raise StudyError(f"a process of this machine ended while it started; {_UNGUARDED}") from None
        self._has_begun = True
        return ours


def _share(place: int, count: int) -> set[int]:
    """The cores of one of `count` processes; empty where a system does not say."""
    if not hasattr(os, "sched_getaffinity"):
        return set()
    cores = sorted(os.sched_getaffinity(0))
    return set(cores[place % len(cores) :: count]) if count < len(cores) else {cores[place % len(cores)]}


def _serve_calls(pipe: Connection, cores: set[int]) -> None:
    """The life of a process: calls from `pipe`, one after the other, until the parent closes it or is gone."""
    # where it is not blocked: it goes to all processes of a terminal
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if cores:
        os.sched_setaffinity(0, cores)
    # on an accelerator the first process would take most of its memory
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        # it has started
        pipe.send(None)
        while True:
            function, arguments = pipe.recv()
            try:
                answer = True, function(*arguments)
            except Exception as error:
                error.add_note("".join(traceback.format_exception(error)))
                answer = False, error
            try:
                pipe.send(answer)
            except (ValueError, TypeError, AttributeError) as error:
                pipe.send((False, StudyError(f"what a process answered cannot be sent: {error}")))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
