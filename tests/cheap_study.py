"""A study kind whose cells are arithmetic, in a module that other processes can import; it can be told to misbehave.

Files in the folder `around` tell a cell what to do before its answer: `slow` holds seconds to sleep, `wait-KEY` is
waited for until it is gone, `die-KEY` holds how often its process is to be killed, `fail-KEY` is a mistake, `bug-KEY`
an error, and with `lost-KEY` all its trajectories diverge. Each cell that begins leaves a file `ran-KEY-PID-TIME`
there. With a budget the study has a pilot, by whose mean its own values are moved; the KEY of its own cells is
`main-KEY` then.
"""

import os
import signal
import time
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from sde_sgd.study import AbstractStudy, Column, Told, register


@register
class CheapStudy(AbstractStudy):
    """Numbers drawn by the cells' seeds, over two axes."""

    kind: Literal["cheap"]
    rows: int = 2
    length: int = 4
    around: str = ""
    budget: float | None = None

    def axes(self):
        return {"row": self.rows, "place": self.length}

    def coordinates(self):
        return {"place": ("place", np.arange(self.length, dtype=float), {"units": "1", "long_name": "place"})}

    def work(self, index):
        return 1.0 + index["row"]

    def pilot(self):
        table = {key: value for key, value in self._table.items() if key != "budget"}
        return None if self.budget is None else type(self).model_validate(table | {"name": f"{self.name}-pilot"})

    def told_by(self, pilot):
        return Told(np.full((self.rows, self.length), float(pilot["value"].mean())), np.ones((self.rows, self.length)))

    def informed(self, shared, told):
        return told

    def run_cell(self, cell, shared):
        if self.around:
            _obey(Path(self.around), cell.key if self.budget is None else f"main-{cell.key}")
        value = np.random.default_rng(cell.seed).normal()
        if self.budget is not None:
            value += float(shared().share[0, 0])
        named = {"value": value, "value_low": value - 1, "value_high": value + 1, "path_steps": 100.0}
        named |= {"trajectories": 10.0, "diverged": 10.0 * (Path(self.around) / f"lost-{cell.key}").exists()}
        data = xr.Dataset({name: ((), number, {"units": "1", "long_name": name}) for name, number in named.items()})
        data["status"] = ((), "complete", {"units": "", "long_name": "whether what was asked for was done"})
        return data

    def columns(self):
        return [Column("place", "place"), Column("value", "value", "its value", interval=True)]


def _obey(around, key):
    (around / f"ran-{key}-{os.getpid()}-{time.monotonic_ns()}").touch()
    dies = around / f"die-{key}"
    if dies.exists():
        left = int(dies.read_text()) - 1
        dies.write_text(str(left))
        if not left:
            dies.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    if (around / f"fail-{key}").exists():
        raise ValueError("value must be above 0, got -1")
    if (around / f"bug-{key}").exists():
        raise TypeError("a bug")
    if (around / "slow").exists():
        time.sleep(float((around / "slow").read_text()))
    while (around / f"wait-{key}").exists():
        time.sleep(0.01)


def write(folder, rows=2, length=4, more=""):
    """A study file in `folder`, where its cells look for what they are told; returns its path. more: lines of it."""
    folder.mkdir(exist_ok=True)
    path = folder / "cheap.toml"
    path.write_text(f'kind = "cheap"\nrows = {rows}\nlength = {length}\naround = "{folder}"\n{more}')
    return path


def begun(folder):
    """Key and process of each cell that was begun, in order."""
    files = [path.name.removeprefix("ran-").rsplit("-", 2) for path in folder.glob("ran-*")]
    return [(key, int(process)) for key, process, _ in sorted(files, key=lambda parts: int(parts[2]))]
