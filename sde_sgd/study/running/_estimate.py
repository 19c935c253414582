"""How long a study will take yet, by the work that is done, the seconds that it took, and the workers.

A queue of independent jobs, each begun by the first worker that is free: list scheduling (Graham, SIAM Journal on
Applied Mathematics 17, 416, 1969).
"""

import heapq
from collections.abc import Iterable
from typing import NamedTuple

# units that say how many run at a time
_RECENT = 32
# units for each worker from which on an equal share is the same as a schedule
_MANY = 100


class Spent(NamedTuple):
    """What a finished unit took.

    work: without unit, as `Cell.work`. seconds, compile_seconds: wall time, and how much of it went into compiling.
    is_first: of its process, where also what no compiler counts is made for the first time.
    ended: seconds on any clock.
    """

    work: float
    seconds: float
    compile_seconds: float = 0.0
    is_first: bool = False
    ended: float = 0.0
    path_steps: float = 0.0

    @property
    def running(self) -> float:
        """Seconds without compiling."""
        return max(self.seconds - self.compile_seconds, 0.0)


def rate(spent: Iterable[Spent]) -> float | None:
    """Seconds of one worker for one of work, compiling apart; None before any unit is finished.

    First units of a process count only as long as there are no others.
    """
    spent = list(spent)
    told = [each for each in spent if not each.is_first and each.work > 0] or [each for each in spent if each.work > 0]
    work = sum(each.work for each in told)
    return sum(each.running for each in told) / work if work else None


def time_left(spent: Iterable[Spent], left: Iterable[tuple[float, float]], workers: float) -> float | None:
    """Seconds until the last unit is done; None before any is finished.

    left: of each unit that is not finished its work, and the seconds for which it has been computed already.
    workers: units that are computed at a time.
    """
    pace = rate(spent)
    if pace is None:
        return None
    # what is under way keeps its worker
    ordered = sorted(left, key=lambda each: -each[1])
    seconds = [max(pace * work - elapsed, 0.0) for work, elapsed in ordered]
    count = max(round(workers), 1)
    if len(seconds) > _MANY * count:
        return max(sum(seconds) / count, max(seconds))
    ends = [0.0] * count
    for each in seconds:
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)


def workers_at_work(spent: Iterable[Spent]) -> float:
    """How many units were computed at a time of late, at least 1: their seconds against the time they took together."""
    recent = sorted(spent, key=lambda each: each.ended)[-_RECENT:]
    if not recent:
        return 1.0
    # a clock that jumps makes no number of workers
    together = max(each.ended for each in recent) - min(each.ended - each.seconds for each in recent)
    return max(sum(each.seconds for each in recent) / together, 1.0) if together > 0 else 1.0


def path_steps_a_second(spent: Iterable[Spent], workers: float) -> float | None:
    """Of all workers together, compiling apart; None where nothing counted them."""
    spent = list(spent)
    seconds = sum(each.running for each in spent)
    steps = sum(each.path_steps for each in spent)
    return steps / seconds * workers if seconds > 0 and steps > 0 else None


def in_words(seconds: float | None) -> str:
    """Such as 0:42, 12:05, 3:10:00 or 2 days 4:00:00; ? where unknown."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    text = f"{hours}:{minutes:02d}:{rest:02d}" if hours or days else f"{minutes}:{rest:02d}"
    return f"{days} day{'s' * (days > 1)} {text}" if days else text
