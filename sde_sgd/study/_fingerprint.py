"""What decides a study's numbers, as one digest; and which key or file it is that two studies differ in.

A later version that knows one more key goes on in the folders of an earlier one: a key does not enter the digest where
its value is the first default that it ever had, at which all is as it was before there was the key. First defaults
stand by section in `first_defaults.json`: a new key is added there, and no entry is changed when a default changes. A
file that leaves the key out then means another value, which enters, and one that gives the former value is the study
that it was. What does not stand there always enters, such as the name of a kind and all keys of a person's own
sections; so does a sweep, also one over the first default, since it makes a dimension.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ._own_code import digests

if TYPE_CHECKING:
    from ._kind import AbstractStudy

# keys of a study file that are for people, or that are compared with its numbers
_WORDS = {"name", "description", "published"}
_OURS = __name__.partition(".")[0]


def fingerprint(study: "AbstractStudy", code: str = "") -> str:
    """Hexadecimal digest of everything that decides a study's numbers.

    Of the keys of the study file all but `name`, `description` and `published`, and those at their first default; of a
    person's own `code`, as `AbstractStudy.code` returns it, what `digests` sees.
    """
    content = json.dumps([_told(study, _content(study)), digests(code)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def difference(
    one: "AbstractStudy", other: "AbstractStudy", files: Mapping[str, str], other_files: Mapping[str, str]
) -> str:
    """In words, the first thing in which two studies differ; "" where nothing does that decides numbers.

    one, files: the study that a folder holds, and the digests of its person's modules by file. other, other_files: the
    study that is to go on in it.
    """
    before, after = _content(one), _content(other)
    for key in [*before, *(key for key in after if key not in before)]:
        if before.get(key) != after.get(key):
            return _of_key(key, before.get(key), after.get(key))
    for file in sorted({*files, *other_files}):
        if file not in other_files:
            return f"its module {file} is not there"
        if files.get(file) != other_files[file]:
            return f"its module {file} has changed" if file in files else f"the module {file} is new"
    return ""


def _content(study: "AbstractStudy") -> dict[str, Any]:
    return study.model_dump(mode="json", exclude=_WORDS)


def _told(value: Any, content: Any) -> Any:
    """The content of a value without the keys of sections that are at their first default.

    Where the study sweeps, the content is all values in the place of the first one.
    """
    if isinstance(content, dict) and set(content) == {"each"}:
        return content
    if isinstance(value, BaseModel):
        told = {key: _told(getattr(value, key), part) for key, part in content.items()}
        return {key: part for key, part in told.items() if json.dumps(part) != first_default(type(value), key)}
    if isinstance(value, dict):
        return {key: _told(value[key], part) for key, part in content.items()}
    if isinstance(value, list):
        return [_told(each, part) for each, part in zip(value, content, strict=True)]
    return content


def first_default(section: type[BaseModel], key: str) -> str | None:
    """As JSON, what a key of a section was when it was new and a file left it out; None where it always enters."""
    ours = (each.__name__ for each in section.__mro__ if each.__module__.partition(".")[0] == _OURS)
    return next((_first_defaults()[name][key] for name in ours if key in _first_defaults().get(name, {})), None)


@functools.cache
def _first_defaults() -> dict[str, dict[str, str]]:
    sections = json.loads(Path(__file__).with_name("first_defaults.json").read_text("utf-8"))
    return {name: {key: json.dumps(value) for key, value in keys.items()} for name, keys in sections.items()}


def _of_key(key: str, before: Any, after: Any) -> str:
    """The innermost key in which two values differ, with both."""
    while True:
        if _are_tables(before) and _are_tables(after) and len(before) == len(after):
            before, after = (dict(enumerate(each)) for each in (before, after))
        if not isinstance(before, dict) or not isinstance(after, dict):
            break
        name = next(name for name in [*before, *after] if before.get(name) != after.get(name))
        key, before, after = f"{key}.{name}", before.get(name), after.get(name)
    return f"key {key} was {_shown(before)} and is {_shown(after)}"


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if value is not None else "left out"
    return text if len(text) <= 60 else f"{text[:57]}..."
