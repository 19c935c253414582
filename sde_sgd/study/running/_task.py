"""The task that a study is made of: two strings, a folder and a unit, for any process that sees the folder.

What the units of a folder share is made once in each process.
"""

import contextlib
import functools
import platform
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..._progress import shown
from .._cell import Told
from .._dataset import is_complete, plain
from .._errors import StudyError, path_given, to_resume
from .._file import parse, parsed
from .._fingerprint import difference, fingerprint
from .._kind import AbstractStudy, Cell, kinds
from .._own_code import code_of, code_with, digests, imported, on_the_path
from .._units import Unit
from ..store._accounts import device, versions
from ..store._store import Store
from ._compile_clock import compile_seconds

if TYPE_CHECKING:
    import xarray as xr

# folders whose study and data a process keeps; a worker serves few studies at a time
_KEPT = 4
# of a study's folder, the folder of the study that is run before it
PILOT = "pilot"
# of a study's folder, the file of what its pilot tells
TOLD = f"{PILOT}/told.json"


class Opened(NamedTuple):
    """A folder's study, ready to run.

    store: bound to the study. shared: what `AbstractStudy.prepare` made. source: where a person's modules are.
    """

    store: Store
    study: AbstractStudy
    shared: Any
    source: Path

    @property
    def units(self) -> dict[str, Unit]:
        """By key, in the order of the cells."""
        return self.store.units


_opened: OrderedDict[Path, tuple[Any, Opened]] = OrderedDict()
_lock = threading.Lock()
_ran: set[tuple[int, Path]] = set()


def run_unit(folder: str, unit: str) -> dict[str, Any]:
    """Compute the unit named `unit` of the study in `folder`, and write it there.

    Returns what it cost, as it is written too: `wall_seconds`, `compile_seconds` among them, `path_steps`; `is_first`
    of its process, `widest`, the largest relative half-width of its intervals, None where unknown, and `ended`, in
    seconds since 1970. What is written says where, and with what, beside it.
    Raises StudyError with the cell's name where a cell cannot be run, or where the folder's study is not what it was
    made of; WriteError where the folder cannot be written.
    """
    there = opened(folder)
    if unit not in there.units:
        raise StudyError(f"study {there.study.name} in {folder} has no unit '{unit}'")
    me = (threading.get_ident(), there.store.folder)
    began, compiled = time.perf_counter(), compile_seconds()
    with shown(False, there.study.name), on_the_path(there.source):
        found = [computed(there.study, cell, there.shared) for cell in there.units[unit].cells]
    seconds = time.perf_counter() - began
    account = {
        "wall_seconds": seconds,
        "compile_seconds": min(compile_seconds() - compiled, seconds),
        "path_steps": sum(float(data["path_steps"]) for data in found if "path_steps" in data),
        "is_first": me not in _ran,
        "widest": _widest(there.study, found),
        "ended": time.time(),
    }
    _ran.add(me)
    there.store.save_unit(there.units[unit], found, account | _here())
    return account


def sharing(store: Store, study: AbstractStudy, shared: Any) -> Any:
    """What the cells of a study share, with its pilot where it has one. shared: what `prepare` returned."""
    first = study.pilot()
    return shared if first is None else study.informed(shared, functools.cache(lambda: told(store, study, first)))


def weigh(store: Store, study: AbstractStudy) -> None:
    """Tell the units how much work they are, where a pilot knows. Raises StudyError where that is not finished."""
    first = study.pilot()
    if first is None:
        return
    axes, work = study.axes(), told(store, study, first).work
    for key, unit in store.units.items():
        cells = [cell._replace(work=float(work[tuple(cell.index[axis] for axis in axes)])) for cell in unit.cells]
        store.units[key] = unit._replace(cells=tuple(cells))


def has_told(store: Store) -> bool:
    """Whether the pilot of a study is finished, and what it tells is kept beside it."""
    return store.kept(TOLD) is not None


def told(store: Store, study: AbstractStudy, pilot: AbstractStudy) -> Told:
    """What a pilot tells, from the file that whoever was first has written, so that nobody else reads all of it.

    store, study: that it is the pilot of. Raises StudyError where it is not finished.
    """
    found = store.kept(TOLD)
    if found is None:
        found = plain(study.told_by(_finished(store.folder, pilot))._asdict())
        if store.repairs:
            store.keep(TOLD, found)
    return Told(*(np.array(found[name]) for name in Told._fields))


def _finished(folder: Path, pilot: AbstractStudy) -> "xr.Dataset":
    """The dataset of a pilot. folder: of the study that it is of. Raises StudyError where it is not finished."""
    dataset = Store.open(folder / PILOT, look=True).bind(pilot).dataset()
    if not is_complete(dataset):
        raise StudyError(f"the pilot in {folder / PILOT} is not finished; run: {to_resume(folder)}")
    return dataset


def opened(folder: str | Path) -> Opened:
    """The study in `folder`, from this process's memory where it is the same still."""
    place = Path(folder).resolve()
    with _lock:
        mark = _mark(place)
        if place in _opened and _opened[place][0] == mark:
            _opened.move_to_end(place)
            return _opened[place][1]
        there = open_folder(folder)
        _keep(place, mark, there)
        return there


@contextlib.contextmanager
def remembered(there: Opened) -> Iterator[None]:
    """While the block runs, `run_unit` finds this study in this process's memory."""
    place = there.store.folder.resolve()
    with _lock:
        _keep(place, _mark(place), there)
    try:
        yield
    finally:
        with _lock:
            _opened.pop(place, None)


