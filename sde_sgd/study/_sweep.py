"""Sweeps: numbers of a study file that are lists, ranges or zipped lists, and the named dimensions that they make."""

import copy
import importlib
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel

from .._errors import choose
from ._sections import Part, Quantity

Path = tuple[str | int, ...]
Table = dict[str, Any]

_RANGE = ("from", "to", "number", "spacing")
# what a result's dataset calls its own
_TAKEN = ("censored", "diverged", "path_steps", "status", "time", "trajectories")


class Swept(NamedTuple):
    """One key of a study that takes several values.

    path: where it is in the table of the file. values: in the order of the sweep. is_number: whether the key's type is
    one number, so that a plain list of them can be nothing but a sweep.
    """

    path: Path
    values: tuple[Any, ...]
    is_number: bool

    @property
    def key(self) -> str:
        """Its dotted key, as messages and `zip` call it."""
        return dotted(self.path)


class Axis(NamedTuple):
    """A named dimension of a study: one swept key, or several that are zipped."""

    name: str
    keys: tuple[Swept, ...]

    @property
    def size(self) -> int:
        """How many values it has."""
        return len(self.keys[0].values)


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
        for depth, part in enumerate(path):
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


def axes_of(
    model: type[BaseModel], table: Table, last: Sequence[str], always: Sequence[str], alone: Sequence[str]
) -> tuple[Axis, ...]:
    """The dimensions that the table of a study file makes.

    model: the study's class, whose types tell a vector from a sweep. last: dotted keys that come last, in this order;
    all others come before them, in alphabetical order, so that no order of lines in a file changes a cell's number.
    always: keys that make a dimension even with one value. alone: keys that take one value only.
    Raises ValueError, naming the key, for values that are no sweep, and for a `zip` that names what is not swept.
    """
    swept = {each.key: each for each in _find(model, table, table, ())}
    for key in always:
        value = read(table, path_of(key))
        if key not in swept and isinstance(value, int | float) and not isinstance(value, bool):
            swept[key] = _made(model, table, path_of(key), [value])
    for key in alone:
        if key in swept:
            raise ValueError(f"{key} must be one value for the whole study, got {list(swept[key].values)}")
    groups = _zipped(table.get("zip", []), swept)
    rank = {key: (1, place, "") for place, key in enumerate(last)}
    groups.sort(key=lambda group: max(rank.get(each.key, (0, 0, each.key)) for each in group))
    ends = [str(group[0].path[-1]) for group in groups if len(group) == 1]
    return tuple(Axis(_name(group, ends), group) for group in groups)


def _name(group: tuple[Swept, ...], ends: list[str]) -> str:
    first, *others = group
    if others:
        return "_".join(str(each.path[-1]) for each in group)
    end = str(first.path[-1])
    if ends.count(end) > 1:
        return first.key
    return f"{end}_given" if end in _TAKEN else end


def _zipped(groups: Any, swept: dict[str, Swept]) -> list[tuple[Swept, ...]]:
    if not isinstance(groups, list) or not all(isinstance(group, list) and len(group) > 1 for group in groups):
        raise ValueError(f'zip must be lists of at least two keys, such as [["sweep.a", "sweep.b"]], got {groups!r}')
    found, left = [], dict(swept)
    for group in groups:
        for key in group:
            if key not in swept:
                raise ValueError(f"zip: {choose('swept key', key, swept)}")
            if key not in left:
                raise ValueError(f"zip must name a key once, got {key} twice")
            del left[key]
        lengths = [len(swept[key].values) for key in group]
        if len(set(lengths)) > 1:
            raise ValueError(f"zip must join lists of one length, got {lengths} of {', '.join(group)}")
        found.append(tuple(swept[key] for key in group))
    for each in (*left.values(), *(group for group in found)):
        _refuse_repeats((each,) if isinstance(each, Swept) else each)
    return [*found, *((_sorted(each),) for each in left.values())]


def _refuse_repeats(group: tuple[Swept, ...]) -> None:
    rows = [repr(row) for row in zip(*(each.values for each in group), strict=True)]
    if len(set(rows)) < len(rows):
        keys, given = ", ".join(each.key for each in group), [list(each.values) for each in group]
        raise ValueError(f"{keys} must not repeat a value, got {given[0] if len(given) == 1 else given}")


