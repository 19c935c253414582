"""Minibatch SGD beside its SDE: escape probability and mean time against γ/M, with error bars."""

from typing import Any

import numpy as np
import xarray as xr

from ._axes import PROCESSES, bars_of, bounds_of
from ._figure import Figure
from ._style import require

# side by side, so that one does not hide the other
_SHIFTS = {"sgd": 0.985, "sde": 1.015}


def digits_figure(dataset: xr.Dataset) -> Figure:
    """Probability and mean time of leaving the sublevel set against γ/M: minibatch SGD beside its SDE.

    dataset: of a digits study. Error bars are the intervals; one without an upper end is an arrow, which starts at
    the lower end where no trajectory left. Raises ValueError for any other dataset.
    """
    require(dataset, "digits_figure", "a digits study", "cell", "process")
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    attributes = dataset.attrs
    for panel, name in ((left, "probability"), (right, "mean_exit_iterations")):
        for process in (str(entry) for entry in dataset.process.values):
            label, color, marker = PROCESSES[process]
            data = dataset.sel(process=process)
            style = {"color": color, "marker": marker, "markersize": 5, "capsize": 3, "linewidth": 1.2}
            _with_intervals(panel, data.ratio.values * _SHIFTS[process], *bounds_of(data, name), label, style)
        panel.set_xscale("log")
        panel.set_xlabel("γ/M (learning rate / batch size)")
        panel.grid(alpha=0.25, which="both", linewidth=0.5)
    left.set_ylabel(f"P(exit within {attributes['iterations']} iterations)")
    left.set_ylim(-0.03, 1.03)
    left.legend()
    right.set_yscale("log")
    right.set_ylabel("mean exit time (iterations)")
    figure.suptitle(
        f"leaving {{L < {attributes['threshold']:g}·L(θ*)}}, {float(attributes['confidence']):.0%} intervals",
        fontsize=10,
    )
    return figure


def _with_intervals(panel: Any, x: Any, value: Any, low: Any, high: Any, label: str, style: dict[str, Any]) -> None:
    """Values with their intervals, and an arrow upward where the interval, or the value too, has no upper end."""
    known = np.isfinite(value)
    panel.errorbar(x[known], value[known], yerr=bars_of(value, low, high)[:, known], label=label, **style)
    start = np.where(known, value, low)
    open_end = np.isfinite(start) & ~np.isfinite(high)
    if open_end.any():
        arrows = style | {"linestyle": "none", "marker": "none"}
        panel.errorbar(x[open_end], start[open_end], yerr=0.6 * start[open_end], lolims=True, **arrows)
