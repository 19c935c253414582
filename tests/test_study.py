"""Studies: the file, the store on disk, the runner, the table and the figures."""

import json
import os
import tomllib

import numpy as np
import pytest
import xarray as xr

from sde_sgd import plotting
from sde_sgd.study import StudyError, packaged, parse, redraw, resume, run, status
from sde_sgd.study import _run as runner
from sde_sgd.study._escape import cell_seed
from sde_sgd.study._report import escape_report, number
from sde_sgd.study._spec import fingerprint
from sde_sgd.study._store import Store

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


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One small study, run once; the folder must not be changed."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "small.toml").write_text(SMALL)
    return run(folder / "small.toml", folder / "out", progress=False)


def fake_dataset():
    """An escape dataset with known numbers, made without simulating."""
    from sde_sgd.study._escape import dataset, times_of

    study = parse(SMALL, "fake")
    times = times_of(study)
    cells = {}
    for i, rate in enumerate(study.sweep.learning_rate):
        for j, batch in enumerate(study.sweep.batch_size):
            speed = 100 * rate / batch
            survival = np.exp(-speed * times)
            values = {name: speed for name in ("mean_exit_time", "exit_rate")} | {"probability": 1 - survival[-1]}
            values |= {f"{name}_low": 0.9 * value for name, value in values.items()} | {
                f"{name}_high": 1.1 * value for name, value in values.items()
            }
            values |= {"survival": survival, "survival_low": 0.9 * survival, "survival_high": 1.1 * survival}
            values |= {"exit_linearised": 0.5 * (1 - survival), "exit_exact": 1 - survival, "temperature": 0.25}
            values |= {"mean_exit_time_exact": 1 / speed, "mean_exit_time_eyring_kramers": 2 / speed}
            values |= {"diverged": 0, "censored": 1, "trajectories": 400, "cell_seed": 0, "notes": ""}
            cells[f"sharp-{i:03d}-{j:03d}"] = values
    return study, cells, dataset(study, cells)


class TestStudy:
    def test_simulation_agrees_with_the_exact_solver(self, small):
        """Four cells, each 99.99 % by 4 standard errors: false-fail rate below 3e-4; the seed is fixed.

        Broken twin: the exact probability of one γ/M against the simulation of twice that γ/M is rejected.
        """
        data = small.dataset.sel(start="sharp")
        exact, simulated = data.exit_exact.values[..., -1], data.probability.values
        error = np.sqrt(exact * (1 - exact) / 400)
        # the chain's dt = γ/2 moves the exit probability by a few hundredths
        assert np.all(np.abs(simulated - exact) < 4 * error + 0.04)
        assert abs(simulated[1, 0] - exact[0, 1]) > 4 * error[0, 1] + 0.04

    def test_equal_ratio_has_equal_theory(self, small):
        data = small.dataset.sel(start="sharp")
        assert data.exit_exact.values[0, 0, -1] == data.exit_exact.values[1, 1, -1]
        assert data.exit_exact.values[0, 0, -1] != data.exit_exact.values[1, 0, -1]

    def test_dataset_is_described_and_stored(self, small):
        stored = Store.open(small.folder).load_dataset()
        for name in stored.variables:
            assert "units" in stored[name].attrs and stored[name].attrs["long_name"], name
        assert stored.equals(small.dataset)

    def test_dataset_opens_with_xarray_alone(self, small):
        """And without a warning, which this suite turns into an error."""
        with xr.open_zarr(small.folder / "dataset.zarr") as opened:
            assert opened.load().equals(small.dataset)

    def test_no_two_cells_share_random_numbers(self, small):
        """Not of one study and not of two with neighbouring seeds; the seed that is stored replays the cell."""
        seeds = small.dataset.cell_seed.values.ravel()
        assert seeds.tolist() == [cell_seed(0, number) for number in range(4)]
        assert not set(seeds) & {cell_seed(1, number) for number in range(4)}
        assert int(float(cell_seed(2**32 - 1, 2**20 - 1))) == cell_seed(2**32 - 1, 2**20 - 1) < 2**53

    def test_all_that_is_promised_is_there(self, small):
        names = {path.name for path in small.folder.iterdir()}
        assert names == {
            "study.toml", "study.json", "cells", "dataset.zarr", "report.txt", "survival.png", "phase_diagram.png"
        }  # fmt: skip

    def test_a_spent_budget_is_told(self, tmp_path):
        text = SMALL.replace("trajectories = 400", "rtol = 0.01\nmax_trajectories = 256").replace(", 0.08", "")
        (tmp_path / "tight.toml").write_text(text.split("[reference]")[0])
        outcome = run(tmp_path / "tight.toml", tmp_path / "out", progress=False)
        assert outcome.dataset.trajectories.values.tolist() == [[[256, 256]]]
        assert "start sharp, γ = 0.04, M = 8: budget spent: max_trajectories = 256" in outcome.report

    def test_running_again_runs_nothing(self, small):
        again = resume(small.folder, progress=False)
        assert again.computed == 0 and again.complete
        assert again.dataset.equals(small.dataset)

    def test_same_file_same_folder_runs_nothing(self, small):
        again = run(small.folder.parent / "small.toml", small.folder, progress=False)
        assert again.computed == 0 and again.complete

    def test_status_counts_cells(self, small):
        found = status(small.folder)
        assert (found.finished, found.cells, found.kind) == (4, 4, "escape")

    def test_missing_cell_is_computed_to_the_same_bits(self, small, tmp_path):
        store = _copy(small.folder, tmp_path / "copy")
        (store.folder / "cells" / "sharp-001-000.npz").unlink()
        again = resume(store.folder, progress=False)
        assert again.computed == 1
        assert again.dataset.equals(small.dataset)


