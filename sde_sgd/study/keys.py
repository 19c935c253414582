"""The page of all keys of study files, made from the types and docstrings of the kinds: docs/study_files.md.

Written by `python -m sde_sgd.study.keys > docs/study_files.md`; a test says that the page is up to date.
"""

import importlib
import inspect
import types
import typing
from typing import Any, NamedTuple

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ._file import packaged, packaged_text, parse
from ._key_types import meanings, number_type
from ._kind import kinds
from ._sections import LandscapeSpec, NoiseSpec, Part, RegionSpec

_INTRODUCTION = """# Study files

What a study file may say, kind by kind. This page is made from the types: `python -m sde_sgd.study.keys` writes it.
`sde-sgd list` names the packaged studies and `sde-sgd show NAME` prints one to start from. A key that is not here is
refused, with the nearest one that is. From Python a study is an object of its kind, `ss.study.EscapeStudy(...)` say,
with the same keys; its `text()` is the file.

**Sweeps.** A number becomes a dimension of the study where it is given as several:

```toml
learning_rate = [0.05, 0.1]                                            # a list, where the key takes one number
learning_rate = {from = 1e-3, to = 1e-1, number = 7, spacing = "log"}  # a range; spacing is "linear" by default
hidden = {each = [[16], [32, 32]]}                                     # also of lists, words, and vectors
```

The dimension is called by the last part of the key, or by the whole dotted key where two would be called alike, and its
values are sorted. All combinations are run, but for keys that are zipped: `zip = [["sweep.learning_rate", "dt"]]` at
the top of the file lets them go together, in the order given. *swept* below says `list` where a plain list is a sweep,
`each` where only `{each = ...}` and a range are, since a list has a meaning of its own, and `no` for what is one value
for the whole study.
"""
_ROOMS: dict[type[Part], str] = {
    LandscapeSpec: "AbstractLandscape",
    NoiseSpec: "AbstractNoise",
    RegionSpec: "AbstractRegion",
}
_BOUNDS = {
    annotated_types.Gt: ("gt", "> "),
    annotated_types.Ge: ("ge", "≥ "),
    annotated_types.Lt: ("lt", "< "),
    annotated_types.Le: ("le", "≤ "),
}


class Row(NamedTuple):
    """One key: its type in words, its default, its meaning, and how it may be swept."""

    type: str
    default: str
    meaning: str
    swept: str


def chapters() -> dict[str, dict[str, Row]]:
    """The keys of each kind and section, and the parameters of each part that a `kind` chooses, by title."""
    found = {title: _rows(model) for title, model in (_kinds() | _sections()).items()}
    for part in _ROOMS:
        found |= {name: _parameters(part, made) for name, made in _choices(part).items()}
    return found


def keys_page() -> str:
    """The page, in Markdown."""
    known = chapters()

    def chapter(title: str, described: type) -> str:
        return f"### {title}\n\n{_first(described)}\n\n{_table(known[title]) if known[title] else ''}"

    parts = [_INTRODUCTION, "## Kinds\n"]
    studies = {name: parse(packaged_text(name), name).kind for name in packaged()}
    for title, kind in _kinds().items():
        parts.append(chapter(title, kind))
        examples = [name for name, of in studies.items() if of == title]
        if examples:
            names = ", ".join(f"`{name}`" for name in examples)
            parts.append(
                f"Packaged: {names}. As an example, `{examples[0]}`:\n\n```toml\n{packaged_text(examples[0])}```\n"
            )
    parts += ["## Sections\n", *(chapter(title, section) for title, section in _sections().items())]
    for part in _ROOMS:
        parts.append(f"## Kinds of {part.room}\n\nThe `kind` of a {part.__name__}, and its parameters.\n")
        parts += [chapter(name, made) for name, made in _choices(part).items()]
    return "\n".join(parts).rstrip() + "\n"


def _kinds() -> dict[str, type[Any]]:
    """The kinds of the package, without those that a person's own code has registered."""
    return {name: kind for name, kind in kinds().items() if kind.__module__.startswith(f"{__package__}.")}


