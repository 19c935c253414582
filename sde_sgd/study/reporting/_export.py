"""A study's numbers for other programs: netCDF, and CSV of the table and of every number."""

from pathlib import Path
from typing import TYPE_CHECKING

from .._errors import StudyError
from .._replacing import replacing
from ._report import rows

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from .._kind import AbstractStudy

_ENDINGS = ".nc", ".csv"


def export(study: "AbstractStudy", dataset: "xr.Dataset", target: Path) -> list[Path]:
    """Write files that replace those of their names, all of them or none; returns their paths.

    target: a folder for dataset.nc, table.csv and long.csv, made if need be; or a file that ends with .nc, or with
    .csv for the table. Raises StudyError for another ending, and where the files cannot be written.
    """
    if (target.suffix or target.name in _ENDINGS) and not target.is_dir():
        # a name that is only an ending has none, to pathlib, and would be a hidden folder
        if target.suffix not in _ENDINGS:
            raise StudyError(f"export writes a folder, or a file that ends with .nc or .csv, got {target}")
        written = {target: target.suffix}
    else:
        written = {target / "dataset.nc": ".nc", target / "table.csv": ".csv", target / "long.csv": "long"}
    try:
        next(iter(written)).parent.mkdir(parents=True, exist_ok=True)
        with replacing(*written) as parts:
            for path, what in zip(parts, written.values(), strict=True):
                if what == ".nc":
                    _netcdf(dataset, path)
                else:
                    table = rows(study, dataset) if what == ".csv" else long_form(dataset)
                    table.to_csv(path, index=False)
    except OSError as error:
        raise StudyError(f"export to {target} failed: {error.strerror or error}") from None
    return list(written)


def long_form(dataset: "xr.Dataset") -> "pd.DataFrame":
    """One row for each number of the variables: its place along the dimensions, its variable, its value and units.

    dataset: as `combine` makes it. A dimension that a variable lacks is blank, as is what is not known.
    """
    import pandas as pd

    parts = []
    for name, entry in dataset.data_vars.items():
        entry = entry.drop_vars([coordinate for coordinate in entry.coords if coordinate not in entry.dims])
        # a scalar has no rows of its own
        rows = entry.to_dataframe(name="value").reset_index() if entry.ndim else pd.DataFrame({"value": [entry.item()]})
        rows = rows.assign(variable=str(name), units=str(entry.attrs.get("units", "")))
        parts.append(rows.astype({"value": object}))
    columns = [*map(str, dataset.sizes), "variable", "value", "units"]
    return pd.concat(parts or [pd.DataFrame()], ignore_index=True).reindex(columns=columns)


def _netcdf(dataset: "xr.Dataset", path: Path) -> None:
    """NetCDF 3 with 64-bit offsets, which SciPy writes and every netCDF program reads."""
    described = dataset.copy()
    for entry in (described, *described.variables.values()):
        entry.attrs = {name: _attribute(value) for name, value in entry.attrs.items() if value is not None}
    described.to_netcdf(path, engine="scipy", format="NETCDF3_64BIT")


def _attribute(value: object) -> object:
    return int(value) if isinstance(value, bool) else str(value) if isinstance(value, dict) else value
