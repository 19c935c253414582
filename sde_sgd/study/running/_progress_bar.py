"""What a person sees of a running study: one bar in a terminal, and a plain line now and then where there is none."""

import contextlib
import math
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..._progress import is_watched
from .._units import Unit
from ._estimate import Spent, in_words, path_steps_a_second, time_left, workers_at_work

# a plain line comes with every tenth of the work, and after so many seconds
_SILENCE = 30.0
_TICK = 1.0
# seconds between two drawings of a bar
_FLICKER = 0.1


class ProgressBar:
    """Cells, path-steps a second, the widest interval so far and the time left, of the units of one run.

    name: of the study. missing: units that are to be computed; done: cells that were finished before, and widest: the
    largest relative half-width of their intervals.
    workers: units at a time, None where an executor does not say.
    show: whether anything is written. now: a clock in seconds, for tests. Use it as a context.
    """

    def __init__(
        self,
        name: str,
        missing: Sequence[Unit],
        done: int,
        workers: int | None,
        show: bool,
        now: Callable[[], float] = time.monotonic,
        widest: float | None = None,
    ):
        self._name, self._now, self._show = name, now, show
        self._left = {unit.key: unit for unit in missing}
        self._spent: list[Spent] = []
        # by key, in the order in which they were handed out, with the time at which their computing began
        self._handed: dict[str, float | None] = {}
        self._workers, self._others_work = workers, 0.0
        self._cells, self._all_cells = done, done + sum(len(unit.cells) for unit in missing)
        self._work = self._work_left = sum(unit.work for unit in missing) or 1.0
        self._widest = widest
        self._began = self._last_line = now()
        self._last_draw = -math.inf
        self._tenth = 0
        self._note = ""
        self._bar: Any = None
        self._lock = threading.RLock()
        self._is_over = threading.Event()

    def __enter__(self) -> "ProgressBar":
        if self._show and self._left:
            if is_watched():
                from tqdm import tqdm

                self._bar = tqdm(total=self._work, bar_format="{desc} {percentage:3.0f}%|{bar}|{postfix}", leave=True)
                self._draw()
            threading.Thread(target=self._tick, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        with self._lock:
            if self._bar is not None:
                self._draw()
                self._bar.close()
                self._bar = None

    def begun(self, unit: Unit) -> None:
        """A unit was handed out; it is computed as soon as a worker is free."""
        with self._lock:
            self._handed.setdefault(unit.key, None)
            self._start()

    def finished(self, unit: Unit, account: dict[str, Any]) -> None:
        """A unit of this run is done. account: as `run_unit` returns it."""
        with self._lock:
            self._drop(unit)
            self._note = ""
            self._handed.pop(unit.key, None)
            self._start()
            self._spent.append(spent(unit.work, account)._replace(ended=self._now()))
            self._widen(account)
            self._draw()

    def elsewhere(self, unit: Unit, account: dict[str, Any]) -> None:
        """A unit was finished by another run, which so takes a part of what is left. account: that it wrote."""
        with self._lock:
            self._drop(unit)
            self._widen(account)
            self._others_work += unit.work
            self._draw()

    def waiting(self, held: int) -> None:
        """Others compute the `held` units that are left, and this run waits for them."""
        with self._lock:
            note = f"waiting for {held} unit{'s' * (held > 1)} that another run computes"
            is_new, self._note = not self._note, note
            if is_new and self._bar is None and self._show:
                self._line(note)
            self._draw()

    def seconds_left(self) -> float | None:
        """The estimate; None before a unit is finished."""
        now = self._now()
        elapsed = {key: now - begun for key, begun in self._handed.items() if begun is not None}
        left = [(unit.work, elapsed.get(key, 0.0)) for key, unit in self._left.items()]
        mine = sum(each.work for each in self._spent)
        workers = (self._workers or workers_at_work(self._spent)) * (1 + self._others_work / mine if mine else 1)
        return time_left(self._spent, left, float(workers))

    def _widen(self, account: dict[str, Any]) -> None:
        self._widest = widest_of([{"widest": self._widest}, account])

    def _drop(self, unit: Unit) -> None:
        if self._left.pop(unit.key, None) is not None:
            self._cells += len(unit.cells)
            self._work_left -= unit.work

    def _start(self) -> None:
        """Of the units that were handed out, as many as there are workers are being computed."""
        for key in list(self._handed)[: self._workers or len(self._handed)]:
            if self._handed[key] is None:
                self._handed[key] = self._now()

    def text(self) -> str:
        """Everything but the bar itself."""
        parts = [self._note] if self._note else []
        steps = path_steps_a_second(self._spent, float(min(self._workers or 1, max(len(self._left), 1))))
        parts += [f"{steps:.2g} path-steps/s"] if steps else []
        parts += [f"widest ±{100 * self._widest:.2g} %"] if self._widest is not None else []
        parts.append(f"{in_words(self._now() - self._began)} elapsed")
        parts += [f"{in_words(self.seconds_left())} left"] if self._left else []
        return ", ".join(parts)

    @property
    def share(self) -> float:
        """Of the work of this run that is done, between 0 and 1."""
        return min(max(1.0 - self._work_left / self._work, 0.0), 1.0) if self._left else 1.0

    def tick(self) -> None:
        """Draw the time anew; a plain line where there was none for long."""
        with self._lock:
            self._draw(is_due=self._now() - self._last_line >= _SILENCE)

    def _tick(self) -> None:
        while not self._is_over.wait(_TICK):
            self.tick()

    def _draw(self, is_due: bool = False) -> None:
        if self._is_over.is_set() and self._bar is None:
            return
        title = f"{self._name}: {self._cells}/{self._all_cells} cells"
        if self._bar is not None:
            if self._now() - self._last_draw < _FLICKER and self._left:
                return
            self._last_draw = self._now()
            self._bar.n = self.share * self._work
            self._bar.set_description_str(title, refresh=False)
            self._bar.set_postfix_str(self.text(), refresh=False)
            self._bar.refresh()
        elif self._show and (is_due or int(10 * self.share + 1e-9) > self._tenth):
            self._tenth = int(10 * self.share + 1e-9)
            self._line(f"{self._cells}/{self._all_cells} cells, {100 * self.share:.0f} %, {self.text()}")

    def _line(self, text: str) -> None:
        self._last_line = self._now()
        with contextlib.suppress(OSError, ValueError):
            print(f"{self._name}: {text}", file=sys.stderr, flush=True)


def widest_of(accounts: Iterable[dict[str, Any]]) -> float | None:
    """The largest relative half-width that accounts tell of; None where none does."""
    return max((each["widest"] for each in accounts if each.get("widest") is not None), default=None)


def spent(work: float, account: dict[str, Any]) -> Spent:
    """What an account says, as estimates take it. work: of the unit."""
    return Spent(
        work,
        float(account.get("wall_seconds", 0.0)),
        float(account.get("compile_seconds", 0.0)),
        bool(account.get("is_first", False)),
        float(account.get("ended", 0.0)),
        float(account.get("path_steps", 0.0)),
    )
