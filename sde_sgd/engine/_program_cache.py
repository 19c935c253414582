"""Compiled programs that outlive their process: JAX's persistent cache, in the user's cache folder, bounded."""

import hashlib
import importlib
import importlib.util
import os
import platform
import zlib
from pathlib import Path

import jax
import platformdirs

from .._errors import positive_integer

# seconds of compilation from which a program is kept: loading one takes some milliseconds
_LEAST_SECONDS = 0.01
_SETTINGS = {
    "jax_persistent_cache_min_compile_time_secs": _LEAST_SECONDS,
    # without a limit: the programs of a small question are small
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
_CHECKED = "checked"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


def keep_programs(folder: str | Path | None = None, most_bytes: int = 2**28) -> Path | None:
    """Keep compiled programs on disk, so that another process that asks the same question need not compile.

    For this process and those that it starts, from now on; the command `sde-sgd` does it by itself. Numbers do not
    change by it.

    folder: where; None for the user's own cache folder. Programs of different processors and versions of JAX may
        share it.
    most_bytes: of the folder; beyond, what was used longest ago is deleted when the next process begins.
    Returns the folder in use: that of JAX's own settings (JAX_COMPILATION_CACHE_DIR) where they name one, which is
    left as it is; None where the folder cannot be written, and programs are then not kept.

        >>> folder = ss.keep_programs()
    """
    positive_integer("most_bytes", most_bytes)
    if already := _in_use():
        return Path(already)
    base = Path(platformdirs.user_cache_dir("sde_sgd")) / "programs" if folder is None else Path(folder)
    place = base.absolute() / _processor()
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not os.access(place, os.W_OK):
            return None
        _tidy(place, most_bytes)
    except OSError:
        return None
    for name, value in {"jax_compilation_cache_dir": str(place), **_SETTINGS}.items():
        jax.config.update(name, value)
        # processes that are started from here keep theirs in the same place
        os.environ[name.upper()] = str(value)
    return place


def _in_use() -> str | None:
    return jax.config.values.get("jax_compilation_cache_dir")


def _processor() -> str:
    """A name for this processor: a program compiled for another one may hold instructions that this one lacks."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        features = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:12]}"


def _tidy(place: Path, most_bytes: int) -> None:
    """Delete what was used longest ago beyond `most_bytes`, and entries cut short, which JAX would never replace."""
    mark = place / _CHECKED
    before = mark.stat().st_mtime if mark.exists() else 0.0
    entries = [(entry.stat(), Path(entry.path)) for entry in os.scandir(place) if entry.name.endswith("-cache")]
    # newest use first
    entries.sort(key=lambda each: max(each[0].st_atime, each[0].st_mtime), reverse=True)
    kept = 0
    for found, path in entries:
        kept += found.st_size
        if kept > most_bytes or (found.st_mtime >= before and not _is_whole(path)):
            path.unlink(missing_ok=True)
            path.with_name(path.name.removesuffix("-cache") + "-atime").unlink(missing_ok=True)
    mark.touch()


def _is_whole(path: Path) -> bool:
    """Whether an entry can be read to its end; one whose compression is not known here passes."""
    content = path.read_bytes()
    try:
        if content.startswith(_ZSTANDARD):
            # what JAX compresses with where it is there
            if importlib.util.find_spec("zstandard") is not None:
                importlib.import_module("zstandard").ZstdDecompressor().decompress(content)
            return True
        reader = zlib.decompressobj()
        reader.decompress(content)
        return reader.eof
    except Exception:  # each library has errors of its own
        return False
