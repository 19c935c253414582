"""The folder of a study that is damaged, killed at any change to the disk, on a full disk, or read-only."""

import os
import subprocess

import numpy as np
import pytest
import xarray as xr
from parameters import quick
from store_cases import Disk, disk, expected, make, opened, tree, work

from sde_sgd.study import Store, StudyError
from sde_sgd.study.store import _files


def spoil(path, how):
    """Damage a file in one of the ways in which files are damaged."""
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "cut short":
        path.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    else:
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    if how == OLD_TIME:
        os.utime(path, ns=(0, NOW[0]))


NOW = [0]
DAMAGE = ("missing", "cut short", "empty", "flipped")
OLD_TIME = "flipped, with its old time"


class TestDamage:
    @pytest.mark.parametrize("how", quick([*DAMAGE, OLD_TIME], "cut short", OLD_TIME))
    @pytest.mark.parametrize("name", ["value", "name", "status", "units"])
    def test_a_damaged_unit_is_named_once_and_computed_again(self, tmp_path, name, how):
        study, store = make(tmp_path / "out", 3)
        work(store, study)
        folder = tmp_path / "out"
        suffix = ".0" if name == "name" else ""
        path = (
            folder / "dataset.zarr" / name / f"c.1.0{suffix}"
            if name != "units"
            else folder / "units" / "001-000..001-002.json"
        )
        NOW[0] = path.stat().st_mtime_ns
        spoil(path, how)
        store = Store.open(folder).bind(study)
        others = {cell.key for cell in study.cells() if cell.index["row"] == 0}
        # what keeps its size and its time is found when it is read
        seen = store.finished() if "old time" not in how or name == "units" else None
        xr.testing.assert_identical(store.dataset(), expected(study, others))
        assert seen in (None, {"000-000..000-002"}) and store.finished() == {"000-000..000-002"}
        # without a status, or an account, a unit looks as after a kill
        assert store.torn() == (set() if how == "missing" and name in ("status", "units") else {"001-000..001-002"})
        xr.testing.assert_equal(opened(store), expected(study, others))
        again = Store.open(folder).bind(study)
        assert again.torn() == set()
        assert work(again, study) == ["001-000..001-002"]
        xr.testing.assert_identical(again.dataset(), expected(study))
        assert again.torn() == set()

    def test_what_is_removed_loses_its_status_first(self, tmp_path, monkeypatch):
        """So that whoever reads meanwhile, and trusts `status`, sees no unit of which a part is gone."""
        study, store = make(tmp_path / "out", 3)
        work(store, study)
        folder, gone, remove = tmp_path / "out" / "dataset.zarr", [], _files.remove
        spoil(folder / "value" / "c.1.0", "flipped")
        monkeypatch.setattr(_files, "remove", lambda path: (gone.append(path), remove(path)))
        assert Store.open(tmp_path / "out").bind(study).finished() == {"000-000..000-002"}
        assert gone[0] == folder / "status" / "c.1.0" and folder / "value" / "c.1.0" in gone[1:]

    def test_exchanged_chunks_are_found(self, tmp_path):
        """Each has a right CRC of its own, and the other's size."""
        study, store = make(tmp_path / "out")
        work(store, study)
        one, other = (store.folder / "dataset.zarr" / "value" / name for name in ("c.0.0", "c.1.1"))
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
        again = Store.open(store.folder).bind(study)
        assert len(again.finished()) == 4 and again.torn() == {"000-000", "001-001"}
        work(again, study)
        xr.testing.assert_identical(again.dataset(), expected(study))

    @pytest.mark.parametrize("how", DAMAGE)
    def test_a_coordinate_that_cells_brought_costs_one_unit(self, tmp_path, how):
        study, store = make(tmp_path / "out")
        work(store, study)
        spoil(store.folder / "dataset.zarr" / "time" / "c.0", how)
        again = Store.open(store.folder).bind(study)
        assert len(again.finished()) == 5 and again.torn() == {"000-000"}
        work(again, study)
        xr.testing.assert_identical(again.dataset(), expected(study))
        xr.testing.assert_equal(opened(again), expected(study))

    @pytest.mark.parametrize("how", quick(DAMAGE, "missing"))
    @pytest.mark.parametrize("name", ["zarr.json", "value/zarr.json", "time/zarr.json", "row/c.0", "ratio/zarr.json"])
    def test_what_is_known_otherwise_is_repaired(self, tmp_path, name, how):
        study, store = make(tmp_path / "out")
        work(store, study)
        whole = store.dataset()
        spoil(store.folder / "dataset.zarr" / name, how)
        again = Store.open(store.folder).bind(study)
        assert len(again.finished()) == 6 and again.torn() == set()
        xr.testing.assert_identical(again.dataset(), whole)
        xr.testing.assert_identical(opened(again).astype(whole.dtypes), whole.astype(whole.dtypes))

    def test_times_of_files_say_nothing(self, tmp_path):
        """A copy, or a clock that jumped: everything is read, and everything is there."""
        study, store = make(tmp_path / "out")
        work(store, study)
        for path in store.folder.rglob("*"):
            os.utime(path, (1e9, 1e9))
        again = Store.open(store.folder).bind(study)
        assert len(again.finished()) == 6 and again.torn() == set()


