"""Other processes that run the studies from the last one back, while this one runs them from the first one on."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .. import study as studies
from ..study import StudyError
from ..study.running._processes import Processes
from ._claim import Size, changes_of, study_file

# each takes up to 1.5 GB
_MOST = 4


def sensible_processes() -> int:
    """How many processes are worth while here: one a core, at most four; one on an accelerator, which they would share.

    Most of the time of a study is compiling and tracing, which one process does on one core.
    """
    import jax

    if jax.default_backend() != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST)


def others_of(executor: Any) -> int:
    """How many processes there are beside this one, where `executor` is a number. Raises StudyError below 1."""
    if not isinstance(executor, int):
        return 0
    if isinstance(executor, bool) or executor < 1:
        raise StudyError(f"processes must be a whole number of at least 1, got {executor!r}")
    return executor - 1


@contextlib.contextmanager
def run_backwards(names: Sequence[str], folder: Path, size: Size, count: int) -> Iterator[Callable[[str], None]]:
    """Have `count` other processes run the studies, the last one first, until the context ends.

    names, folder, size: as they are run here. Yields what is called with the name of each study before it is run here:
    it is then begun nowhere else. Where another process is at it already, the two share its units, as any two runs on
    one folder; what went wrong there is told by the run here.
    """
    if not count:
        yield lambda name: None
        return
    with Processes(count) as others:
        calls = {name: others.submit(_compute, name, str(folder), size.value) for name in reversed(names)}

        def take(name: str) -> None:
            if name in calls:
                calls[name].cancel()

        yield take


def _compute(name: str, folder: str, size: str) -> None:
    """All cells; table and figures are made by the run here."""
    made = studies.init(study_file(name), Path(folder) / name, changes=changes_of(name, Size(size)))
    studies.worker(made, (0, 1), progress=False)
