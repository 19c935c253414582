"""The shell command: what it prints, writes and returns."""

import os
import re
import shlex
import subprocess
import sys

import cheap_study
import pytest
from cli_cases import STUDY, assert_one_line, call

import sde_sgd
from sde_sgd.cli import INTERRUPTED, NO_NUMBER, READ_NO_MORE
from sde_sgd.study import parse, plan
from sde_sgd.study._file import read_source


def test_a_packaged_study_is_found_beside_a_folder_of_its_name(tmp_path, monkeypatch):
    """As after a first run: its output folder is called like it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "escape").mkdir()
    assert read_source("escape")[0].startswith("# Escape")


def test_run_status_plot_resume(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    out = tmp_path / "out"
    first = call("run", tmp_path / "study.toml", "--out", out)
    assert first.exit_code == 0, (first.output, first.exception)
    assert (
        "device" in first.stdout
        and "P simulated: probability to leave" in first.stdout
        and "dataset.zarr" in first.stdout
    )
    assert "1 of 1 cells finished; complete" in call("status", out).stdout
    (out / "survival.png").unlink()
    assert call("plot", out).exit_code == 0 and (out / "survival.png").stat().st_size > 5000
    again, wide = call("resume", out).stdout, call("resume", out, "--wide").stdout
    long = (
        "  P linear: the same by the SDE linearised about the start, for a loss that is quadratic up to the boundary\n"
    )
    assert "nothing was run" in again and long in wide and long not in again

    (tmp_path / "study.toml").write_text(STUDY.replace("horizon = 1.0", "horizon = 2.0"))
    assert_one_line(call("run", tmp_path / "study.toml", "--out", out), "different study")


@pytest.mark.long
def test_own_loss_from_a_file_beside_the_study(tmp_path):
    (tmp_path / "my_own_loss.py").write_text("def loss(x):\n    return 0.1 * (x[0] ** 2 - 1) ** 2\n")
    text = STUDY.replace('kind = "TwoWells"', 'function = "my_own_loss:loss"\ndim = 1')
    text = text.replace('"sharp_minimum"', "[-1.0]").replace('"saddle"', "[0.0]")
    (tmp_path / "study.toml").write_text(text)
    result = call("run", tmp_path / "study.toml", "--out", tmp_path / "out")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "gives no [reference] grid" in result.stdout


class TestCheapStudy:
    """Commands about a study whose cells are arithmetic."""

    @pytest.fixture
    def study(self, tmp_path):
        return cheap_study.write(tmp_path / "study")

    @pytest.fixture
    def out(self, study, tmp_path):
        """The folder of the study, complete."""
        assert call("run", study, "--out", tmp_path / "out").exit_code == 0
        return tmp_path / "out"

    def test_init_worker_resume(self, study, tmp_path, monkeypatch):
        out = tmp_path / "out"
        assert f"sde-sgd resume {out}" in call("init", study, "--out", out).stdout
        assert "0 of 8 cells finished; to finish it: sde-sgd resume" in call("status", out).stdout
        assert_one_line(call("worker", out), "--shard i/n")
        assert_one_line(call("worker", out, "--shard", "4/3"), "0 <= i < n", "4/3")
        assert "3 cells computed" in call("worker", out, "--shard", "0/3").stdout
        for name, value in (("ID", "1"), ("COUNT", "3"), ("MIN", "0")):
            monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
        assert "3 cells computed" in call("worker", out).stdout
        assert "6 of 8 cells finished" in call("status", out).stdout
        finished = call("resume", out, "--processes", "1")
        assert finished.exit_code == 0 and "workers  1 process\n" in finished.stdout
        assert len({key for key, _ in cheap_study.begun(study.parent)}) == len(cheap_study.begun(study.parent)) == 8

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--processes", "0"], "processes must be a whole number of at least 1, got 0"),
            (["--processes", "0", "--dry-run"], "processes must be a whole number of at least 1, got 0"),
            (["--cells-per-unit", "0"], "cells_per_unit must be a whole number of at least 1, got 0"),
        ],
    )
    def test_an_option_that_is_refused_leaves_nothing(self, options, said, study, tmp_path):
        assert_one_line(call("run", study, "--out", tmp_path / "out", *options), said)
        assert not (tmp_path / "out").exists()

    def test_every_trajectory_of_a_cell_diverges(self, study, tmp_path):
        """The study is kept, the cell is named, and a script sees it by the exit status."""
        (study.parent / "lost-001-002").touch()
        result = call("run", study, "--out", tmp_path / "out")
        assert result.exit_code == NO_NUMBER == 3 and "every trajectory diverged: row 1, place = 2" in result.stdout
        assert result.stderr.splitlines()[-1] == "error: every trajectory of a cell diverged; the table names them"
        assert call("resume", tmp_path / "out").exit_code == 3

    def test_cells_without_a_number_are_named_by_status_and_worker(self, study, tmp_path):
        """By what is on the disk: nothing is computed for it."""
        for key in ("000-000", "001-002"):
            (study.parent / f"lost-{key}").touch()
        call("init", study, "--out", tmp_path / "out")
        said = call("worker", tmp_path / "out", "--shard", "0/2")
        cells = "row 0, place = 0: every trajectory diverged; row 1, place = 2: every trajectory diverged"
        named = f"no number of 2 cells ({cells})"
        assert said.exit_code == NO_NUMBER and said.stderr.splitlines()[-1] == f"error: {named}"
        assert "4 cells computed" in said.stdout
        # those of another share are for its own worker to tell
        assert call("worker", tmp_path / "out", "--shard", "1/2").exit_code == 0
        begun = len(cheap_study.begun(study.parent))
        found = call("status", tmp_path / "out")
        assert found.exit_code == NO_NUMBER and f"; complete; {named}; " in found.stdout
        assert len(cheap_study.begun(study.parent)) == begun == 8

    def test_an_interrupt_before_anything_is_finished_says_so(self, study, tmp_path, monkeypatch):
        def stopped(self, cell, shared):
            raise KeyboardInterrupt

        out, kept = tmp_path / "out", "run the same command again to go on"
        call("init", study, "--out", out)
        with monkeypatch.context() as changed:
            changed.setattr(cheap_study.CheapStudy, "run_cell", stopped)
            for command in (["run", study, "--out", out], ["resume", out], ["worker", out, "--shard", "0/2"]):
                result = call(*command)
                assert result.exit_code == INTERRUPTED
                assert result.stderr.splitlines()[-1] == f"stopped; no cell of study cheap was finished, {kept}"
        call("worker", out, "--shard", "1/2")
        monkeypatch.setattr(cheap_study.CheapStudy, "run_cell", stopped)
        assert call("resume", out).stderr.splitlines()[-1] == f"stopped; finished cells are kept, {kept}"
        # where nothing is computed there is nothing to go on with
        monkeypatch.setattr("sde_sgd.study.status", lambda folder, source: stopped(folder, None, None))
        assert call("status", out).stderr.splitlines()[-1] == "stopped"

    def test_a_study_of_which_nothing_is_finished_keeps_nothing(self, study, tmp_path):
        (study.parent / "fail-000-000").touch()
        result = call("run", study, "--out", tmp_path / "out")
        assert result.exit_code == 2
        said = "error: cell 000-000 of study cheap: value must be above 0, got -1; no cell was finished"
        assert result.stderr.splitlines()[-1] == said

    def test_a_resumed_bar_knows_the_widest_interval_on_the_disk(self, study, tmp_path):
        """Of the cells that are left none is as wide as the widest of those that are finished."""
        call("init", study, "--out", tmp_path / "out")
        call("worker", tmp_path / "out", "--shard", "1/2")
        widest = re.search(r"widest interval (±\S+) %", call("status", tmp_path / "out").stdout)
        resumed = call("resume", tmp_path / "out").stderr
        assert widest and f"widest {widest[1]} %" in resumed.splitlines()[0]

    def test_a_command_that_is_said_can_be_pasted(self, study, tmp_path):
        """Also where the path of the folder has a space."""
        out = tmp_path / "my studies" / "out"
        said = [call("init", study, "--out", out), call("worker", out, "--shard", "0/8"), call("status", out)]
        for each in said:
            assert each.exit_code == 0
            command = re.search(r"sde-sgd resume [^;\n]*", each.stdout).group()
            assert shlex.split(command) == ["sde-sgd", "resume", str(out)]
        assert "\n1 cell computed; " in said[1].stdout

    def test_status_tells_how_it_goes(self, out):
        text = call("status", out).stdout
        assert text.startswith("cheap (cheap): 8 of 8 cells finished; complete; ")
        assert "path-steps/s; widest interval ±" in text

    def test_status_tells_of_damage(self, out):
        """Then it is computed again; nobody sees a traceback, nor the damaged number."""
        chunk = out / "dataset.zarr" / "value" / "c.0.1"
        chunk.write_bytes(chunk.read_bytes()[:5])
        text = call("status", out).stdout
        assert "7 of 8 cells finished; to finish it: sde-sgd resume" in text
        assert "; 1 damaged unit to be computed again" in text
        assert call("plot", out).exit_code == 0
        assert call("resume", out).exit_code == 0 and "8 of 8 cells finished; complete" in call("status", out).stdout

    def test_dry_run(self, study, tmp_path, monkeypatch):
        monkeypatch.setattr(cheap_study.CheapStudy, "work", lambda self, index: 40.0 + 40 * index["row"])
        (study.parent / "slow").write_text("0.1")
        result = call("run", study, "--out", tmp_path / "out", "--dry-run", "--cells-per-unit", "3")
        assert result.exit_code == 0, result.output
        assert "cells    8 (2 row × 4 place), in 4 units" in result.stdout and "nothing was written" in result.stdout
        assert "work     480; of a cell 40 to 80" in result.stdout and "programs 1 to compile" in result.stdout
        assert re.search(
            r"\ntime     about 0:0\d in one process, by the smallest cell\nmemory   \d+ MiB in it\n", result.stdout
        )
        assert not (tmp_path / "out").exists()
        assert [key for key, _ in cheap_study.begun(study.parent)] == ["000-000"] * 2
        # 480 of work, of which the smallest cell has 40
        assert 1.2 <= plan(study, trial=True).seconds < 6
        (study.parent / "fail-000-000").touch()
        assert call("run", study, "--dry-run").stderr.startswith("error: cell 000-000 of study cheap: value must be")

    def test_settings_are_those_of_the_folder_too(self, study, tmp_path):
        result = call("run", study, "--out", tmp_path / "out", "--set", "rows=1", "--set", "length=3")
        assert result.exit_code == 0, result.output
        assert "3 of 3 cells finished; complete" in call("status", tmp_path / "out").stdout
        assert_one_line(call("run", study, "--out", tmp_path / "out"), "key rows was 1 and is 2")
        assert_one_line(call("run", study, "--out", tmp_path / "else", "--set", "row=1"), "did you mean 'rows'")
        assert_one_line(call("run", study, "--out", tmp_path / "else", "--set", "rows"), "key=value")

    def test_sizes_and_names_that_cannot_be(self, study, tmp_path):
        """Told by the axis, or by the folder, before anything is made."""
        for setting, said in (("rows=0", "at least 1 place, got 0 row × 4 place"), ("rows=-1", "got -1 row × 4 place")):
            assert_one_line(call("run", study, "--out", tmp_path / "out", "--set", setting), said)
        many = "a study must have at most 1000000 cells, got 1000000 row × 4 place"
        assert_one_line(call("run", study, "--out", tmp_path / "out", "--set", "rows=1_000_000"), many)
        name = tmp_path / ("x" * 300)
        assert_one_line(call("run", study, "--out", name), f"output folder {name} cannot be made: File name too long")
        assert [each.name for each in tmp_path.iterdir()] == ["study"]

    def test_a_record_that_is_something_else(self, out):
        (out / "study.json").write_text("[]")
        assert_one_line(call("status", out), "study.json is not the record of a study: it must be an object of JSON")

    def test_a_setting_that_would_undo_another(self, study, tmp_path):
        twice = ["--set", "rows=1", "--set", " rows = 2"]
        assert_one_line(call("run", study, "--out", tmp_path / "out", *twice), "key rows must be set once", "rows = 2")
        within = ["--set", "sweep.batch_size=[8]", "--set", "sweep={learning_rate = 0.1}"]
        assert_one_line(
            call("init", study, "--out", tmp_path / "out", *within), "key sweep.batch_size must be set once"
        )
        assert not (tmp_path / "out").exists()

    def test_export(self, out, tmp_path):
        assert call("export", out).exit_code == 0
        assert (out / "dataset.nc").exists() and (out / "table.csv").exists()
        assert call("export", out, "--to", tmp_path / "mine.csv").stdout.split() == ["file", str(tmp_path / "mine.csv")]
        assert_one_line(call("export", out, "--to", tmp_path / "mine.xls"), ".nc or .csv")

    def test_an_empty_path_is_not_the_working_folder(self, study, out, tmp_path, monkeypatch):
        """As of a shell's variable that is not set."""
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path / "empty")
        for command in ("export", "report"):
            assert_one_line(call(command, out, "--to", ""), "target (--to) must be a path, got ''")
        for command in ("status", "resume", "plot", "report", "export", "worker"):
            shard = ["--shard", "0/1"] if command == "worker" else []
            assert_one_line(call(command, "", *shard), "folder (DIR) must be a path, got ''")
        assert_one_line(call("resume", out, "--source", ""), "source (--source) must be a path, got ''")
        for command in ("run", "init"):
            assert_one_line(call(command, study, "--out", ""), "out (--out) must be a path, got ''")
            assert_one_line(call(command, ""), "the study must be a path, got ''")
        assert_one_line(call("reproduce", "--out", ""), "out (--out) must be a path, got ''")
        assert list((tmp_path / "empty").iterdir()) == []

    def test_report_and_export_never_replace_what_a_study_is_kept_in(self, out, monkeypatch):
        kept = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for name in ("study.json", "study.toml", "units/000-000.json", "dataset.zarr/zarr.json"):
            assert_one_line(call("report", out, "--to", out / name), "is what folder", "keeps its study in")
        for name in ("dataset.zarr", "units", "dataset.zarr/table.csv"):
            assert_one_line(call("export", out, "--to", out / name), "is what folder", "keeps its study in")
        monkeypatch.chdir(out)
        assert_one_line(call("report", ".", "--to", "study.json"), "study.json cannot be written")
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == kept
        assert call("report", ".", "--to", "mine.html").exit_code == 0

    def test_report_and_export_into_a_folder_that_cannot_be_written_say_the_way_out(self, out, tmp_path, monkeypatch):
        def refused(*arguments):
            raise OSError(30, "Read-only file system")

        with monkeypatch.context() as changed:
            changed.setattr("sde_sgd.study.store._files.write", refused)
            assert_one_line(call("report", out), "Read-only file system", "to write it elsewhere: --to FILE")
            assert call("report", out, "--to", tmp_path / "mine.html").exit_code == 0
        monkeypatch.setattr("sde_sgd.study.reporting._export._netcdf", refused)
        assert_one_line(call("export", out), "Read-only file system", "to write it elsewhere: --to PATH")
        assert call("export", out, "--to", tmp_path / "mine.csv").exit_code == 0

    def test_a_complete_folder_that_cannot_be_written_is_shown(self, study, out, monkeypatch):
        """As on a disk that is mounted read-only, which is so for root too."""

        def refused(*arguments):
            raise OSError(30, "Read-only file system")

        table = call("run", study, "--out", out).stdout
        monkeypatch.setattr("sde_sgd.study.store._files.write", refused)
        monkeypatch.setattr("sde_sgd.study.store._files.make_folder", refused)
        for again in (call("run", study, "--out", out), call("resume", out)):
            assert again.exit_code == 0, (again.output, again.exception)
            assert again.stdout == table
            lines = again.stderr.splitlines()
            assert len(lines) == 1 and lines[0].startswith("warning: ") and "Read-only file system" in lines[0]

    def test_what_is_missing_of_a_read_only_folder_is_said(self, study, tmp_path, monkeypatch):
        call("init", study, "--out", tmp_path / "out")
        call("worker", tmp_path / "out", "--shard", "0/2")
        access = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and access(path, mode))
        result = call("resume", tmp_path / "out")
        assert result.exit_code == 2 and "not finished: 4 of 8 cells" in result.stdout
        assert "folder is read-only, so that nothing was run" in result.stderr

    def test_a_cell_without_a_number_is_named(self, study, tmp_path, monkeypatch):
        """In the exit status too."""
        run_cell = cheap_study.CheapStudy.run_cell

        def lost(self, cell, shared):
            data = run_cell(self, cell, shared)
            if cell.key == "001-002":
                for name in ("value", "value_low", "value_high"):
                    data[name] = data[name] * float("nan")
            return data

        monkeypatch.setattr(cheap_study.CheapStudy, "run_cell", lost)
        result = call("run", study, "--out", tmp_path / "out")
        assert result.exit_code == NO_NUMBER
        assert result.stderr.splitlines()[-1] == "error: there is no number of a cell; the table names them"
        assert call("resume", tmp_path / "out").exit_code == NO_NUMBER
        found = call("status", tmp_path / "out")
        assert found.exit_code == NO_NUMBER
        assert "; no number of a cell (row 1, place = 2: its status is complete); " in found.stdout

    def test_help_is_quick(self):
        """Under half a second on an idle core: CPU time, the best of three."""
        taken = []
        for _ in range(3):
            before = os.times()
            subprocess.run([sys.executable, "-m", "sde_sgd.cli", "--help"], capture_output=True, check=True)
            after = os.times()
            taken.append(after.children_user + after.children_system - before.children_user - before.children_system)
        assert min(taken) < 0.5


