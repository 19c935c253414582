"""A study's folder whose study.toml or study.json was edited, or whose disk lies: nothing that was saved is lost."""

import json
import os

import cheap_study
import pytest
import xarray as xr
from cheap_study import begun
from store_cases import expected, make, opened, tree, work
from test_cli import assert_one_line, call

from sde_sgd.study import Store, StudyError, resume, run
from sde_sgd.study.store._folder import read_record
from sde_sgd.study.store._recovery import Recovery

LOOKS = ("status", "plot", "report", "export")


@pytest.fixture
def study(tmp_path):
    return cheap_study.write(tmp_path / "study")


@pytest.fixture
def out(study, tmp_path):
    """The folder of the study, complete."""
    run(study, tmp_path / "out", progress=False)
    return tmp_path / "out"


def edit(path, old, new, keep_the_crc=True):
    """Another text in a file, once; of study.json also as of an earlier version, which had no CRC."""
    text = path.read_text()
    assert text.count(old) == 1
    text = text.replace(old, new)
    if not keep_the_crc:
        text = text[: text.rindex(', "crc32c"')] + "\n}\n"
    path.write_text(text)


def saved(folder):
    return tree(folder / "dataset.zarr") | tree(folder / "units")


class TestText:
    @pytest.mark.parametrize("command", [*LOOKS, "resume", "worker"])
    def test_numbers_never_stand_under_another_label(self, out, command):
        before = tree(out)
        edit(out / "study.toml", "rows = 2", "rows = 3")
        more = ["--shard", "0/1"] if command == "worker" else []
        sentence = "is not of the study that its study.toml describes: key rows was 2 and is 3; put that back, or run"
        assert_one_line(call(command, out, *more), f"folder {out} {sentence}")
        edit(out / "study.toml", "rows = 3", "rows = 2")
        assert tree(out) == before

    @pytest.mark.parametrize("command", LOOKS)
    def test_what_decides_no_number_may_differ(self, out, command):
        edit(out / "study.toml", "rows = 2\n", '# of them\nrows = 2\ndescription = "other words"\nseed = 0\n')
        result = call(command, out)
        assert result.exit_code == 0, result.output


class TestRecord:
    @pytest.mark.parametrize("keep_the_crc", [True, False])
    @pytest.mark.parametrize("key", ["fingerprint", "cells_per_unit"])
    def test_one_that_was_changed_loses_nothing(self, out, study, key, keep_the_crc):
        """Neither by a look nor by a run, of this study or another; put back it is as before."""
        record = (out / "study.json").read_text()
        value = json.loads(record)[key]
        other = 7 if key == "cells_per_unit" else ("0" if value[0] != "0" else "1") + value[1:]
        edit(out / "study.json", f'"{key}": {json.dumps(value)}', f'"{key}": {json.dumps(other)}', keep_the_crc)
        before, another = tree(out), cheap_study.write(study.parent / "another", rows=1)
        runs = [("resume", out), ("worker", out, "--shard", "0/2")]
        runs += [("run", each, "--out", out) for each in (study, another)]
        for command in [*((look, out) for look in LOOKS), *runs]:
            # of another study it says that first
            parts = ["study.json", "put back"] if "run" not in command and keep_the_crc else []
            if command[0] in LOOKS and not keep_the_crc:
                parts = [f"key {key} of study.json"]
            assert_one_line(call(*command), *parts)
            assert tree(out) == before, command
        (out / "study.json").write_text(record)
        assert resume(out, progress=False).computed == 0

    def test_one_of_an_earlier_version_has_no_crc_and_is_read(self, out):
        edit(out / "study.json", '"seed": 0', '"seed": 0', keep_the_crc=False)
        assert "crc32c" not in json.loads((out / "study.json").read_text())
        assert "8 of 8 cells finished; complete" in call("status", out).stdout


