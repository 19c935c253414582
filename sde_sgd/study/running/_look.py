"""Looks at a study without running it: what it will be, how far it is, its table and figures, its files for others."""

import contextlib
import math
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..._progress import shown
from .._errors import StudyError, path_given, to_resume
from .._file import parse, read_source
from .._kind import AbstractStudy
from .._own_code import on_the_path
from .._replacing import replacing
from .._units import units
from ..reporting._export import export as written
from ..store._store import Store
from ._estimate import in_words, path_steps_a_second, time_left, workers_at_work
from ._numberless import Question, reasons
from ._numberless import in_words as numberless_in_words
from ._outcome import Outcome, left_out, reported
from ._progress_bar import spent, widest_of
from ._task import PILOT, computed, has_told, held, weigh

if TYPE_CHECKING:
    import xarray as xr

# units that are named, of those that are being computed
_NAMED = 4
# how messages call the argument of `report_html` and `export`
_TARGET = "target (--to)"


class Progress(NamedTuple):
    """How far a study is.

    name, kind: of the study. finished: how many of its `cells` are on disk.
    fingerprint: hexadecimal digest of everything that decides its numbers.
    torn: units whose numbers are damaged, which count as not finished.
    path_steps_per_second: of all workers, as many as of late.
    widest: the largest relative half-width of an interval. seconds_left: if it goes on as of late. None where unknown.
    folder: of the study. claimed: units that living processes compute, or will next, where locks tell.
    numberless: by cell, in words, why it has no number though it is finished.
    """

    name: str
    kind: str
    finished: int
    cells: int
    fingerprint: str
    torn: int = 0
    path_steps_per_second: float | None = None
    widest: float | None = None
    seconds_left: float | None = None
    folder: Path = Path()
    claimed: tuple[str, ...] = ()
    numberless: Mapping[str, str] = MappingProxyType({})

    def __str__(self) -> str:
        is_complete = self.finished >= self.cells
        names = [*self.claimed[:_NAMED], *([f"{len(self.claimed) - _NAMED} more"] * (len(self.claimed) > _NAMED))]
        going_on = f"being computed: {', '.join(names)}" if names else f"to finish it: {to_resume(self.folder)}"
        state = "complete" if is_complete else going_on
        parts = [f"{self.name} ({self.kind}): {self.finished} of {self.cells} cells finished", state]
        if self.torn:
            parts.append(f"{self.torn} damaged unit{'s' * (self.torn > 1)} to be computed again")
        if self.numberless:
            parts.append(numberless_in_words(self.numberless))
        if self.path_steps_per_second:
            parts.append(f"{self.path_steps_per_second:.2g} path-steps/s")
        if self.widest is not None:
            parts.append(f"widest interval ±{100 * self.widest:.2g} %")
        if self.seconds_left is not None and not is_complete:
            parts.append(f"{in_words(self.seconds_left)} left if it goes on as of late")
        return "; ".join(parts)


class Plan(NamedTuple):
    """What a study will be, before it is run.

    study: the study. axes: name and length of each axis. cells, units: how many. programs: to be compiled, one
    for each question. work: of all cells, and that of the largest and the smallest one, without unit.
    seconds: to compile and compute everything in one process, and memory: most bytes that a process has held, both by
    the smallest cell, if that was tried; memory is None where a system does not say.
    """

    study: AbstractStudy
    axes: dict[str, int]
    cells: int
    units: int
    programs: int
    work: tuple[float, float, float]
    seconds: float | None = None
    memory: int | None = None

    def __str__(self) -> str:
        axes = " × ".join(f"{length} {name}" for name, length in self.axes.items())
        everything, most, least = self.work
        return "\n".join([
            f"study    {self.study.name} ({self.study.kind})",
            f"cells    {self.cells} ({axes}), in {self.units} units",
            f"programs {self.programs} to compile, one for each question",
            f"work     {everything:g}; of a cell {least:g} to {most:g}, without unit",
            *([self.cost] if self.seconds is not None else []),
        ])  # fmt: skip

    @property
    def cost(self) -> str:
        """Time and memory in words, if the smallest cell was tried."""
        memory = f"{self.memory / 2**20:.0f} MiB" if self.memory else "unknown"
        return f"time     about {in_words(self.seconds)} in one process, by the smallest cell\nmemory   {memory} in it"


