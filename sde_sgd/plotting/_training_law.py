"""The law of a measure over networks on a grid of learning rates, batch sizes and momenta."""

import itertools
from typing import Any

import numpy as np
import xarray as xr

from .._quantities import SIGNS
from ._axes import axes_of, bars_of, bounds_of, colors_of, label, says, spans_decades
from ._over_networks import lost, ticks
from ._style import require

_AXES = ("batch_size", "learning_rate", "momentum")


def training_law(dataset: xr.Dataset, measure: str | None = None, ax: Any = None) -> Any:
    """Each network's number as a point, quartiles as a band, means with intervals, against a number that varies.

    dataset: `Training.to_dataset(measure)`, or that of a training study at one reading and width.
    measure: which of its measures; by default the first.
    ax: matplotlib axes to draw on; by default those of a new figure, `ax.figure`.
    Against the batch size M where several were trained, else against γ, or μ; a line for each value of the others.
    Networks that diverged, or came to no loss that was to end them, are counted below. Returns the axes.
    Raises ValueError for another dataset, a measure that it has not, or axes that are none.

    Example: `trained.plot(measure="sharpness")`.
    """
    require(dataset, "training_law", "a training", "learning_rate", "batch_size")
    names = [name for name in str(dataset.attrs.get("measures", "")).split(",") if name]
    name = measure or (names[0] if names else "")
    if f"{name}_of_each" not in dataset:
        raise ValueError(f"measure must be of {', '.join(names) or 'none'}, those of the dataset, got {measure!r}")
    data = dataset.isel({dim: 0 for dim in ("reading", "width") if dim in dataset.dims})
    varying = [dim for dim in _AXES if data.sizes.get(dim, 0) > 1]
    along = varying[0] if varying else _AXES[0]
    others = [dim for dim in _AXES if dim in data.dims and dim != along]
    cells = list(itertools.product(*(range(data.sizes[dim]) for dim in others)))
    ax = axes_of(ax)
    known = data[f"{name}_of_each"].values
    if spans_decades(known):
        ax.set_yscale("log")
    is_log = along != "momentum"
    for number, (cell, color) in enumerate(zip(cells, colors_of(len(cells)), strict=True)):
        line = data.isel(dict(zip(others, cell, strict=True)))
        # side by side, so that one does not hide the other
        x = line[along].values * 1.02 ** (number - (len(cells) - 1) / 2) if is_log else line[along].values
        words = ", ".join(f"{SIGNS[dim]} = {float(line[dim]):g}" for dim in others if dim in varying)
        _law(ax, x, line, name, along, color, words or "mean")
        lost(ax, x, line, color, number)
    if is_log:
        ticks(ax, data[along].values)
    ax.set(xlabel=label(data[along]), ylabel=label(data[name]))
    confidence = float(data.attrs["confidence"])
    whole = int(np.nansum(data.trajectories.values))
    title = f"{whole:,} networks; points: each, band: quartiles, bars: mean at {confidence:.3g} confidence"
    ax.set_title(title, fontsize=9)
    ax.grid(alpha=0.25, linewidth=0.5)
    if not np.any(np.isfinite(known)):
        diverged = int(np.nansum(data.diverged.values))
        says(ax, str(data.attrs.get("unknown") or f"no network has a number: {diverged:,} of {whole:,} diverged"))
    elif len(cells) > 1:
        ax.legend(fontsize=8, frameon=False)
    return ax


def _law(ax: Any, x: np.ndarray, line: xr.Dataset, name: str, along: str, color: Any, words: str) -> None:
    each = line[f"{name}_of_each"].transpose(along, "network").values
    places = np.broadcast_to(np.asarray(x, float)[:, None], each.shape)
    ax.plot(places.ravel(), each.ravel(), "o", color=color, alpha=0.4, markersize=3, markeredgewidth=0, label="_each")
    quartiles = [line[f"{name}_quantile_{share:g}"].values for share in (0.25, 0.75)]
    ax.fill_between(x, *quartiles, color=color, alpha=0.15, linewidth=0)
    bounds, style = bounds_of(line, name), {"marker": "s", "markersize": 5, "capsize": 3, "linewidth": 1.3}
    ax.errorbar(x, bounds[0], yerr=bars_of(*bounds), color=color, label=words, **style)
