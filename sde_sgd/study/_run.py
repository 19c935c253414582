"""Runs a study of any kind: finds what is missing, computes it cell by cell, keeps every finished cell, reports."""

import itertools
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .._progress import shown
from ._dataset import all_diverged, combine
from ._errors import StudyError
from ._file import fingerprint, parse, read_source
from ._kind import AbstractStudy, Cell
from ._report import report, rows
from ._store import Store

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class Outcome(NamedTuple):
    """What a run left behind.

    folder: of the study. dataset: of all finished cells. report: the table as text, with notes.
    table: its rows as data, unrounded. figures: paths of the PNG files.
    computed: cells run now. complete: whether all cells are finished.
    all_diverged: the cells, by their coordinates, of which every trajectory became non-finite.
    """

    folder: Path
    dataset: "xr.Dataset"
    report: str
    table: "pd.DataFrame"
    figures: list[Path]
    computed: int
    complete: bool
    all_diverged: list[dict[str, Any]]


class Progress(NamedTuple):
    """How far a study is.

    name, kind: of the study. finished: how many of its `cells` are on disk.
    fingerprint: hexadecimal digest of everything that decides its numbers.
    """

    name: str
    kind: str
    finished: int
    cells: int
    fingerprint: str


def run(source: str | Path | AbstractStudy, out: str | Path | None = None, *, progress: bool = True) -> Outcome:
    """Run the study in `source` (a path, the name of a packaged study, or a study) into the folder `out`.

    out: a new folder, or one that already holds this study, of which only the missing cells are then run; None takes
        ./<name of the study>.
    progress: print what it runs on, and show one progress bar.
    Ctrl-C keeps the finished cells and raises KeyboardInterrupt after their dataset was written.
    Raises StudyError for a study file or a folder that cannot be used, before anything is written; a ValueError of
    the library where a cell cannot be run, such as a start outside its region.
    """
    text, name, folder = read_source(source)
    study = parse(text, name)
    shared = study.prepare(folder)
    digest = fingerprint(study, study.code(folder))
    store = Store.create(Path(study.name if out is None else out), text, name, digest, str(folder))
    return _finish(store, study, shared, progress)


def resume(folder: str | Path, *, progress: bool = True) -> Outcome:
    """Run what is missing of the study in `folder`, from the copy of the study file that it keeps.

    progress: as of `run`.
    Raises StudyError where the folder holds no study, or where a person's own code has changed since it was made.
    """
    store, study, origin = _opened(folder)
    digest = fingerprint(study, study.code(origin))
    if digest != store.record["fingerprint"]:
        raise StudyError(
            f"folder {folder} was made from other code or another study file (fingerprint "
            f"{store.record['fingerprint'][:12]}, now {digest[:12]}); nothing was changed"
        )
    return _finish(store, study, study.prepare(origin), progress)


def status(folder: str | Path) -> Progress:
    """How many cells of the study in `folder` are finished. Raises StudyError where it holds no study."""
    store, study, _ = _opened(folder)
    return Progress(
        study.name, study.kind, len(_finished(store, study)), cell_count(study), store.record["fingerprint"]
    )


def redraw(folder: str | Path) -> Outcome:
    """Draw the figures and write the table again from the stored cells; nothing is simulated.

    Raises StudyError where the folder holds no study, or no finished cell.
    """
    store, study, _ = _opened(folder)
    if not _finished(store, study):
        raise StudyError(f"folder {store.folder} has no finished cell to draw; run: sde-sgd resume {store.folder}")
    return _reported(store, study, _assembled(store, study), 0)


def cell_count(study: AbstractStudy) -> int:
    """Number of cells of a study."""
    return math.prod(study.axes().values())


def _opened(folder: str | Path) -> tuple[Store, AbstractStudy, Path]:
    store = Store.open(folder)
    return store, parse(store.text, store.record["name"]), Path(store.record["source"])


def _finished(store: Store, study: AbstractStudy) -> set[str]:
    return store.finished() & {cell.key for cell in study.cells()}


def _assembled(store: Store, study: AbstractStudy) -> "xr.Dataset":
    return combine(study, {key: store.load_cell(key) for key in _finished(store, study)})


def _finish(store: Store, study: AbstractStudy, shared: Any, progress: bool) -> Outcome:
    """Run the missing cells, then write dataset, table and figures, also after Ctrl-C."""
    done = _finished(store, study)
    missing = [cell for cell in study.cells() if cell.key not in done]
    if progress and missing:
        print(f"device   {device_line()}", flush=True)
    computed = 0
    interrupted = False
    # one bar for all cells: the calls within show none of their own
    with _bar(study.name, missing, len(done), progress) as advance, shown(False, study.name):
        try:
            for cell in missing:
                store.save_cell(cell.key, study.run_cell(cell, shared))
                computed += 1
                advance(cell)
        except KeyboardInterrupt:
            interrupted = True
    if interrupted and computed + len(done) == 0:
        raise KeyboardInterrupt
    dataset = _assembled(store, study)
    store.save_dataset(dataset)
    outcome = _reported(store, study, dataset, computed)
    if interrupted:
        raise KeyboardInterrupt
    return outcome


def _reported(store: Store, study: AbstractStudy, dataset: "xr.Dataset", computed: int) -> Outcome:
    text = report(study, dataset)
    store.save_text("report.txt", text + "\n")
    figures = [store.save_figure(name, figure) for name, figure in study.figures(dataset).items()]
    complete = dataset.attrs["cells_finished"] == dataset.attrs["cells"]
    return Outcome(
        store.folder, dataset, text, rows(study, dataset), figures, computed, complete, all_diverged(dataset)
    )


@contextmanager
def _bar(name: str, missing: list[Cell], done: int, progress: bool) -> Iterator[Callable[[Cell], None]]:
    """One progress bar whose time left counts the work in a cell, not the cells: a small γ needs more steps."""
    from tqdm import tqdm

    if not missing:
        yield lambda cell: None
        return
    everything = done + len(missing)
    style = "{desc} {percentage:3.0f}%|{bar}| {elapsed} elapsed, {remaining} left"
    total = sum(cell.work for cell in missing)
    with tqdm(total=total, bar_format=style, disable=not progress, dynamic_ncols=True) as bar:
        bar.set_description_str(f"{name}: cell {done + 1}/{everything}")
        numbers = itertools.count(done + 2)

        def advance(cell: Cell) -> None:
            bar.set_description_str(f"{name}: cell {min(next(numbers), everything)}/{everything}", refresh=False)
            bar.update(cell.work)

        yield advance


def device_line() -> str:
    """What the study runs on; a machine without an accelerator is named like any other."""
    import jax

    devices = jax.devices()
    cores = f", {os.cpu_count()} cores" if devices[0].platform == "cpu" else ""
    return f"{len(devices)} × {devices[0].device_kind} ({devices[0].platform}{cores}), JAX {jax.__version__}"
