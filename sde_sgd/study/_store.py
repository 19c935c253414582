"""A study's folder on disk: nothing in it is ever half-written, and another study's folder is left alone.

DIR/study.toml     the study file as it was given
DIR/study.json     its name, its fingerprint, where it came from
DIR/cells/*.npz    one file for every finished cell, the truth that all else is made of
DIR/dataset.zarr   all finished cells as one xarray dataset
DIR/report.txt, DIR/*.png
"""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._errors import StudyError

if TYPE_CHECKING:
    import xarray as xr

FORMAT = 2


class Store:
    """The folder of one study; make it with `create` or `open`.

    folder: where it is. record: what `study.json` says, by name: format, name, fingerprint, source.
    """

    def __init__(self, folder: Path, record: dict[str, Any]):
        self.folder = folder
        self.record = record

    @classmethod
    def create(
        cls,
        folder: str | Path,
        text: str,
        name: str,
        fingerprint: str,
        source: str,
        cells_per_unit: int = 1,
        extra: Any = None,
    ) -> "Store":
        """The folder for this study: a new one, or the one that already holds it.

        text: the study file. name: of the study. fingerprint: digest of what decides its numbers.
        source: the folder that the study file came from, where a person's own modules are.
        Raises StudyError, and changes nothing, if `folder` holds a different study or other files.
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise StudyError(f"output folder {folder} is a file; give a folder that does not exist yet")
        if folder.is_dir() and any(folder.iterdir()):
            store = cls.open(folder)
            if store.record["fingerprint"] != fingerprint:
                raise StudyError(
                    f"output folder {folder} already holds a different study, '{store.record['name']}' "
                    f"(fingerprint {store.record['fingerprint'][:12]}, this one {fingerprint[:12]}); "
                    "give another --out, nothing was changed"
                )
            return store
        record = {"format": FORMAT, "name": name, "fingerprint": fingerprint, "source": source}
        record |= {"cells_per_unit": cells_per_unit, **(extra or {})}
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        except OSError as error:
            raise StudyError(f"output folder {folder} cannot be made: {error.strerror}") from None
        try:
            temporary.chmod(0o755)
            (temporary / "cells").mkdir()
            (temporary / "study.toml").write_text(text, "utf-8")
            (temporary / "study.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")
            # an empty folder of that name is replaced; anything else makes this fail
            os.rename(temporary, folder)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise StudyError(f"output folder {folder} cannot be made: {error.strerror}") from None
        return cls(folder, record)

    @classmethod
    def open(cls, folder: str | Path) -> "Store":
        """The study that is in `folder`. Raises StudyError, a ValueError, if there is none."""
        folder = Path(folder)
        if not folder.is_dir():
            raise StudyError(f"there is no folder {folder}")
        try:
            record = json.loads((folder / "study.json").read_text("utf-8"))
            if not {"format", "name", "fingerprint", "source"} <= set(record):
                raise ValueError("it lacks a field")
        except FileNotFoundError:
            raise StudyError(
                f"folder {folder} holds no study (it has no study.json); give the folder of a study, or a new one"
            ) from None
        except (ValueError, TypeError, OSError) as error:
            raise StudyError(f"{folder / 'study.json'} is not the record of a study: {error}") from None
        if record["format"] != FORMAT:
            raise StudyError(f"folder {folder} has format {record['format']}; this version reads format {FORMAT}")
        store = cls(folder, record)
        store._recover()
        return store

    @property
    def text(self) -> str:
        """The study file as it was given."""
        return (self.folder / "study.toml").read_text("utf-8")

    def finished(self) -> set[str]:
        """Keys of the cells that are on disk."""
        return {path.stem for path in (self.folder / "cells").glob("*.npz") if not path.name.startswith(".")}

    def save_cell(self, key: str, data: "xr.Dataset") -> None:
        """Write `data`, the dataset of the finished cell named `key`. It is there whole or not at all."""
        described = data.to_dict(data=False)
        for entry in (*described["data_vars"].values(), *described["coords"].values()):
            del entry["shape"], entry["dtype"]
        arrays: dict[str, Any] = {f"variable {name}": entry.values for name, entry in data.variables.items()}
        with self._replacing(self.folder / "cells" / f"{key}.npz") as temporary, open(temporary, "wb") as file:
            np.savez(file, description=json.dumps(described), **arrays)

    def load_cell(self, key: str) -> "xr.Dataset":
        """What `save_cell` wrote under the name `key`."""
        import xarray as xr

        with np.load(self.folder / "cells" / f"{key}.npz", allow_pickle=False) as stored:
            described = json.loads(str(stored["description"]))
            for part in ("data_vars", "coords"):
                for name, entry in described[part].items():
                    entry["data"] = stored[f"variable {name}"]
        return xr.Dataset.from_dict(described)

    # until format 3
    _study: Any = None

    def bind(self, study):
        self._study = study
        return self

    def is_finished(self, key):
        return (self.folder / "cells" / f"{key}.npz").exists()

    def torn(self):
        return set()

    @property
    def is_writable(self):
        return os.access(self.folder, os.W_OK)

    def claim(self, key):
        import fcntl

        self._locks = getattr(self, "_locks", {})
        (self.folder / ".claims").mkdir(exist_ok=True)
        f = open(self.folder / ".claims" / key, "w")
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            f.close()
            return False
        self._locks[key] = f
        return True

    def release(self, key):
        self._locks.pop(key).close()

    def save_unit(self, unit, datasets, account):
        assert len(unit.cells) == 1
        self.save_text(f".{unit.key}.account", json.dumps(account))
        self.save_cell(unit.key, datasets[0])

    def account(self):
        return {
            key: json.loads((self.folder / f".{key}.account").read_text())
            for key in self.finished()
            if (self.folder / f".{key}.account").exists()
        }

    def dataset(self):
        from ._dataset import combine

        data = combine(
            self._study, {key: self.load_cell(key) for key in self.finished() & {c.key for c in self._study.cells()}}
        )
        if os.access(self.folder, os.W_OK):
            self.save_dataset(data)
        return data

    def save_text(self, name: str, text: str) -> None:
        """Write or replace the text file `name`."""
        with self._replacing(self.folder / name) as temporary:
            temporary.write_text(text, "utf-8")

    def save_figure(self, name: str, figure: Any) -> Path:
        """Write or replace the PNG file `name` from a matplotlib figure."""
        with self._replacing(self.folder / name) as temporary:
            figure.savefig(temporary, dpi=150, format="png")
        return self.folder / name

    def save_dataset(self, dataset: "xr.Dataset") -> Path:
        """Write `dataset.zarr` beside the old one, then swap their names."""
        target, old = self.folder / "dataset.zarr", self.folder / ".dataset.zarr.old"
        temporary = Path(tempfile.mkdtemp(prefix=".dataset.zarr.", dir=self.folder))
        try:
            temporary.chmod(0o755)
            # Zarr 3 has settled neither text coordinates nor consolidated metadata: readers would be warned
            dataset.to_zarr(temporary, mode="w", zarr_format=2, consolidated=True)
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
                os.rename(target, old)
            # killed here, `_recover` puts the old one back
            os.rename(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            self._recover()
            raise
        shutil.rmtree(old, ignore_errors=True)
        return target

    def load_dataset(self) -> "xr.Dataset":
        """The stored dataset, in memory. Raises StudyError if none was written yet."""
        import xarray as xr

        target = self.folder / "dataset.zarr"
        if not target.is_dir():
            raise StudyError(f"folder {self.folder} has no dataset yet; finish it with: sde-sgd resume {self.folder}")
        try:
            with xr.open_zarr(target) as dataset:
                return dataset.load()
        except (OSError, ValueError, KeyError) as error:
            raise StudyError(f"{target} cannot be read: {error}") from None

    def _recover(self) -> None:
        target, old = self.folder / "dataset.zarr", self.folder / ".dataset.zarr.old"
        if old.is_dir() and not target.exists():
            os.rename(old, target)

    @contextlib.contextmanager
    def _replacing(self, target: Path):
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
