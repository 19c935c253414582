"""A study kind whose cells are arithmetic, in a module that other processes can import; it can be told to misbehave.

Beside a study's folder, files named `die-KEY`, `fail-KEY`, `slow` and `wait` tell what a cell does in place of its
answer, or before it; each cell leaves a file `ran-KEY-PID` there.
"""

import os
import signal
import time
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from sde_sgd.study import AbstractStudy, Column, register


@register
class CheapStudy(AbstractStudy):
    """x and y along two axes; the answer is drawn by the cell's seed."""

    kind: Literal["cheap"]
    rows: int = 2
    length: int = 4
    around: str = ""

    def axes(self):
        return {"row": self.rows, "place": self.length}

    def coordinates(self):
        described = {"units": "1", "long_name": "place"}
        return {"place": ("place", np.arange(self.length, dtype=float), described)}

    def work(self, index):
        return 1.0 + index["row"]

    def run_cell(self, cell, shared):
        around = Path(self.around)
        if self.around:
            (around / f"ran-{cell.key}-{os.getpid()}-{time.monotonic_ns()}").touch()
            if (around / f"die-{cell.key}").exists():
                _take(around / f"die-{cell.key}")
                os.kill(os.getpid(), signal.SIGKILL)
            if (around / f"fail-{cell.key}").exists():
                raise ValueError("value must be above 0, got -1")
            if (around / f"bug-{cell.key}").exists():
                raise TypeError("a bug")
            if (around / "slow").exists():
                time.sleep(float((around / "slow").read_text()))
            while (around / f"wait-{cell.key}").exists():
                time.sleep(0.02)
        value = np.random.default_rng(cell.seed).normal()
        named = {"value": value, "value_low": value - 1, "value_high": value + 1, "path_steps": 100.0}
        data = xr.Dataset({name: ((), number, {"units": "1", "long_name": name}) for name, number in named.items()})
        data["trajectories"], data["diverged"] = ((), 10.0), ((), 0.0)
        data["status"] = ((), "complete", {"units": "", "long_name": "status"})
        return data

    def columns(self):
        return [Column("place", "place"), Column("value", "value", "its value", interval=True)]


def _take(file):
    """A file says how often a cell dies yet: nothing, once."""
    left = int(file.read_text() or 1) - 1
    if left:
        file.write_text(str(left))
    else:
        file.unlink()


TEXT = 'kind = "cheap"\nrows = {rows}\nlength = {length}\naround = "{around}"\n'


def write(folder, rows=2, length=4):
    """A study file in `folder`, which its cells look at; returns its path."""
    folder.mkdir(exist_ok=True)
    path = folder / "cheap.toml"
    path.write_text(TEXT.format(rows=rows, length=length, around=folder))
    return path


def ran(folder):
    """Keys of the cells that were begun, once for each time."""
    return sorted(path.name.split("-pid")[0].removeprefix("ran-")[:7] for path in folder.glob("ran-*"))
