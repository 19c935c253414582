"""How a study's folder comes to be: whole or not at all, and never in the place of somebody else's files."""

import contextlib
import json
import os
import secrets
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._errors import StudyError
from . import _files
from ._accounts import checked, device, unchecked, versions
from ._claims import Claims

FORMAT = 3
CLAIMS, PARTIAL, UNITS, DATASET = ".claims", ".partial", "units", "dataset.zarr"
# what nothing else may replace; a pilot's folder is its study's
OWN = {CLAIMS, PARTIAL, UNITS, DATASET, "study.json", "study.toml", "pilot"}
_MAKING = "making"
_FIELDS = {"format", "name", "fingerprint", "source", "cells_per_unit", "study"}


def new_record(text: str, name: str, fingerprint: str, source: str, cells_per_unit: int) -> dict[str, Any]:
    """What `study.json` is to say of a study that is made here and now."""
    with contextlib.suppress(tomllib.TOMLDecodeError):
        study = tomllib.loads(text)
        return {
            "format": FORMAT,
            "name": name,
            "fingerprint": fingerprint,
            "source": source,
            "seed": study.get("seed", 0),
            "cells_per_unit": cells_per_unit,
            "versions": versions(),
            "device": device(),
            "study": study,
        }
    raise StudyError(f"study file {name} is not TOML")


def read_record(folder: Path) -> dict[str, Any]:
    """What `study.json` says. Raises StudyError where there is no study, or one that this version does not read."""
    if not folder.is_dir():
        raise StudyError(f"there is no folder {folder}")
    try:
        data = (folder / "study.json").read_bytes()
        record = json.loads(data)
        if not isinstance(record, dict):
            raise ValueError("it must be an object of JSON")
        found = record["format"]
        if found == FORMAT and not set(record) >= _FIELDS:
            raise ValueError("it lacks a field")
    except FileNotFoundError:
        raise StudyError(
            f"folder {folder} holds no study (it has no study.json); give the folder of a study, or a new one"
        ) from None
    except KeyError as error:
        raise StudyError(f"{folder / 'study.json'} is not the record of a study: it lacks {error}") from None
    except (ValueError, TypeError, OSError) as error:
        raise StudyError(f"{folder / 'study.json'} is not the record of a study: {error}") from None
    if found != FORMAT:
        # format 2 was never released
        reader = "sde-sgd of commit 6e39405" if found == 2 else "another version of sde-sgd"
        raise StudyError(f"folder {folder} has format {found}: read it with {reader}; this one reads format {FORMAT}")
    # folders of earlier versions have none
    if record.pop("crc32c", None) is not None and unchecked(data.rstrip()) is None:
        raise StudyError(
            f"{folder / 'study.json'} was changed after it was written (its crc32c is another one); "
            "put back what it was; nothing was changed"
        )
    return record


def make(folder: Path, text: str, record: dict[str, Any]) -> bool:
    """Make the folder of a study; False where another process has made something of that name meanwhile.

    Raises StudyError, and leaves nothing, where it cannot be made.
    """
    # what is made takes the place that a link leads to, and leaves the link
    out, folder = folder, Path(os.path.realpath(folder))
    if folder.is_dir() and (folder == Path.cwd() or folder.is_mount()):
        what = "the working folder" if folder == Path.cwd() else "where a disk is mounted"
        raise StudyError(f"output folder {out} cannot be made: it is {what}; give a folder within it, or another one")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        with _temporary(folder) as temporary:
            for name in (UNITS, PARTIAL):
                _files.make_folder(temporary / name)
            fill(temporary, text, record)
            _files.sync([temporary / "study.toml", temporary / "study.json", temporary])
            with contextlib.suppress(OSError):
                os.rmdir(folder)
            made = _files.rename(temporary, folder)
            _files.sync([folder.parent])
            return made
    except OSError as error:
        raise StudyError(f"output folder {out} cannot be made: {error.strerror or error}") from None


def fill(folder: Path, text: str, record: dict[str, Any]) -> None:
    """Write `study.toml` and `study.json` into a folder that has none."""
    _files.write(folder / "study.toml", text.encode())
    _files.write(folder / "study.json", to_bytes(record))


def to_bytes(record: dict[str, Any]) -> bytes:
    """What stands in `study.json`, closed by its CRC as an account is."""
    # TOML has dates
    return checked(json.dumps(record, indent=2, default=str)) + b"\n"


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes have left beside `folder` when they made it; a living one's is locked."""
    folder = Path(os.path.realpath(folder))
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder.parent)):
            claims = Claims(Path(entry.path) / CLAIMS)
            if entry.name.startswith(_prefix(folder)) and claims.take_surely(_MAKING):
                _files.remove_tree(Path(entry.path))
                claims.release(_MAKING)


def _prefix(folder: Path) -> str:
    return f".{folder.name}.new-"


@contextlib.contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, claimed by this process; it is removed in the end, if it is there still."""
    for _ in range(8):
        temporary = folder.parent / f"{_prefix(folder)}{secrets.token_hex(4)}"
        claims = Claims(temporary / CLAIMS)
        _files.make_folder(temporary)
        # another process may have taken it for a leftover before it was claimed
        with contextlib.suppress(FileNotFoundError):
            if claims.take(_MAKING) and temporary.is_dir():
                break
    else:
        raise OSError(f"no folder can be kept beside {folder}")
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            _files.remove_tree(temporary)
        claims.release(_MAKING)