class TestInterruption:
    def test_ctrl_c_keeps_finished_cells(self, small, tmp_path, monkeypatch):
        store = _copy(small.folder, tmp_path / "copy")
        for path in (store.folder / "cells").iterdir():
            path.unlink()
        values = small.folder / "cells"
        monkeypatch.setattr(runner, "_plan", lambda study, folder: _interrupted_plan(values, after=2))
        with pytest.raises(KeyboardInterrupt):
            resume(store.folder, progress=False)
        assert len(store.finished()) == 2
        dataset = store.load_dataset()
        assert dataset.attrs["cells_finished"] == 2
        assert np.isfinite(dataset.probability.values).sum() == 2
        assert "not finished: 2 of 4" in (store.folder / "report.txt").read_text()

    def test_kill_while_writing_a_cell_leaves_no_cell(self, tmp_path, monkeypatch):
        store = Store.create(tmp_path / "out", SMALL, "small", "f" * 64, str(tmp_path))
        monkeypatch.setattr(os, "replace", _killed)
        with pytest.raises(SystemExit):
            store.save_cell("a", {"x": np.zeros(3)})
        assert store.finished() == set() and list((store.folder / "cells").iterdir()) == []

    def test_failed_dataset_write_keeps_the_old_one(self, tmp_path, monkeypatch):
        _, _, data = fake_dataset()
        store = Store.create(tmp_path / "out", SMALL, "small", "f" * 64, str(tmp_path))
        store.save_dataset(data)
        monkeypatch.setattr(type(data), "to_zarr", _killed)
        with pytest.raises(SystemExit):
            store.save_dataset(data * 2)
        assert store.load_dataset().equals(data)
        assert {path.name for path in store.folder.iterdir()} == {"study.toml", "study.json", "cells", "dataset.zarr"}

    def test_kill_between_the_two_renames_is_repaired(self, tmp_path):
        _, _, data = fake_dataset()
        store = Store.create(tmp_path / "out", SMALL, "small", "f" * 64, str(tmp_path))
        store.save_dataset(data)
        os.rename(store.folder / "dataset.zarr", store.folder / ".dataset.zarr.old")
        assert Store.open(store.folder).load_dataset().equals(data)

    def test_failed_creation_leaves_nothing(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "rename", _no_space)
        with pytest.raises(StudyError, match="cannot be made"):
            Store.create(tmp_path / "out", SMALL, "small", "f" * 64, str(tmp_path))
        assert list(tmp_path.iterdir()) == []