class TestKills:
    def test_at_every_change_to_the_disk(self, tmp_path):
        """Of opening, binding, and saving the second unit: before the commit it is as if nothing had been."""
        study, store = make(tmp_path / "out")
        work(store, study, {"000-000"})
        with disk() as counting:
            work(Store.open(store.folder).bind(study), study, {"000-001"})
        before = expected(study, {"000-000"})
        after = expected(study, {"000-000", "000-001"})
        work(store, study, {"000-001"})
        assert counting.count > 20
        outcomes = []
        for at in range(1, counting.count + 1):
            (store.folder / "dataset.zarr" / "status" / "c.0.1").unlink()
            assert len(Store.open(store.folder).bind(study).finished()) == 1
            with disk(at, half=at % 2 == 0) as killed:
                work(Store.open(store.folder).bind(study), study, {"000-001"})
            again = Store.open(store.folder).bind(study)
            found = again.dataset()
            outcomes.append("c.0.1" in killed.committed)
            xr.testing.assert_identical(found, after if outcomes[-1] else before)
            xr.testing.assert_equal(opened(again), found)
            assert again.torn() == set() and list((store.folder / ".partial").iterdir()) == []
            work(again, study, {"000-001"})
        assert outcomes == sorted(outcomes) and not outcomes[0] and outcomes[-1]

    @pytest.mark.long
    def test_while_the_folder_is_made(self, tmp_path):
        """And while its first dataset is."""
        with disk() as counting:
            make(tmp_path / "whole")
        for at in range(1, counting.count + 1):
            folder = tmp_path / f"{at}" / "out"
            with disk(at, half=True):
                make(folder)
            with disk():
                study, store = make(folder)
                work(store, study, {"000-000"})
            assert [path.name for path in folder.parent.iterdir()] == ["out"]
            assert opened(store).equals(expected(study, {"000-000"})) and list((folder / ".partial").iterdir()) == []

    @pytest.mark.long
    def test_while_it_is_made_another_study(self, tmp_path):
        """Either study is there, with nothing finished, and the folder takes the one that is asked for."""
        make(tmp_path / "whole", rows=3)
        with disk() as counting:
            make(tmp_path / "whole", fingerprint="b" * 64)
        for at in range(1, counting.count + 1):
            folder = tmp_path / f"{at}"
            with disk():
                make(folder, rows=3)
            with disk(at, half=True):
                make(folder, fingerprint="b" * 64)
            assert Store.open(folder).record["fingerprint"] in ("a" * 64, "b" * 64)
            with disk():
                study, store = make(folder, fingerprint="b" * 64)
                work(store, study, {"000-000"})
            assert opened(store).equals(expected(study, {"000-000"})) and store.text == "rows = 2\n"


class TestDisk:
    def test_a_full_disk_costs_the_unit_that_met_it(self, tmp_path, monkeypatch):
        study, store = make(tmp_path / "out")
        work(store, study, {"000-000"})
        for at in range(1, 8):
            full = Disk(at)
            monkeypatch.setattr(_files, "os", full)
            monkeypatch.setattr(Disk, "_counting", _filling)
            with pytest.raises(StudyError, match=r"cannot be written \(unit 000-001\): No space left on device; what"):
                work(store, study, {"000-001"})
            monkeypatch.undo()
            assert store.finished() == {"000-000"} and store.torn() == set()
            xr.testing.assert_equal(opened(store).drop_attrs(), expected(study, {"000-000"}).drop_attrs())
            assert list((store.folder / ".partial").iterdir()) == []
        work(store, study)
        assert store.dataset().identical(expected(study))

    def test_a_small_disk(self, tmp_path):
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)], capture_output=True
        )
        if mounted.returncode:
            pytest.skip("no file system can be mounted here")
        try:
            study, store = make(tmp_path / "out", rows=40)
            with pytest.raises(StudyError, match="No space left on device; what is finished is kept"):
                work(store, study)
            finished = store.finished()
            assert 0 < len(finished) < 120
            again = Store.open(store.folder).bind(study)
            assert again.finished() == finished and again.torn() == set()
            # a reader sees the same, and no half of a unit
            assert int(np.isfinite(opened(again).value).sum()) == len(finished)
            subprocess.run(["mount", "-o", "remount,size=8m", str(tmp_path)], check=True)
            work(again, study)
            xr.testing.assert_identical(again.dataset(), expected(study))
            subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
            only_read = Store.open(store.folder).bind(study)
            assert not only_read.is_writable and len(only_read.finished()) == 120
            xr.testing.assert_identical(only_read.dataset(), expected(study))
            with pytest.raises(StudyError, match="Read-only file system"):
                only_read.save_text("report.txt", "")
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)

    def test_a_folder_that_may_not_be_written_is_read(self, tmp_path, monkeypatch):
        study, store = make(tmp_path / "out")
        work(store, study, {"000-000", "000-001"})
        spoil(store.folder / "dataset.zarr" / "value" / "c.0.1", "flipped")
        (store.folder / ".partial" / "dead").mkdir()
        before = tree(store.folder)
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        monkeypatch.setattr(_files, "os", Disk(1))
        only_read = Store.open(store.folder).bind(study)
        assert not only_read.is_writable and only_read.finished() == {"000-000"} and only_read.torn() == {"000-001"}
        xr.testing.assert_identical(only_read.dataset(), expected(study, {"000-000"}))
        assert only_read.account().keys() == {"000-000"} and only_read.text
        assert tree(store.folder) == before


def _filling(self, name):
    def call(*arguments):
        self.count += name == "write"
        if name == "write" and self.count >= self.at:
            raise OSError(28, "No space left on device")
        return getattr(os, name)(*arguments)

    return call
