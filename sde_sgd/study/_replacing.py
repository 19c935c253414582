"""Files for a person: written beside their names, and given these when all of them are whole."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(*targets: Path) -> Iterator[list[Path]]:
    """Names to write to in place of `targets`, which take their places together where the block ends without an error.

    What was there before is there still after an error, a full disk say, and nothing beside it. What is no file, such
    as a pipe, is written to itself.
    """
    # a link stays one, to a new file
    places = [target.resolve() if target.is_symlink() else target for target in targets]
    parts = [place if _is_no_file(place) else place.with_name(f".{place.name}.{os.getpid()}.part") for place in places]
    try:
        yield parts
        for part, place in zip(parts, places, strict=True):
            if part != place:
                os.replace(part, place)
    finally:
        for part, place in zip(parts, places, strict=True):
            if part != place:
                part.unlink(missing_ok=True)


def _is_no_file(path: Path) -> bool:
    return path.exists() and not path.is_file()
