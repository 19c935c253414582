"""What the types of a study say of one of its keys: whether it takes a number, its units and words."""

import importlib
import inspect
import re
import types
import typing
from typing import Any

from pydantic import BaseModel

from ._sections import Part, Quantity
from ._tables import Path, Table, dotted, read


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
