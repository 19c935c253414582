"""Mean escape times from a trained minimum against M/γ: SGD, its SDE and the linearised theory, and their ratios."""

from typing import Any

import numpy as np
import xarray as xr

from ._axes import PROCESSES, bars_of, bounds_of, panels_of, says, shown, spans_decades
from ._figure import Figure
from ._style import require

_STYLES = PROCESSES | {"linear": ("linearised at the minimum", "#4d7d2c", "^")}
# side by side, so that one does not hide the other
_SHIFTS = {"sgd": 0.99, "sde": 1.0, "linear": 1.01}
# of the two panels
_HEIGHTS = (3, 1.3)


def escape_times(dataset: xr.Dataset) -> Figure:
    """Mean time to leave the sublevel set against M/γ on a log axis, intervals and fitted lines; below, ratios.

    dataset: of `training.escape_from` (`found.to_dataset()`); or with a dimension `start`, of a trained escape's study
    with its laws, for minima side by side. The lower panel has the times over those of SGD, where it was run, with
    intervals that hold for all cells together. A time without an upper bound is not drawn.
    Raises ValueError for any other dataset.
    """
    if "start" not in dataset.dims:
        return escape_times_on(None, dataset, Figure)[0].figure
    figure = Figure(figsize=(1.0 + 5.2 * dataset.sizes["start"], 5.8), layout="constrained")
    panels = figure.subplots(
        2, dataset.sizes["start"], sharex=True, sharey="row", height_ratios=_HEIGHTS, squeeze=False
    )
    for place, ax in enumerate(panels.T):
        here = dataset.isel(start=place)
        attributes = {name: float(here[name]) for name in ("height", "limit")}
        escape_times_on(ax, here.assign_attrs(attributes))
        ax[0].set_title(f"{here['start'].item()}: {ax[0].get_title()}", fontsize=8)
    for panel in panels[:, 1:].flat:
        panel.set_ylabel("")
    return figure


def escape_times_on(ax: Any, dataset: xr.Dataset, new: Any = shown) -> Any:
    """The same on two axes that were given, of times and of ratios, or on those of a figure by `new`; the axes."""
    require(dataset, "escape_times", "training.escape_from", "process")
    top, below = panels_of(ax, ["times", "ratios"], lambda: _made(new))
    x = np.ravel(dataset.inverse_ratio.values)
    names = [str(name) for name in dataset.process.values]
    value, low, high = (each.reshape(len(names), -1) for each in bounds_of(dataset, "mean_exit_time"))
    for place, name in enumerate(names):
        (label, color, marker), shift = _STYLES[name], _SHIFTS[name]
        known = np.isfinite(high[place]) & (low[place] > 0)
        style = {"color": color, "marker": marker, "markersize": 5, "capsize": 3, "linestyle": "none"}
        middle, bars = value[place, known], bars_of(value[place], low[place], high[place])[:, known]
        slope = f"{dataset.slope.values[place]:.3g}"
        top.errorbar(x[known] * shift, middle, yerr=bars, label=f"{label}: slope {slope}", **style)
        if len(np.unique(x[known])) > 1:
            weight = (middle / bars.sum(axis=0)) ** 2
            centre, height = (np.average(each, weights=weight) for each in (x[known], np.log(middle)))
            reach = np.array([x[known].min(), x[known].max()])
            line = np.exp(height + dataset.slope.values[place] * (reach - centre))
            top.plot(reach, line, color=color, linewidth=1)
        if "ratio" in dataset and name != "sgd":
            ratio = [each[place].ravel() for each in bounds_of(dataset, "ratio")]
            known = np.isfinite(ratio[2])
            below.errorbar(x[known] * shift, ratio[0][known], yerr=bars_of(*ratio)[:, known], **style)
    top.set_yscale("log")
    top.set_ylabel("mean time to leave (SDE time)")
    top.legend(fontsize=8)
    if "ratio" in dataset and spans_decades(dataset.ratio):
        below.set_yscale("log")
    below.axhline(1, color="black", linewidth=1)
    below.set(xlabel="M/γ (batch size / learning rate)", ylabel="over SGD's")
    for panel in (top, below):
        panel.grid(alpha=0.25, which="both", linewidth=0.5)
    attributes = dataset.attrs
    title = f"leaving {{L < L(θ*) + {attributes['height']:.3g}}}, {float(attributes['confidence']):.0%} intervals"
    if np.isfinite(attributes["limit"]):
        title += f"; low-noise slope {attributes['limit']:.3g}"
    top.set_title(title, fontsize=10)
    if not np.any(np.isfinite(high) & (low > 0)):
        says(top, "no mean time has a bound above: give more iterations")
    return np.array([top, below])


def _made(new: Any) -> Any:
    figure = new(figsize=(6.6, 5.8), layout="constrained")
    return figure.subplots(2, 1, sharex=True, height_ratios=_HEIGHTS)
