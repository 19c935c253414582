"""What decides a study's numbers, as one digest; and which key or file it is that two studies differ in."""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._own_code import digests

if TYPE_CHECKING:
    from ._kind import AbstractStudy

# keys of a study file that are for people, or that are compared with its numbers
_WORDS = {"name", "description", "published"}


def fingerprint(study: "AbstractStudy", code: str = "") -> str:
    """Hexadecimal digest of everything that decides a study's numbers.

    Of the keys of the study file all but `name`, `description` and `published`; of a person's own `code`, as
    `AbstractStudy.code` returns it, what `digests` sees.
    """
    content = json.dumps([_content(study), digests(code)], sort_keys=True)
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


def _of_key(key: str, before: Any, after: Any) -> str:
    """The innermost key in which two values differ, with both."""
    while isinstance(before, dict) and isinstance(after, dict):
        name = next(name for name in [*before, *after] if before.get(name) != after.get(name))
        key, before, after = f"{key}.{name}", before.get(name), after.get(name)
    return f"key {key} was {_shown(before)} and is {_shown(after)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if value is not None else "left out"
    return text if len(text) <= 60 else f"{text[:57]}..."
