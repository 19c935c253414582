"""The figure of a swept number: its data are those of the dataset."""

import numpy as np
import pytest
import xarray as xr

import sde_sgd as ss


class TestSweepFigure:
    """Its data are those of the dataset; the axis is the longest numeric one, and every other place has a line."""

    DATA = xr.Dataset(
        {
            "rate": (
                ("basin", "temperature"),
                [[1.0, 2.0, 4.0], [0.0, 0.0, 0.0]],
                {"long_name": "rate", "units": "1 / s"},
            ),
            "rate_low": (("basin", "temperature"), [[0.5, 1.5, 3.0], [0.0, 0.0, 0.0]]),
            "rate_high": (("basin", "temperature"), [[1.5, 2.5, np.inf], [0.0, 0.0, 0.0]]),
            "rate_theory": (("basin", "temperature"), [[1.1, 2.1, 4.1], [np.nan, np.nan, np.nan]]),
        },
        {
            "basin": ["left", "right"],
            "temperature": ("temperature", [0.1, 0.2, 0.8], {"long_name": "T", "units": "loss"}),
        },
    )

    def test_it_shows_the_data(self):
        panel = ss.plotting.sweep_figure(self.DATA, "rate", {"rate_theory": "theory"}, log=True).axes[0]
        (bars,) = panel.containers
        assert bars.lines[0].get_xdata().tolist() == [0.1, 0.2, 0.8] and bars.get_label() == "basin left"
        assert bars.lines[0].get_ydata().tolist() == [1.0, 2.0, 4.0]
        ends = [segment[:, 1].tolist() for segment in bars.lines[2][0].get_segments()]
        assert ends == [[0.5, 1.5], [1.5, 2.5], [3.0, 4.0]]
        theory = [line for line in panel.get_lines() if line.get_label() == "_rate_theory"]
        assert [line.get_ydata().tolist() for line in theory] == [[1.1, 2.1, 4.1]]
        assert panel.get_yscale() == panel.get_xscale() == "log"
        assert panel.get_xlabel() == "T (loss)" and panel.get_ylabel() == "rate (1 / s)"
        assert [text.get_text() for text in panel.get_legend().get_texts()] == ["theory", "basin left"]

    def test_without_an_axis_of_numbers(self):
        panel = ss.plotting.sweep_figure(self.DATA.isel(temperature=0), "rate", {}).axes[0]
        assert [container.get_label() for container in panel.containers] == ["basin left"]
        with pytest.raises(ValueError, match="got 'time', which it lacks"):
            ss.plotting.sweep_figure(self.DATA, "time", {})

    def test_words_stand_side_by_side(self):
        """Three words without numbers: a point for each at its place, no line between them."""
        values = [[1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [1.0, 2.0, 5.0]]
        data = xr.Dataset(
            {name: ("shape", value) for name, value in zip(("p", "p_low", "p_high"), values, strict=True)},
            {"shape": ["full", "flat", "round"]},
        )
        (panel,) = ss.plotting.sweep_figure(data.assign(exact=data.p * 2), "p", {"exact": "exact"}).axes
        assert [text.get_text() for text in panel.get_xticklabels()] == ["full", "flat", "round"]
        (bars,) = panel.containers
        assert bars.lines[0].get_ydata().tolist() == [1.0, 2.0, 4.0] and bars.lines[0].get_linestyle() == "None"
        assert bars.lines[0].get_xdata().tolist() == [0, 1, 2]
        (exact,) = (line for line in panel.get_lines() if line.get_label() == "_exact")
        assert exact.get_ydata().tolist() == [2, 4, 8] and exact.get_linestyle() == "None"
