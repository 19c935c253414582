"""What a study prints and draws: the table, its columns and notes, the figures."""

import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from study_cases import SMALL, fake_dataset

from sde_sgd import plotting
from sde_sgd._precision import beyond_stability, is_wide, quality, stability_limit
from sde_sgd.plotting._style import logarithmic
from sde_sgd.study import all_diverged, combine, parse, report, rows
from sde_sgd.study.reporting._text_table import Column, interval_texts, number_text, number_texts, text_table

MARKS = ("_hatched", "_beyond")


def overlap(boxes):
    return boxes[0].overlaps(boxes[1])


class TestReport:
    def test_table_has_every_cell_and_every_column(self):
        study, _, data = fake_dataset()
        text = report(study, data, wide=True)
        rows = [line for line in text.splitlines() if line.startswith("sharp")]
        assert len(rows) == 4
        above = [line for line in text.splitlines() if line.strip().startswith(("P", "start"))][-2:]
        assert above[0].split() == ["P", "P", "P", "time", "time", "time"]
        assert above[1].split() == [
            "start", "γ", "M", "T", "simulated", "linear", "exact", "simulated", "Kramers", "exact"
        ]  # fmt: skip
        estimates = [[data[f"probability{end}"].values.ravel() for end in ("", "_low", "_high")]]
        probabilities = interval_texts(list(zip(*estimates[0], strict=True)))
        for number, (row, shown) in enumerate(zip(rows, probabilities, strict=True)):
            assert shown in row
            for name in ("mean_exit_time_eyring_kramers", "exit_linearised", "exit_exact"):
                column = data[name].values if "exit_time" in name else data[name].values[..., -1]
                assert number_texts(list(column.ravel()))[number] in row
        for word in ("continuous monitoring", "dt = γ/2", "by t = 2", "400 trajectories a cell", "0.95 confidence"):
            assert word in text

    def test_every_column_is_explained_and_the_table_fits_a_terminal(self):
        study, _, data = fake_dataset()
        text = report(study, data)
        assert max(map(len, text.splitlines())) <= 100
        for column in study.columns():
            explained = [line for line in text.splitlines() if line.startswith(f"  {column.title}: ")]
            assert len(explained) == (column.header != "start")
        assert report(study, data, wide=True).count("\n") < text.count("\n")

    def test_what_is_said_below_the_table_fits_a_terminal_too(self, monkeypatch):
        study, _, data = fake_dataset()
        said = "from 1 to 2 " * 20
        monkeypatch.setattr(type(study), "sentences", lambda *_: [said.strip()])
        text = report(study, data)
        assert max(map(len, text.splitlines())) <= 100 and said.strip() in " ".join(text.split())
        wide = report(study, data, wide=True)
        assert said.strip() in wide
        # nothing is folded
        assert len(wide.splitlines()) < len(text.splitlines())

    def test_a_table_that_is_too_wide_has_its_last_columns_below(self):
        """Said once: what all rows have alike. Said in every part: what tells the rows apart. No number is lost."""
        text = SMALL.replace("[reference]", '[[start]]\nname = "flat"\npoint = "flat_minimum"\nsaddle = "saddle"')
        study, _, data = fake_dataset(text.replace("grid = [-1.6, 2.4, 200]", ""))
        # narrow intervals have more digits
        for end in ("_low", "_high"):
            data[f"probability{end}"] = data["probability"] * (1 - 1e-4 if end == "_low" else 1 + 1e-4)
            data[f"mean_exit_time{end}"] = data["mean_exit_time"] * (1 - 1e-4 if end == "_low" else 1 + 1e-4)
        lines = report(study, data).splitlines()
        assert "in all rows: T 0.25" in lines
        first, second = [line.split() for line in lines if line.startswith("sharp  0.04   8")]
        wide = next(line for line in report(study, data, wide=True).splitlines() if line.startswith("sharp  0.04   8"))
        assert [*first[:3], "0.25", *first[3:], *second[3:]] == wide.split()
        heads = [line.split() for line in lines if line.startswith("start ")]
        assert [head[:3] for head in heads] == [["start", "γ", "M"]] * 2
        above = [lines[place - 1].split() for place, line in enumerate(lines) if line.startswith("start ")]
        assert above == [["P", "P", "P"], ["time", "time", "time"]]

    def test_rows_are_told_apart_in_every_part_of_a_table(self):
        columns = [Column("a", "a"), Column("b", "b"), *(Column(f"column{n}", "x") for n in range(8))]
        frame = pd.DataFrame({"a": [1, 1, 2], "b": [1, 2, 2]} | {f"column{n}": [n, 10, 100] for n in range(8)})
        assert text_table(columns, frame, 100).count("---\n") == 1
        parts = text_table(columns, frame, 30).split("\n\n")
        assert len(parts) > 2 and all(part.split()[:2] == ["a", "b"] for part in parts)
        assert max(len(line) for part in parts for line in part.splitlines()) <= 30

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
        lines = report(study, data, wide=True).splitlines()
        assert [line.endswith("budget spent") for line in lines if line[:5] == "sharp"] == [
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
        assert interval_texts([(np.nan, np.nan, np.nan)]) == ["–"]
        assert interval_texts([(np.nan, 0.0, 1.0)]) == ["– [0, 1.00] ?"]

    def test_a_column_is_in_one_format(self):
        """A newcomer met 9.71e-04 and 0.001061 in one interval, 0.793 above 9.35e-04 in one column."""
        assert interval_texts([(0.3385, 0.3283, 0.3485), (0.001015, 9.71e-4, 0.001061)]) == [
            "0.33850 [0.32830, 0.34850]", "0.00102 [0.00097, 0.00106]"
        ]  # fmt: skip
        # too far apart for plain numbers: all have an exponent, and as many digits
        assert interval_texts([(0.3385, 0.3283, 0.3485), (1.015e-9, 9.71e-10, 1.061e-9)]) == [
            "3.385e-01 [3.283e-01, 3.485e-01]", "1.015e-09 [9.710e-10, 1.061e-09]"
        ]  # fmt: skip
        assert number_texts([0.793, 9.35e-4, np.nan, 0.0]) == ["0.793000", "0.000935", "–", "0"]
        assert number_texts([0.793, 9.35e-12]) == ["7.93e-01", "9.35e-12"]
        assert number_texts([0.016, 0.12]) == ["0.016", "0.120"]
        assert number_texts([8.0, 16.0]) == ["8", "16"] and number_texts(["a", ""]) == ["a", "–"]

    def test_a_wide_interval_is_marked_and_told(self):
        study, cells, data = fake_dataset()
        assert "?" not in report(study, data) and "not precise" not in report(study, data)
        cells["sharp-000-001"]["probability_high"] = cells["sharp-000-001"]["probability"] * 1.95
        assert "not precise: 1 of 8 intervals, marked ?, are wider" in report(study, combine(study, cells))
        # the interval as wide as its value is the first that is not marked
        cells["sharp-000-001"]["probability_high"] = cells["sharp-000-001"]["probability"] * 1.89
        assert "not precise" not in report(study, combine(study, cells))

    def test_a_cell_without_a_number_is_named(self):
        """Divergence left NaN beside healthy cells, and nothing said which."""
        study, cells, _ = fake_dataset()
        for name in ("probability", "probability_low", "probability_high"):
            cells["sharp-001-001"][name] = np.nan
        cells["sharp-001-001"]["status"] = "diverged"
        cells.pop("sharp-000-000")
        text = report(study, combine(study, cells))
        named = [line for line in text.splitlines() if line.startswith("no number of P simulated: ")]
        assert named == ["no number of P simulated: start sharp, learning_rate = 0.08, batch_size = 16"]
        assert "not finished: 3 of 4 cells" in text


class TestPrecision:
    def test_quality_tells_four_cases_apart(self):
        _, _, data = fake_dataset()
        data["status"].values[0] = [["", "complete"], ["complete", "budget spent"]]
        data["probability"].values[0, 0] = np.nan
        assert quality(data, "probability").values.tolist() == [[["missing", "unknown"], ["precise", "imprecise"]]]
        data["probability_high"].values[0, 1, 0] = 2.0 * data["probability"].values[0, 1, 0]
        assert quality(data, "probability").values[0, 1, 0] == "imprecise"
        assert quality(data, "survival").dims == data.survival.dims

    def test_a_wide_interval_is_one_wider_than_its_value(self):
        numbers = {
            (1, 0.6, 1.59): False,
            (1, 0.4, 1.41): True,
            (0, 0, 0.1): True,
            (np.inf, 5, np.inf): True,
            (np.nan, 0, 0.5): True,
            (np.nan, np.nan, np.nan): False,
            (0, 0, 0): False,
        }
        assert is_wide(*np.transpose(list(numbers))).tolist() == list(numbers.values())

    def test_the_stability_limit_is_two_over_the_largest_curvature(self):
        _, _, data = fake_dataset()
        assert stability_limit(data) is None and beyond_stability(data) is None
        data["largest_curvature"] = data["probability"] * np.nan
        # known from one cell of the start alone
        data["largest_curvature"].values[0, 1, 0] = 40.0
        assert float(stability_limit(data)[0]) == 0.05
        assert beyond_stability(data).values.tolist() == [[False, True]]
        data["largest_curvature"].values[0, 1, 0] = -1.0
        assert not beyond_stability(data).any()


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
        lowest = min(lines[label].min() for label in lines if label[0] != "_")
        assert panel.get_ylim()[0] == pytest.approx(0.6 * lowest)
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
        """6 × 5 cells with 30 ratios: twelve of them are drawn, numbers along the margin that do not overprint."""
        text = SMALL.replace("[0.04, 0.08]", "[0.011, 0.016, 0.024, 0.036, 0.054, 0.08]")
        _, _, data = fake_dataset(text.replace("[8, 16]", "[8, 12, 18, 27, 41]"))
        legend = [text.get_text() for text in plotting.survival_curves(data).axes[0].get_legend().get_texts()]
        assert len(legend) == 12 and legend[0] == f"{0.011 / 41:.3g}" and legend[-1] == "0.01"
        drawn = [line.get_label() for line in plotting.survival_curves(data).axes[0].get_lines()]
        assert [label for label in drawn if label[0] != "_"] == legend
        figure = plotting.phase_diagram(data)
        figure.draw_without_rendering()
        panel = figure.axes[0]
        boxes = [text.get_window_extent() for text in panel.texts[30:]]
        assert 8 <= len(boxes) < 30
        for place, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[place + 1 :])

    def test_twelve_by_twelve_cells_stay_readable(self):
        """Numbers stay within their cells; labels of an axis do not overprint."""
        rates, batches = ([float(f"{x:.3g}") for x in np.geomspace(*ends, 12)] for ends in ((0.01, 0.3), (8, 400)))
        text = SMALL.replace("[0.04, 0.08]", str(rates)).replace("[8, 16]", str(batches))
        _, _, data = fake_dataset(text)
        figure = plotting.phase_diagram(data)
        figure.draw_without_rendering()
        panel = figure.axes[0]
        numbers = panel.texts[:144]
        assert [each.get_text() for each in numbers] == [f"{value:.2g}" for value in data.probability.values.ravel()]
        boxes = [each.get_window_extent() for each in numbers]
        for one, other in [*itertools.pairwise(boxes), *zip(boxes, boxes[12:], strict=False)]:
            assert not one.overlaps(other)
        for axis in (panel.xaxis, panel.yaxis):
            labels = [label.get_window_extent() for label in axis.get_ticklabels()]
            assert len(labels) == 12 and (axis is panel.xaxis or not any(map(overlap, itertools.pairwise(labels))))

    def test_many_starts_are_in_several_rows(self):
        start = '[[start]]\nname = "{}"\npoint = "flat_minimum"\nsaddle = "saddle"\n'
        more = "".join(start.format(f"other{number}") for number in range(4))
        _, _, data = fake_dataset(SMALL.replace("[reference]", more + "[reference]"))
        for figure in (plotting.survival_curves(data), plotting.phase_diagram(data)):
            panels = [axes for axes in figure.axes if axes.get_title()]
            assert [axes.get_title() for axes in panels] == [f"start: {name}" for name in data.start.values]
            assert figure.get_size_inches()[0] < 20 and figure.get_size_inches()[1] > 8

    def test_cells_that_are_not_precise_are_hatched_and_unstable_ones_marked(self):
        _, _, data = fake_dataset()
        assert not [patch for patch in plotting.phase_diagram(data).axes[0].patches]
        data["probability_high"].values[0, 0, 1] = 3 * data["probability"].values[0, 0, 1]
        figure = plotting.phase_diagram(data.assign(largest_curvature=data.probability * 0 + 40.0))
        patches = {label: [each for each in figure.axes[0].patches if each.get_label() == label] for label in MARKS}
        assert [patch.get_extents().get_points() for patch in patches["_hatched"]] != []
        hatched = patches["_hatched"][0]
        assert len(patches["_hatched"]) == 1 and hatched.get_hatch()
        assert hatched.get_x() < 0.04 < hatched.get_x() + hatched.get_width()
        assert hatched.get_y() < 16 < hatched.get_y() + hatched.get_height()
        # γ = 0.08 is beyond 2/40, γ = 0.04 is not
        assert len(patches["_beyond"]) == 2
        for patch in patches["_beyond"]:
            assert patch.get_xy()[:, 0].min() > 0.06
        said = [text.get_text() for text in figure.legends[0].get_texts()]
        assert len(said) == 2 and "not precise" in said[0] and "2/λ_max" in said[1]

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

    def test_colours_begin_at_the_least_positive_value(self):
        """The largest is 1, or the top; one value alone is at the end of the scale and not the darkest of all."""
        _, _, data = fake_dataset()
        data["probability"].values[0, 0] = 0.0, 0.2
        norm = plotting.phase_diagram(data).axes[0].collections[0].norm
        assert (norm.vmin, norm.vmax) == (0.2, 1.0) and norm(0.0) == 0.0
        one = logarithmic([0.8])
        assert (one.vmin, one.vmax) == (0.4, 0.8) and one(0.8) == 1.0
        assert logarithmic([np.nan, 0.0]).vmin == 1e-3

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
