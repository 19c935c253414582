"""Runs a study of any kind: finds what is missing, has it computed unit by unit, keeps what is finished, reports."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .._dataset import is_complete
from .._errors import StudyError, path_given
from .._file import parse, read_source
from .._fingerprint import difference, fingerprint
from .._kind import AbstractStudy
from .._own_code import digests, on_the_path
from .._units import check_units
from ..store._accounts import device_line
from ..store._store import Store
from ._executors import as_executor, check_executor, work, workers
from ._numberless import numberless
from ._outcome import Outcome, reported
from ._pilot import pilot_of
from ._processes import Processes
from ._progress_bar import ProgressBar, widest_of
from ._queue import Queue
from ._shard import WHOLE, Share, shard_of
from ._task import (
    PILOT,
    Opened,
    code_of_study,
    has_told,
    open_folder,
    own_kind,
    recorded,
    remember_source,
    remembered,
    sharing,
    weigh,
)

if TYPE_CHECKING:
    import xarray as xr

# times that a run goes back to work where what looked finished turns out to be damaged
_ROUNDS = 3


class Worked(NamedTuple):
    """What a worker has done.

    computed, of_pilot: how many cells of the study, and of its pilot, it computed.
    numberless: of the finished cells of its share, by the cell in words, why it has no number.
    """

    computed: int
    of_pilot: int
    numberless: dict[str, str]


def run(
    source: str | Path | AbstractStudy,
    out: str | Path | None = None,
    *,
    executor: Any = None,
    progress: bool = True,
    changes: Mapping[str, Any] | None = None,
    cells_per_unit: int = 1,
) -> Outcome:
    """Run the study in `source` (a path, the name of a packaged study, or a study) into the folder `out`.

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
    check_executor(executor)
    return _finish(_initialised(source, out, changes, cells_per_unit), executor, progress)


def init(
    source: str | Path | AbstractStudy,
    out: str | Path | None = None,
    *,
    changes: Mapping[str, Any] | None = None,
    cells_per_unit: int = 1,
) -> Path:
    """Make the folder of a study, for `resume` and `worker` to compute it; returns the folder.

    source, out, changes, cells_per_unit: as of `run`. Raises StudyError as `run` does before anything is computed.
    """
    return _initialised(source, out, changes, cells_per_unit).store.folder


def resume(
    folder: str | Path, *, executor: Any = None, progress: bool = True, source: str | Path | None = None
) -> Outcome:
    """Run what is missing of the study in `folder`, from the copy of the study file that it keeps.

    executor, progress: as of `run`. source: the folder that a person's own modules have moved to, which is remembered.
    Raises StudyError where the folder holds no study, or where a person's own code has changed since it was made.
    """
    check_executor(executor)
    return _finish(open_folder(folder, source), executor, progress)


def worker(
    folder: str | Path,
    shard: str | tuple[int, int] | None = None,
    *,
    help_others: bool = False,
    progress: bool = True,
    source: str | Path | None = None,
) -> int:
    """Compute one worker's share of the study in `folder`, in this process; returns how many of its cells it computed.

    shard: (i, n) or "i/n": the units k with k mod n = i; None takes it from the variables of an array of jobs (SLURM,
        SGE, LSF); "/n" where these say which job this is but not of how many (PBS).
    help_others: go on with what nobody computes, from the others' shares, the last ones first.
    progress, source: as of `resume`.
    No table is written: when all workers are done, `resume` does that. Raises StudyError as `resume`, and for a share
    that is none.
    """
    return worked(folder, Share(*shard_of(shard), help_others), progress, source).computed


def worked(folder: str | Path, share: Share, progress: bool, source: str | Path | None) -> Worked:
    """As `worker`, with all that is to be told of it."""
    there = open_folder(folder, source)
    pending = _queue(there, share)
    mine = {unit.key for unit in [*pending.missing, *pending.finished]}
    before, computed, failures = 0, 0, []
    if pending.missing:
        try:
            with _at_work(None, progress) as executor:
                before, computed, failures = _all_of(there, pending, executor, progress, share)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_interrupted(there)) from None
    _raise_for(failures, there)
    return Worked(computed, before, numberless(there.store, there.study, mine))


def _queue(there: Opened, share: Share = WHOLE) -> Queue:
    """What is to be computed: the units of one's own share, and then those of the others, the last ones first."""
    listed = list(there.units.values())
    others = [unit for at, unit in reversed(list(enumerate(listed))) if at % share.count != share.place]
    return Queue(there.store, [*listed[share.place :: share.count], *(others if share.help_others else [])])


def _all_of(
    there: Opened, pending: Queue, executor: Any, progress: bool, share: Share = WHOLE
) -> tuple[int, int, list[str]]:
    """Compute what is missing of a study, after all of its pilot if it has one, which nobody does without.

    pending: the units of a share. Returns how many cells of the pilot and of the study were computed here, and
    sentences on those that failed.
    """
    first, before, title = pilot_of(there), 0, there.study.name
    if first is not None:
        for _ in range(_ROUNDS):
            units_of_it = _queue(first, share._replace(help_others=True))
            more, failures = _computed(first, units_of_it, executor, progress, first.study.name)
            before += more
            if failures:
                return before, 0, failures
            if has_told(there.store) or is_complete(first.store.dataset()):
                break
        weigh(there.store, there.study)
        # with the work that the pilot told
        pending = _queue(there, share)
    if share.count > 1:
        title += f" ({share.place}/{share.count})"
    return before, *_computed(there, pending, executor, progress, title)


