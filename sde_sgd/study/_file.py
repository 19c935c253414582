"""Reading a study file: by name or path, and one clear sentence where it says something that it may not say."""

import importlib.resources
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .._errors import choose
from ._errors import StudyError, path_given, to_resume
from ._kind import AbstractStudy, kinds, name_of
from ._tables import Path, Table, dotted, path_of, plain, read, replaced

# whole numbers of TOML are of 64 bits
_MOST = 2**63
_TOO_DEEP = "lists or tables within each other this deep: Python reads no more than some hundred"
_OR_OWN = ", or 'module:Class' for one of your own in a module beside the study file"
# what pydantic calls otherwise than a person who writes a file
_TABLE = "must be a table of keys"
_MESSAGES = {
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "dict_type": _TABLE,
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "string_pattern_mismatch": "must be of letters, digits, '_', '-' and '.', and start with a letter or digit",
}


def packaged() -> dict[str, str]:
    """Name and one-line description of every study that is shipped with the package."""
    folder = importlib.resources.files("sde_sgd.study") / "packaged"
    entries = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    texts = {name.removesuffix(".toml"): (folder / name).read_text("utf-8") for name in entries}
    return {name: tomllib.loads(text).get("description", "") for name, text in texts.items()}


def packaged_text(name: str) -> str:
    """The file of the packaged study `name`. Raises StudyError, with the nearest name, if there is none."""
    if name not in packaged():
        raise StudyError(choose("study", name, packaged()))
    return (importlib.resources.files("sde_sgd.study") / "packaged" / f"{name}.toml").read_text("utf-8")


def read_source(source: str | FilePath | AbstractStudy) -> tuple[str, str, FilePath]:
    """Text, name and folder of a study given by the name of a packaged one, by the path of its file, or as an object.

    The module of a kind of a person's own, "module:Class", is imported from beside the file.
    Raises StudyError if it is neither; the message has the nearest packaged name.
    """
    if isinstance(source, AbstractStudy):
        return source.text(), source.name, FilePath.cwd()
    if not isinstance(source, str | FilePath):
        raise StudyError(f"source must be the name of a study, a path or a study, got {source!r}")
    path = path_given("the study", source)
    names = packaged()
    # a packaged study is called by its name from any folder, also from one where it has run before
    if str(source) in names:
        return packaged_text(str(source)), str(source), FilePath.cwd()
    if path.is_file():
        try:
            # editors of Windows begin a file with a mark that is no part of its text
            text = path.read_text("utf-8-sig")
        except (UnicodeDecodeError, OSError) as error:
            raise StudyError(f"{path} cannot be read as text: {error}") from None
        _import_kind(text, path)
        return text, path.stem, path.resolve().parent
    if path.is_dir():
        raise StudyError(f"{path} is a folder, not a study file; to continue a study use: {to_resume(path)}")
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise StudyError(f"there is no study file {path}")
    raise StudyError(choose("study", source, names) + ", or the path of a study file")


def parse(text: str, name: str, changes: Mapping[str, Any] | None = None) -> AbstractStudy:
    """The study that a TOML text describes, of a kind that is registered.

    name: what the study is called if the text does not say, and how messages call the file.
    changes: other values, by dotted key, such as {"sweep.learning_rate": [0.1, 0.2], "start.0.point": [-1.0]}; the
        `text()` of the study has them.
    Raises StudyError with one sentence that names the key, the value given and what is allowed.
    """
    if not isinstance(text, str):
        raise StudyError(f"text must be that of a study file, got {text!r}")
    if changes is not None and not isinstance(changes, Mapping):
        raise StudyError(f"changes must be values by dotted key, such as {{'horizon': 2.0}}, got {changes!r}")
    try:
        return parsed(_table(text, name, changes or {}), name)
    except RecursionError:
        raise StudyError(f"study file {name} must not have {_TOO_DEEP}") from None


def parsed(table: Table, name: str) -> AbstractStudy:
    """As `parse`, of a text that is a table already."""
    kind = _kind(table, name)
    try:
        return kind.model_validate({"name": name} | table | {"kind": name_of(kind)})
    except ValidationError as error:
        raise StudyError(f"study file {name}: {_sentence(error, kind, table)}") from None


def _table(text: str, name: str, changes: Mapping[str, Any]) -> Table:
    """The table of a study file, with the changes. Raises StudyError as `parse` does."""
    try:
        table = tomllib.loads(text)
    # of a whole number of many digits Python says another one than TOMLDecodeError
    except ValueError as error:
        raise StudyError(f"study file {name} is not TOML: {error}") from None
    try:
        table = replaced(table, {path_of(key): plain(value) for key, value in changes.items()})
        _check_whole_numbers(table, ())
    except ValueError as error:
        raise StudyError(f"study file {name}: {error}") from None
    return table


def _check_whole_numbers(value: Any, path: Path) -> None:
    """Raise ValueError for a whole number that no float and no array can hold, though Python can."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        _check_whole_numbers(part, (*path, key))
    if isinstance(value, int) and not -_MOST <= value < _MOST:
        raise ValueError(
            f"{dotted(path)} must be a whole number of 64 bits, from -2^63 to 2^63 - 1, got {_shown(value)}"
        )


def _kind(table: Table, name: str) -> type[AbstractStudy]:
    """The kind that the table of a study file names. Raises StudyError as `parse` does."""
    known = kinds()
    if "kind" not in table:
        raise StudyError(f"study file {name} has no kind; allowed: {', '.join(sorted(known))}")
    kind = table["kind"]
    if not isinstance(kind, str):
        raise StudyError(f"study file {name}: kind must be one name, got {_shown(kind)}; allowed: {', '.join(known)}")
    if ":" in kind:
        return _own_kind(kind, name)
    if kind not in known:
        raise StudyError(f"study file {name}: {choose('kind', kind, known)}{_OR_OWN}")
    return known[kind]


def _own_kind(path: str, name: str) -> type[AbstractStudy]:
    """The kind "module:Class" of a person's own, of those that are registered. Raises StudyError as `parse` does."""
    module, _, of = path.partition(":")
    found = [kind for kind in kinds().values() if (kind.__module__, kind.__qualname__) == (module, of)]
    if not found:
        raise StudyError(
            f"study file {name}: kind '{path}' must be a class that `sde_sgd.study.register` was given, in a module "
            "that is imported or lies beside the study file"
        )
    return found[0]


