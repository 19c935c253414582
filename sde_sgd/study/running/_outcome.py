"""What a run leaves behind: the dataset in memory, table and figures, also in a folder that cannot be written."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .._dataset import all_diverged, is_complete
from .._errors import StudyError, to_resume
from .._kind import AbstractStudy
from ..reporting._report import report, rows, without_number
from ..store._store import Store

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class Outcome(NamedTuple):
    """What a run left behind.

    folder: of the study. dataset: of all finished cells. report: the table as text, with notes.
    table: its rows as data, unrounded. figures: paths of the figures' files that are there.
    computed: cells run now. complete: whether all cells are finished.
    all_diverged: the cells, by their coordinates, of which every trajectory became non-finite.
    unknown: the finished cells, by their coordinates, of which the table's first estimate has no value.
    unwritten: one sentence on what could not be written, "" where all was.
    wide_report: `report` with one line for each row of the table, however long.
    left_out: one sentence on units that are damaged, which the dataset leaves out; "" where there are none.
    """

    folder: Path
    dataset: "xr.Dataset"
    report: str
    table: "pd.DataFrame"
    figures: list[Path]
    computed: int
    complete: bool
    all_diverged: list[dict[str, Any]]
    unknown: list[dict[str, Any]]
    unwritten: str = ""
    wide_report: str = ""
    left_out: str = ""


def reported(
    store: Store, study: AbstractStudy, computed: int, unwritten: str = "", dataset: "xr.Dataset | None" = None
) -> Outcome:
    """Table and figures, written as far as the folder lets them be. dataset: the store's, where it was read already.

    Raises StudyError where no cell is finished: there is nothing to tell of.
    """
    dataset = store.dataset() if dataset is None else dataset
    if not dataset.attrs["cells_finished"]:
        raise StudyError(f"folder {store.folder} has no finished cell{f': {unwritten}' if unwritten else ''}")
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
        is_complete(dataset),
        all_diverged(dataset),
        without_number(study, dataset),
        unwritten,
        report(study, dataset, wide=True),
        "" if is_complete(dataset) else left_out(store),
    )


def left_out(store: Store) -> str:
    """In one sentence, how many units the store has found damaged; "" where it has found none."""
    count = len(store.torn())
    what = "a unit is damaged and was" if count == 1 else f"{count} units are damaged and were"
    return f"{what} left out; to compute what is missing: {to_resume(store.folder)}" if count else ""
