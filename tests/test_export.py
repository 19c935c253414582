"""A study's numbers in netCDF and CSV."""

import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from store_cases import make, work

from sde_sgd.study import StudyError
from sde_sgd.study.reporting._export import export
from sde_sgd.study.running._look import write_page


class TestExport:
    def test_every_number_is_there(self, tmp_path):
        study, store = make(tmp_path / "out", rows=3)
        work(store, study, {"000-000", "000-001", "002-002"})
        data = store.dataset()
        netcdf, table, long = export(study, data, tmp_path / "export")
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
        assert export(study, store.dataset(), tmp_path / "numbers.csv") == [tmp_path / "numbers.csv"]
        assert export(study, store.dataset(), tmp_path / "numbers.nc") == [tmp_path / "numbers.nc"]
        with pytest.raises(StudyError, match=r"ends with \.nc or \.csv, got .*numbers\.xls"):
            export(study, store.dataset(), tmp_path / "numbers.xls")
        for ending in (".nc", ".csv"):
            with pytest.raises(StudyError, match=rf"ends with \.nc or \.csv, got .*\{ending}"):
                export(study, store.dataset(), tmp_path / ending)
            assert not (tmp_path / ending).exists()
        (tmp_path / ".numbers").mkdir()
        assert len(export(study, store.dataset(), tmp_path / ".numbers")) == 3

    def test_what_cannot_be_written_whole_leaves_what_was_there(self, tmp_path, monkeypatch):
        """A disk that fills up in the third file: all three are those of before, and nothing is beside them."""
        study, store = make(tmp_path / "out")
        work(store, study)
        place = tmp_path / "export"
        before = {path: path.read_bytes() for path in export(study, store.dataset(), place)}
        to_csv = pd.DataFrame.to_csv

        def full(frame, path, **options):
            to_csv(frame.head(1), path, **options)
            if "long" in path.name:
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(pd.DataFrame, "to_csv", full)
        with pytest.raises(StudyError, match="failed: No space left on device"):
            export(study, store.dataset(), place)
        assert {path: path.read_bytes() for path in place.iterdir()} == before

    def test_a_page_takes_a_name_when_it_is_whole(self, tmp_path, monkeypatch):
        page, link = tmp_path / "page.html", tmp_path / "link.html"
        link.symlink_to(page)
        write_page(link, "the first")
        assert link.is_symlink() and page.read_text() == "the first"
        write_page("/dev/null", "nowhere")
        write_text = Path.write_text

        def full(path, text, encoding):
            write_text(path, text[:3], encoding)
            raise OSError(errno.EFBIG, "File too large")

        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(StudyError, match="cannot be written: File too large"):
            write_page(page, "the second")
        assert page.read_text() == "the first" and len(list(tmp_path.iterdir())) == 2
