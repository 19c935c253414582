"""A line of progress for calls that take long: what is being done, for how long, and at how many path-steps a second.

The outermost call owns the line; calls within it say what they are at by `stage`, and the engine counts by `advance`
between its compiled blocks.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

# a call that is done sooner shows nothing
_PATIENCE = 1.0


class _Line:
    """One line, drawn by tqdm once the call has taken a second."""

    def __init__(self, title: str):
        self._title, self._stage, self._began, self._bar = title, "", time.monotonic(), None
        self._lock = threading.Lock()
        self._done = 0

    def stage(self, text: str) -> None:
        with self._lock:
            self._stage = text
            if self._bar is not None:
                self._bar.set_description_str(self._text())

    def advance(self, path_steps: int) -> None:
        with self._lock:
            self._done += path_steps
            if self._bar is None and time.monotonic() - self._began > _PATIENCE:
                self._bar = self._draw()
            if self._bar is not None:
                self._bar.update(self._done - self._bar.n)

    def close(self) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.close()

    def _text(self) -> str:
        return f"{self._title}: {self._stage}" if self._stage else self._title

    def _draw(self) -> Any:
        from tqdm.auto import tqdm

        style = "{desc}  {n_fmt} path-steps, {rate_fmt}, {elapsed}"
        return tqdm(desc=self._text(), bar_format=style, unit="", unit_scale=True, leave=False, file=sys.stderr)


_current: _Line | None = None
_owner = threading.Lock()


@contextlib.contextmanager
def shown(progress: bool | None, title: str) -> Iterator[None]:
    """Show a line while the block runs, unless a call further out already does.

    progress: True or False; None for a line in a terminal and in a notebook, and none where the output is kept.
    """
    global _current
    wanted = _is_watched() if progress is None else progress
    with _owner:
        mine = _Line(title) if wanted and _current is None else None
        _current = mine or _current
    try:
        yield
    finally:
        if mine is not None:
            mine.close()
            _current = None


def stage(text: str) -> None:
    """Say what is being done now."""
    if _current is not None:
        _current.stage(text)


def advance(path_steps: int) -> None:
    """Count path-steps that were taken."""
    if _current is not None:
        _current.advance(path_steps)


def _is_watched() -> bool:
    """Whether somebody sees standard error: a terminal, or a notebook."""
    shell = sys.modules.get("IPython")
    in_notebook = shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"
    return in_notebook or bool(sys.stderr is not None and sys.stderr.isatty())
