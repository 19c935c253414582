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

# a call that is done sooner, in seconds, shows nothing
_PATIENCE = 1.0


class _Line:
    """One line, drawn by tqdm once the call has taken a second; told of from any thread."""

    def __init__(self, title: str):
        self._title, self._stage, self._began, self._bar = title, "", time.monotonic(), None
        self._lock = threading.Lock()
        self._done = 0
        self._owner = threading.get_ident()

    def stage(self, text: str) -> None:
        # another thread's call is none of this one's stages
        if threading.get_ident() == self._owner:
            with self._lock:
                self._stage = text
                self._show(new_text=True)

    def advance(self, path_steps: int) -> None:
        with self._lock:
            self._done += path_steps
            self._show()

    def close(self) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.close()

    def _show(self, new_text: bool = False) -> None:
        elapsed = time.monotonic() - self._began
        if self._bar is None and elapsed < _PATIENCE:
            return
        if self._bar is None:
            self._bar, new_text = _bar(elapsed), True
        # draws now and then; a new text is drawn at once
        self._bar.update(self._done - self._bar.n)
        if new_text:
            self._bar.set_description_str(f"{self._title}: {self._stage}" if self._stage else self._title)


def _bar(elapsed: float) -> Any:
    """A bar of a call that began `elapsed` seconds ago, not drawn yet."""
    from tqdm.auto import tqdm

    style = "{desc}  {n_fmt} path-steps, {rate_fmt}, {elapsed}"
    bar = tqdm(bar_format=style, unit="", unit_scale=True, leave=False, file=sys.stderr, delay=1e-9)
    bar.start_t -= elapsed
    return bar


_current: _Line | None = None
_change = threading.Lock()
_thread = threading.local()


@contextlib.contextmanager
def shown(progress: bool | None, title: str) -> Iterator[None]:
    """Show a line while the block runs, unless a call further out already does, or was asked not to.

    progress: True or False; None for a line in a terminal and in a notebook, and none where the output is kept. What
        the outermost call of a thread is told holds for all within it; of two threads the first one shows its line.
        ValueError for anything else.
    """
    global _current
    if not isinstance(progress, bool | None):
        raise ValueError(f"progress must be True, False, or None for where somebody watches, got {progress!r}")
    if getattr(_thread, "inside", False):
        yield
        return
    wanted = is_watched() if progress is None else progress
    with _change:
        mine = _Line(title) if wanted and _current is None else None
        _current = mine or _current
    _thread.inside = True
    try:
        yield
    finally:
        _thread.inside = False
        if mine is not None:
            with _change:
                _current = None
            mine.close()


def stage(text: str) -> None:
    """Say what is being done now."""
    line = _current
    if line is not None:
        line.stage(text)


def advance(path_steps: int) -> None:
    """Count path-steps that were taken."""
    line = _current
    if line is not None:
        line.advance(path_steps)


def is_watched() -> bool:
    """Whether somebody sees standard error: a terminal, or a notebook."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    # Jupyter's shell, or one that a host made of it
    in_notebook = any(kind.__name__ == "ZMQInteractiveShell" for kind in type(get_shell()).__mro__)
    return in_notebook or bool(sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty())
