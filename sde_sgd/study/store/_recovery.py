"""What of a study's folder is whole: units against their accounts, and the removal of what kills and damage leave."""

import contextlib
import enum
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .._errors import StudyError
from . import _files
from ._accounts import Account, Chunk, read_account, unchecked
from ._claims import Claims
from ._folder import PARTIAL, UNITS, read_record
from ._zarr import Array, Arrays, Layout, is_whole, read_array

if TYPE_CHECKING:
    import numpy as np

    from .._units import Unit


class State(enum.Enum):
    """Of a unit on the disk.

    FINISHED: its `status` is there, and all else that its account lists. UNFINISHED: its `status` is not there, as
    after a kill. TORN: its `status` is there, and something else is missing or is not what was written.
    FOREIGN: its account is whole, and not of this study: what is there is nobody's to remove.
    """

    FINISHED = "finished"
    UNFINISHED = "not finished"
    TORN = "damaged"
    FOREIGN = "of another study"


class Recovery:
    """The units of one folder.

    folder, fingerprint: of the study. arrays, claims: of the folder. torn: keys of the units that were found damaged.
    layout, places: of the study that `bind` told of; the chunk of each unit by key.
    """

    layout: Layout
    places: dict[str, tuple[int, ...]]

    def __init__(self, folder: Path, fingerprint: str, arrays: Arrays, claims: Claims):
        self.folder, self.fingerprint, self.arrays, self.claims = folder, fingerprint, arrays, claims
        self.torn: set[str] = set()
        self._coordinates: Collection[str] = ()
        self._bound = False
        self._swept = False

    def bind(self, units: "dict[str, Unit]", layout: Layout, coordinates: Collection[str]) -> None:
        """Tell of the study's units, by key in the order of its cells, and of the names of its coordinates."""
        self.layout = layout
        self._coordinates = coordinates
        self.places = {key: layout.place(unit) for key, unit in units.items()}
        self._bound = True

    def survey(self, repair: bool) -> dict[str, Account]:
        """The accounts of the finished units by key, in the order of the study's cells.

        repair: remove what unfinished units have left, where no living process is at them.
        Raises StudyError, and removes nothing, where any account is whole and not of this study.
        """
        known = self.arrays.known()
        finished: dict[str, Account] = {}
        broken: set[str] = set()
        dropped: set[str] = set()
        for key in self._keys():
            state, account = self._inspect(key, known)
            if state is State.FOREIGN:
                self._refuse(key)
            if self._bound and key not in self.places:
                # a file that no study wrote
                continue
            if state is State.FINISHED and account is not None:
                finished[key] = account
                continue
            broken.add(key)
            if state is State.TORN:
                self.torn.add(key)
        if self._bound and len(finished) == len(self.places):
            for key in self._without_coordinates(finished):
                del finished[key]
                dropped.add(key)
                self.torn.add(key)
        if repair and self._bound:
            if not self._swept:
                broken |= self._strays(known, finished)
                self._swept = True
            for key in broken:
                self.remove_unit(key, claim=True)
            for key in dropped:
                self.remove_unit(key, lambda account: bool(self._without_coordinates({account.unit: account})), True)
        return finished

    def is_finished(self, key: str) -> bool:
        """Whether the unit `key` is whole on the disk."""
        return self.account(key) is not None

    def account(self, key: str) -> Account | None:
        """The account of the unit `key`; None where it is not whole on the disk."""
        state, account = self._inspect(key)
        return account if state is State.FINISHED else None

    def read(
        self, account: Account, arrays: "dict[str, Array]", names: Collection[str] | None = None
    ) -> "dict[str, np.ndarray | None] | None":
        """What a unit has for each variable, None where that has no numbers; None for all where a chunk is damaged.

        names: of the variables that are read; None for all.
        """
        found: dict[str, np.ndarray | None] = {}
        for name, chunk in account.chunks.items():
            if names is not None and name not in names:
                continue
            if not chunk.file:
                found[name] = None
                continue
            data = _files.read(f"{self.arrays.folder}/{name}/{chunk.file}")
            if data is None or not _is(chunk, data):
                return None
            found[name] = arrays[name].decoded(data)
        return found

    def lose(self, key: str, repair: bool) -> None:
        """Take a unit for damaged that looked whole until it was read. repair: as of `survey`."""
        self.torn.add(key)
        if repair:
            arrays = {name: read_array(entry) for name, entry in self.arrays.known().items()}
            self.remove_unit(key, lambda account: self.read(account, arrays) is None, True)

    def remove_unit(
        self, key: str, damaged: Callable[[Account], bool] = lambda account: False, claim: bool = False
    ) -> None:
        """Remove what is there of a unit, its `status` first; but not of one that is whole.

        damaged: tells of one that looks whole whether it is not. claim: only where no other process or thread has
        claimed it; what is asked is asked then, since another may have computed it meanwhile.
        """
        if claim and not self.claims.take(key):
            return
        try:
            known = self.arrays.known()
            state, account = self._inspect(key, known)
            if state is State.FINISHED and account is not None and not damaged(account):
                return
            # meanwhile the folder may have become another study's
            if state is State.FOREIGN or read_record(self.folder)["fingerprint"] != self.fingerprint:
                return
            files = {name: chunk.file for name, chunk in account.chunks.items() if chunk.file} if account else {}
            files |= {name: array.chunk_name(self.places[key]) for name, array in self._over_sweep(known)}
            for name in sorted(files, key=lambda name: name != "status"):
                _files.remove(self.arrays.folder / name / files[name])
            _files.remove(self._account(key))
        except (OSError, StudyError):
            # somebody else's disk, rights or record: the unit counts as unfinished all the same
            return
        finally:
            if claim:
                self.claims.release(key)

    def remove_partial(self) -> None:
        """Remove what processes were writing when they were killed; a living one's is claimed."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self.folder / PARTIAL):
                claim = f"{PARTIAL} {name}"
                if self.claims.take_surely(claim):
                    try:
                        _files.remove_tree(self.folder / PARTIAL / name)
                    finally:
                        self.claims.release(claim)

    def _keys(self) -> list[str]:
        """Units with an account, in the study's order where that is known, and then those that it does not know."""
        try:
            names = os.listdir(self.folder / UNITS)
        except OSError:
            return []
        there = {name.removesuffix(".json") for name in names if name.endswith(".json")}
        known = [key for key in self.places if key in there] if self._bound else []
        return known + sorted(there.difference(known))

    def _account(self, key: str) -> str:
        return f"{self.folder}/{UNITS}/{key}.json"

    def _inspect(self, key: str, known: dict[str, dict] | None = None) -> tuple[State, Account | None]:
        data = _files.read(self._account(key))
        if data is None:
            return State.UNFINISHED, None
        account = read_account(data, key, self.fingerprint)
        if account is None:
            return State.FOREIGN if self._study_of(data) else State.TORN, None
        if self._bound and key not in self.places:
            return State.FOREIGN, None
        folder = str(self.arrays.folder)
        status = account.chunks["status"]
        if not os.path.exists(f"{folder}/status/{status.file}"):
            return State.UNFINISHED, account
        known = self.arrays.known() if known is None else known
        for name, chunk in account.chunks.items():
            if name not in known or not _is_there(f"{folder}/{name}/{chunk.file}", chunk):
                return State.TORN, account
        return State.FINISHED, account

    def _study_of(self, data: bytes) -> str:
        """Fingerprint of the other study that an account is of, whole as it is; "" where it is damaged, or of this."""
        study = (unchecked(data) or {}).get("study", self.fingerprint)
        return "" if study == self.fingerprint else study

    def _refuse(self, key: str) -> NoReturn:
        """Raise StudyError, with what of the folder does not fit the account of a unit."""
        other = self._study_of(_files.read(self._account(key)) or b"")
        what = (
            f"is of fingerprint {other[:12]}, and key fingerprint of study.json is {self.fingerprint[:12]}"
            if other
            else "is none of this study, so that key cells_per_unit of study.json, or a name in study.toml, was another"
        )
        raise StudyError(
            f"folder {self.folder} does not hold what it says: its finished unit {key} {what}; "
            "put back what these files were; nothing was changed"
        )

    def _without_coordinates(self, finished: dict[str, Account]) -> set[str]:
        """For each coordinate that is damaged the first unit that has it: computed again, it brings it again.

        Asked where all units are finished; as long as one is not, that one brings it.
        """
        first: dict[str, str] = {}
        for key, account in finished.items():
            for name in account.coordinates:
                first.setdefault(name, key)
        return {key for name, key in first.items() if self.arrays.values(name) is None}

    def _over_sweep(self, known: dict[str, dict]) -> list[tuple[str, Array]]:
        # the study's coordinates lie along its axes too, and are no unit's
        arrays = [(name, read_array(entry)) for name, entry in known.items() if name not in self._coordinates]
        axes = tuple(self.layout.axes)
        return [(name, array) for name, array in arrays if array.dims[: len(axes)] == axes and 0 not in array.shape]

    def _strays(self, known: dict[str, dict], finished: dict[str, Account]) -> set[str]:
        """Units that are not finished and have chunks."""
        wanted = {self._mark(place): key for key, place in self.places.items() if key not in finished}
        length = len(self.layout.axes)
        found: set[str] = set()
        for name, _ in self._over_sweep(known):
            with contextlib.suppress(OSError):
                files = (entry.split(".") for entry in os.listdir(self.arrays.folder / name))
                marks = {".".join(parts[1 : 1 + length]) for parts in files if parts[0] == "c"}
                found |= {wanted[mark] for mark in marks & wanted.keys()}
        return found

    @staticmethod
    def _mark(place: tuple[int, ...]) -> str:
        return ".".join(map(str, place))


def _is(chunk: Chunk, data: bytes) -> bool:
    return len(data) == chunk.size and is_whole(data) and int.from_bytes(data[-4:], "little") == chunk.crc


def _is_there(path: str, chunk: Chunk) -> bool:
    """Whether a file is the chunk that was written: by size and time, or else by its CRC."""
    if not chunk.file:
        return True
    try:
        found = os.stat(path)
    except OSError:
        return False
    if found.st_size != chunk.size:
        return False
    if found.st_mtime_ns == chunk.modified:
        return True
    data = _files.read(path)
    return data is not None and _is(chunk, data)
