"""Studies survive SIGKILL at any instant: the dataset has the bits of a run that nobody interrupted."""

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr
from store_cases import NumbersStudy, expected, opened, tree
from survivor import COLUMNS, PILOTED, ROWS

from sde_sgd.study import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL and fork are of POSIX systems")
STUDY = NumbersStudy(name="numbers", rows=ROWS, columns_in_row=COLUMNS)


def survive(folder, *what, seed=0):
    """The workers of `survivor`: what killed how many of them, and how often each unit was saved."""
    command = [sys.executable, str(Path(__file__).with_name("survivor.py")), str(folder), str(seed), *what]
    # the package that is tested, wherever that is
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths}, timeout=300)
    assert ended.returncode == 0, ended.stderr
    log = Path(f"{folder}.log")
    return json.loads(ended.stdout.splitlines()[-1]), collections.Counter(log.read_text().split())


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of a run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("alone") / "out"
    killed, saved = survive(folder, "alone")
    assert not any(killed.values()) and set(saved.values()) == {1}
    return folder


def same(folder, alone):
    """The same bits in memory, for xarray alone, and byte for byte on the disk; and nothing left over."""
    store = Store.open(folder).bind(STUDY)
    assert store.finished() == {cell.key for cell in STUDY.cells()} and store.torn() == set()
    xr.testing.assert_identical(store.dataset(), expected(STUDY))
    xr.testing.assert_equal(opened(store), expected(STUDY))
    assert tree(folder / "dataset.zarr") == tree(alone / "dataset.zarr")
    assert list((folder / ".partial").iterdir()) == []
    assert {path.name for path in folder.parent.iterdir()} == {"out", "out.log"}


@pytest.mark.long
def test_kills_until_the_study_is_complete(tmp_path, alone):
    """Some 60 workers in one folder; those killed between the data and the `status` of a unit are counted apart."""
    killed, saved = survive(tmp_path / "out", "kills", seed=16)
    assert sum(killed.values()) >= 40 and killed["status"] >= 10 and killed["instant"] >= 3, killed
    # one that was killed after its commit is not in the log, and none was computed again after it
    assert max(saved.values()) == 1
    same(tmp_path / "out", alone)


@pytest.mark.long
def test_two_runs_on_one_folder_share_the_work(tmp_path, alone):
    """One is killed: the other finishes, with what the killed one had claimed, and computes nothing twice."""
    killed, saved = survive(tmp_path / "out", "share")
    assert killed["instant"] == 1 and max(saved.values()) == 1
    same(tmp_path / "out", alone)


@pytest.fixture(scope="module")
def piloted(tmp_path_factory):
    """The folder of a run that nobody interrupted, of a study whose numbers are by its pilot."""
    folder = tmp_path_factory.mktemp("piloted") / "out"
    killed, saved = survive(folder, "alone", "pilot")
    assert not any(killed.values()) and len(saved) == 56 and set(saved.values()) == {1}
    return folder


def same_with_pilot(folder, alone):
    """The same bits in both folders, and nothing left over."""
    for part, study in {"": PILOTED, "pilot": PILOTED.pilot()}.items():
        assert study is not None
        for each in (folder, alone):
            store = Store.open(each / part).bind(study)
            assert store.dataset().attrs["cells_finished"] == 28 and store.torn() == set()
            assert list((each / part / ".partial").iterdir()) == []
        assert tree(folder / part / "dataset.zarr") == tree(alone / part / "dataset.zarr")
    assert {path.name for path in folder.iterdir()} == {path.name for path in alone.iterdir()}
    assert {path.name for path in folder.parent.iterdir()} == {"out", "out.log"}


@pytest.mark.long
def test_kills_within_a_pilot_and_after_it(tmp_path, piloted):
    killed, saved = survive(tmp_path / "out", "kills", "pilot", seed=16)
    assert sum(killed.values()) >= 40 and killed["between"] >= 2 and killed["instant"] >= 3, killed
    assert max(saved.values()) == 1
    same_with_pilot(tmp_path / "out", piloted)


@pytest.mark.long
def test_two_runs_on_one_folder_share_a_pilot(tmp_path, piloted):
    """One is killed within it: the other finishes that, and the study."""
    killed, saved = survive(tmp_path / "out", "share", "pilot")
    assert killed["instant"] == 1 and max(saved.values()) == 1
    same_with_pilot(tmp_path / "out", piloted)
