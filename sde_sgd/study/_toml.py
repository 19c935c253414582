"""A study's table as text, in TOML; Python's own library only reads it."""

import json
import math
import re
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def written(table: dict[str, Any]) -> str:
    """A table of strings, numbers, lists and tables as TOML that `tomllib` reads back as it is.

    Tables at the top have a section each, and lists of tables one for each entry; what is deeper stands in one line.
    """
    lines, sections = [], []
    for key, value in table.items():
        if isinstance(value, dict):
            sections.append(f"\n[{_key(key)}]\n{_lines(value)}")
        elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            sections += [f"\n[[{_key(key)}]]\n{_lines(each)}" for each in value]
        else:
            lines.append(f"{_key(key)} = {_value(value)}\n")
    return "".join([*lines, *sections])


def _lines(table: dict[str, Any]) -> str:
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items())


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        # a string of JSON is one of TOML, but for the character that JSON leaves as it is
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return f"{{{', '.join(f'{_key(key)} = {_value(part)}' for key, part in value.items())}}}"
