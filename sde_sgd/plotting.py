"""Figures of a study, drawn from its dataset alone."""

from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

__all__ = ["digits_figure", "phase_diagram", "survival_curves"]

_SEQUENCE = matplotlib.colormaps["viridis"]
_EXACT: dict[str, Any] = {
    "color": "black",
    "linestyle": "none",
    "marker": "o",
    "markersize": 4,
    "markerfacecolor": "white",
    "markeredgewidth": 0.9,
}
_SGD, _SDE = "#c1440e", "#1f5fa8"


def survival_curves(dataset: xr.Dataset) -> Figure:
    """Survival P(no exit by t) on a log axis, one panel for each start, one colour for each γ/M.

    dataset: of an escape study. Of the cells with one γ/M the finished one with the smallest learning rate is drawn:
    a line with its interval as a band, the exact solver as open circles and the linearised theory dashed.
    """
    starts = [str(name) for name in dataset.start.values]
    figure = Figure(figsize=(5.6 * len(starts) + 1.6, 4.9), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(starts), sharey=True, squeeze=False)[0])
    times = dataset.time.values
    lowest = 1.0
    for panel, start in zip(panels, starts, strict=True):
        data = dataset.sel(start=start)
        chosen = _one_cell_per_ratio(data)
        colors = _SEQUENCE(np.linspace(0.0, 0.88, max(len(chosen), 2)))
        for (ratio, rate, batch), color in zip(chosen, colors, strict=False):
            cell = data.isel(learning_rate=rate, batch_size=batch)
            value, low, high = (_positive(cell[name].values) for name in ("survival", "survival_low", "survival_high"))
            low = np.where(np.isnan(low) & np.isfinite(high), 1e-12, low)
            panel.fill_between(times, low, high, color=color, alpha=0.28, linewidth=0)
            panel.plot(times, value, color=color, linewidth=1.8, label=f"{ratio:.3g}")
            theory, exact = (_positive(1 - cell[name].values) for name in ("exit_linearised", "exit_exact"))
            panel.plot(times, theory, color=color, linewidth=1.1, linestyle=(0, (5, 2)), label="_linearised")
            # open marks, evenly spaced on the linear axis, stay visible on a line of any colour
            marked = np.unique(np.searchsorted(times, np.linspace(0.08, 1, 12) * times[-1] * (1 - 1e-9)))
            panel.plot(times, exact, markevery=list(marked), label="_exact", **_EXACT)
            known = value[np.isfinite(value)]
            lowest = min(lowest, known.min()) if known.size else lowest
        panel.set_title(f"start: {start} minimum")
        panel.set_xlabel("SDE time  t = γ · iterations")
        panel.set_yscale("log")
        panel.grid(alpha=0.25, which="both", linewidth=0.5)
        if chosen:
            panel.add_artist(panel.legend(title="γ/M", loc="lower left", fontsize=8, title_fontsize=9))
    panels[0].set_ylabel("P(no exit by t)")
    # a curve that has lost all its trajectories would otherwise stretch the axis without end
    panels[0].set_ylim(max(lowest * 0.6, 1e-4), 1.25)
    confidence = float(dataset.attrs["confidence"])
    _line_kinds(figure, confidence)
    return figure