def status(folder: str | Path, *, source: str | Path | None = None) -> Progress:
    """How far the study in `folder` is, also while others compute it; of one with a pilot first how far that is.

    Raises StudyError where it holds no study.

    source: as of `resume`, for a study of a person's own kind.
    """
    store, study = _looked_at(folder, source)
    first = _pilot_at_work(store, study, source)
    if first is not None:
        return first._replace(folder=store.folder)
    accounts, lacking, question = {}, set(), Question(study)
    for key, account, numbers in store.read(question.names):
        accounts[key] = account
        lacking |= {key} if question.may_lack(numbers) else set()
    if 0 < len(accounts) < len(store.units):
        # a pilot that is damaged or gone does not tell how long the others will take
        with contextlib.suppress(StudyError):
            weigh(store, study)
    costs = [spent(store.units[key].work, account) for key, account in accounts.items()]
    left = [unit for key, unit in store.units.items() if key not in accounts]
    claimed = store.claimed()
    at_once = workers_at_work(costs)
    return Progress(
        study.name,
        study.kind,
        sum(len(store.units[key].cells) for key in accounts),
        sum(len(unit.cells) for unit in store.units.values()),
        store.record["fingerprint"],
        len(store.torn()),
        path_steps_a_second(costs, at_once),
        widest_of(accounts.values()),
        time_left(costs, [(unit.work, 0.0) for unit in left], at_once),
        store.folder,
        tuple(unit.key for unit in left if unit.key in claimed),
        reasons(store, study, lacking) if lacking else {},
    )


def redraw(folder: str | Path, *, source: str | Path | None = None) -> Outcome:
    """Draw the figures and write the table again from the stored cells; nothing is simulated.

    source: as of `status`. Raises StudyError where the folder holds no study, or no finished cell.
    """
    store, study, dataset = _begun(folder, source, "draw")
    return reported(store, study, 0, dataset=dataset)


def report_html(folder: str | Path, target: str | Path | None = None, *, source: str | Path | None = None) -> Path:
    """Write a study as one HTML file, from what is stored; nothing is simulated.

    folder: of a study, finished or not. target: the file; None for `report.html` in the folder. source: as of `status`.
    Returns the path of the file: it can be sent and opened alone.
    Raises StudyError where the folder holds no study, or no finished cell, or where the file cannot be written; and,
    after it was written without them, where units are damaged.
    """
    given = None if target is None else path_given(_TARGET, target)
    store, study, dataset = _begun(folder, source, "report")
    if given is not None:
        store.refuse_own(given)
    # it loads matplotlib
    from ..reporting._html import page

    text = page(study, dataset, store.record, store.account(), store.text)
    if given is None:
        written_to = store.folder / "report.html"
        with _elsewhere("FILE"):
            store.save_text(written_to.name, text)
    else:
        written_to = write_page(given, text)
    _raise_for_damage(store)
    return written_to


def write_page(target: str | Path, text: str) -> Path:
    """Write a page where a person wants it; returns its path. Raises StudyError where that cannot be."""
    try:
        with replacing(Path(target)) as (part,):
            part.write_text(text, "utf-8")
    except OSError as error:
        raise StudyError(f"{target} cannot be written: {error.strerror}") from None
    return Path(target)


