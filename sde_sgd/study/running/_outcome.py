"""What a run leaves behind: the dataset in memory, table and figures, also in a folder that cannot be written."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .._dataset import all_diverged
from .._errors import StudyError
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


def reported(store: Store, study: AbstractStudy, computed: int, unwritten: str = "") -> Outcome:
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
        without_number(study, dataset),
        unwritten,
        report(study, dataset, wide=True),
    )
