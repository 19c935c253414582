"""The dataset of a study in Zarr format 3: its arrays' metadata, and the chunks of a unit as bytes.

One chunk of an array is what one unit has for it: the unit's cells along the last axis of the sweep, one place along
the others, and the whole of the variable's own dimensions. So one writer writes whole chunks only. Chunks are
uncompressed, with the codec crc32c; they lie side by side in the array's folder.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._dataset import blank, fit, plain
from .._errors import StudyError
from . import _files
from ._accounts import crc32c

if TYPE_CHECKING:
    import xarray as xr

    from .._units import Unit

_TEXT = "string"


class Layout(NamedTuple):
    """Where a unit's numbers lie in the arrays.

    axes: name and length of each axis of the sweep. cells_per_unit: cells along the last one in a unit.
    """

    axes: dict[str, int]
    cells_per_unit: int

    @property
    def chunk(self) -> tuple[int, ...]:
        """Shape of a chunk along the sweep's axes."""
        *others, last = self.axes.values() or [1]
        return (*[1] * len(others), min(self.cells_per_unit, last)) if self.axes else ()

    def place(self, unit: "Unit") -> tuple[int, ...]:
        """The chunk that holds a unit, along the sweep's axes.

        Raises ValueError where the unit's cells are not those of one whole chunk.
        """
        if not self.axes:
            return ()
        indices = [tuple(cell.index[axis] for axis in self.axes) for cell in unit.cells]
        *others, first = indices[0]
        size, length = self.chunk[-1], list(self.axes.values())[-1]
        wanted = [(*others, number) for number in range(first, min(first + size, length))]
        if first % size or indices != wanted:
            raise ValueError(f"unit {unit.key} must be {size} cells along the last axis of the sweep, got {indices}")
        return (*others, first // size)

    def where(self, place: tuple[int, ...]) -> tuple[slice, ...]:
        """The part of an array that the chunk at `place` covers."""
        parts = zip(place, self.chunk, self.axes.values(), strict=True)
        return tuple(slice(at * size, min((at + 1) * size, length)) for at, size, length in parts)


class Array(NamedTuple):
    """One array of the dataset, as its `zarr.json` describes it.

    dims, shape, chunk: names, sizes, and sizes of a chunk. type: "string", "float64" and so on. attributes: its own.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    type: str
    attributes: dict[str, Any]

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(object if self.type == _TEXT else self.type)

    def fit(self, name: str, known: "Array") -> None:
        """Raise StudyError where this array, of a cell, is not as the one that is known of that name."""
        fit(name, (self.dims, self.shape), (known.dims, known.shape))
        if self.type != known.type:
            raise StudyError(f"variable '{name}' of a cell must be {known.type} as before, got {self.type}")

    def blank(self) -> np.ndarray:
        """The array where nothing is known."""
        return blank(self.shape, self.dtype)

    def chunk_name(self, place: tuple[int, ...] = ()) -> str:
        """Name of the file of a chunk. place: along the first dimensions, 0 along the others."""
        return "c" + "".join(f".{number}" for number in (*place, *[0] * (len(self.shape) - len(place))))

    def decoded(self, data: bytes) -> np.ndarray:
        """What a chunk's file holds, whose CRC is known to be right."""
        if self.type == _TEXT:
            from numcodecs.vlen import VLenUTF8

            return VLenUTF8().decode(data[:-4]).reshape(self.chunk)
        return np.frombuffer(data[:-4], self.dtype.newbyteorder("<")).reshape(self.chunk)


def read_array(entry: Mapping[str, Any]) -> Array:
    """An array from its metadata."""
    chunk = entry["chunk_grid"]["configuration"]["chunk_shape"]
    dims = tuple(entry.get("dimension_names") or ())
    return Array(dims, tuple(entry["shape"]), tuple(chunk), entry["data_type"], entry["attributes"])


def encoded(values: np.ndarray) -> bytes:
    """A chunk's file."""
    if values.dtype.kind in "UOT":
        from numcodecs.vlen import VLenUTF8

        body = bytes(VLenUTF8().encode(values.astype(object).ravel()))
    else:
        body = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return body + crc32c(body).to_bytes(4, "little")


def is_whole(data: bytes | None) -> bool:
    """Whether a chunk's file ends with the CRC of what stands before."""
    return data is not None and len(data) >= 4 and int.from_bytes(data[-4:], "little") == crc32c(data[:-4])


def of_sweep(entry: "xr.Variable", layout: Layout) -> Array:
    """The array over the sweep for a variable of a cell."""
    kind = blank((), entry.dtype).dtype
    own = tuple(map(str, entry.dims))
    return Array(
        (*layout.axes, *own),
        (*layout.axes.values(), *entry.shape),
        (*layout.chunk, *(max(1, size) for size in entry.shape)),
        _TEXT if kind.kind == "O" else str(kind),
        plain(dict(entry.attrs)),
    )


def of_coordinate(entry: "xr.Variable") -> Array:
    """The array of one chunk for a coordinate."""
    kind = _TEXT if entry.dtype.kind in "UOT" else str(entry.dtype)
    chunk = tuple(max(1, size) for size in entry.shape)
    return Array(tuple(map(str, entry.dims)), entry.shape, chunk, kind, plain(dict(entry.attrs)))


def chunk_of(array: Array, layout: Layout, cells: Sequence[np.ndarray | None]) -> np.ndarray:
    """The chunk of a unit. cells: what each of its cells has, in their order; None where it has nothing."""
    values = blank(array.chunk, array.dtype)
    for number, cell in enumerate(cells):
        if cell is not None:
            values[(*[0] * (len(layout.axes) - 1), number)[: len(layout.axes)]] = np.asarray(cell, array.dtype)[()]
    return values


class Arrays:
    """The folder `dataset.zarr`: what arrays it has, and how one is added.

    Each array's metadata stand twice: in its own folder, and in the group's file, whence readers have them with one
    look. Where one of the two is damaged the other repairs it.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def known(self) -> dict[str, dict[str, Any]]:
        """Metadata of each array by name."""
        return self._copies() | dict(self._own())

    def add(self, arrays: Mapping[str, tuple[Array, np.ndarray | None]], scratch: Path) -> None:
        """Add arrays that are not there yet, which readers see after the next `publish`.

        arrays: by name, the array and its values, or None for one that units fill. scratch: a folder for what is
        not finished. Another process may add the same at the same time. Raises StudyError where an array of that name
        has another shape or type.
        """
        for name, (array, values) in arrays.items():
            known = _metadata(self.folder / name)
            if known is not None:
                array.fit(name, read_array(known))
            if known is not None and values is None:
                continue
            written = _made(scratch, name, array, values)
            _files.make_folder(self.folder / name)
            # the metadata come last: what they describe is whole
            for path in sorted(written, key=lambda path: path.name == "zarr.json"):
                _files.replace(path, self.folder / name / path.name)
            _files.sync([self.folder / name])

    def publish(self, attributes: dict[str, Any], coordinates: list[str], scratch: Path) -> None:
        """Write the group's file: its attributes, and the metadata of all arrays; and repair what is damaged.

        coordinates: names of the arrays that are coordinates.
        """
        others = " ".join(sorted(coordinates))
        attributes = plain(attributes) | ({"coordinates": others} if others else {})
        while True:
            arrays = self.known()
            for name in arrays:
                if _metadata(self.folder / name) is None:
                    _files.make_folder(self.folder / name)
                    _put(scratch, self.folder / name / "zarr.json", _json(arrays[name]))
            metadata = {"kind": "inline", "must_understand": False, "metadata": dict(sorted(arrays.items()))}
            group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
            data = _json(group | {"consolidated_metadata": metadata})
            if _files.read(self.folder / "zarr.json") == data:
                return
            _put(scratch, self.folder / "zarr.json", data)
            _files.sync([self.folder])

    def is_published(self) -> bool:
        """Whether the group's file is whole and has all arrays, each as its own folder has it."""
        copies = self._copies()
        return bool(copies) and copies == dict(self._own())

    def attributes(self) -> dict[str, Any]:
        """Attributes of the group as they were published last."""
        group = _parsed(_files.read(self.folder / "zarr.json"))
        return {name: value for name, value in group.get("attributes", {}).items() if name != "coordinates"}

    def values(self, name: str) -> np.ndarray | None:
        """What the coordinate `name` has; None where its one chunk, or its metadata, are damaged."""
        entry = _metadata(self.folder / name)
        if entry is None:
            return None
        array = read_array(entry)
        if 0 in array.shape:
            return array.blank()
        data = _files.read(self.folder / name / array.chunk_name())
        return array.decoded(data) if data is not None and is_whole(data) else None

    def _own(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if self.folder.is_dir():
            for path in sorted(self.folder.iterdir()):
                if path.is_dir() and (entry := _metadata(path)):
                    yield path.name, entry

    def _copies(self) -> dict[str, dict[str, Any]]:
        group = _parsed(_files.read(self.folder / "zarr.json"))
        return group.get("consolidated_metadata", {}).get("metadata", {})


def _made(scratch: Path, name: str, array: Array, values: np.ndarray | None) -> list[Path]:
    """The files of a new array, on the disk, in a folder of `scratch`."""
    import zarr
    from zarr.codecs import Crc32cCodec

    folder = scratch / f"array {name}"
    text = array.type == _TEXT
    zarr.create_array(
        folder,
        shape=array.shape,
        chunks=array.chunk,
        dtype=np.dtypes.StringDType() if text else array.type,  # pyright: ignore
        fill_value="" if text else np.zeros((), array.dtype) if array.dtype.kind in "biu" else np.nan,
        compressors=[Crc32cCodec()],
        dimension_names=array.dims,
        attributes=array.attributes,
        chunk_key_encoding={"name": "default", "separator": "."},
        zarr_format=3,
    )
    if values is not None and values.size:
        _files.write(folder / array.chunk_name(), encoded(values))
    written = sorted(folder.iterdir())
    _files.sync(written)
    return written


def _put(scratch: Path, target: Path, data: bytes) -> None:
    temporary = scratch / f"file {target.name}"
    _files.write(temporary, data)
    _files.sync([temporary])
    _files.replace(temporary, target)


def _metadata(folder: Path) -> dict[str, Any] | None:
    entry = _parsed(_files.read(folder / "zarr.json"))
    return entry if entry.get("node_type") == "array" else None


def _parsed(data: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(data or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _json(entry: dict[str, Any]) -> bytes:
    return (json.dumps(entry, indent=2, ensure_ascii=False) + "\n").encode()
