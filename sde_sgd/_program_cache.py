"""Compiled programs that outlive their process: JAX's persistent cache, in the user's cache folder, bounded."""

import hashlib
import importlib
import importlib.util
import os
import platform
import sys
import zlib
from pathlib import Path
from typing import Any

_FOLDER = "jax_compilation_cache_dir"
_SETTINGS = {
    # seconds of compilation from which a program is kept: loading one takes some milliseconds
    "jax_persistent_cache_min_compile_time_secs": 0.01,
    # no least size: the programs of a small question are small
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
_CHECKED = "checked"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


def keep_programs(folder: str | Path | None = None, most_bytes: int = 2**28) -> Path | None:
    """Keep compiled programs on disk, so that another process that asks the same question need not compile.

    For this process and those that it starts, from now on; the command `sde-sgd` does it by itself. Numbers do not
    change by it. Where it is called before JAX is imported, it also spares two lines on standard error that JAX 0.10
    writes for every program that it loads from there on a CPU; they are of no consequence.

    folder: where; None for the user's own cache folder. Programs of different processors and versions of JAX may
        share it.
    most_bytes: of the folder; beyond, what was used longest ago is deleted when the next process begins.
    Returns the folder in use: that of JAX's own settings (JAX_COMPILATION_CACHE_DIR) where they name one, which is
    left as it is; None where the folder cannot be written, and programs are then not kept.

        >>> folder = ss.keep_programs()
    """
    if type(most_bytes) is not int or most_bytes < 1:
        # not at the top: it imports JAX
        from ._errors import positive_integer

        positive_integer("most_bytes", most_bytes)
    if already := _in_use():
        return Path(already)
    import platformdirs

    base = Path(platformdirs.user_cache_dir("sde_sgd")) / "programs" if folder is None else Path(folder)
    place = base.absolute() / _processor()
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not os.access(place, os.W_OK):
            return None
        _tidy(place, most_bytes)
    except OSError:
        return None
    _set({_FOLDER: str(place), **_SETTINGS})
    return place


def _in_use() -> str | None:
    if "jax" not in sys.modules:
        return os.environ.get(_FOLDER.upper())
    import jax

    return jax.config.values.get(_FOLDER)


def _set(settings: dict[str, Any]) -> None:
    # also for processes that are started from here
    os.environ.update({name.upper(): str(value) for name, value in settings.items()})
    if "jax" not in sys.modules:
        # 1 is what JAX itself sets, for the processes too that are started from one with it
        if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1":
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        return
    import jax

    for name, value in settings.items():
        jax.config.update(name, value)


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
    # JAX's own bound looks through the whole folder, locked, for every program it keeps, and needs one package more
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
