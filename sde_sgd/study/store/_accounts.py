"""A unit's account: what it cost and where it was computed, and the list of its chunks with their CRC-32C."""

import functools
import importlib.metadata
import json
import os
import platform
import sys
from typing import Any, NamedTuple

import google_crc32c

_CHECK = ', "crc32c": '
_PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "xarray", "zarr")


class Chunk(NamedTuple):
    """One file of a unit, as it was written.

    file: its name in the folder of its array, "" where it has no numbers. crc: CRC-32C of all but its last four bytes,
        which are that CRC: of all bytes it would be the same number for every chunk. size: in bytes.
    modified: time of its last change in ns; a file that still has size and time need not be read to be known again.
    """

    file: str
    crc: int
    size: int
    modified: int


class Account(NamedTuple):
    """What is kept of one unit beside its numbers.

    unit: its key. chunks: by name of the array, with that of `status` last.
    coordinates: names of the coordinates that its cells brought. cells: by key, the attributes of each cell's dataset.
    spent: wall seconds, path-steps, device, versions and whatever else the runner tells.
    """

    unit: str
    chunks: dict[str, Chunk]
    coordinates: list[str]
    cells: dict[str, dict[str, Any]]
    spent: dict[str, Any]

    def to_bytes(self, fingerprint: str) -> bytes:
        """JSON, closed by the CRC of all before it. fingerprint: of the study that the unit is of."""
        return closed(self._asdict(), fingerprint)


def read_account(data: bytes, unit: str, fingerprint: str) -> Account | None:
    """What `Account.to_bytes` wrote; None where it is damaged, or another unit's or study's."""
    entries = read_closed(data, fingerprint)
    if entries is None or entries["unit"] != unit:
        return None
    entries["chunks"] = {name: Chunk(*entry) for name, entry in entries["chunks"].items()}
    return Account(**entries)


def closed(entries: dict[str, Any], fingerprint: str) -> bytes:
    """JSON, closed by the CRC of all before it. fingerprint: of the study that the entries are of."""
    return checked(json.dumps(entries | {"study": fingerprint}, ensure_ascii=False))


def read_closed(data: bytes, fingerprint: str) -> dict[str, Any] | None:
    """The entries that `closed` wrote; None where they are damaged, or another study's."""
    entries = unchecked(data)
    return entries if entries is not None and entries.pop("study") == fingerprint else None


def checked(text: str) -> bytes:
    """The JSON text of an object, closed by one entry more: the CRC of all before that."""
    text = text.removesuffix("}").rstrip()
    return f"{text}{_CHECK}{crc32c(text.encode())}}}".encode()


def unchecked(data: bytes) -> dict[str, Any] | None:
    """The object whose text `checked` has closed; None where it is damaged."""
    text, _, check = data.rpartition(_CHECK.encode())
    if check != b"%d}" % crc32c(text):
        return None
    return json.loads(text + b"}")


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of some bytes, as Zarr's codec of that name has it."""
    return google_crc32c.value(data)


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python, this package and those that its numbers come from, without importing them."""
    from ... import __version__

    found = {"python": platform.python_version(), "sde_sgd": __version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def device_line() -> str:
    """What the study runs on; a machine without an accelerator is named like any other."""
    import jax

    devices = jax.devices()
    cores = f", {os.cpu_count()} cores" if devices[0].platform == "cpu" else ""
    return f"{len(devices)} × {devices[0].device_kind} ({devices[0].platform}{cores}), JAX {jax.__version__}"


def device() -> str:
    """`device_line`, or the machine's architecture in a process that has not needed JAX."""
    return device_line() if "jax" in sys.modules else platform.machine()
