"""A small escape study, and one with known numbers that nothing was simulated for."""

import numpy as np
import xarray as xr

from sde_sgd.study import EscapeStudy, combine, parse

SMALL = """
kind = "escape"
horizon = 2.0
trajectories = 400
monitoring = "continuous"
substeps = 2
[landscape]
kind = "TwoWells"
sharp_curvature = 8.0
flat_curvature = 2.0
barrier = 0.1
[noise]
kind = "Isotropic"
beta = 32.0
[sweep]
learning_rate = [0.04, 0.08]
batch_size = [8, 16]
[[start]]
name = "sharp"
point = "sharp_minimum"
saddle = "saddle"
[reference]
grid = [-1.6, 2.4, 200]
"""


def fake_cells(study):
    """Cells of an escape study with known numbers, made without simulating."""
    times = study.times()
    cells = {}
    for cell in study.cells():
        values = study.values_at(cell.index)
        speed = 100 * values["sweep.learning_rate"] / values["sweep.batch_size"]
        survival = np.exp(-speed * times)
        values = {name: speed for name in ("mean_exit_time", "exit_rate")} | {"probability": 1 - survival[-1]}
        values |= {"survival": survival}
        values |= {f"{name}_low": 0.9 * value for name, value in values.items()} | {
            f"{name}_high": 1.1 * value for name, value in values.items()
        }
        values |= {"exit_linearised": 0.5 * (1 - survival), "exit_exact": 1 - survival, "temperature": 0.25}
        values |= {"mean_exit_time_exact": 1 / speed, "mean_exit_time_eyring_kramers": 2 / speed}
        values |= {"diverged": 0.0, "censored": 1.0, "trajectories": 400.0, "cell_seed": 0.0, "status": "complete"}
        described = {name: (("time",) * np.ndim(value), value) for name, value in values.items()}
        cells[cell.key] = xr.Dataset(described, {"time": times}, {"notes": ""})
    return cells


def fake_dataset(text=SMALL):
    """An escape study with known numbers, its cells and its dataset."""
    study = parse(text, "fake")
    assert isinstance(study, EscapeStudy)
    cells = fake_cells(study)
    return study, cells, combine(study, cells)


def killed(*args, **kwargs):
    raise SystemExit("killed")
