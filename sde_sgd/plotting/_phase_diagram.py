"""Phase diagram: escape probability over learning rate × batch size, on logarithmic axes."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from ._style import SEQUENCE, require

# least distance of two numbers along the margin, as a share of the side
_APART = 0.07


def phase_diagram(dataset: xr.Dataset) -> Figure:
    """Probability to leave by the horizon over learning rate × batch size, with lines of constant γ/M.

    dataset: of an escape study. Both axes are logarithmic, one panel for each start; every cell carries its number,
    every line its γ/M (some lines, where there would be too many to read), and a cell that was not run stays grey.
    Raises ValueError for any other dataset.
    """
    require(dataset, "phase_diagram", "an escape study", "start", "learning_rate", "batch_size")
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
        mesh = panel.pcolormesh(_edges(rates), _edges(batches), colors, norm=norm, cmap=SEQUENCE, rasterized=True)
        panel.set_xscale("log")
        panel.set_yscale("log")
        for i, rate in enumerate(rates):
            for j, batch in enumerate(batches):
                if np.isfinite(values[i, j]):
                    place = float(norm(max(values[i, j], norm.vmin)))
                    # a patch of the cell's own colour keeps the dashed line off the number
                    patch = {"facecolor": SEQUENCE(place), "edgecolor": "none", "boxstyle": "round,pad=0.25"}
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
        panel.set_title(f"start: {start}", pad=14)
        panel.set_xlabel("learning rate γ (SDE time per iteration)")
    panels[0].set_ylabel("batch size M (examples)")
    bar = figure.colorbar(mesh, ax=list(panels), pad=0.02)
    bar.set_label(f"P(exit by t = {dataset.attrs['horizon']:g})")
    figure.suptitle("dashed: constant γ/M, its value at the line's end", fontsize=9)
    return figure


def _edges(centers: np.ndarray) -> np.ndarray:
    """Borders of cells around `centers` on a log axis."""
    logs = np.log(np.asarray(centers, float))
    if len(logs) == 1:
        return np.exp(logs[0] + np.array([-0.35, 0.35]))
    middle = (logs[:-1] + logs[1:]) / 2
    ends = [logs[0] - (middle[0] - logs[0])], [logs[-1] + (logs[-1] - middle[-1])]
    return np.exp(np.concatenate([ends[0], middle, ends[1]]))


def _constant_ratio(panel: Any, rates: np.ndarray, batches: np.ndarray) -> None:
    """Lines of constant γ/M, each with its number where it leaves the diagram; those too near to the last are left out.

    On logarithmic axes such a line has slope 1: where it leaves is a matter of log(γ/M) alone.
    """
    x = np.array([_edges(rates)[0], _edges(rates)[-1]])
    y = _edges(batches)
    height, width = np.log(y[-1] / y[0]), np.log(x[1] / x[0])
    last = -np.inf
    for ratio in sorted({float(f"{rate / batch:.9g}") for rate in rates for batch in batches}):
        above = y[-1] * ratio < x[1]
        # from the upper left corner along the upper side, then down the right side
        along = np.log(y[-1] * ratio / x[0]) / width if above else 1 + np.log(y[-1] * ratio / x[1]) / height
        if along < last + _APART:
            continue
        last = along
        panel.plot(x, x / ratio, color="white", linewidth=1.0, linestyle="--", alpha=0.8, label=f"γ/M = {ratio:.3g}")
        if above:
            _margin_number(panel, ratio, (y[-1] * ratio, y[-1]), (0, 3), "center", "bottom")
        else:
            _margin_number(panel, ratio, (x[1], x[1] / ratio), (3, 0), "left", "center")
    panel.set_xlim(x)
    panel.set_ylim(y[0], y[-1])


def _margin_number(panel: Any, ratio: float, place: Any, offset: Any, across: Any, up: Any) -> None:
    style = {"ha": across, "va": up, "fontsize": 7, "color": "#555555"}
    panel.annotate(f"{ratio:.3g}", place, offset, textcoords="offset points", annotation_clip=False, **style)
