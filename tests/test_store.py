"""The folder of a study: its dataset, damage, claims, full disks, read-only folders, corrections, exports."""

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import xarray as xr
from store_cases import Disk, NumbersStudy, disk, expected, make, opened, tree, work

from sde_sgd.study import Store, StudyError, combine
from sde_sgd.study._units import units
from sde_sgd.study.store import _files
from sde_sgd.study.store._claims import Claims


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
    if how == "flipped, with its old time":
        os.utime(path, ns=(0, NOW[0]))


NOW = [0]
DAMAGE = ("missing", "cut short", "empty", "flipped")


class TestDataset:
    @pytest.mark.parametrize("cells_per_unit", [1, 2, 3, 5])
    @pytest.mark.parametrize("has_status", [True, False])
    def test_it_is_what_combine_gives(self, tmp_path, cells_per_unit, has_status):
        study, store = make(tmp_path / "out", cells_per_unit, has_status=has_status)
        work(store, study)
        whole = expected(study)
        xr.testing.assert_identical(store.dataset(), whole)
        xr.testing.assert_identical(Store.open(store.folder).bind(study).dataset(), whole)
        xr.testing.assert_equal(opened(store), whole)
        assert opened(store).attrs == whole.attrs
        assert set(np.unique(whole.status)) == ({"complete", "budget spent"} if has_status else {"finished"})

    def test_a_reader_sees_it_grow_without_a_warning(self, tmp_path):
        """Warnings are errors here. NaN and "" where nothing is yet, from before the first cell on."""
        study, store = make(tmp_path / "out", 2)
        assert opened(store).status.values.tolist() == [[""] * 3] * 2 and "value" not in opened(store)
        done = set()
        for unit in units(study, 2):
            work(store, study, {unit.key})
            done |= {cell.key for cell in unit.cells}
            seen = opened(store)
            xr.testing.assert_equal(seen.drop_attrs(), expected(study, done).drop_attrs())
            assert np.array_equal(seen.status != "", np.isfinite(seen.value))
            assert int((seen.status != "").sum()) == len(done)

    def test_a_study_of_one_cell_has_no_axes(self, tmp_path, monkeypatch):
        monkeypatch.setattr(NumbersStudy, "axes", lambda self: {})
        monkeypatch.setattr(NumbersStudy, "coordinates", lambda self: {})
        run = NumbersStudy.run_cell
        monkeypatch.setattr(
            NumbersStudy, "run_cell", lambda self, cell, shared: run(self, cell._replace(index={"column": 1}), shared)
        )
        monkeypatch.setattr(NumbersStudy, "key", lambda self, index: "only")
        study, store = make(tmp_path / "out")
        assert store.dataset().equals(expected(study, set()))
        work(store, study)
        xr.testing.assert_identical(store.dataset(), expected(study))
        assert opened(store).value.item() == expected(study).value.item()

    @pytest.mark.parametrize("cells", [1, 3])
    def test_coordinates_are_nobodys_chunks(self, tmp_path, monkeypatch, cells):
        """Also where they are as long as a unit, which is not finished yet."""
        monkeypatch.setattr(NumbersStudy, "axes", lambda self: {"column": self.columns_in_row})
        along = {"column": ("column", [7.0, 8.0, 9.0][:cells], {}), "ratio": ("column", [1.0] * cells, {})}
        monkeypatch.setattr(NumbersStudy, "coordinates", lambda self: along)
        study, store = make(tmp_path / "out", cells, columns_in_row=cells)
        for _ in range(2):
            assert store.finished() == set() and opened(store).ratio.values.tolist() == [1.0] * cells
            store = Store.open(store.folder).bind(study)
        assert opened(store).column.values.tolist() == along["column"][1]
        keys = work(store, study)
        assert len(keys) == 1 and opened(store).equals(expected(study))

    def test_its_bytes_do_not_depend_on_the_order_or_the_time_taken(self, tmp_path):
        study, first = make(tmp_path / "first")
        _, second = make(tmp_path / "second")
        work(first, study)
        for unit in reversed(units(study)):
            second.save_unit(unit, [study.run_cell(cell, None) for cell in unit.cells], {"wall_seconds": 7.0})
        first.dataset(), second.dataset()
        assert tree(first.folder / "dataset.zarr") == tree(second.folder / "dataset.zarr")
        assert first.account()["000-000"] == {"path_steps": 10.0, "wall_seconds": 1.0}
        assert second.account()["000-000"]["wall_seconds"] == 7.0

    def test_every_chunk_is_one_units_and_carries_a_crc(self, tmp_path):
        study, store = make(tmp_path / "out", 2)
        work(store, study)
        for path in (tmp_path / "out" / "dataset.zarr").glob("*/zarr.json"):
            described = json.loads(path.read_text())
            assert described["codecs"][-1]["name"] == "crc32c", path
            if path.parent.name in ("value", "curve", "name", "status"):
                own = len(described["shape"]) - 2
                assert described["chunk_grid"]["configuration"]["chunk_shape"][:2] == [1, 2]
                assert {part.name for part in path.parent.glob("c*")} == {
                    f"c.{row}.{column}{'.0' * own}" for row in range(2) for column in range(2)
                }

    def test_a_variable_that_only_a_later_cell_has(self, tmp_path):
        """Two stores add one each, with what they knew before the other did."""
        study, first = make(tmp_path / "out")
        second = Store.open(first.folder).bind(study)
        cells = {}
        for store, unit, name in zip((first, second, first), units(study), ("a", "b", "a"), strict=False):
            data = study.run_cell(unit.cells[0], None).assign({name: ("new", [1.0, 2.0])})
            store.save_unit(unit, [data], {})
            cells[unit.key] = data
        xr.testing.assert_identical(second.dataset(), combine(study, cells))
        assert np.isfinite(opened(second).a).sum() == 4 and np.isfinite(opened(second).b).sum() == 2

    def test_cells_that_do_not_fit_are_told_of(self, tmp_path):
        study, store = make(tmp_path / "out")
        work(store, study, {"000-000"})
        first, unit = (study.run_cell(each.cells[0], None) for each in units(study)[:2]), units(study)[1]
        first, data = first
        changes = {
            "must have the dimensions": data.isel(part=[0]),
            "must be float64 as before, got string": data.assign(value="a"),
            "coordinate 'time' of a cell must be that of the cells before it": data.assign_coords(time=[0.5, 1.0, 3.0]),
            "status of a cell must be one text": data.assign(status=("part", ["a", "b"])),
        }
        for sentence, changed in changes.items():
            with pytest.raises(StudyError, match=sentence):
                store.save_unit(unit, [changed], {})
            if "float64" not in sentence:
                with pytest.raises(StudyError, match=sentence):
                    combine(study, {"000-000": first, unit.key: changed})
        xr.testing.assert_identical(store.dataset(), expected(study, {"000-000"}))

    def test_a_unit_is_a_whole_chunk(self, tmp_path):
        study, store = make(tmp_path / "out", 2)
        with pytest.raises(ValueError, match="must be 2 cells along the last axis"):
            store.save_unit(units(study, 1)[0], [study.run_cell(study.cells()[0], None)], {})
        with pytest.raises(ValueError, match="must be 2, got 1"):
            store.save_unit(units(study, 2)[0], [study.run_cell(study.cells()[0], None)], {})