def _sections() -> dict[str, type[BaseModel]]:
    """Every section that a kind has, or another section, by name."""
    found: dict[str, type[BaseModel]] = {}
    left: list[type[BaseModel]] = [*_kinds().values()]
    for model in left:
        for field in model.model_fields.values():
            for section in _sections_in(field.annotation):
                if section.__name__ not in found:
                    found[section.__name__] = section
                    left.append(section)
    return found


def _choices(part: type[Part]) -> dict[str, type]:
    """What a study file may choose by its `kind`, by name."""
    from . import _build

    module = importlib.import_module(f"sde_sgd.{part.room}")
    without = _build.OWN_CODE.get(part.room, ())
    return _build.kinds(module, getattr(module, _ROOMS[part]), without)


def _first(described: type) -> str:
    """The first paragraph of a docstring, on lines of its own."""
    return (inspect.getdoc(described) or "").split("\n\n")[0]


def _rows(model: type[BaseModel]) -> dict[str, Row]:
    said: dict[str, str] = {}
    for each in reversed(model.__mro__):
        said |= meanings(each) if issubclass(each, BaseModel) and each is not BaseModel else {}
    rows = {}
    for name, field in model.model_fields.items():
        swept = "list" if number_type(model, {}, (name,)) is not None else "each"
        if name in ("kind", "name", "description", "zip") or name in getattr(model, "alone", ()):
            swept = "no"
        kind = _in_words(field.annotation, field.metadata)
        rows[name] = Row(kind, _default(field), said.get(name, ""), "" if _sections_in(field.annotation) else swept)
    return rows


def _parameters(part: type[Part], made: type) -> dict[str, Row]:
    said, rows = meanings(made), {}
    given = {"landscape"} if part is RegionSpec else set()
    for name, parameter in inspect.signature(made).parameters.items():
        if name in given:
            continue
        default = "required" if parameter.default is parameter.empty else _written(parameter.default)
        is_number = number_type(part, {"kind": made.__name__}, (name,)) is not None
        kind = "number" if is_number else "number, list or word"
        rows[name] = Row(kind, default, said.get(name, ""), "list" if is_number else "each")
    return rows


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [found for part in typing.get_args(annotation) for found in _sections_in(part)]


def _in_words(annotation: Any, metadata: Any = ()) -> str:
    """A type, with the bounds that go with it, in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _in_words(arguments[0], [*arguments[1:], *metadata])
    if origin in (typing.Union, types.UnionType):
        members = [each for each in arguments if each is not type(None)]
        return " or ".join(_in_words(each, metadata) for each in members)
    if origin is typing.Literal:
        words = [f'`"{each}"`' for each in arguments]
        return f"one of {', '.join(words)}" if len(words) > 1 else words[0]
    if origin is list:
        return f"list of [{_in_words(arguments[0])}]"
    if origin is tuple:
        return ", ".join(map(_in_words, arguments))
    if origin is dict:
        return f"by name, a {_in_words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    words = {float: "number", int: "whole number", str: "text", bool: "true or false"}[annotation]
    return words + _bounds(metadata)


def _bounds(metadata: Any) -> str:
    flat = [part for each in metadata for part in (each.metadata if isinstance(each, FieldInfo) else [each])]
    found = []
    for each in flat:
        if type(each) in _BOUNDS:
            name, sign = _BOUNDS[type(each)]
            value = getattr(each, name)
            found.append(f"{sign}2³²" if value == 2**32 else f"{sign}{value:g}")
    return f" {', '.join(dict.fromkeys(found))}" if found else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "" if field.default is None or isinstance(field.default, BaseModel) else _written(field.default)


def _written(value: Any) -> str:
    if value is None or value in ([], {}, ""):
        return ""
    from ._toml import written

    return f"`{written({'x': value})[4:-1]}`" if not isinstance(value, tuple) else ""


def _table(rows: dict[str, Row]) -> str:
    lines = ["| key | type | default | meaning | swept |", "|---|---|---|---|---|"]
    for key, row in rows.items():
        cells = [f"`{key}`", row.type, row.default, row.meaning.replace("|", "&#124;"), row.swept]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(keys_page(), end="")