def export(folder: str | Path, target: str | Path | None = None, *, source: str | Path | None = None) -> list[Path]:
    """Write the dataset of the finished cells as netCDF and as CSV, and the table, unrounded, as CSV.

    target: a folder, by default the study's, for all three files: dataset.nc, table.csv (the rows of the table) and
        long.csv (a line for each number); or a file, by its ending: .nc, or .csv for the table.
    source: as of `status`.
    Returns the files. Raises StudyError where the folder holds no study, or no finished cell, and for another ending;
    and, after they were written without them, where units are damaged.
    """
    given = None if target is None else path_given(_TARGET, target)
    store, study, dataset = _begun(folder, source, "export")
    if given is not None:
        store.refuse_own(given)
    with _elsewhere("PATH") if given is None else contextlib.nullcontext():
        files = written(study, dataset, given or store.folder)
    _raise_for_damage(store)
    return files


def plan(
    source: str | Path | AbstractStudy,
    *,
    changes: Mapping[str, Any] | None = None,
    cells_per_unit: int = 1,
    trial: bool = False,
) -> Plan:
    """What the study in `source` will be; nothing is written.

    source, changes, cells_per_unit: as of `run`. trial: compute the smallest cell, twice, the first time with
    compiling, and tell from it how long all of them will take, and in how much memory;
    not of a study with a pilot.
    Raises StudyError as `run` does before anything is computed, and where the cell that is tried cannot be run.
    """
    text, name, folder = read_source(source)
    study = parse(text, name, changes)
    cells = study.cells()
    sizes = [cell.work for cell in cells]
    everything = math.fsum(sizes)
    with on_the_path(folder):
        shared = study.prepare(folder)
        # how much work there is after a pilot is known when that is finished
        is_known = study.pilot() is None
        seconds, memory = _tried(study, shared, everything) if trial and is_known else (None, None)
    return Plan(
        study,
        study.axes(),
        len(cells),
        len(units(study, cells_per_unit)),
        study.programs(),
        (everything, max(sizes), min(sizes)),
        seconds,
        memory,
    )


def _tried(study: AbstractStudy, shared: Any, work: float) -> tuple[float, int | None]:
    """Seconds for all the work of a study, and most bytes held, by its smallest cell."""
    cell = min(study.cells(), key=lambda each: each.work)
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        with shown(False, study.name):
            computed(study, cell, shared)
        taken.append(time.perf_counter() - began)
    first, again = taken
    return study.programs() * max(first - again, 0.0) + again * work / cell.work, _most_held()


def _most_held() -> int | None:
    try:
        import resource
    except ImportError:  # pragma: no cover
        return None
    # kilobytes, but on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@contextlib.contextmanager
def _elsewhere(what: str) -> Iterator[None]:
    """What cannot be written into a study's folder may go elsewhere. what: how the command calls that place."""
    try:
        yield
    except StudyError as error:
        raise StudyError(f"{error}; to write it elsewhere: --to {what}") from None


def _looked_at(folder: str | Path, source: str | Path | None) -> tuple[Store, AbstractStudy]:
    store, study, _ = held(folder, source)
    return store.bind(study), study


def _raise_for_damage(store: Store) -> None:
    if sentence := left_out(store):
        raise StudyError(f"folder {store.folder}: {sentence}")


def _begun(folder: str | Path, source: str | Path | None, purpose: str) -> "tuple[Store, AbstractStudy, xr.Dataset]":
    store, study = _looked_at(folder, source)
    dataset = store.dataset()
    if not dataset.attrs["cells_finished"]:
        first = _pilot_at_work(store, study, source)
        pilot = "" if first is None else f", and its pilot {first.finished} of {first.cells} cells"
        raise StudyError(
            f"folder {store.folder} has no finished cell to {purpose}{pilot}; run: {to_resume(store.folder)}"
        )
    return store, study, dataset


def _pilot_at_work(store: Store, study: AbstractStudy, source: str | Path | None) -> Progress | None:
    """How far the pilot of a study is that has one; None where it is finished, or not begun."""
    if study.pilot() is None or not (store.folder / PILOT).is_dir() or has_told(store):
        return None
    first = status(store.folder / PILOT, source=source)
    return first if first.finished < first.cells else None
