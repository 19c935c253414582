"""What a study raises for a person's input or a folder that cannot be written, and the command that goes on with it."""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path


class StudyError(ValueError):
    """A study file, an output folder or a name that cannot be used; the message is one sentence."""


class WriteError(StudyError):
    """A folder that cannot be written, of which a full disk is one: no unit's fault, and no use to go on."""


def path_given(what: str, given: str | Path) -> Path:
    """A person's path. what: it is of, in words. Raises StudyError for "", which would be the working folder.

    A shell gives that for a variable that is not set.
    """
    if given == "":
        raise StudyError(f"{what} must be a path, got ''")
    return Path(given)


def to_resume(folder: str | Path) -> str:
    """The command that goes on with the study in a folder, as a shell takes it."""
    return f"sde-sgd resume {shlex.quote(str(folder))}"


@contextlib.contextmanager
def before_any_cell() -> Iterator[None]:
    """While the block runs, what a call of the library refuses is a StudyError: it is asked before any cell is run."""
    try:
        yield
    except StudyError:
        raise
    except ValueError as error:
        raise StudyError(" ".join(str(error).split())) from None
