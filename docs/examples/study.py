# %%
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np

import sde_sgd as ss
from sde_sgd import study

folder = Path(tempfile.mkdtemp())
text = """
kind = "escape"
horizon = 2.0
trajectories = 256
[landscape]
kind = "TwoWells"
barrier = 0.1
[noise]
kind = "Isotropic"
beta = 32.0
[sweep]
learning_rate = [0.04, 0.08]
batch_size = [8]
[[start]]
name = "sharp"
point = "sharp_minimum"
saddle = "saddle"
"""

# %% packaged, packaged_text
"escape" in study.packaged()  # → True
study.packaged_text("escape").splitlines()[1]  # → kind = "escape"

# %% parse, read_changes, StudyError
asked = study.parse(text, "small", study.read_changes(["horizon=1.5"]))
asked.horizon  # → 1.5
try:
    study.parse("kind = 'escpe'", "wrong")
except study.StudyError as error:
    told = str(error)
"escape" in told  # → True

# %% EscapeStudy, OccupancyStudy, TransitionsStudy, CompareStudy, TrainStudy, TrainedEscapeStudy, DigitsStudy
kinds = {
    "escape": study.EscapeStudy, "occupancy": study.OccupancyStudy, "transitions": study.TransitionsStudy,
    "compare": study.CompareStudy, "batch": study.TrainStudy, "trained_escape": study.TrainedEscapeStudy,
    "digits": study.DigitsStudy,
}  # fmt: skip
# each packaged study is of its kind, and a study from Python is one of these objects
[name for name, kind in kinds.items() if type(study.parse(study.packaged_text(name), name)) is not kind]  # → []

# %% plan, Plan
planned: study.Plan = study.plan(asked)
planned.cells  # → 2

# %% run, Outcome
outcome: study.Outcome = study.run(asked, folder / "small", progress=False)
outcome.computed, outcome.complete  # → (2, True)
outcome.dataset.probability.squeeze().values.round(1)

# %% init, worker, resume
begun = study.init(asked, folder / "shared")
study.worker(begun, shard=(0, 2), progress=False)  # → 1
study.resume(begun, progress=False).computed  # → 1

# %% status, Progress
progress: study.Progress = study.status(begun)
progress.finished  # → 2

# %% redraw, report_html, export
study.redraw(begun).complete  # → True
study.report_html(begun).name  # → report.html
sorted(path.name for path in study.export(begun))  # → ['dataset.nc', 'long.csv', 'table.csv']

# %% report, rows, Column
table = study.rows(asked, outcome.dataset)
len(table)  # → 2
print(study.report(asked, outcome.dataset))
first: study.Column = asked.columns()[0]
first.header

# %% all_diverged
study.all_diverged(outcome.dataset)  # → []

# %% Store, Cell
store = study.Store.open(begun).bind(asked)
cell: study.Cell = asked.cells()[1]
cell.key in store.finished()  # → True

# %% Told
# what `told_by` of a kind with a pilot returns: here trajectories and size of each of two cells
told = study.Told(share=np.array([64, 128]), work=np.array([1.0, 2.0]))
int(told.share.sum())  # → 192


# %% AbstractStudy, register, cell_dataset, combine
@study.register
class MeanOfExample(study.AbstractStudy):
    """A kind of your own: the keys of its file, and what one cell is."""

    kind: Literal["mean_of_example"]
    temperature: float

    def prepare(self, folder):
        return None

    def run_cell(self, cell, shared):
        one = self.at(cell.index)
        chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(ss.landscapes.Quadratic([1.0]), one.temperature), 0.1)
        ball = ss.regions.Ball([0.0], 1.0)
        found = ss.escape(chain, np.zeros(1, np.float32), ball, 2.0, trajectories=256, seed=cell.seed)
        return study.cell_dataset(found, cell.seed, "", along=("time",))

    def columns(self):
        return [study.Column("P(exit)", "probability", "by the horizon", interval=True)]


own = study.parse('kind = "mean_of_example"\ntemperature = 0.5', "own")
cell = own.run_cell(own.cells()[0], None)
float(cell.probability) > 0  # → True
study.combine(own, {own.cells()[0].key: cell}).probability.shape  # → (1,)
