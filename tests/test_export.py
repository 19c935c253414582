"""A study's numbers in netCDF and CSV."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from store_cases import make, work

from sde_sgd.study import StudyError
from sde_sgd.study.reporting._export import export


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