class TestLooks:
    def test_a_look_repairs_nothing_and_a_run_does(self, out):
        """Not even what is damaged, or what a killed process has left."""
        whole = xr.open_zarr(out / "dataset.zarr").load()
        chunk = out / "dataset.zarr" / "value" / "c.0.1"
        chunk.write_bytes(chunk.read_bytes()[:5])
        (out / "dataset.zarr" / "status" / "c.1.1").unlink()
        (out / "dataset.zarr" / "zarr.json").write_text("{")
        (out / ".partial" / "dead").mkdir()
        before = saved(out)
        for look in LOOKS:
            call(look, out)
            assert saved(out) == before and (out / ".partial" / "dead").exists(), look
        assert "6 of 8 cells finished" in call("status", out).stdout
        assert resume(out, progress=False).computed == 2
        xr.testing.assert_identical(xr.open_zarr(out / "dataset.zarr").load(), whole)
        assert not (out / ".partial" / "dead").exists()


class TestWords:
    def test_corrected_words_reach_the_folder(self, out, study):
        edit(study, "rows = 2", 'rows = 2\ndescription = "new words"')
        moved = study.rename(study.with_name("renamed.toml"))
        before = saved(out)
        assert call("run", moved, "--out", out).stdout.startswith(f"{out} already holds this study, complete")
        assert (out / "study.toml").read_text() == moved.read_text()
        # the dataset's own words are in its attributes
        assert saved(out) | {"zarr.json": b""} == before | {"zarr.json": b""}
        record = read_record(out)
        assert record["name"] == "renamed" and record["study"]["description"] == "new words"
        assert call("plot", out).exit_code == call("report", out).exit_code == 0
        assert "new words" in (out / "report.html").read_text()
        assert (out / "report.txt").read_text().startswith("study renamed:")

    def test_a_study_file_that_is_lost_comes_back(self, out, study):
        (out / "study.toml").unlink()
        assert_one_line(call("status", out), "lacks its study file, study.toml", "run the study into it again")
        assert call("run", study, "--out", out).exit_code == 0
        assert (out / "study.toml").read_text() == study.read_text() and call("status", out).exit_code == 0

    def test_the_same_words_write_nothing(self, out, study):
        before = [(out / name).stat().st_ino for name in ("study.toml", "study.json")]
        run(study, out, progress=False)
        assert [(out / name).stat().st_ino for name in ("study.toml", "study.json")] == before


class TestPlaces:
    @pytest.mark.parametrize("is_there", [True, False])
    def test_a_link_leads_to_the_folder(self, study, tmp_path, is_there):
        if is_there:
            (tmp_path / "disk").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "disk")
        assert call("init", study, "--out", tmp_path / "link").exit_code == 0
        assert call("resume", tmp_path / "link").exit_code == 0
        assert (tmp_path / "link").is_symlink() and (tmp_path / "disk" / "study.json").is_file()
        assert {path.name for path in tmp_path.iterdir()} == {"disk", "link", "study"}

    def test_the_working_folder_is_refused(self, study, tmp_path, monkeypatch):
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        sentence = "output folder . cannot be made: it is the working folder; give a folder within it"
        assert_one_line(call("init", study, "--out", "."), sentence)
        assert list((tmp_path / "here").iterdir()) == [] and call("init", study, "--out", "./in").exit_code == 0


def flip(path):
    """A bit of a file, which keeps its size and its time, as a disk that lies."""
    data, before = path.read_bytes(), path.stat()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


