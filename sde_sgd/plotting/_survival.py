"""Survival curves P(no exit by t) with pointwise confidence bands, theory and exact solver beside them."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.lines import Line2D

from ._axes import GREY, THEORY, axes_of, band, bounds_of, colors_of, floor_of, positive
from ._figure import Figure
from ._one_survival import survival
from ._style import arrangement, require

# most curves of a panel: those of the first and the last γ/M are always among them
_CURVES = 12
_EXACT: dict[str, Any] = {
    "color": "black",
    "linestyle": "none",
    "marker": "o",
    "markersize": 4,
    "markerfacecolor": "white",
    "markeredgewidth": 0.9,
}


class _Curve(NamedTuple):
    """One line of a panel: its γ/M, and its data along time."""

    ratio: float
    data: xr.Dataset


def survival_curves(dataset: xr.Dataset) -> Figure:
    """Survival P(no exit by t) on a log axis against SDE time: a line with its interval as a band.

    dataset: of an escape study, with one panel for each start and one colour for each γ/M (12 of them, where there are
        more), of whose cells the finished one with the smallest learning rate is drawn; the exact solver as open
        circles and the linearised theory dashed, where the study has them. One first passage
        (`FirstPassage.to_dataset()`) is drawn as by `survival`.
    Raises ValueError for a dataset without `time` and `survival`.
    """
    require(dataset, "survival_curves", "a first passage or an escape study", "time")
    if "start" not in dataset.dims:
        return survival(dataset, axes_of(None, new=Figure)).figure
    require(dataset, "survival_curves", "a first passage or an escape study", "learning_rate", "batch_size")
    panels = {f"start: {name}": _one_cell_per_ratio(dataset.sel(start=name)) for name in dataset.start.values}
    rows, columns = arrangement(len(panels))
    figure = Figure(figsize=(5.6 * columns + 1.6, 4.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for empty in axes.ravel()[len(panels) :]:
        empty.remove()
    everything = sorted({curve.ratio for curves in panels.values() for curve in curves})
    ratios = _some(everything)
    colors = dict(zip(ratios, colors_of(len(ratios)), strict=False))
    lowest = 0.5
    for panel, (title, curves) in zip(axes.ravel(), panels.items(), strict=False):
        for curve in curves:
            if curve.ratio in colors:
                lowest = min(lowest, _draw(panel, curve, colors[curve.ratio]))
        panel.set_title(title)
        panel.set_xlabel("SDE time  t = γ · iterations")
        panel.set_yscale("log")
        panel.grid(alpha=0.25, which="both", linewidth=0.5)
    for panel in axes[:, 0]:
        panel.set_ylabel("P(no exit by t)")
    axes[0, 0].set_ylim(lowest, 1.25)
    _ratio_legend(axes[0, -1], ratios, len(everything), colors)
    _line_kinds(figure, dataset)
    return figure


def _one_cell_per_ratio(data: xr.Dataset) -> list[_Curve]:
    """One finished cell for each γ/M, by increasing γ/M."""
    cells: dict[float, xr.Dataset] = {}
    for rate in range(data.sizes["learning_rate"]):
        for batch in range(data.sizes["batch_size"]):
            cell = data.isel(learning_rate=rate, batch_size=batch)
            if np.isfinite(cell["probability"].values):
                cells.setdefault(float(f"{float(cell['ratio']):.9g}"), cell)
    return [_Curve(ratio, cells[ratio]) for ratio in sorted(cells)]


def _draw(panel: Any, curve: _Curve, color: Any) -> float:
    """Draw one curve with all that is known beside it; returns where the axis should end below."""
    times = curve.data.time.values
    value, low, high = (positive(each) for each in bounds_of(curve.data, "survival"))
    low = np.where(np.isnan(low) & np.isfinite(high), 1e-12, low)
    band(panel, times, (value, low, high), color, f"{curve.ratio:.3g}")
    if _known(curve.data, "exit_linearised"):
        linearised = positive(1 - curve.data.exit_linearised.values)
        panel.plot(times, linearised, **THEORY | {"color": color}, label="_linearised")
    if _known(curve.data, "exit_exact"):
        # open marks, evenly spaced on the linear axis, stay visible on a line of any colour
        marked = np.unique(np.searchsorted(times, np.linspace(0.08, 1, 12) * times[-1] * (1 - 1e-9)))
        exact = positive(1 - curve.data.exit_exact.values)
        panel.plot(times, exact, markevery=list(marked), label="_exact", **_EXACT)
    return floor_of(value)


def _known(data: xr.Dataset, name: str) -> bool:
    return name in data and bool(np.isfinite(data[name].values).any())


def _some(ratios: list[float]) -> list[float]:
    """As many of the increasing numbers as a panel has curves that can be told apart, spread over all of them."""
    if len(ratios) <= _CURVES:
        return ratios
    return [ratios[place] for place in np.linspace(0, len(ratios) - 1, _CURVES).round().astype(int)]


def _ratio_legend(panel: Any, ratios: list[float], all_ratios: int, colors: dict[float, Any]) -> None:
    """Colours of γ/M beside the last panel of the first row, where they cover no curve."""
    if not ratios:
        return
    handles = [Line2D([], [], color=colors[ratio], linewidth=1.8, label=f"{ratio:.3g}") for ratio in ratios]
    title = "γ/M" if len(ratios) == all_ratios else f"γ/M, {len(ratios)} of {all_ratios}"
    style: dict[str, Any] = {"fontsize": 8, "title_fontsize": 9, "frameon": False}
    panel.legend(handles=handles, title=title, loc="upper left", bbox_to_anchor=(1.01, 1.0), **style)


def _line_kinds(figure: Figure, dataset: xr.Dataset) -> None:
    """What a line, an open circle and a dashed line are, of those that were drawn."""
    confidence = float(dataset.attrs["confidence"])
    handles = [Line2D([], [], color=GREY, linewidth=1.8, label=f"simulated, {confidence:.4g} confidence band")]
    if _known(dataset, "exit_exact"):
        handles.append(Line2D([], [], label="exact solver", **_EXACT))
    if _known(dataset, "exit_linearised"):
        style: dict[str, Any] = THEORY | {"color": GREY}
        handles.append(Line2D([], [], label="linearised theory", **style))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
