"""Study kind trained_escape: the library's own call from exact minima; which minimum is taken; what the times say."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from study_cases import made

import sde_sgd as ss
from sde_sgd.engine import _stopping
from sde_sgd.study import StudyError, TrainedEscapeStudy, combine, parse
from sde_sgd.study._kind import cell_seed

# ridge regression: one minimum, known exactly
RIDGE = """
kind = "trained_escape"
iterations = 300
trajectories = 64
processes = ["sgd", "linear"]
[landscape]
kind = "EmpiricalRisk"
loss = "squared_error"
penalty = 0.2
[landscape.data]
name = "diabetes"
held_out = 0.0
examples = 20
[landscape.network]
hidden = []
[training]
learning_rate = 0.05
stop = {epochs = 2}
[[start]]
name = "large"
batch_size = 10
[[start]]
name = "small"
batch_size = 5
[height]
excess = 1.5
learning_rate = 0.1
batch_size = 4
[sweep]
learning_rate = 0.1
batch_size = 4
"""
# networks with several minima
TANH = (
    RIDGE.replace("squared_error", "cross_entropy").replace("penalty = 0.2", "penalty = 0.003")
    .replace("diabetes", "breast_cancer").replace("hidden = []", "hidden = [2]")
    .replace("[training]", "[training]\nnetworks = 4").replace("{epochs = 2}", "{epochs = 20}")
)  # fmt: skip


def parsed(text) -> TrainedEscapeStudy:
    study = parse(text, "x")
    assert isinstance(study, TrainedEscapeStudy)
    return study


def cell(study, **index):
    return study.at(dict.fromkeys(study.axes(), 0) | index)


@pytest.fixture(scope="module")
def ridge(tmp_path_factory):
    """Run once; the folder must not be changed."""
    return made(RIDGE, tmp_path_factory.mktemp("ridge"))


@pytest.mark.long
class TestRidge:
    def test_the_minimum_and_the_height_are_the_exact_ones(self, ridge, tmp_path):
        """By NumPy, for all cells. Twin: the height of 5 % more noise."""
        risk = parsed(RIDGE).prepare(tmp_path).risk(cell(parsed(RIDGE)))
        inputs, targets = (np.asarray(each, float) for each in (risk.inputs, risk.targets))
        columns = np.hstack([inputs, np.ones((20, 1))])
        theta = np.linalg.solve(columns.T @ columns / 20 + 0.2 * np.eye(11), columns.T @ targets / 20)
        found, data = risk.unflatten(jnp.asarray(ridge.dataset.minimum.values[1, 0, 0], jnp.float32)), ridge.dataset
        np.testing.assert_allclose(np.r_[found.weights[0][:, 0], found.biases[0]], theta, rtol=1e-4, atol=1e-6)
        gradients = columns * (columns @ theta - targets)[:, None]
        trace = np.trace(np.cov(gradients.T, ddof=0))
        for scale, agrees in ((1.0, True), (1.05, False)):
            heights = np.full((2, 1, 1), 1.5 * 0.1 * scale * trace / 16)
            assert np.allclose(data.height.values, heights, rtol=1e-3) == agrees
        np.testing.assert_allclose(data.excess, 0.1 * trace / 16, rtol=1e-3)
        top = np.linalg.eigvalsh(columns.T @ columns / 20)[-1] + 0.2
        np.testing.assert_allclose(data.sharpness, top, rtol=1e-3)
        assert set(np.ravel(data.point)) == {"minimum"}

    def test_a_cell_is_what_the_library_finds(self, ridge, tmp_path):
        study = parsed(RIDGE)
        shared, one = study.prepare(tmp_path), cell(study, start=1)
        theta = shared.trained(one, one.start[1]).thetas[0, 0, 0, 0]
        programs = len(_stopping._BLOCK)
        found = ss.training.escape_from(
            shared.risk(one), ss.landscapes.polish(shared.risk(one), theta, leave_saddles=True), learning_rate=0.1,
            batch_size=4, height=float(ridge.dataset.height[1, 0, 0]), processes=("sgd", "linear"), iterations=300,
            trajectories=64, leave_saddles=True, seed=cell_seed(0, 1),
        )  # fmt: skip
        # another minimum, or the same one again, is no other program
        assert len(_stopping._BLOCK) == programs == 2
        here = ridge.dataset.isel(start=1, learning_rate=0, batch_size=0)
        for name, part in (("", "value"), ("_low", "low"), ("_high", "high")):
            np.testing.assert_array_equal(here[f"mean_exit_time{name}"], getattr(found.mean_time, part).ravel())
            np.testing.assert_array_equal(here[f"probability{name}"], getattr(found.probability, part).ravel())
        assert float(here.limit) == found.limit and float(here.cell_seed) == cell_seed(0, 1)
        assert float(here.path_steps) == found.provenance.path_steps and float(here.trajectories) == 128
        # no two cells have the same random numbers
        assert len(np.unique(ridge.dataset.mean_exit_time)) == 4

    def test_table_and_figure(self, ridge):
        assert [path.name for path in ridge.figures] == ["times.png"] and not ridge.unknown
        assert "small against large, SGD: " in ridge.report and "of large's times" in ridge.report
        assert ridge.table["time SGD"].tolist() == ridge.dataset.mean_exit_time.values[..., 0].ravel().tolist()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return parsed(TANH).prepare(tmp_path_factory.mktemp("tanh"))


class TestMinima:
    @pytest.mark.long
    def test_which_minimum_is_taken(self, shared):
        """By the measure at the minima themselves, not where training stopped."""
        one = cell(parsed(TANH))
        values = [shared.minimum(one, one.start[0], number).measure("sharpness") for number in range(4)]
        taken = {
            take: shared.minimum(one, one.start[0].model_copy(update={"take": take}), None).measure("sharpness")
            for take in ("largest", "median", "smallest")
        }
        assert len(set(values)) > 1
        assert [taken["smallest"], taken["median"], taken["largest"]] == [sorted(values)[at] for at in (0, 1, 3)]

    @pytest.mark.long
    def test_starts_and_processes_share_networks(self, shared, tmp_path):
        """The k-th network begins alike for all starts; whoever asks, and in whatever order, has the same bits."""
        one = cell(parsed(TANH))
        begun = [shared.trained(one, spec) for spec in one.start]
        np.testing.assert_array_equal(begun[0].starts, begun[1].starts)
        assert not np.array_equal(begun[0].thetas, begun[1].thetas)
        other = parsed(TANH).prepare(tmp_path)
        for spec in reversed(one.start):
            np.testing.assert_array_equal(other.trained(one, spec).thetas, shared.trained(one, spec).thetas)
            ours, theirs = (each.minimum(one, spec, 2).point.location for each in (shared, other))
            np.testing.assert_array_equal(ours, theirs)

    def test_all_networks_are_a_dimension(self, shared):
        study = parsed(TANH.replace('batch_size = 10\n', 'batch_size = 10\ntake = "all"\n')
                       .replace('batch_size = 5\n', 'batch_size = 5\ntake = "all"\n'))  # fmt: skip
        assert study.axes() == {"start": 2, "network": 4, "learning_rate": 1, "batch_size": 1}
        assert "network" in [column.variable for column in study.columns()]
        assert study.programs() == parsed(TANH).programs() == 1

    def test_a_training_that_diverges(self, tmp_path):
        """Where all networks do nothing can be run; of one of them it is said where it is asked for."""
        study = parsed(RIDGE.replace("learning_rate = 0.05\nstop", "learning_rate = 1e30\nstop"))
        with pytest.raises(StudyError, match="start 'large': every network diverged in training, with γ = 1e"):
            study.run_cell(study.cells()[0], study.prepare(tmp_path))
        study = parsed(RIDGE.replace("[training]", "[training]\nnetworks = 2"))
        one, shared = cell(study), study.prepare(tmp_path)
        trained = shared.trained(one, one.start[0])
        trained.thetas[0, 0, 0, 1] = np.nan
        with pytest.raises(ValueError, match="network 1 diverged in training"):
            shared.minimum(one, one.start[0], 1)
        assert shared.minimum(one, one.start[0], None) is shared.minimum(one, one.start[0], 0)

    @pytest.mark.long
    def test_what_is_refused_is_a_note(self, tmp_path):
        """One example has no noise: nothing to leave with, and no height in its unit."""
        text = RIDGE.replace("examples = 20", "examples = 1").replace("batch_size = 10", "batch_size = 1")
        study = parsed(text.replace("batch_size = 5\n", "batch_size = 1\n"))
        data = study.run_cell(study.cells()[0], study.prepare(tmp_path))
        assert data.attrs["notes"].startswith("start large, γ = 0.1, M = 4: height must be a finite number above 0")
        assert np.isnan(data.mean_exit_time.values).all() and data.status == "incomplete" and data.trajectories == 0
        # nothing ran, and so nothing diverged: the note says why there is no number
        assert np.isnan(data.diverged) and ss.study.all_diverged(data) == []
        assert np.isfinite(data.minimum.values).all() and data.noise_trace == 0


def fake(away=0.0, slopes=(0.1, 0.05)):
    """Exact times exp(slope·M/γ + 1), of the SDE twice as long, with errors of 1 %; a slope for each minimum."""
    sweep = "[sweep]\nlearning_rate = [0.1, 0.2]\nbatch_size = [4, 6]"
    study = parsed(RIDGE.split("[sweep]")[0].replace('"linear"]', '"sde"]') + sweep)
    cells = {}
    for each in study.cells():
        values = study.values_at(each.index)
        inverse, start = values["sweep.batch_size"] / values["sweep.learning_rate"], each.index["start"]
        time = np.exp(slopes[start] * inverse + 1) * np.array([1.0, 2.0])
        described: dict[str, Any] = {
            f"mean_exit_time{end}": ("process", time * np.exp(sign * 0.02))
            for end, sign in (("", 0), ("_low", -1), ("_high", 1))
        }
        point = np.ones(5)
        point[2] += away * (each.index["learning_rate"] == 1)
        numbers = {"limit": 0.3, "height": 0.5 + start, "excess": 0.1, "loss": 1.0, "sharpness": 2.0}
        cells[each.key] = xr.Dataset(described | numbers | {"minimum": ("parameter", point)}, attrs={"notes": ""})
    return study, cells


class TestWhatTheTimesSay:
    def test_slopes_and_ratios(self):
        study, cells = fake()
        said = study.verdicts(combine(study, cells))
        assert said == [
            "large: log of the mean time to leave grows per unit of M/γ by: SGD 0.1; its SDE 0.1; "
            "at low noise the linearised one tends to 0.3; its SDE: 2 to 2 of SGD's times, differs in 4 of 4 cells",
            "small: log of the mean time to leave grows per unit of M/γ by: SGD 0.05; its SDE 0.05; "
            "at low noise the linearised one tends to 0.3; its SDE: 2 to 2 of SGD's times, differs in 4 of 4 cells",
            "small against large, SGD: 0.0498 to 0.368 of large's times, differs in 4 of 4 cells",
            "small against large, its SDE: 0.0498 to 0.368 of large's times, differs in 4 of 4 cells",
        ]

    def test_before_all_cells_are_run(self):
        study, cells = fake()
        few = {key: data for key, data in cells.items() if key.startswith("large")}
        said = study.verdicts(combine(study, few))
        assert len(said) == 1 and said[0].startswith("large: ")
        assert study.figures(combine(study, few)).keys() == {"times.png"}

    def test_minima_that_are_not_one_are_told(self):
        """Twin: a minimum that is another rounding of the same."""
        study, cells = fake(away=1e-3)
        told = study.verdicts(combine(study, cells))
        assert "large: the cells are of minima that differ by up to 0.00045 of their length" in told[1]
        study, cells = fake(away=1e-9)
        assert len(study.verdicts(combine(study, cells))) == 4

    def test_figure(self):
        study, cells = fake()
        axes: Any = study.figures(combine(study, cells))["times.png"].axes
        assert len(axes) == 4 and axes[0].get_title().startswith("large: leaving {L < L(θ*) + 0.5}")
        assert axes[1].get_title().startswith("small: leaving {L < L(θ*) + 1.5}")
        for place, slope in enumerate((0.1, 0.05)):
            points = axes[place].containers[1].lines[0].get_ydata()
            np.testing.assert_allclose(points, 2 * np.exp(slope * np.array([40, 60, 20, 30]) + 1))
            np.testing.assert_allclose(axes[2 + place].containers[0].lines[0].get_ydata(), 2)
            assert axes[place].get_legend().get_texts()[0].get_text() == f"minibatch SGD: slope {slope:g}"


def test_a_horizon_is_whole_iterations():
    """Those that it has room for, whatever 0.3/0.1 is in floats; and then the table tells probabilities."""
    text = RIDGE.replace("iterations = 300", "horizon = 0.3")
    study = parsed(text.replace("[sweep]\nlearning_rate = 0.1", "[sweep]\nlearning_rate = [0.05, 0.1]"))
    assert [cell(study, learning_rate=at).watched for at in range(2)] == [6, 3]
    headers = [column.header for column in study.columns()]
    assert "P\nSGD" in headers and "P\nSGD" not in [column.header for column in parsed(RIDGE).columns()]


MISTAKES = {
    ("iterations = 300", "iterations = 300\nhorizon = 1.0"): "give either iterations or horizon, not both or none",
    ("iterations = 300", "horizon = 0.07"): "horizon must be at least one iteration, γ = 0.1, got 0.07",
    ('batch_size = 10', 'batch_size = 10\ntake = "all"'): "start.take must be 'all' for every start or for none",
    ('batch_size = 10', 'batch_size = 10\nby = "sharpnes"'): "did you mean 'sharpness'",
    ('batch_size = 10', 'batch_size = 10\nby = "held_out_loss"'): "need landscape.data.held_out above 0",
    ('batch_size = 10', 'batch_size = 21'): "batch_size of start 'large' must be at most the 20 examples",
    ('"small"', '"large"'): "start names must differ, got ['large', 'large']",
    ('["sgd", "linear"]', '["sgd", "sgd"]'): "processes must not repeat one, got ['sgd', 'sgd']",
    ("excess = 1.5", "excess = 1.5\nabove = 0.1"): "height must give either above or excess, not both or none",
    ("excess = 1.5\nlearning_rate = 0.1", "excess = 1.5"): "height.learning_rate and height.batch_size go with",
    ("[training]", "[training]\nnetworks = [2, 3]"): "training.networks must be one value for the whole study",
    (RIDGE.split("[landscape]\n")[1].split("[training]")[0], 'kind = "TwoWells"\n'): "landscape must be of kind",
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: MISTAKES[case][:40])
def test_mistakes_are_said_before_anything_runs(case, tmp_path):
    old, new = case
    assert old in RIDGE
    with pytest.raises(StudyError) as raised:
        parse(RIDGE.replace(old, new, 1), "bad").prepare(tmp_path)
    assert MISTAKES[case] in str(raised.value), raised.value


@pytest.mark.long
def test_processes_leave_the_same_minima(tmp_path):
    """Two processes with a training each: the dataset of one."""
    text = TANH.replace("iterations = 300", "iterations = 20").replace("networks = 4", "networks = 2")
    (tmp_path / "study.toml").write_text(text)
    one = ss.study.run(tmp_path / "study.toml", tmp_path / "one", progress=False)
    two = ss.study.run(tmp_path / "study.toml", tmp_path / "two", executor=2, progress=False)
    assert one.complete and two.complete
    xr.testing.assert_identical(one.dataset, two.dataset)
