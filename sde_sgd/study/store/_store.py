"""A study's folder on disk (format 3): what is finished survives any kill, and what is not is never taken for it.

DIR/study.toml     the study file as it was given
DIR/study.json     the study, its fingerprint and seed, where it came from, what it was made with; closed by its CRC
DIR/dataset.zarr   all that is finished, over the sweep: `xarray.open_zarr` opens it at any moment
DIR/units/*.json   an account of each unit of work: cost, device, versions, notes, and its chunks with their CRCs
DIR/.claims        locks on units being computed
DIR/.partial       what is being written
DIR/pilot          where the study has a pilot, the folder of that, a study like any other, and told.json: what it told
DIR/report.txt, DIR/*.png

A unit is finished when its chunk of `status` is there: it is written last, after all else that its account lists.
Wall times are in accounts only, so that a dataset has the same bits however often its study was interrupted.
"""

import io
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._dataset import attributes_of, plain, whole
from .._dataset import kept as as_kept
from .._errors import StudyError
from .._units import Unit, units
from . import _files, _folder
from ._accounts import Account, closed, read_closed
from ._claims import Claims
from ._recovery import Recovery
from ._writer import Writer
from ._zarr import Array, Arrays, Layout, read_array

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from .._kind import AbstractStudy


class Store:
    """The folder of one study; make it with `create` or `open`.

    folder: where it is. record: what `study.json` says, by name: format, name, fingerprint, source, seed,
    cells_per_unit, versions, device, study. units: of the study that `bind` told of, by key, in the order of its cells.
    look: repair and remove nothing, as who does not know that the folder is whole, or is not to run it.
    """

    def __init__(self, folder: Path, record: dict[str, Any], look: bool = False):
        self.folder, self._look = folder, look
        self.record: dict[str, Any] = record
        self._arrays = Arrays(folder / _folder.DATASET)
        self._claims = Claims(folder / _folder.CLAIMS)
        self._recovery = Recovery(folder, record["fingerprint"], self._arrays, self._claims)
        self._writer = Writer(folder, record["fingerprint"], self._arrays, self._claims)
        self._study: AbstractStudy | None = None
        self.units: dict[str, Unit] = {}

    @classmethod
    def create(
        cls,
        folder: str | Path,
        text: str,
        name: str,
        fingerprint: str,
        source: str,
        cells_per_unit: int = 1,
        more: Mapping[str, Any] | None = None,
    ) -> "Store":
        """The folder for this study: a new one, or the one that already holds it.

        text: the study file. name: of the study. fingerprint: digest of what decides its numbers.
        source: the folder that the study file came from, where a person's own modules are.
        cells_per_unit: cells that are computed and written together; a folder that is there keeps its own.
        more: what else `study.json` says of a new study, by name.
        A folder that holds this study takes the text, whose words may be others, or which it may have lost.
        A folder with another study of which nothing is finished is made this one's.
        Raises StudyError, and changes nothing, if `folder` holds a different study or other files.
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise StudyError(f"output folder {folder} is a file; give a folder that does not exist yet")
        while not (folder.is_dir() and any(folder.iterdir())):
            record = _folder.new_record(text, name, fingerprint, source, cells_per_unit) | dict(more or {})
            if _folder.make(folder, text, record):
                return cls(folder, record)
        store = cls.open(folder)
        if store.record["fingerprint"] == fingerprint:
            store._reword(text, name)
            return store
        record = _folder.new_record(text, name, fingerprint, source, cells_per_unit) | dict(more or {})
        store._writer.correct(text, store.record, record, lambda: store.finished() | store.torn())
        return cls.open(folder)

    @classmethod
    def open(cls, folder: str | Path, look: bool = False) -> "Store":
        """The study that is in `folder`; what killed processes have left there is removed.

        look: the store only looks: neither now nor later does it repair or remove anything. It is for whoever does not
        run the study, and before it is known that its text, its code and its record belong together.
        Raises StudyError, a ValueError, if there is none, or one of a format that this version does not read, or whose
        record was changed.
        """
        folder = Path(folder)
        store = cls(folder, _folder.read_record(folder), look=True)
        return store if look else store.to_run()

    def to_run(self) -> "Store":
        """The store itself, which repairs from here on: for who runs the study that the folder's record is of."""
        self._look = False
        if self.repairs:
            _folder.remove_leftovers(self.folder)
            self._recovery.remove_partial()
        return self

    def bind(self, study: "AbstractStudy") -> "Store":
        """Tell the store its study, which it needs for `save_unit` and `dataset`; returns the store.

        Where the store `repairs`, `dataset.zarr` has the study's coordinates from here on.
        """
        layout = Layout(study.axes(), self.record["cells_per_unit"])
        self.units = {unit.key: unit for unit in units(study, layout.cells_per_unit)}
        self._recovery.bind(self.units, layout, set(study.coordinates()))
        self._study = study
        if self.repairs:
            with self._writer.writing("its dataset"):
                self._writer.make_dataset(study, layout)
        return self

    @property
    def text(self) -> str:
        """The study file as it was given. Raises StudyError where it is gone."""
        try:
            return (self.folder / "study.toml").read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(
                f"folder {self.folder} lacks its study file, study.toml ({error}); put it back, or run the study into "
                "it again"
            ) from None

    def refuse_own(self, path: Path) -> None:
        """Raise StudyError where `path` is a file or folder that the study is kept in, or lies in such a folder."""
        folder = self.folder.resolve()
        first = path.resolve().relative_to(folder).parts[:1] if path.resolve().is_relative_to(folder) else ()
        if first and first[0] in _folder.OWN:
            raise StudyError(f"{path} cannot be written: {first[0]} is what folder {self.folder} keeps its study in")

    @property
    def is_writable(self) -> bool:
        """Whether this process may write into the folder. All that only reads works without."""
        return os.access(self.folder, os.W_OK | os.X_OK)

    @property
    def repairs(self) -> bool:
        """Whether this store removes what kills and damage have left: not one that only looks, nor a folder that cannot
        be written."""
        return not self._look and self.is_writable

    def finished(self) -> set[str]:
        """Keys of the units that are whole on the disk: each chunk has the size and time of its account, or its CRC.

        What a killed or damaged unit has left is removed, where nobody is at it and the store `repairs`.
        Raises StudyError where a unit was finished that is not of this study, by its fingerprint or by its key.
        """
        return set(self._recovery.survey(self.repairs))

    def account_of(self, key: str) -> dict[str, Any] | None:
        """What `account` has of the unit `key`, at the cost of one; None where that is not whole on the disk."""
        found = self._recovery.account(key)
        return None if found is None else found.spent

    def torn(self) -> set[str]:
        """Keys of the units that `finished`, `account` or `dataset` have found damaged since the folder was opened."""
        return set(self._recovery.torn)

    def claimed(self) -> set[str]:
        """Keys of the units that living processes have claimed: they compute them, or will next.

        Empty where nothing can be locked. A claim that another makes at the very instant of the question fails.
        """
        return self._claims.taken(self.units)

    def claim(self, key: str) -> bool:
        """Claim the unit `key` for this process, without waiting.

        False where another process or thread has it, or where it is finished meanwhile. It is given back by `release`,
        and by the kernel when the process ends. Where a system has no byte-range locks (Windows) every claim of a unit
        that is not finished succeeds; two that compute the same unit write the same bits.
        Raises WriteError where the folder cannot be written.
        """
        with self._writer.writing(f"claim of {key}"):
            if not self._claims.take(key):
                return False
        if self._recovery.is_finished(key):
            self.release(key)
            return False
        return True

    def release(self, key: str) -> None:
        """Give back the claim on the unit `key`."""
        self._claims.release(key)

    def save_unit(self, unit: Unit, datasets: "Sequence[xr.Dataset]", account: dict[str, Any]) -> None:
        """Write a finished unit: data first, its `status` last, all on the disk when this returns.

        datasets: what `AbstractStudy.run_cell` returned for each of the unit's cells. account: what is told of the
        unit beside its numbers, such as `wall_seconds`; `path_steps` is added to it.
        Raises WriteError where the folder cannot be written, a full disk included: then the unit is not finished, and
        all others are as they were; StudyError where the datasets do not fit those of other cells; ValueError where the
        unit's cells are not those of one whole chunk, or the datasets are not as many.
        """
        study, layout = self._bound()
        layout.place(unit)
        if len(datasets) != len(unit.cells):
            raise ValueError(f"datasets of unit {unit.key} must be {len(unit.cells)}, got {len(datasets)}")
        data = [as_kept(study, each) for each in datasets]
        mine = not self._claims.holds(unit.key) and self._claims.take(unit.key)
        try:
            with self._writer.writing(f"unit {unit.key}"):
                self._writer.save_unit(study, unit, layout, data, plain(account))
        except (StudyError, KeyboardInterrupt):
            self._recovery.remove_unit(unit.key)
            raise
        finally:
            if mine:
                self._claims.release(unit.key)

    def dataset(self, names: Collection[str] | None = None, keys: Collection[str] | None = None) -> "xr.Dataset":
        """All that is finished, in memory; NaN and "" elsewhere. Every chunk that is read is compared with its CRC.

        names, keys: of the variables and of the units that are read; None for all. Of all it is what `combine` gives
        for the same cells, and where the store `repairs`, the attributes of `dataset.zarr`, such as notes, are brought
        up to date. Raises as `finished`.
        """
        study, layout = self._bound()
        arrays = self._read_arrays()
        variables: dict[str, np.ndarray] = {}
        coordinates: dict[str, None] = {}
        attributes: list[dict[str, Any]] = []
        for account, chunks in self._read(arrays, names, keys):
            place = layout.where(self._recovery.places[account.unit])
            for name, values in chunks.items():
                if name not in variables:
                    variables[name] = arrays[name].blank()
                if values is not None:
                    variables[name][place] = values
            attributes += account.cells.values()
            coordinates |= dict.fromkeys(account.coordinates)
        dataset = whole(
            study,
            {name: (arrays[name].dims, values, arrays[name].attributes) for name, values in variables.items()},
            {name: (arrays[name].dims, values, arrays[name].attributes)
             for name in coordinates if (values := self._arrays.values(name)) is not None},
            attributes,
        )  # fmt: skip
        if self.repairs and names is None and keys is None:
            self._writer.publish(study, attributes_of(study, attributes))
        return dataset

    def read(
        self, names: Collection[str], keys: Collection[str] | None = None
    ) -> "Iterator[tuple[str, dict[str, Any], dict[str, np.ndarray | None]]]":
        """Of each finished unit its key, what `account` has of it, and by variable its numbers, of shape (cells, …).

        names, keys: of the variables and of the units that are read; None for all units. A unit of which one of them
        is damaged is left out, and is `torn`; None stands for a variable that has no numbers. Raises as `finished`.
        """
        for account, chunks in self._read(self._read_arrays(), names, keys):
            yield account.unit, account.spent, chunks

    def account(self) -> dict[str, dict[str, Any]]:
        """By key, what was told of each `finished` unit: `wall_seconds`, `path_steps`, device, versions."""
        return {key: account.spent for key, account in self._recovery.survey(self.repairs).items()}

    def move_source(self, source: str) -> None:
        """Say in `study.json` that a person's own modules are in the folder `source` now. Raises as `save_text`."""
        self._save_record({"source": source})

    def save_text(self, name: str, text: str) -> None:
        """Write or replace the text file `name`. Raises WriteError where the folder cannot be written."""
        self._writer.save(name, text.encode())

    def keep(self, name: str, entries: dict[str, Any]) -> None:
        """Write or replace the file `name`, from which `kept` reads the entries again. Raises as `save_text`."""
        self._writer.save(name, closed(entries, self.record["fingerprint"]))

    def kept(self, name: str) -> dict[str, Any] | None:
        """The entries that the file `name` keeps of this study; None where it is not there, damaged, or another's."""
        try:
            return read_closed((self.folder / name).read_bytes(), self.record["fingerprint"])
        except OSError:
            return None

    def save_figure(self, name: str, figure: Any) -> Path:
        """Write or replace the PNG file `name` from a matplotlib figure. Raises StudyError as `save_text`."""
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=150, format="png")
        self._writer.save(name, drawn.getvalue())
        return self.folder / name

    def _reword(self, text: str, name: str) -> None:
        """Take another text of the same study, where the folder has not got it."""
        known = _files.read(self.folder / "study.toml")
        if self.is_writable and (known, self.record["name"]) != (text.encode(), name):
            self._writer.save("study.toml", text.encode())
            self._save_record({"name": name, "study": tomllib.loads(text)})

    def _save_record(self, changes: dict[str, Any]) -> None:
        record: dict[str, Any] = {**self.record, **changes}
        self._writer.save("study.json", _folder.to_bytes(record))
        self.record = record

    def _read_arrays(self) -> dict[str, Array]:
        return {name: read_array(entry) for name, entry in self._arrays.known().items()}

    def _read(
        self, arrays: dict[str, Array], names: Collection[str] | None, keys: Collection[str] | None
    ) -> "Iterator[tuple[Account, dict[str, np.ndarray | None]]]":
        """Account and numbers of each finished unit, without what lies beyond the end of the sweep."""
        _, layout = self._bound()
        accounts = self._recovery.survey(self.repairs)
        self._refuse_other_sizes(arrays, layout.axes)
        for key, account in accounts.items():
            if keys is not None and key not in keys:
                continue
            chunks = self._recovery.read(account, arrays, names)
            if chunks is None:
                self._recovery.lose(key, self.repairs)
                continue
            place = layout.where(self._recovery.places[key])
            trimmed = tuple(slice(0, part.stop - part.start) for part in place)
            yield account, {name: None if values is None else values[trimmed] for name, values in chunks.items()}

    def _refuse_other_sizes(self, arrays: dict[str, Array], axes: Mapping[str, int]) -> None:
        for name, array in arrays.items():
            for axis, length in zip(array.dims, array.shape, strict=True):
                if axes.get(axis, length) != length:
                    raise StudyError(
                        f"folder {self.folder} holds {name} for {length} places of {axis}, and its study has "
                        f"{axes[axis]}: put study.toml back as it was"
                    )

    def _bound(self) -> "tuple[AbstractStudy, Layout]":
        if self._study is None:
            raise ValueError("the store must be told its study first: bind(study)")
        return self._study, self._recovery.layout
