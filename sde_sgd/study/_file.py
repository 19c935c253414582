"""Reading a study file: by name or path, and one clear sentence where it says something that it may not say."""

import importlib.resources
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from .._errors import choose
from ._errors import StudyError
from ._kind import AbstractStudy, kinds
from ._tables import path_of, plain, replaced


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


def read_source(source: str | Path | AbstractStudy) -> tuple[str, str, Path]:
    """Text, name and folder of a study given by the name of a packaged one, by the path of its file, or as an object.

    Raises StudyError if it is neither; the message has the nearest packaged name.
    """
    if isinstance(source, AbstractStudy):
        return source.text(), source.name, Path.cwd()
    if not isinstance(source, str | Path):
        raise StudyError(f"source must be the name of a study, a path or a study, got {source!r}")
    path = Path(source)
    names = packaged()
    # a packaged study is called by its name from any folder, also from one where it has run before
    if str(source) in names:
        return packaged_text(str(source)), str(source), Path.cwd()
    if path.is_file():
        try:
            return path.read_text("utf-8"), path.stem, path.resolve().parent
        except (UnicodeDecodeError, OSError) as error:
            raise StudyError(f"{path} cannot be read as text: {error}") from None
    if path.is_dir():
        raise StudyError(f"{path} is a folder, not a study file; to continue a study use: sde-sgd resume {path}")
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
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"study file {name} is not TOML: {error}") from None
    try:
        table = replaced(table, {path_of(key): plain(value) for key, value in (changes or {}).items()})
    except ValueError as error:
        raise StudyError(f"study file {name}: {error}") from None
    return parsed(table, name)


def parsed(table: Mapping[str, Any], name: str) -> AbstractStudy:
    """As `parse`, of a text that is a table already."""
    known = kinds()
    if "kind" not in table:
        raise StudyError(f"study file {name} has no kind; allowed: {', '.join(sorted(known))}")
    if table["kind"] not in known:
        raise StudyError(f"study file {name}: {choose('kind', table['kind'], known)}")
    kind = known[table["kind"]]
    try:
        return kind.model_validate({"name": name, **table})
    except ValidationError as error:
        raise StudyError(f"study file {name}: {_sentence(error, kind)}") from None


def read_changes(settings: Iterable[str]) -> dict[str, Any]:
    """What `parse` takes as `changes`, from settings as a shell gives them, such as "sweep.learning_rate=[0.1, 0.2]".

    settings: each a dotted key, "=", and a value as a study file has it; what is no such value is text.
    Raises StudyError for one without a key and "=".
    """
    changes: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals or not all(key.split(".")):
            raise StudyError(
                f"a setting must read key=value, such as horizon=2.0 or sweep.batch_size=[4, 8], got {setting}"
            )
        try:
            changes[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            changes[key] = value
    return changes


def _sentence(error: ValidationError, model: type[BaseModel]) -> str:
    errors = error.errors(include_url=False)
    # an unknown key often explains a missing one, so it is told first
    first = min(errors, key=lambda item: item["type"] != "extra_forbidden")
    location = [part for part in first["loc"] if not (isinstance(part, str) and "[" in part)]
    key = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        section = ".".join(str(part) for part in location[:-1])
        where = f" in {section}" if section else ""
        return choose(f"key{where}", location[-1], _fields(model, location[:-1]))
    if first["type"] == "missing":
        return f"key {key} is missing"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_pattern_mismatch":
        message = "must be of letters, digits, '_', '-' and '.', and start with a letter or digit"
    message = message.replace("Input should be", "must be")
    if not key or (first["type"] == "value_error" and isinstance(first["input"], dict)):
        return message
    given = repr(first["input"])
    given = given if len(given) < 120 else given[:117] + "..."
    return f"{key}: {message}" + ("" if "got" in message else f", got {given}")


def _fields(model: type[BaseModel], location: list[Any]) -> list[str]:
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields[part].annotation
        model = next(item for item in _flatten(field) if isinstance(item, type) and issubclass(item, BaseModel))
    return list(model.model_fields)


def _flatten(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", None)
    return [annotation] if not arguments else [item for part in arguments for item in _flatten(part)]
