"""Studies of the reproduction in several processes: who runs which, and what is one study's alone."""

import concurrent.futures

import pytest
import xarray as xr
from typer.testing import CliRunner

import sde_sgd as ss
from sde_sgd import cli, reproduction
from sde_sgd.reproduction import Size, _backwards


class Recorded:
    """An executor that computes a call when its future is asked for one more: `run_next`."""

    def __init__(self, count):
        self.count, self.calls = count, []

    def submit(self, function, *arguments):
        self.calls.append((concurrent.futures.Future(), arguments))
        return self.calls[-1][0]

    def run_next(self):
        """Begin the first call that nobody has cancelled; its arguments, or None where there is none."""
        while self.calls:
            future, arguments = self.calls.pop(0)
            if future.set_running_or_notify_cancel():
                return arguments
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def others(monkeypatch):
    made = []
    monkeypatch.setattr(_backwards, "Processes", lambda count: made.append(Recorded(count)) or made[-1])
    return made


def test_others_begin_at_the_last_study_and_leave_what_is_run_here(others, tmp_path):
    with _backwards.run_backwards(["a", "b", "c", "d"], tmp_path, Size.QUICK, 2) as take:
        (executor,) = others
        assert executor.count == 2
        take("a")
        assert executor.run_next() == ("d", str(tmp_path), "quick")
        take("b")
        take("other")
        assert executor.run_next() == ("c", str(tmp_path), "quick")
        # "c" is shared with who is at it
        take("c")
        assert executor.run_next() is None


def test_none_without_others(others, tmp_path):
    with _backwards.run_backwards(["a"], tmp_path, Size.QUICK, 0) as take:
        take("a")
    assert not others


@pytest.mark.parametrize("executor", [0, -1, True])
def test_a_number_of_processes_is_at_least_one(executor, tmp_path):
    with pytest.raises(ValueError, match=f"processes must be a whole number of at least 1, got {executor!r}"):
        reproduction.reproduce(tmp_path / "out", executor=executor)
    assert not (tmp_path / "out").exists()


def test_in_the_shell_a_process_a_core_but_no_more_than_four(monkeypatch):
    asked = []
    monkeypatch.setattr(reproduction, "reproduce", lambda out, **asking: asked.append(asking["executor"]) or _Found())
    for cores in (1, 2, 64):
        monkeypatch.setattr(_backwards, "workers", lambda mesh, cores=cores: cores)
        assert CliRunner().invoke(cli.app, ["reproduce", "--quick"]).exit_code == 0
    assert CliRunner().invoke(cli.app, ["reproduce", "--quick", "--processes", "3"]).exit_code == 0
    assert asked == [1, 2, 4, 3]


class _Found:
    report = "report.html"


def test_what_another_process_does(tmp_path):
    """All cells of a study, of the size that is asked for, and no table: that is made by the run that judges."""
    _backwards._compute("momentum_alone", str(tmp_path), "quick")
    there = ss.study.status(tmp_path / "momentum_alone")
    assert there.finished == there.cells == 2 and not (tmp_path / "momentum_alone" / "report.txt").exists()


@pytest.mark.long
def test_numbers_are_those_of_one_process(tmp_path):
    """Claim 5's two studies in two processes; bit by bit what one process finds, and its verdict."""
    found = [
        reproduction.reproduce(tmp_path / str(processes), size="quick", only=[5], executor=processes, progress=False)
        for processes in (1, 2)
    ]
    assert str(found[0]) == str(found[1])
    for name in found[0].claims[0].claim.studies:
        alone, together = (xr.open_zarr(each.folder / name / "dataset.zarr").load() for each in found)
        xr.testing.assert_identical(alone.drop_vars(_clock(alone)), together.drop_vars(_clock(together)))
    assert ss.study.status(found[1].folder / "faster").finished == 3


def _clock(data):
    return [name for name in data.variables if "second" in str(name)]