def _sorted(each: Swept) -> Swept:
    """Numbers in rising order, whatever the file's; others in that of the file."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in each.values)
    return each._replace(values=tuple(sorted(each.values))) if numbers else each


def _find(model: Any, table: Table, value: Any, path: Path) -> Iterator[Swept]:
    """Every key below `path` that is swept."""
    if path[:1] == ("zip",):
        return
    if isinstance(value, dict):
        if set(value) == {"each"} and path:
            yield _made(model, table, path, value["each"])
        elif {"from", "to"} <= set(value) and path:
            yield _made(model, table, path, _range(dotted(path), value))
        else:
            for key, part in value.items():
                yield from _find(model, table, part, (*path, key))
    elif isinstance(value, list):
        if all(isinstance(part, int | float) for part in value) and number_type(model, table, path) is not None:
            yield _made(model, table, path, value)
        else:
            for place, part in enumerate(value):
                yield from _find(model, table, part, (*path, place))


def _made(model: Any, table: Table, path: Path, values: Any) -> Swept:
    if not isinstance(values, list) or not values:
        raise ValueError(f"{dotted(path)} must have at least 1 value to sweep, a list of them, got {values!r}")
    kind = number_type(model, table, path)
    if kind is not None and any(isinstance(each, list | dict) for each in values):
        raise ValueError(f"{dotted(path)} must be one number at a time, got {values!r}")
    if kind is float:
        # floats are numbers of a compiled program, whole numbers are built into it
        values = [float(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in values]
    elif kind is int:
        values = [int(each) if isinstance(each, float) and each.is_integer() else each for each in values]
    return Swept(path, tuple(values), kind is not None)


def _range(key: str, given: Table) -> list[Any]:
    for name in given:
        if name not in _RANGE:
            raise ValueError(choose(f"key in the range {key}", name, _RANGE))
    low, high, number, spacing = given["from"], given["to"], given.get("number"), given.get("spacing", "linear")
    if not isinstance(number, int) or isinstance(number, bool) or number < 2:
        raise ValueError(f"{key}.number must be a whole number of at least 2, got {number!r}")
    if spacing not in ("linear", "log"):
        raise ValueError(f"{key}.spacing must be 'linear' or 'log', got {spacing!r}")
    ends = [each for each in (low, high) if isinstance(each, int | float) and np.isfinite(each)]
    if len(ends) < 2 or low >= high or (spacing == "log" and low <= 0):
        above = " above 0" if spacing == "log" else ""
        raise ValueError(f"{key} must go from a number{above} to a larger one, got from = {low!r}, to = {high!r}")
    values = (np.geomspace if spacing == "log" else np.linspace)(low, high, number)
    # decimals that a person would write, not the last bits of a power
    values = [float(low), *(float(f"{value:.12g}") for value in values[1:-1]), float(high)]
    whole = all(isinstance(each, int) for each in (low, high)) and all(value.is_integer() for value in values)
    return [int(value) for value in values] if whole else values


def number_type(model: Any, table: Table, path: Path) -> type | None:
    """float or int where the key at `path` takes one number and no list; None where it takes anything else.

    model: the study's class. table: of its file, which says the kinds of its parts.
    """
    found, _ = _annotations(model, table, path)
    members = [member for member in found if member is not type(None)]
    shapes = [getattr(member, "dim_str", None) for member in members]
    if not members or not all(m in (int, float) or shape == "" for m, shape in zip(members, shapes, strict=True)):
        return None
    return int if all(member is int for member in members) else float


def quantity(model: Any, table: Table, path: Path) -> Quantity:
    """Units and words of the key at `path`: those of its field, or of the parameter of what a part chooses."""
    _, known = _annotations(model, table, path)
    return known or Quantity("", dotted(path))


def _annotations(model: Any, table: Table, path: Path) -> tuple[list[Any], Quantity | None]:
    """The types that the key at `path` may have, with unions taken apart, and what is said of it."""
    members, known = [model], None
    for depth, part in enumerate(path):
        found: list[Any] = []
        known = None
        for member in members:
            if isinstance(part, int):
                found += _members(typing.get_args(member)[:1]) if typing.get_origin(member) is list else []
            elif typing.get_origin(member) is dict:
                found += _members(typing.get_args(member)[1:])
            elif isinstance(member, type) and issubclass(member, BaseModel):
                if part in member.model_fields:
                    field = member.model_fields[part]
                    found += _members([field.annotation])
                    known = next((each for each in field.metadata if isinstance(each, Quantity)), known)
                elif issubclass(member, Part):
                    annotation, known = _parameter(member, read(table, path[:depth]), str(part))
                    found += _members([annotation])
        members = found
    return members, known


def _members(annotations: Any) -> list[Any]:
    found: list[Any] = []
    for annotation in annotations:
        origin = typing.get_origin(annotation)
        if origin in (typing.Union, types.UnionType):
            found += _members(typing.get_args(annotation))
        elif origin is typing.Annotated:
            found += _members(typing.get_args(annotation)[:1])
        else:
            found.append(annotation)
    return found


def _parameter(part: type[Part], table: Any, key: str) -> tuple[Any, Quantity | None]:
    """Annotation and words of a parameter of the class that a part of a study file chooses by its kind."""
    name = table.get("kind", part.model_fields["kind"].default) if isinstance(table, dict) else None
    made = getattr(importlib.import_module(f"sde_sgd.{part.room}"), str(name), None) if part.room else None
    if not isinstance(made, type):
        return Any, None
    annotations = [inspect.get_annotations(each).get(key) for each in made.__mro__ if each.__module__ != "builtins"]
    said = meanings(made).get(key, "").split(", ")[0].split(";")[0].rstrip(".")
    return next((each for each in annotations if each is not None), Any), Quantity("", said or f"{key} of {name}")


def meanings(described: type) -> dict[str, str]:
    """What a class's docstring says of each name, by its lines `name: meaning.` or `one, other: meaning.`"""
    text = inspect.getdoc(described) or ""
    words: dict[str, str] = {}
    names: list[str] = []
    for paragraph in text.split("\n\n")[1:]:
        joined = " ".join(line.strip() for line in paragraph.splitlines())
        # a name begins a paragraph or a sentence, or follows a semicolon
        pieces = re.split(r"(?:^|(?<=[.;]) )((?:[a-z_]+, )*[a-z_]+): ", joined)
        for given, meaning in zip(pieces[1::2], pieces[2::2], strict=True):
            names = given.split(", ")
            words |= {name: meaning.strip().rstrip(";") for name in names}
    return words
