"""The folder of a study: its dataset, as readers see it grow; its record; its correction."""

import json

import numpy as np
import pytest
import xarray as xr
from store_cases import NumbersStudy, disk, expected, make, opened, tree, work

from sde_sgd.study import Store, StudyError, combine
from sde_sgd.study._units import units


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
        assert record.pop("crc32c") > 0
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