def _initialised(
    source: str | Path | AbstractStudy, out: str | Path | None, changes: Mapping[str, Any] | None, cells_per_unit: int
) -> Opened:
    if not isinstance(out, str | Path | None):
        raise StudyError(f"out must be the path of a folder, or None, got {out!r}")
    given = None if out is None else path_given("out (--out)", out)
    text, name, folder = read_source(source)
    study = parse(text, name, changes)
    if changes:
        text = study.text()
    check_units(study, cells_per_unit)
    with on_the_path(folder):
        shared = study.prepare(folder)
    code = code_of_study(study, folder)
    target = Path(study.name) if given is None else given
    more = {"files": digests(code), **own_kind(study)}
    try:
        _check_not_another(target, study, code)
        store = Store.create(target, text, name, fingerprint(study, code), str(folder), cells_per_unit, more)
    except OSError as error:
        # of a name that no file system takes, say
        raise StudyError(f"output folder {target} cannot be made: {error.strerror or error}") from None
    remember_source(store, folder)
    return Opened(store.bind(study), study, sharing(store, study, shared), folder)


def _check_not_another(target: Path, study: AbstractStudy, code: str) -> None:
    """Raise StudyError with what differs, where a folder has numbers of another study."""
    if not (target / "study.json").is_file():
        return
    store, pilot = Store.open(target, look=True), study.pilot()
    if store.record["fingerprint"] == fingerprint(study, code):
        return
    if not store.finished():
        # a pilot has numbers before its study has
        if pilot is not None:
            _check_not_another(target / PILOT, pilot, code)
        return
    try:
        before = recorded(store, Path(store.record["source"]))
        what = difference(before, study, store.record.get("files", {}), digests(code))
    except StudyError:
        what = ""
    raise StudyError(
        f"output folder {target} already holds a different study, '{store.record['name']}': "
        f"{what or 'it was made by another version'}; give another --out, nothing was changed"
    )


def _finish(there: Opened, executor: Any, progress: bool) -> Outcome:
    """Have what is missing computed, then write table and figures, also after Ctrl-C and after a cell that failed."""
    store, pending = there.store, _queue(there)
    if pending.missing and not store.is_writable:
        return reported(store, there.study, 0, "folder is read-only, so that nothing was run")
    interrupted, computed, failures, dataset = False, 0, [], None
    try:
        computed, failures, dataset = _until_whole(there, pending, executor, progress)
    except KeyboardInterrupt:
        interrupted = True
        if not pending.finished and not store.finished():
            raise KeyboardInterrupt(_interrupted(there)) from None
    if failures and not pending.finished and not computed:
        _raise_for(failures, there)
    outcome = reported(store, there.study, computed, dataset=dataset)
    if interrupted:
        raise KeyboardInterrupt(_interrupted(there))
    _raise_for(failures, there)
    return outcome


def _until_whole(
    there: Opened, pending: Queue, executor: Any, progress: bool
) -> "tuple[int, list[str], xr.Dataset | None]":
    """Have computed what is missing, and then what is lost when it is read: damaged, with its size and its time.

    Returns how many cells were computed here, sentences on those that failed, and the dataset where none did.
    """
    computed = 0
    for _ in range(_ROUNDS):
        if pending.missing:
            with _at_work(executor, progress) as chosen:
                _, more, failures = _all_of(there, pending, chosen, progress)
            computed += more
            if failures:
                return computed, failures, None
        dataset = there.store.dataset()
        if is_complete(dataset) or not there.store.repairs:
            return computed, [], dataset
        pending = _queue(there)
    return computed, [], None


@contextlib.contextmanager
def _at_work(executor: Any, progress: bool) -> Iterator[Any]:
    """The executor that was asked for, for a pilot and the study after it. progress: say what it is."""
    with as_executor(executor) as chosen:
        if progress:
            print(f"device   {device_line()}" if executor is None else f"workers  {_in_words(chosen)}", flush=True)
        yield chosen


def _computed(there: Opened, pending: Queue, executor: Any, progress: bool, title: str) -> tuple[int, list[str]]:
    """Compute what is pending; returns how many cells were computed here, and sentences on those that failed."""
    missing = pending.missing
    if not missing:
        return 0, []
    done = sum(len(unit.cells) for unit in pending.finished)
    at_once, widest = workers(executor), widest_of(pending.accounts)
    with remembered(there), ProgressBar(title, missing, done, at_once, progress, widest=widest) as bar:
        return work(executor, there.store.folder.resolve(), pending, bar)


def _raise_for(failures: list[str], there: Opened) -> None:
    if failures:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        kept = "what was finished is kept" if _has_finished(there) else "no cell was finished"
        raise StudyError(f"{failures[0]}{more}; {kept}")


def _interrupted(there: Opened) -> str:
    """What is to be said to who has stopped a study."""
    kept = "finished cells are kept" if _has_finished(there) else f"no cell of study {there.study.name} was finished"
    return f"{kept}, run the same command again to go on"


def _has_finished(there: Opened) -> bool:
    """Whether a unit of a study, or of its pilot, is on the disk."""
    if there.store.finished():
        return True
    pilot = there.store.folder / PILOT
    return there.study.pilot() is not None and pilot.is_dir() and bool(Store.open(pilot, look=True).finished())


def _in_words(executor: Any) -> str:
    count = workers(executor)
    if isinstance(executor, Processes):
        return f"{count} process{'es' * (executor.count > 1)}"
    return f"{count or 'some'} of {type(executor).__name__}"
