"""Sweeps: numbers of a study file that are lists, ranges or zipped lists, and the named dimensions that they make."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel

from .._errors import choose
from ._key_types import number_type
from ._tables import Path, Table, dotted, path_of, read

# that a study may have; listing them takes half a minute
MOST_CELLS = 1_000_000
_RANGE = ("from", "to", "number", "spacing")
# sections that hold no numbers of the study
_NO_NUMBERS = (("zip",), ("published",))
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

    def along(self) -> Any:
        """What stands along its dimension: numbers, else words."""
        if all(isinstance(value, int | float) for value in self.values):
            return np.asarray(self.values, float)
        return [value if isinstance(value, str) else repr(value) for value in self.values]


class Axis(NamedTuple):
    """A named dimension of a study: one swept key, or several that are zipped."""

    name: str
    keys: tuple[Swept, ...]

    @property
    def size(self) -> int:
        """How many values it has."""
        return len(self.keys[0].values)


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
        if key not in swept and _is_number(value):
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
    if not isinstance(groups, list) or not all(map(_is_group, groups)):
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
    alone = [(each,) for each in left.values()]
    for group in [*found, *alone]:
        _refuse_repeats(group)
    return [*found, *((_sorted(each),) for (each,) in alone)]


def _is_group(group: Any) -> bool:
    return isinstance(group, list) and len(group) > 1 and all(isinstance(key, str) for key in group)


def _refuse_repeats(group: tuple[Swept, ...]) -> None:
    rows = [repr(row) for row in zip(*(each.values for each in group), strict=True)]
    if len(set(rows)) < len(rows):
        keys, given = ", ".join(each.key for each in group), [list(each.values) for each in group]
        raise ValueError(f"{keys} must not repeat a value, got {given[0] if len(given) == 1 else given}")


def _sorted(each: Swept) -> Swept:
    """Numbers in rising order, whatever the file's; others in that of the file."""
    return each._replace(values=tuple(sorted(each.values))) if all(map(_is_number, each.values)) else each


def _is_number(value: Any) -> bool:
    """True and false are none, though Python counts them as integers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _find(model: Any, table: Table, value: Any, path: Path) -> Iterator[Swept]:
    """Every key below `path` that is swept."""
    if path[:1] in _NO_NUMBERS:
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
        values = [float(each) if _is_number(each) else each for each in values]
    elif kind is int:
        values = [int(each) if isinstance(each, float) and each.is_integer() else each for each in values]
    return Swept(path, tuple(values), kind is not None)


def _range(key: str, given: Table) -> list[Any]:
    for name in given:
        if name not in _RANGE:
            raise ValueError(choose(f"key in the range {key}", name, _RANGE))
    low, high, number, spacing = given["from"], given["to"], given.get("number"), given.get("spacing", "linear")
    if not isinstance(number, int) or isinstance(number, bool) or not 2 <= number <= MOST_CELLS:
        raise ValueError(f"{key}.number must be a whole number from 2 to {MOST_CELLS}, got {number!r}")
    if spacing not in ("linear", "log"):
        raise ValueError(f"{key}.spacing must be 'linear' or 'log', got {spacing!r}")
    ends = [each for each in (low, high) if _is_number(each) and np.isfinite(each)]
    if len(ends) < 2 or low >= high or (spacing == "log" and low <= 0):
        above = " above 0" if spacing == "log" else ""
        raise ValueError(f"{key} must go from a number{above} to a larger one, got from = {low!r}, to = {high!r}")
    values = (np.geomspace if spacing == "log" else np.linspace)(low, high, number)
    # decimals that a person would write, not the last bits of a power
    values = [float(low), *(float(f"{value:.12g}") for value in values[1:-1]), float(high)]
    whole = all(isinstance(each, int) for each in (low, high)) and all(value.is_integer() for value in values)
    return [int(value) for value in values] if whole else values
