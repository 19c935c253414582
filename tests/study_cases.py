"""Small studies of several kinds, and one with known numbers that nothing was simulated for."""

import numpy as np
import xarray as xr

import sde_sgd as ss
from sde_sgd.study import EscapeStudy, combine, parse, run

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
WELLS = """
[landscape]
kind = "TwoWells"
sharp_curvature = 8.0
flat_curvature = 2.0
barrier = 1.0
"""
# of the minima of TwoWells, from the sharp one
MINIMA = """
[[minimum]]
name = "sharp"
point = "sharp_minimum"
[[minimum]]
name = "flat"
point = "flat_minimum"
[[start]]
name = "sharp"
point = "sharp_minimum"
"""
OCCUPANCY = f"""
kind = "occupancy"
dt = 0.05
times = [1.0, 20.0]
trajectories = 512
{WELLS}
[sweep]
temperature = [0.6, 1.2]
[[start]]
name = "left"
point = [-1.5]
[[start]]
name = "right"
point = "flat_minimum"
[region.sharp]
kind = "HalfSpace"
normal = [1.0]
offset = -0.5
[region.flat]
kind = "HalfSpace"
normal = [-1.0]
offset = 0.5
[reference]
grid = [-5.0, 6.0, 300]
"""
TRANSITIONS = f"""
kind = "transitions"
dt = 0.02
rtol = 0.3
method = "direct"
{WELLS}
[noise]
kind = "Isotropic"
beta = 50.0
[sweep]
learning_rate = 0.1
batch_size = [10, 12.5]
[[minimum]]
name = "sharp"
point = "sharp_minimum"
[[minimum]]
name = "flat"
point = [1.4]
[reference]
grid = [-4.0, 5.0, 400]
"""
COMPARE = """
kind = "compare"
time = 0.5
networks = 40
permutations = 99
measures = ["loss", "norm"]
[landscape]
kind = "EmpiricalRisk"
loss = "squared_error"
penalty = 0.01
seed = 3
[landscape.data]
name = "diabetes"
examples = 20
[landscape.network]
hidden = []
[sweep]
learning_rate = [0.05, 0.1]
batch_size = 4
[[chain]]
name = "SGD"
kind = "MinibatchSGD"
[[chain]]
name = "wild"
kind = "SVAG"
l = 2
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


def made(text, folder, name="small"):
    (folder / f"{name}.toml").write_text(text)
    return run(folder / f"{name}.toml", folder / name, progress=False)


def assert_answers(text, dataset):
    """What a study says that its dataset will have is there, over the dimensions that it says."""
    study = parse(text, "x")
    assert study.answers()
    for name, own in study.answers().items():
        assert set(dataset[name].dims) == {*study.axes(), *own}, name


def wells():
    return ss.landscapes.TwoWells(sharp_curvature=8.0, flat_curvature=2.0, barrier=1.0)
