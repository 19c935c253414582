"""Runs a study: finds what is missing, computes it cell by cell, keeps every finished cell, writes the rest."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ._errors import StudyError
from ._spec import EscapeStudy, Study, fingerprint, parse, read_source
from ._store import Store

if TYPE_CHECKING:
    import xarray as xr


class Outcome(NamedTuple):
    """What a run left behind. computed: cells run now; complete: whether the study is finished."""

    folder: Path
    dataset: "xr.Dataset"
    report: str
    figures: list[Path]
    computed: int
    complete: bool


class Status(NamedTuple):
    """How far a study is."""

    name: str
    kind: str
    finished: int
    cells: int
    fingerprint: str


def run(source: str | Path, out: str | Path | None = None, *, progress: bool = True) -> Outcome:
    """Run the study in `source` (a path, or the name of a packaged study) into the folder `out`.

    out: a new folder, or one that already holds this study, of which only the missing cells are then run; None takes
        ./<name of the study>.
    progress: print what it runs on, and show one progress bar.
    Ctrl-C keeps the finished cells and raises KeyboardInterrupt after their dataset was written.
    Raises StudyError for a study file or a folder that cannot be used, before anything is written; a ValueError of
    the library where a cell cannot be run, such as a start outside its region.
    """
    text, name, folder = read_source(source)
    study = parse(text, name)
    plan = _plan(study, folder)
    origin = str(folder)
    store = Store.create(
        Path(study.name if out is None else out), text, name, fingerprint(study, _code(study, folder)), origin
    )
    return _finish(store, study, plan, progress)


def resume(folder: str | Path, *, progress: bool = True) -> Outcome:
    """Run what is missing of the study in `folder`, from the copy of the study file that it keeps."""
    store, study, origin = _opened(folder)
    digest = fingerprint(study, _code(study, origin))
    if digest != store.record["fingerprint"]:
        raise StudyError(
            f"folder {folder} was made from other code or another study file (fingerprint "
            f"{store.record['fingerprint'][:12]}, now {digest[:12]}); nothing was changed"
        )
    return _finish(store, study, _plan(study, origin), progress)


def status(folder: str | Path) -> Status:
    """How many cells of the study in `folder` are finished."""
    store, study, _ = _opened(folder)
    return Status(study.name, study.kind, len(store.finished()), cell_count(study), store.record["fingerprint"])


def redraw(folder: str | Path) -> Outcome:
    """Draw the figures and write the table again from the stored cells; nothing is simulated."""
    store, study, _ = _opened(folder)
    return _finish(store, study, [], False, redraw_only=True)


def cell_count(study: Study) -> int:
    """Number of cells of a study."""
    if isinstance(study, EscapeStudy):
        return len(study.start) * len(study.sweep.learning_rate) * len(study.sweep.batch_size)
    return 2 * len(study.ratios)


def _opened(folder: str | Path) -> tuple[Store, Study, Path]:
    store = Store.open(folder)
    return store, parse(store.text, store.record["name"]), Path(store.record["source"])


def _code(study: Study, folder: Path) -> str:
    if not isinstance(study, EscapeStudy) or study.landscape.function is None:
        return ""
    from ._build import code_of

    return code_of(study, folder)


def _plan(study: Study, folder: Path) -> list[Any]:
    if isinstance(study, EscapeStudy):
        from . import _escape

        return _escape.cells(study, folder)
    from . import _digits_cells

    return _digits_cells.cells(study)


def _assemble(store: Store, study: Study) -> "xr.Dataset":
    finished = {key: store.load_cell(key) for key in store.finished()}
    if isinstance(study, EscapeStudy):
        from . import _escape

        return _escape.dataset(study, finished)
    from . import _digits_cells

    return _digits_cells.dataset(study, finished)


def _finish(store: Store, study: Study, plan: list[Any], progress: bool, redraw_only: bool = False) -> Outcome:
    done = store.finished()
    missing = [cell for cell in plan if cell.key not in done]
    if progress and missing:
        print(f"device   {device_line()}", flush=True)
    if redraw_only and not done:
        raise StudyError(f"folder {store.folder} has no finished cell to draw; run: sde-sgd resume {store.folder}")
    computed = 0
    interrupted = False
    with _bar(study.name, [cell.work for cell in missing], len(done), progress) as advance:
        try:
            for cell in missing:
                store.save_cell(cell.key, cell.run())
                computed += 1
                advance(cell.work, computed)
        except KeyboardInterrupt:
            interrupted = True
    if interrupted and computed + len(done) == 0:
        raise KeyboardInterrupt
    dataset = _assemble(store, study)
    if not redraw_only:
        store.save_dataset(dataset)
    outcome = _show(store, study, dataset, computed)
    if interrupted:
        raise KeyboardInterrupt
    return outcome


def _show(store: Store, study: Study, dataset: "xr.Dataset", computed: int) -> Outcome:
    from .. import plotting
    from ._report import digits_report, escape_report

    if isinstance(study, EscapeStudy):
        report = escape_report(dataset)
        drawn = {"survival.png": plotting.survival_curves(dataset)}
        drawn["phase_diagram.png"] = plotting.phase_diagram(dataset)
    else:
        report = digits_report(dataset)
        drawn = {"digits.png": plotting.digits_figure(dataset)}
    store.save_text("report.txt", report + "\n")
    figures = [store.save_figure(name, figure) for name, figure in drawn.items()]
    complete = len(store.finished()) >= cell_count(study)
    return Outcome(store.folder, dataset, report, figures, computed, complete)


@contextmanager
def _bar(name: str, work: list[float], done: int, progress: bool) -> Iterator[Any]:
    """One progress bar whose time left counts the work in a cell, not the cells: a small γ needs more steps."""
    from tqdm import tqdm

    total = sum(work)
    if not total:
        yield lambda amount, number: None
        return
    everything = done + len(work)
    style = "{desc} {percentage:3.0f}%|{bar}| {elapsed} elapsed, {remaining} left"
    with tqdm(total=total, bar_format=style, disable=not progress, dynamic_ncols=True) as bar:
        bar.set_description_str(f"{name}: cell {done + 1}/{everything}")

        def advance(amount: float, number: int) -> None:
            bar.set_description_str(f"{name}: cell {min(done + number + 1, everything)}/{everything}", refresh=False)
            bar.update(amount)

        yield advance


def device_line() -> str:
    """What the study runs on; a machine without an accelerator is named like any other."""
    import jax

    devices = jax.devices()
    cores = f", {os.cpu_count()} cores" if devices[0].platform == "cpu" else ""
    return f"{len(devices)} × {devices[0].device_kind} ({devices[0].platform}{cores}), JAX {jax.__version__}"