class TestFolder:
    def test_different_study_is_refused_and_untouched(self, small, tmp_path):
        before = _contents(small.folder)
        other = tmp_path / "other.toml"
        other.write_text(SMALL.replace("horizon = 2.0", "horizon = 3.0"))
        with pytest.raises(StudyError, match="already holds a different study, 'small'"):
            run(other, small.folder, progress=False)
        assert _contents(small.folder) == before

    def test_foreign_folder_is_refused_and_untouched(self, tmp_path):
        (tmp_path / "precious.txt").write_text("mine")
        with pytest.raises(StudyError, match="holds no study"):
            Store.create(tmp_path, SMALL, "small", "f" * 64, "")
        assert _contents(tmp_path) == {"precious.txt": b"mine"}

    def test_empty_folder_is_taken(self, tmp_path):
        (tmp_path / "out").mkdir()
        store = Store.create(tmp_path / "out", SMALL, "small", "f" * 64, "")
        assert store.text == SMALL

    def test_fingerprint_ignores_words_and_sees_numbers(self):
        first = fingerprint(parse(SMALL, "x"))
        assert fingerprint(parse('description = "hello"\n' + SMALL, "x")) == first
        assert fingerprint(parse(SMALL.replace("400", "4e2".replace("4e2", "401")), "x")) != first
        assert fingerprint(parse(SMALL, "x"), "def loss(x): ...") != first

    def test_changed_loss_is_a_changed_study(self, tmp_path):
        module = tmp_path / "changing_loss.py"
        module.write_text("def loss(x):\n    return (x[0] ** 2 - 1) ** 2\n")
        from sde_sgd.study._build import code_of

        text = SMALL.split("[landscape]")[0] + '[landscape]\nfunction = "changing_loss:loss"\ndim = 1\n'
        study = parse(text + "[noise]" + SMALL.split("[noise]")[1].replace('"sharp_minimum"', "[-1.0]").replace(
            '"saddle"', "[0.0]"), "x")  # fmt: skip
        assert "x[0] ** 2" in code_of(study, tmp_path)


class TestReport:
    def test_table_has_every_cell_and_every_column(self):
        _, _, data = fake_dataset()
        text = escape_report(data)
        rows = [line for line in text.splitlines() if line.startswith("sharp")]
        assert len(rows) == 4
        header = next(line for line in text.splitlines() if line.startswith("start"))
        for column in ("γ/M", "T", "P simulated", "P linearised", "P exact", "time Eyring–Kramers", "time exact"):
            assert column in header
        cell = data.sel(start="sharp", learning_rate=0.04, batch_size=8)
        assert f"{number(cell.probability)} [{number(cell.probability_low)}, " in rows[0]
        assert number(cell.mean_exit_time_eyring_kramers) in rows[0]
        assert "continuous monitoring" in text and "dt = γ/2" in text and "t = 2;" in text

    def test_unknown_numbers_are_dashes(self):
        assert [number(value) for value in (np.nan, np.inf, 0.0, 0.12345, 1.5e-5)] == [
            "–", "inf", "0", "0.1235", "1.50e-05"
        ]  # fmt: skip


