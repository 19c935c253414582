"""What a study prints and draws: the table, its columns and notes, the figures."""

import numpy as np
import pytest
import xarray as xr
from study_cases import SMALL, fake_dataset

import sde_sgd as ss
from sde_sgd import plotting
from sde_sgd.study import all_diverged, combine, parse, report, rows
from sde_sgd.study._text_table import interval_text, number_text


class TestReport:
    def test_table_has_every_cell_and_every_column(self):
        study, _, data = fake_dataset()
        text = report(study, data)
        rows = [line for line in text.splitlines() if line.startswith("sharp")]
        assert len(rows) == 4
        above = [line for line in text.splitlines() if line.strip().startswith(("P", "start"))][-2:]
        assert above[0].split() == ["P", "P", "P", "time", "time", "time"]
        assert above[1].split() == [
            "start", "γ", "M", "T", "simulated", "linear", "exact", "simulated", "Kramers", "exact"
        ]  # fmt: skip
        cell = data.sel(start="sharp", learning_rate=0.04, batch_size=8)
        assert interval_text(*(cell[f"probability{end}"].item() for end in ("", "_low", "_high"))) in rows[0]
        assert (
            number_text(cell.mean_exit_time_eyring_kramers) in rows[0]
            and number_text(cell.exit_linearised[-1]) in rows[0]
        )
        for word in ("continuous monitoring", "dt = γ/2", "by t = 2", "400 trajectories a cell", "0.95 confidence"):
            assert word in text

    def test_every_column_is_explained_and_the_table_fits_a_terminal(self):
        study, _, data = fake_dataset()
        lines = report(study, data).splitlines()
        assert max(map(len, lines)) <= 120
        for column in study.columns():
            explained = [line for line in lines if line.startswith(f"  {column.title}: ")]
            assert len(explained) == (column.header != "start")

    def test_rows_are_data_and_not_rounded(self):
        study, _, data = fake_dataset()
        table = rows(study, data)
        assert table["γ"].tolist() == [0.04, 0.04, 0.08, 0.08] and table["M"].tolist() == [8, 16, 8, 16]
        assert table["start"].tolist() == ["sharp"] * 4
        np.testing.assert_array_equal(table["P simulated high"], data.probability_high.values.ravel())
        np.testing.assert_array_equal(table["P exact"], data.exit_exact.values[..., -1].ravel())
        assert "status" not in table

    def test_a_status_that_is_not_complete_has_its_column(self):
        study, cells, _ = fake_dataset()
        cells["sharp-001-000"]["status"] = "budget spent"
        data = combine(study, cells)
        assert rows(study, data)["status"].tolist() == ["complete", "complete", "budget spent", "complete"]
        assert [line.endswith("budget spent") for line in report(study, data).splitlines() if line[:5] == "sharp"] == [
            False, False, True, False
        ]  # fmt: skip

    def test_cells_that_diverged_are_named(self):
        study, cells, data = fake_dataset()
        assert all_diverged(data) == []
        cells["sharp-001-000"]["diverged"] = cells["sharp-000-001"]["diverged"] = 400.0
        cells["sharp-000-000"]["diverged"] = 399.0
        for key in ("sharp-001-000", "sharp-000-000"):
            cells[key]["probability"] = np.nan
        data = combine(study, cells)
        assert all_diverged(data) == [{"start": "sharp", "learning_rate": 0.08, "batch_size": 8.0}]
        text = report(study, data)
        assert "every trajectory diverged: start sharp, learning_rate = 0.08, batch_size = 8" in text
        assert "diverged trajectories: 1199" in text

    def test_unknown_numbers_are_dashes(self):
        assert [number_text(value) for value in (np.nan, np.inf, 0.0, 0.12345, 1.5e-5)] == [
            "–", "inf", "0", "0.1235", "1.50e-05"
        ]  # fmt: skip
        assert interval_text(np.nan, np.nan, np.nan) == "–" and interval_text(np.nan, 0.0, 1.0).startswith("– [0, ")

    def test_an_interval_is_in_one_format(self):
        """A newcomer met 9.71e-04 and 0.001061 in one interval."""
        assert interval_text(0.001015, 9.71e-4, 0.001061) == "0.001015 [0.000971, 0.001061]"