def phase_diagram(dataset: xr.Dataset) -> Figure:
    """Probability to leave by the horizon over learning rate × batch size, with lines of constant γ/M.

    dataset: of an escape study. Both axes are logarithmic, one panel for each start; every cell carries its number,
    every line its γ/M, and a cell that was not run stays grey.
    """
    starts = [str(name) for name in dataset.start.values]
    rates, batches = dataset.learning_rate.values, dataset.batch_size.values
    probability = dataset["probability"].values
    positive = probability[np.isfinite(probability) & (probability > 0)]
    norm = LogNorm(min(positive.min(), 0.5) if positive.size else 1e-3, 1.0)
    figure = Figure(figsize=(5.2 * len(starts) + 1.4, 4.9), layout="constrained")
    panels = figure.subplots(1, len(starts), sharey=True, squeeze=False)[0]
    mesh: Any = None
    for panel, start in zip(panels, starts, strict=True):
        values = dataset["probability"].sel(start=start).values
        panel.set_facecolor("#d5d5d5")
        colors = np.where(values == 0, norm.vmin or 0.0, values).T
        mesh = panel.pcolormesh(_edges(rates), _edges(batches), colors, norm=norm, cmap=_SEQUENCE, rasterized=True)
        panel.set_xscale("log")
        panel.set_yscale("log")
        for i, rate in enumerate(rates):
            for j, batch in enumerate(batches):
                if np.isfinite(values[i, j]):
                    place = float(norm(max(values[i, j], norm.vmin)))
                    # a patch of the cell's own colour keeps the dashed line off the number
                    patch = {"facecolor": _SEQUENCE(place), "edgecolor": "none", "boxstyle": "round,pad=0.25"}
                    ink = "black" if place > 0.6 else "white"
                    panel.text(
                        rate, batch, f"{values[i, j]:.2g}", ha="center", va="center", color=ink, size=9, bbox=patch
                    )
        _constant_ratio(panel, rates, batches)
        for axis, ticks in ((panel.xaxis, rates), (panel.yaxis, batches)):
            axis.set_major_locator(FixedLocator(list(ticks)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_locator(NullLocator())
            axis.set_minor_formatter(NullFormatter())
        panel.set_title(f"start: {start} minimum", pad=14)
        panel.set_xlabel("learning rate γ (SDE time per iteration)")
    panels[0].set_ylabel("batch size M (examples)")
    bar = figure.colorbar(mesh, ax=list(panels), pad=0.02)
    bar.set_label(f"P(exit by t = {dataset.attrs['horizon']:g})")
    figure.suptitle("dashed: constant γ/M, its value at the line's end", fontsize=9)
    return figure


def digits_figure(dataset: xr.Dataset) -> Figure:
    """Probability and mean time of leaving the sublevel set against γ/M: minibatch SGD beside its SDE.

    dataset: of a digits study. Error bars are the intervals; one without an upper end is an arrow, which starts at
    the lower end where no trajectory left.
    """
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    attributes = dataset.attrs
    styles = {"sgd": ("minibatch SGD", _SGD, "o", 0.985), "sde": ("SDE, per-example noise", _SDE, "s", 1.015)}
    for panel, name in ((left, "probability"), (right, "mean_exit_iterations")):
        for process in (str(entry) for entry in dataset.process.values):
            label, color, marker, shift = styles[process]
            data = dataset.sel(process=process)
            value, low, high = (data[name + suffix].values for suffix in ("", "_low", "_high"))
            # side by side, so that one does not hide the other
            style = {"color": color, "marker": marker, "markersize": 5, "capsize": 3, "linewidth": 1.2}
            _with_intervals(panel, data.ratio.values * shift, value, low, high, label, style)
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
    middle, below, above = value[known], low[known], high[known]
    bars = np.stack([middle - below, np.where(np.isfinite(above), above - middle, 0)])
    panel.errorbar(x[known], middle, yerr=np.maximum(bars, 0), label=label, **style)
    start = np.where(known, value, low)
    open_end = np.isfinite(start) & ~np.isfinite(high)
    if open_end.any():
        arrows = style | {"linestyle": "none", "marker": "none"}
        panel.errorbar(x[open_end], start[open_end], yerr=0.6 * start[open_end], lolims=True, **arrows)


def _one_cell_per_ratio(data: xr.Dataset) -> list[tuple[float, int, int]]:
    """(γ/M, index of γ, index of M), one finished cell for each γ/M, by increasing γ/M."""
    found: dict[str, tuple[float, int, int]] = {}
    for rate in range(data.sizes["learning_rate"]):
        for batch in range(data.sizes["batch_size"]):
            if np.isfinite(data["probability"].values[rate, batch]):
                ratio = float(data["ratio"].values[rate, batch])
                found.setdefault(f"{ratio:.9g}", (ratio, rate, batch))
    return sorted(found.values())


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, np.nan)


def _edges(centers: np.ndarray) -> np.ndarray:
    """Borders of cells around `centers` on a log axis."""
    logs = np.log(np.asarray(centers, float))
    if len(logs) == 1:
        return np.exp(logs[0] + np.array([-0.35, 0.35]))
    middle = (logs[:-1] + logs[1:]) / 2
    ends = [logs[0] - (middle[0] - logs[0])], [logs[-1] + (logs[-1] - middle[-1])]
    return np.exp(np.concatenate([ends[0], middle, ends[1]]))


def _constant_ratio(panel: Any, rates: np.ndarray, batches: np.ndarray) -> None:
    x = np.array([_edges(rates)[0], _edges(rates)[-1]])
    y = _edges(batches)
    for ratio in sorted({float(f"{rate / batch:.9g}") for rate in rates for batch in batches}):
        panel.plot(x, x / ratio, color="white", linewidth=1.0, linestyle="--", alpha=0.8, label=f"γ/M = {ratio:.3g}")
        # the number stands where its line leaves the diagram, above or on the right
        if y[-1] * ratio < x[1]:
            _margin_number(panel, ratio, (y[-1] * ratio, y[-1]), (0, 3), "center", "bottom")
        else:
            _margin_number(panel, ratio, (x[1], x[1] / ratio), (3, 0), "left", "center")
    panel.set_xlim(x)
    panel.set_ylim(y[0], y[-1])


def _margin_number(panel: Any, ratio: float, place: Any, offset: Any, across: Any, up: Any) -> None:
    style = {"ha": across, "va": up, "fontsize": 7, "color": "#555555"}
    panel.annotate(f"{ratio:.3g}", place, offset, textcoords="offset points", annotation_clip=False, **style)


def _line_kinds(figure: Figure, confidence: float) -> None:
    grey = "#555555"
    handles = [
        Line2D([], [], color=grey, linewidth=1.8, label=f"simulated, {confidence:.0%} band"),
        Line2D([], [], label="exact solver", **_EXACT),
        Line2D([], [], color=grey, linewidth=1.1, linestyle=(0, (5, 2)), label="linearised theory"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
