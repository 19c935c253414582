"""Looks at a study without running it: what it will be, how far it is, its table and figures, its files for others."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .._errors import StudyError
from .._file import parse, read_source
from .._kind import AbstractStudy
from .._own_code import on_the_path
from .._units import units
from ..store._store import Store
from ._estimate import in_words, path_steps_a_second, time_left, workers_at_work
from ._outcome import Outcome, reported
from ._progress_bar import spent
from ._task import source_of, study_of


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
        is_complete = self.finished >= self.cells
        state = "complete" if is_complete else f"to finish it: sde-sgd resume {self.folder}"
        parts = [f"{self.name} ({self.kind}): {self.finished} of {self.cells} cells finished", state]
        if self.torn:
            parts.append(f"{self.torn} damaged unit{'s' * (self.torn > 1)} to be computed again")
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
    """

    study: AbstractStudy
    axes: dict[str, int]
    cells: int
    units: int
    programs: int
    work: tuple[float, float, float]


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
    return reported(store, study, 0)


def report_html(folder: str | Path, target: str | Path | None = None, *, source: str | Path | None = None) -> Path:
    """Write a study as one HTML file, from what is stored; nothing is simulated.

    folder: of a study, finished or not. target: the file; None for `report.html` in the folder. source: as of `status`.
    Returns the path of the file: it can be sent and opened alone.
    Raises StudyError where the folder holds no study, or no finished cell, or where the file cannot be written.
    """
    store, study = _looked_at(folder, source)
    if not store.finished():
        raise StudyError(f"folder {store.folder} has no finished cell to report; run: sde-sgd resume {store.folder}")
    # it loads matplotlib
    from ..reporting._html import page

    text = page(study, store.dataset(), store.record, store.account(), store.text)
    if target is None:
        store.save_text("report.html", text)
        return store.folder / "report.html"
    try:
        Path(target).write_text(text, "utf-8")
    except OSError as error:
        raise StudyError(f"{target} cannot be written: {error.strerror}") from None
    return Path(target)


def export(folder: str | Path, target: str | Path | None = None, *, source: str | Path | None = None) -> list[Path]:
    """Write the dataset of the finished cells as netCDF and as CSV, and the table, unrounded, as CSV.

    target: as of `Store.export`; by default the study's folder. source: as of `status`.
    Returns the files. Raises StudyError where the folder holds no study, or no finished cell.
    """
    store, _ = _looked_at(folder, source)
    if not store.finished():
        raise StudyError(f"folder {store.folder} has no finished cell to export; run: sde-sgd resume {store.folder}")
    return store.export(store.folder if target is None else target)


def plan(
    source: str | Path | AbstractStudy, *, changes: Mapping[str, Any] | None = None, cells_per_unit: int = 1
) -> Plan:
    """What the study in `source` will be; nothing is computed or written.

    source, changes, cells_per_unit: as of `run`. Raises StudyError as `run` does before anything is computed.
    """
    text, name, folder = read_source(source)
    study = parsed(text, name, changes)
    with on_the_path(folder):
        study.prepare(folder)
    cells = study.cells()
    sizes = [cell.work for cell in cells]
    return Plan(
        study,
        study.axes(),
        len(cells),
        len(units(study, cells_per_unit)),
        study.programs(),
        (math.fsum(sizes), max(sizes), min(sizes)),
    )


def cell_count(study: AbstractStudy) -> int:
    """Number of cells of a study."""
    return math.prod(study.axes().values())


def parsed(text: str, name: str, changes: Mapping[str, Any] | None) -> AbstractStudy:
    return parse(text, name, changes)


def folder_of_source(source: str | Path) -> Path:
    place = Path(source).resolve()
    if not place.is_dir():
        raise StudyError(f"source must be the folder of a person's modules, got {source}")
    return place


def _looked_at(folder: str | Path, source: str | Path | None) -> tuple[Store, AbstractStudy]:
    store = Store.open(folder)
    study = study_of(store, source_of(store) if source is None else folder_of_source(source))
    return store.bind(study), study
