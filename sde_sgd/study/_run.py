"""Runs a study of any kind: finds what is missing, has it computed unit by unit, keeps what is finished, reports."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ._accounts import device_line
from ._dataset import all_diverged
from ._errors import StudyError
from ._estimate import in_words, path_steps_a_second, time_left, workers_at_work
from ._executors import as_executor, work, workers
from ._file import parse, read_source
from ._fingerprint import difference, fingerprint
from ._kind import AbstractStudy
from ._own_code import digests, on_the_path
from ._progress_bar import ProgressBar, spent
from ._queue import Queue
from ._report import report, rows
from ._shard import shard_of
from ._store import Store
from ._task import Opened, check_same, code_of_study, own_kind, remembered, source_of, study_of
from ._units import units

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class Outcome(NamedTuple):
    """What a run left behind.

    folder: of the study. dataset: of all finished cells. report: the table as text, with notes.
    table: its rows as data, unrounded. figures: paths of the figures' files that are there.
    computed: cells run now. complete: whether all cells are finished.
    all_diverged: the cells, by their coordinates, of which every trajectory became non-finite.
    unknown: the finished cells, by their places along the axes, for which the table has no number with an interval.
    unwritten: one sentence on what could not be written, "" where all was.
    """

    folder: Path
    dataset: "xr.Dataset"
    report: str
    table: "pd.DataFrame"
    figures: list[Path]
    computed: int
    complete: bool
    all_diverged: list[dict[str, Any]]
    unknown: list[dict[str, int]]
    unwritten: str = ""


class Progress(NamedTuple):
    """How far a study is.

    name, kind: of the study. finished: how many of its `cells` are on disk.
    fingerprint: hexadecimal digest of everything that decides its numbers.
    torn: units whose numbers are damaged, which count as not finished.
    path_steps_per_second: as of late, of all workers; workers: how many units were computed at a time of late.
    widest: the largest relative half-width of an interval. seconds_left: if it goes on as of late. None where unknown.
    folder: of the study.
    """

    name: str
    kind: str
    finished: int
    cells: int
    fingerprint: str
    torn: int = 0
    path_steps_per_second: float | None = None
    workers: float | None = None
    widest: float | None = None
    seconds_left: float | None = None
    folder: Path | None = None

    def __str__(self) -> str:
        parts = [f"{self.name} ({self.kind}): {self.finished} of {self.cells} cells finished"]
        if self.torn:
            parts.append(f"{self.torn} damaged unit{'s' * (self.torn > 1)} to be computed again")
        if self.path_steps_per_second:
            parts.append(f"{self.path_steps_per_second:.2g} path-steps/s")
        if self.widest is not None:
            parts.append(f"widest interval ±{100 * self.widest:.2g} %")
        if self.finished >= self.cells:
            return "; ".join([*parts, "complete"])
        if self.seconds_left is not None:
            parts.append(f"about {in_words(self.seconds_left)} left where it goes on as of late")
        return "; ".join([*parts, f"to finish it: sde-sgd resume {self.folder}"])


class Plan(NamedTuple):
    """What a study will be, before it is run.

    study: the study. axes: name and length of each axis. cells, units: how many. programs: to be compiled, None where
    its kind does not say. work: of all cells, and that of the largest and the smallest one, without unit.
    """

    study: AbstractStudy
    axes: dict[str, int]
    cells: int
    units: int
    programs: int | None
    work: tuple[float, float, float]


def run(
    source: str | Path,
    out: str | Path | None = None,
    *,
    executor: Any = None,
    progress: bool = True,
    changes: Mapping[str, Any] | None = None,
    cells_per_unit: int = 1,
) -> Outcome:
    """Run the study in `source` (a path, or the name of a packaged study) into the folder `out`.

    out: a new folder, or one that already holds this study, of which only what is missing is then run; None takes
        ./<name of the study>.
    executor: where cells are computed: None is this process; a number, so many processes of this machine; anything
        with submit(function, *arguments), such as a Dask client, whose processes see the folder by the same path.
    progress: print what it runs on, and show one progress bar.
    changes: other values for keys of the study file, such as {"sweep.batch_size": [8]}.
    cells_per_unit: how many neighbouring cells are computed and written together, for studies of very many small ones.
    Two runs on one folder share its units. Ctrl-C keeps the finished cells and raises KeyboardInterrupt after their
    table was written.
    Raises StudyError for a study file or a folder that cannot be used, before anything is written, and, after the table
    of the others was written, where a cell cannot be run, such as one with a start outside its region.
    """
    return _finish(_initialised(source, out, changes, cells_per_unit), executor, progress)


def init(
    source: str | Path,
    out: str | Path | None = None,
    *,
    changes: Mapping[str, Any] | None = None,
    cells_per_unit: int = 1,
) -> Path:
    """Make the folder of a study, for `resume` and `worker` to compute it; returns the folder.

    Arguments and errors as of `run`.
    """
    return _initialised(source, out, changes, cells_per_unit).store.folder


def resume(
    folder: str | Path, *, executor: Any = None, progress: bool = True, source: str | Path | None = None
) -> Outcome:
    """Run what is missing of the study in `folder`, from the copy of the study file that it keeps.

    executor, progress: as of `run`. source: the folder that a person's own modules have moved to, which is remembered.
    Raises StudyError where the folder holds no study, or where a person's own code has changed since it was made.
    """
    return _finish(_opened(folder, source), executor, progress)


def worker(
    folder: str | Path,
    shard: str | tuple[int, int] | None = None,
    *,
    help_others: bool = False,
    progress: bool = True,
    source: str | Path | None = None,
) -> int:
    """Compute one worker's share of the study in `folder`, in this process; returns how many units it computed.

    shard: (i, n) or "i/n": the units k with k mod n = i; None takes it from the variables of an array of jobs (SLURM,
        SGE, LSF); "/n" where these say which job this is but not of how many (PBS).
    help_others: go on with what nobody computes, from the others' shares, the last ones first.
    progress, source: as of `resume`.
    No table is written: when all workers are done, `resume` does that. Raises StudyError as `resume`, and for a share
    that is none.
    """
    place, count = shard_of(shard)
    there = _opened(folder, source)
    listed = list(there.units.values())
    mine = listed[place::count]
    others = [unit for number, unit in reversed(list(enumerate(listed))) if number % count != place]
    pending = Queue(there.store, [*mine, *(others if help_others else [])])
    title = f"{there.study.name} ({place}/{count})"
    computed, failures = _computed(there, pending, None, progress, title)
    _raise_for(failures)
    return computed


def status(folder: str | Path, *, source: str | Path | None = None) -> Progress:
    """How far the study in `folder` is, also while others compute it. Raises StudyError where it holds no study.

    source: as of `resume`, for a study of a person's own kind.
    """
    store, study = _looked_at(folder, source)
    listed = {unit.key: unit for unit in units(study, store.record["cells_per_unit"])}
    done = store.finished() & set(listed)
    accounts = {key: account for key, account in store.account().items() if key in done}
    costs = [spent(listed[key].work, account) for key, account in accounts.items()]
    at_once = workers_at_work(costs)
    widths = [account["widest"] for account in accounts.values() if account.get("widest") is not None]
    return Progress(
        study.name,
        study.kind,
        sum(len(listed[key].cells) for key in done),
        cell_count(study),
        store.record["fingerprint"],
        len(store.torn()),
        path_steps_a_second(costs, at_once),
        at_once if costs else None,
        max(widths, default=None),
        time_left(costs, [(unit.work, 0.0) for key, unit in listed.items() if key not in done], at_once),
        store.folder,
    )


def redraw(folder: str | Path, *, source: str | Path | None = None) -> Outcome:
    """Draw the figures and write the table again from the stored cells; nothing is simulated.

    source: as of `status`. Raises StudyError where the folder holds no study, or no finished cell.
    """
    store, study = _looked_at(folder, source)
    if not store.finished():
        raise StudyError(f"folder {store.folder} has no finished cell to draw; run: sde-sgd resume {store.folder}")
    return _reported(store, study, 0)


def export(folder: str | Path, target: str | Path | None = None, *, source: str | Path | None = None) -> list[Path]:
    """Write the dataset of the finished cells as netCDF and as CSV, and the table, unrounded, as CSV.

    target: as of `Store.export`; by default the study's folder. source: as of `status`.
    Returns the files. Raises StudyError where the folder holds no study, or no finished cell.
    """
    store, _ = _looked_at(folder, source)
    if not store.finished():
        raise StudyError(f"folder {store.folder} has no finished cell to export; run: sde-sgd resume {store.folder}")
    return store.export(store.folder if target is None else target)


def plan(source: str | Path, *, changes: Mapping[str, Any] | None = None, cells_per_unit: int = 1) -> Plan:
    """What the study in `source` will be; nothing is computed or written. Arguments and errors as of `run`."""
    text, name, folder = read_source(source)
    study = _parsed(text, name, changes)
    with on_the_path(folder):
        study.prepare(folder)
    cells = study.cells()
    programs: Any = getattr(study, "programs", None)
    sizes = [cell.work for cell in cells]
    return Plan(
        study,
        study.axes(),
        len(cells),
        len(units(study, cells_per_unit)),
        int(programs()) if callable(programs) else None,
        (math.fsum(sizes), max(sizes), min(sizes)),
    )


def cell_count(study: AbstractStudy) -> int:
    """Number of cells of a study."""
    return math.prod(study.axes().values())


def _parsed(text: str, name: str, changes: Mapping[str, Any] | None) -> AbstractStudy:
    return parse(text, name, changes=dict(changes)) if changes else parse(text, name)


def _initialised(
    source: str | Path, out: str | Path | None, changes: Mapping[str, Any] | None, cells_per_unit: int
) -> Opened:
    text, name, folder = read_source(source)
    study = _parsed(text, name, changes)
    if changes:
        text = study.text()  # pyright: ignore
    wanted = units(study, cells_per_unit)
    with on_the_path(folder):
        shared = study.prepare(folder)
    code = code_of_study(study, folder)
    target = Path(study.name if out is None else out)
    _check_not_another(target, study, code)
    store = Store.create(
        target,
        text,
        name,
        fingerprint(study, code),
        str(folder),
        cells_per_unit,
        more={"files": digests(code), **own_kind(study)},
    )
    if source_of(store) != folder:
        _remember_source(store, folder)
    kept = store.record["cells_per_unit"]
    listed = wanted if kept == cells_per_unit else units(study, kept)
    return Opened(store.bind(study), study, {unit.key: unit for unit in listed}, shared, folder)


def _check_not_another(target: Path, study: AbstractStudy, code: str) -> None:
    """Raise StudyError with what differs, where a folder has numbers of another study."""
    if not (target / "study.json").is_file():
        return
    store = Store.open(target)
    if store.record["fingerprint"] == fingerprint(study, code) or not store.finished():
        return
    try:
        held = study_of(store, source_of(store))
        what = difference(held, study, store.record.get("files", {}), digests(code))
    except StudyError:
        what = ""
    raise StudyError(
        f"output folder {target} already holds a different study, '{store.record['name']}': "
        f"{what or 'it was made by another version'}; give another --out, nothing was changed"
    )


def _opened(folder: str | Path, source: str | Path | None) -> Opened:
    store = Store.open(folder)
    place = source_of(store) if source is None else _folder_of_source(source)
    study = study_of(store, place)
    check_same(store, study, place)
    if place != source_of(store):
        _remember_source(store, place)
    with on_the_path(place):
        shared = study.prepare(place)
    listed = {unit.key: unit for unit in units(study, store.record["cells_per_unit"])}
    return Opened(store.bind(study), study, listed, shared, place)


def _looked_at(folder: str | Path, source: str | Path | None) -> tuple[Store, AbstractStudy]:
    store = Store.open(folder)
    study = study_of(store, source_of(store) if source is None else _folder_of_source(source))
    return store.bind(study), study


def _folder_of_source(source: str | Path) -> Path:
    place = Path(source).resolve()
    if not place.is_dir():
        raise StudyError(f"source must be the folder of a person's modules, got {source}")
    return place


def _remember_source(store: Store, place: Path) -> None:
    """For the processes that are given no more than the folder; where the study came from stays in the record."""
    store.record["moved"] = str(place)
    if store.is_writable:
        store.save_text("study.json", json.dumps(store.record, indent=2) + "\n")


def _finish(there: Opened, executor: Any, progress: bool) -> Outcome:
    """Have what is missing computed, then write table and figures, also after Ctrl-C and after a cell that failed."""
    pending = Queue(there.store, there.units.values())
    if pending.missing and not there.store.is_writable:
        return _reported(there.store, there.study, 0, "folder is read-only, so that nothing was run")
    before = len(there.units) - len(pending.missing)
    interrupted, computed, failures = False, 0, []
    try:
        computed, failures = _computed(there, pending, executor, progress, there.study.name)
    except KeyboardInterrupt:
        interrupted = True
        if not before and not there.store.finished():
            raise
    if failures and not before + computed:
        _raise_for(failures)
    outcome = _reported(there.store, there.study, computed)
    if interrupted:
        raise KeyboardInterrupt
    _raise_for(failures)
    return outcome


def _computed(there: Opened, pending: Queue, executor: Any, progress: bool, title: str) -> tuple[int, list[str]]:
    """Compute the units of `pending`; returns how many cells were computed here, and sentences on those that failed."""
    missing = pending.missing
    if not missing:
        return 0, []
    done = sum(len(unit.cells) for unit in there.units.values()) - sum(len(unit.cells) for unit in missing)
    with remembered(there), as_executor(executor) as chosen:
        if progress:
            print(f"device   {device_line()}" if executor is None else f"workers  {_in_words(chosen)}", flush=True)
        with ProgressBar(title, missing, done, workers(chosen), progress) as bar:
            return work(chosen, there.store.folder.resolve(), pending, bar)


def _raise_for(failures: list[str]) -> None:
    if failures:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise StudyError(f"{failures[0]}{more}; what was finished is kept")


def _reported(store: Store, study: AbstractStudy, computed: int, unwritten: str = "") -> Outcome:
    """Table and figures, written as far as the folder lets them be."""
    dataset = store.dataset()
    text = report(study, dataset)
    figures: list[Path] = []
    try:
        store.save_text("report.txt", text + "\n")
        figures += [store.save_figure(name, figure) for name, figure in study.figures(dataset).items()]
    except StudyError as error:
        unwritten = unwritten or f"table and figures could not be written: {error}"
        figures = sorted(path for path in store.folder.glob("*.png"))
    return Outcome(
        store.folder,
        dataset,
        text,
        rows(study, dataset),
        figures,
        computed,
        dataset.attrs["cells_finished"] == dataset.attrs["cells"],
        all_diverged(dataset),
        _without_number(study, dataset),
        unwritten,
    )


def _without_number(study: AbstractStudy, dataset: "xr.Dataset") -> list[dict[str, int]]:
    """Places of the finished cells for which no column with an interval has a value."""
    named = {column.variable for column in study.columns() if column.interval} & set(dataset)
    if not named or "status" not in dataset:
        return []
    axes = [axis for axis in study.axes() if axis in dataset["status"].dims]
    known = False
    for name in named:
        entry = dataset[name].notnull()
        known = entry.any([dim for dim in entry.dims if dim not in axes]) | known
    lost = (~known & (dataset["status"] != "")).transpose(*axes)
    return [dict(zip(axes, map(int, place), strict=True)) for place in zip(*lost.values.nonzero(), strict=True)]


def _in_words(executor: Any) -> str:
    count = workers(executor)
    kind = "processes" if type(executor).__name__ == "Processes" else f"of {type(executor).__name__}"
    return f"{count if count else 'some'} {kind}"
