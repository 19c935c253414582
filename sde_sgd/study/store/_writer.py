"""Writing into a study's folder: everything is written whole somewhere else in it, synced, and then renamed."""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._dataset import STATUS, agree, attributes_of, plain
from .._errors import StudyError, WriteError
from . import _files, _folder
from ._accounts import Account, Chunk
from ._claims import Claims
from ._zarr import Array, Arrays, Layout, chunk_of, encoded, of_coordinate, of_sweep

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from .._kind import AbstractStudy
    from .._units import Unit


class Writer:
    """What writes into one folder.

    folder, fingerprint: of the study. arrays, claims: of the folder.
    """

    def __init__(self, folder: Path, fingerprint: str, arrays: Arrays, claims: Claims):
        self.folder, self.fingerprint, self.arrays, self.claims = folder, fingerprint, arrays, claims
        # what the arrays were when this process last looked
        self._known: dict[str, Array] = {}
        self._coordinates: dict[str, np.ndarray] = {}

    def save_unit(
        self, study: "AbstractStudy", unit: "Unit", layout: Layout, data: "list[xr.Dataset]", spent: dict[str, Any]
    ) -> None:
        """Write a unit. data: of each of its cells, as `kept` has it. spent: what its account is to tell."""
        with self._scratch() as scratch:
            self._add_arrays(study, data, layout, scratch)
            self._commit(self._write(unit, layout, data, spent, scratch), scratch)

    def save(self, name: str, data: bytes) -> None:
        """Write or replace the file `name` of the folder."""
        with self.writing(name), self._scratch() as scratch:
            target = self.folder / name
            _files.write(scratch / target.name, data)
            _files.sync([scratch / target.name])
            _files.replace(scratch / target.name, target)
            _files.sync([target.parent])

    def _write(self, unit: "Unit", layout: Layout, data: "list[xr.Dataset]", spent: Any, scratch: Path) -> Account:
        """The unit's chunks and account, in `scratch`."""
        place = layout.place(unit)
        chunks: dict[str, Chunk] = {}
        for name in [*_names(data), "status"]:
            array = self._known[name]
            if 0 in array.shape:
                chunks[name] = Chunk("", 0, 0, 0)
                continue
            cells = [each[name].values if name in each else None for each in data]
            body = encoded(chunk_of(array, layout, cells))
            modified = _files.write(scratch / f"chunk {name}", body)
            crc = int.from_bytes(body[-4:], "little")
            chunks[name] = Chunk(array.chunk_name(place), crc, len(body), modified)
        steps = [float(each["path_steps"]) for each in data if "path_steps" in each and not each["path_steps"].ndim]
        spent = ({"path_steps": sum(steps)} if steps else {}) | spent
        attributes = {cell.key: each.attrs for cell, each in zip(unit.cells, data, strict=True)}
        coordinates = sorted({str(name) for each in data for name in each.coords})
        account = Account(unit.key, chunks, coordinates, attributes, spent)
        _files.write(scratch / "account", account.to_bytes(self.fingerprint))
        return account

    def _commit(self, account: Account, scratch: Path) -> None:
        """Bring it to its place: data, then the account, then `status`."""
        targets = {name: self.arrays.folder / name / chunk.file for name, chunk in account.chunks.items() if chunk.file}
        _files.sync([*(scratch / f"chunk {name}" for name in targets), scratch / "account"])
        status = targets.pop("status")
        for name, target in targets.items():
            _files.replace(scratch / f"chunk {name}", target)
        _files.replace(scratch / "account", self.folder / _folder.UNITS / f"{account.unit}.json")
        _files.sync([*(target.parent for target in targets.values()), self.folder / _folder.UNITS])
        _files.replace(scratch / "chunk status", status)
        _files.sync([status.parent])

    def _add_arrays(self, study: "AbstractStudy", data: "list[xr.Dataset]", layout: Layout, scratch: Path) -> None:
        """See to it that the cells' variables and coordinates have arrays, and fit them."""
        new: dict[str, tuple[Array, np.ndarray | None]] = {}
        for each in data:
            for name, entry in each.data_vars.items():
                array = of_sweep(entry.variable, layout)
                known = self._known.get(str(name)) or new.setdefault(str(name), (array, None))[0]
                array.fit(str(name), known)
            for name, entry in each.coords.items():
                if name not in self._coordinates:
                    values = self.arrays.values(str(name))
                    if values is None:
                        new[str(name)] = (of_coordinate(entry.variable), values := entry.values)
                    self._coordinates[str(name)] = values
                agree(str(name), self._coordinates[str(name)], entry.values)
        if new:
            self.arrays.add(new, scratch)
            self._known |= {name: array for name, (array, _) in new.items()}
            self.arrays.publish(self.arrays.attributes(), _own_coordinates(study), scratch)

    def make_dataset(self, study: "AbstractStudy", layout: Layout) -> None:
        """Make `dataset.zarr` with the study's coordinates and an empty `status`, or what of it is missing."""
        import xarray as xr

        own = {str(name): entry.variable for name, entry in xr.Dataset(coords=study.coordinates()).coords.items()}
        missing = {name: entry for name, entry in own.items() if self.arrays.values(name) is None}
        new = {name: (of_coordinate(entry), entry.values) for name, entry in missing.items()}
        if "status" not in self.arrays.known():
            new["status"] = (of_sweep(xr.Variable((), "", STATUS), layout), None)
        if not new and self.arrays.is_published():
            return
        attributes = self.arrays.attributes() or attributes_of(study, [])
        with self._scratch() as scratch:
            if not self.arrays.folder.exists():
                begun = Arrays(scratch / _folder.DATASET)
                _files.make_folder(begun.folder)
                begun.add(new, scratch)
                begun.publish(attributes, _own_coordinates(study), scratch)
                if _files.rename(begun.folder, self.arrays.folder):
                    _files.sync([self.folder])
                    return
            self.arrays.add(new, scratch)
            self.arrays.publish(attributes, _own_coordinates(study), scratch)

    def publish(self, study: "AbstractStudy", attributes: dict[str, Any]) -> None:
        """Bring the attributes of `dataset.zarr` up to date."""
        if plain(attributes) != self.arrays.attributes():
            with self.writing("its dataset"), self._scratch() as scratch:
                self.arrays.publish(attributes, _own_coordinates(study), scratch)

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder for what is not whole yet: it belongs to this process, by a claim, for as long as this lives."""
        name = f"{_folder.PARTIAL} {secrets.token_hex(8)}"
        path = self.folder / _folder.PARTIAL / name.split()[1]
        self.claims.take(name)
        try:
            # only now can no other process make this folder another study's
            if _folder.read_record(self.folder)["fingerprint"] != self.fingerprint:
                raise StudyError(f"folder {self.folder} has become another study's; nothing was written")
            _files.make_folder(path.parent)
            _files.make_folder(path)
            yield path
        finally:
            with contextlib.suppress(OSError):
                _files.remove_tree(path)
            self.claims.release(name)

    @contextlib.contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Within it a disk or folder that cannot be written is told of in one sentence. what: is being written."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise WriteError(
                f"folder {self.folder} cannot be written ({what}): {reason}; what is finished is kept"
            ) from error

    def correct(self, text: str, old: dict[str, Any], record: dict[str, Any], finished: Callable[[], set[str]]) -> None:
        """Make the folder that of another study, if nothing of the old one is finished and nobody is at it.

        text, record: of the other study. old: the record of the one that is there; finished: tells what it has.
        """
        here = f"'{old['name']}' (fingerprint {old['fingerprint'][:12]}"
        refusal = f"output folder {self.folder} already holds a different study, {here}, this one "
        refusal += f"{record['fingerprint'][:12]}); give another --out, nothing was changed"
        with self.writing("study.json"), self.claims.everything() as free:
            if not free or finished():
                raise StudyError(refusal)
            path = self.folder / _folder.PARTIAL / secrets.token_hex(8)
            _files.make_folder(path.parent)
            _files.make_folder(path)
            try:
                _folder.fill(path, text, record)
                _files.sync([path / "study.toml", path / "study.json"])
                for name in (_folder.DATASET, _folder.UNITS):
                    with contextlib.suppress(FileNotFoundError):
                        _files.rename(self.folder / name, path / name)
                _files.make_folder(self.folder / _folder.UNITS)
                _files.replace(path / "study.toml", self.folder / "study.toml")
                _files.replace(path / "study.json", self.folder / "study.json")
                _files.sync([self.folder])
            finally:
                with contextlib.suppress(OSError):
                    _files.remove_tree(path)


def _own_coordinates(study: "AbstractStudy") -> list[str]:
    """A study's coordinates that are not those of a dimension of their name, which readers know by that."""
    return [name for name, (dims, *_) in study.coordinates().items() if dims not in (name, (name,))]


def _names(data: "list[xr.Dataset]") -> list[str]:
    """Names of the variables but `status`, in their order."""
    return [str(name) for name in dict.fromkeys(name for each in data for name in each.data_vars) if name != "status"]