def _import_kind(text: str, path: FilePath) -> None:
    """Import the module of a kind "module:Class", as that of a function is, so that the kind is registered.

    text: of the study file at `path`. Raises StudyError where the module or the class is not there.
    """
    try:
        kind = tomllib.loads(text).get("kind")
    # which `parse` tells
    except (ValueError, RecursionError):
        return
    if isinstance(kind, str) and ":" in kind:
        from ._build import import_named

        import_named(f"study file {path.stem}: kind", kind, path.resolve().parent)


def read_changes(settings: Iterable[str]) -> dict[str, Any]:
    """What `parse` takes as `changes`, from settings as a shell gives them, such as "sweep.learning_rate=[0.1, 0.2]".

    settings: each a dotted key, "=", and a value as a study file has it; what is no such value is text.
    Raises StudyError for one without a key and "=", and for one that would undo another.
    """
    changes: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals or not all(key.split(".")):
            raise StudyError(
                f"a setting must read key=value, such as horizon=2.0 or sweep.batch_size=[4, 8], got '{setting}'"
            )
        if undone := [other for other in changes if _is_within(other, key)]:
            raise StudyError(f"key {undone[0]} must be set once, got it again with {setting}")
        try:
            changes[key] = tomllib.loads(f"value = {value}")["value"]
        except ValueError:
            changes[key] = value
        except RecursionError:
            raise StudyError(f"setting {key} must not have {_TOO_DEEP}") from None
    return changes


def _is_within(key: str, other: str) -> bool:
    """Whether a dotted key is another one, or below it."""
    return path_of(key)[: len(path_of(other))] == path_of(other)


def _sentence(error: ValidationError, model: type[BaseModel], table: Table) -> str:
    """What is wrong with the table of a study file, in one sentence that names the key."""
    # an unknown key often explains a missing one, so it is told first
    errors = sorted(error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden")
    found = [(_located(table, each), each) for each in errors]
    # of several types that are allowed, how the one fails that goes farthest tells most
    location, first = max(
        ((place, each) for place, each in found if place[: len(found[0][0])] == found[0][0]),
        key=lambda pair: len(pair[0]),
    )
    key = dotted(location)
    if first["type"] == "extra_forbidden":
        section = dotted(location[:-1])
        where = f" in {section}" if section else ""
        return choose(f"key{where}", location[-1], _fields(model, location[:-1]))
    if first["type"] == "missing":
        return f"key {key} is missing"
    here = [each for place, each in found if place == location]
    # of a value that one of the types takes, that is what is to be told
    here = [each for each in here if not each["type"].endswith("_type")] or here
    message = " or ".join(dict.fromkeys(map(_message, here))).replace(" or must be", " or")
    if first["type"] == "string_pattern_mismatch" and key == "name" and "name" not in table:
        return f"the file's name cannot be that of the study, which {message}; give it a key name"
    if not key or (first["type"] == "value_error" and isinstance(first["input"], dict)):
        return message
    return f"{key}: {message}" + ("" if "got" in message else f", got {_shown(first['input'])}")


def _located(table: Table, error: ErrorDetails) -> Path:
    """Where an error is in the table of a study file: pydantic also names the type, of several, that it tried."""
    place: Any = table
    found: list[str | int] = []
    for part in error["loc"]:
        is_lacking = error["type"] in ("missing", "extra_forbidden") and part == error["loc"][-1]
        if isinstance(part, int) or not found or is_lacking or (isinstance(place, dict) and part in place):
            found.append(part)
            place = read(table, tuple(found))
    return tuple(found)


def _message(error: ErrorDetails) -> str:
    """What pydantic says, in words of a study file: "must be a list" and the like."""
    context = error.get("ctx", {})
    if error["type"] in ("too_short", "too_long"):
        end, number = ("least", "min_length") if error["type"] == "too_short" else ("most", "max_length")
        return f"must have at {end} {context[number]} value{'s' * (context[number] != 1)}"
    if error["type"] == "string_pattern_mismatch" and ":" in context["pattern"]:
        return "must read 'module:name'"
    if error["type"] in _MESSAGES:
        return _MESSAGES[error["type"]]
    return error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")


def _shown(value: Any) -> str:
    """A value for a message, cut short where it is long."""
    try:
        text = repr(value)
    # of a whole number of thousands of digits
    except ValueError:
        return "a longer one"
    return text if len(text) < 120 else text[:117] + "..."


def _fields(model: type[BaseModel], location: Path) -> list[str]:
    for part in location:
        # numbers of entries, and names of tables by name, lead to the same section
        if part not in model.model_fields:
            continue
        field = model.model_fields[str(part)].annotation
        model = next(item for item in _flatten(field) if isinstance(item, type) and issubclass(item, BaseModel))
    return list(model.model_fields)


def _flatten(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", None)
    return [annotation] if not arguments else [item for part in arguments for item in _flatten(part)]
