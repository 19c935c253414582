"""The table of a study file: what stands at a dotted key, and the same table with other values."""

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Path = tuple[str | int, ...]
Table = dict[str, Any]


def dotted(path: Path) -> str:
    """A path as a study file or a shell writes it, such as "sweep.learning_rate" or "start.0.point"."""
    return ".".join(map(str, path))


def plain(value: Any) -> Any:
    """A table of dicts, lists and scalars, from one that may hold sections, tuples and arrays."""
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_unset=True)
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items() if part is not None}
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [plain(part) for part in value] if isinstance(value, list | tuple | range) else value


def read(table: Table, path: Path) -> Any:
    """What stands at `path`, or None."""
    value: Any = table
    for part in path:
        if not _has(value, part):
            return None
        value = value[part]
    return value


def replaced(table: Table, changes: Mapping[Path, Any]) -> Table:
    """A copy of a table with other values at these paths. Raises ValueError for a path into what is no table."""
    new = copy.deepcopy(table)
    for path, value in changes.items():
        place: Any = new
        for depth, each in enumerate(path):
            # digits are the name of a key in a table, and the number of an entry in a list
            part = str(each) if _is_table(place) else each
            if not _has(place, part) and not _is_table(place):
                raise ValueError(f"{dotted(path)}: {dotted(path[:depth])} has no key {part}, got {place!r}")
            if depth == len(path) - 1:
                place[part] = value
            else:
                place = place[part] if _has(place, part) else place.setdefault(part, {})
    return new


def _is_table(place: Any) -> bool:
    return isinstance(place, dict)


def _has(place: Any, part: str | int) -> bool:
    """Whether a table has that key, or a list an entry of that number."""
    if isinstance(place, list):
        return isinstance(part, int) and part < len(place)
    return isinstance(place, dict) and part in place


def path_of(key: str) -> Path:
    """A dotted key as a path; digits are numbers of entries of a list."""
    return tuple(int(part) if part.isdigit() else part for part in key.split("."))