class TestDamage:
    @pytest.mark.parametrize("how", [*DAMAGE, "flipped, with its old time"])
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

    def test_exchanged_chunks_are_found(self, tmp_path):
        """Each has a right CRC of its own, and the other's size."""
        study, store = make(tmp_path / "out")
        work(store, study)
        one, other = (store.folder / "dataset.zarr" / "value" / name for name in ("c.0.0", "c.1.1"))
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
        again = Store.open(store.folder).bind(study)
        assert again.torn() == {"000-000", "001-001"} and len(again.finished()) == 4
        work(again, study)
        xr.testing.assert_identical(again.dataset(), expected(study))

    @pytest.mark.parametrize("how", DAMAGE)
    def test_a_coordinate_that_cells_brought_costs_one_unit(self, tmp_path, how):
        study, store = make(tmp_path / "out")
        work(store, study)
        spoil(store.folder / "dataset.zarr" / "time" / "c.0", how)
        again = Store.open(store.folder).bind(study)
        assert again.torn() == {"000-000"} and len(again.finished()) == 5
        work(again, study)
        xr.testing.assert_identical(again.dataset(), expected(study))
        xr.testing.assert_equal(opened(again), expected(study))

    @pytest.mark.parametrize("how", DAMAGE)
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


class TestClaims:
    def test_one_has_it(self, tmp_path):
        study, first = make(tmp_path / "out")
        second = Store.open(first.folder)
        assert first.claim("000-000") and not second.claim("000-000") and not first.claim("000-000")
        assert second.claim("000-001")
        first.release("000-000")
        assert second.claim("000-000")
        found = []
        thread = threading.Thread(target=lambda: found.append(first.claim("000-000")))
        thread.start()
        thread.join()
        assert found == [False]
        second.release("000-000")
        work(first, study, {"000-000"})
        assert not second.claim("000-000"), "it is finished"

    def test_the_kernel_releases_what_a_killed_process_had(self, tmp_path):
        path = tmp_path / "claims"
        code = f"""
import sys, time
from pathlib import Path
from sde_sgd.study.store._claims import Claims
print(Claims(Path({str(path)!r})).take("unit"), flush=True)
time.sleep(600)
"""
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None and child.stdout.readline() == "True\n"
            claims = Claims(path)
            assert not claims.take("unit") and not claims.take_surely("unit") and claims.take("another")
            with claims.everything() as free:
                assert not free
            claims.release("another")
            child.kill()
        assert claims.take("unit") and claims.holds("unit")
        claims.release("unit")
        with claims.everything() as free:
            assert free and not Claims(path).take("unit")
        assert not claims.holds("unit") and claims.take("unit")
        claims.release("unit")

    def test_where_there_are_no_locks_every_claim_succeeds(self, tmp_path, monkeypatch):
        monkeypatch.setattr("sde_sgd.study.store._claims.fcntl", None)
        study, store = make(tmp_path / "out")
        (store.folder / ".partial" / "left").mkdir()
        assert store.claim("000-000") and Store.open(store.folder).folder == store.folder
        # whose it is cannot be known
        assert (store.folder / ".partial" / "left").is_dir()
        work(store, study)
        assert store.dataset().equals(expected(study))

    def test_leftovers_are_removed_unless_somebody_is_alive(self, tmp_path):
        _, store = make(tmp_path / "out")
        dead = [store.folder / ".partial" / "dead", tmp_path / ".out.new-dead"]
        living = [store.folder / ".partial" / "living", tmp_path / ".out.new-living"]
        for path in (*dead, *living):
            path.mkdir()
            (path / "half").write_text("")
        assert store._claims.take(".partial living")
        making = Claims(living[1] / ".claims")
        assert making.take("making")
        Store.open(store.folder)
        assert [path.exists() for path in (*dead, *living)] == [False, False, True, True]
        store._claims.release(".partial living")
        making.release("making")
        Store.open(store.folder)
        assert not any(path.exists() for path in living)


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