class TestHiddenDamage:
    @pytest.mark.parametrize("command", ["resume", "run"])
    def test_one_run_heals_it(self, out, study, command):
        whole = (out / "report.txt").read_text()
        flip(out / "dataset.zarr" / "value" / "c.0.1")
        result = call("resume", out) if command == "resume" else call("run", study, "--out", out)
        assert result.exit_code == 0 and "not finished" not in result.output, result.output
        assert (out / "report.txt").read_text() == whole
        assert begun(study.parent)[-1][0] == "000-001"

    def test_what_is_left_unfinished_is_no_success(self, out, monkeypatch):
        """As on a disk that damages all that is written."""
        read = Recovery.read
        monkeypatch.setattr(Recovery, "read", lambda *of: None if of[1].unit in bad else read(*of))
        bad = {"000-001"}
        result = call("resume", out)
        assert result.exit_code == 2 and "not finished" in result.stdout
        assert result.stderr.splitlines()[-1] == f"error: not finished; to finish it: sde-sgd resume {out}"
        bad |= {f"{row:03d}-{place:03d}" for row in range(2) for place in range(4)}
        for command in ("plot", "report", "export"):
            assert_one_line(call(command, out), f"folder {out} has no finished cell")

    @pytest.mark.parametrize("command", ["plot", "report", "export"])
    def test_a_look_says_what_it_leaves_out(self, out, command):
        flip(out / "dataset.zarr" / "value" / "c.0.1")
        before = saved(out)
        result = call(command, out)
        assert f"a unit is damaged and was left out; to compute what is missing: sde-sgd resume {out}" in result.stderr
        assert result.exit_code == (0 if command == "plot" else 2)
        assert saved(out) == before
        written = {"plot": "report.txt", "report": "report.html", "export": "table.csv"}
        assert (out / written[command]).exists()

    def test_of_a_pilot(self, tmp_path):
        study = cheap_study.write(tmp_path / "study", more="budget = 1.0\n")
        (study.parent / "fail-main-000-000").touch()
        with pytest.raises(StudyError, match="cell 000-000"):
            run(study, tmp_path / "out", progress=False)
        (study.parent / "fail-main-000-000").unlink()
        pilot = tmp_path / "out" / "pilot"
        (pilot / "told.json").unlink()
        flip(pilot / "dataset.zarr" / "value" / "c.0.1")
        assert resume(tmp_path / "out", progress=False).complete


class TestStore:
    def test_another_studys_account_is_never_damage(self, tmp_path):
        """A store that was opened before the folder became another study's removes nothing of that."""
        old_study, old = make(tmp_path / "out", rows=4)
        study, store = make(tmp_path / "out", fingerprint="b" * 64)
        work(store, study)
        before = saved(store.folder)
        for ask in (old.finished, old.dataset, old.account):
            with pytest.raises(StudyError, match=r"unit 000-000 is of fingerprint b{12}, and key fingerprint of study"):
                ask()
        with pytest.raises(StudyError, match="has become another study's"):
            work(old, old_study, {"000-000"})
        assert saved(store.folder) == before
        xr.testing.assert_identical(store.dataset(), expected(study))

    def test_numbers_of_other_axes_are_none_of_this_study(self, tmp_path):
        """As where study.toml is edited after a first unit; its own text reads them again."""
        study, store = make(tmp_path / "out")
        work(store, study, {"000-000"})
        other = study.model_copy(update={"columns_in_row": 4})
        before = saved(store.folder)
        with pytest.raises(StudyError, match=r"for 3 places of column, and its study has 4: put study.toml back"):
            Store.open(store.folder, look=True).bind(other).dataset()
        assert saved(store.folder) == before
        Store.open(store.folder).bind(study).dataset()

    def test_a_unit_that_the_study_does_not_know_is_no_leftover(self, tmp_path):
        study, store = make(tmp_path / "out", 2)
        work(store, study)
        before = saved(store.folder)
        other = study.model_copy(update={"columns_in_row": 4})
        with pytest.raises(StudyError, match="unit 000-002 is none of this study, so that key cells_per_unit"):
            Store.open(store.folder).bind(other).finished()
        assert saved(store.folder) == before
        # a person's copy of an account is nobody's unit
        account = store.folder / "units" / "000-002.json"
        account.with_name("my copy.json").write_bytes(account.read_bytes())
        assert len(Store.open(store.folder).bind(study).finished()) == 4
        xr.testing.assert_equal(opened(store), expected(study))
