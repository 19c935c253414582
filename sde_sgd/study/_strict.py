"""Sections whose numbers are numbers: no text and no truth value stands for one, and none for those."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import core_schema

from ._tables import plain

_SCALARS = ("int", "float", "bool", "str")


def _is_of(schema: Any, model: type[BaseModel]) -> bool:
    """Whether a part of the core schema of a model is its own, and not that of a model within."""
    return isinstance(schema, dict) and schema.get("cls", model) is model


def _strict(schema: Any, model: type[BaseModel]) -> Any:
    """The core schema of a model with strict scalars, those of its fields and of what is in their containers."""
    if isinstance(schema, list | tuple):
        return type(schema)(_strict(each, model) for each in schema)
    if not _is_of(schema, model):
        return schema
    made: Any = {key: _strict(part, model) for key, part in schema.items()}
    kind = made.get("type")
    if kind in _SCALARS:
        made["strict"] = True
    if kind in ("int", "float"):
        return core_schema.no_info_before_validator_function(_whole if kind == "int" else _number, made)
    return made


def _number(value: Any) -> Any:
    return plain(value) if hasattr(value, "tolist") else value


def _whole(value: Any) -> Any:
    value = _number(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


class StrictModel(BaseModel):
    """A model of strict scalars; containers stay as lax as pydantic has them, so that a tuple is a list.

    A whole float is a whole number, since TOML lets a person write 1e6; NumPy's numbers are numbers.
    """

    # as JSON it is what it was, for messages about what is made of it
    model_config = ConfigDict(ser_json_inf_nan="constants")

    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler):
        return _strict(handler(source), cls)