def test_a_packaged_study_can_be_copied(tmp_path):
    """What `show` prints is the study, to the letter."""
    text = call("show", "escape").stdout
    assert text == read_source("escape")[0]
    assert parse(text, "mine") == parse(read_source("escape")[0], "mine")
    assert_one_line(call("show", "escap"), "'escap'", "did you mean 'escape'")


def test_version_and_short_help():
    assert call("--version").stdout.strip() == f"sde-sgd {sde_sgd.__version__}"
    assert call("-h").stdout == call("--help").stdout and "resume" in call("-h").stdout
    assert "Exit status" in call("run", "-h").stdout


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_without_greek_letters(encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "sde_sgd.cli", "show", "digits"]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    assert "learning rate gamma, batch size M" in text and "theta*" in text and "?" not in text


def test_list_names_the_packaged_studies():
    lines = call("list").stdout.splitlines()
    assert max(map(len, lines)) <= 100
    # what a line cannot hold is below, indented
    assert {line.split()[0] for line in lines if not line.startswith(" ")} == {
        "batch", "collapse", "compare", "digits", "edge", "escape", "flatness_drift", "freezing", "generalise",
        "label_noise", "mnist1d", "mori", "noise_shapes", "occupancy", "trained_escape", "transitions",
    }  # fmt: skip


@pytest.mark.parametrize("buffered", ["", "1"])
def test_output_that_is_read_no_more_is_no_mistake(buffered):
    """As by `sde-sgd list | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    told = subprocess.run(
        [sys.executable, "-m", "sde_sgd.cli", "list"],
        stdout=writer, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": buffered},
    )  # fmt: skip
    os.close(writer)
    assert told.returncode == READ_NO_MORE and not told.stderr


def test_a_pipe_to_another_process_that_breaks_is_told(monkeypatch):
    """Of an executor's, say: that is no reader who has seen enough."""

    def broken():
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("sde_sgd.study.packaged", broken)
    assert_one_line(call("list"), "Broken pipe")


def test_help_imports_nothing_heavy():
    code = (
        "import sys; import sde_sgd.cli as cli\n"
        "try:\n    cli.app(['--help'])\nexcept SystemExit as done:\n    assert not done.code\n"
        "heavy = {'jax', 'numpy', 'scipy', 'xarray', 'zarr', 'matplotlib', 'pydantic', 'equinox'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "resume" in done.stdout
