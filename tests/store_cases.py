"""A study kind whose cells are a few NumPy numbers, for tests of what happens to a study's folder."""

import contextlib
import os
from typing import Literal

import numpy as np
import xarray as xr

from sde_sgd.study import AbstractStudy, Column, Store, combine
from sde_sgd.study._units import units
from sde_sgd.study.store import _claims, _files


class NumbersStudy(AbstractStudy):
    """Random numbers, one row for each of `rows`; not registered, so that no other test sees it."""

    kind: Literal["numbers"] = "numbers"
    rows: int = 2
    columns_in_row: int = 3
    has_status: bool = True

    def axes(self):
        return {"row": self.rows, "column": self.columns_in_row}

    def coordinates(self):
        rows = ("row", [f"row {number}" for number in range(self.rows)], {"long_name": "row"})
        ratio = (("row", "column"), np.arange(self.rows * self.columns_in_row, dtype=float).reshape(self.rows, -1), {})
        return {"row": rows, "column": ("column", np.arange(self.columns_in_row), {}), "ratio": ratio}

    def run_cell(self, cell, shared):
        draws = np.random.default_rng(cell.seed).normal(size=8)
        data = xr.Dataset(
            {
                "value": ((), draws[0], {"units": "1", "long_name": "a number"}),
                "count": ((), int(100 * abs(draws[1])), {"units": "trajectories"}),
                "curve": (("time",), draws[2:5], {"units": "1"}),
                "name": (("part",), [f"α{cell.key}", "b"], {}),
                "path_steps": ((), 10.0, {"units": "steps"}),
            },
            {"time": ("time", [0.5, 1.0, 2.0], {"units": "SDE time"})},
            {"notes": f"note of {cell.key}" if cell.index["column"] == 1 else "", "parameters": 3, "own": cell.key},
        )
        if self.has_status:
            data["status"] = ((), "complete" if draws[5] > 0 else "budget spent", {})
        return data

    def columns(self):
        return [Column("row", "row"), Column("value", "value")]


def make(folder, cells_per_unit=1, fingerprint="a" * 64, **fields):
    """A study, and its store in `folder`."""
    study = NumbersStudy(name="numbers", **fields)
    store = Store.create(folder, f"rows = {study.rows}\n", study.name, fingerprint, "", cells_per_unit)
    return study, store.bind(study)


def work(store, study, keys=None):
    """Compute and save the units of these keys, or all that are not finished; returns the keys."""
    done = store.finished() if keys is None else set()
    chosen = [unit for unit in units(study, store.record["cells_per_unit"]) if unit.key in (keys or {unit.key} - done)]
    for unit in chosen:
        store.save_unit(unit, [study.run_cell(cell, None) for cell in unit.cells], {"wall_seconds": 1.0})
    return [unit.key for unit in chosen]


def expected(study, keys=None):
    """The dataset of these cells, or of all, made without a store."""
    return combine(
        study, {cell.key: study.run_cell(cell, None) for cell in study.cells() if keys is None or cell.key in keys}
    )


def opened(store):
    """What a reader with xarray alone sees."""
    with xr.open_zarr(store.folder / "dataset.zarr") as dataset:
        return dataset.load()


def tree(folder):
    """Every file below a folder, and what is in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Killed(BaseException):
    """What a killed process would have done is not done."""


class Disk:
    """The module `os` as the store's files see it, which stops for good at one of its changes to the disk.

    at: number of the change that does not happen; None for never. half: a write that is killed leaves half of its data.
    """

    counted = ("open", "write", "replace", "rename", "mkdir", "unlink", "rmdir")

    def __init__(self, at=None, half=False):
        self.at, self.half, self.count, self.committed = at, half, 0, set()

    def __getattr__(self, name):
        return self._counting(name) if name in self.counted else getattr(os, name)

    def fsync(self, handle):
        """No test cuts the power."""

    def _counting(self, name):
        def call(*arguments):
            self.count += 1
            if self.at is not None and self.count >= self.at:
                if self.count == self.at and name == "write" and self.half:
                    os.write(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                raise Killed
            done = getattr(os, name)(*arguments)
            if name == "replace" and os.path.basename(os.path.dirname(arguments[1])) == "status":
                self.committed.add(os.path.basename(arguments[1]))
            return done

        return call


@contextlib.contextmanager
def disk(at=None, half=False):
    """Within it the store's changes to the disk are counted, and killed at number `at`; its locks go with it."""
    counting = Disk(at, half)
    _files.os = counting
    try:
        yield counting
    except Killed:
        for handle in _claims._handles.values():
            os.close(handle.descriptor)
        _claims._handles.clear()
    finally:
        _files.os = os
