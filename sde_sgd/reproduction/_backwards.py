"""Other processes that run the studies from the last one back, while this one runs them from the first one on."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .. import study as studies
from ..engine._devices import mesh_of, workers
from ..study.running._executors import check_executor
from ..study.running._processes import Processes
from ._claim import Size, changes_of, study_file

# each takes some 2 GB
_MOST = 4


def sensible_processes() -> int:
    """How many processes are worth while here: one a core, at most four; one on an accelerator, which they would share.

    A study by itself keeps little more than one core busy: most of a quick one is tracing and compiling.
    """
    return min(workers(mesh_of(None)), _MOST)


def others_of(executor: Any) -> int:
    """How many processes there are beside this one, where `executor` is a number. Raises ValueError for none."""
    check_executor(executor)
    return executor - 1 if isinstance(executor, int) else 0


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
