"""The line of progress: seen in a terminal and in a notebook, absent from scripts, one for calls within calls."""

import io
import subprocess
import sys
import threading
import types

import pytest

from sde_sgd import _progress
from sde_sgd._progress import advance, shown, stage


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal as standard error, and calls that take long from the beginning."""
    screen = Terminal()
    # `sys.stderr` itself is pytest's again when the test begins
    monkeypatch.setattr(_progress, "sys", types.SimpleNamespace(stderr=screen, modules=sys.modules))
    monkeypatch.setattr(_progress, "_PATIENCE", 0.0)
    return screen


def test_a_terminal_sees_title_stage_and_steps_and_is_clean_in_the_end(terminal):
    with shown(None, "escape"):
        stage("pilot")
        advance(2_500_000)
        stage("repetitions")
    text = terminal.getvalue()
    assert "escape: pilot" in text and "2.50M path-steps" in text and "escape: repetitions" in text
    # the last thing written is blanks over the line
    assert text.rstrip("\r").rsplit("\r", 1)[-1].strip() == ""


def test_a_short_call_and_one_whose_output_is_kept_show_nothing(monkeypatch):
    for screen, patience in ((Terminal(), 60.0), (io.StringIO(), 0.0)):
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setattr(_progress, "_PATIENCE", patience)
        with shown(None, "escape"):
            stage("pilot")
            advance(10)
        assert screen.getvalue() == ""


def test_what_was_asked_for_holds(terminal):
    with shown(False, "escape"):
        stage("pilot")
        advance(10)
    assert terminal.getvalue() == ""
    kept = _progress.sys.stderr = io.StringIO()
    with shown(True, "escape"):
        advance(10)
    assert "escape" in kept.getvalue()


def test_calls_within_a_call_share_its_line(terminal):
    with shown(None, "transitions"):
        with shown(True, "first_passage"):
            stage("0 to 1")
            advance(10)
        with shown(False, "first_passage"):
            stage("1 to 0")
    text = terminal.getvalue()
    assert "transitions: 0 to 1" in text and "transitions: 1 to 0" in text and "first_passage" not in text


def test_calls_within_a_silent_call_are_silent(terminal):
    with shown(False, "transitions"), shown(None, "first_passage"):
        stage("0 to 1")
        advance(10)
    assert terminal.getvalue() == ""
    with shown(None, "histogram"):
        advance(10)
    assert "histogram" in terminal.getvalue()


def test_the_line_goes_when_the_call_fails(terminal):
    with pytest.raises(RuntimeError, match="broken"), shown(None, "escape"):
        advance(10)
        raise RuntimeError("broken")
    assert _progress._current is None and not getattr(_progress._thread, "inside", False)
    before = terminal.getvalue()
    stage("nobody's")
    advance(10)
    assert terminal.getvalue() == before


def test_steps_of_all_threads_are_counted_once_and_stages_are_the_owners(terminal):
    def work():
        for _ in range(1_000):
            advance(1_000)
        stage("a worker's")

    with shown(None, "simulate"):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stage("sums")
        bar = _progress._current._bar
        assert bar.n == 8 * 1_000 * 1_000
    text = terminal.getvalue()
    assert "simulate: sums" in text and "a worker's" not in text


def test_two_threads_have_one_line(terminal):
    first_shows, second_done = threading.Event(), threading.Event()

    def second():
        first_shows.wait(10)
        with shown(True, "second"):
            stage("of the second")
            advance(10)
        second_done.set()

    thread = threading.Thread(target=second)
    thread.start()
    with shown(True, "first"):
        advance(10)
        first_shows.set()
        assert second_done.wait(10)
        # the second's end is not the first's
        advance(10)
        assert _progress._current is not None
    thread.join()
    assert "first" in terminal.getvalue() and "second" not in terminal.getvalue()


def test_elapsed_time_counts_from_the_beginning_of_the_call(terminal, monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(_progress, "_PATIENCE", 1.0)
    with shown(None, "escape"):
        advance(50)
        assert terminal.getvalue() == ""
        now[0] += 100.0
        advance(50)
    assert "01:40" in terminal.getvalue() and "100 path-steps" in terminal.getvalue()


class ZMQInteractiveShell:
    """Jupyter's shell by name."""


class Hosted(ZMQInteractiveShell):
    pass


class TerminalInteractiveShell:
    pass


@pytest.mark.parametrize(
    ("shell", "watched"),
    [(ZMQInteractiveShell(), True), (Hosted(), True), (TerminalInteractiveShell(), False), (None, False)],
)
def test_a_notebook_is_watched(shell, watched, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert _progress.is_watched() is watched


@pytest.mark.parametrize("stream", [None, "closed"])
def test_without_standard_error_nothing_is_shown(stream, monkeypatch):
    closed = Terminal()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if stream else None)
    with shown(None, "escape"):
        advance(10)


def test_a_script_whose_output_is_kept_shows_nothing():
    code = (
        "from sde_sgd import _progress; _progress._PATIENCE = 0.0\n"
        "with _progress.shown(None, 'escape'): _progress.advance(10)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == done.stdout == ""
