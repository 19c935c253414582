"""What a study raises for a person's input, and where its folder cannot be written."""

import contextlib
from collections.abc import Iterator


class StudyError(ValueError):
    """A study file, an output folder or a name that cannot be used; the message is one sentence."""


class WriteError(StudyError):
    """A folder that cannot be written, of which a full disk is one: no unit's fault, and no use to go on."""


@contextlib.contextmanager
def before_any_cell() -> Iterator[None]:
    """While the block runs, what a call of the library refuses is a StudyError: it is asked before any cell is run."""
    try:
        yield
    except StudyError:
        raise
    except ValueError as error:
        raise StudyError(" ".join(str(error).split())) from None