class TestFigures:
    def test_survival_curves_show_the_data(self):
        _, _, data = fake_dataset()
        figure = plotting.survival_curves(data)
        panel = figure.axes[0]
        assert panel.get_yscale() == "log" and "t = γ" in panel.get_xlabel()
        assert panel.get_title() == "start: sharp"
        lines = {line.get_label(): line.get_ydata() for line in panel.get_lines()}
        # γ/M = 0.04/8 = 0.08/16 is drawn once
        assert sorted(label for label in lines if label[0] != "_") == ["0.0025", "0.005", "0.01"]
        cell = data.sel(start="sharp", learning_rate=0.08, batch_size=8)
        np.testing.assert_array_equal(lines["0.01"], cell.survival)
        exact = [line.get_ydata() for line in panel.get_lines() if line.get_label() == "_exact"]
        np.testing.assert_allclose(exact[-1], 1 - cell.exit_exact)
        linearised = [line.get_ydata() for line in panel.get_lines() if line.get_label() == "_linearised"]
        np.testing.assert_allclose(linearised[-1], 1 - cell.exit_linearised)
        assert len(panel.collections) == 3  # the bands
        assert [text.get_text() for text in panel.get_legend().get_texts()] == ["0.0025", "0.005", "0.01"]
        kinds = [text.get_text() for text in figure.legends[0].get_texts()]
        assert kinds == ["simulated, 0.95 confidence band", "exact solver", "linearised theory"]

    def test_the_cell_with_the_smallest_rate_is_drawn(self):
        """Of γ/M = 0.04/8 and 0.08/16."""
        _, _, data = fake_dataset()
        other = {"learning_rate": 0.08, "batch_size": 16}
        data["survival"].loc[other] = 0.5 * data.survival.sel(other)
        lines = {line.get_label(): line.get_ydata() for line in plotting.survival_curves(data).axes[0].get_lines()}
        drawn = data.survival.sel(start="sharp", learning_rate=0.04, batch_size=8)
        np.testing.assert_array_equal(lines["0.005"], drawn)

    def test_the_legend_names_what_is_drawn_and_no_more(self):
        _, _, data = fake_dataset()
        figure = plotting.survival_curves(data.assign(exit_exact=data.exit_exact * np.nan))
        kinds = [text.get_text() for text in figure.legends[0].get_texts()]
        assert kinds == ["simulated, 0.95 confidence band", "linearised theory"]
        assert not [line for line in figure.axes[0].get_lines() if line.get_label() == "_exact"]

    def test_a_large_sweep_stays_readable(self):
        """6 × 5 cells with 30 ratios: eight of them in the legend, numbers along the margin that do not overprint."""
        text = SMALL.replace("[0.04, 0.08]", "[0.011, 0.016, 0.024, 0.036, 0.054, 0.08]")
        _, _, data = fake_dataset(text.replace("[8, 16]", "[8, 12, 18, 27, 41]"))
        legend = [text.get_text() for text in plotting.survival_curves(data).axes[0].get_legend().get_texts()]
        assert len(legend) == 8 and legend[0] == f"{0.011 / 41:.3g}" and legend[-1] == "0.01"
        figure = plotting.phase_diagram(data)
        figure.draw_without_rendering()
        panel = figure.axes[0]
        boxes = [text.get_window_extent() for text in panel.texts[30:]]
        assert 8 <= len(boxes) < 30
        for place, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[place + 1 :])

    def test_one_first_passage_has_its_survival_curve(self):
        wells = ss.landscapes.TwoWells()
        chain = ss.EulerMaruyama(ss.LangevinSGD(wells, ss.noise.Isotropic(32.0), 0.08, 8.0))
        region = ss.regions.HalfSpace([1.0], float(wells.saddle[0]))
        passage = ss.escape(chain, wells.sharp_minimum, region, horizon=2.0, trajectories=200, method="direct")
        figure = plotting.survival_curves(passage.to_dataset())
        line = figure.axes[0].get_lines()[0]
        np.testing.assert_array_equal(line.get_ydata(), passage.survival(line.get_xdata()).value)
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["simulated, 0.95 confidence band"]

    def test_a_dataset_of_something_else_is_refused_in_a_sentence(self):
        with pytest.raises(ValueError, match=r"survival_curves draws .* lacks the dimension 'time': x"):
            plotting.survival_curves(xr.Dataset({"y": ("x", [1.0])}))
        with pytest.raises(ValueError, match="phase_diagram draws"):
            plotting.phase_diagram(xr.Dataset())
        with pytest.raises(ValueError, match="digits_figure draws"):
            plotting.digits_figure(xr.Dataset())

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
        study, cells, _ = fake_dataset()
        cells.pop("sharp-000-000")
        data = combine(study, cells)
        assert data.attrs["cells_finished"] == 3
        assert len(plotting.phase_diagram(data).axes[0].texts) == 3 + 3
        assert len(plotting.survival_curves(data).axes) == 1
        assert "not finished: 3 of 4 cells" in report(study, data)

    def test_digits_figure_shows_the_data(self):
        """Where no trajectory left, the mean time has no value: an arrow starts at its lower end."""
        study = parse('kind = "digits"\nratios = [[0.1, 10], [0.2, 10]]', "fake")
        cells = {}
        for key, left in {"sgd-000": False, "sgd-001": True, "sde-000": True, "sde-001": True}.items():
            mean = (50.0, 40.0, 60.0) if left else (np.inf, 900.0, np.inf)
            values = dict(zip(("", "_low", "_high"), mean, strict=True))
            cell = {f"mean_exit_iterations{suffix}": value for suffix, value in values.items()}
            cell |= {"probability": 0.5 * left, "probability_low": 0.0, "probability_high": 0.6}
            cells[key] = xr.Dataset({name: ((), value) for name, value in cell.items()})
        dataset = combine(study, cells)
        left, right = plotting.digits_figure(dataset).axes
        assert [text.get_text() for text in left.get_legend().get_texts()] == [
            "minibatch SGD", "SDE, per-example noise"
        ]  # fmt: skip
        drawn = {container.get_label(): container.lines[0].get_ydata() for container in right.containers}
        assert drawn["minibatch SGD"].tolist() == [50.0]
        assert drawn["SDE, per-example noise"].tolist() == [50.0, 50.0]
        arrows = [container for container in right.containers if container.get_label().startswith("_")]
        assert len(arrows) == 1 and arrows[0].lines[2][0].get_segments()[0][0, 1] == 900.0
