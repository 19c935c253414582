"""Compiled programs on disk: a second process compiles nothing, the folder stays bounded, torn entries go."""

import os
import subprocess
import sys
import zlib

import pytest

import sde_sgd as ss
from sde_sgd import _program_cache

ASK = """
import os, numpy as np, sde_sgd as ss
place = ss.keep_programs({folder!r})
import jax
made, found = [], []
jax.monitoring.register_event_listener(lambda name, **_: (found if name.endswith("cache_hits") else made if
    name.endswith("cache_misses") else []).append(name))
wells = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, 1)
chain = ss.EulerMaruyama(ss.Langevin(wells, 0.3), 0.01)
p = ss.simulate(chain, np.array([-1.0]), 64, 500, seed=1).mean()
print(place, os.environ.get("JAX_COMPILATION_CACHE_DIR"), p, len(made), len(found), sep="|")
"""


def ask(folder, **environment):
    environment = {"JAX_PLATFORMS": "cpu", **environment}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(folder=folder)],
        env=inherited | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    place, variable, p, made, found = done.stdout.strip().split("|")
    assert not done.stderr
    return place, variable, float(p), int(made), int(found)


def test_a_second_process_compiles_nothing(tmp_path):
    place, variable, p, made, _ = ask(str(tmp_path))
    assert place.startswith(str(tmp_path)) and variable == place and made > 0
    # what compiles within some milliseconds is not kept, may be made again, and kept then by a slower process
    kept = len(list((tmp_path / os.path.basename(place)).glob("*-cache")))
    again = ask(str(tmp_path))
    assert again[2] == p and again[4] >= kept > 0


def test_settings_of_jax_come_first(tmp_path):
    own = tmp_path / "own"
    place, *_ = ask(str(tmp_path / "other"), JAX_COMPILATION_CACHE_DIR=str(own))
    assert place == str(own) and not (tmp_path / "other").exists()


@pytest.fixture
def nothing_set(monkeypatch):
    changed = {}
    monkeypatch.setattr(_program_cache, "_set", changed.update)
    monkeypatch.setattr(_program_cache, "_in_use", lambda: None)
    return changed


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path, nothing_set):
    (tmp_path / "file").write_text("")
    assert ss.keep_programs(tmp_path / "file") is None
    assert nothing_set == {}


def test_the_oldest_go_first_and_torn_entries_go(tmp_path, nothing_set):
    place = ss.keep_programs(tmp_path)
    assert place is not None and nothing_set["jax_compilation_cache_dir"] == str(place)
    whole = zlib.compress(os.urandom(1_000))
    for number in range(5):
        path = place / f"{number}-cache"
        path.write_bytes(whole)
        os.utime(path, (2_000_000_000 + number,) * 2)
    torn = place / "torn-cache"
    torn.write_bytes(whole[:500])
    os.utime(torn, (2_000_000_010,) * 2)
    ss.keep_programs(tmp_path, most_bytes=500 + 3 * len(whole))
    assert sorted(path.name for path in place.glob("*-cache")) == ["2-cache", "3-cache", "4-cache"]


def test_bad_input():
    with pytest.raises(ValueError, match="most_bytes must be"):
        ss.keep_programs(most_bytes=0)
