"""The folder of a study under any sequence of saves, kills, damage and reopening, with two stores on it.

What holds at all times: the dataset is that of the cells whose units were committed and not damaged since, as if it had
been made without a folder; and a reader with xarray alone sees no half of a unit once a store has looked at it.
"""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from store_cases import disk, expected, make, opened

from sde_sgd.study import Store, StudyError
from sde_sgd.study._units import units
from sde_sgd.study.store._folder import to_bytes

CELLS_PER_UNIT = 2
stores = st.integers(0, 1)
numbers = st.integers(0, 3)
# of the arrays that units fill
VARIABLES = ("value", "count", "curve", "name", "path_steps", "status")
variables = st.sampled_from(VARIABLES)


class Folder(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.parent = Path(tempfile.mkdtemp())
        with disk():
            self.study, store = make(self.parent / "out", CELLS_PER_UNIT)
        self.units = units(self.study, CELLS_PER_UNIT)
        self.stores = [store, Store.open(store.folder).bind(self.study)]
        self.folder = store.folder
        self.committed: set[str] = set()

    def teardown(self):
        shutil.rmtree(self.parent)

    @rule(which=stores, number=numbers)
    def save(self, which, number):
        with disk():
            self._save(self.stores[which], number)
        self.committed.add(self.units[number].key)

    @rule(which=stores, number=numbers, at=st.integers(1, 60), half=st.booleans())
    def save_and_be_killed(self, which, number, at, half):
        """The process comes back as a new store; the other store knows nothing of it."""
        with disk(at, half) as killed:
            self._save(self.stores[which], number)
        if killed.committed:
            self.committed.add(self.units[number].key)
        self.reopen(which)

    @rule(which=stores, at=st.integers(1, 30))
    def look_and_be_killed(self, which, at):
        """Also in the midst of repairs."""
        with disk(at):
            Store.open(self.folder).bind(self.study).dataset()
        self.reopen(which)

    @rule(which=stores)
    def reopen(self, which):
        with disk():
            self.stores[which] = Store.open(self.folder).bind(self.study)
        assert list((self.folder / ".partial").iterdir()) == []

    @rule(number=numbers, name=variables, how=st.sampled_from(["cut", "flip", "hidden flip", "delete"]))
    def damage_a_chunk(self, number, name, how):
        self._damage(self._chunk(number, name), how)
        self.committed.discard(self.units[number].key)

    @rule(number=numbers, how=st.sampled_from(["cut", "flip", "delete"]))
    def damage_an_account(self, number, how):
        self._damage(self.folder / "units" / f"{self.units[number].key}.json", how)
        self.committed.discard(self.units[number].key)

    @rule(one=numbers, other=numbers, name=st.sampled_from(["value", "curve", "name"]))
    def exchange_chunks(self, one, other, name):
        first, second = self._chunk(one, name), self._chunk(other, name)
        if one != other and first.exists() and second.exists():
            data = first.read_bytes()
            first.write_bytes(second.read_bytes())
            second.write_bytes(data)
            self.committed -= {self.units[one].key, self.units[other].key}

    @rule(which=stores, name=st.sampled_from(["zarr.json", "value/zarr.json", "row/c.0", "status/zarr.json"]))
    def damage_what_is_known_twice(self, which, name):
        """Nothing is lost, once a store has been opened."""
        self._damage(self.folder / "dataset.zarr" / name, "cut")
        self.reopen(which)

    @rule(
        changes=st.sampled_from([{"fingerprint": "b" * 64}, {"cells_per_unit": 1}, {"cells_per_unit": 3}]),
        closed=st.booleans(),
        look=st.booleans(),
    )
    def edit_the_record_and_look(self, changes, closed, look):
        """By hand, or with its CRC right, for a moment: who looks then, or would run it, removes nothing of a unit."""
        path = self.folder / "study.json"
        before, whole, units = path.read_bytes(), json.loads(path.read_bytes()), self._of_units()
        edited = {name: value for name, value in whole.items() if name != "crc32c"} | changes
        path.write_bytes(to_bytes(edited) if closed else json.dumps(whole | changes, indent=2).encode())
        with disk(), contextlib.suppress(StudyError):
            Store.open(self.folder, look=look).bind(self.study).dataset()
        assert all(self._of_units()[key] == units[key] for key in self.committed)
        path.write_bytes(before)

    @rule(columns=st.sampled_from([2, 4, 5]))
    def look_with_another_text(self, columns):
        """As where study.toml was edited."""
        before = self._of_units()
        with disk(), contextlib.suppress(StudyError):
            other = self.study.model_copy(update={"columns_in_row": columns})
            Store.open(self.folder, look=True).bind(other).dataset()
        assert self._of_units() == before

    @invariant()
    def the_dataset_is_that_of_the_committed_units(self):
        with disk():
            store = Store.open(self.folder).bind(self.study)
            found = store.dataset()
        cells = {cell.key for unit in self.units if unit.key in self.committed for cell in unit.cells}
        whole = expected(self.study, cells)
        xr.testing.assert_identical(found, whole)
        for each in (store, *self.stores):
            assert each.finished() == self.committed
        for name, entry in opened(store).data_vars.items():
            if name in whole:
                assert np.array_equal(entry.astype(whole[name].dtype), whole[name], entry.dtype.kind == "f"), name
            else:
                assert np.all(entry == "") if entry.dtype.kind in "OT" else np.all(np.isnan(entry)), name

    def _save(self, store, number):
        unit = self.units[number]
        store.save_unit(unit, [self.study.run_cell(cell, None) for cell in unit.cells], {})

    def _of_units(self):
        """The files of each unit, by its key."""
        paths = {
            unit.key: [
                self.folder / "units" / f"{unit.key}.json",
                *(self._chunk(number, name) for name in VARIABLES),
            ]
            for number, unit in enumerate(self.units)
        }
        return {key: [path.read_bytes() for path in files if path.exists()] for key, files in paths.items()}

    def _chunk(self, number, name):
        place = f"c.{number // 2}.{number % 2}" + (".0" if name in ("curve", "name") else "")
        return self.folder / "dataset.zarr" / name / place

    @staticmethod
    def _damage(path, how):
        if not path.exists():
            return
        data, before = path.read_bytes(), path.stat()
        if how == "delete":
            path.unlink()
        elif how == "cut":
            path.write_bytes(data[: len(data) // 2])
        else:
            path.write_bytes(data[:3] + bytes([data[3] ^ 4]) + data[4:])
            if how == "hidden flip":
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


class LongerFolder(Folder):
    """The same, for longer."""


TestFolder, TestLongerFolder = Folder.TestCase, pytest.mark.long(LongerFolder.TestCase)
TestFolder.settings = settings(
    max_examples=5,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestLongerFolder.settings = settings(TestFolder.settings, max_examples=20)