class TestFigures:
    def test_survival_curves_show_the_data(self):
        _, _, data = fake_dataset()
        figure = plotting.survival_curves(data)
        panel = figure.axes[0]
        assert panel.get_yscale() == "log" and "t = γ" in panel.get_xlabel()
        lines = {line.get_label(): line.get_ydata() for line in panel.get_lines()}
        # γ/M = 0.04/8 = 0.08/16 is drawn once
        assert sorted(label for label in lines if label[0] != "_") == ["0.0025", "0.005", "0.01"]
        cell = data.sel(start="sharp", learning_rate=0.08, batch_size=8)
        np.testing.assert_array_equal(lines["0.01"], cell.survival)
        exact = [line.get_ydata() for line in panel.get_lines() if line.get_label() == "_exact"]
        np.testing.assert_allclose(exact[-1], 1 - cell.exit_exact)
        assert len(panel.collections) == 3  # the bands

    def test_phase_diagram_shows_the_data(self):
        _, _, data = fake_dataset()
        figure = plotting.phase_diagram(data)
        panel = figure.axes[0]
        assert panel.get_xscale() == panel.get_yscale() == "log"
        np.testing.assert_allclose(panel.collections[0].get_array(), data.probability.values[0].T)
        assert len(panel.get_lines()) == 3
        for line in panel.get_lines():
            ratio = line.get_xdata() / line.get_ydata()
            np.testing.assert_allclose(ratio, ratio[0])
        numbers = [text.get_text() for text in panel.texts]
        assert sorted(numbers[4:]) == ["0.0025", "0.005", "0.01"]
        assert numbers[:4] == [f"{value:.2g}" for value in data.probability.values[0].ravel()]

    def test_unfinished_cells_stay_empty(self):
        from sde_sgd.study._escape import dataset

        study, cells, _ = fake_dataset()
        cells.pop("sharp-000-000")
        figure = plotting.phase_diagram(dataset(study, cells))
        assert len(figure.axes[0].texts) == 3 + 3
        assert len(plotting.survival_curves(dataset(study, cells)).axes) == 1

    def test_digits_figure_shows_the_data(self):
        """Where no trajectory left, the mean time has no value: an arrow starts at its lower end."""
        from sde_sgd.study._digits_cells import dataset

        study = parse('kind = "digits"\nratios = [[0.1, 10], [0.2, 10]]', "fake")
        cells = {}
        for key, left in {"sgd-000": False, "sgd-001": True, "sde-000": True, "sde-001": True}.items():
            mean = (50.0, 40.0, 60.0) if left else (np.inf, 900.0, np.inf)
            values = dict(zip(("", "_low", "_high"), mean, strict=True))
            cells[key] = {f"mean_exit_iterations{suffix}": value for suffix, value in values.items()}
            cells[key] |= {"probability": 0.5 * left, "probability_low": 0.0, "probability_high": 0.6}
            cells[key] |= {"diverged": 0, "censored": 1, "trajectories": 8, "cell_seed": 3}
        left, right = plotting.digits_figure(dataset(study, cells)).axes
        assert [text.get_text() for text in left.get_legend().get_texts()] == [
            "minibatch SGD", "SDE, per-example noise"
        ]  # fmt: skip
        drawn = {container.get_label(): container.lines[0].get_ydata() for container in right.containers}
        assert drawn["minibatch SGD"].tolist() == [50.0]
        assert drawn["SDE, per-example noise"].tolist() == [50.0, 50.0]
        arrows = [container for container in right.containers if container.get_label().startswith("_")]
        assert len(arrows) == 1 and arrows[0].lines[2][0].get_segments()[0][0, 1] == 900.0

    def test_redraw_simulates_nothing(self, small, monkeypatch):
        monkeypatch.setattr(runner, "_plan", _killed)
        assert [path.name for path in redraw(small.folder).figures] == ["survival.png", "phase_diagram.png"]


def test_packaged_studies_are_valid():
    from sde_sgd.study._spec import read_source

    assert set(packaged()) == {"escape", "digits"}
    for name in packaged():
        study = parse(read_source(name)[0], name)
        assert study.kind == name
    escape_sweep = tomllib.loads(read_source("escape")[0])["sweep"]
    assert len(escape_sweep["learning_rate"]) >= 4 and len(escape_sweep["batch_size"]) >= 4
    assert len(tomllib.loads(read_source("digits")[0])["ratios"]) >= 6


def _copy(source, target):
    import shutil

    shutil.copytree(source, target)
    return Store.open(target)


def _contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _interrupted_plan(folder, after):
    from sde_sgd.study._escape import Cell

    def cell(number, path):
        def compute():
            if number == after:
                raise KeyboardInterrupt
            with np.load(path) as data:
                return dict(data)

        return Cell(path.stem, 1.0, compute)

    return [cell(number, path) for number, path in enumerate(sorted(folder.glob("*.npz")))]


def _killed(*args, **kwargs):
    raise SystemExit("killed")


def _no_space(*args, **kwargs):
    raise OSError(28, "No space left on device")


def test_record_is_readable_json(small):
    record = json.loads((small.folder / "study.json").read_text())
    assert record["name"] == "small" and len(record["fingerprint"]) == 64