def held(folder: str | Path, source: str | Path | None = None) -> tuple[Store, AbstractStudy, Path]:
    """What a folder holds: a store that only looks, its study, and the folder of a person's modules.

    source: that folder, where it has moved. Raises StudyError where it is none, where there is no study, and where the
    study file is not the one that the folder was made with.
    """
    store = Store.open(path_given("folder (DIR)", folder), look=True)
    place = Path(store.record["source"]) if source is None else path_given("source (--source)", source).resolve()
    if source is not None and not place.is_dir():
        raise StudyError(f"source must be the folder of a person's modules, got {source}")
    return store, study_of(store, place), place


def open_folder(folder: str | Path, source: str | Path | None = None) -> Opened:
    """The study in `folder`, ready to run; where its modules have moved to is remembered.

    source: as of `held`. Raises StudyError as `held` and `check_same` do, and for what no cell could run with.
    """
    store, study, place = held(folder, source)
    check_same(store, study, place)
    remember_source(store.to_run(), place)
    with on_the_path(place):
        shared = study.prepare(place)
    return Opened(store.bind(study), study, sharing(store, study, shared), place)


def remember_source(store: Store, place: Path) -> None:
    """For the processes that are given no more than the folder; a study without modules may be run from anywhere."""
    if store.is_writable and store.record.get("files") and store.record["source"] != str(place):
        store.move_source(str(place))


def study_of(store: Store, source: Path) -> AbstractStudy:
    """The study that the file in a folder describes. source: where a person's modules are.

    Raises StudyError as `recorded` does, and where the file says another thing than the folder's numbers were made of:
    their labels would be wrong. What decides no number, such as a comment or a description, may be another.
    """
    before = recorded(store, source)
    study = parse(store.text, store.record["name"])
    if fingerprint(study) != fingerprint(before):
        raise StudyError(
            f"folder {store.folder} is not of the study that its study.toml describes: "
            f"{difference(before, study, {}, {})}; put that back, or run the changed file into another folder; "
            "nothing was changed"
        )
    return study


def recorded(store: Store, source: Path) -> AbstractStudy:
    """The study that a folder was made with, by its record, of a person's own kind too. source: as of `study_of`.

    Raises StudyError where the kind is one that this process does not know and cannot import.
    """
    module = store.record.get("kind_module")
    if module and store.record["kind"] not in kinds():
        try:
            imported(module, source)
        except ImportError as error:
            raise StudyError(
                f"folder {store.folder}: its study's kind is in the module '{module}', which cannot be imported from "
                f"{source} or Python's path ({error}); put it there, or tell where it is with --source DIR"
            ) from None
    return parsed(store.record["study"], store.record["name"])


def own_kind(study: AbstractStudy) -> dict[str, str]:
    """What the record of a study of a person's own kind says, so that other processes know the kind."""
    module = type(study).__module__
    is_ours = module.partition(".")[0] == __name__.partition(".")[0]
    return {} if is_ours or module == "__main__" else {"kind": study.kind, "kind_module": module}


def code_of_study(study: AbstractStudy, source: Path) -> str:
    """All text of a person's own that decides a study's numbers: modules that the file names, and that of its kind."""
    # words that are swept may name another function in other cells
    words = not all(swept.is_number for swept in study.swept)
    parts = sorted({each.code(source) for each in (study.along_axes() if words else [study])})
    if module := own_kind(study).get("kind_module"):
        parts.append(code_with(type(study)) or code_of(module, source))
    return "\n".join(filter(None, parts))


def check_same(store: Store, study: AbstractStudy, source: Path) -> None:
    """Raise StudyError, naming file or key, where a person's modules are not those that the folder was made with."""
    code = code_of_study(study, source)
    if fingerprint(study, code) == store.record["fingerprint"]:
        return
    what = difference(study, study, store.record.get("files") or {}, digests(code))
    hint = f" in {source}; tell where it is with --source DIR" if what.endswith("not there") else ""
    told = what or "it was made from other code or by another version"
    raise StudyError(f"folder {store.folder} holds a study that cannot go on: {told}{hint}; nothing was changed")


def _keep(place: Path, mark: Any, there: Opened) -> None:
    _opened[place] = (mark, there)
    _opened.move_to_end(place)
    while len(_opened) > _KEPT:
        _opened.popitem(last=False)


def _mark(place: Path) -> Any:
    """What differs when a folder gets another study."""
    try:
        found = (place / "study.toml").stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@functools.cache
def _here() -> dict[str, Any]:
    """Where this process computes, and with what."""
    return {"host": platform.node(), "device": device(), "versions": versions()}


def computed(study: AbstractStudy, cell: Cell, shared: Any) -> "xr.Dataset":
    """`AbstractStudy.run_cell`, of which any exception is a StudyError that names the cell."""
    try:
        return study.run_cell(cell, shared)
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise StudyError(f"cell {cell.key} of study {study.name}: {kind}{' '.join(str(error).split())}") from error


def _widest(study: AbstractStudy, found: "list[xr.Dataset]") -> float | None:
    """Largest half-width of an interval against its value, of the first column of the table that has intervals."""
    column = next((column for column in study.columns() if column.interval), None)
    widths = []
    for data in found:
        if column is None or not {column.variable, f"{column.variable}_low", f"{column.variable}_high"} <= set(data):
            continue
        at = {axis: place for axis, place in column.at.items() if axis in data[column.variable].dims}
        value, low, high = (data[column.variable + end].isel(at).values for end in ("", "_low", "_high"))
        with np.errstate(all="ignore"):
            widths.append(np.ravel((high - low) / np.abs(2 * value)))
    widths = np.concatenate(widths) if widths else np.array([])
    widths = widths[np.isfinite(widths)]
    return float(widths.max()) if widths.size else None
