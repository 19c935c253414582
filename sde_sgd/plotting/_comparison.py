"""Chains side by side over SDE time: means with their intervals, the theory, and when they are told apart."""

from typing import Any

import numpy as np
import xarray as xr

from ._axes import THEORY, band, bounds_of, colors_of, panels_of, says, shown
from ._figure import Figure
from ._style import require


def comparison(dataset: xr.Dataset) -> Figure:
    """A panel for each measure, a line with its interval as a band for each chain; below, p-values over time.

    dataset: of a comparison (`ss.compare(…).to_dataset()`). The theory is dashed. The last panel has for each chain but
        the first the smallest p of each look, with a chain's share of the error budget dotted: below it a chain is told
        from the first.
    Raises ValueError for any other dataset.
    """
    return comparison_on(None, dataset, Figure)[0].figure


def comparison_on(ax: Any, dataset: xr.Dataset, new: Any = shown) -> Any:
    """The same on axes that were given, one for each measure and one for p-values, or of a figure by `new`: (n,)."""
    require(dataset, "comparison", "a comparison of chains", "chain", "other", "time", "statistic")
    names = [str(name) for name in dataset.statistic.values[1:-1]]
    panels = panels_of(ax, [*names, "p-values"], lambda: _made(new, len(names)))
    colors = dict(zip(dataset.chain.values, colors_of(dataset.sizes["chain"]), strict=True))
    for panel, name in zip(panels, names, strict=False):
        _means(panel, dataset, name, colors)
    _p_values(panels[-1], dataset, colors)
    if ax is None:
        panels[0].figure.align_ylabels()
    return panels


def _made(new: Any, measures: int) -> Any:
    """Panels of a new figure, (measures + 1,)."""
    heights = [2.6] * measures + [1.9]
    figure = new(figsize=(7.2, 1.2 + sum(heights)), layout="constrained")
    return figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]


def _means(panel: Any, data: xr.Dataset, name: str, colors: dict[Any, Any]) -> None:
    """The means of one measure. Few looks are drawn with marks, for lines between them are a guide alone."""
    for chain, color in colors.items():
        each = data.sel(chain=chain)
        diverged = int(each["diverged"].values[-1])
        label = f"{chain}, {diverged} diverged" if diverged else str(chain)
        band(panel, data.time.values, bounds_of(each, name), color, label, marker="o", markersize=3.5)
    if f"{name}_theory" in data:
        panel.plot(data.time, data[f"{name}_theory"], label="linearised theory", **THEORY)
    if not np.any(np.isfinite(data[name].values)):
        says(panel, "every network diverged")
    panel.set_ylabel(data[name].attrs["long_name"].replace(", penalty included", ""))
    panel.grid(alpha=0.25, linewidth=0.5)
    panel.legend(fontsize=8, frameon=False)


def _p_values(panel: Any, data: xr.Dataset, colors: dict[Any, Any]) -> None:
    for chain in data.other.values:
        smallest = data["p_look"].sel(other=chain).min("statistic")
        panel.plot(data.time, smallest, color=colors[chain], linewidth=1.2, marker="s", markersize=3.5)
    budget = (1 - float(data.attrs["confidence"])) / data.sizes["other"]
    panel.axhline(budget, color="black", linewidth=0.9, linestyle=":")
    panel.set(yscale="log", xlabel=data.time.attrs["long_name"], ylabel=f"p against\n{data.chain.values[0]}")
    panel.grid(alpha=0.25, which="both", linewidth=0.5)
