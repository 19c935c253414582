"""Files that are there whole or not at all: every change to a study's folder is one of the calls below.

A new file is written under a name of its own, synced to the disk and then renamed, so that no reader and no kill ever
sees half of one.
"""

import contextlib
import errno
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# a disk syncs many files in little more than the time of one
_AT_ONCE = 8


def write(path: str | Path, data: bytes) -> int:
    """A new file `path` that holds `data`; returns its time of modification in ns. `sync` brings it to the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        return os.fstat(handle).st_mtime_ns
    finally:
        os.close(handle)


def sync(paths: Iterable[str | Path]) -> None:
    """Return when these files and folders are on the disk."""
    paths = list(paths)
    if len(paths) == 1:
        _sync(paths[0])
    elif paths:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(_sync, paths))


def replace(temporary: str | Path, target: str | Path) -> None:
    """Give the file `temporary` the name `target`, in place of what has it."""
    os.replace(temporary, target)


def rename(temporary: Path, target: Path) -> bool:
    """Give the folder `temporary` the name `target`; False where a folder that is not empty has it already."""
    try:
        os.rename(temporary, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def make_folder(path: Path) -> None:
    """A new folder, or the one that is there."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)


def remove(path: str | Path) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove_tree(path: Path) -> None:
    """Remove a folder with what is in it, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        with os.scandir(path) as found:
            entries = list(found)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                remove_tree(Path(entry.path))
            else:
                remove(entry.path)
        os.rmdir(path)


def read(path: str | Path) -> bytes | None:
    """What is in a file; None where there is none, or where it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.readall()
    except OSError:
        return None


def _sync(path: str | Path) -> None:
    try:
        handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    except PermissionError:
        # Windows opens no folder
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