class TestFolder:
    def test_a_study_without_a_finished_unit_does_not_block_its_correction(self, tmp_path):
        """Not even where the old one was killed within its first unit."""
        wrong, store = make(tmp_path / "out", rows=4)
        with disk(30):
            work(store, wrong)
        study, corrected = make(tmp_path / "out", fingerprint="b" * 64)
        assert corrected.text == "rows = 2\n" and corrected.record["fingerprint"] == "b" * 64
        with pytest.raises(StudyError, match="has become another study's"):
            work(store, wrong)
        work(corrected, study, {"000-000"})
        xr.testing.assert_identical(corrected.dataset(), expected(study, {"000-000"}))
        with pytest.raises(StudyError, match=r"already holds a different study, 'numbers' \(fingerprint b{12}, this"):
            make(tmp_path / "out", fingerprint="c" * 64)
        assert corrected.finished() == {"000-000"}

    def test_one_that_is_being_run_is_not_corrected(self, tmp_path):
        _, store = make(tmp_path / "out")
        assert store.claim("000-000")
        with pytest.raises(StudyError, match="already holds a different study"):
            make(tmp_path / "out", fingerprint="b" * 64)
        store.release("000-000")
        make(tmp_path / "out", fingerprint="b" * 64)

    def test_its_record(self, tmp_path):
        _, store = make(tmp_path / "out", 2)
        record = json.loads((store.folder / "study.json").read_text())
        assert record == store.record == Store.open(store.folder).record
        assert record["cells_per_unit"] == 2 and record["seed"] == 0 and record["study"] == {"rows": 2}
        assert {"python", "jax", "zarr", "sde_sgd"} <= set(record["versions"]) and record["device"]

    def test_other_formats_are_named(self, tmp_path):
        for found, reader in ((2, "commit 6e39405"), (4, "another version")):
            (tmp_path / "study.json").write_text(json.dumps({"format": found}))
            with pytest.raises(StudyError, match=f"has format {found}: read it with .*{reader}"):
                Store.open(tmp_path)
        for text in ("{}", "[]", "half", '{"format": 3}'):
            (tmp_path / "study.json").write_text(text)
            with pytest.raises(StudyError, match="is not the record of a study"):
                Store.open(tmp_path)


class TestExport:
    def test_every_number_is_there(self, tmp_path):
        import pandas as pd

        study, store = make(tmp_path / "out", rows=3)
        work(store, study, {"000-000", "000-001", "002-002"})
        data = store.dataset()
        netcdf, table, long = store.export(tmp_path / "export")
        with xr.open_dataset(netcdf, engine="scipy") as read:
            read = read.load()
        for name in data.variables:
            assert np.array_equal(read[name].astype(data[name].dtype), data[name], data[name].dtype.kind == "f"), name
        assert read.attrs["notes"] == data.attrs["notes"]
        assert pd.read_csv(table)["value"].tolist()[:2] == data.value.values[0, :2].tolist()
        lines = pd.read_csv(long)
        curve = lines[(lines.variable == "curve") & (lines.row == "row 2") & (lines.column == 2)]
        assert curve.value.astype(float).tolist() == data.curve.values[2, 2].tolist()
        assert curve.time.tolist() == [0.5, 1.0, 2.0] and set(curve.units) == {"1"}
        assert len(lines) == sum(entry.size for entry in data.data_vars.values())

    def test_one_file_by_its_ending(self, tmp_path):
        study, store = make(tmp_path / "out")
        work(store, study)
        assert store.export(tmp_path / "numbers.csv") == [tmp_path / "numbers.csv"]
        assert store.export(tmp_path / "numbers.nc") == [tmp_path / "numbers.nc"]
        with pytest.raises(StudyError, match=r"ends with \.nc or \.csv, got .*numbers\.xls"):
            store.export(tmp_path / "numbers.xls")


def _filling(self, name):
    def call(*arguments):
        self.count += name == "write"
        if name == "write" and self.count >= self.at:
            raise OSError(28, "No space left on device")
        return getattr(os, name)(*arguments)

    return call
