"""A study whose cells take a known CPU time and whose dataset is as large as that of an escape."""

import time
from typing import Literal

import numpy as np
import xarray as xr

from sde_sgd.study import AbstractStudy, Column, register

TIMES = 60


@register
class TimedStudy(AbstractStudy):
    """Cells that each take `seconds` of the CPU."""

    kind: Literal["benchmark_timed"]
    number: int = 100
    seconds: float = 0.0

    def axes(self):
        return {"place": self.number}

    def coordinates(self):
        return {"place": ("place", np.arange(self.number, dtype=float), {"units": "1", "long_name": "place"})}

    def run_cell(self, cell, shared):
        end = time.thread_time() + self.seconds
        while time.thread_time() < end:
            pass
        random = np.random.default_rng(cell.seed)
        data = xr.Dataset(coords={"time": np.arange(TIMES, dtype=float)})
        for name in ("survival", "survival_low", "survival_high", "exit_linearised", "exit_exact"):
            data[name] = ("time", random.uniform(size=TIMES), {"units": "1", "long_name": name})
        for name in ("probability", "mean_exit_time", "exit_rate"):
            for bound in ("", "_low", "_high"):
                data[name + bound] = ((), float(random.uniform()), {"units": "1", "long_name": name})
        for name in ("trajectories", "diverged", "censored", "path_steps", "cell_seed", "temperature"):
            data[name] = ((), 1.0, {"units": "1", "long_name": name})
        data["status"] = ((), "complete", {"units": "", "long_name": "status"})
        return data

    def columns(self):
        return [Column("place", "place"), Column("P", "probability", interval=True)]
